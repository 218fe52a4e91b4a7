"""Encoders with efficient attention: FNet, Nyströmformer, YOSO, MRA, Longformer and BigBird."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Stack
from ....core.layer import Layer
from ....importers.hf.config import Config
from ....importers.hf.families.bert import (
    bert_attention,
    bert_mlp,
    block,
    encoder,
    encoder_model,
    is_decoder,
    skip_padding,
    with_head,
)
from ....importers.hf.rules import group_runs
from ....layers import Linear, Mlp, Padding
from ..layers.fourier_mixing import FourierMixing
from ..layers.hashed_attention import HashedAttention
from ..layers.local_attention import LocalAttention
from ..layers.nystrom_attention import NystromAttention
from ..layers.sparse_attention import SparseAttention

OFFSET = 2  # number of rows before the first position


def fnet(config: Config) -> Architecture:
    """Read an FNet config [leethorp2021] with Fourier mixing and a projection after the embeddings."""
    config.ignore("use_tpu_fourier_optimizations tpu_short_seq_length")
    stack = encoder(config, attention=FourierMixing(config.d_model))
    stack = replace(stack, inputs=(*stack.inputs, Named("projection", Linear(config.d_model, config.d_model))))
    return with_head(config, stack, pooled=True)


def nystromformer(config: Config) -> Architecture:
    """Read a Nyströmformer config [xiong2021]."""
    if config.flag("inv_coeff_init_option"):
        raise config.error("inv_coeff_init_option is not supported")
    landmarks, length = config.size("num_landmarks"), config.size("segment_means_seq_len")
    if landmarks > length:
        raise config.size_error(f"num_landmarks ({landmarks}) must not exceed segment_means_seq_len ({length})")
    attention = NystromAttention(
        config.d_model,
        config.n_heads,
        landmarks if landmarks < length else None,
        config.optional_size("conv_kernel_size"),
    )
    return _unpooled(config, encoder(config, attention=attention, offset=OFFSET))


def yoso(config: Config) -> Architecture:
    """Read a YOSO config [zeng2021]."""
    config.ignore("use_fast_hash lsh_backward")
    attention = HashedAttention(
        config.d_model,
        config.n_heads,
        config.flag("use_expectation"),
        config.size("num_hash"),
        config.size("hash_code_len"),
        config.optional_size("conv_window"),
    )
    return _unpooled(config, encoder(config, attention=attention, offset=OFFSET))


def _unpooled(config: Config, stack: Stack) -> Architecture:
    return encoder_model(config, stack, []) if config.head_kind() == "none" else with_head(config, stack)


def mra(config: Config) -> Architecture:
    """Read an MRA config [zeng2022]. Attention covers all pairs, without the multi-resolution approximation."""
    config.ignore("block_per_row approx_mode initial_prior_first_n_blocks initial_prior_diagonal_n_blocks")
    attention = bert_attention(config)
    config.add_unmodelled("the multi-resolution approximation of attention is not modelled")
    note = "attention is counted over all pairs, because its multi-resolution approximation is not modelled"
    return replace(_unpooled(config, encoder(config, attention=attention, offset=OFFSET)), notes=(note,))


def longformer(config: Config) -> Architecture:
    """Read a Longformer config [beltagy2020]. The projections for global tokens are stored but unused."""
    layers, width, heads = (config.size(key) for key in ("num_hidden_layers", "hidden_size", "num_attention_heads"))
    config.ignore("onnx_export")
    windows = config.get("attention_window", 512)
    windows = windows if isinstance(windows, list) else [windows] * layers
    if len(windows) != layers or not all(type(size) is int and size > 0 for size in windows):
        raise config.size_error(
            "attention_window must be a positive integer or a list of positive integers, one per layer"
        )
    longest = max(windows)
    mlp = Mlp(width, config.size("intermediate_size"), config.activation(), bias=True, padding=Padding(longest))
    known: dict[int, Block] = {}
    for window in windows:
        attention = LocalAttention(width, heads, window, longest)
        known[window] = known.get(window) or block(config, attention, mlp)
    stack = replace(encoder(config, mlp=mlp), runs=group_runs(known[window] for window in windows))
    return with_head(config, skip_padding(config, stack), activation="gelu")


def big_bird(config: Config) -> Architecture:
    """Read a BigBird config [zaheer2020]. Long inputs use sparse attention. The pooler runs even if there is a
    head.
    """
    kind, biased = config.string("attention_type"), config.flag("use_bias")
    if kind not in ("block_sparse", "original_full"):
        raise config.invalid("attention_type", "block_sparse or original_full", kind)
    config.ignore("block_size num_random_blocks")
    attention: Layer = bert_attention(config, q_bias=biased, k_bias=biased, v_bias=biased)
    mlp = bert_mlp(config)
    if kind == "block_sparse" and not (is_decoder(config) and config.head_kind() == "causal"):
        length, n_random = config.size("block_size"), config.size("num_random_blocks")
        attention = SparseAttention(config.d_model, config.n_heads, length, n_random, biased)
        mlp = replace(mlp, padding=Padding(length, attention.limit))
    stack = encoder(config, attention=attention, mlp=mlp)
    if config.flag("rescale_embeddings"):
        token = stack.inputs[0]
        scaled = replace(token.layer, scale=stack.d_model**0.5)  # type: ignore[type-var]
        stack = replace(stack, inputs=(Named(token.name, scaled), *stack.inputs[1:]))
    if config.flag("add_cross_attention") and not biased:  # use_bias also applies to cross-attention
        raise config.error("add_cross_attention without use_bias is not supported")
    return with_head(config, stack, pooled=True)
