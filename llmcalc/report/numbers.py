"""Formatting of numbers as exact integers, rounded values with a unit, percentages and ratios."""

from __future__ import annotations

from ..core.printable import three_digits
from ..core.type_names import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .document import Cell

_SCALES = ((12, "T"), (9, "B"), (6, "M"), (3, "K"))
_DIGITS = 4
NANOSECONDS = "ns"
BYTES = "bytes"
ABOUT = "about"
_DECIMAL = {"K": "kB", "M": "MB", "B": "GB", "T": "TB", "": "B"}
_BINARY = ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB"))


def exact(number: int) -> str:
    """Format an integer with thousands separators.

    >>> exact(174604259328)
    '174,604,259,328'
    """
    return f"{number:,}"


def human(number: int) -> str:
    """Format an integer with four digits and a suffix (K, M, B or T). Return an empty string below 1000.

    Integer arithmetic is used because large values exceed the precision of a float.

    >>> human(174604259328), human(46702792704), human(999999), human(950), human(-1500), human(10**18)
    ('174.6 B', '46.70 B', '1.000 M', '', '-1.500 K', '1.000e18')
    """
    sign, size = "-" if number < 0 else "", abs(number)
    unit = 10 ** max(len(str(size)) - _DIGITS, 0)
    size = (size + unit // 2) // unit * unit
    if len(str(size)) > _SCALES[0][0] + _DIGITS:
        digits = str(size)
        return f"{sign}{digits[0]}.{digits[1:_DIGITS]}e{len(digits) - 1}"
    for exponent, letter in _SCALES:
        whole, part = divmod(size, 10**exponent)
        if whole:
            decimals = max(_DIGITS - len(str(whole)), 0)
            fraction = f".{part // 10 ** (exponent - decimals):0{decimals}d}" if decimals else ""
            return f"{sign}{whole}{fraction} {letter}"
    return ""


def binary(number: int) -> str:
    """Format bytes with four digits and a binary unit (1 GiB = 2^30 bytes). Return an empty string below 1 KiB.

    >>> binary(349208518656), binary(80 * 10**9), binary(950), binary(-(2**31)), binary(2**30 - 1)
    ('325.2 GiB', '74.51 GiB', '', '-2.000 GiB', '1.000 GiB')
    """
    sign, size = "-" if number < 0 else "", abs(number)
    for exponent, unit in _BINARY:
        decimals = max(_DIGITS - len(str((size >> exponent) or 1)), 0)
        scaled = (size * 10**decimals + (1 << exponent) // 2) >> exponent
        if scaled >= 10**decimals:
            whole, part = divmod(scaled, 10**decimals)
            return f"{sign}{whole:,}.{part:0{decimals}d} {unit}" if decimals else f"{sign}{whole:,} {unit}"
    return ""


def decimal(number: int) -> str:
    """Format bytes with four digits and a decimal unit (1 GB = 10^9 bytes). Return an empty string below 1 kB.

    >>> decimal(349208518656), decimal(80 * 2**30), decimal(950), decimal(10**18)
    ('349.2 GB', '85.90 GB', '', '1.000e18 B')
    """
    size, _, letter = human(number).partition(" ")
    return f"{size} {_DECIMAL[letter]}" if size else ""


def short(number: int, unit: str) -> str:
    """Format a number in its short form, with binary units for bytes and powers of 1000 otherwise.

    >>> short(2**31, "bytes"), short(2**31, "FLOPs"), short(7_860_720, "ns")
    ('2.000 GiB', '2.147 B', '7.86 ms')
    """
    if unit == NANOSECONDS:
        return duration(number / 1e9)
    return binary(number) if unit == BYTES else human(number)


def readable(number: int, unit: str) -> str:
    """Format a number in its short form, or in full if it has none.

    >>> readable(2**31, "bytes"), readable(950, "bytes"), readable(950, "FLOPs")
    ('2.000 GiB', '950 B', '950')
    """
    return short(number, unit) or (f"{exact(number)} B" if unit == BYTES else exact(number))


def about(value: float, unit: str) -> str:
    """Format a value in its short form, or in full if the value is small.

    >>> about(3.4912e14, ""), about(2.0**31, "bytes"), about(12.0, "")
    ('349.1 T', '2.000 GiB', '12')
    """
    return short(round(value), unit) or f"{value:,.6g}"


def duration(seconds: float, *ends: float) -> str:
    """Format a time with three digits and a unit, or in hours from 1000 seconds. The ends of a range follow.

    >>> duration(0.0071), duration(2.0775), duration(35e-6), duration(12345)
    ('7.10 ms', '2.08 s', '35.0 µs', '3.43 h')
    >>> duration(0.0071, 0.0059, 0.011)
    '7.10 ms (5.90 to 11.0 ms)'
    """
    factor, unit = _time_unit(seconds)
    text = f"{three_digits(seconds * factor)} {unit}"
    return f"{text} ({duration_range(seconds, *ends)})" if ends else text


def duration_range(seconds: float, *ends: float) -> str:
    """Format the ends of the range of a time in the unit of the time itself.

    >>> duration_range(818, 562, 1191)
    '562 to 1,191 s'
    """
    factor, unit = _time_unit(seconds)
    return f"{' to '.join(three_digits(end * factor) for end in ends)} {unit}"


def _time_unit(seconds: float) -> tuple[float, str]:
    units = ((1e6, "µs"), (1e3, "ms"), (1.0, "s"), (1 / 3600, "h"))
    return next((each for each in units if seconds * each[0] < 999.5), units[-1])


def percent(share: float) -> str:
    """Format a fraction as a percentage. A positive fraction that would round to zero becomes ``<0.1 %``.

    >>> percent(0.66418), percent(1.0), percent(0.0001), percent(0)
    ('66.4 %', '100.0 %', '<0.1 %', '0.0 %')
    """
    return "<0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def change(number: int) -> str:
    """Format a difference with its sign.

    >>> change(1200), change(0)
    ('+1,200', '0')
    """
    return f"{number:+,}" if number else "0"


def ratio(value: float) -> str:
    """Format a ratio with a multiplication sign, such as ×0.25.

    >>> ratio(0.25), ratio(1612.3), ratio(1.0)
    ('×0.25', '×1,612', '×1')
    """
    return f"×{value:,.0f}" if value >= 100 else f"×{value:.4g}"


def cell_text(cell: Cell, kind: str) -> str:
    """Format a cell according to the kind of its column.

    >>> cell_text(174604259328, "count"), cell_text(2.0**31, "about bytes"), cell_text(0.25, "share")
    ('174,604,259,328', '2.000 GiB', '25.0 %')
    """
    if cell is None or isinstance(cell, str):
        return cell or ""
    if kind in ("count", "digits", BYTES):
        return exact(int(cell))
    if kind.startswith(ABOUT):
        return about(float(cell), kind.removeprefix(ABOUT).strip())
    if kind == "number" and isinstance(cell, float):
        return f"{cell:,.6g}"
    writers: dict[str, Callable[[Any], str]] = {"share": percent, "ratio": ratio, "change": change}
    return writers.get(kind, str)(cell)


def ends_text(*texts: str) -> str:
    """Join the ends of a range, or return one of them if they look the same.

    >>> ends_text("2.5", "3"), ends_text("3", "3")
    ('2.5 to 3', '3')
    """
    return " to ".join(dict.fromkeys(texts))


def dollars(span: tuple[float, float] | None) -> str:
    """Format a range of prices in US dollars. An unknown price is an empty string.

    >>> dollars((0.1234, 2.5)), dollars((1.0, 1.0)), dollars(None)
    ('$0.123 to $2.50', '$1.00', '')
    """
    return ends_text(*(f"${three_digits(price)}" for price in span or ()))
