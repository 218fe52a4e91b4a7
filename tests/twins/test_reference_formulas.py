"""Kinds of vision encoders and byte models, compared entry by entry with explicit formulas or masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from llmcalc.core.errors import SizeError, UnsupportedError
from llmcalc.layers.embedding import Embedding
from llmcalc.layers.linear import Linear
from llmcalc.layers.patch import Patch
from llmcalc.twins import linear, patch
from llmcalc.twins.step import Step
from llmcalc.twins.training import train_step, weighted_sum
from llmcalc.twins.weights import Weights
from llmcalc.zoo.audio.layers.context_attention import ContextAttention
from llmcalc.zoo.audio.layers.conv_module import ConvModule
from llmcalc.zoo.audio.twins import context_attention, conv_module
from llmcalc.zoo.research.layers.chunked_attention import ChunkedAttention
from llmcalc.zoo.research.layers.hash_embedding import HashEmbedding
from llmcalc.zoo.research.layers.patch_attention import PatchAttention
from llmcalc.zoo.research.twins import chunked_attention, hash_embedding, patch_attention
from llmcalc.zoo.vision.layers.grid_attention import GridAttention
from llmcalc.zoo.vision.layers.query_attention import QueryAttention
from llmcalc.zoo.vision.twins import grid_attention, query_attention

from .test_contract import BLT, NORM, VARIANTS, WIDTH, decoder

TOKENS = 11
STEP = 1e-6


def drawn(twin: Any, layer: Any, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return Weights({weight.name: weight.random(rng, 0.4) for weight in twin.weights(layer)})


def stream(tokens: int = TOKENS, width: int = WIDTH) -> Any:
    return np.random.default_rng(1).standard_normal((2, tokens, width))


def given(x: Any, **more: Any) -> Step:
    return Step(np.zeros(x.shape[:2], int), **more)


def softmax(scores: Any) -> Any:
    e = np.exp(scores - scores.max())
    return e / e.sum()


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


NAMES = [
    "chunks",
    "chunks on both sides",
    "chunks by hashes",
    "chunks by rounds of hashes",
    "hashes of three and of five tokens",
    "gated convolution",
    "gated convolution of chunks",
    "gated convolution with a norm",
    "gated convolution with another norm",
    "blocks of queries",
    "blocks of queries that see what is around them",
]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_a_kind_match_finite_differences(name: str) -> None:
    small = decoder(VARIANTS[name], pre=NORM)
    twin, rng = llmcalc.twin(small), np.random.default_rng(0)
    ids = rng.integers(3, 31, (1, 13))
    trained = train_step(twin, ids, targets=None)
    assert trained.gradients.keys() == twin.parameters.keys()
    direction = {name: rng.standard_normal(array.shape) for name, array in twin.parameters.items()}
    expected = sum(float(np.sum(trained.gradients[name] * direction[name])) for name in direction)

    def loss(step: float) -> float:
        moved = llmcalc.twin(small)
        moved.tensors.update({name: twin.tensors[name] + step * direction[name] for name in direction})
        return float(weighted_sum(moved.forward(ids)))

    assert np.isclose((loss(STEP) - loss(-STEP)) / (2 * STEP), expected, rtol=1e-4)


def test_chunked_attention_masks_all_but_two_chunks() -> None:
    layer = ChunkedAttention(WIDTH, 1, 5, 4)
    w, x = drawn(chunked_attention, layer), stream(12)
    found = chunked_attention.forward(layer, w, x, given(x), None)
    q, k, v = (x[0] @ getattr(w, f"w{name}")[:, 0] for name in "qkv")
    for at, seen in ((6, [0, 1, 2, 3, 4, 5, 6, 7]), (1, [8, 9, 10, 11, 0, 1, 2, 3])):  # before the first is the last
        wanted = softmax(k[seen] @ q[at] / np.sqrt(5)) @ v[seen] @ w.wo[0]
        assert np.allclose(found[0, at], wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rounds", [1, 2])
def test_tokens_with_equal_hashes_are_adjacent(rounds: int) -> None:
    layer = ChunkedAttention(WIDTH, 1, 5, 4, hashed=True, n_hashes=rounds, n_rotations=2, causal=True)
    w, x = drawn(chunked_attention, layer), stream(12)
    found = chunked_attention.forward(layer, w, x, given(x), None)
    q, v = x[0] @ w.wq[:, 0], x[0] @ w.wv[:, 0]
    k = q / np.linalg.norm(q, axis=-1, keepdims=True)
    turned = np.einsum("qe,enr->nqr", q, chunked_attention.planes(layer, 2)[0])
    order = [np.argsort(np.concatenate([some, -some], axis=-1).argmax(axis=-1), kind="stable") for some in turned]
    places = np.concatenate(order)
    for at in (5, 0):
        sums, weights = [], []
        for number in range(rounds):
            chunk = (12 * number + list(order[number]).index(at)) // 4
            near = [*places[4 * chunk - 4 :][:4], *places[4 * chunk :][:4]]
            seen = [place for place in near if place < at] or [at]
            scores = k[seen] @ q[at] if seen != [at] else np.array([-1e5])
            sums.append(softmax(scores) @ v[seen])
            weights.append(np.logaddexp.reduce(scores))
        wanted = softmax(np.array(weights)) @ np.array(sums) @ w.wo[0]
        assert np.allclose(found[0, at], wanted, rtol=0, atol=1e-5)


def normed(x: Any, scale: Any) -> Any:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5) * scale


def test_patch_queries_run_when_the_patch_is_complete() -> None:
    layer = PatchAttention(WIDTH, 1, n_vectors=2, patch=4)
    w, x = drawn(patch_attention, layer), stream()
    step = given(x)
    found = patch_attention.forward(layer, w, x, step, None)
    assert found.shape == (2, 3 * 2, WIDTH)  # bytes 0, 1 to 4, and 5 to 8; the last two wait
    assert found is step.vectors
    own = x[1, 5:9]
    z = own.max(axis=0) @ w.wp[:, 1]
    k, v = (normed(own, w.k_norm) @ getattr(w, f"w{name}")[:, 0] for name in "kv")
    q = normed(z, w.q_norm) @ w.wq[:, 0]
    wanted = softmax(k @ q / np.sqrt(WIDTH)) @ v @ w.wo[0] + 2 * z
    assert np.allclose(found[1, 5], wanted, rtol=0, atol=1e-12)


def test_bytes_attend_to_the_last_complete_patch() -> None:
    layer = PatchAttention(WIDTH, 1, n_vectors=2, patch=4, asks="tokens")
    w, x = drawn(patch_attention, layer), stream(9)
    vectors = np.random.default_rng(2).standard_normal((2, 6, WIDTH))
    found = patch_attention.forward(layer, w, x, given(x, source=vectors), None)
    for at, own in ((3, vectors[0, :2]), (4, vectors[0, 2:4]), (7, vectors[0, 2:4]), (8, vectors[0, 4:])):
        k, v = (normed(own, w.k_norm) @ getattr(w, f"w{name}")[:, 0] for name in "kv")
        q = normed(x[0, at], w.q_norm) @ w.wq[:, 0]
        wanted = softmax(k @ q / np.sqrt(WIDTH)) @ v @ w.wo[0] + 2 * x[0, at]
        assert np.allclose(found[0, at], wanted, rtol=0, atol=1e-12)


def test_decoding_bytes_after_their_patches() -> None:
    """With vectors of patches that are zero, bytes are seen as if one stack of bytes followed the other."""
    model = llmcalc.twin(llmcalc.load({"model_type": "blt", **BLT}).shrink())
    ids = np.random.default_rng(0).integers(3, 90, (1, 9))
    for name in model.tensors:
        if name.endswith(("vectors_out.w", "hashed.w")):
            model.tensors[name] = 0.0 * model.tensors[name]
        if name.endswith(("wo", "wd")):  # blocks that add nothing
            model.tensors[name] = 0.0 * model.tensors[name]
    x = 2 * 2 * model.tensors["local_encoder.token.w"][ids]  # that looks at them adds it to itself, in two blocks
    x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + model.architecture.main.outputs[0].layer.eps)
    wanted = x * model.tensors["local_decoder.norm.w"] @ model.tensors["local_decoder.head.w"].T
    assert np.allclose(model.forward(ids), wanted, rtol=0, atol=1e-9)


def test_reversible_blocks_alternate_two_streams() -> None:
    parts = tuple(Sublayer(name, (Branch(name, Linear(WIDTH, WIDTH, bias=False)),)) for name in ("one", "two"))
    run = Run(Block("block", parts), 2)
    stack = Stack("decoder", WIDTH, (Named("token", Embedding(31, WIDTH)),), (run,), (), reversible=True)
    model, ids = llmcalc.twin(Architecture("turns", (stack,))), np.array([[3, 7, 1]])
    first = second = model.tensors["decoder.token.w"][ids]
    for block in range(2):
        one, two = (model.tensors[f"decoder.blocks.{block}.{name}.w"] for name in ("one", "two"))
        first = first + second @ one
        second = second + first @ two
    assert np.allclose(model.forward(ids), np.concatenate([first, second], axis=-1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("chunk", [None, 4])
def test_a_gated_convolution_is_a_sum_over_taps(causal: bool, chunk: int | None) -> None:
    layer = ConvModule(WIDTH, 5, 7, norm="batchnorm", conv_bias=True, causal=causal, chunk=chunk)
    w, x = drawn(conv_module, layer), stream()
    found = conv_module.forward(layer, w, x, given(x), None)
    u = x @ w.wv * sigmoid(x @ w.wg)
    first, at = (-4 if causal else -2), 6
    begin, end = (0, TOKENS) if chunk is None else (4, 8)
    taken = [(tap, at + first + tap) for tap in range(5) if begin <= at + first + tap < end]
    z = sum(u[:, place] * w.conv[:, tap] for tap, place in taken) + w.conv_b
    z = (z - w.mean) / np.sqrt(w.variance + 1e-5) * w.norm + w.norm_b
    assert np.allclose(found[:, at], (z * sigmoid(z)) @ w.wo, rtol=0, atol=1e-12)


def test_block_attention_masks_all_but_adjacent_blocks() -> None:
    layer = ContextAttention(WIDTH, 1, 4, 3, 2, positions="table", n_distances=9)
    w, x = drawn(context_attention, layer), stream()
    found = context_attention.forward(layer, w, x, given(x), None)
    q, k, v = (x[0] @ getattr(w, f"w{name}")[:, 0] for name in "qkv")
    for at, seen in ((5, range(1, 10)), (10, range(5, 11))):
        near = [w.relative[np.clip(at - place, -4, 4) + 4] for place in seen]
        scores = np.array([q[at] @ (k[place] + r) for place, r in zip(seen, near, strict=True)]) / np.sqrt(WIDTH)
        assert np.allclose(found[0, at], softmax(scores) @ v[list(seen)] @ w.wo[0], rtol=0, atol=1e-12)


def test_local_attention_window() -> None:
    layer = ContextAttention(WIDTH, 1, 4, 3, 2, behind=2, ahead=1, softcap=0.7, per_channel=True, key_scale=1.3)
    w, x = drawn(context_attention, layer), stream()
    found = context_attention.forward(layer, w, x, given(x), None)
    q, k, v = (x[0] @ getattr(w, f"w{name}")[:, 0] for name in "qkv")
    q = q * np.log1p(np.exp(w.q_scale)) / np.log(2)
    scores = 0.7 * np.tanh(1.3 * k[4:8] @ q[6] / np.sqrt(WIDTH) / 0.7)
    assert np.allclose(found[0, 6], softmax(scores) @ v[4:8] @ w.wo[0], rtol=0, atol=1e-12)


def test_grouped_matrices_are_blocks_of_one_matrix() -> None:
    layer = Linear(WIDTH, 9, groups=3)
    w, x = drawn(linear, layer), stream()
    whole, (rows, columns) = np.zeros((WIDTH, 9)), (WIDTH // 3, 3)
    for group in range(3):
        whole[group * rows : (group + 1) * rows, group * columns : (group + 1) * columns] = w.w[group]
    found = linear.forward(layer, w, x, given(x), None)
    assert np.allclose(found, x @ whole + w.b.reshape(-1), rtol=0, atol=1e-12)


def test_shared_queries_run_once() -> None:
    fixed = ContextAttention(WIDTH, 3, 4, bias=True, fixed=True)
    plain = ContextAttention(WIDTH, 3, 4, bias=True)
    w, x = drawn(context_attention, fixed), np.tile(stream(4)[:1], (2, 3, 1))
    found = context_attention.forward(fixed, w, x, given(x), None)
    assert np.allclose(found, context_attention.forward(plain, w, x, given(x), None), rtol=0, atol=1e-12)
    with pytest.raises(UnsupportedError, match="must have the same queries"):
        context_attention.forward(fixed, w, stream(12), given(stream(12)), None)


@pytest.mark.parametrize("fixed", [True, False])
def test_query_blocks_attend_to_parts_of_a_source(fixed: bool) -> None:
    layer = ContextAttention(WIDTH, 1, 2, d_source=5, n_source=3, fixed=fixed)
    w, x = drawn(context_attention, layer), np.tile(stream(2)[:1], (2, 4, 1))
    source = np.random.default_rng(2).standard_normal((2, 11, 5))
    found = context_attention.forward(layer, w, x, given(x, source=source), None)
    k, v = (np.concatenate([source[1], np.zeros((1, 5))]) @ getattr(w, f"w{name}")[:, 0] for name in "kv")
    scores = k[9:12] @ (x[1, 7] @ w.wq[:, 0]) / np.sqrt(WIDTH)
    assert np.allclose(found[1, 7], softmax(scores) @ v[9:12] @ w.wo[0], rtol=0, atol=1e-12)
    with pytest.raises(UnsupportedError, match="3 vectors for each of 4 blocks"):
        context_attention.forward(layer, w, x, given(x, source=source[:, :9]), None)


def test_patches_attend_within_their_window() -> None:
    layer = GridAttention(WIDTH, 1, 8, 3)
    w, x = drawn(grid_attention, layer), stream(64)
    found = grid_attention.forward(layer, w, x, given(x, grid=(8, 8)), None)
    image = np.zeros((9, 9, WIDTH))
    image[:8, :8] = x[0].reshape(8, 8, WIDTH)
    at, places = (5, 7), [(row, column) for row in (3, 4, 5) for column in (6, 7, 8)]
    q = image[at] @ w.wq[:, 0] + w.bq[0]
    k, v = (np.array([image[p] @ getattr(w, f"w{n}")[:, 0] + getattr(w, f"b{n}")[0] for p in places]) for n in "kv")
    apart = [q @ (w.rows[at[0] - row + 2] + w.columns[at[1] - column + 2]) for row, column in places]
    wanted = softmax(k @ q / np.sqrt(WIDTH) + apart) @ v @ w.wo[0] + w.bo
    assert np.allclose(found[0, 8 * 5 + 7], wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("side", "stride"), [(1, 1), (3, 1), (3, 2), (2, 2)])
def test_a_convolution_over_a_grid_is_a_sum_over_taps(side: int, stride: int) -> None:
    layer = Patch(WIDTH, side, 5, merge=stride**2, stride=stride)
    w, x = drawn(patch, layer), stream(24)
    step = given(x, grid=(4, 6))
    found = patch.forward(layer, w, x, step, None).reshape(2, 4 // stride, 6 // stride, 5)
    assert (step.grid, step.n_merged) == ((4 // stride, 6 // stride), stride**2)
    image, before = x.reshape(2, 4, 6, WIDTH), {1: 0, 2: 0, 3: 1}[side]
    for row, column in ((0, 0), (4 // stride - 1, 6 // stride - 1)):
        wanted = w.b.copy()
        for i, j in np.ndindex(side, side):
            y, z = row * stride + i - before, column * stride + j - before
            if 0 <= y < 4 and 0 <= z < 6:
                wanted = wanted + w.w[:, :, i, j] @ image[1, y, z]
        assert np.allclose(found[1, row, column], wanted, rtol=0, atol=1e-12)


def test_mean_of_a_window_is_its_query() -> None:
    layer = QueryAttention(WIDTH, 2, 1, 4, None, 1, 5, d_out=7, bias=True)
    w, x = drawn(query_attention, layer), stream(24)
    found = query_attention.forward(layer, w, x, given(x, grid=(4, 6)), None)
    own = x[1, [14, 15, 20, 21]]  # rows 2 and 3, columns 2 and 3 of the grid
    k, v = (own @ getattr(w, f"w{name}")[:, 0] + getattr(w, f"b{name}")[0] for name in "kv")
    q = np.einsum("d,dhe->he", own.mean(axis=0), w.wq) + w.bq
    wanted = sum(softmax(k @ q[head] / np.sqrt(5)) @ v @ w.wo[head] for head in range(2)) + w.bo
    assert np.allclose(found[1, 4], wanted, rtol=0, atol=1e-12)


def test_bytes_with_equal_hashes_share_a_row() -> None:
    layer = HashEmbedding(10**4, 5, 2, 1, "1 3")
    w, ids = drawn(hash_embedding, layer), np.array([[7, 8, 9, 7, 8, 9, 9]])
    found = hash_embedding.forward(layer, w, np.zeros((1, 7, 5)), Step(ids), None)[0]
    assert np.allclose(found[2], found[5])
    assert np.allclose(found[0], w.w[7 % 10**4] + w.w[10**4 + 7 * (10**9 + 7) ** 2 % 2**64 % 10**4])
    assert len({tuple(row) for row in found.round(9)}) == 6


def test_hashed_token_counts_are_integers() -> None:
    for wrong in ("3", "3 0", "3 x", "3 4 5"):
        with pytest.raises(SizeError, match="lengths is"):
            HashEmbedding(11, 5, 2, lengths=wrong)
