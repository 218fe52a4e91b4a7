"""Audio encoders before a language model that are Whisper's [radford2022] but for fields: convolutions, then blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ....core.architecture import Block, Named, Stack
from ....core.errors import SizeError
from ....importers.hf.config import Config
from ....importers.hf.families.gpt import BIASED
from ....importers.hf.rules import default_layernorm, layernorm, repeat_block, rmsnorm, sublayer
from ....layers._heard import results
from ....layers.attention import Attention
from ....layers.conv import Conv
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ....layers.mlp import Mlp

TAPS = 3  # of every convolution
PLANE = 3  # convolutions of stride 2 over time and frequency
BOS_EOS = 2  # learned vectors before and behind what was heard
# what files say that no encoder reads
_LEFT = "vocab_size scale_embedding is_encoder_decoder tie_word_embeddings max_position_embeddings _attn_implementation"


# of a config, the width of the stream, its activation, and the frames that are convolved apart
Front = Callable[[Config, int, str, int | None], tuple[list[Named], str]]


class Ear(NamedTuple):
    """How an encoder differs from Whisper's.

    Attributes:
        layout: the file of its names.
        positions: the key of the rows of a learned table; empty: positions are computed, or turn.
        rotary: the share of a head that turns; 0: none does.
        k_bias: keys have a bias.
        causal: frames see none that come later, within a window if the config has one.
        gated: RMSNorm and gated layers, in which only the last matrix has a bias.
        front: of a config, what stands before the blocks, and the tokens that it makes of frames.
        window: of a config, the frames that are convolved apart, and the tokens that see each other.
        ending: layers behind the last norm that are the encoder's own.
    """

    layout: str
    positions: str = ""
    rotary: float = 0.0
    k_bias: bool = False
    causal: bool = False
    gated: bool = False
    front: Front | None = None
    window: Callable[[Config], tuple[int, int]] | None = None
    ending: Callable[[Config, int], list[Named]] | None = None


def whisper(config: Config, ear: Ear) -> Stack:
    """The encoder: tokens are what its convolutions make of the spectrogram's frames."""
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    norm = rmsnorm(config, width) if ear.gated else default_layernorm(width)
    chunk, seen = ear.window(config) if ear.window else (None, None)
    act = config.activation("hidden_act" if "hidden_act" in config.known_keys() else "activation_function")
    turned: dict[str, Any] = {}
    if ear.rotary:
        head = config.optional_size("head_dim") or width // heads
        turned = {"positions": "rope", "rotary_dim": max(1, int(head * config.partial_rotary(ear.rotary)))}
    limit = config.optional_size("sliding_window") if ear.causal else None
    attention = Attention(
        width,
        heads,
        config.optional_size("num_key_value_heads"),
        config.optional_size("head_dim"),
        causal=ear.causal,
        window=limit,
        chunk=seen,
        **{**BIASED, "k_bias": ear.k_bias, **turned},
    )
    mlp = Mlp(width, config.size("intermediate_size"), act, ear.gated, bias=not ear.gated, out_bias=True)
    block = Block("block", (sublayer("attention", attention, pre=norm), sublayer("mlp", mlp, pre=norm)))
    inputs, tokens = (ear.front or _lines)(config, width, act, chunk)
    if ear.positions:
        inputs.append(Named("position", Embedding(config.size(ear.positions), width, table="position")))
    outputs = [Named("post_norm", norm), *(ear.ending(config, width) if ear.ending else [])]
    runs = repeat_block(block, config.size("num_hidden_layers"))
    return Stack("audio", width, tuple(inputs), runs, tuple(outputs), "tower", tokens)


def _lines(config: Config, width: int, act: str, chunk: int | None) -> tuple[list[Named], str]:
    """Whisper's two convolutions along time, the second of stride 2."""
    first = Conv(config.size("num_mel_bins"), width, TAPS, span=1, chunk=chunk, activation="gelu", of_data=True)
    second = Conv(width, width, TAPS, span=2, chunk=chunk, activation="gelu")
    return [Named("conv1", first), Named("conv2", second)], "ceil(a, 2)"


def _plane(config: Config, width: int, act: str, chunk: int | None) -> tuple[list[Named], str]:
    """Convolutions of stride 2 over time and frequency, and a matrix on what lies side by side in the end."""
    rows, span, found = config.size("num_mel_bins"), 1, list[Named]()
    channels, inner = 1, config.size("downsample_hidden_size")
    for number in range(1, PLANE + 1):
        rows, span = -(-rows // 2), 2 * span
        conv = Conv(channels, inner, TAPS, span=span, chunk=chunk, rows=rows, activation="gelu", of_data=number == 1)
        found.append(Named(f"plane{number}", conv))
        channels = inner
    found.append(Named("plane_out", Linear(inner * rows, width, bias=False, span=span, chunk=chunk)))
    if not chunk:
        return found, f"ceil(a, {span})"
    return found, f"{-(-chunk // span)} * ceil(max(0, a - {chunk - 1}), {chunk}) + ceil(mod(a, {chunk}), {span})"


def _wave(config: Config, width: int, act: str, chunk: int | None) -> tuple[list[Named], str]:
    """wav2vec 2.0's [baevski2020]: convolutions over the samples without padding, and one that tells positions."""
    sizes, kernels, strides = (config.layer_indices(f"conv_{key}") for key in ("dim", "kernel", "stride"))
    if not len(sizes) == len(kernels) == len(strides) > 0:
        raise SizeError("conv_dim, conv_kernel and conv_stride have different lengths", where=config.where)
    reach, span, before, found = 1, 1, 1, list[Named]()
    for number, (out, taps, stride) in enumerate(zip(sizes, kernels, strides, strict=True)):
        reach, span = (
            reach + (config.integer(taps, "conv_kernel", 1) - 1) * span,
            span * config.integer(stride, "conv_stride", 1),
        )
        conv = Conv(
            before,
            config.integer(out, "conv_dim", 1),
            taps,
            span=span,
            reach=reach,
            bias=config.flag("conv_bias"),
            of_data=number == 0,
        )
        found += [Named(f"wave{number}", conv), Named(f"wave_norm{number}", default_layernorm(out))]
        before = out
    taps, groups = config.size("num_conv_pos_embeddings"), config.size("num_conv_pos_embedding_groups")
    if taps % 2:
        raise SizeError(f"num_conv_pos_embeddings is {taps}; an odd number gives too few positions", where=config.where)
    found += [
        Named("projected_norm", layernorm(config, before)),
        Named("wave_out", Linear(before, width)),
        Named("position", Conv(width, width, taps, groups=groups, overrun=1, activation=act)),
    ]
    return found, results(span, reach=reach)


def half_windows(config: Config) -> tuple[int, int]:
    """Qwen2.5-Omni's: chunks of twice ``n_window`` frames, whose tokens see each other."""
    half = config.size("n_window")
    return 2 * half, half


def inferred_windows(config: Config) -> tuple[int, int]:
    """Qwen3-Omni's: chunks of twice ``n_window`` frames, of which several see each other."""
    chunk, seen, span = 2 * config.size("n_window"), config.size("n_window_infer"), 2**PLANE
    config.ignore("conv_chunksize")  # convolved at once, to save memory
    if seen < chunk:
        raise SizeError(f"n_window_infer ({seen}) is less than twice n_window ({chunk})", where=config.where)
    return chunk, -(-chunk // span) * (seen // chunk)


def _projected(config: Config, width: int) -> list[Named]:
    out = config.size("output_dim")
    edges = Embedding(BOS_EOS, out, table="other", unused=True)
    return [Named("edges", edges), Named("projector", Linear(width, out, merge=2, merge_whole=True))]


def _two_layers(config: Config, width: int) -> list[Named]:
    act = config.activation("activation_function")
    layers = (Linear(width, width, activation=act), Linear(width, config.size("output_dim")))
    return [Named("projector_in", layers[0]), Named("projector_out", layers[1])]


EARS = {
    "qwen2_audio_encoder": Ear("whisper_encoder", "max_source_positions"),
    "audioflamingo3_encoder": Ear("whisper_encoder", "max_source_positions"),
    "voxtral_encoder": Ear("whisper_encoder", "max_source_positions"),
    "moss_transcribe_diarize_audio": Ear("whisper_encoder", "max_source_positions"),
    "glmasr_encoder": Ear("glmasr", rotary=0.5),
    "voxtral_realtime_encoder": Ear("voxtral_realtime", rotary=1.0, causal=True, gated=True),
    "qwen3_asr_encoder": Ear("qwen3_asr", k_bias=True, front=_plane, window=inferred_windows),
    "omniasr_audio": Ear("omniasr", k_bias=True, front=_wave),
    "qwen2_5_omni_audio_encoder": Ear("qwen2_5_omni", window=half_windows, ending=_projected),
    "qwen3_omni_moe_audio_encoder": Ear(
        "qwen3_omni", k_bias=True, front=_plane, window=inferred_windows, ending=_two_layers
    ),
}


def read(config: Config) -> Stack:
    """The encoder of a config, every key of which is read."""
    found = whisper(config, EARS[config.model_type])
    config.ignore(f"{_LEFT} max_source_positions output_dim")
    config.check_all_read()
    return found
