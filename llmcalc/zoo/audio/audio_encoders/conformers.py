"""Conformers [gulati2020] before a language model: those of Granite Speech, Phi-4-multimodal and Gemma."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ....core.architecture import Block, Branch, Named, Stack, Sublayer
from ....core.errors import DescriptionError, SizeError, shown
from ....core.layer import Layer
from ....importers.hf.config import Config
from ....importers.hf.families.gpt import BIASED
from ....importers.hf.rules import default_layernorm, group_runs, repeat_block, sublayer
from ....layers.attention import Attention
from ....layers.conv import Conv
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ....layers.norm import Norm
from ..layers.context_attention import ContextAttention
from ..layers.conv_module import ConvModule

HALF = 0.5  # of each feed-forward layer is added
GROWTH = 4  # of a hidden layer in Gemma's
KERNEL, STRIDE = 3, 2  # of convolutions before the blocks, along time and frequency
ALONE = 500  # tokens beyond which Phi-4's see only others of their own chunk
_LEFT = "is_encoder_decoder tie_word_embeddings _attn_implementation vocab_size"


def block(
    norm: Layer, mlp: Layer, attention: Layer, conv: Layer, scale: float = HALF, post: Layer | None = None
) -> Block:
    """Half a feed-forward layer, attention, a convolution, the other half, a norm; ``post``: norms behind, too."""
    last = Sublayer("end", (Branch("end", mlp),), norm, post, norm, scale=scale)
    parts = (
        sublayer("start", mlp, pre=norm, post=post, scale=scale),
        sublayer("attention", attention, pre=norm, post=post),
        sublayer("conv", conv, pre=norm),
        last,
    )
    return Block("block", parts)


def granite(config: Config) -> Stack:
    """Granite Speech's: attention within blocks, distances by a table; a guess of the letters flows back half-way."""
    width, heads = config.size("hidden_dim"), config.size("num_heads")
    head = config.optional_size("dim_head") or max(1, width // heads)
    chunk, reach, layers = config.size("context_size"), config.size("max_pos_emb"), config.size("num_layers")
    config.ignore("dropout cat_hidden_layers")
    if chunk > reach:
        raise SizeError(f"context_size ({chunk}) is more than max_pos_emb ({reach})", where=config.where)
    norm = default_layernorm(width)
    fields: dict[str, Any] = {"positions": "table", "n_distances": 2 * reach + 1, "out_bias": True, "padded": True}
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


def qformer(config: Config, queries: int, window: int, out: int) -> Stack:
    """Granite Speech's projector: learned queries look at a window of frames each through a Q-Former."""
    width, heads, source = (config.size(key) for key in ("hidden_size", "num_attention_heads", "encoder_hidden_size"))
    config.ignore("vocab_size max_position_embeddings hidden_dropout_prob attention_probs_dropout_prob pad_token_id")
    if config.flag("use_qformer_text_input"):
        raise DescriptionError("a Q-Former that reads text is not modelled", where=config.where)
    norm = Norm(width, "layernorm", bias=True, eps=config.number("layer_norm_eps") or 1e-12)
    mlp = Mlp(width, config.size("intermediate_size"), config.activation(), bias=True)
    every = config.size("cross_attention_frequency")
    known: dict[tuple[bool, bool], Block] = {}
    order = []
    for index in range(config.size("num_hidden_layers")):
        first, looks = index == 0, index % every == 0
        fields: dict[str, Any] = {"bias": True, "out_bias": True, "fixed": first}
        parts = [sublayer("attention", ContextAttention(width, heads, queries, **fields), after=norm)]
        if looks:
            fields |= {"d_source": source, "n_source": window}
            parts += [sublayer("cross", ContextAttention(width, heads, queries, **fields), after=norm)]
        parts += [sublayer("mlp", mlp, after=norm)]
        order.append(known.setdefault((first, looks), Block("first" if first else "block", tuple(parts))))
    inputs = (Named("queries", Embedding(queries, width, table="other", use="side_tokens")), Named("norm", norm))
    outputs = (Named("projector", Linear(width, out)),)
    return Stack("projector", width, inputs, group_runs(order), outputs, "tower", f"{queries} * ceil(a, {window})")


def phi4(config: Config, out: int) -> Stack:
    """Phi-4-multimodal's: gated layers, a bias for each distance, convolutions of stride 2 over the spectrogram."""
    width, heads, taps = (config.size(key) for key in ("hidden_size", "num_attention_heads", "kernel_size"))
    for key in ("ext_pw_out_channel", "depthwise_separable_out_channel"):
        if config.size(key) != width:
            raise SizeError(f"{key} is {config.size(key)}, where the stream is {width} wide", where=config.where)
    for key in ("depthwise_multiplier", "downsample_rate"):
        if config.size(key) != 1:
            raise DescriptionError(
                f"{key} is {shown(config.get(key))}; other than 1 is not modelled", where=config.where
            )
    config.ignore("chunk_size left_chunk dropout_rate audio_token_id feature_layer")
    norm, span = default_layernorm(width), config.size("time_reduction")
    distances = config.size("bias_max_distance") * (1 if config.flag("bias_symmetric") else 2)
    fields: dict[str, Any] = {"positions": "relative", "n_buckets": distances, "chunk": ALONE, **BIASED}
    attention = Attention(width, heads, causal=False, **fields)
    mlp = Mlp(width, config.size("intermediate_size"), config.activation("activation"), gated=True, bias=True)
    gates: dict[str, Any] = {
        "gate": config.activation("conv_glu_type"),
        "activation": config.activation("conv_activation"),
    }
    flags: dict[str, Any] = dict.fromkeys(("bias", "conv_bias", "gate_bias", "separable", "kernels", "overrun"), True)
    conv = ConvModule(width, taps, chunk=ALONE, causal=True, **gates, **flags)
    inputs = _nemo(config, width, span)
    outputs = []
    for name, unused in (("speech", False), ("vision_speech", True)):
        up = Linear(width, out, activation="gelu", span=span, unused=unused)
        outputs += [Named(f"{name}_up", up), Named(f"{name}_down", Linear(out, out, span=span, unused=unused))]
    heard = f"ceil(a, {span})"
    more = f"min(1, max(0, {heard} - {ALONE})) * (ceil({heard}, {ALONE}) * {ALONE} - {heard})"
    runs = repeat_block(block(norm, mlp, attention, conv), config.size("num_blocks"))
    return Stack("audio", width, inputs, runs, tuple(outputs), "tower", f"{heard} + {more}")


def _nemo(config: Config, width: int, span: int) -> tuple[Named, ...]:
    """Convolutions of stride 2, all but the first over each channel, with one that mixes them behind."""
    channels, act, rows = (
        config.size("nemo_conv_channels"),
        config.activation("nemo_activation"),
        config.size("input_size"),
    )
    if span & (span - 1) or span < 2:
        raise SizeError(f"time_reduction is {span}; it is a power of 2", where=config.where)
    found, reached = list[Named](), 1
    while reached < span:
        reached, rows, first = 2 * reached, -(-rows // 2), not found
        groups = 1 if first else channels
        over = Conv(1 if first else channels, channels, KERNEL, groups=groups, span=reached, rows=rows, of_data=first,
                    activation=act if first else "identity")  # fmt: skip
        place = 0 if first else 3 * (reached.bit_length() - 2) - 1
        found.append(Named(f"plane{place}", over))
        if not first:
            mixed = Conv(channels, channels, 1, span=reached, rows=rows, activation=act)
            found.append(Named(f"plane{place + 1}", mixed))
    config.ignore("nemo_final_size")  # computed anew
    return (*found, Named("plane_out", Linear(channels * rows, width, span=span)))


def gemma4(config: Config, out: int) -> Stack:
    """Gemma 4's: sandwich norms, blocks that look back, distances by projected sinusoids."""
    width, heads, channels = (
        config.size("hidden_size"),
        config.size("num_attention_heads"),
        config.layer_indices("subsampling_conv_channels"),
    )
    config.ignore("attention_invalid_logits_value use_clipped_linears gradient_clipping")
    left, right, chunk = (config.count(f"attention_{key}") for key in ("context_left", "context_right", "chunk_size"))
    seen = chunk + left - 1 + right
    first, second = _two(config, channels, "subsampling_conv_channels")
    inputs = _planes(config, width, (first, second), ((KERNEL, KERNEL), (KERNEL, KERNEL)), first)
    sizes = (heads, chunk, max(0, left - 1), right, seen // 2 + 1)
    sees = {"behind": max(0, left - 2), "ahead": max(0, right - 1), "key_scale": math.log2(1 + math.e)}
    last, scale = config.size("output_proj_dims"), config.number("residual_weight", HALF) or HALF
    found = _gemma(config, width, sizes, sees, scale, config.number("attention_logit_cap"), config.activation())
    runs = repeat_block(found, config.size("num_hidden_layers"))
    outputs = (Named("audio_out", Linear(width, last)), Named("audio_projector", Linear(last, out, bias=False)))
    return Stack("audio", width, inputs, runs, outputs, "tower", "ceil(a, 4)")


def gemma3n(config: Config, out: int) -> Stack:
    """Gemma 3n's: the same, of which every few tokens one is kept; a table of tokens of sound beside it."""
    width, heads, rows = (config.size(key) for key in ("hidden_size", "conf_num_attention_heads", "input_feat_size"))
    config.ignore("gradient_clipping vocab_offset sscp_conv_group_norm_eps conf_positional_bias_size")
    keys = ("context_left", "context_right", "chunk_size")
    left, right, chunk = (config.count(f"conf_attention_{key}") for key in keys)
    channels = _two(config, config.layer_indices("sscp_conv_channel_size"), "sscp_conv_channel_size")
    for key, usual in (("sscp_conv_kernel_size", KERNEL), ("sscp_conv_stride_size", STRIDE)):
        if config.get(key) not in ([[usual, usual]] * len(channels), None):
            raise DescriptionError(
                f"{key} is {shown(config.get(key))}; other than {usual} is not modelled", where=config.where
            )
    inputs = _planes(config, width, channels, ((KERNEL, KERNEL), (KERNEL, KERNEL)), rows)
    past = max(0, left - 1)
    sizes = (heads, chunk, past, right, past + right + 1)
    scale = config.number("conf_residual_weight", HALF) or HALF
    sees = {"behind": past, "ahead": right, "n_ahead": right}
    found = _gemma(config, width, sizes, sees, scale, config.number("conf_attention_logit_cap"), "silu")
    norm, kept = Norm(width, eps=config.number("rms_norm_eps") or 1e-6), config.size("conf_reduction_factor")
    outputs = (
        Named("audio_table", Embedding(config.size("vocab_size"), width, table="other", unused=True)),
        Named("audio_hard_norm", replace(norm, unused=True)),
        Named("audio_soft_norm", norm),
        Named("audio_projector", Linear(width, out, bias=False, merge=kept)),
    )
    runs = repeat_block(found, config.size("conf_num_hidden_layers"))
    return Stack("audio", width, inputs, runs, outputs, "tower", "ceil(a, 4)")


def _gemma(
    config: Config,
    width: int,
    sizes: tuple[int, int, int, int, int],
    sees: dict[str, Any],
    scale: float,
    cap: float | None,
    act: str,
) -> Block:
    heads, chunk, left, right, distances = sizes
    norm = Norm(width, eps=config.number("rms_norm_eps") or 1e-6)
    fields: dict[str, Any] = {"positions": "projected", "n_distances": distances, "per_channel": True, "softcap": cap}
    fields |= sees
    attention = ContextAttention(width, heads, chunk, left, right, **fields)
    taps = config.size("conv_kernel_size" if "conv_kernel_size" in config.known_keys() else "conf_conv_kernel_size")
    conv = ConvModule(width, taps, norm="rmsnorm", eps=norm.eps, activation=act, causal=True)
    return block(norm, Mlp(width, GROWTH * width, act), attention, conv, scale, norm)


def _planes(config: Config, width: int, channels: tuple[int, int], kernels: Any, rows: int) -> tuple[Named, ...]:
    """Two convolutions of stride 2 over time and frequency, each with a norm and relu, and a matrix."""
    found, before, span = list[Named](), 1, 1
    for number, (out, (taps, across)) in enumerate(zip(channels, kernels, strict=True)):
        rows, span = -(-rows // 2), 2 * span
        conv = Conv(before, out, taps, span=span, rows=rows, taps_across=across, bias=False, of_data=number == 0)
        found += [Named(f"plane{number}", conv), Named(f"plane_norm{number}", Norm(out, "layernorm"))]
        before = out
    return (*found, Named("plane_out", Linear(before * rows, width, bias=False, span=span)))


def _two(config: Config, values: list[int], key: str) -> tuple[int, int]:
    if len(values) != 2:
        raise DescriptionError(f"{key} is {shown(values)}; it is two numbers", where=config.where)
    return config.integer(values[0], key, 1), config.integer(values[1], key, 1)


def checked(config: Config) -> None:
    """Fail on a key of a Conformer that nobody read."""
    config.ignore(_LEFT)
    config.check_all_read()
