"""FLOPs of a step, counting 2 FLOPs per multiply-accumulate. Matmul FLOPs are exact integers."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cached_property

from ..core.amount import group_by
from ..core.architecture import Architecture, declare
from ..core.form import Form, lift
from ..core.record import NamedTuple, changed, record
from ..core.type_names import Any, ClassVar
from ..core.workload import Workload
from .step_result import StepResult
from .walk import Conventions
from .work import Work, works


class Count(NamedTuple):
    """FLOPs of a set of equations, split into forward contractions, backward contractions and other operations."""

    forward: int
    backward: int
    other: int

    @property
    def matmul(self) -> int:
        """FLOPs of contractions and convolutions in both passes."""
        return self.forward + self.backward

    @property
    def total(self) -> int:
        """Sum of matmul and other FLOPs."""
        return self.matmul + self.other


class Layers(NamedTuple):
    """FLOPs of ``layers`` identical blocks, or of the layers outside the blocks if ``layers`` is 0."""

    stack: str
    name: str
    layers: int
    count: Count  # type: ignore[assignment]  # hides tuple.count


@record
class Flops(StepResult):
    """Floating-point operations of one step, in total and by component or layer."""

    works: tuple[Work, ...]

    HEADLINE: ClassVar[str] = "{0.total:,} total, {0.workload.mode}"

    EVIDENCE: ClassVar[dict[str, str]] = {
        "total": "assumed", **dict.fromkeys(("matmul", "forward", "backward"), "executed"), "other": "assumed",
    }  # fmt: skip

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value. NumPy models do not follow transformers' eager code."""
        found = super().evidence
        is_ours = not self.workload.convention
        return found if is_ours else {name: each.replace("executed", "exact") for name, each in found.items()}

    @cached_property
    def matmul_form(self) -> Form:
        """Closed form of the forward FLOPs of contractions and convolutions."""
        return self._sum(self.works, matmul=True)

    @cached_property
    def other_form(self) -> Form:
        """Closed form of the modelled forward FLOPs of elementwise operations, scans and transforms."""
        return self._sum(self.works, matmul=False)

    @cached_property
    def backward_form(self) -> Form:
        """Closed form of the backward FLOPs of contractions, or 0 if the mode is not ``train``."""
        return self._sum(self.works, matmul=True, backward=True)

    @cached_property
    def form(self) -> Form:
        """Closed form of the total FLOPs of the step, including the backward pass in training."""
        backward_other = self._sum(self.works, matmul=False, backward=True)
        return self.matmul_form + self.backward_form + self.other_form + backward_other

    def _sum(self, chosen: Iterable[Work], *, matmul: bool, backward: bool = False) -> Form:
        """Return the closed form of forward or backward FLOPs. The backward form is 0 unless the mode is ``train``."""
        if backward and self.workload.mode != "train":
            return lift(0)
        found = [work for work in chosen if work.matmul is matmul]
        sizes = [work.flops * (work.entry.applied * (work.backward_passes if backward else 1)) for work in found]
        return sum(sizes, lift(0))

    @cached_property
    def count(self) -> Count:
        """FLOPs of all equations."""
        return self.of(self.works)

    def of(self, chosen: Iterable[Work]) -> Count:
        """Return the FLOPs of a subset of the equations."""
        forward = backward = other = 0
        for work in chosen:
            size = work.entry.applied * work.flops(**self.values)
            again = size * work.backward_passes if self.workload.mode == "train" else 0
            if work.matmul:
                forward, backward = forward + size, backward + again
            else:
                other += size + again
        return Count(int(forward), int(backward), int(other))

    @property
    def forward(self) -> int:
        """FLOPs of contractions in the forward pass."""
        return self.count.forward

    @property
    def backward(self) -> int:
        """FLOPs of contractions in the backward pass, usually twice the forward FLOPs."""
        return self.count.backward

    @property
    def matmul(self) -> int:
        """FLOPs of contractions and convolutions."""
        return self.count.matmul

    @property
    def other(self) -> int:
        """Modelled FLOPs of elementwise operations, scans and transforms in both passes."""
        return self.count.other

    @property
    def total(self) -> int:
        """Total FLOPs."""
        return self.count.total

    @property
    def tokens(self) -> int:
        """Total number of encoder and decoder input tokens."""
        return int(self.values["b"]) * int(self.values["q"] + self.values["n"])

    @cached_property
    def even_matmul(self) -> int:
        """Expected matmul FLOPs with uniform routing. The value is less than ``matmul`` if there are null experts."""
        groups = group_by(self.works, _null_experts).items()
        saved = sum(Fraction(self.of(group).matmul * idle, scored) for (idle, scored), group in groups)
        return self.matmul - round(saved)

    @cached_property
    def by_component(self) -> dict[str, Count]:
        """FLOPs by component, such as ``attention``, ``attention core`` (scores and weighted sum) and ``mlp``."""
        found = {name: self.of(group) for name, group in group_by(self.works, component).items()}
        return {name: count for name, count in found.items() if count.total}

    @cached_property
    def matmul_forms(self) -> dict[str, Form]:
        """Closed form of the forward FLOPs of contractions and convolutions, by component."""
        found = {name: self._sum(group, matmul=True) for name, group in group_by(self.works, component).items()}
        return {name: form for name, form in found.items() if form.terms}

    @cached_property
    def by_layer(self) -> list[Layers]:
        """FLOPs by block type, including the layers before and after the blocks."""
        found: dict[tuple[str, str, Count], tuple[list[int], list[Count]]] = {}
        for group in group_by(self.works, lambda work: (id(work.entry.stack), *work.entry[1:3])).values():
            place, section, run = group[0].entry[:3]
            layers = 0 if run is None else group[0].entry.applied
            count = self.of(group)
            each = Count(*(part // max(layers, 1) for part in count))
            numbers, counts = found.setdefault((place.name, section, each), ([], []))
            numbers.append(layers)
            counts.append(count)
        return [
            Layers(stack, name, sum(numbers), Count(*map(sum, zip(*counts, strict=True))))
            for (stack, name, _), (numbers, counts) in found.items()
        ]

    def counting(self, pairs: str, convention: str | None = None) -> Flops:
        """Return the same step with other query-key pairs counted (``causal`` or ``dense``), or as eager code does."""
        return _flops_of(self.architecture, changed(self.workload, attention=pairs, convention=convention))

    def of_model(self, architecture: Architecture) -> Flops:
        """Return the same step of another model."""
        return _flops_of(architecture, self.workload)

    def recomputed(self, recompute: str) -> int:
        """Return the matmul FLOPs that the backward pass computes again, for a value of the setting ``recompute``."""
        from .recomputed_work import RecomputedWork  # needed only here

        shares = RecomputedWork(self.works, recompute).shares
        again = [(shares[id(work)], work) for work in self.works if work.matmul and shares.get(id(work))]
        return int(sum(share * int((work.flops * work.entry.applied)(**self.values)) for share, work in again))

    def with_adapters(self, rank: int, targets: Iterable[str]) -> int:
        """Return the matmul FLOPs of a step with low-rank adapters: in training, no gradients of the frozen weights.

        >>> import llmcalc
        >>> step = llmcalc.flops("llama3-8b", seq=1024, mode="train")
        >>> round(step.with_adapters(16, ["wq", "wk", "wv", "wo"]) / step.matmul, 3)
        0.674

        A target is applied to as many tokens as its adapter, which has one product forward and two backward for each
        of its two matrices. The gradients of the inputs of the first block are counted, as in PEFT with recomputation.

        Args:
            rank: rank of the adapters.
            targets: names of the matrices with an adapter.
        """
        is_training, names = self.workload.mode == "train", set(targets)
        frozen = (work.flops * (work.entry.applied * work.weight_passes) for work in self.works if is_training)
        saved = sum(frozen, lift(0))
        ratios = ((work, work.adapter_ratio(rank, names)) for work in self.works)
        added = sum(ratio * work.entry.applied * int(work.flops(**self.values)) for work, ratio in ratios if ratio)
        return self.matmul - int(saved(**self.values)) + int(added) * (3 if is_training else 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        return {
            **self.attributes("total", "matmul", "other", "forward", "backward", "even_matmul", "tokens"),
            "closed_form": str(self.matmul_form),
            "evidence": self.evidence,
            "by_component": {name: _plain(count) for name, count in self.by_component.items()},
            "by_layer": [
                {"stack": entry.stack, "block": entry.name, "layers": entry.layers, **_plain(entry.count)}
                for entry in self.by_layer
            ],
        }


def flops(architecture: Architecture, **workload: Any) -> Flops:
    """Count the FLOPs of a workload. Keyword arguments are the fields of ``Workload``.

    >>> import llmcalc
    >>> print(llmcalc.flops(llmcalc.load("gpt3"), attention="dense").matmul_form)
    349,127,467,008·b·q + 4,718,592·b·q·k
    """
    return _flops_of(architecture, Workload(**workload))


def _flops_of(architecture: Architecture, chosen: Workload) -> Flops:
    attention = "dense" if chosen.convention == "torch" else chosen.attention
    conventions = Conventions(chosen.phase, attention, chosen.convention, chosen.logits)
    return Flops(architecture, chosen, works(architecture, conventions))


def component(work: Work) -> str:
    """Return the component name of an equation, as used in ``by_component``."""
    own = work.place.declaration.components.get(work.equation.text)
    return own or work.entry.layer.equation_component(work.equation, work.part)


def _null_experts(work: Work) -> tuple[int, int]:
    """Return the numbers of null and scored experts, or (0, 1) if null experts do not affect the equation."""
    declaration = declare(work.entry.layer)
    routed = {tensor.name for tensor in declaration.tensors if tensor.active} if declaration.idle_experts else set()
    if work.part or routed.isdisjoint(operand.name for operand in work.equation.operands):
        return 0, 1
    n_experts, _ = declaration.routed_experts or (1, 1)
    return declaration.idle_experts, declaration.idle_experts + n_experts


def _plain(count: Count) -> dict[str, int]:
    return {**count._asdict(), "matmul": count.matmul, "total": count.total}
