"""FLOPs of models of speech and images, from the audio or image on, and of decode steps, under torch's counter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import llmcalc

from . import perturb, reference

pytestmark = pytest.mark.filterwarnings("ignore")

WHOLE = ("ForConditionalGeneration", "ForSpeechToText")
FRAMES, TOKENS = 10, 7  # that the encoder gives, and of text
PLACE = 2  # numbers of the row and the column of a patch


def samples(config: Any, frames: int) -> int:
    """The fewest samples of sound of which convolutions without padding leave so many frames."""
    for taps, stride in list(zip(config.conv_kernel, config.conv_stride, strict=True))[::-1]:
        frames = (frames - 1) * stride + taps
    return frames


# sound as each class takes it, of which so many frames are left
SOUNDS: dict[str, Callable[[Any, int], dict[str, Any]]] = {
    "whisper": lambda config, frames: {"input_features": torch.zeros(1, config.num_mel_bins, 2 * frames)},
    "speech_to_text": lambda config, frames: {
        "input_features": torch.zeros(1, 2**config.num_conv_layers * frames, config.input_feat_per_channel)
    },
    "canary": lambda config, frames: {
        "input_features": torch.zeros(
            1, config.encoder_config.subsampling_factor * frames, config.encoder_config.num_mel_bins
        )
    },
    "cohere_asr": lambda config, frames: {
        "input_features": torch.zeros(
            1, config.encoder_config.subsampling_factor * frames, config.encoder_config.num_mel_bins
        )
    },
    "pix2struct": lambda config, frames: {
        "flattened_patches": torch.ones(1, frames, config.vision_config.patch_embed_hidden_size + PLACE)
    },
    "speecht5": lambda config, frames: {"input_values": torch.zeros(1, samples(config, frames))},
    "moonshine_streaming": lambda config, frames: {"input_values": torch.zeros(1, 4 * 7 * frames)},
    "moonshine": lambda config, frames: {"input_values": torch.zeros(1, 64 * (6 * frames + 6) + 127)},
}
LENGTHS: dict[str, dict[str, Any]] = {"whisper": {"max_source_positions": FRAMES}}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("model_type", SOUNDS)
def test_work_from_the_sound_on(model_type: str, seed: int) -> None:
    class_name = next(name for name in reference.classes(model_type) if name.endswith(WHOLE))
    changes = perturb.tiny(model_type, class_name, seed)
    assert changes is not None
    model = reference.build(class_name, model_type, {**changes, **LENGTHS.get(model_type, {})}, device="cpu")
    architecture = llmcalc.load(reference.plain_config(model, class_name))
    ids, sound = torch.full((1, TOKENS), 11), SOUNDS[model_type](model.config, FRAMES)
    with reference.quiet(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        found = model(**sound, decoder_input_ids=ids, use_cache=True)
    wanted = {"batch": 1, "convention": "torch"}
    assert llmcalc.flops(architecture, seq=FRAMES, target_seq=TOKENS, **wanted).matmul == counter.get_total_flops()
    name, cache = reference.cache_of(found)
    cached = sum(tensor.numel() for tensor in reference.reachable(cache))
    assert llmcalc.state(architecture, seq=FRAMES, target_seq=TOKENS, **wanted).elements == cached
    with torch.no_grad():
        given = {name: cache, "encoder_outputs": model.get_encoder()(**sound, return_dict=True)}
    with reference.quiet(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**given, decoder_input_ids=ids[:, :1])
    step = llmcalc.flops(architecture, seq=1, context=TOKENS, source=FRAMES, mode="decode", **wanted)
    assert step.matmul == counter.get_total_flops()
