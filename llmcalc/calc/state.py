"""State: what the next token needs of the tokens before it: keys and values, latents, recurrent states, conv tails."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

from ..core.architecture import Architecture, declare
from ..core.declaration import State
from ..core.form import Form, lift
from ..core.ledger import Entry, stack_entries
from ..core.record import record
from ..core.workload import Workload, symbols
from .work import Conventions, extent, runs

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "fp8": 1}
ROLE_DTYPES = {"kv": None, "conv": None, "index": None, "recurrent": "fp32"}


class Kept(NamedTuple):
    """A state tensor of a layer, with the closed form of its elements in one application."""

    entry: Entry
    state: State
    elements: Form


@record
class StateSize:
    """The state after ``seq`` tokens, in elements and bytes."""

    architecture: Architecture
    workload: Workload
    dtype: str
    kept: tuple[Kept, ...]

    @cached_property
    def form(self) -> Form:
        """Elements as a closed form of the workload."""
        total = lift(0)
        for kept in self.kept:
            total = total + kept.elements * kept.entry.applied
        return total

    @cached_property
    def elements(self) -> int:
        """Numbers kept."""
        return int(self.form(**self.workload.values(self.architecture)))

    @cached_property
    def bytes(self) -> int:
        """Bytes, each role in its own number format: recurrent states in fp32, the others in ``dtype``."""
        values = self.workload.values(self.architecture)
        return sum(
            int(kept.elements(**values)) * kept.entry.applied * BYTES[ROLE_DTYPES[kept.state.role] or self.dtype]
            for kept in self.kept
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data whose keys are the attribute names."""
        return {"elements": self.elements, "bytes": self.bytes, "closed_form": str(self.form)}


def state(
    architecture: Architecture,
    *,
    batch: int = 1,
    seq: int = 2048,
    target_seq: int | None = None,
    dtype: str = "bf16",
    convention: str | None = None,
) -> StateSize:
    """What the next token needs after ``seq`` tokens; a window of W keeps min(seq, W - 1) of them.

    ``convention="torch"``: what transformers' cache objects hold (a convolution keeps all its columns).
    """
    workload = Workload(batch=batch, seq=seq, target_seq=target_seq, convention=convention)
    conventions = Conventions("prefill", "dense", convention)
    lone = not architecture.is_encoder_decoder
    kept = []
    for stack in architecture.stacks:
        if stack.role == "encoder":  # an encoder runs once and keeps nothing of its own
            continue
        names = symbols(stack, lone)
        for entry in stack_entries(stack):
            for _, declaration in declare(entry.layer).walk():
                for tensor in declaration.states:
                    if runs(tensor.tags, conventions):
                        size = lift(1)
                        for axis in tensor.axes:
                            size = size * extent(axis, declaration, names, convention)
                        kept.append(Kept(entry, tensor, size))
    return StateSize(architecture, workload, dtype, tuple(kept))
