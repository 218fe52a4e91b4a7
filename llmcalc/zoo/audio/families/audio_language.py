"""Models that hear: a language model of its own family behind an audio encoder and a projector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ....core.architecture import Architecture, Named
from ....core.errors import SizeError, shown
from ....importers.hf.composite_models import OUTER as SEEN
from ....importers.hf.composite_models import given, text_part
from ....importers.hf.config import Config
from ....importers.hf.vision_encoders import clip as towers
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ....layers.norm import Norm
from ..audio_encoders import conformers, fun_asr
from ..audio_encoders import whisper as ears

OUTER = f"""{SEEN}
    audio_token_index timestamp_token_id audio_bos_token_id audio_eos_token_id audio_frame_step audio_length_per_tok
    default_num_delay_tokens audio_chunk_size initializer_range pad_token_id hidden_size vocab_size
    ignore_index token_classification_bias
"""

# what is heard turns by its time in seconds, as if it were one head
_TURNED = "head_dim max_position_embeddings rope_parameters rope_theta"

# of a config, that of its encoder, and the width of the language model
Projector = Callable[[Config, Config, int], list[Named]]


class Whole(NamedTuple):
    """A model that hears: the usual types of its parts, what is between, whether its class can tie its head, keys that
    say no size, and whether its class fills up a language model's config with sizes of its own.
    """

    text: str
    audio: str
    projector: Projector
    tied: bool = True
    drop: str = ""
    filled: bool = False


def hears(config: Config) -> Architecture:
    """Both parts and what is between; an encoder of an unknown type is named and not counted."""
    whole = WHOLES[config.model_type]
    text = language(config, whole.text, whole.tied, whole.filled)
    config.ignore(f"{OUTER} {whole.drop}")
    data = given(config, "audio_config")
    kind = str(data.get("model_type", whole.audio))
    if kind not in ears.EARS:
        config.ignore(" ".join(config.defaults))
        note = f"its audio encoder ({shown(kind)}) and the projector behind it are not understood; not counted: audio"
        return replace(text, notes=(*text.notes, note))
    part = config.nested("audio_config", data, kind)
    outputs = whole.projector(config, part, text.main.d_model)
    stack = ears.read(part)
    stack = replace(stack, outputs=(*stack.outputs, *outputs))
    layout = f"{ears.EARS[kind].layout}>{text.layout}"
    return replace(text, stacks=(*text.stacks, stack), layout=layout)


def language(config: Config, usual: str, tied: bool = True, filled: bool = False) -> Architecture:
    """The language model, tied as the outer config or its class says, where the class can tie it; ``filled``: what a
    file leaves out is what the outer class has.
    """
    more = config.defaults.get("text_config") if filled else None
    part = {"model_type": usual, **(more or {}), **given(config, "text_config")}
    part["tie_word_embeddings"] = tied and config.flag("tie_word_embeddings", True)
    return text_part(config, usual, part, own_tie=True)


def granite_speech(config: Config) -> Architecture:
    """Granite Speech: a Conformer, whose windows of frames a Q-Former sums up."""
    text = language(config, "granite")
    config.ignore(f"{OUTER} has_lora_adapter")
    part = config.nested("encoder_config", given(config, "encoder_config"), f"{config.model_type}_encoder")
    heard = conformers.granite(part)
    conformers.checked(part)
    window, rate = config.size("window_size"), config.size("downsample_rate")
    if rate > window:
        raise SizeError(f"downsample_rate ({rate}) is more than window_size ({window})", where=config.where)
    part = config.nested("projector_config", given(config, "projector_config"), "blip_2_qformer")
    between = conformers.qformer(part, window // rate, window, text.main.d_model)
    conformers.checked(part)
    return replace(text, stacks=(*text.stacks, heard, between), layout=f"granite_speech>{text.layout}")


def fun_asr_nano(config: Config) -> Architecture:
    """Fun-ASR-Nano: an encoder of stacked frames, an adaptor of blocks, Qwen3."""
    text = language(config, "qwen3")
    config.ignore(OUTER)
    part = config.nested("audio_config", given(config, "audio_config"), "fun_asr_nano_encoder")
    heard = fun_asr.encoder(part)
    part.check_all_read()
    between = {**ADAPTOR, **given(config, "adaptor_config")}
    part = config.nested("adaptor_config", between, "")
    adapted = fun_asr.adaptor(part, heard.d_model)
    part.check_all_read()
    return replace(text, stacks=(*text.stacks, heard, adapted), layout=f"fun_asr>{text.layout}")


def gemma3n(config: Config) -> Architecture:
    """Gemma 3n: its language model and its Conformer; what sees is a convolutional network of another library."""
    text = language(config, "gemma3n_text")
    config.ignore(f"{OUTER} vision_config audio_soft_tokens_per_image")
    audio = config.nested("audio_config", given(config, "audio_config"), "gemma3n_audio")
    heard = conformers.gemma3n(audio, text.main.d_model)
    conformers.checked(audio)
    notes = (
        "its vision tower is not understood; not counted: vision",
        "its class projects tokens of text too, as if they were of images and of sound; that is no work here",
    )
    return replace(text, stacks=(*text.stacks, heard), layout=f"gemma3n>{text.layout}", notes=(*text.notes, *notes))


def phi4_multimodal(config: Config) -> Architecture:
    """Phi-4-multimodal: Phi-3's language model, SigLIP's tower and a Conformer."""
    own = {key: value for key, value in config.data.items() if not key.endswith("_config") and key != "model_type"}
    usual = {key: value for key, value in config.defaults.items() if not key.endswith("_config")}
    text = text_part(config, "phi3", {**usual, **own, "model_type": "phi3"})
    config.ignore(f"{OUTER} {' '.join({**usual, **own})}")
    audio = config.nested("audio_config", given(config, "audio_config"), "phi4_multimodal_audio")
    heard = conformers.phi4(audio, text.main.d_model)
    conformers.checked(audio)
    vision = config.nested("vision_config", given(config, "vision_config"), "phi4_multimodal_vision")
    vision.override("vision_use_head", True)
    seen = towers.siglip(vision)
    vision.ignore("crop_size image_token_id feature_layer")
    towers.checked(vision)
    out, ends = text.main.d_model, Embedding(1, seen.d_model, table="other", use="side_tokens")
    between = (
        Named("whole", ends),
        Named("part", ends),
        Named("projector_in", Linear(seen.d_model, out, activation="gelu", merge=PATCHES)),
        Named("projector_out", Linear(out, out, merge=PATCHES)),
    )
    seen = replace(seen, outputs=(*seen.outputs, *between))
    note = "the ends of rows and images that are projected with the patches, and its pooling head, are no work here"
    layout = f"phi4_multimodal>{text.layout}"
    return replace(text, stacks=(*text.stacks, heard, seen), layout=layout, notes=(*text.notes, note))


def _one_layer(config: Config, part: Config, out: int) -> list[Named]:
    """Qwen2-Audio's: pairs of tokens are pooled, and projected."""
    return [Named("projector", Linear(part.size("hidden_size"), out, merge=POOLED))]


def _pooled(config: Config, part: Config, out: int) -> list[Named]:
    """Audio Flamingo's: pairs of tokens are pooled."""
    return _layers(config, part.size("hidden_size"), out, out, POOLED, config.flag("projector_bias", True))


def _widened(config: Config, part: Config, out: int) -> list[Named]:
    """Voxtral's: tokens stand side by side that are as wide together as the hidden layer of a block."""
    wide = part.size("intermediate_size")
    return _layers(config, wide, out, out, _ratio(part, wide), bias=False)


def _widened_twice(config: Config, part: Config, out: int) -> list[Named]:
    """GLM-ASR's: the same, through a hidden layer of twice the width."""
    wide = part.size("intermediate_size")
    return _layers(config, wide, 2 * out, out, _ratio(part, wide), bias=True)


def _downsampled(config: Config, part: Config, out: int) -> list[Named]:
    """Voxtral Realtime's: ``downsample_factor`` tokens stand side by side."""
    factor = config.size("downsample_factor")
    return _layers(config, factor * part.size("hidden_size"), out, out, factor, bias=False)


def _merged(config: Config, part: Config, out: int) -> list[Named]:
    """MOSS-Transcribe-Diarize's: ``audio_merge_size`` tokens stand side by side; a norm in the end."""
    merged, bias = config.size("audio_merge_size"), config.flag("projector_bias", True)
    norm = Named("projector_norm", Norm(out, "layernorm", bias=True))
    return [*_layers(config, merged * part.size("hidden_size"), out, out, merged, bias), norm]


def _alone(config: Config, part: Config, out: int) -> list[Named]:
    """OmniASR's: one layer."""
    return [Named("projector", Linear(part.size("hidden_size"), out))]


def _beside(config: Config, part: Config, out: int) -> list[Named]:
    """Qwen3-ASR's: one token after the other, to the width that the encoder's config names."""
    width, act = part.size("hidden_size"), part.activation("activation_function")
    layers = (Linear(width, width, activation=act), Linear(width, part.size("output_dim")))
    return [Named("projector_in", layers[0]), Named("projector_out", layers[1])]


def _layers(config: Config, wide: int, hidden: int, out: int, merged: int, bias: bool) -> list[Named]:
    act = config.activation("projector_hidden_act")
    first = Linear(wide, hidden, bias, act, merge=merged)
    return [Named("projector_in", first), Named("projector_out", Linear(hidden, out, bias, merge=merged))]


def _ratio(part: Config, wide: int) -> int:
    width = part.size("hidden_size")
    if wide % width:
        raise SizeError(f"intermediate_size ({wide}) is no multiple of hidden_size ({width})", where=part.where)
    return wide // width


ADAPTOR = {  # the usual values of a config whose class has no type of its own
    "hidden_size": 1024,
    "num_attention_heads": 8,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "layer_norm_eps": 1e-5,
    "hidden_act": "relu",
    "projector_hidden_act": "relu",
    "projector_hidden_size": 2048,
}
POOLED = 2  # tokens that become one
PATCHES = 4  # patches that become one
WHOLES = {
    "qwen2_audio": Whole("qwen2", "qwen2_audio_encoder", _one_layer, tied=False),
    "audioflamingo3": Whole("qwen2", "audioflamingo3_encoder", _pooled, tied=False),
    "musicflamingo": Whole("qwen2", "audioflamingo3_encoder", _pooled, tied=False, drop=_TURNED),
    "voxtral": Whole("llama", "voxtral_encoder", _widened, tied=False, filled=True),
    "voxtral_realtime": Whole("voxtral_realtime_text", "voxtral_realtime_encoder", _downsampled, filled=True),
    "glmasr": Whole("llama", "glmasr_encoder", _widened_twice, filled=True),
    "qwen3_asr": Whole("qwen3", "qwen3_asr_encoder", _beside),
    "omniasr": Whole("llama", "omniasr_audio", _alone, tied=False),
    "moss_transcribe_diarize": Whole("qwen3", "moss_transcribe_diarize_audio", _merged),
}
