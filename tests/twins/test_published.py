"""Kinds that no library at hand has, against other algorithms for the equations that their authors published.

Hyena: the recurrence, the sum of a causal convolution, the network of its filters and their decay, as in its authors'
code (github.com/HazyResearch/safari, src/models/sequence/hyena.py). Experts by product keys: the search in two steps of
[he2024, Algorithm 1], as in github.com/lucidrains/PEER-pytorch, PEER.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from llmcalc.layers.hyena import Hyena
from llmcalc.twins import hyena
from llmcalc.twins.step import Step
from llmcalc.twins.weights import Weights
from llmcalc.zoo.research.layers.product_key_experts import ProductKeyExperts
from llmcalc.zoo.research.twins import product_key_experts

TEXTS, TOKENS, WIDTH = 2, 11, 5
ACTIVATIONS = {"silu": lambda u: u / (1 + math.exp(-u)), "relu": lambda u: max(u, 0.0)}


def drawn(module: Any, layer: Any) -> Weights:
    rng = np.random.default_rng(0)
    return Weights({weight.name: rng.standard_normal(weight.shape) for weight in module.weights(layer)})


def text() -> Any:
    return np.random.default_rng(1).standard_normal((TEXTS, TOKENS, WIDTH))


def summed(signal: Any, taps: Any) -> Any:
    """A causal convolution [t], term by term."""
    return np.array([sum(taps[s] * signal[t - s] for s in range(t + 1)) for t in range(len(signal))])


def filters(layer: Hyena, w: Weights) -> Any:
    """The taps [t m i], position by position."""
    found = np.zeros((TOKENS, layer.order - 1, WIDTH))
    slow, fast = math.log(100) / 1.5, math.log(100) / 0.3
    last = WIDTH * (layer.order - 1) - 1
    for t in range(TOKENS):
        f = np.sin(w.frequency * (w.position[t] @ w.f_in + w.f_in_b))
        for hidden, bias in zip(w.f_hidden, w.f_hidden_b, strict=True):
            f = np.sin(w.frequency * (f @ hidden + bias))
        for m, i in np.ndindex(layer.order - 1, WIDTH):
            rate = slow + (fast - slow) * (i * (layer.order - 1) + m) / last
            found[t, m, i] = f @ w.f_out[:, m, i] * math.exp(-rate * t / (layer.filter_length - 1))
    return found


@pytest.mark.parametrize("order", [2, 3, 4])
def test_hyena_is_gates_and_sums_over_the_past(order: int) -> None:
    layer = Hyena(WIDTH, 17, order, d_filter=7, d_position=6, d_conv=3)
    w, x = drawn(hyena, layer), text()
    found = hyena.forward(layer, w, x, Step(np.zeros((TEXTS, TOKENS), int)), None)
    long = filters(layer, w)
    for b in range(TEXTS):
        mixed = np.zeros((TOKENS, WIDTH))
        for i in range(WIDTH):
            streams = []
            for y in range(order + 1):
                u = x[b] @ w.win[:, y, i] + w.bin[y, i]
                streams.append(summed(u, np.pad(w.short[y, i, ::-1], (0, TOKENS - 3))) + w.short_b[y, i])
            *gates, v = streams
            for m, gate in enumerate(gates[:0:-1]):
                v = v * gate
                v = summed(v, long[:, m, i]) + v * w.f_bias[m, i]
            mixed[:, i] = v * gates[0]
        assert np.allclose(found[b], mixed @ w.wo + w.bo, rtol=0, atol=1e-9 * np.abs(found).max())


@pytest.mark.parametrize(("experts", "top_k", "activation"), [(25, 3, "silu"), (49, 7, "relu"), (53, 2, "silu")])
def test_product_key_experts_match_exhaustive_search(experts: int, top_k: int, activation: str) -> None:
    layer = ProductKeyExperts(WIDTH, experts, top_k, activation)
    w, x, keys = drawn(product_key_experts, layer), text(), math.isqrt(experts)
    found = product_key_experts.forward(layer, w, x, Step(np.zeros((TEXTS, TOKENS), int)), None)
    for b, q in np.ndindex(TEXTS, TOKENS):
        rows, columns = np.split(x[b, q] @ w.router, 2)
        best = [sorted(range(keys), key=lambda key: -scores[key])[:top_k] for scores in (rows, columns)]
        pairs = [(rows[r] + columns[c], r * keys + c) for r in best[0] for c in best[1]]
        chosen = sorted(pairs, reverse=True)[:top_k]
        shares = [math.exp(score) for score, _ in chosen]
        wanted = sum(
            share / sum(shares) * ACTIVATIONS[activation](float(x[b, q] @ w.down[expert])) * w.up[expert]
            for share, (_, expert) in zip(shares, chosen, strict=True)
        )
        assert np.allclose(found[b, q], wanted)
