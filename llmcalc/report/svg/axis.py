"""Axis scales, tick positions and tick labels."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor, log2, log10

from ...core.record import record
from ..numbers import about

_POWERS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_LARGEST_NAMED = 15  # 10^15 and above are written as powers
_SMALLEST_NAMED = 1e-3 * (1 - 1e-9)  # smaller values are written as powers
_WRITTEN_OUT = range(3)  # exponents of numbers without a power
_NICE = (1, 2, 5)
_KILO = 10  # 2^10
_SMALLEST = 1e-300  # smaller values underflow when divided
_EPSILON = 1e-9  # tolerance for powers of ten in floating point
_HALF_YEAR = 0.5
_BINARY = ("bytes", "tokens")
_UNITS = {"bytes": ("B", "KiB", "MiB", "GiB", "TiB", "PiB"), "tokens": ("", "k", "M", "G")}


@record
class Scale:
    """Mapping from a range of numbers to a range of pixels."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return the pixel coordinate of a number."""
        low, high, at = (log10(each) if self.logarithmic else each for each in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)


def fitted(values: list[float], kind: str, logarithmic: bool) -> tuple[float, float]:
    """Return the range of the values, widened to round numbers. Linear ranges start at zero, except for years."""
    low, high = (0.0 if abs(value) < _SMALLEST else value for value in (min(values), max(values)))
    if logarithmic and kind in _BINARY:
        power = floor(log2(low) + _EPSILON)
        return 2.0**power, 2.0 ** max(ceil(log2(high) - _EPSILON), power + 1)
    if logarithmic:
        nice = [m * 10.0**e for e in range(floor(log10(low)), ceil(log10(high)) + 1) for m in _NICE]
        first = max(value for value in nice if value <= low * (1 + _EPSILON))
        return first, min(value for value in nice if value >= high * (1 - _EPSILON) and value > first)
    if kind == "year":
        return floor(low) - _HALF_YEAR, ceil(high) + _HALF_YEAR
    step = _step(high or 1.0, kind, 5)
    return 0.0, ceil((high or 1.0) / step - _EPSILON) * step


def ticks(low: float, high: float, kind: str, logarithmic: bool, most: int) -> list[tuple[float, str]]:
    """Return about ``most`` round tick values with their labels.

    >>> ticks(1e9, 1e12, "count", True, 5)
    [(1000000000.0, '1 B'), (10000000000.0, '10 B'), (100000000000.0, '100 B'), (1000000000000.0, '1 T')]
    >>> [label for _, label in ticks(1024, 131072, "tokens", True, 4)]
    ['1k', '4k', '16k', '64k']
    """
    found = list(_logarithmic(low, high, kind, most) if logarithmic else _linear(low, high, kind, most))
    if kind == "year" or kind in _UNITS:
        return [(value, label(value, kind)) for value in found]
    has_powers = any(value and not _SMALLEST_NAMED <= value < 10.0**_LARGEST_NAMED for value in found)
    return [(value, (power_label if has_powers else plain_label)(value)) for value in found]  # one notation


def _logarithmic(low: float, high: float, kind: str, most: int) -> Iterator[float]:
    binary = kind in _BINARY
    base, power = (2.0, log2) if binary else (10.0, log10)
    first, last = ceil(power(low) - _EPSILON), floor(power(high) + _EPSILON)
    step = max(1, ceil((last - first + 1) / most))
    if not binary and len(_NICE) * (last - first + 1) <= most:
        yield from (m * base**e for e in range(first - 1, last + 1) for m in _NICE if low <= m * base**e <= high)
        return
    yield from (base**exponent for exponent in range(first, last + 1, step))


def _linear(low: float, high: float, kind: str, most: int) -> Iterator[float]:
    step = 1.0 if kind == "year" and high - low <= most else _step(high - low, kind, most)
    step = max(1.0, round(step)) if kind == "year" else step
    number = ceil(low / step - _EPSILON)
    while number * step <= high * (1 + _EPSILON):
        yield number * step
        number += 1


def _step(span: float, kind: str, most: int) -> float:
    """Return the smallest round step that divides a span into at most ``most`` intervals."""
    wanted = span / most
    if kind in _BINARY and wanted >= 1:
        return float(2.0 ** ceil(log2(wanted)))
    decade = float(10.0 ** floor(log10(wanted)))
    return next((m * decade for m in _NICE if m * decade >= wanted * (1 - _EPSILON)), 10 * decade)


def label(value: float, kind: str) -> str:
    """Return a short tick label for a year, or for a number of bytes or tokens.

    >>> label(2**31, "bytes"), label(4096, "tokens"), label(2020, "year")
    ('2 GiB', '4k', '2020')
    """
    if kind == "year":
        return f"{value:.0f}"
    if value == 0:
        return "0"
    units, gap = _UNITS[kind], " " if kind == "bytes" else ""
    rank = max(0, min(len(units) - 1, floor(log2(value) / _KILO + _EPSILON)))
    return f"{value / 2.0 ** (_KILO * rank):.3g}{gap}{units[rank]}"


def power_label(value: float) -> str:
    """Return a tick label as a power of ten. Numbers from 1 to 1000 are written out.

    >>> power_label(1e15), power_label(2e-4), power_label(100), power_label(0)
    ('10¹⁵', '2·10⁻⁴', '100', '0')
    """
    exponent = floor(log10(value) + _EPSILON) if value else 0
    if exponent in _WRITTEN_OUT:
        return f"{value:g}"
    digits, power = value / 10.0**exponent, f"10{str(exponent).translate(_POWERS)}"
    return power if abs(digits - 1) < _EPSILON else f"{digits:g}·{power}"


def plain_label(value: float) -> str:
    """Return a short tick label of ASCII characters for a value.

    >>> plain_label(2.5e9), plain_label(0.1), plain_label(1e15)
    ('2.5 B', '0.1', '1000 T')
    """
    number, _, scale = about(value, "").partition(" ")
    return f"{float(number.replace(',', '')):g} {scale}".rstrip()
