"""Bytes that a step reads and writes, as closed forms.

Weights, cached keys and values, activations and recurrent states (fp32) have separate number formats. A lookup
reads one row per token. Routed experts are read if at least one token selects them, so their number is an
expected value under uniform routing. A training step consists of a forward and a backward pass, without the
optimizer step. Residual additions are not equations, so neither FLOPs nor traffic include them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from typing import Any, ClassVar

from ..core.amount import summed
from ..core.architecture import Architecture
from ..core.evidence import of_architecture
from ..core.form import Form, lift
from ..core.record import record
from ..core.setting import FUSED
from ..core.workload import Workload
from .flops import Flops, component, flops
from .kernels import KINDS, Access, LayerKernels
from .kv_cache import BYTES
from .memory.number_formats import BITS_A_BYTE, Format
from .memory.weight_formats import WeightFormats
from .operand_formats import Formats, WeightBits
from .step_result import StepResult
from .walk import Conventions
from .work import Work, works


@record
class Traffic(StepResult):
    """Bytes that one step reads from and writes to memory, and the arithmetic intensity of the step."""

    kernels: str
    accesses: tuple[Access, ...]

    HEADLINE: ClassVar[str] = "{0.total:,} bytes, {0.workload.mode}"

    EVIDENCE: ClassVar[dict[str, str]] = dict.fromkeys(
        ("total", "read", "written", "intensity"), "assumed"
    )  # what a fused kernel keeps

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value. Only the bytes of unfused kernels follow from the equations alone."""
        if self.kernels == FUSED:
            return super().evidence
        return of_architecture({**dict.fromkeys(self.EVIDENCE, "exact"), "intensity": "assumed"}, self.architecture)

    @cached_property
    def form(self) -> Form:
        """Closed form of the total number of bytes."""
        bits = sum((access.form for access in self.accesses), lift(0))
        return Form({atoms: -(-factor // BITS_A_BYTE) for atoms, factor in bits.terms.items()})

    @cached_property
    def sizes(self) -> tuple[tuple[Access, int], ...]:
        """All accesses with their sizes in bytes. All totals are sums of these sizes."""
        distinct = {_identity(access): access for access in self.accesses}  # without those of equal layers
        sizes = {key: access.bytes(self.values) for key, access in distinct.items()}
        found = ((access, sizes[_identity(access)]) for access in self.accesses)
        return tuple((access, size) for access, size in found if size)

    @cached_property
    def total(self) -> int:
        """Total number of bytes read and written."""
        return sum(size for _, size in self.sizes)

    @cached_property
    def read(self) -> int:
        """Number of bytes read."""
        return sum(size for access, size in self.sizes if not access.is_write)

    @property
    def written(self) -> int:
        """Number of bytes written."""
        return self.total - self.read

    @cached_property
    def by_kind(self) -> dict[str, int]:
        """Number of bytes by tensor kind (``weights``, ``cache``, ``state`` or ``activations``)."""
        return {kind: sum(size for access, size in self.sizes if access.kind == kind) for kind in KINDS}

    @cached_property
    def by_component(self) -> dict[str, int]:
        """Number of bytes by component, such as ``attention core``."""
        return summed((component(access.work), size) for access, size in self.sizes)

    @cached_property
    def flops(self) -> Flops:
        """FLOPs of the same step, counting only visible query-key pairs."""
        return flops(self.architecture, **{name: getattr(self.workload, name) for name in Workload.__match_args__})

    @property
    def intensity(self) -> float:
        """Arithmetic intensity, in FLOPs per byte."""
        return self.flops.total / self.total if self.total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        own = self.attributes("total", "read", "written", "kernels", "by_kind", "by_component", "intensity")
        return {**own, "closed_form": str(self.form), "evidence": self.evidence}


def _identity(access: Access) -> tuple[int, Fraction, int]:
    """Return what determines the size of an access."""
    return id(access.factors), access.bits, access.work.entry.applied


def traffic(
    architecture: Architecture,
    workload: Workload,
    weights: WeightFormats,
    *,
    kernels: str = FUSED,
    dtype: str = "bf16",
    cache: Format | None = None,
) -> Traffic:
    """Count the bytes that a step reads and writes.

    ``dtype`` is the format of activations, and of states without a fixed format.
    """
    conventions = Conventions(workload.phase, "dense", None, workload.logits)
    formats = Formats(WeightBits(architecture, weights), Fraction(BYTES[dtype] * BITS_A_BYTE), dtype, cache)
    found = _accesses(works(architecture, conventions), formats, kernels == FUSED, workload.mode == "train")
    return Traffic(architecture, workload, kernels, tuple(found))


def _accesses(counted: Iterable[Work], formats: Formats, fused: bool, training: bool) -> Iterator[Access]:
    known: dict[tuple[object, ...], list[tuple[Access, int]]] = {}  # the same for equal layers
    for _, group in groupby(counted, key=lambda work: id(work.place)):
        chosen = list(group)
        place = chosen[0].place
        key = id(place.declaration), id(place.symbols), place.is_done, formats.weights.all_of(place)
        if key not in known:
            numbers = {id(work): number for number, work in enumerate(chosen)}
            found = LayerKernels(place, chosen, formats, fused, training).accesses()
            known[key] = [(access, numbers[id(access.work)]) for access in found]
        yield from (access._replace(work=chosen[number]) for access, number in known[key])
