"""Decoders that are LLaMA but for their attention: differences of softmaxes, masks from values, images to look at."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Branch, Named, Sublayer
from ....core.errors import DescriptionError
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.head import Head
from ....layers.mlp import Mlp
from ....layers.scale import Scale
from ....zoo.research.layers.differential_attention import DifferentialAttention
from ....zoo.research.layers.dynamic_attention import DynamicAttention
from ....zoo.research.layers.product_key_experts import ProductKeyExperts
from ..config import Config
from ..decoder import decoder
from ..rules import (
    TOKENS,
    causal_lm,
    extend_attention,
    gated_mlp,
    repeat_block,
    rmsnorm,
    rope_attention,
    runs_by_type,
    sliding_window,
    sublayer,
)
from .llama_kin import apertus

IMAGE_TOKENS = 8  # rows of Llama 3.2's table that its head lacks
CROSSED = [3, 8, 13, 18, 23, 28, 33, 38]  # layers of its 11B model that look at images


def diffllama(config: Config) -> Architecture:
    """DiffLLaMA: differential attention [ye2024]."""
    config.ignore("lambda_std_dev")
    eps = rmsnorm(config, config.size("hidden_size")).eps
    return decoder(config, attention=extend_attention(DifferentialAttention, rope_attention(config), pair_norm_eps=eps))


def doge(config: Config) -> Architecture:
    """Doge: a mask that is computed from values, scaled residuals, and perhaps experts of one neuron each."""
    width, bias = config.size("hidden_size"), config.flag("mlp_bias")
    norm, scale = rmsnorm(config, width), Scale(width, "residual")
    plain = rope_attention(config, qk_norm="head", window=sliding_window(config))
    attention = extend_attention(DynamicAttention, plain, keep_window=config.size("keep_window_size"))
    feeds = [Branch("mlp", gated_mlp(config, bias=bias))]
    if config.flag("is_moe"):
        n_experts, top_k = config.size("num_experts"), config.size("num_experts_per_tok")
        renormalise = config.flag("norm_topk_prob")
        feeds.append(
            Branch("peer", ProductKeyExperts(width, n_experts, top_k, config.activation(), renormalise, together=True))
        )
    config.ignore("num_experts num_experts_per_tok norm_topk_prob")
    parts = (sublayer("attention", attention, pre=norm, after=scale), Sublayer("mlp", tuple(feeds), norm, after=scale))
    return causal_lm(config, repeat_block(Block("block", parts), config.size("num_hidden_layers")), norm)


def mllama(config: Config) -> Architecture:
    """Llama 3.2 Vision's language model: some layers look at an image, and are left out without one."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    config.ignore("pad_token_id")
    crossed = (
        CROSSED if config.get("cross_attention_layers") is None else config.layer_indices("cross_attention_layers")
    )
    norm, own, mlp = rmsnorm(config, width), rope_attention(config, bias=False), gated_mlp(config)
    idle, gate = replace(norm, unused=True), Scale(width, lone=True, function="tanh", unused=True)
    cross = Attention(
        width, own.n_heads, own.n_kv_heads, own.d_head, qk_norm="head", causal=False, cross=True, unused=True
    )
    looking = [sublayer("cross_attention", cross, pre=idle, post=gate)]
    looking += [sublayer("mlp", replace(mlp, unused=True), pre=idle, post=gate)]
    blocks = {
        "block": Block("block", (sublayer("attention", own, pre=norm), sublayer("mlp", mlp, pre=norm))),
        "image": Block("image", tuple(looking)),
    }
    order = ["image" if index in crossed else "block" for index in range(layers)]
    config.ignore("tie_word_embeddings")
    vocab = config.size("vocab_size")
    head = Head(vocab, width)
    model = causal_lm(config, runs_by_type(blocks, order), norm, head=head, tied=False)
    table = Named("token", Embedding(vocab + IMAGE_TOKENS, width, share=TOKENS))
    note = "layers that look at an image are counted, but not run: the tokens are text alone"
    return replace(model, stacks=(replace(model.main, inputs=(table,)),), notes=(*model.notes, note))


def apertus_text(config: Config) -> Architecture:
    """Apertus 1.5's language model: a head that may lack the rows of images and sounds."""
    architecture, rows = apertus(config), config.optional_size("output_vocab_size")
    vocab, width = config.size("vocab_size"), config.size("hidden_size")
    if rows is None or rows == vocab or config.head_kind() == "none":
        return architecture
    if rows > vocab or config.flag("tie_word_embeddings"):
        said = f"output_vocab_size ({rows}) goes with a head of its own, of at most {vocab} rows"
        raise DescriptionError(said, where=config.where)
    stack = architecture.main
    outputs = (*stack.outputs[:-1], Named("head", Head(rows, width)))
    return replace(architecture, stacks=(replace(stack, outputs=outputs),))


def cpmant(config: Config) -> Architecture:
    """CPM-Ant: learned tokens before every sequence, one bias of distances and segments for all layers, gated GELU."""
    config.ignore("dropout_p init_std tie_word_embeddings max_position_embeddings")
    width, vocab, length = config.size("hidden_size"), config.size("vocab_size"), config.size("prompt_length")
    segments, distances = config.size("segment_types"), config.size("position_bias_num_buckets")
    norm = rmsnorm(config, width, "eps")
    attention = Attention(
        width,
        config.size("num_attention_heads"),
        d_head=config.size("dim_head"),
        positions="relative",
        n_buckets=distances + segments * segments,
        max_distance=config.size("position_bias_max_distance"),
        prompt=length,
    )
    mlp = Mlp(width, config.size("dim_ff"), "gelu", gated=True, prompt=length)
    block = Block("block", (sublayer("attention", attention, pre=norm), sublayer("mlp", mlp, pre=norm)))
    runs = repeat_block(block, config.size("num_hidden_layers"))
    table = Embedding(vocab + config.size("prompt_types") * length, width)
    inputs = (Named("token", table), Named("segment", Embedding(segments, width, "segment")))
    model = causal_lm(config, runs, norm, head=Head(vocab, width), tied=False)
    return replace(model, stacks=(replace(model.main, inputs=inputs),))
