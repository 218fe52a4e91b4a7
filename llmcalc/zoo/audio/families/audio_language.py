"""Audio-language models, such as Qwen2-Audio, Audio Flamingo, Voxtral, GLM-ASR, Granite Speech and Gemma 3n."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Branch, Named, Stack, Sublayer
from ....importers.hf.composite_models import IGNORED, Part, encoder_stacks, text_model
from ....importers.hf.config import Config
from ....importers.hf.projectors import Link, layernorm, vector
from ....importers.hf.rules import causal_lm, repeat_block, sublayer
from ....importers.hf.vision_encoders import transformer
from ....importers.hf.vision_encoders.parts import named, two_linears
from ....layers import Linear
from ..audio_encoders.conformers import phi4_projector
from ..layers.modulation import Modulation

POOLED = 2  # number of audio tokens merged into one
PATCHES = 4  # number of patches merged into one token
DELAY_WIDTH = 32  # hidden width of the network that embeds Voxtral Realtime's delay


def phi4_multimodal(config: Config) -> Architecture:
    """Build Phi-4-multimodal from a Conformer, SigLIP, and Phi-3. The Phi-3 config keys are at the top level."""
    own = {key: value for key, value in config.data.items() if not key.endswith("_config") and key != "model_type"}
    usual = {key: value for key, value in config.defaults.items() if not key.endswith("_config")}
    text = text_model(config, "phi3", data={**usual, **own, "model_type": "phi3"})
    config.ignore(f"{IGNORED} {' '.join({**usual, **own})}")
    parts = (
        Part("audio_config", "phi4_multimodal_audio", phi4_projector),
        Part("vision_config", "phi4_multimodal_vision", _phi4_vision),
    )
    stacks = [stack for part in parts for stack in encoder_stacks(config, part, text.main.d_model)]
    note = "not counted: the projection of the separators between rows and images, and the encoder's pooling head"
    layout = f"phi4_multimodal>{text.layout}"
    return replace(text, stacks=(*text.stacks, *stacks), layout=layout, notes=(*text.notes, note))


def phi4_vision(config: Config) -> Stack:
    """Build the SigLIP variant used in Phi-4-multimodal."""
    config.override("vision_use_head", True)
    config.ignore("crop_size feature_layer")
    return transformer.read(config)


def _phi4_vision(link: Link) -> list[Named]:
    layers = two_linears("projector", link.d_encoder, link.d_model, link.d_model, merge=PATCHES)
    return [*named(whole=vector(link.d_encoder), part=vector(link.d_encoder)), *layers]


def voxtral_realtime_text(config: Config) -> Architecture:
    """Build Voxtral Realtime's language model from Mistral, with delay-dependent scale factors before each MLP."""
    config.add_unmodelled(
        "the factors before each feed-forward layer depend on a delay found only in the full model's config"
    )
    width, norm = config.d_model, config.rmsnorm()
    attention = config.attention(bias=False, window=config.sliding_window())
    branch = Branch("mlp", config.gated_mlp(), pre=Modulation(width, DELAY_WIDTH))
    parts = (sublayer("attention", attention, pre=norm), Sublayer("mlp", (branch,), pre=norm))
    return causal_lm(config, repeat_block(Block("block", parts), config.n_layers), norm)


def qwen2_audio(link: Link) -> list[Named]:
    """Build the Qwen2-Audio projector with one linear layer on pooled token pairs."""
    return named(projector=Linear(link.d_encoder, link.d_model, merge=POOLED))


def audio_flamingo(link: Link) -> list[Named]:
    """Build the Audio Flamingo projector with two linear layers on pooled token pairs."""
    return _layers(link, link.d_encoder, link.d_model, POOLED, link.model.flag("projector_bias", True))


def voxtral(link: Link) -> list[Named]:
    """Build the Voxtral projector with two linear layers. Its input width is the encoder's feed-forward width."""
    wide = link.encoder.size("intermediate_size")
    return _layers(link, wide, link.d_model, _ratio(link, wide), bias=False)


def glmasr(link: Link) -> list[Named]:
    """Build the GLM-ASR projector, which has twice the hidden width of the Voxtral projector."""
    wide = link.encoder.size("intermediate_size")
    return _layers(link, wide, 2 * link.d_model, _ratio(link, wide), bias=True)


def voxtral_realtime(link: Link) -> list[Named]:
    """Build the Voxtral Realtime projector with two linear layers on ``downsample_factor`` concatenated tokens."""
    factor = link.model.size("downsample_factor")
    return _layers(link, factor * link.d_encoder, link.d_model, factor, bias=False)


def moss(link: Link) -> list[Named]:
    """Build the MOSS-Transcribe-Diarize projector with two linear layers on concatenated tokens, then LayerNorm."""
    merge, bias = link.model.size("audio_merge_size"), link.model.flag("projector_bias", True)
    layers = _layers(link, merge * link.d_encoder, link.d_model, merge, bias)
    return [*layers, Named("projector_norm", layernorm(link.d_model))]


def omniasr(link: Link) -> list[Named]:
    """Build the OmniASR projector with one linear layer."""
    return named(projector=Linear(link.d_encoder, link.d_model))


def qwen3_asr(link: Link) -> list[Named]:
    """Build the Qwen3-ASR projector with two linear layers. The output width comes from the encoder config."""
    width, act = link.d_encoder, link.encoder.activation("activation_function")
    return two_linears("projector", width, width, link.encoder.size("output_dim"), activation=act)


def _layers(link: Link, wide: int, hidden: int, merge: int, bias: bool) -> list[Named]:
    act = link.model.activation("projector_hidden_act")
    return two_linears("projector", wide, hidden, link.d_model, activation=act, bias=bias, merge=merge)


def _ratio(link: Link, wide: int) -> int:
    if wide % link.d_encoder:
        said = f"intermediate_size ({wide}) is not a multiple of hidden_size ({link.d_encoder})"
        raise link.encoder.size_error(said)
    return wide // link.d_encoder


# rotary positions by time in seconds, with the angles of a single head
