"""Traces that repeat what equal layers recorded, compared with traces that traverse every layer."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.calc.memory.liveness import STREAM, Liveness, Passage, Passages
from llmcalc.calc.memory.saved_tensors import ActivationPolicy
from llmcalc.calc.sharding import Mesh
from llmcalc.calc.walk import Conventions, executed_stacks
from llmcalc.core.workload import Workload

SEQ, TARGET = 37, 41


class Forgetful(Passages):
    """Passages that are never found again."""

    def __setitem__(self, key: tuple[object, ...], value: Passage) -> None:
        """Forget the value."""


def traces(name: str, policy: ActivationPolicy, passages: type[Passages]) -> list[Liveness]:
    model = llmcalc.load(name)
    target = TARGET if model.is_encoder_decoder else None
    values = Workload(batch=2, seq=SEQ, target_seq=target, mode="train").values(model)
    found = []
    for stack, names in executed_stacks(model, Conventions("prefill", "dense", policy.convention)):
        known = passages()
        for run in stack.runs:
            trace = Liveness(policy, names, values, Mesh())
            trace.passages = known
            trace.block(run.block, STREAM)
            found.append(trace)
    return found


@pytest.mark.parametrize("policy", [{}, {"attention": "eager", "convention": "torch"}, {"serving": True}])
@pytest.mark.parametrize("name", ["kimi-k3", "gemma3n", "zamba2", "t5"])
def test_a_repeated_layer_records_what_a_traversed_one_records(
    name: str, policy: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    repeats, repeat, own = list[str](), Liveness.repeat, ActivationPolicy(**policy)

    def counted(trace: Liveness, known: Passage, place: str, inputs: tuple[str, ...]) -> str:
        repeats.append(place)
        return repeat(trace, known, place, inputs)

    monkeypatch.setattr(Liveness, "repeat", counted)
    repeated, traversed = (traces(name, own, kind) for kind in (Passages, Forgetful))
    assert [list(each.saved.values()) for each in repeated] == [list(each.saved.values()) for each in traversed]
    assert [each.steps for each in repeated] == [each.steps for each in traversed]
    assert [each.shared for each in repeated] == [each.shared for each in traversed]
    assert repeats
