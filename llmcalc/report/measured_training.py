"""The part of the report for ``train`` about a measured time: where it went, and the utilisation by convention."""

from __future__ import annotations

from collections.abc import Iterator

from ..calc.flop_conventions import CONVENTIONS
from ..training.measured import (
    AS_MODELLED,
    AT_PEAK,
    FASTER,
    HOURS,
    SLOWER,
    TOKENS_PER_S,
    UNEXPLAINED,
    MeasuredTime,
)
from ..training.result import Training
from .document import Fact, Table, columns
from .numbers import about, duration, duration_range, percent
from .provenance import three_digits
from .training_step import LEAST_SHARE

FOUND = {
    AS_MODELLED: "inside the model's interval, nothing found", SLOWER: "slower than the model's interval",
    FASTER: "faster than the model's interval", "": "",
}  # fmt: skip


def measured_answer(run: Training, time: str) -> str:
    """Return the first line, such as ``40.1 s measured a step (29.6 s modelled): MFU 32.4 %, HFU 43.2 %; 2.3 days``."""
    found, timed = run.measured, run.step_time
    assert found is not None
    if found.setting == HOURS:
        measured, modelled = f"{three_digits(found.hours)} GPU-hours measured", ""
    elif found.setting == TOKENS_PER_S:
        measured = f"{three_digits(found.tokens_per_s)} tokens/s measured"
        modelled = f" ({three_digits(timed.tokens / timed.seconds)} modelled)" if timed else ""
    else:
        measured = f"{duration(found.seconds or 0)} measured a step"
        modelled = f" ({duration(found.modelled.best)} modelled)" if found.modelled else ""
    return f"{measured}{modelled}: {_use(found)}; {time}"


def _use(found: MeasuredTime) -> str:
    return ", ".join(f"{name.upper()} {percent(share)}" for name, share in found.use._asdict().items() if share)


def measured_facts(run: Training) -> Iterator[Fact]:
    """Yield the measured step beside the modelled one, where it lost time, and its utilisation by convention."""
    found, timed, machine = run.measured, run.step_time, run.machine
    assert found is not None
    assert machine is not None
    if found.setting != HOURS and found.seconds and found.step_tokens:
        yield Fact("step", duration(found.seconds), note=f"measured; {found.step_tokens:,} tokens")
        if timed and found.modelled:
            ends = duration_range(found.modelled.best, found.modelled.low, found.modelled.high)
            yield Fact("modelled", duration(found.modelled.best), note=timed.basis, interval=ends)
    remarks = {AT_PEAK: f": {about(machine.peak, '')} FLOP/s in {machine.number_format}"}
    remarks[UNEXPLAINED] = f": {FOUND[found.verdict]}"
    for name, seconds in found.lost.items():
        share, ends = seconds / sum(found.lost.values()), ""
        if name == UNEXPLAINED and found.unexplained:
            ends = f"{_signed(found.unexplained.low)} to {_signed(found.unexplained.high)}"
        if abs(share) >= LEAST_SHARE or name == UNEXPLAINED:
            yield Fact(name, _signed(seconds), note=f"{100 * share:.0f} %{remarks.get(name, '')}", interval=ends)
    for use in dict.fromkeys(found.uses.values()):
        names, (mfu, hfu) = [name for name, own in found.uses.items() if own == use], use
        label, value = ("HFU", hfu) if mfu is None else ("MFU", mfu)
        other = f"HFU {percent(hfu)}" if mfu is not None and hfu is not None else ""
        if value is not None:
            yield Fact(f"{label} by {'; '.join(names)}", percent(value), note=other)


def _signed(seconds: float) -> str:
    return f"{'-' * (seconds < 0)}{duration(abs(seconds))}"


def measured_tables(run: Training) -> Iterator[Table]:
    """Yield where a measured step lost time, and the utilisation by each convention with its formula."""
    if run.measured is None:
        return
    whole = sum(run.measured.lost.values())
    lost = [(name, _signed(seconds), percent(seconds / whole)) for name, seconds in run.measured.lost.items()]
    yield Table("where the measured step went", columns("part: name", "time: number", "of the step: number"), lost)
    rows = [
        (name, *("" if share is None else percent(share) for share in use),
         CONVENTIONS[name].formula if name in CONVENTIONS else "")
        for name, use in run.measured.uses.items()
    ]  # fmt: skip
    heads = columns("convention: name", "MFU: number", "HFU: number", "formula per token")
    yield Table("measured utilisation by convention", heads, rows)
