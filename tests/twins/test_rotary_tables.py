"""Rotary positions from a table of sines and cosines, and rotated values."""

from __future__ import annotations

import numpy as np

from llmcalc.core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from llmcalc.layers.attention import Attention
from llmcalc.layers.embedding import Embedding
from llmcalc.layers.parts.kv import Kv
from llmcalc.layers.parts.rope import Rope
from llmcalc.twins import twin
from llmcalc.twins.model import Model

WIDTH, HEADS, VOCAB, ROWS = 8, 2, 11, 7
HEAD = WIDTH // HEADS
IDS = np.array([[3, 7, 1, 9, 2]])


def _model(attention: Attention, *inputs: Named) -> Model:
    run = Run(Block("block", (Sublayer("attention", (Branch("attention", attention),)),)), 1)
    return twin(
        Architecture(
            "rotated", (Stack("decoder", WIDTH, (Named("token", Embedding(VOCAB, WIDTH)), *inputs), (run,), ()),)
        )
    )


def _sines_and_cosines() -> np.ndarray:
    angles = np.arange(ROWS)[:, None] / 10000.0 ** (2 * np.arange(HEAD // 2) / HEAD)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def test_table_of_angles_matches_the_rope_formula() -> None:
    attention = Attention(WIDTH, HEADS, rope=Rope(interleaved=True), kv=Kv(rope=True))
    plain = _model(attention)
    table = _model(attention, Named("angles", Embedding(ROWS, HEAD, table="position", use="angles")))
    table.tensors |= {**plain.tensors, "decoder.angles.w": _sines_and_cosines()}
    assert np.allclose(table.forward(IDS), plain.forward(IDS), atol=1e-12)
    table.tensors["decoder.angles.w"] = 0.5 * _sines_and_cosines()
    assert not np.allclose(table.forward(IDS), plain.forward(IDS))


def test_rotated_values_use_their_own_position() -> None:
    one = _model(Attention(WIDTH, HEADS, rope=Rope(), kv=Kv(rope=True), window=1))  # a token sees itself alone
    x = one.tensors["decoder.token.w"][IDS[0]]
    v = np.einsum("qd,dhe->qhe", x, one.tensors["decoder.blocks.0.attention.wv"])
    first, second = v[..., : HEAD // 2], v[..., HEAD // 2 :]
    angles = np.arange(len(x))[:, None, None] / 10000.0 ** (2 * np.arange(HEAD // 2) / HEAD)
    cos, sin = np.cos(angles), np.sin(angles)
    turned = np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    wanted = x + np.einsum("qhe,hed->qd", turned, one.tensors["decoder.blocks.0.attention.wo"])
    assert np.allclose(one.forward(IDS)[0], wanted, atol=1e-12)
