"""Whisper's encoder [radford2022] and its variants, which are configured in ``zoo/audio/encoders.yaml``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ....core.architecture import Named, Stack
from ....importers.hf.config import BIASED, Config, Fields
from ....importers.hf.encoders import find_encoder
from ....importers.hf.rules import default_layernorm, prenorm_block, repeat_block
from ....importers.hf.vision_encoders.parts import named, two_linears
from ....layers import Attention, Conv, Embedding, Frames, Frequencies, InputRows, Linear, Mlp, Rope

TAPS = 3  # kernel size of every convolution
PLANE = 3  # number of convolutions of stride 2 over time and frequency
BOS_EOS = 2  # number of learned vectors before and after the audio tokens


class WhisperVariant(NamedTuple):
    """Options that distinguish an encoder from the original Whisper encoder.

    Attributes:
        positions: config key for the number of learned positions, or empty.
        rotary: default rotated fraction of a head, or 0 for no rotary positions.
        k_bias: whether keys have a bias.
        causal: whether frames attend only to earlier frames, within a window if configured.
        gated: whether blocks have RMSNorm and gated feed-forward layers with a bias only on the last matrix.
        front: key in ``FRONTS`` for the layers before the blocks.
        window: key in ``WINDOWS`` for the function that returns chunk and window sizes, or empty.
        ending: key in ``ENDINGS`` for additional layers after the last norm, or empty.
    """

    positions: str = ""
    rotary: float = 0.0
    k_bias: bool = False
    causal: bool = False
    gated: bool = False
    front: str = "lines"
    window: str = ""
    ending: str = ""


def read(config: Config) -> Stack:
    """Build a Whisper variant, with convolutions that convert audio frames to tokens."""
    found = find_encoder(config.model_type)
    assert found is not None, f"no encoder {config.model_type}"
    variant = WhisperVariant(**found.fields)
    config.ignore("max_source_positions output_dim")
    norm = config.rmsnorm() if variant.gated else default_layernorm(config.d_model)
    chunk, attended = WINDOWS[variant.window](config) if variant.window else (None, None)
    act = config.activation("hidden_act" if "hidden_act" in config.known_keys() else "activation_function")
    rope = None
    if variant.rotary:
        head = config.optional_size("head_dim") or config.d_model // config.n_heads
        rope = Rope(dim=max(1, int(head * config.partial_rotary(variant.rotary))))
    limit = config.optional_size("sliding_window") if variant.causal else None
    attention = config.layer(
        Attention,
        "n_heads=num_attention_heads n_kv_heads=num_key_value_heads? d_head=head_dim?",
        causal=variant.causal,
        window=limit,
        chunk=attended,
        **{**BIASED, "k_bias": variant.k_bias, "rope": rope},
    )
    gated = variant.gated
    mlp = Mlp(config.d_model, config.size("intermediate_size"), act, gated, bias=not gated, out_bias=True)
    inputs, tokens = FRONTS[variant.front](config, config.d_model, act, chunk)
    if variant.positions:
        inputs.append(Named("position", Embedding(config.size(variant.positions), config.d_model, table="position")))
    outputs = [Named("post_norm", norm), *(ENDINGS[variant.ending](config, config.d_model) if variant.ending else [])]
    runs = repeat_block(prenorm_block("block", norm, attention=attention, mlp=mlp), config.n_layers)
    return Stack("audio", config.d_model, tuple(inputs), runs, tuple(outputs), "tower", tokens)


def _lines(config: Config, width: int, act: str, chunk: int | None) -> tuple[list[Named], str]:
    """Return Whisper's two convolutions over time, with strides of 1 and 2."""
    first = Conv(config.size("num_mel_bins"), width, TAPS, frames=Frames(1, chunk), activation="gelu", of_data=True)
    second = Conv(width, width, TAPS, frames=Frames(2, chunk), activation="gelu")
    return [Named("conv1", first), Named("conv2", second)], "ceil(a, 2)"


def _plane(config: Config, width: int, act: str, chunk: int | None) -> tuple[list[Named], str]:
    """Return three stride-2 convolutions over time and frequency, and a projection of the concatenated channels."""
    rows, span, found = config.size("num_mel_bins"), 1, list[Named]()
    channels, inner = 1, config.size("downsample_hidden_size")
    for number in range(1, PLANE + 1):
        rows, span = -(-rows // 2), 2 * span
        grid: Fields = {"frames": Frames(span, chunk), "frequencies": Frequencies(rows)}
        conv = Conv(channels, inner, TAPS, **grid, activation="gelu", of_data=number == 1)
        found.append(Named(f"plane{number}", conv))
        channels = inner
    found.append(Named("plane_out", Linear(inner * rows, width, bias=False, frames=Frames(span, chunk))))
    if not chunk:
        return found, f"ceil(a, {span})"
    return found, f"{-(-chunk // span)} * ceil(max(0, a - {chunk - 1}), {chunk}) + ceil(mod(a, {chunk}), {span})"


def _wave(config: Config, width: int, act: str, chunk: int | None) -> tuple[list[Named], str]:
    """Return unpadded waveform convolutions and a positional convolution, as in wav2vec 2.0 [baevski2020]."""
    sizes, kernels, strides = (config.layer_indices(f"conv_{key}") for key in ("dim", "kernel", "stride"))
    if not len(sizes) == len(kernels) == len(strides) > 0:
        raise config.size_error("conv_dim, conv_kernel and conv_stride must have the same length")
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
            frames=Frames(span, reach=reach),
            bias=config.flag("conv_bias"),
            of_data=number == 0,
        )
        found += [Named(f"wave{number}", conv), Named(f"wave_norm{number}", default_layernorm(out))]
        before = out
    taps, groups = config.size("num_conv_pos_embeddings"), config.size("num_conv_pos_embedding_groups")
    if taps % 2:
        raise config.size_error(f"num_conv_pos_embeddings must be even, not {taps}")
    found += [
        Named("projected_norm", config.layernorm(width=before)),
        Named("wave_out", Linear(before, width)),
        Named("position", Conv(width, width, taps, groups=groups, overrun=1, activation=act)),
    ]
    return found, Frames(span, reach=reach).positions()


def _half_windows(config: Config) -> tuple[int, int]:
    """Return Qwen2.5-Omni's chunk size in frames and window size in tokens. Each window covers one chunk."""
    half = config.size("n_window")
    return 2 * half, half


def _inferred_windows(config: Config) -> tuple[int, int]:
    """Return Qwen3-Omni's chunk size in frames and window size in tokens. A window covers one or more chunks."""
    chunk, attended, span = 2 * config.size("n_window"), config.size("n_window_infer"), 2**PLANE
    config.ignore("conv_chunksize")  # limits the memory use
    if attended < chunk:
        raise config.size_error(f"n_window_infer ({attended}) must be at least twice n_window ({chunk})")
    return chunk, -(-chunk // span) * (attended // chunk)


def _projected(config: Config, width: int) -> list[Named]:
    out = config.size("output_dim")
    edges = Embedding(BOS_EOS, out, table="other", unused=True)
    return named(edges=edges, projector=Linear(width, out, merge=2, sequence=InputRows(merge_whole=True)))


def _two_layers(config: Config, width: int) -> list[Named]:
    out, act = config.size("output_dim"), config.activation("activation_function")
    return two_linears("projector", width, width, out, activation=act)


# functions of config, width, activation and frames per chunk that return layers and a token count
FRONTS: dict[str, Callable[[Config, int, str, int | None], tuple[list[Named], str]]] = {
    "lines": _lines,
    "plane": _plane,
    "wave": _wave,
}
# number of frames convolved together, and number of tokens that attend to each other
WINDOWS: dict[str, Callable[[Config], tuple[int, int]]] = {"half": _half_windows, "inferred": _inferred_windows}
ENDINGS: dict[str, Callable[[Config, int], list[Named]]] = {"projected": _projected, "two_layers": _two_layers}
