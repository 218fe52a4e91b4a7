"""Factors of estimated times of serving, fitted to a few measurements.

    tpot = decode · kernels + step + scheduler + prefill · prefills

Kernels and prefills have a factor each, and the engine's own work in a step is a number of seconds. Each has a prior,
so that a few measurements change it only as far as they agree. On public measurements, factors of one model do not hold
for another one on the same GPU and engine, so that they are kept by deployment.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt

from ..core.arrays import Number
from ..core.record import NamedTuple, record
from ..kernels.cost import Cost, StepTime
from ..kernels.operations import Operation

SPREAD = (0.15, 0.3, 1.0)  # logarithmic deviations of decode, prefill and step of a deployment from the estimate
NOISE = 0.12  # logarithmic error of a measurement inside a deployment
ROUNDS = 12  # of Gauss-Newton


@record
class Factors:
    """Factors of a deployment.

    Attributes:
        decode: factor of the time of kernels, collectives and launches in decoding.
        prefill: factor of the time that prefills of other requests add.
        step_s: seconds of a step outside the kernels, in place of the engine's usual value.
    """

    decode: float
    prefill: float
    step_s: float

    @property
    def summary(self) -> str:
        """The factors in one line."""
        return f"kernels × {self.decode:.3g}, prefills × {self.prefill:.3g}, {self.step_s * 1e3:.3g} ms a step"

    def scale(self, step: StepTime, usual_s: float, *, is_prefill: bool = False) -> StepTime:
        """Return a decode step, or a prefill, with these factors. ``usual_s`` is the engine's usual time of a step."""
        factor = self.prefill if is_prefill else self.decode
        components = {name: Cost(cost.seconds * factor, *cost[1:]) for name, cost in step.components.items()}
        collectives = {name: own * factor for name, own in step.collectives.items()}

        def operations() -> tuple[tuple[Operation, Cost], ...]:
            return tuple((each, Cost(cost.seconds * factor, *cost[1:])) for each, cost in step.operations)

        return step._replace(
            components=components, list_operations=operations, collectives=collectives,
            launches=step.launches * factor, engine=step.engine - usual_s + self.step_s,
        )  # fmt: skip


class MeasuredTime(NamedTuple):
    """Parts of an estimated time per output token, and the measured time.

    Attributes:
        kernels: seconds of kernels, collectives and launches.
        scheduler: seconds that the engine adds for the sequences of a step.
        prefill: seconds that prefills of other requests add.
        measured: measured seconds.
    """

    kernels: Number
    scheduler: Number
    prefill: Number
    measured: Number

    def seconds(self, factors: Factors) -> Number:
        """Return the time with the given factors."""
        return factors.decode * self.kernels + factors.step_s + self.scheduler + factors.prefill * self.prefill


def fit_factors(rows: Sequence[MeasuredTime], usual_s: float) -> Factors:
    """Return the factors that agree best with measurements and priors, by Gauss-Newton on their logarithms.

    A measurement that disagrees with the others counts less.

    >>> row = MeasuredTime(kernels=0.01, scheduler=0.001, prefill=0.002, measured=0.016)
    >>> 1 < fit_factors([row], usual_s=0.001).decode < 1.2
    True

    Args:
        rows: measurements of one deployment.
        usual_s: engine's usual time of a step.
    """
    values, lowest = [0.0] * 3, log(1e-3)
    for _ in range(ROUNDS):
        factors = Factors(exp(values[0]), exp(values[1]), usual_s * exp(values[2]))
        normal = [[1 / SPREAD[i] ** 2 if i == j else 0.0 for j in range(3)] for i in range(3)]
        right = [-value / spread**2 for value, spread in zip(values, SPREAD, strict=True)]
        for row in rows:
            seconds = row.seconds(factors)
            error = log(row.measured / seconds) / NOISE
            weight = 1 / sqrt(1 + error**2) / NOISE**2  # soft absolute error
            parts = (factors.decode * row.kernels, factors.prefill * row.prefill, factors.step_s)
            slopes = [part / seconds for part in parts]
            for i in range(3):
                right[i] += weight * slopes[i] * error * NOISE
                for j in range(3):
                    normal[i][j] += weight * slopes[i] * slopes[j]
        change = _solve(normal, right)
        values = [max(value + min(max(step, -1.0), 1.0), lowest) for value, step in zip(values, change, strict=True)]
    return Factors(exp(values[0]), exp(values[1]), usual_s * exp(values[2]))


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Return the solution of a small system with a positive definite matrix."""
    rows, size = [[*row, value] for row, value in zip(matrix, right, strict=True)], len(right)
    for i in range(size):
        for j in range(i + 1, size):
            share = rows[j][i] / rows[i][i]
            rows[j] = [own - share * other for own, other in zip(rows[j], rows[i], strict=True)]
    found = [0.0] * size
    for i in reversed(range(size)):
        known = sum(rows[i][j] * found[j] for j in range(i + 1, size))
        found[i] = (rows[i][size] - known) / rows[i][i]
    return found
