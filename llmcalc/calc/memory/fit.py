"""Memory fit checks, and searches for the largest or smallest number that fits."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable

from ...core.errors import InputError
from ...core.record import NamedTuple, record
from ...core.setting import scale_number
from ...core.type_names import Any

LARGEST = 2**40  # upper limit of a search for a sequence length or batch size
_SIZE = r"(?i)(\d+(?:\.\d+)?)\s*([KMGT]i?B|B)"
_UNITS = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30,
    "tib": 2**40,
}  # fmt: skip


class Doubts(NamedTuple):
    """What is not modelled, by name, the bytes that training then needs at least, and whether it may need more."""

    names: tuple[str, ...] = ()
    least: int | None = None
    is_open: bool = False


@record
class Fit:
    """Required and available memory on each of ``count`` accelerators, in bytes."""

    memory: int
    reserve: int
    needed: int
    count: int
    result: Any

    @property
    def doubts(self) -> Doubts:
        """What is not modelled."""
        return getattr(self.result, "doubts", None) or Doubts()

    @property
    def least(self) -> int | None:
        """Bytes if what is not modelled saves as much as it can, or None if it saves nothing."""
        return self.doubts.least

    @property
    def is_undecided(self) -> bool:
        """Whether the verdict depends on what is not modelled."""
        lowest = self.needed if self.least is None else self.least
        is_doubted = self.doubts.is_open or self.needed > self.usable
        return bool(self.doubts.names) and is_doubted and lowest <= self.usable

    @property
    def usable(self) -> int:
        """Memory per accelerator minus the runtime reserve, in bytes."""
        return self.memory - self.reserve

    @property
    def headroom(self) -> int:
        """Usable memory minus required memory, in bytes. The value is negative if the model does not fit."""
        return self.usable - self.needed

    @property
    def fits(self) -> bool:
        """Whether the model fits."""
        return self.headroom >= 0

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        names = ("memory", "reserve", "usable", "needed", "headroom", "fits", "count")
        least = {} if self.least is None else {"least": self.least, "undecided": self.is_undecided}
        return {**{name: getattr(self, name) for name in names}, **least}


def largest_fitting(fits: Callable[[int], bool], limit: int = LARGEST, first: int = 1) -> int | None:
    """Return the largest number from ``first`` to ``limit`` that fits, or None. All smaller numbers must also fit.

    >>> largest_fitting(lambda n: n * n <= 1000), largest_fitting(lambda n: False)
    (31, None)
    """
    if limit < first or not fits(first):
        return None
    low, step = first, 1
    while low + step <= limit and fits(low + step):
        low, step = low + step, step * 2
    others = range(low + 1, min(low + step, limit + 1))  # the end does not fit, or is beyond the limit
    return low + bisect_left(others, True, key=lambda number: not fits(number))


def smallest_fitting(headroom: Callable[[int], int], limit: int) -> int | None:
    """Return the smallest number from 1 to ``limit`` whose headroom is not negative, or None. Headroom must increase.

    What is divided among n GPUs leaves a headroom of about a - b / n, which times n is linear.

    >>> smallest_fitting(lambda n: n * n - 1000, 100), smallest_fitting(lambda n: -1, 9)
    (32, None)
    """
    found = largest_within(lambda number: number * headroom(number), -1, limit) + 1
    return found if found <= limit else None


def largest_within(needed: Callable[[int], int], available: int, limit: int, first: int = 1) -> int:
    """Return the largest number from ``first`` to ``limit`` that needs at most the available amount, or 0.

    A larger number must not need less. Steps along the secant end after a few evaluations if the amount is almost
    linear. Bisection in between bounds the number of evaluations.

    >>> largest_within(lambda n: 7 + 3 * n, 1000, 2**20), largest_within(lambda n: n * n, 1000, 2**20)
    (331, 31)
    """
    low, high = first, limit
    at_low, at_high = needed(low), needed(high)
    if at_high <= available:
        return limit
    if at_low > available:
        return 0
    bisects = False
    while high - low > 1:
        middle = (low + high) // 2
        secant = low + (high - low) * (available - at_low) // (at_high - at_low)
        number = middle if bisects else min(max(secant, low + 1), high - 1)
        amount, before = needed(number), high - low
        if amount <= available:
            low, at_low = number, amount
        else:
            high, at_high = number, amount
        bisects = not bisects and 2 * (high - low) > before
    return low


def read_size(text: str, parameter: str, total: int | None = None) -> int:
    """Parse a size such as ``1GiB``, or a percentage of ``total`` such as ``5%``, and return the number of bytes.

    Only 0 needs no unit.

    >>> read_size("1.5GiB", "reserve"), read_size("5%", "reserve", 80 * 10**9)
    (1610612736, 4000000000)
    """
    if total is not None and (match := re.fullmatch(r"(\d{1,2}(?:\.\d+)?)\s*%", text.strip())):
        return round(total * float(match[1]) / 100)
    if text.strip() == "0":
        return 0
    size = re.fullmatch(_SIZE, text.strip())
    if not size:
        share = ", or a percentage such as 5%" if total is not None else ""
        hint = f"use a number with its unit, such as 1GiB or 800MB{share}"
        raise InputError(f"invalid size {text!r}", parameter=parameter, hint=hint)
    return scale_number(size[1], _UNITS[size[2].lower()], parameter)
