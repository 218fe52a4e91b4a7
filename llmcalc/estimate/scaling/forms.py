"""Forms of scaling laws: loss from parameters N and tokens D, and the best of both for C = 6·N·D FLOPs.

These are models fitted to other people's runs, on top of totals; nothing here is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log

from ...core.errors import InputError, UnsupportedError
from ...core.record import record

TRAIN, INFER = 6, 2  # FLOPs a parameter and token: forward and backward, forward alone [kaplan2020, Section 2.1]
LARGEST = 1e40  # no model, data set or budget is larger; beyond it an answer has no meaning
GRID, SECTIONS, GOLDEN = 400, 60, (5**0.5 - 1) / 2  # of a search for the least: points, cuts, and where they are made
FAR = 1e3  # times the best N of unlimited data, either way; beyond, limited data is used up and the loss is flat
STEPS = 200  # halvings of a bracket: more than a float can tell apart


class Form:
    """What a law can answer; each form overrides what it does."""

    def loss(self, n: float, d: float) -> float:
        """Loss of N parameters after D tokens."""
        raise UnsupportedError("gives no loss")

    def optimum(self, c: float) -> tuple[float, float]:
        """(N, D) of the least loss for C FLOPs."""
        raise UnsupportedError("gives no optimum")

    def tokens_on_path(self, n: float) -> float:
        """D at which N is the best size."""
        raise UnsupportedError("gives no optimum")

    def parameters_on_path(self, d: float) -> float:
        """N for which D is the best number of tokens."""
        raise UnsupportedError("gives no optimum")

    def compute_for(self, loss: float) -> float:
        """The least C that reaches a loss."""
        raise UnsupportedError("gives no loss")

    def tokens_for(self, n: float, loss: float) -> float:
        """D after which N parameters reach a loss."""
        raise UnsupportedError("gives no loss")

    def lifetime(self, loss: float, inference: float) -> tuple[float, float]:
        """(N, D) that reach a loss at the least cost of training and inference together."""
        raise UnsupportedError("gives no loss")


@record
class Surface(Form):
    """``L = E + (A/N^α + B/D^β)^κ``; κ is 1 but for Kaplan's law.

    At the optimum under 6·N·D both terms fall alike with compute, α·A/N^α = β·B/D^β, which gives every answer in closed
    form [hoffmann2022, Equation 4].
    """

    e: float
    a: float
    alpha: float
    b: float
    beta: float
    outer: float = 1.0

    def loss(self, n: float, d: float) -> float:
        """Loss of N parameters after D tokens."""
        return float(self.e + (self.a / n**self.alpha + self.b / d**self.beta) ** self.outer)

    def optimum(self, c: float) -> tuple[float, float]:
        """``N = G·(C/6)^(β/(α+β))``, ``D = C/6N`` with ``G = (αA/βB)^(1/(α+β))``."""
        n = float(self._g * (c / TRAIN) ** (self.beta / (self.alpha + self.beta)))
        return n, c / TRAIN / n

    def tokens_on_path(self, n: float) -> float:
        """D at which N is the best size."""
        return bounded((n / self._g) ** (self.alpha / self.beta) / self._g)

    def parameters_on_path(self, d: float) -> float:
        """N for which D is the best number of tokens."""
        return bounded((d * self._g) ** (self.beta / self.alpha) * self._g)

    def compute_for(self, loss: float) -> float:
        """The least C that reaches a loss."""
        rest = self._reducible(loss)
        share = rest / (self.alpha + self.beta)
        return bounded(TRAIN * self._n(share * self.beta) * self._d(share * self.alpha))

    def tokens_for(self, n: float, loss: float) -> float:
        """D after which N parameters reach a loss.

        Raises:
            InputError: they never do.
        """
        rest = self._reducible(loss) - self.a / n**self.alpha
        if rest <= 0:
            least = self.e + (self.a / n**self.alpha) ** self.outer
            raise InputError(
                f"{n:.4g} parameters stay above a loss of {least:.4g}, however long they are trained",
                parameter="loss", hint="give a higher loss or more parameters",
            )  # fmt: skip
        return self._d(rest)

    def lifetime(self, loss: float, inference: float) -> tuple[float, float]:
        """(N, D) of the least ``6·N·D + 2·N·inference`` at a loss; ``inference`` is in tokens, weighted by their cost.

        At the least, ``αA/N^α = βB/D^β·(1 + inference/3D)``: as more of the loss is left to N, the left side grows and
        the right side falls, so that halving finds where they meet [sardana2023, Equation 3].
        """
        rest = self._reducible(loss)
        served = inference * INFER / TRAIN
        low, high = 0.0, 1.0
        for _ in range(STEPS):
            share = (low + high) / 2
            left = rest - rest * share
            if left <= 0 or self.alpha * rest * share > self.beta * left * (1 + served / self._d(left)):
                high = share
            else:
                low = share
        share = high if high < 1 else low
        return self._n(rest * share), self._d(rest - rest * share)

    @property
    def _g(self) -> float:
        return float((self.alpha * self.a / (self.beta * self.b)) ** (1 / (self.alpha + self.beta)))

    def _reducible(self, loss: float) -> float:
        if loss <= self.e:
            hint = "no compute reaches it; give a higher loss"
            raise InputError(
                f"a loss of {loss:g} is not above {self.e:.4g}, which is irreducible", parameter="loss", hint=hint
            )
        return float((loss - self.e) ** (1 / self.outer))

    def _n(self, term: float) -> float:
        return power(self.a / term, 1 / self.alpha)

    def _d(self, term: float) -> float:
        return power(self.b / term, 1 / self.beta)


@record
class Path(Form):
    """``N = k_n·C^a`` and ``D = k_d·C^b``, C in ``unit`` FLOPs; one that is not given follows from C = 6·N·D.

    ``l_c`` and ``l_a``: the loss on the path, ``(l_c/C)^l_a``. ``over``: what N is divided by (FLOPs a token by 6).
    """

    k_n: float | None = None
    a: float | None = None
    k_d: float | None = None
    b: float | None = None
    unit: float = 1.0
    l_c: float | None = None
    l_a: float = 0.0
    over: float = 1.0

    def optimum(self, c: float) -> tuple[float, float]:
        """(N, D) at C FLOPs."""
        x = c / self.unit
        n = None if self.k_n is None else self.k_n * x ** (self.a or 0) / self.over
        d = None if self.k_d is None else self.k_d * x ** (self.b or 0)
        if n is None:
            assert d is not None
            return c / TRAIN / d, d
        return n, c / TRAIN / n if d is None else d

    def compute(self, n: float | None = None, d: float | None = None) -> float:
        """C at which the path passes N or D."""
        value, side = (n, 0) if n is not None else (d, 1)
        assert value is not None
        first = self.optimum(self.unit)[side]
        exponent = log(self.optimum(self.unit * 10)[side] / first, 10)
        return self.unit * power(value / first, 1 / exponent)

    def tokens_on_path(self, n: float) -> float:
        """D at which N is the best size."""
        return self.optimum(self.compute(n=n))[1]

    def parameters_on_path(self, d: float) -> float:
        """N for which D is the best number of tokens."""
        return self.optimum(self.compute(d=d))[0]

    def path_loss(self, c: float) -> float | None:
        """The loss at C FLOPs on the path, if the law has one."""
        return None if self.l_c is None else float((self.l_c * self.unit / c) ** self.l_a)

    def compute_for(self, loss: float) -> float:
        """The least C that reaches a loss."""
        if self.l_c is None:
            raise UnsupportedError("gives no loss")
        return bounded(self.l_c * self.unit * power(loss, -1 / self.l_a))


@record
class Repeated(Surface):
    """A surface of effective parameters and data: ``unique`` tokens, seen again and again, lose their value.

    ``D' = U + U·R_D·(1 - e^(-(D/U - 1)/R_D))``, and N' likewise beyond the N for which U tokens are best
    [muennighoff2023, Equations 5 and 6].
    """

    r_d: float = 1.0
    r_n: float = 1.0
    unique: float = LARGEST

    def effective(self, n: float, d: float) -> tuple[float, float]:
        """(N', D')."""
        unique = min(self.unique, d)
        best = min(n, self.parameters_on_path(unique))
        return worth(n, best, self.r_n), worth(d, unique, self.r_d)

    def loss(self, n: float, d: float) -> float:
        """Loss of N parameters after D tokens, of which ``unique`` differ."""
        return super().loss(*self.effective(n, d))

    def optimum(self, c: float) -> tuple[float, float]:
        """(N, D) of the least loss for C FLOPs, by search: no closed form is known."""
        n, _ = super().optimum(c)
        n = least(lambda size: self.loss(size, c / TRAIN / size), n / FAR, n * FAR)
        return n, c / TRAIN / n

    def tokens_for(self, n: float, loss: float) -> float:
        """D after which N parameters reach a loss, repetition included."""
        low, high = 1.0, LARGEST
        if self.loss(n, high) >= loss:
            reached = self.loss(n, high)
            raise InputError(
                f"{n:.4g} parameters on {self.unique:.4g} unique tokens stay above a loss of {reached:.4g}",
                parameter="loss", hint="give a higher loss, more parameters or more data",
            )  # fmt: skip
        for _ in range(STEPS):
            middle = (low * high) ** 0.5
            low, high = (low, middle) if self.loss(n, middle) <= loss else (middle, high)
        return high

    def compute_for(self, loss: float) -> float:
        """The least C that reaches a loss on limited data, by halving."""
        low, high = 1.0, LARGEST
        if self.loss(*self.optimum(high)) >= loss:
            hint = "give a higher loss or more data"
            raise InputError(
                f"no compute reaches a loss of {loss:g} on {self.unique:.4g} unique tokens", parameter="loss", hint=hint
            )
        for _ in range(STEPS // 2):
            middle = (low * high) ** 0.5
            low, high = (low, middle) if self.loss(*self.optimum(middle)) <= loss else (middle, high)
        return high

    def lifetime(self, loss: float, inference: float) -> tuple[float, float]:
        """Not derived for repeated data."""
        raise UnsupportedError("has no answer for inference on limited data")


def worth(amount: float, unique: float, rate: float) -> float:
    """What an amount is worth of which all beyond ``unique`` is repetition.

    >>> round(worth(4.0, 1.0, 15.387756), 2), worth(1.0, 1.0, 15.387756)
    (3.73, 1.0)
    """
    return unique + unique * rate * (1 - exp(-(amount / unique - 1) / rate))


def least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of a positive number is least: the best of a grid, then golden sections around it."""
    grid = [log(low) + (log(high) - log(low)) * at / GRID for at in range(GRID + 1)]
    best = min(range(GRID + 1), key=lambda at: function(exp(grid[at])))
    left, right = grid[max(best - 1, 0)], grid[min(best + 1, GRID)]
    for _ in range(SECTIONS):
        one, two = right - GOLDEN * (right - left), left + GOLDEN * (right - left)
        left, right = (left, two) if function(exp(one)) < function(exp(two)) else (one, right)
    return exp((left + right) / 2)


def power(base: float, exponent: float) -> float:
    """``base^exponent``, bounded."""
    try:
        return bounded(base**exponent)
    except OverflowError:
        return bounded(LARGEST * 2)


def bounded(value: float) -> float:
    """The value, if it is a size that anything can have.

    Raises:
        InputError: it is not.
    """
    if not 1 / LARGEST < value < LARGEST:
        raise InputError("the answer is beyond all sizes", hint="ask for something less extreme")
    return float(value)
