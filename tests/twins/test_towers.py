"""Stacks without tokens: vision encoders on patches, and audio encoders on frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.core.architecture import Architecture, Named, Stack
from llmcalc.core.errors import InputError, UnsupportedError
from llmcalc.core.shrink import SEQ
from llmcalc.core.shrink_tower import grid_of
from llmcalc.layers.attention import Attention
from llmcalc.layers.conv import Conv
from llmcalc.layers.embedding import Embedding
from llmcalc.layers.features import Features
from llmcalc.layers.linear import Linear
from llmcalc.layers.norm import Norm
from llmcalc.layers.parts.rope import Rope
from llmcalc.layers.parts.sequence import InputRows, SequenceRows
from llmcalc.layers.patch import Patch
from llmcalc.twins import grid
from llmcalc.twins.conv import forward as convolve
from llmcalc.twins.model import Model
from llmcalc.twins.step import Step
from llmcalc.twins.training import tower_step, train_step, weighted_sum
from llmcalc.twins.weights import Weights
from llmcalc.verification import verify
from llmcalc.zoo.research.layers.injection import Injection

WIDTH, CHANNELS, SIDE = 12, 3, 5
STEP = 1e-6
SIGLIP = {"vision_config": {"model_type": "siglip_vision_model", "vision_use_head": False}}
SEEING: dict[str, dict[str, Any]] = {
    "llava": {"vision_feature_layer": -1},
    "vipllava": {},
    "paligemma": SIGLIP,
    "gemma3": {**SIGLIP, "mm_tokens_per_image": 256},
    "mistral3": {},
    "idefics3": {},
    "internvl": {},
    "qwen2_vl": {},
    "qwen2_5_vl": {},
    "qwen3_vl": {"vision_config": {"deepstack_visual_indexes": [5, 11]}},
    "git": {},
    "got_ocr2": {},
    "blip-2": {},
    "instructblip": {},
    "step3p7": {},
}


@pytest.mark.parametrize("model_type", SEEING)
def test_a_tower_matches_its_declaration(model_type: str) -> None:
    result = verify(llmcalc.load({"model_type": model_type, **SEEING[model_type]}))
    assert any(stack.role == "tower" for stack in result.small.stacks)
    assert [check for check in result.checks if not check.ok] == []


@pytest.mark.parametrize(
    "model_type", ["llama4", "mllama", "llava_next", "kimi_k25", "gemma4", "minimax_m3_vl", "minicpmv4_6"]
)
def test_unmodelled_towers_are_omitted(model_type: str) -> None:
    whole = llmcalc.load({"model_type": model_type, "vision_config": {}})
    assert any(stack.role == "tower" for stack in whole.stacks)
    assert all(stack.role != "tower" for stack in verify(whole).small.stacks)


def moved(model: Model, direction: dict[str, Any], step: float) -> Model:
    other = llmcalc.twin(model.architecture)
    other.tensors.update({name: model.tensors[name] + step * direction[name] for name in direction})
    return other


@pytest.mark.parametrize("model_type", ["llava", "qwen2_5_vl", "qwen3_vl", "mistral3", "got_ocr2", "blip-2", "step3p7"])
def test_gradients_of_a_tower_match_finite_differences(model_type: str) -> None:
    small = llmcalc.load({"model_type": model_type, **SEEING[model_type]}).shrink()
    model, grid = llmcalc.twin(small), grid_of(small.stacks)
    rng = np.random.default_rng(0)
    towers = [stack for stack in model.stacks if stack.stack.role == "tower"]
    pixels = rng.standard_normal((1, *(towers[0].input_shape(grid[0] * grid[1]) or ())))
    trained = tower_step(model, pixels, grid)
    own = {name for name in model.parameters if name.startswith(tuple(f"{tower.stack.name}." for tower in towers))}
    unread = {name for name in own - trained.gradients.keys() if not name.startswith("vision.post_norm.")}
    assert (unread, trained.gradients.keys() - own) == (set(), set())
    direction = {name: rng.standard_normal(model.tensors[name].shape) for name in trained.gradients}
    expected = sum(float(np.sum(trained.gradients[name] * direction[name])) for name in direction)

    def loss(step: float) -> float:
        return float(sum(map(weighted_sum, moved(model, direction, step).see(pixels, grid))))

    assert np.isclose((loss(STEP) - loss(-STEP)) / (2 * STEP), expected, rtol=1e-4)


@pytest.mark.parametrize("model_type", ["whisper", "speech_to_text", "moonshine"])
def test_gradients_of_an_audio_encoder_match_finite_differences(model_type: str) -> None:
    model = llmcalc.twin(llmcalc.load({"model_type": model_type}).shrink())
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((1, *(model.stacks[0].input_shape(SEQ) or ())))
    ids = rng.integers(3, 90, (1, SEQ))
    trained = train_step(model, frames, ids, targets=None)
    assert trained.gradients.keys() == model.parameters.keys()
    direction = {name: rng.standard_normal(array.shape) for name, array in model.parameters.items()}
    expected = sum(float(np.sum(trained.gradients[name] * direction[name])) for name in direction)

    def loss(step: float) -> float:
        return float(weighted_sum(moved(model, direction, step).forward(frames, ids)))

    assert np.isclose((loss(STEP) - loss(-STEP)) / (2 * STEP), expected, rtol=1e-4)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_is_a_sum_over_taps(groups: int, stride: int) -> None:
    layer = Conv(6, 9, 5, stride=stride, groups=groups)
    rng = np.random.default_rng(0)
    x, taps, bias = (rng.standard_normal(shape) for shape in ((2, 7 * stride, 6), (9, 6 // groups, 5), (9,)))
    found = convolve(layer, Weights({"w": taps, "b": bias}), x, Step(np.zeros((2, 7), int)), None)
    for text, row, channel in np.ndindex(found.shape):
        first = channel // (9 // groups) * (6 // groups)  # input channel of the group
        wanted = bias[channel]
        for tap in range(5):
            at = row * stride + tap - 2
            if 0 <= at < x.shape[1]:
                wanted += x[text, at, first : first + 6 // groups] @ taps[channel, :, tap]
        assert np.isclose(found[text, row, channel], wanted)


def tower(*outputs: Named, inputs: tuple[Named, ...] = ()) -> Model:
    """A tower without blocks beside a language model."""
    patch = Named("patch", Patch(CHANNELS, SIDE, WIDTH))
    text = Stack("decoder", WIDTH, (Named("token", Embedding(11, WIDTH)),), (), ())
    return llmcalc.twin(Architecture("seeing", (text, Stack("vision", WIDTH, (patch, *inputs), (), outputs, "tower"))))


def patches(rows: int, columns: int) -> Any:
    return np.random.default_rng(0).standard_normal((2, rows * columns, CHANNELS, SIDE, SIDE))


def test_merged_patches_form_squares() -> None:
    alone = tower().see(patches(4, 6), (4, 6))[0].reshape(2, 4, 6, WIDTH)
    model = tower(Named("merged", Linear(4 * WIDTH, 7, merge=4)))
    w, b = model.tensors["vision.merged.w"], model.tensors["vision.merged.b"]
    (found,) = model.see(patches(4, 6), (4, 6))
    square = np.concatenate([alone[:, 2 + i, 4 + j] for i in (0, 1) for j in (0, 1)], axis=-1)
    assert np.allclose(found[:, 5], square @ w + b)
    model = tower(Named("merged", Linear(4 * WIDTH, 7, merge=4, sequence=InputRows(merge_by_channel=True))))
    square = np.stack([alone[:, 2 + i, 4 + j] for i in (0, 1) for j in (0, 1)], axis=-1).reshape(2, -1)
    assert np.allclose(model.see(patches(4, 6), (4, 6))[0][:, 5], square @ w + b)
    pooled = tower(Named("norm", Norm(WIDTH, scale=False, merge=4))).see(patches(4, 6), (4, 6))[0]
    mean = alone[:, 2:4, 4:6].mean(axis=(1, 2))
    assert np.allclose(pooled[:, 5], mean / np.sqrt((mean**2).mean(axis=-1, keepdims=True) + 1e-5))


def test_splitting_and_joining_windows_is_the_identity() -> None:
    step = Step(np.zeros((2, 24), int), grid=(4, 6))
    x = np.random.default_rng(0).standard_normal((2, 24, 7))
    windows = grid.split_windows(x, step, 4)
    assert np.array_equal(windows[5], x[0, [16, 17, 22, 23]])
    assert np.array_equal(grid.join_windows(windows, step, 4), x)


def test_class_tokens_precede_the_patches_until_dropped() -> None:
    before = Named("class", Embedding(2, WIDTH, table="other", use="prefix"))
    model = tower(inputs=(before,))
    (found,) = model.see(patches(2, 2))
    assert found.shape == (2, 6, WIDTH)
    assert np.array_equal(found[1, :2], model.tensors["vision.class.w"])
    dropped = tower(Named("norm", Norm(WIDTH)), inputs=(before,)).see(patches(2, 2))[0]
    kept = tower(Named("norm", Norm(WIDTH, sequence=SequenceRows(prompt=2))), inputs=(before,)).see(patches(2, 2))[0]
    assert np.array_equal(kept[:, 2:], dropped)


def test_separate_features_are_separate_outputs() -> None:
    model = tower(
        Named("merged", Linear(4 * WIDTH, 7, merge=4)),
        Named("features", Features(WIDTH, "0", apart=True)),
        Named("again", Linear(4 * WIDTH, 5, merge=4)),
    )
    assert [found.shape for found in model.see(patches(2, 4), (2, 4))] == [(2, 2, 7), (2, 2, 5)]


def test_invalid_pixels_and_grids() -> None:
    model = tower()
    with pytest.raises(InputError, match="do not form a square"):
        model.see(patches(2, 3))
    with pytest.raises(InputError, match="does not contain 6 patches"):
        model.see(patches(2, 3), (2, 2))
    with pytest.raises(InputError, match=r"must have shape \[batch, 6, 3, 5, 5\]"):
        model.see(patches(2, 3)[..., :4], (2, 3))
    with pytest.raises(InputError, match="must be an array, not 3"):
        model.see(3)
    with pytest.raises(InputError, match="of 0 towers"):
        llmcalc.twin(llmcalc.load("gpt2").shrink()).see(patches(2, 2))
    with pytest.raises(UnsupportedError, match="do not tile the patch grid"):
        tower(Named("merged", Linear(4 * WIDTH, 7, merge=4))).see(patches(3, 3))
    with pytest.raises(UnsupportedError, match="interpolation"):
        tower(inputs=(Named("position", Embedding(9, WIDTH, table="position")),)).see(patches(2, 2))
    with pytest.raises(InputError, match="0 blocks"):
        tower(Named("features", Features(WIDTH, "-2"))).see(patches(2, 2))


def test_grid_layers_need_patches() -> None:
    token = Named("token", Embedding(11, WIDTH))
    for layer in (Linear(WIDTH, WIDTH, merge=4), Attention(WIDTH, 3, rope=Rope(grid="halves"))):
        stack = Stack("encoder", WIDTH, (token,), (), (Named("odd", layer),), "encoder")
        with pytest.raises(UnsupportedError, match="patch"):
            llmcalc.twin(Architecture("text", (stack,))).forward(np.zeros((1, 4), int))


def test_missing_saved_stream_is_an_error() -> None:
    stack = Stack(
        "decoder", WIDTH, (Named("token", Embedding(11, WIDTH)), Named("add", Injection(WIDTH, adds="m"))), (), ()
    )
    with pytest.raises(InputError, match="saves its stream as m"):
        llmcalc.twin(Architecture("text", (stack,))).forward(np.zeros((1, 4), int))
