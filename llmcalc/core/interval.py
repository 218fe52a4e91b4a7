"""Intervals: the lowest, best and highest value of a modelled quantity, such as bytes, tokens or seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import exp, hypot, log

from .record import changed, record


@record
class Interval:
    """The lowest, best and highest value of a quantity, which are its elements.

    >>> used = Interval(2, 3, 5) + Interval.exact(1)
    >>> Interval.exact(10) - used, [*used.scaled(2)], used[1]
    (Interval(low=4, best=6, high=7, reasons=()), [6, 8, 12], 4)

    Attributes:
        low: lowest value. Of a time, 80 % of the measured ones are between the lowest and the highest value.
        best: most probable value.
        high: highest value.
        reasons: why the interval is wider than usual.
    """

    low: float
    best: float
    high: float
    reasons: tuple[str, ...] = ()

    @classmethod
    def exact(cls, value: float) -> Interval:
        """Return an interval without a range."""
        return cls(value, value, value)

    def __iter__(self) -> Iterator[float]:
        return iter((self.low, self.best, self.high))

    def __getitem__(self, place: int) -> float:
        return (self.low, self.best, self.high)[place]

    def each(self, function: Callable[..., float], *others: Interval) -> Interval:
        """Return a function of the lowest values of intervals, of the best and of the highest ones."""
        low, best, high = map(function, self, *others)
        return Interval(low, best, high)

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.best + other.best, self.high + other.high)

    def __sub__(self, other: Interval) -> Interval:
        """Return the difference, which is the lowest if the other value is the highest."""
        return Interval(self.low - other.high, self.best - other.best, self.high - other.low)

    def scaled(self, factor: float) -> Interval:
        """Return the interval times a positive factor."""
        return Interval(self.low * factor, self.best * factor, self.high * factor)

    def widened(self, factor: float, reasons: tuple[str, ...] = ()) -> Interval:
        """Return an interval whose ends are further from the best value by a factor."""
        return Interval(self.low / factor, self.best, self.high * factor, (*self.reasons, *reasons))

    def rounded(self) -> Interval:
        """Return the interval in whole units."""
        return self.each(round)

    def with_span(self, slow: float, fast: float, reason: str) -> Interval:
        """Return an interval of a time that also covers those with other values of an assumption.

        The assumption and the interval are independent errors.

        Args:
            slow: time with the value that is the slowest.
            fast: time with the value that is the fastest.
            reason: the assumption.
        """
        best = self.best
        low = best * exp(-hypot(log(best / self.low), log(best / fast)))
        high = best * exp(hypot(log(self.high / best), log(slow / best)))
        return changed(self, low=low, high=high, reasons=(*self.reasons, reason))

    def to_dict(self) -> dict[str, float]:
        """Return the values as a plain dictionary."""
        return {"low": self.low, "best": self.best, "high": self.high}
