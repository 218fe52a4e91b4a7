"""Calibration of the times of serving by a user's own measurements."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from ..core.architecture import Architecture
from ..core.description.fingerprint import fingerprint
from ..core.errors import InputError, UnknownNameError, short_repr
from ..core.record import NamedTuple
from ..core.setting import Setting, read_length
from ..inputs.models import read_model
from ..inputs.table_files import file_rows
from .calibration import CalibratedRow, Calibration, MeasuredDeployment
from .factors import MeasuredTime, fit_factors
from .result import ServingResult
from .step.step_models import engine_step

MOST_ROWS, MOST_BYTES = 5_000, 5_000_000
TEXTS = ("model", "gpu", "weights", "experts", "attention_weights", "cache", "engine")
COUNTS = ("isl", "osl", "tp", "dp", "ep", "max_num_batched_tokens")
NUMBERS = ("concurrency", "requests_per_s")
UNITS = {"s": 1.0, "ms": 1e-3}
TIMES = {f"{name}_{unit}": (name, scale) for name in ("tpot", "ttft", "latency") for unit, scale in UNITS.items()}
COLUMNS = (*TEXTS, *COUNTS, *NUMBERS, *TIMES)
NEEDED = ("model", "gpu", "isl", "osl", "concurrency")
UNBALANCED = 1.25  # ratio of two sides of Little's law
CONFLICTING = 1.2  # ratio of two measurements of one configuration
IMPLAUSIBLE = 10  # ratio of a measurement and its estimate
MOST_WARNINGS = 20
Rows = str | os.PathLike[str] | Iterable[Mapping[str, Any]]
Numbered = tuple[str, str, object]  # place of a row, the same with its file, and the row
Estimate = Callable[[Architecture, str, Mapping[str, Any]], ServingResult]
Deployed = tuple[str, str, str, str, str | None]  # model, its fingerprint, GPU, engine and weights


class Measurement(NamedTuple):
    """A row: its place, the settings of ``serve``, and what was measured, in seconds and requests per second."""

    place: str
    where: str  # with the file
    settings: dict[str, Any]
    measured: dict[str, float]


def new_calibration(**parts: Any) -> Calibration:
    """Return a calibration of this version and day."""
    from datetime import date

    from ..version import __version__

    return Calibration(**{"deployments": (), "warnings": (), **parts}, version=__version__, date=f"{date.today()}")


def fit_calibration(rows: Iterable[Numbered], estimate: Estimate, file: str) -> Calibration:
    """Return the factors of each measured deployment, as ``calibrate`` describes.

    ``estimate`` returns the times of a model on GPUs with settings of ``serve``.
    """
    found = list(_read(rows, file))
    left_out: dict[str, str] = {}
    seen: dict[tuple[Any, ...], Measurement] = {}
    warnings: list[str] = []
    read, hashed, estimates = cache(read_model), cache(fingerprint), dict[tuple[Any, ...], ServingResult]()
    deployments: dict[Deployed, list[tuple[str, MeasuredTime, float]]] = {}
    for each in found:
        key = tuple(sorted(each.settings.items()))
        if key not in estimates:
            estimates[key] = _estimate(each, read, estimate)
        result, tpot = estimates[key], each.measured["tpot"]
        reason = _fault(each, result)
        if not reason and key in seen:
            other = seen[key].measured["tpot"]
            ratio = max(tpot, other) / min(tpot, other)
            reason = f"repeats {seen[key].place}" if seen[key].measured == each.measured else ""
            if ratio > CONFLICTING:
                warnings.append(
                    f"{seen[key].place} and {each.place} have the same configuration, and times per output token of "
                    f"{other * 1e3:.3g} and {tpot * 1e3:.3g} ms"
                )
        if reason:
            left_out[each.place] = reason
            continue
        seen.setdefault(key, each)
        time, step = result.time, result.time.step
        usual = engine_step(result.engine).step_s
        parts = MeasuredTime(
            float(step.seconds - step.engine), float(step.engine - usual), float(time.tpot_s - step.seconds), tpot
        )
        model = hashed(read(each.settings["model"]))
        own = (result.model, model, result.accelerator.name, result.engine, each.settings.get("weights"))
        deployments.setdefault(own, []).append((each.place, parts, float(time.tpot_s)))
    if not deployments:
        place, reason = next(iter(left_out.items()))
        raise InputError(f"none of {len(found):,} rows can be used; {place}: {reason}", where=file)
    if len(warnings) > MOST_WARNINGS:
        more = len(warnings) - MOST_WARNINGS
        warnings[MOST_WARNINGS:] = [f"{more:,} further pairs of rows have the same configuration"]
    fitted = tuple(_fit(own, measured) for own, measured in deployments.items())
    return new_calibration(deployments=fitted, left_out=left_out, warnings=tuple(warnings))


def _fit(own: Deployed, measured: list[tuple[str, MeasuredTime, float]]) -> MeasuredDeployment:
    model, own_hash, gpu, engine, weights = own
    factors = fit_factors([parts for _, parts, _ in measured], engine_step(engine).step_s)
    rows = (CalibratedRow(place, parts.measured, before, parts.seconds(factors)) for place, parts, before in measured)
    return MeasuredDeployment(model, gpu, engine, weights, factors, len(measured), tuple(rows), own_hash)


def _estimate(each: Measurement, read: Callable[[str], Architecture], estimate: Estimate) -> ServingResult:
    settings = dict(each.settings)
    try:
        return estimate(read(settings.pop("model")), settings.pop("gpu"), settings)
    except InputError as error:
        named = f"{error.parameter}: " if error.parameter else ""
        raise InputError(f"{named}{error.message}", where=each.where, hint=error.hint) from None


def _fault(each: Measurement, result: ServingResult) -> str:
    """Return why a measurement cannot be used, or an empty text."""
    tpot, estimated = each.measured["tpot"], float(result.time.tpot_s)
    if not result.fits:
        return f"does not fit: {result.summary}"
    if result.load.osl == 1:
        return "a single output token has no time per output token"
    if not 1 / IMPLAUSIBLE <= tpot / estimated <= IMPLAUSIBLE:
        return f"{tpot * 1e3:.3g} ms per output token, where {estimated * 1e3:.3g} ms are estimated: check the unit"
    rate, latency, ttft = (each.measured.get(name) for name in ("requests_per_s", "latency", "ttft"))
    if latency is None and ttft is not None:
        latency = ttft + (result.load.osl - 1) * tpot
    if rate is None or latency is None:
        return ""
    running, given = rate * latency, float(result.load.concurrency)
    if 1 / UNBALANCED <= running / given <= UNBALANCED:
        return ""
    return (
        f"Little's law: {rate:.3g} requests per second of {latency:.3g} s are {running:.3g} requests at any time, not "
        f"{given:g}"
    )


# ------------------------------------------------------------------ rows


def file_name(rows: object) -> str:
    """Return the name of a file of rows, or an empty text."""
    return str(os.fspath(rows)) if isinstance(rows, str | os.PathLike) else ""


def _read(rows: Iterable[Numbered], file: str) -> Iterator[Measurement]:
    """Yield the measurements of numbered rows."""
    for place, where, row in rows:
        if not isinstance(row, Mapping):
            raise InputError(f"a row must be a mapping, not {short_repr(row)}", parameter="rows")
        yield Measurement(place, where, *_measured(where, row))


def numbered_rows(rows: object) -> Iterator[Numbered]:
    """Yield rows with their places, which errors in a file state with its name. An endless iterator is refused."""
    for count, numbered in enumerate(_numbered(rows), 1):
        if count > MOST_ROWS:
            raise InputError(f"more than {MOST_ROWS:,} rows", where=file_name(rows), hint="use fewer of them")
        yield numbered


def _numbered(rows: object) -> Iterator[Numbered]:
    if isinstance(rows, str | os.PathLike):
        path = str(os.fspath(rows))
        yield from ((f"line {line}", f"{path}:{line}", row) for line, row in file_rows(path, MOST_BYTES))
    elif isinstance(rows, Iterable) and not isinstance(rows, Mapping | bytes):
        yield from ((f"row {place}", f"row {place}", row) for place, row in enumerate(rows, 1))
    else:
        raise InputError(f"must be a file name or a list of mappings, not {short_repr(rows)}", parameter="rows")


def _measured(where: str, row: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the settings and the measured values of a row."""
    settings: dict[str, Any] = {}
    measured: dict[str, float] = {}
    for head, value in row.items():
        name = str(head).strip().lower().replace("-", "_").replace(" ", "_")
        if name not in COLUMNS:
            raise UnknownNameError("column", head, COLUMNS, where=where, hint=f"the columns are {', '.join(COLUMNS)}")
        if value is None or (isinstance(value, str) and not value.strip()) or value != value:
            continue
        if name in TEXTS:
            if not isinstance(value, str):
                raise InputError(f"{name} must be text, not {short_repr(value)}", where=where)
            settings[name] = value.strip()
        elif name in TIMES:
            kind, scale = TIMES[name]
            if kind in measured:
                raise InputError(f"{kind} is given twice, in s and in ms", where=where)
            measured[kind] = read_number(where, name, value) * scale
        elif name in NUMBERS:
            (settings if name == "concurrency" else measured)[name] = read_number(where, name, value)
        else:
            settings[name] = read_count(where, name, value)
    for name in NEEDED:
        if name not in settings:
            raise InputError(f"no {name}", where=where, hint=f"add {', '.join(NEEDED)} and tpot_s or tpot_ms")
    if "tpot" not in measured:
        raise InputError("no time per output token", where=where, hint="add a column tpot_s or tpot_ms")
    if "engine" in settings:
        settings["engine"] = engine_step(settings["engine"]).name
    return settings, measured


def read_number(where: str, name: str, value: Any) -> float:
    """Return a positive number."""
    try:
        found = float(value) if not isinstance(value, bool) else -1.0
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} must be a number, not {short_repr(value)}", where=where) from None
    if not 0 < found < 1e12:
        raise InputError(f"{name} must be a number above 0, not {short_repr(value)}", where=where)
    return found


def read_count(where: str, name: str, value: Any) -> int:
    """Return a whole number of at least 1, which a table may write as a float, such as 1024.0, or as 1k."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        found = read_length(value, name)
        Setting(name, int, least=1).check(found)
    except InputError as error:
        raise InputError(f"{name}: {error.message}", where=where, hint=error.hint) from None
    return int(found)
