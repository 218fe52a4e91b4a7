"""Logs of training programs: the times of their steps, and what they state about the layout.

Megatron-LM prints its arguments, and `` iteration 20/ 500 | … | elapsed time per iteration (ms): 12345.6 | … | global
batch size: 128 | …`` (``training/training.py``, commit d98e8a6). torchtitan prints ``step: 20  loss: …  tps: 7,000  …``
(``components/metrics.py``, commit b5bcd76), whose tps are tokens per second of each GPU since the last such line.
"""

from __future__ import annotations

import re
from collections import Counter
from statistics import median
from typing import Any

from ..core.errors import InputError
from ..core.record import NamedTuple
from ..importers.training_files import ParsedFile, read_values
from ..importers.training_programs import programs
from ..schema.preset_files import read_text

MOST_BYTES, LONGEST_LINE = 20_000_000, 4000
WARM_UP, MOST_WARM_UP = 5, 10  # the first fifth of the lines is left out, and at most ten
MEGATRON, TORCHTITAN = "megatron-core", "torchtitan"  # programs
_ITERATION = re.compile(r"\biteration\s+\d+/\s*\d+ \|")
_ELAPSED = re.compile(r"elapsed time per iteration \(ms\): (\d+(?:\.\d+)?)")
_BATCH = re.compile(r"global batch size:\s*(\d{1,9})\b")
_STEP = re.compile(r"(?<!validate )\bstep:\s*\d+\s")
_TOKENS = re.compile(r"\btps: ([\d,]{1,20})(?:\s|$)")
_ARGUMENT = re.compile(r"\s*(?:\S+:)?\s*(\w+) \.{2,} (.{0,200})")
_COLOR = re.compile(r"\x1b\[[\d;]*m")
# names of values of training files that are arguments of ``step_time`` under another name
NAMES = {"batch": "micro_batch", "global_batch": "batch"}
STATED = ("seq", "tp", "pp", "cp", "ep", "etp", "sp", "zero", "virtual_stages", "recompute", *NAMES)


class TrainingLog(NamedTuple):
    """What the log of a training program states.

    Attributes:
        program: name of the program, as for ``stack``.
        values: times of a step in seconds (Megatron-LM), or tokens per second of each GPU (torchtitan), after warm-up.
        settings: arguments of ``step_time`` that it states.
        gpus: number of GPUs, or None.
    """

    program: str
    values: tuple[float, ...]
    settings: dict[str, Any]
    gpus: int | None

    def seconds(self, tokens: int, gpus: int) -> list[float]:
        """Return the times of a step of some tokens on all GPUs."""
        return [*self.values] if self.program == MEGATRON else [tokens / gpus / value for value in self.values]

    @property
    def middle(self) -> float:
        """Median of the values."""
        return median(self.values)


def is_log(text: str) -> bool:
    """Return whether a text has a line with the time of a training step."""
    return any(_value(line) for line in text.splitlines())


def _value(line: str) -> tuple[str, float, int | None] | None:
    """Return the program, the value and the sequences of a step that a line states, or None."""
    line = _COLOR.sub("", line[:LONGEST_LINE])
    if _ITERATION.search(line) and (elapsed := _ELAPSED.search(line)):
        batch = _BATCH.search(line)
        return MEGATRON, float(elapsed[1]) / 1e3, int(batch[1]) if batch else None
    if _STEP.search(line) and (tokens := _TOKENS.search(line)):
        return TORCHTITAN, float(tokens[1].replace(",", "") or 0), None
    return None


def read_log(path: str) -> TrainingLog:
    """Return what a log states. Steps with another number of sequences than most are left out.

    Raises:
        InputError: no log of a training program, or fewer than two lines with the time of a step.
    """
    lines = read_text(path, MOST_BYTES).splitlines()
    found = [each for each in map(_value, lines) if each and 0 < each[1] < 1e12]
    if not found:
        hint = "use a log of Megatron-LM with 'elapsed time per iteration (ms)', or of torchtitan with 'tps:'"
        raise InputError("has no times of training steps", where=path, hint=hint)
    kinds = Counter((program, batch) for program, _, batch in found)
    usual = kinds.most_common(1)[0][0]
    values = [value for program, value, batch in found if (program, batch) == usual]
    kept = values[min(max(len(values) // WARM_UP, 1), MOST_WARM_UP) :]
    if not kept:
        raise InputError("has a single time of a step, which includes warm-up", where=path, hint="log more steps")
    program, batch = usual
    settings, gpus = _arguments(path, lines) if program == MEGATRON else ({}, None)
    return TrainingLog(program, tuple(kept), {**settings, **({"batch": batch} if batch else {})}, gpus)


def _arguments(path: str, lines: list[str]) -> tuple[dict[str, Any], int | None]:
    """Return the arguments of ``step_time`` and the number of GPUs in the arguments that Megatron-LM prints."""
    matches = (_ARGUMENT.fullmatch(line[:LONGEST_LINE]) for line in lines if " .." in line)
    data = {match[1]: match[2].strip() for match in matches if match}
    known = programs()["megatron"]
    stated = {key: value for key, value in data.items() if known.is_known(key) and value not in ("None", "")}
    if not stated:
        return {}, None
    found = read_values(ParsedFile(path, known, stated, lambda key: f"{path}: {key}" if key else path))
    size = data.get("world_size", "")
    gpus = int(size) if size.isdecimal() and 0 < len(size) < 8 else None
    return {NAMES.get(name, name): found.values[name] for name in STATED if name in found.values}, gpus
