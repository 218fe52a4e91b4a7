"""Parsers for amounts such as ``15T`` tokens, ``70B`` parameters, ``3640PF-days``, ``40%`` and ``12.3s``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..core.errors import InputError, short_repr
from ..core.setting import AMOUNT, LARGEST, Setting

SCALES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12, "p": 10**15}
PF_DAY = 864 * 10**17  # 10^15 FLOP/s for a day of 86,400 seconds
SECONDS_AN_HOUR, HOURS_A_DAY = 3600, 24
TIMES = {"": 1.0, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}  # seconds of a unit
LONGEST = 40  # characters
_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)(?:e([+-]?\d{1,3}))?"
_AMOUNT = rf"(?ai){_NUMBER}\s*([kmbgtp]?)"
_PF_DAYS = rf"(?ai){_NUMBER}\s*(?:pf-?days?|pfd|petaflop/?s-?days?)"
_TIME = rf"(?ai){_NUMBER}\s*({'|'.join(TIMES)})"
_PERCENT = r"(?a)(\d{1,3}(?:\.\d+)?)\s*%"


def amount(value: float | str, parameter: str, example: str = "15T") -> float:
    """Parse a positive amount, given as a number or as text with an optional suffix (k, M, B or G, T, P).

    >>> amount("15T", "tokens"), amount("1.4e12", "tokens"), amount("70 B", "parameters"), amount(13e9, "parameters")
    (15000000000000.0, 1400000000000.0, 70000000000.0, 13000000000.0)
    """
    if not isinstance(value, str):
        Setting(parameter, AMOUNT, 0).check(value)
        return _in_range(value, f"{value:g}", parameter)
    match = re.fullmatch(_AMOUNT, value.strip()) if len(value) <= LONGEST else None
    return _value(match, value, parameter, f"use a number such as {example}")


def compute(value: float | str, parameter: str = "compute") -> float:
    """Parse an amount of compute in FLOPs, given as a number or as text in FLOPs or PF-days.

    >>> compute("5.76e23"), compute("3640PF-days")
    (5.76e+23, 3.14496e+23)
    """
    if not isinstance(value, str):
        return amount(value, parameter)
    plain = re.sub(r"\s*flops?$", "", value.strip(), flags=re.IGNORECASE | re.ASCII) if len(value) <= LONGEST else ""
    match = re.fullmatch(_PF_DAYS, plain) or re.fullmatch(_AMOUNT, plain)
    return _value(match, value, parameter, "use a number such as 1e24 (FLOPs) or 3640PF-days")


def time(value: float | str, parameter: str) -> float:
    """Parse a time in seconds, given as a number or as text with an optional unit (us, ms, s, min, h).

    >>> time("12.3s", "step_time"), time("250 ms", "step_time"), time(2, "step_time")
    (12.3, 0.25, 2)
    """
    if not isinstance(value, str):
        return amount(value, parameter)
    match = re.fullmatch(_TIME, value.strip()) if len(value) <= LONGEST else None
    return _value(match, value, parameter, "use a time such as 12.3s")


def share(value: float | str, parameter: str) -> float:
    """Parse a fraction of at most 1, given as a number or as text such as ``40%``.

    >>> share("40%", "mfu"), share("0.4", "mfu")
    (0.4, 0.4)
    """
    found = value
    Setting(parameter, AMOUNT, 0).check(value)
    if isinstance(value, str):
        percent = re.fullmatch(_PERCENT, value.strip()) if len(value) <= LONGEST else None
        found = float(percent[1]) / 100 if percent else amount(value, parameter, "40%")
    if not 0 < float(found) <= 1:
        is_percentage = isinstance(value, str) and 1 < float(found) <= 100
        hint = f"did you mean {value}%?" if is_percentage else "use a value above 0% and at most 100%"
        raise InputError(f"invalid share {short_repr(value)}", parameter=parameter, hint=hint)
    return float(found)


def _value(match: re.Match[str] | None, text: str, parameter: str, hint: str) -> float:
    if match is None:
        if text.strip().startswith("-"):
            raise InputError(f"{text.strip()[:LONGEST]} is negative", parameter=parameter, hint="use a positive number")
        raise InputError(f"invalid amount {short_repr(text)}", parameter=parameter, hint=hint)
    scales: dict[str, Mapping[str, float]] = {_AMOUNT: SCALES, _TIME: TIMES}
    scale = scales[match.re.pattern][match[3].lower()] if match.re.pattern in scales else PF_DAY
    return _in_range(float(f"{match[1]}e{match[2] or 0}") * scale, text.strip(), parameter)


def _in_range(value: float, text: str, parameter: str) -> float:
    if not 0 < value < LARGEST:
        raise InputError(f"amount {text} is out of range", parameter=parameter, hint="use a positive number below 1e40")
    return value
