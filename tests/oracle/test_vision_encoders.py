"""Vision encoders and projectors: FLOPs under torch's counter, and results."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import llmcalc

from . import exact, reference

pytestmark = pytest.mark.filterwarnings("ignore")

SIDE, PATCH = 32, 8  # pixels along an image and a patch
PATCHES = (SIDE // PATCH) ** 2
TEXT = {
    "hidden_size": 40, "intermediate_size": 52, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16,
    "num_key_value_heads": 2, "vocab_size": 101,
}  # fmt: skip
VISION = {
    "hidden_size": 24, "intermediate_size": 44, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": SIDE,
    "patch_size": PATCH,
}  # fmt: skip
QWEN = {"depth": 4, "num_heads": 2, "patch_size": PATCH}
SQUARE = {"image_size": [SIDE, SIDE], "patch_size": [PATCH, PATCH]}
HEADLESS = {"vision_use_head": False}
# of each: the types of the language model and of the tower, and what else the whole and the tower need
CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "llava": ("llama", "clip_vision_model", {}, {}),
    "llava of two layers": ("llama", "clip_vision_model", {"vision_feature_layer": [-2, 1]}, {}),
    "llava full": ("llama", "clip_vision_model", {"vision_feature_select_strategy": "full"}, {}),
    "vipllava": ("llama", "clip_vision_model", {"vision_feature_layer": [-2, -1, 1]}, {}),
    "paligemma": ("gemma", "siglip_vision_model", {"projection_dim": 40}, HEADLESS),
    "gemma3": ("gemma3_text", "siglip_vision_model", {"mm_tokens_per_image": 4}, HEADLESS),
    "internvl": ("qwen2", "internvl_vision", {}, SQUARE),
    "mistral3": ("mistral", "pixtral", {}, {}),
    "idefics3": ("llama", "idefics3_vision", {}, {}),
    "smolvlm": ("llama", "smolvlm_vision", {"scale_factor": 4}, {}),
    "qwen2_vl": ("qwen2_vl_text", "qwen2_vl_vision", {}, {**QWEN, "embed_dim": 48, "hidden_size": 40}),
    "qwen2_5_vl": (
        "qwen2_5_vl_text",
        "qwen2_5_vl_vision",
        {},
        {
            **QWEN,
            "hidden_size": 48,
            "intermediate_size": 44,
            "out_hidden_size": 64,
            "window_size": 2 * PATCH,
            "fullatt_block_indexes": [1],
        },
    ),
    "qwen3_vl": (
        "qwen3_vl_text",
        "qwen3_vl_vision",
        {},
        {
            **QWEN,
            "hidden_size": 48,
            "intermediate_size": 44,
            "out_hidden_size": 64,
            "num_position_embeddings": PATCHES,
            "deepstack_visual_indexes": [0, 2],
        },
    ),
}
PACKED = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")


# of a tower whose heads are those of the language model, whose width is the tower's to give
PACKED_TEXT = {**TEXT, "hidden_size": 64}


def _pixels(model_type: str) -> dict[str, Any]:
    """An image as the class takes it."""
    if model_type in PACKED:
        rows = SIDE // PATCH
        return {
            "pixel_values": torch.zeros(PATCHES, 3 * 2 * PATCH * PATCH),
            "image_grid_thw": torch.tensor([[1, rows, rows]]),
        }
    image = torch.ones(1, 3, SIDE, SIDE)
    more = {"image_sizes": torch.tensor([[SIDE, SIDE]])} if model_type == "mistral3" else {}
    return {"pixel_values": image[None] if model_type in ("idefics3", "smolvlm") else image, **more}


def _changes(case: str) -> dict[str, Any]:
    """What makes a class one of these towers before one of these language models, both small."""
    text_type, vision_type, more, vision = CASES[case]
    packed = case in PACKED
    rotated = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}}
    return {
        "text_config": {"model_type": text_type, **(PACKED_TEXT | rotated if packed else TEXT)},
        "vision_config": {"model_type": vision_type, **({} if packed else VISION), **vision},
        **more,
    }


@pytest.mark.parametrize("case", CASES)
def test_encoder_flops(case: str) -> None:
    model_type = case.partition(" ")[0]
    class_name = reference.classes(model_type)[0]
    model = reference.build(class_name, model_type, _changes(case), device="cpu")
    architecture = llmcalc.load(reference.plain_config(model, class_name))
    with reference.quiet(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.model.get_image_features(**_pixels(model_type))
    seen, blind = (
        llmcalc.flops(architecture, batch=1, seq=8, patches=count, convention="torch").matmul for count in (PATCHES, 0)
    )
    assert seen - blind == counter.get_total_flops()


ROWS, TOLERANCE = SIDE // PATCH, 1e-9
FRAMES, MERGED = 2, 2


def _image(model_type: str) -> tuple[Any, dict[str, Any]]:
    """An image as patches row by row, and as the class takes it: some want patches that are merged side by side."""
    image = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    patches = image.reshape(3, ROWS, PATCH, ROWS, PATCH).permute(1, 3, 0, 2, 4).reshape(PATCHES, 3, PATCH, PATCH)
    given = _pixels(model_type)
    if model_type not in PACKED:
        return patches, {**given, "pixel_values": image[None] if given["pixel_values"].ndim == 5 else image}
    patches = patches[:, :, None].repeat(1, 1, FRAMES, 1, 1)
    squares = torch.arange(PATCHES).reshape(ROWS // MERGED, MERGED, ROWS // MERGED, MERGED).transpose(1, 2).flatten()
    return patches, {**given, "pixel_values": patches[squares].flatten(1)}


@pytest.mark.parametrize("case", CASES)
def test_features(case: str) -> None:
    model_type = case.partition(" ")[0]
    class_name = reference.classes(model_type)[0]
    with reference.quiet(), exact.float64(), torch.no_grad():
        model = exact.model(class_name, model_type, _changes(case))
        patches, given = _image(model_type)
        found = model.model.get_image_features(**given)
    wanted = [found.pooler_output, *(getattr(found, "deepstack_features", None) or [])]
    twin = llmcalc.twin(llmcalc.load(reference.plain_config(model, class_name)))
    twin.load(exact.weights(model))
    ours = twin.see(patches.numpy()[None])
    assert len(ours) == len(wanted)
    for one, other in zip(ours, wanted, strict=True):
        features = other[0] if isinstance(other, (list, tuple)) else other
        assert exact.difference(one[0], features.reshape(-1, features.shape[-1]).numpy()) <= TOLERANCE


def test_an_encoder_of_frames() -> None:
    sizes = {"d_model": 48, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4}
    sizes |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 56, "decoder_ffn_dim": 40, "vocab_size": 101}
    sizes |= {"num_mel_bins": 7, "max_source_positions": 11, "max_target_positions": 20, "pad_token_id": 1}
    generator = torch.Generator().manual_seed(7)
    with reference.quiet(), exact.float64(), torch.no_grad():
        model = exact.model("WhisperForConditionalGeneration", "whisper", sizes)
        frames = torch.randn(2, 7, 22, generator=generator, dtype=torch.float64)
        ids = torch.randint(10, 60, (2, 13), generator=generator)
        wanted = model(input_features=frames, decoder_input_ids=ids).logits.numpy()
    twin = llmcalc.twin(llmcalc.load(reference.plain_config(model, "WhisperForConditionalGeneration")))
    twin.load(exact.weights(model))
    assert exact.difference(twin.forward(frames.transpose(1, 2).numpy(), ids.numpy()), wanted) <= TOLERANCE


@pytest.mark.parametrize("scaled", [True, False])
def test_an_encoder_whose_convolutions_are_gated(scaled: bool) -> None:
    sizes = {"d_model": 48, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4}
    sizes |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 56, "decoder_ffn_dim": 40, "vocab_size": 101}
    sizes |= {"input_feat_per_channel": 7, "conv_channels": 10, "conv_kernel_sizes": [5, 3], "scale_embedding": scaled}
    generator = torch.Generator().manual_seed(7)
    with reference.quiet(), exact.float64(), torch.no_grad():
        model = exact.model("Speech2TextForConditionalGeneration", "speech_to_text", sizes)
        frames = torch.randn(2, 44, 7, generator=generator, dtype=torch.float64)
        ids = torch.randint(10, 60, (2, 13), generator=generator)
        wanted = model(input_features=frames, decoder_input_ids=ids).logits.numpy()
    twin = llmcalc.twin(llmcalc.load(reference.plain_config(model, "Speech2TextForConditionalGeneration")))
    twin.load(exact.weights(model))
    assert exact.difference(twin.forward(frames.numpy(), ids.numpy()), wanted) <= TOLERANCE


def test_an_encoder_of_the_waveform() -> None:
    sizes = {"hidden_size": 48, "intermediate_size": 56, "vocab_size": 101, "pad_token_id": 1}
    sizes |= {
        f"{side}_num_{what}": 2 for side in ("encoder", "decoder") for what in ("hidden_layers", "attention_heads")
    }
    generator = torch.Generator().manual_seed(7)
    with reference.quiet(), exact.float64(), torch.no_grad():
        model = exact.model("MoonshineForConditionalGeneration", "moonshine", sizes)
        sound = torch.randn(2, 384 * 9 + 511, generator=generator, dtype=torch.float64)
        ids = torch.randint(10, 60, (2, 13), generator=generator)
        wanted = model(input_values=sound, decoder_input_ids=ids).logits.numpy()
    twin = llmcalc.twin(llmcalc.load(reference.plain_config(model, "MoonshineForConditionalGeneration")))
    twin.load(exact.weights(model))
    assert exact.difference(twin.forward(sound[..., None].numpy(), ids.numpy()), wanted) <= TOLERANCE
