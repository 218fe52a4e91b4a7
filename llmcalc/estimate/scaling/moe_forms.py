"""Forms of scaling laws for mixtures of experts: one more size decides, and fixing it gives a law of N and D."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, log10

from ...core.record import record
from .forms import Form, Surface


@record
class Routed(Form):
    """``log L = a·log N + b·log Ê + c·log N·log Ê + d``, logarithms to the base 10, for a fixed number of tokens
    [clark2022, Equation 1].
    """

    a: float
    b: float
    c: float
    d: float
    experts: float

    def loss(self, n: float, d: float) -> float:
        """Loss of a model whose active part is N; D is that of the fit."""
        size, routed = log10(n), log10(self.experts)
        return float(10 ** (self.a * size + self.b * routed + self.c * size * routed + self.d))


@record
class Sparse(Form):
    """``L = e + a/N^α + b/D^β + c/(1-S)^λ + d/((1-S)^δ·N^γ)`` with N total parameters and the sparsity S
    [abnar2025, Equation 6].
    """

    constants: Mapping[str, float]
    dense: float

    def loss(self, n: float, d: float) -> float:
        """Loss of N total parameters after D tokens."""
        of, dense = self.constants, self.dense
        routed = of["c"] / dense ** of["lambda"] + of["d"] / (dense ** of["delta"] * n ** of["gamma"])
        return float(of["e"] + of["a"] / n ** of["alpha"] + of["b"] / d ** of["beta"] + routed)


def saturated(experts: float, start: float, most: float) -> float:
    """Ê, which grows with E and saturates: ``1/Ê = 1/(E - 1 + 1/(1/start - 1/most)) + 1/most`` [clark2022].

    >>> saturated(1, 2.0732, 290.4521)
    2.0732
    """
    return round(1 / (1 / (experts - 1 + 1 / (1 / start - 1 / most)) + 1 / most), 12)


def granular(of: Mapping[str, float], granularity: float) -> Surface:
    """``L = c + (g/G^γ + a)/N^α + b/D^β`` at a granularity G [krajewski2024, Equation 9]."""
    a = of["g"] / granularity ** of["gamma"] + of["a"]
    return Surface(of["c"], a, of["alpha"], of["b"], of["beta"])


def joint(of: Mapping[str, float], experts: float) -> Surface:
    """``L = a·Ê^δ·N^(α + γ·ln Ê) + b·Ê^ω·D^(β + ζ·ln Ê) + c`` for E experts [ludziejewski2025, Equation 6].

    The exponents are printed with their negative sign.
    """
    many = saturated(experts, of["e_start"], of["e_max"])
    alpha, beta = of["alpha"] + of["gamma"] * log(many), of["beta"] + of["zeta"] * log(many)
    return Surface(of["c"], of["a"] * many ** of["delta"], -alpha, of["b"] * many ** of["omega"], -beta)
