"""What each part of a layer adds to the declaration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmcalc.layers import (
    Bounds,
    Embedding,
    Frames,
    Head,
    Ids,
    InputRows,
    Linear,
    LogitScale,
    Lora,
    Mlp,
    Norm,
    Padding,
    ResidualStream,
    SequenceRows,
    Sphere,
)

GATED = Mlp(7, 11, "silu", gated=True)
LINEAR = Linear(7, 5, bias=False)

ADDED: dict[str, tuple[Any, dict[str, Any], str, list[str]]] = {  # layer, part, added tensors, added equations
    "bounds": (
        GATED,
        {"bounds": Bounds(1.0, up_softcap=2.0)},
        "",
        ["g[b q f] = clamp(g)", "u[b q f] = clamp(u)", "u[b q f] = softcap(u)"],
    ),
    "a late clamp": (
        GATED,
        {"bounds": Bounds(1.0, clamp_late=True)},
        "",
        ["a[b q f] = clamp(a)", "u[b q f] = clamp(u)"],
    ),
    "lora": (
        GATED,
        {"lora": Lora(3, 2)},
        "w_a: na d ar, wg_b: na ar f, wu_b: na ar f",
        [
            "ga[b q ar] = x[b q d] w_a[d ar]",
            "gl[b q f] = ga[b q ar] wg_b[ar f]",
            "g[b q f] = add(g, gl)",
            "ul[b q f] = ga[b q ar] wu_b[ar f]",
            "u[b q f] = add(u, ul)",
        ],
    ),
    "sphere": (
        GATED,
        {"sphere": Sphere()},
        "scale_g: f, scale_u: f",
        ["g[b q f] = mul(g, scale_g)", "u[b q f] = mul(u, scale_u)", "m[b q f] = l2norm(m)"],
    ),
    "logit_scale": (
        Head(11, 7),
        {"logit_scale": LogitScale()},
        "scale: V",
        ["logits[b o V] = mul(logits, scale)"],
    ),
    "two edges": (
        Embedding(11, 7, "position"),
        {"ids": Ids(edges="left_right")},
        "",
        ["z[b q d] = gather(w, ids)", "y[b q d] = add(y, z)"],
    ),
    "one edge": (Embedding(11, 7, "position"), {"ids": Ids(edges="height")}, "", []),
    "a new stream": (
        LINEAR,
        {"residual_stream": ResidualStream(1)},
        "",
        ["y[b q out] = rescaled(y, x[b q out])", "stream[b q out] = copy(x[b q out])"],
    ),
}


@pytest.mark.parametrize("name", ADDED)
def test_a_part_adds_tensors_and_equations(name: str) -> None:
    layer, part, tensors, lines = ADDED[name]
    plain, declared = layer.declare(), replace(layer, **part).declare()
    assert [line for line in declared.lines if line not in plain.lines] == lines
    added = [tensor for tensor in declared.tensors if tensor not in plain.tensors]
    assert ", ".join(f"{tensor.name}: {' '.join(tensor.axes)}" for tensor in added) == tensors


@pytest.mark.parametrize(
    ("merge", "rows", "expected"),
    [
        (1, {"n_latents": 5}, "min(q, 1) * 5"),
        (1, {"n_positions": 5}, 5),
        (1, {"prompt": 5}, "q + max(0, 1 - c) * min(q, 1) * pt"),
        (1, {"streams": 5}, "q * ms"),
        (4, {}, "ceil(q + 0, 4)"),
        (4, {"merge_extra": True}, "ceil(q + 3, 4)"),
        (4, {"merge_whole": True}, "ceil(max(0, q - 3), 4)"),
    ],
)
def test_rows_of_a_norm_and_of_a_feed_forward_layer(merge: int, rows: dict[str, Any], expected: object) -> None:
    for layer in (Norm(7, merge=merge, sequence=SequenceRows(**rows)), replace(GATED, merge=merge, sequence=rows)):
        assert layer.declare().axes["q"] == expected


def test_global_tokens_have_equations_of_their_own() -> None:
    rows = SequenceRows(n_global=3, globals_dropped=True)
    plain = replace(GATED).declare().lines
    lines = replace(GATED, sequence=rows).declare().lines
    assert lines[: len(plain)] == plain
    assert lines[len(plain)] == "g[b gt f] = globals[b gt d] wg[d f] | nograd"
    assert Norm(7, sequence=rows).declare().lines[-1] == "yg[b gt d] = rmsnorm(globals, w) | nograd"


@pytest.mark.parametrize(
    ("rows", "axis", "expected"),
    [
        ({"sequence": InputRows(n_latents=5)}, "q", "min(q, 1) * 5"),
        ({"sequence": InputRows(prompt=5)}, "pt", 5),
        ({"merge": 4}, "qg", "ceil(q, 4)"),
        ({"merge": 4, "sequence": InputRows(merge_whole=True)}, "qg", "ceil(max(0, q - 3), 4)"),
        ({"frames": Frames(1)}, "qs", "a"),
        ({"frames": Frames(2)}, "qs", "ceil(a, 2)"),
        ({"frames": Frames(8, 100)}, "qs", "ceil(min(a, 100), 8) * ceil(a, 100)"),
        ({"frames": Frames(20, reach=50)}, "qs", "ceil(max(0, a - 49), 20)"),
    ],
)
def test_rows_of_a_projection(rows: dict[str, Any], axis: str, expected: object) -> None:
    assert replace(LINEAR, **rows).declare().axes[axis] == expected


@pytest.mark.parametrize(
    ("padding", "expected"),
    [(Padding(16), "q + (ceil(q, Z) * Z - q)"), (Padding(16, 64), "q + min(1, max(0, q - 64)) * (ceil(q, Z) * Z - q)")],
)
def test_implementations_pad_the_tokens(padding: Padding, expected: str) -> None:
    declared = replace(GATED, padding=padding).declare()
    assert (declared.axes["Z"], declared.as_torch["q"]) == (16, expected)
