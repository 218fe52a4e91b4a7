"""What a NumPy model stores if parts of it are recomputed is what the equations of its layers say.

The tape of a forward pass is cut into layers and blocks. A checkpoint stores the inputs of what it contains, and none
of the arrays that only its own operations read in the backward pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.calc.memory.recomputation import recomputation
from llmcalc.calc.memory.saved_tensors import FP32_BYTES, ActivationPolicy
from llmcalc.calc.memory.training import saved_tensors
from llmcalc.calc.sharding import Mesh
from llmcalc.core.shrink import SEQ
from llmcalc.core.workload import Workload
from llmcalc.twins import stack as runner
from llmcalc.twins.tape import MemoryLedger, Tape, Variable, owner
from llmcalc.twins.training import cross_entropy

BATCH = 2
MODELS = ["gpt2", "llama3", "mixtral", "deepseek-v3", "qwen3-0.6b", "gemma2"]
KINDS = {"layernorm": ("norm",), "mlp": ("mlp",), "moe": ("moe",)}
DISCARDING = ("layernorm",)


class Cut:
    """A forward pass, with the numbers of the operations of each layer and of each block."""

    def __init__(self, small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tape, model = Tape(), llmcalc.twin(small)
        self.layers: list[tuple[str, range]] = []
        self.blocks: list[range] = []
        run_layer, run_block, nodes = runner._Runner.layer, runner._Runner.block, self.tape.nodes

        def layer(own: Any, placed: Any, *given: Any) -> Any:
            start, is_in_block = len(nodes), bool(self.entered)
            found = run_layer(own, placed, *given)
            self.layers += [(placed.layer.kind(), range(start, len(nodes)))] if is_in_block else []
            return found

        def block(own: Any, *given: Any) -> Any:
            start = len(nodes)
            self.entered.append(start)
            found = run_block(own, *given)
            self.entered.pop()
            self.blocks.append(range(start, len(nodes)))
            return found

        self.entered: list[int] = []
        monkeypatch.setattr(runner._Runner, "layer", layer)
        monkeypatch.setattr(runner._Runner, "block", block)
        rng = np.random.default_rng(0)
        with self.tape.parameters_of(model):
            logits, _ = model.prefill(rng.integers(3, 90, (BATCH, SEQ)))
        self.loss: Variable = cross_entropy(logits, rng.integers(3, 90, logits.shape[:2]))

    def stored(self, parts: Iterable[range], *, discards: bool) -> int:
        """Return the number of stored elements if the operations of each part run again."""
        nodes, ledger = self.tape.nodes, MemoryLedger()
        part_of = {id(nodes[number]): part for part, numbers in enumerate(parts) for number in numbers}
        makers: dict[int, int | None] = {}
        for view, original in self.tape.views:
            ledger.alias(view, original)
        for node in nodes:
            makers.setdefault(self._whole(ledger, node.value), part_of.get(id(node)))
        reached, kept, readers = {id(self.loss)}, list[Any](), dict[int, set[int | None]]()
        for node in reversed(nodes):
            if id(node) in reached:
                reached |= {id(parent) for parent, _ in node.pullbacks}
                for array in node.residuals:
                    whole, part = self._whole(ledger, array), part_of.get(id(node))
                    makers.setdefault(whole, part)  # such as statistics of a norm, which no other operation makes
                    readers.setdefault(whole, set()).add(part)
                    kept.append(array)
        for array in kept:
            whole = self._whole(ledger, array)
            maker = makers.get(whole)
            if maker is None or not (discards or readers[whole] == {maker}):
                ledger.add(array)
        for node in nodes:
            own = part_of.get(id(node))
            for parent, _ in node.pullbacks if own is not None and id(node) in reached else ():
                maker = part_of.get(id(parent))
                if parent.is_activation and maker != own and (maker is None or not discards):
                    ledger.add(parent.value)
        return sum(ledger.sizes())

    @staticmethod
    def _whole(ledger: MemoryLedger, array: Any) -> int:
        whole = owner(np.asarray(array))
        while id(whole) in ledger.copies:
            whole = owner(ledger.copies[id(whole)][1])
        return id(whole)


def declared(small: Any, recompute: str) -> int:
    policy = ActivationPolicy(attention="eager", bytes=FP32_BYTES, scan="chunks", recompute=recompute)
    workload = Workload(batch=BATCH, seq=SEQ, mode="train")
    return sum(size // FP32_BYTES for _, size in saved_tensors(small, workload, policy, Mesh()))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "recompute", ["none", "full", "layer:2", "fraction:1/2", "blocks:1", "layernorm", "mlp", "moe"]
)
def test_stored_elements_are_those_of_the_tape(model: str, recompute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small = llmcalc.load(model).shrink()
    cut = Cut(small, monkeypatch)
    if recompute in KINDS:
        parts = [numbers for kind, numbers in cut.layers if kind in KINDS[recompute]]
    else:
        flags = recomputation(recompute).layers(len(cut.blocks))
        parts = [block for block, flag in zip(cut.blocks, flags, strict=True) if flag]
    assert cut.stored(parts, discards=recompute in DISCARDING) == declared(small, recompute)
