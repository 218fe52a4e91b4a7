"""Conformer encoders [gulati2020] of Granite Speech, Phi-4-multimodal and Gemma, and FastConformer [rekesh2023]."""

from __future__ import annotations

import math
from dataclasses import replace

from ....core.architecture import Block, Branch, Named, Run, Stack, Sublayer
from ....core.errors import short_repr
from ....core.layer import Layer
from ....importers.hf.composite_models import nested_config
from ....importers.hf.config import BIASED, Config, Fields
from ....importers.hf.encoders import check_encoder
from ....importers.hf.projectors import Link
from ....importers.hf.rules import default_layernorm, group_runs, repeat_block, sublayer
from ....importers.hf.vision_encoders.parts import named
from ....layers import Attention, Conv, Embedding, Frames, Frequencies, Linear, Mlp, Norm
from ....layers.score_biases.relative import Relative
from ..layers.context_attention import ContextAttention
from ..layers.conv_module import ConvModule
from ..layers.distance_attention import DistanceAttention

HALF = 0.5  # scale factor of a block's two feed-forward layers
GROWTH = 4  # hidden width of Gemma's feed-forward layers, relative to the stream width
KERNEL, STRIDE = 3, 2  # kernel size of the convolutions over time and frequency before the blocks
PHI4_CHUNK = 500  # in tokens; Phi-4's encoder splits longer inputs into chunks
MODULES = 3  # modules of a later convolution: depthwise, pointwise, activation
_FAST_CONFORMER_IGNORED = """
    dropout dropout_positions layerdrop activation_dropout attention_dropout max_position_embeddings scale_input
    initializer_range sampling_rate is_encoder_decoder tie_word_embeddings
"""


def block(
    norm: Layer, mlp: Layer, attention: Layer, conv: Layer, scale: float = HALF, post: Layer | None = None
) -> Block:
    """Return a Conformer block with attention and a convolution between two feed-forward layers, and a final norm."""
    parts = (
        sublayer("start", mlp, pre=norm, post=post, scale=scale),
        sublayer("attention", attention, pre=norm, post=post),
        sublayer("conv", conv, pre=norm),
        Sublayer("end", (Branch("end", mlp),), norm, post, norm, scale=scale),
    )
    return Block("block", parts)


def granite(config: Config) -> Stack:
    """Build the Granite Speech encoder with block-local attention, relative positions, and mid-layer CTC feedback."""
    width, heads = config.size("hidden_dim"), config.size("num_heads")
    head = config.optional_size("dim_head") or max(1, width // heads)
    chunk, reach, layers = config.size("context_size"), config.size("max_pos_emb"), config.size("num_layers")
    config.ignore("dropout cat_hidden_layers")
    if chunk > reach:
        raise config.size_error(f"context_size ({chunk}) must not exceed max_pos_emb ({reach})")
    norm = default_layernorm(width)
    fields: Fields = {"positions": "table", "n_distances": 2 * reach + 1, "out_bias": True, "padded": True}
    attention = ContextAttention(width, heads, chunk, d_head=head, **fields)
    mlp = Mlp(width, width * config.size("feedforward_mult"), "silu", bias=True)
    conv = ConvModule(
        width,
        config.size("conv_kernel_size"),
        width * config.size("conv_expansion_factor"),
        norm="batchnorm",
        bias=True,
        kernels=True,
    )
    letters, unused = config.size("output_dim"), layers < len(("before", "behind"))
    outputs = (
        Named("letters", Linear(width, letters, unused=unused)),
        Named("back", Linear(letters, width, unused=unused)),
    )
    runs = repeat_block(block(norm, mlp, attention, conv), layers)
    return Stack("audio", width, (Named("in", Linear(config.size("input_dim"), width)),), runs, outputs, "tower", "a")


def granite_projector(link: Link) -> list[Stack]:
    """Build the Granite Speech projector, a Q-Former whose learned queries attend to windows of frames."""
    model, out = link.model, link.d_model
    window, rate = model.size("window_size"), model.size("downsample_rate")
    if rate > window:
        raise model.size_error(f"downsample_rate ({rate}) must not exceed window_size ({window})")
    queries = window // rate
    config = nested_config(model, "projector_config", "blip_2_qformer")
    width, heads, source = (config.size(key) for key in ("hidden_size", "num_attention_heads", "encoder_hidden_size"))
    config.ignore("vocab_size max_position_embeddings hidden_dropout_prob attention_probs_dropout_prob pad_token_id")
    if config.flag("use_qformer_text_input"):
        raise config.error("use_qformer_text_input must be false because Q-Formers that read text are not supported")
    norm = Norm(width, "layernorm", bias=True, eps=config.number("layer_norm_eps") or 1e-12)
    mlp = Mlp(width, config.size("intermediate_size"), config.activation(), bias=True)
    every = config.size("cross_attention_frequency")
    known: dict[tuple[bool, bool], Block] = {}
    order = []
    for index in range(config.n_layers):
        first, looks = index == 0, index % every == 0
        fields: Fields = {"bias": True, "out_bias": True, "fixed": first}
        parts = [sublayer("attention", ContextAttention(width, heads, queries, **fields), after=norm)]
        if looks:
            fields |= {"d_source": source, "n_source": window}
            parts += [sublayer("cross", ContextAttention(width, heads, queries, **fields), after=norm)]
        parts += [sublayer("mlp", mlp, after=norm)]
        order.append(known.setdefault((first, looks), Block("first" if first else "block", tuple(parts))))
    inputs = (Named("queries", Embedding(queries, width, table="other", use="side_tokens")), Named("norm", norm))
    check_encoder(config)
    outputs, tokens = (Named("projector", Linear(width, out)),), f"{queries} * ceil(a, {window})"
    return [Stack("projector", width, inputs, group_runs(order), outputs, "tower", tokens)]


def phi4(config: Config) -> Stack:
    """Build the Phi-4-multimodal encoder with gated layers, distance biases, and strided spectrogram convolutions."""
    width, heads, taps = (config.size(key) for key in ("hidden_size", "num_attention_heads", "kernel_size"))
    for key in ("ext_pw_out_channel", "depthwise_separable_out_channel"):
        if config.size(key) != width:
            raise config.size_error(f"{key} is {config.size(key)}, but the residual stream has width {width}")
    for key in ("depthwise_multiplier", "downsample_rate"):
        if config.size(key) != 1:
            raise config.error(f"{key} must be 1, not {short_repr(config.get(key))}")
    config.ignore("chunk_size left_chunk dropout_rate audio_token_id feature_layer")
    norm, span = default_layernorm(width), config.size("time_reduction")
    distances = config.size("bias_max_distance") * (1 if config.flag("bias_symmetric") else 2)
    fields: Fields = {"score_bias": Relative(distances), "chunk": PHI4_CHUNK, **BIASED}
    attention = Attention(width, heads, causal=False, **fields)
    mlp = Mlp(width, config.size("intermediate_size"), config.activation("activation"), gated=True, bias=True)
    gates: Fields = {"gate": config.activation("conv_glu_type"), "activation": config.activation("conv_activation")}
    flags: Fields = dict.fromkeys(("bias", "conv_bias", "gate_bias", "separable", "kernels", "overrun"), True)
    conv = ConvModule(width, taps, chunk=PHI4_CHUNK, causal=True, **gates, **flags)
    inputs = _nemo(config, width, span)
    tokens = f"ceil(a, {span})"
    padding = f"min(1, max(0, {tokens} - {PHI4_CHUNK})) * (ceil({tokens}, {PHI4_CHUNK}) * {PHI4_CHUNK} - {tokens})"
    runs = repeat_block(block(norm, mlp, attention, conv), config.size("num_blocks"))
    return Stack("audio", width, inputs, runs, (), "tower", f"{tokens} + {padding}")


def phi4_projector(link: Link) -> list[Named]:
    """Build the two-layer projectors of Phi-4-multimodal, one for speech and one for speech with images."""
    span, found = link.encoder.size("time_reduction"), list[Named]()
    for name, unused in (("speech", False), ("vision_speech", True)):
        up = Linear(link.d_encoder, link.d_model, activation="gelu", frames=Frames(span), unused=unused)
        down = Linear(link.d_model, link.d_model, frames=Frames(span), unused=unused)
        found += named(**{f"{name}_up": up, f"{name}_down": down})
    return found


def _nemo(config: Config, width: int, span: int) -> tuple[Named, ...]:
    """Return stride-2 convolutions, all depthwise separable except the first."""
    channels, act, rows = (
        config.size("nemo_conv_channels"),
        config.activation("nemo_activation"),
        config.size("input_size"),
    )
    if span & (span - 1) or span < 2:
        raise config.size_error(f"time_reduction must be a power of two, not {span}")
    found, reached = list[Named](), 1
    while reached < span:
        reached, rows, first = 2 * reached, -(-rows // 2), not found
        groups = 1 if first else channels
        grid: Fields = {"frames": Frames(reached), "frequencies": Frequencies(rows)}
        over = Conv(1 if first else channels, channels, KERNEL, groups=groups, **grid, of_data=first,
                    activation=act if first else "identity")  # fmt: skip
        place = 0 if first else 3 * (reached.bit_length() - 2) - 1
        found.append(Named(f"plane{place}", over))
        if not first:
            mixed = Conv(channels, channels, 1, **grid, activation=act)
            found.append(Named(f"plane{place + 1}", mixed))
    config.check_equal("nemo_final_size", rows)
    return (*found, Named("plane_out", Linear(channels * rows, width, frames=Frames(span))))


def gemma4(config: Config) -> Stack:
    """Build the Gemma 4 encoder with sandwich norms, attention to earlier chunks, and relative positions."""
    width, heads = config.d_model, config.n_heads
    channels = _two_channels(config, "subsampling_conv_channels")
    config.ignore("attention_invalid_logits_value use_clipped_linears gradient_clipping")
    left, right, chunk = (config.count(f"attention_{key}") for key in ("context_left", "context_right", "chunk_size"))
    inputs = _planes(width, channels, channels[0])
    sizes = (heads, chunk, max(0, left - 1), right, (chunk + left - 1 + right) // 2 + 1)
    context = {"behind": max(0, left - 2), "ahead": max(0, right - 1), "key_scale": math.log2(1 + math.e)}
    last, scale = config.size("output_proj_dims"), config.number("residual_weight", HALF) or HALF
    found = _gemma(config, width, sizes, context, scale, config.number("attention_logit_cap"), config.activation())
    runs = repeat_block(found, config.n_layers)
    return Stack("audio", width, inputs, runs, (Named("audio_out", Linear(width, last)),), "tower", "ceil(a, 4)")


def gemma3n(config: Config) -> Stack:
    """Build the Gemma 3n encoder, which resembles Gemma 4's encoder but stores an unused audio token table."""
    width, heads, rows = (config.size(key) for key in ("hidden_size", "conf_num_attention_heads", "input_feat_size"))
    config.ignore("gradient_clipping vocab_offset sscp_conv_group_norm_eps conf_positional_bias_size")
    keys = ("context_left", "context_right", "chunk_size")
    left, right, chunk = (config.count(f"conf_attention_{key}") for key in keys)
    channels = _two_channels(config, "sscp_conv_channel_size")
    for key, usual in (("sscp_conv_kernel_size", KERNEL), ("sscp_conv_stride_size", STRIDE)):
        if config.get(key) not in ([[usual, usual]] * len(channels), None):
            raise config.error(f"only {usual} is supported for {key}, not {short_repr(config.get(key))}")
    inputs = _planes(width, channels, rows)
    past = max(0, left - 1)
    sizes = (heads, chunk, past, right, past + right + 1)
    scale = config.number("conf_residual_weight", HALF) or HALF
    context = {"behind": past, "ahead": right, "n_ahead": right}
    found = _gemma(config, width, sizes, context, scale, config.number("conf_attention_logit_cap"), "silu")
    norm = Norm(width, eps=config.eps)
    outputs = (
        Named("audio_table", Embedding(config.vocab, width, table="other", unused=True)),
        Named("audio_hard_norm", replace(norm, unused=True)),
        Named("audio_soft_norm", norm),
    )
    runs = repeat_block(found, config.size("conf_num_hidden_layers"))
    return Stack("audio", width, inputs, runs, outputs, "tower", "ceil(a, 4)")


def gemma3n_projector(link: Link) -> list[Named]:
    """Build the Gemma 3n projector with one linear layer on every ``conf_reduction_factor``-th token."""
    link.notes.append("not counted: applying the image and audio projections to text tokens")
    merge = link.encoder.size("conf_reduction_factor")
    return named(audio_projector=Linear(link.d_encoder, link.d_model, bias=False, merge=merge))


def _gemma(
    config: Config,
    width: int,
    sizes: tuple[int, int, int, int, int],
    context: Fields,
    scale: float,
    cap: float | None,
    act: str,
) -> Block:
    heads, chunk, left, right, distances = sizes
    norm = Norm(width, eps=config.eps)
    fields: Fields = {"positions": "projected", "n_distances": distances, "per_channel": True, "softcap": cap}
    fields |= context
    attention = ContextAttention(width, heads, chunk, left, right, **fields)
    taps = config.size("conv_kernel_size" if "conv_kernel_size" in config.known_keys() else "conf_conv_kernel_size")
    conv = ConvModule(width, taps, norm="rmsnorm", eps=norm.eps, activation=act, causal=True)
    return block(norm, Mlp(width, GROWTH * width, act), attention, conv, scale, norm)


def _planes(width: int, channels: tuple[int, int], rows: int) -> tuple[Named, ...]:
    """Return two stride-2 convolutions over time and frequency with norms and ReLU, and an output projection."""
    found, before, span = list[Named](), 1, 1
    for number, out in enumerate(channels):
        rows, span = -(-rows // 2), 2 * span
        grid: Fields = {"frames": Frames(span), "frequencies": Frequencies(rows)}
        conv = Conv(before, out, KERNEL, **grid, bias=False, of_data=number == 0)
        found += [Named(f"plane{number}", conv), Named(f"plane_norm{number}", Norm(out, "layernorm"))]
        before = out
    return (*found, Named("plane_out", Linear(before * rows, width, bias=False, frames=Frames(span))))


def _two_channels(config: Config, key: str) -> tuple[int, int]:
    values = config.layer_indices(key)
    if len(values) != 2:
        raise config.invalid(key, "two numbers", values)
    return config.integer(values[0], key, 1), config.integer(values[1], key, 1)


def fast_conformer_front(config: Config, tower: bool) -> tuple[Named, ...]:
    """Return stride-2 convolutions and an output projection. With ``tower``, lengths are in frames, not tokens."""
    width, channels, rows = (config.size(key) for key in ("hidden_size", "subsampling_conv_channels", "num_mel_bins"))
    side, factor = config.size("subsampling_conv_kernel_size"), config.size("subsampling_factor")
    count = int(math.log2(factor))
    if config.size("subsampling_conv_stride") != STRIDE or not side % 2:
        said = "subsampling convolutions must have stride 2 and an odd kernel size"
        raise config.size_error(said)
    left = rows // STRIDE**count
    found = list[Named]()
    for number in range(max(count, 1)):
        span, first, rows = STRIDE ** (number + 1), number == 0, -(-rows // STRIDE)
        rate: Fields = {"frames": Frames(span)} if tower else {"upsample": STRIDE ** (count - 1 - number)}
        rate["frequencies"] = Frequencies(rows)
        over = Conv(1 if first else channels, channels, side, groups=1 if first else channels,
                    of_data=first, activation="relu" if first else "identity", **rate)  # fmt: skip
        found.append(Named(f"plane{0 if first else MODULES * number - 1}", over))
        if not first:
            mixed = Conv(channels, channels, 1, activation="relu", **rate)
            found.append(Named(f"plane{MODULES * number}", mixed))
    if left != rows:
        said = (
            f"{config.size('num_mel_bins')} frequencies become {rows} in the convolutions, but the class expects {left}"
        )
        config.add_unmodelled(said)
    frames = Frames(STRIDE ** max(count, 1)) if tower else None
    return (*found, Named("plane_out", Linear(channels * left, width, frames=frames)))


def fast_conformer_blocks(config: Config) -> tuple[Run, ...]:
    """Return Conformer blocks with relative positions."""
    width, heads, bias = config.d_model, config.n_heads, config.flag("attention_bias")
    act, norm, conv_bias = config.activation(), default_layernorm(width), config.flag("convolution_bias")
    attention = DistanceAttention(width, heads, config.optional_size("head_dim"), bias)
    mlp = Mlp(width, config.size("intermediate_size"), act, bias=bias)
    conv = ConvModule(width, config.size("conv_kernel_size"), norm="batchnorm", activation=act, bias=conv_bias,
                      conv_bias=conv_bias, kernels=True)  # fmt: skip
    config.ignore(_FAST_CONFORMER_IGNORED)
    config.check_equal("num_key_value_heads", heads)
    return repeat_block(block(norm, mlp, attention, conv), config.n_layers)


def fast_conformer(config: Config) -> Stack:
    """Build a FastConformer as the audio encoder of a language model."""
    width, tokens = config.d_model, Frames(config.size("subsampling_factor")).positions()
    return Stack(
        "audio", width, fast_conformer_front(config, tower=True), fast_conformer_blocks(config), (), "tower", tokens
    )
