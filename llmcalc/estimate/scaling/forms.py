"""Scaling-law formulas for the loss of a model with N parameters and D tokens, and for the optimal N and D.

Optima apply to 6·N·D FLOPs, unless a form counts others too. The formulas are fitted to published training runs and are
never exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import exp, inf, log, log10

from ...core.errors import InputError, UnsupportedError
from ...core.record import record
from ...core.setting import LARGEST
from ...core.type_names import ClassVar

TRAIN, INFER = 6, 2  # FLOPs per parameter and token in training and in a forward pass [kaplan2020, Section 2.1]
GRID, SECTIONS, GOLDEN = 400, 60, (5**0.5 - 1) / 2  # grid points and golden-section steps of a minimisation
FAR = 1e3  # factor of the search range around the optimum for unlimited data
EXPERT_FLOPS, ROUTING_FLOPS = 6, 14  # per weight of an expert and of a router, and token [krajewski2024, Equation 10]
D_PER_BLOCK = 64  # ratio of d_model to the number of blocks [krajewski2024, Section 6.1]
STEPS = 200  # bisection steps, enough for the precision of a float


class ScalingForm:
    """Base class for scaling-law formulas. Subclasses override the methods that their formula supports."""

    lacks: ClassVar[str] = "does not predict a loss"  # why the other methods have no result

    def loss(self, n: float, d: float) -> float:
        """Return the loss of a model with N parameters after D training tokens."""
        raise UnsupportedError(self.lacks)

    def flops(self, n: float, d: float) -> float:
        """Return the training FLOPs, as if a token used all N parameters."""
        return TRAIN * n * d

    def parameters_within(self, c: float, d: float) -> float:
        """Return the number of parameters N whose training on D tokens takes C FLOPs."""
        return c / TRAIN / d

    def optimum(self, c: float) -> tuple[float, float]:
        """Return the (N, D) pair with the lowest loss for C FLOPs."""
        raise UnsupportedError(self.lacks)

    def tokens_on_path(self, n: float) -> float:
        """Return the number of tokens D for which N is optimal."""
        raise UnsupportedError(self.lacks)

    def parameters_on_path(self, d: float) -> float:
        """Return the number of parameters N for which D is optimal."""
        raise UnsupportedError(self.lacks)

    def compute_for(self, loss: float) -> float:
        """Return the minimum compute C needed to reach a target loss."""
        raise UnsupportedError(self.lacks)

    def tokens_for(self, n: float, loss: float) -> float:
        """Return the number of tokens D after which a model with N parameters reaches a target loss."""
        raise UnsupportedError(self.lacks)

    def lifetime(self, loss: float, inference: float) -> tuple[float, float]:
        """Return the (N, D) pair that reaches a target loss at the lowest total cost of training and inference."""
        raise UnsupportedError(self.lacks)


@record
class Path(ScalingForm):
    """Optimal path ``N = k_n·C^a``, ``D = k_d·C^b``, where C is in units of ``unit`` FLOPs.

    If only N or only D has a formula, the other quantity follows from C = 6·N·D. The loss on the path is
    ``(l_c/C)^l_a``. N is divided by ``over`` to convert FLOPs per token to parameters.
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
        """Return the (N, D) pair on the path at C FLOPs."""
        x = c / self.unit
        d = None if self.k_d is None else self.k_d * x ** (self.b or 0)
        if self.k_n is None:
            assert d is not None
            return c / TRAIN / d, d
        n = self.k_n * x ** (self.a or 0) / self.over
        return n, c / TRAIN / n if d is None else d

    def compute(self, value: float, side: int) -> float:
        """Return the compute C at which N (``side`` 0) or D (``side`` 1) on the path equals ``value``."""
        first = self.optimum(self.unit)[side]
        return self.unit * power(value / first, 1 / log(self.optimum(self.unit * 10)[side] / first, 10))

    def tokens_on_path(self, n: float) -> float:
        """Return the number of tokens D for which N is optimal."""
        return self.optimum(self.compute(n, 0))[1]

    def parameters_on_path(self, d: float) -> float:
        """Return the number of parameters N for which D is optimal."""
        return self.optimum(self.compute(d, 1))[0]

    def path_loss(self, c: float) -> float | None:
        """Return the loss on the path at C FLOPs, or None if the law does not predict a loss."""
        return None if self.l_c is None else float((self.l_c * self.unit / c) ** self.l_a)

    def compute_for(self, loss: float) -> float:
        """Return the minimum compute C needed to reach a target loss."""
        if self.l_c is None:
            raise UnsupportedError(self.lacks)
        return bounded(self.l_c * self.unit * power(loss, -1 / self.l_a))


@record
class Routed(ScalingForm):
    """Loss ``log10 L = a·log N + b·log Ê + c·log N·log Ê + d`` for a fixed token count [clark2022, Equation 1]."""

    lacks: ClassVar[str] = "was fitted on one number of tokens"
    a: float
    b: float
    c: float
    d: float
    experts: float

    def loss(self, n: float, d: float) -> float:
        """Return the loss of a model with N active parameters. D is ignored because the law was fitted for a fixed
        D.
        """
        size, routed = log10(n), log10(self.experts)
        return float(10 ** (self.a * size + self.b * routed + self.c * size * routed + self.d))


@record
class PowerSum(ScalingForm):
    """Loss ``L = e + (Σ a/N^α + b/D^β)^κ``, where κ is 1 except in Kaplan's law, with one or several terms in N.

    The FLOPs are ``C = 6·N·D·(1 + routing/N^(1/3))``. At the optimum, ``Σ α·a/N^α`` equals ``β·b/D^β`` times the
    elasticity of the FLOPs in N, which gives D for each N [hoffmann2022, Equation 4].
    """

    e: float
    terms: tuple[tuple[float, float], ...]
    b: float
    beta: float
    routing: float = 0.0
    outer: float = 1.0

    def loss(self, n: float, d: float) -> float:
        """Return the loss of a model with N parameters after D training tokens."""
        return float(self.e + (self._of_size(n) + self.b / d**self.beta) ** self.outer)

    def flops(self, n: float, d: float) -> float:
        """Return the training FLOPs, including routing, as if a token used all N parameters."""
        return float(TRAIN * n * d * (1 + self.routing / n ** (1 / 3)))

    def parameters_within(self, c: float, d: float) -> float:
        """Return the number of parameters N whose training on D tokens takes C FLOPs."""
        return least(lambda n: self.flops(n, d) >= c, STEPS) if self.routing else super().parameters_within(c, d)

    def tokens_on_path(self, n: float) -> float:
        """Return the number of tokens D for which N is optimal."""
        return bounded(self._path(n))

    def parameters_on_path(self, d: float) -> float:
        """Return the number of parameters N for which D is optimal."""
        return least(lambda n: self._path(n) >= d, STEPS)

    def optimum(self, c: float) -> tuple[float, float]:
        """Search for the (N, D) pair with the lowest loss for C FLOPs."""
        n = least(lambda n: self.flops(n, self._path(n)) >= c, STEPS)
        return n, c / self.flops(n, 1.0)

    def compute_for(self, loss: float) -> float:
        """Return the minimum compute C needed to reach a target loss."""
        return bounded(self.flops(*self.lifetime(loss, 0.0)))

    def tokens_for(self, n: float, loss: float) -> float:
        """Return the number of tokens D after which a model with N parameters reaches a target loss."""
        rest = self._reducible(loss) - self._of_size(n)
        if rest <= 0:
            raise never_reached(n, self.loss(n, inf))
        return power(self.b / rest, 1 / self.beta)

    def lifetime(self, loss: float, inference: float) -> tuple[float, float]:
        """Search for the (N, D) pair that minimises the FLOPs of training and inference at a target loss.

        ``inference`` is the number of inference tokens, weighted by relative cost. At the minimum, the slope in N
        equals ``β·b/D^β·(1 + inference/3D)`` [sardana2023, Equation 3].
        """
        reducible, served = self._reducible(loss), inference * INFER / TRAIN

        def is_large(n: float) -> bool:
            rest = reducible - self._of_size(n)
            return rest > 0 and self._slope(n) <= self.beta * rest * (1 + served * (rest / self.b) ** (1 / self.beta))

        n = least(is_large, STEPS)
        return n, self.tokens_for(n, loss)

    def _of_size(self, n: float) -> float:
        return float(sum(a / n**alpha for a, alpha in self.terms))

    def _slope(self, n: float) -> float:
        """Return how fast the terms in N fall, by the elasticity of the FLOPs in N."""
        routing = self.routing / n ** (1 / 3)
        return float(sum(alpha * a / n**alpha for a, alpha in self.terms) / (1 - routing / (1 + routing) / 3))

    def _path(self, n: float) -> float:
        return float((self.beta * self.b / self._slope(n)) ** (1 / self.beta))

    def _reducible(self, loss: float) -> float:
        if loss <= self.e:
            raise below_irreducible(loss, self.e)
        return float((loss - self.e) ** (1 / self.outer))


@record
class Repeated(PowerSum):
    """Loss as a function of effective parameters N' and effective tokens D' if U = ``unique`` tokens are repeated.

    ``D' = U + U·R_D·(1 - e^(-(D/U - 1)/R_D))``. N' has the same form if N exceeds the value for which U tokens are
    optimal [muennighoff2023, Equations 5 and 6].
    """

    r_d: float = 1.0
    r_n: float = 1.0
    unique: float = LARGEST

    def effective(self, n: float, d: float) -> tuple[float, float]:
        """Return the effective (N', D') pair."""
        unique = min(self.unique, d)
        best = min(n, self.parameters_on_path(unique))
        return effective_amount(n, best, self.r_n), effective_amount(d, unique, self.r_d)

    def parameters_on_path(self, d: float) -> float:
        """Return the number of parameters N for which D is optimal, from the only term in N."""
        ((a, alpha),) = self.terms
        return bounded((alpha * a / (self.beta * self.b) * d**self.beta) ** (1 / alpha))

    def loss(self, n: float, d: float) -> float:
        """Return the loss of a model with N parameters after D training tokens, including repeated tokens."""
        return super().loss(*self.effective(n, d))

    def optimum(self, c: float) -> tuple[float, float]:
        """Search for the (N, D) pair with the lowest loss for C FLOPs."""
        n, _ = super().optimum(c)
        n = minimiser(lambda size: self.loss(size, c / TRAIN / size), n / FAR, n * FAR)
        return n, c / TRAIN / n

    def tokens_for(self, n: float, loss: float) -> float:
        """Return the number of tokens D, including repetitions, after which a model with N parameters reaches a
        target loss.
        """
        reached = self.loss(n, LARGEST)
        if reached >= loss:
            message = f"{n:.4g} parameters on {self.unique:.4g} unique tokens never reach a loss below {reached:.4g}"
            raise InputError(message, parameter="loss", hint="use a higher loss, more parameters or more data")
        return least(lambda d: self.loss(n, d) <= loss, STEPS)

    def compute_for(self, loss: float) -> float:
        """Return the minimum compute C needed to reach a target loss on limited data, found by bisection."""
        if self.loss(*self.optimum(LARGEST)) >= loss:
            message = f"no amount of compute reaches a loss of {loss:g} on {self.unique:.4g} unique tokens"
            raise InputError(message, parameter="loss", hint="use a higher loss or more data")
        return least(lambda c: self.loss(*self.optimum(c)) <= loss, STEPS // 2)

    def lifetime(self, loss: float, inference: float) -> tuple[float, float]:
        """Raise an UnsupportedError because the law does not cover inference."""
        raise UnsupportedError("does not model inference on limited data")


def saturated(experts: float, start: float, most: float) -> float:
    """Return the effective expert count Ê, where ``1/Ê = 1/(E - 1 + 1/(1/start - 1/most)) + 1/most`` [clark2022].

    >>> saturated(1, 2.0732, 290.4521)
    2.0732
    """
    return round(1 / (1 / (experts - 1 + 1 / (1 / start - 1 / most)) + 1 / most), 12)


def sparse(of: Mapping[str, float], dense: float) -> PowerSum:
    """Return ``L = e + a/N^α + b/D^β + c/(1-S)^λ + d/((1-S)^δ·N^γ)``, where S is the sparsity and ``dense`` is 1 - S
    [abnar2025, Equation 6].
    """
    terms = (of["a"], of["alpha"]), (of["d"] / dense ** of["delta"], of["gamma"])
    return PowerSum(of["e"] + of["c"] / dense ** of["lambda"], terms, of["b"], of["beta"])


def granular(of: Mapping[str, float], granularity: float, experts: float, per_active: float) -> PowerSum:
    """Return ``L = c + (g/G^γ + a)/N^α + b/D^β`` for granularity G [krajewski2024, Equation 9].

    The FLOPs of routing are ``14·E·G·d / (6·12·d²)`` times the others [Equation 10], with 12·d³/64 active parameters.
    """
    width = (D_PER_BLOCK / (12 * per_active)) ** (1 / 3)  # d_model / N^(1/3)
    routing = ROUTING_FLOPS * experts * granularity / (EXPERT_FLOPS * 12 * width)
    terms = (of["g"] / granularity ** of["gamma"] + of["a"], of["alpha"])
    return PowerSum(of["c"], (terms,), of["b"], of["beta"], routing)


def joint(of: Mapping[str, float], experts: float) -> PowerSum:
    """Return ``L = a·Ê^δ·N^(α + γ·ln Ê) + b·Ê^ω·D^(β + ζ·ln Ê) + c`` for E experts [ludziejewski2025, Equation 6].

    The publication prints the exponents with a negative sign.
    """
    many = saturated(experts, of["e_start"], of["e_max"])
    alpha, beta = of["alpha"] + of["gamma"] * log(many), of["beta"] + of["zeta"] * log(many)
    return PowerSum(of["c"], ((of["a"] * many ** of["delta"], -alpha),), of["b"] * many ** of["omega"], -beta)


def effective_amount(amount: float, unique: float, rate: float) -> float:
    """Return the effective number of parameters or tokens if only ``unique`` of them are distinct.

    >>> round(effective_amount(4.0, 1.0, 15.387756), 2), effective_amount(1.0, 1.0, 15.387756)
    (3.73, 1.0)
    """
    return unique + unique * rate * (1 - exp(-(amount / unique - 1) / rate))


def below_irreducible(loss: float, irreducible: float) -> InputError:
    """Return the error of a target loss that no model reaches."""
    message = f"a loss of {loss:g} is not above the irreducible loss {irreducible:.4g}"
    return InputError(message, parameter="loss", hint="use a higher target loss")


def never_reached(n: float, lowest: float) -> InputError:
    """Return the error of a target loss below the lowest one of N parameters."""
    message = f"{n:.4g} parameters never reach a loss below {lowest:.4g}"
    return InputError(message, parameter="loss", hint="use a higher loss or more parameters")


def least(reaches: Callable[[float], bool], steps: int) -> float:
    """Return the smallest number for which ``reaches`` is true, found by bisection.

    Raise an InputError if it is out of range.
    """
    low, high = 1 / LARGEST, LARGEST
    for _ in range(steps):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return bounded(high)


def minimiser(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the positive minimiser of a function, found by grid search and golden-section search."""
    grid = [log(low) + (log(high) - log(low)) * at / GRID for at in range(GRID + 1)]
    best = min(range(GRID + 1), key=lambda at: function(exp(grid[at])))
    left, right = grid[max(best - 1, 0)], grid[min(best + 1, GRID)]
    for _ in range(SECTIONS):
        one, two = right - GOLDEN * (right - left), left + GOLDEN * (right - left)
        left, right = (left, two) if function(exp(one)) < function(exp(two)) else (one, right)
    return exp((left + right) / 2)


def power(base: float, exponent: float) -> float:
    """Return ``base^exponent``, or raise an InputError if the result is out of range."""
    try:
        return bounded(base**exponent)
    except OverflowError:
        return bounded(LARGEST * 2)


def bounded(value: float) -> float:
    """Return the value, or raise an InputError if it is out of range."""
    if not 1 / LARGEST < value < LARGEST:
        raise InputError("the result is out of range", hint="use less extreme values")
    return float(value)
