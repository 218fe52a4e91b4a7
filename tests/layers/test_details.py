"""Details of single kinds that totals do not show: checks, distances, merged patches, frames."""

from __future__ import annotations

from typing import Any

import pytest

from llmcalc.core.equation import read
from llmcalc.core.errors import InputError
from llmcalc.layers import CompressedAttention
from llmcalc.layers.attention import Attention
from llmcalc.layers.delta_rule import Kda
from llmcalc.layers.hyper_connection import HyperConnection
from llmcalc.layers.mlp import Mlp
from llmcalc.layers.moe import Moe
from llmcalc.layers.parts.cross import Cross
from llmcalc.layers.parts.frames import Frames
from llmcalc.layers.parts.kv import Kv
from llmcalc.layers.parts.rope import Rope
from llmcalc.layers.patch import Patch
from llmcalc.testing import smallest
from llmcalc.zoo.document.layers.box_attention import BoxAttention
from llmcalc.zoo.document.layers.box_embedding import BoxEmbedding
from llmcalc.zoo.document.layers.layoutlm_attention import LayoutLmAttention
from llmcalc.zoo.research.layers.character_attention import CharacterAttention
from llmcalc.zoo.vision.layers.grid_attention import GridAttention

WIDTH = 30


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"rope": Rope(), "cross": Cross(), "causal": False},
        {"rope": Rope(), "kv": Kv(reused=True, rope=True)},
    ],
    ids=repr,
)
def test_rotated_values_need_rotary_positions_and_a_value_projection(fields: dict[str, Any]) -> None:
    rotated = Kv(rope=True)
    assert Attention(WIDTH, 3, rope=Rope(), kv=rotated).kv == rotated
    with pytest.raises(InputError, match=r"kv.rope requires rope"):
        Attention(WIDTH, 3, **{"kv": rotated, **fields})


@pytest.mark.parametrize("kind", [LayoutLmAttention, BoxAttention])
def test_attention_on_a_page_is_bidirectional(kind: type[Attention]) -> None:
    assert not kind(WIDTH, 3, causal=False).causal
    with pytest.raises(InputError):
        kind(WIDTH, 3, causal=True)


def test_chunk_and_merge_are_mutually_exclusive() -> None:
    with pytest.raises(InputError, match="chunk and merge"):
        CharacterAttention(WIDTH, 3, chunk=7, merge=2)
    assert CharacterAttention(WIDTH, 3, merge=2).merge == 2


@pytest.mark.parametrize(("window", "side"), [(None, 11), (5, 5)])
def test_grid_attention_has_a_bias_per_distance(window: int | None, side: int) -> None:
    tables = GridAttention(WIDTH, 3, 11, window).declare()
    assert tables.axes["rp"] == 2 * side - 1
    assert tables.axes["kg"] == f"min(q, 1) * {side * side}"


@pytest.mark.parametrize(("merge", "rows"), [(1, None), (2, "ceil(q, 2)"), (3, "ceil(q, 3)")])
def test_merged_patches_reduce_the_rows(merge: int, rows: str | None) -> None:
    assert Patch(3, 5, WIDTH, merge=merge).declare().axes.get("q") == rows


@pytest.mark.parametrize(("reach", "heard"), [(1, "a"), (2, "max(0, a - 1)"), (3, "max(0, a - 2)")])
def test_output_frames_without_padding(reach: int, heard: str) -> None:
    assert Frames(1, reach=reach).positions() == heard


def test_derived_sizes() -> None:
    """Three streams are read, written and mixed; a box has four edges and two sizes; one filter for q, k, v."""
    assert HyperConnection(WIDTH, 3).declare().axes["hr"] == 3 + 3 + 3 * 3
    assert BoxEmbedding(101, 7, 5).declare().axes["d"] == 4 * 7 + 2 * 5
    assert Kda(WIDTH, 5, 7).declare().axes["X"] == 3 * 5 * 7


def test_global_tokens_pass_through_the_same_equations() -> None:
    own, both = (Mlp(WIDTH, 11, gated=True, sequence=sequence).declare().lines for sequence in (None, {"n_global": 7}))
    assert both == [*own, *(line.replace("x[b q", "globals[b q").replace("b q", "b gt") for line in own)]


def test_tokens_of_an_incomplete_group_keep_keys_and_gates_of_one_size() -> None:
    layer = CompressedAttention(**smallest("compressed_attention"), rate=5)
    states = {state.name: state.axes for state in layer.declare().states}
    assert states["pending_kv"] == states["pending_gate"]


@pytest.mark.parametrize("late", [False, True])
def test_a_clamp_bounds_the_gate_and_the_up_projection(late: bool) -> None:
    bounds = {"clamp": 7.0, "clamp_late": late}
    dense = Mlp(WIDTH, 11, "silu", gated=True, bounds=bounds)
    for layer in (dense, Moe(WIDTH, 11, 5, 2, activation="silu", gated=True, bounds=bounds)):
        clamped = [line.out.name for line in map(read, layer.declare().lines) if line.function == "clamp"]
        assert sorted(clamped) == (["a", "u"] if late else ["g", "u"])
