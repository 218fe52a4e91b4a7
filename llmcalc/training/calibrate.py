"""Calibration of the times of training steps by a user's own measurements: rows, and logs of training programs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from math import exp, log, sqrt
from statistics import median
from typing import Any

from ..core.description.fingerprint import fingerprint
from ..core.errors import InputError, UnknownNameError
from ..core.record import NamedTuple
from ..core.setting import TEXTS
from ..inputs.gpus import read_gpus
from ..inputs.training_settings import TIMED_STEP
from ..schema.preset_files import read_text
from ..serving.calibrate import (
    IMPLAUSIBLE,
    Numbered,
    file_name,
    new_calibration,
    numbered_rows,
    read_count,
    read_number,
)
from ..serving.calibration import CalibratedSteps, Calibration
from .logs import MOST_BYTES, is_log, read_log
from .timed_step import read_step, timed_step

MEASURED = ("seconds", "log")  # columns of which a row has one
KNOWN = {"model": None, **{each.name: each for each in TIMED_STEP}, **dict.fromkeys(MEASURED)}
SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
TABLES, LOGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json"), (".log", ".out", ".txt")  # ends of names of files


class _Steps(NamedTuple):
    """The times of the steps of a row, the modelled time, and what was measured."""

    key: tuple[str, str, str, str, str]  # model, its fingerprint, GPU, number format and program
    place: str
    seconds: list[float]
    modelled: float


def numbered(rows: object) -> list[Numbered]:
    """Return rows with their places. A log is one row."""
    path = os.fspath(rows) if isinstance(rows, str | os.PathLike) else None
    if isinstance(path, str) and _has_log(path):
        return [(path, path, {"log": path})]
    found = [*numbered_rows(rows)]
    if not found:
        raise InputError("has no rows", where=file_name(rows), parameter="" if file_name(rows) else "rows")
    return found


def _has_log(path: str) -> bool:
    name = path.lower()
    return name.endswith(LOGS) or (not name.endswith(TABLES) and is_log(read_text(path, MOST_BYTES)))


def is_training(row: object) -> bool:
    """Return whether a row has the time of a training step."""
    return isinstance(row, Mapping) and any(str(head).strip().lower() in MEASURED for head in row)


def fit_steps(rows: Iterable[Numbered], step: Mapping[str, Any], name: str) -> Calibration:
    """Return the factors of measured training steps, as ``calibrate`` describes."""
    if not isinstance(step, Mapping):
        raise InputError("step must be a mapping", hint='use arguments of step_time, such as {"gpu": "h100:8"}')
    for each in step:
        if each not in KNOWN or each in MEASURED:
            raise UnknownNameError("argument of step_time", each, [own for own in KNOWN if own not in MEASURED])
    left_out: dict[str, str] = {}
    found: dict[tuple[str, str, str, str, str], list[_Steps]] = {}
    for place, where, row in rows:
        if not isinstance(row, Mapping):
            raise InputError("a row must be a mapping", where=where)
        steps = _steps(place, where, {**step, **dict(_given(where, row))})
        ratio = median(steps.seconds) / steps.modelled
        if not 1 / IMPLAUSIBLE <= ratio <= IMPLAUSIBLE:
            measured = f"{median(steps.seconds):.3g} s a step, where {steps.modelled:.3g} s are modelled"
            left_out[place] = f"{measured}: check the unit and the tokens of a step"
        else:
            found.setdefault(steps.key, []).append(steps)
    if not found:
        place, reason = next(iter(left_out.items()))
        raise InputError(f"none of {len(left_out):,} rows can be used; {place}: {reason}", where=name)
    return new_calibration(steps=tuple(map(_fit, found.values())), left_out=left_out)


def _fit(rows: list[_Steps]) -> CalibratedSteps:
    """Return the factor of rows, which is the geometric mean of their medians, and the deviation of all steps."""
    middle = sum(log(median(each.seconds) / each.modelled) for each in rows) / len(rows)
    squares = (
        sum((log(one / each.modelled) - middle) ** 2 for one in each.seconds) / len(each.seconds) for each in rows
    )
    count = sum(len(each.seconds) for each in rows)
    return CalibratedSteps(*rows[0].key, exp(middle), sqrt(sum(squares) / len(rows)), count, len(rows))


def _steps(place: str, where: str, given: dict[str, Any]) -> _Steps:
    """Return the measured and the modelled times of a row."""
    path, seconds = given.pop("log", None), given.pop("seconds", None)
    if (path is None) == (seconds is None):
        raise InputError("needs the seconds of a step or a log", where=where, hint=f"add {' or '.join(MEASURED)}")
    read = read_log(path) if path is not None else None
    given = {**({**read.settings, "stack": read.program} if read else {}), **given}
    for name, example in (("model", "llama3-8b"), ("gpu", "h100:8")):
        if not given.get(name):
            raise InputError(f"no {name}", where=where, hint=f"add {{{name}={example}}}, or a column {name}")
    try:
        gpus = read_gpus(given["gpu"])
        if read and read.gpus and gpus.count not in (None, read.gpus):
            raise InputError(f"the log is of {read.gpus} GPUs, not {gpus.count}", parameter="gpu")
        if read and read.gpus and gpus.count is None:
            given["gpu"] = f"{given['gpu']}:{read.gpus}"
        run, timed = read_step(given)[0], timed_step(given)
    except InputError as error:
        named = f"{error.parameter}: " if error.parameter else ""
        raise InputError(f"{named}{error.message}", where=where, hint=error.hint) from None
    assert run.machine is not None
    key = run.calibration_key
    times = read.seconds(timed.tokens, timed.gpus) if read else [seconds]
    return _Steps((run.architecture.name, fingerprint(run.architecture), *key), place, times, timed.seconds)


def _given(where: str, row: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the arguments and measured values of a row, with the texts of a table as numbers."""
    for head, value in row.items():
        name = str(head).strip().lower().replace("-", "_").replace(" ", "_")
        if name not in KNOWN:
            raise UnknownNameError("column", head, KNOWN, where=where, hint=f"the columns are {', '.join(KNOWN)}")
        if value is None or (isinstance(value, str) and not value.strip()) or value != value:
            continue
        kind = getattr(KNOWN[name], "kind", str)
        text = value.strip() if isinstance(value, str) else value
        if name == "seconds" or kind is float:
            yield name, read_number(where, name, value)
        elif kind is int:
            yield name, read_count(where, name, value)
        elif kind is bool and isinstance(text, str):
            if text.lower() not in SWITCHES:
                raise InputError(f"{name} must be true or false, not {text[:40]!r}", where=where)
            yield name, SWITCHES[text.lower()]
        elif kind == TEXTS and isinstance(text, str):
            yield name, text.split()
        else:
            yield name, text
