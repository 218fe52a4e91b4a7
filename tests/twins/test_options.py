"""The parts of feed-forward, state-space and output layers, compared with explicit formulas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llmcalc.layers import (
    Bounds,
    Head,
    InnerNorm,
    LogitRows,
    LogitScale,
    Mamba2,
    MaskedLogits,
    Mlp,
    MlpMultipliers,
    Sphere,
    SsmMultipliers,
    TimeStep,
)
from llmcalc.twins import head, mamba2, mlp
from llmcalc.twins.weights import Weights

from .test_contract import WIDTH
from .test_reference_formulas import given, sigmoid, stream

GATED = Mlp(WIDTH, 7, "silu", gated=True)
SSM = Mamba2(WIDTH, 3, 5, 4, chunk=4)


def drawn(twin: Any, layer: Any, **changes: Any) -> Weights:
    """Random weights, of which some are multiplied by a number or replaced by an array."""
    rng = np.random.default_rng(0)
    arrays = {weight.name: weight.random(rng, 0.4) for weight in twin.weights(layer)}
    scaled = {name: arrays[name] * value if isinstance(value, float) else value for name, value in changes.items()}
    return Weights(arrays | scaled)


def run(twin: Any, layer: Any, w: Any) -> Any:
    return twin.forward(layer, w, stream(), given(stream()), None)


def silu(x: Any) -> Any:
    return x * sigmoid(x)


def unit(x: Any) -> Any:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


HIDDEN = {  # a part of a gated layer, and the hidden values for the gate and the up-projection
    "clamp": ({"bounds": Bounds(0.3)}, lambda g, u: silu(np.minimum(g, 0.3)) * np.clip(u, -0.3, 0.3)),
    "clamp after the activation": (
        {"bounds": Bounds(0.1, clamp_late=True)},
        lambda g, u: np.minimum(silu(g), 0.1) * np.clip(u, -0.1, 0.1),
    ),
    "offset": ({"bounds": Bounds(up_offset=1.5)}, lambda g, u: silu(g) * (u + 1.5)),
    "soft cap": ({"bounds": Bounds(up_softcap=0.5)}, lambda g, u: silu(g) * 0.5 * np.tanh(u / 0.5)),
    "factors": ({"multipliers": MlpMultipliers(0.3, 0.7)}, lambda g, u: 0.7 * silu(0.3 * g) * u),
    "sphere": ({"sphere": Sphere(1.7)}, lambda g, u: unit(silu(1.7 * g) * 1.7 * u)),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_part_changes_the_hidden_values(name: str) -> None:
    parts, hidden = HIDDEN[name]
    layer, x = replace(GATED, **parts), stream()
    w = drawn(mlp, layer, **dict.fromkeys(("scale_g", "scale_u") if layer.sphere else (), np.ones(7)))
    assert np.allclose(run(mlp, layer, w), hidden(x @ w.wg, x @ w.wu) @ w.wd)
    assert not np.allclose(run(mlp, layer, w), run(mlp, GATED, w))


def test_the_inner_norm_is_over_the_hidden_values() -> None:
    layer, x = replace(GATED, inner_norm=InnerNorm("layernorm", 0.1)), stream()
    w = drawn(mlp, layer)
    hidden = silu(x @ w.wg) * (x @ w.wu)
    centred = hidden - hidden.mean(axis=-1, keepdims=True)
    normed = centred / np.sqrt(hidden.var(axis=-1, keepdims=True) + 0.1) * w.norm + w.norm_b
    assert np.allclose(run(mlp, layer, w), normed @ w.wd)


@pytest.mark.parametrize(
    ("factors", "weights"),
    [
        (SsmMultipliers(x=0.3), {"wx": 0.3}),
        (SsmMultipliers(z=0.3), {"wz": 0.3}),
        (SsmMultipliers(B=0.3), {"w_B": 0.3}),
        (SsmMultipliers(C=0.3), {"w_C": 0.3}),
        (SsmMultipliers(dt=0.3), {"w_dt": 0.3}),
        (SsmMultipliers(output=0.3), {"wo": 0.3}),
        (SsmMultipliers(0.3), dict.fromkeys(("wx", "wz", "w_B", "w_C", "w_dt"), 0.3)),
    ],
)
def test_a_factor_scales_a_projection(factors: SsmMultipliers, weights: dict[str, float]) -> None:
    w = drawn(mamba2, SSM)
    found = run(mamba2, replace(SSM, multipliers=factors), w)
    assert np.allclose(found, run(mamba2, SSM, drawn(mamba2, SSM, **weights)))
    assert not np.allclose(found, run(mamba2, SSM, w))


def test_the_time_step_is_clamped_after_its_softplus() -> None:
    w = drawn(mamba2, SSM)
    constant = drawn(mamba2, SSM, w_dt=0.0, dt_b=np.log(np.expm1(np.full(3, 0.2))))
    assert np.allclose(run(mamba2, replace(SSM, time_step=TimeStep(0.2, 0.2)), w), run(mamba2, SSM, constant))
    for bounds in (TimeStep(0.2), TimeStep(most=0.5)):
        assert "dt[b q H] = clamp(dt)" in replace(SSM, time_step=bounds).declare().lines
    assert "dt[b q H] = clamp(dt)" not in SSM.declare().lines


def test_masked_logits_are_never_the_largest() -> None:
    layer = Head(11, WIDTH, masked=MaskedLogits(3, first=2), logit_scale=LogitScale(0.5))
    w = drawn(head, layer)
    logits, expected = run(head, layer, w), stream() @ w.w.T * 0.5 * w.scale
    kept = [entry for entry in range(11) if entry not in (2, 3, 4)]
    assert np.allclose(logits[..., kept], expected[..., kept])
    assert logits[..., 2:5].max() < -1e300


def test_logits_of_every_copy_are_declared() -> None:
    axes = Head(11, WIDTH, sequence=LogitRows(streams=3)).declare().axes
    assert (axes["ms"], axes["o"]) == (3, "o * ms")
    assert Head(11, WIDTH, sequence=LogitRows(9)).declare().axes["o"] == 9
