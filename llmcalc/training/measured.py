"""What follows from a measured time of a run: the utilisation by each convention, and where a step lost time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..calc.flop_conventions import CONVENTIONS, conventional_flops
from ..calc.memory.recomputation import UNKNOWN
from ..calc.pipeline_stages import pipeline_stages
from ..core.errors import InputError, UnsupportedError, spelled
from ..core.interval import Interval
from ..core.record import NamedTuple, changed, record
from ..estimate.amounts import SECONDS_AN_HOUR, amount, time
from ..estimate.cost import AS_GIVEN, MEASURED, Machine, Span
from ..inputs.training_settings import MEASURED_TIME
from .schedule import BACKWARD_PASS, FORWARD_PASS
from .training_time import GIVEN

if TYPE_CHECKING:
    from .result import Training

STEP_TIME, TOKENS_PER_S, HOURS = (each.name for each in MEASURED_TIME)
MATMUL, SIX_ND, EAGER = "matmul", "6nd", "torch"  # conventions of llmcalc beside the published ones
AT_PEAK, KERNELS, UNEXPLAINED = "at peak", "kernels below peak", "not explained"  # seconds of a step
SLOWER, FASTER, AS_MODELLED = "slower", "faster", "as modelled"  # than the interval of the modelled step


class Utilisation(NamedTuple):
    """Model and hardware FLOPs utilisation by one convention. It defines either or both."""

    mfu: float | None
    hfu: float | None


@record
class MeasuredTime:
    """A measured time of a run, and what follows from it.

    Attributes:
        setting: what was measured, which is the name of the argument of ``train``.
        hours: accelerator-hours of the run.
        tokens_per_s: tokens per second of all accelerators.
        step_tokens: tokens of a step, or None if they are not known.
        uses: utilisation by convention. The first is that of the run.
        lost: seconds of a step by where they went, which add up to the measured time. Empty without a modelled step.
        modelled: modelled seconds of a step of as many tokens, or None.
    """

    setting: str
    hours: float
    tokens_per_s: float
    step_tokens: int | None
    uses: Mapping[str, Utilisation]
    lost: Mapping[str, float] = {}
    modelled: Interval | None = None

    @property
    def seconds(self) -> float | None:
        """Measured time of a step."""
        return self.step_tokens / self.tokens_per_s if self.step_tokens else None

    @property
    def unexplained(self) -> Interval | None:
        """Measured minus modelled seconds, with the interval of the model, or None without a modelled step."""
        return Interval.exact(self.seconds) - self.modelled if self.modelled and self.seconds else None

    @property
    def use(self) -> Utilisation:
        """Utilisation by the convention of the run."""
        return next(iter(self.uses.values()))

    @property
    def verdict(self) -> str:
        """Whether the step is slower or faster than the interval of the model. Empty without a modelled step."""
        if self.unexplained is None:
            return ""
        return SLOWER if self.unexplained.low > 0 else FASTER if self.unexplained.high < 0 else AS_MODELLED

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        return {
            "setting": self.setting, "hours": self.hours, "tokens_per_s": self.tokens_per_s, "seconds": self.seconds,
            "utilisation": {name: use._asdict() for name, use in self.uses.items()}, "lost": dict(self.lost),
            "modelled": self.modelled.to_dict() if self.modelled else None,
            "unexplained": self.unexplained.to_dict() if self.unexplained else None, "verdict": self.verdict,
        }  # fmt: skip


def read_measured(given: Mapping[str, Any], machine: Machine | None) -> tuple[str, float] | None:
    """Return the name and the value of the measured time, or None if there is none."""
    found = {each.name: given[each.name] for each in MEASURED_TIME if given[each.name] is not None}
    named = [*found, *(["mfu"] if machine and machine.mfu_source == AS_GIVEN else [])]
    if len(named) > 1:
        hint = "set one of {step_time}, {tokens_per_s}, {hours} and {mfu}"
        raise InputError(spelled(f"{{{named[0]}}} and {{{named[1]}}} cannot be combined"), hint=hint)
    for name, value in found.items():
        return name, time(value, name) if name == STEP_TIME else amount(value, name)
    return None


def measured_run(run: Training, setting: str, value: float, step_tokens: int | None, recompute: str) -> Training:
    """Return a run whose hours are measured, with the utilisation that follows from them.

    Args:
        run: the run, with its modelled step.
        setting: what was measured.
        value: seconds of a step, tokens per second of all accelerators, or accelerator-hours of the run.
        step_tokens: tokens of a step, if they are known.
        recompute: what the backward pass computes again.
    """
    machine = run.machine
    assert machine is not None
    hours = value
    speed = value if setting == TOKENS_PER_S else run.tokens / (value * SECONDS_AN_HOUR) * machine.count
    if setting == STEP_TIME:
        assert step_tokens is not None
        speed = step_tokens / value
    if setting != HOURS:
        hours = run.tokens / speed * machine.count / SECONDS_AN_HOUR
    peak = machine.peak * machine.count * run.step.tokens / speed  # FLOPs that all accelerators could compute
    found = MeasuredTime(setting, hours, speed, step_tokens, utilisations(run, peak, recompute))
    mfu = found.use.mfu or 0.0
    if mfu > 1:
        hint = "check the measured time, {tokens}, {gpu} and the tokens of a step"
        raise InputError(f"would be an MFU of {mfu:.0%}", parameter=setting, hint=hint)
    if setting != HOURS and step_tokens and run.step_time:
        found = _explained(found, run, mfu)
    return changed(run, machine=changed(machine, mfu=Span(mfu, mfu, mfu), mfu_source=MEASURED, mfu_count=None),
                   measured=found)  # fmt: skip


def _explained(found: MeasuredTime, run: Training, mfu: float) -> MeasuredTime:
    """Return the measured time with where it went."""
    timed, seconds = run.step_time, found.seconds or 0.0
    assert timed is not None
    as_many = (found.step_tokens or 0) / timed.tokens  # the modelled step has whole micro-batches
    parts, modelled = {name: as_many * part for name, part in timed.parts.items()}, timed.interval.scaled(as_many)
    at_peak = mfu * seconds
    kernels = sum(parts.pop(name, 0.0) for name in (FORWARD_PASS, BACKWARD_PASS)) - at_peak
    lost = {AT_PEAK: at_peak, KERNELS: kernels, **parts, UNEXPLAINED: seconds - modelled.best}
    return changed(found, lost=lost, modelled=modelled)


def utilisations(run: Training, peak: float, recompute: str) -> dict[str, Utilisation]:
    """Return the utilisation by convention. The first is that of the run: matrix products of what it trains.

    What the backward pass computes again is the same share of the FLOPs in every convention that does not count it.

    Args:
        run: the run.
        peak: FLOPs that all accelerators could compute in its time.
        recompute: what the backward pass computes again.
    """
    step, timed = run.step, run.step_time
    stages = timed.step.layout.mesh.pp if timed and timed.origin == GIVEN else 1
    parts = pipeline_stages(run.architecture, stages, uneven=True) if stages > 1 else [run.architecture]
    again = sum(step.of_model(part).recomputed(recompute) for part in parts)
    more = 1 + again / run.compute

    def use(flops: float, *, is_hardware: bool = False) -> Utilisation:
        hardware = flops if is_hardware else flops * more
        return Utilisation(None if is_hardware else flops / peak, None if recompute == UNKNOWN else hardware / peak)

    counted = step.workload.attention
    found = {f"{MATMUL} {counted}": use(run.compute)}
    if run.adapters:  # conventions count the gradients of all weights
        return found
    pairs = "dense" if counted == "causal" else "causal"
    found[f"{MATMUL} {pairs}"] = use(step.counting(pairs).matmul)
    with suppress(InputError, UnsupportedError):  # eager code of the model is not known
        found[EAGER] = use(step.counting(counted, convention="torch").matmul)
    found[SIX_ND] = use((run.six_nd if run.half_six_nd is None else run.half_six_nd) / run.tokens * step.tokens)
    published = conventional_flops(step).items()
    return found | {name: use(flops, is_hardware=CONVENTIONS[name].is_hardware) for name, flops in published}
