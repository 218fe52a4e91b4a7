"""Amounts such as 15T tokens, 70B parameters, 3640PF-days and 40 %."""

from __future__ import annotations

import re

from ..core.errors import InputError, short_repr
from .scaling.forms import LARGEST

SCALES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12, "p": 10**15}
PF_DAY = 864 * 10**17  # 10^15 FLOP/s for a day of 86,400 seconds
SECONDS_AN_HOUR, HOURS_A_DAY = 3600, 24
LONGEST = 40  # characters
_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)(?:e([+-]?\d{1,3}))?"
_AMOUNT = re.compile(rf"{_NUMBER}\s*([kmbgtp]?)", re.IGNORECASE | re.ASCII)
_PF_DAYS = re.compile(rf"{_NUMBER}\s*(?:pf-?days?|pfd|petaflop/?s-?days?)", re.IGNORECASE | re.ASCII)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%", re.ASCII)


def read_amount(text: str, parameter: str, example: str = "15T") -> float:
    """Read a positive number with an optional decimal suffix: k, M, B (or G), T, P.

    >>> read_amount("15T", "tokens"), read_amount("1.4e12", "tokens"), read_amount("70 B", "parameters")
    (15000000000000.0, 1400000000000.0, 70000000000.0)
    """
    match = _AMOUNT.fullmatch(text.strip()) if len(text) <= LONGEST else None
    return _value(match, SCALES[match[3].lower()] if match else 1, text, parameter, f"use a number such as {example}")


def read_compute(text: str, parameter: str = "compute") -> float:
    """Read a number of FLOPs or PF-days.

    >>> read_compute("5.76e23"), read_compute("3640PF-days")
    (5.76e+23, 3.14496e+23)
    """
    plain = re.sub(r"\s*flops?$", "", text.strip(), flags=re.IGNORECASE | re.ASCII) if len(text) <= LONGEST else ""
    match = _PF_DAYS.fullmatch(plain)
    if match:
        return _value(match, PF_DAY, text, parameter, "")
    match = _AMOUNT.fullmatch(plain)
    scale = SCALES[match[3].lower()] if match else 1
    return _value(match, scale, text, parameter, "use a number such as 1e24 (FLOPs) or 3640PF-days")


def read_share(text: str, parameter: str) -> float:
    """Read a fraction such as ``40%`` or ``0.4``.

    >>> read_share("40%", "mfu"), read_share("0.4", "mfu")
    (0.4, 0.4)
    """
    percent = _PERCENT.fullmatch(text.strip()) if len(text) <= LONGEST else None
    value = float(percent[1]) / 100 if percent else read_amount(text, parameter, "40%")
    if not 0 < value <= 1:
        raise InputError(
            f"invalid share {short_repr(text.strip())}",
            parameter=parameter,
            hint="must be more than 0 and at most 100%",
        )
    return value


def amount(value: float | str, parameter: str, example: str = "15T") -> float:
    """A positive number, given as one or as text.

    >>> amount("13B", "params"), amount(13e9, "params")
    (13000000000.0, 13000000000.0)
    """
    if isinstance(value, str):
        return read_amount(value, parameter, example)
    if not 0 < value < LARGEST:
        raise InputError(f"amount {value:g} is out of range", parameter=parameter, hint="must be positive and finite")
    return value


def share(value: float | str, parameter: str) -> float:
    """A share of 1, given as a number or as text such as ``40%``."""
    if isinstance(value, str):
        return read_share(value, parameter)
    if not 0 < value <= 1:
        raise InputError(
            f"share {value:g} is out of range", parameter=parameter, hint="must be more than 0 and at most 1"
        )
    return value


def _value(match: re.Match[str] | None, scale: int, text: str, parameter: str, hint: str) -> float:
    if match is None:
        if text.strip().startswith("-"):
            raise InputError(f"{text.strip()[:LONGEST]} is negative", parameter=parameter, hint="must be positive")
        raise InputError(f"invalid amount {short_repr(text)}", parameter=parameter, hint=hint)
    value = float(f"{match[1]}e{match[2] or 0}") * scale
    if not 0 < value < LARGEST:
        raise InputError(
            f"amount {text.strip()} is out of range", parameter=parameter, hint="must be positive and finite"
        )
    return value
