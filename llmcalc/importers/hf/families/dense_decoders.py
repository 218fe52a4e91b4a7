"""Dense decoders that are not LLaMA variants, such as Phi, StableLM, OLMo, EXAONE 4, Cohere and OPT."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Named
from ....layers import Attention, Bounds, Embedding, FixedTable, Head, Linear, Mlp, Norm, SequenceRows
from ....layers.score_biases.relative import Relative
from ..config import BIASED, FULL, TOKENS, Config
from ..rules import causal_lm, decoder, default_layernorm, prenorm_block, repeat_block, sublayer, unused_cross_attention
from .moe_shared_experts import exaone_pattern

PADDED_WIDTH = 256  # Phi-3-small rounds its hidden width up to a multiple
_MLPS = ("mlp", "fused_mlp")  # classes of Phi's MLP in its authors' format, with the same weights
_OFFSET = 2  # rows before the first position


def cpmant(config: Config) -> Architecture:
    """Read a CPM-Ant config. The model has a learned prompt, and all layers share one bias table."""
    config.ignore("dropout_p tie_word_embeddings max_position_embeddings")
    width, vocab, length = config.d_model, config.vocab, config.size("prompt_length")
    segments, distances = config.size("segment_types"), config.size("position_bias_num_buckets")
    norm = config.rmsnorm("eps")
    bias = Relative(distances + segments * segments, config.size("position_bias_max_distance"))
    attention = config.layer(Attention, "n_heads=num_attention_heads d_head=dim_head", score_bias=bias, prompt=length)
    mlp = Mlp(width, config.size("dim_ff"), "gelu", gated=True, sequence=SequenceRows(prompt=length))
    block = prenorm_block("block", norm, attention=attention, mlp=mlp)
    table = Embedding(vocab + config.size("prompt_types") * length, width)
    inputs = (Named("token", table), Named("segment", Embedding(segments, width, "segment")))
    model = causal_lm(config, repeat_block(block, config.n_layers), norm, head=Head(vocab, width), tied=False)
    return replace(model, stacks=(replace(model.main, inputs=inputs),))


def phi(config: Config) -> Architecture:
    """Read a Phi-1, Phi-1.5 or Phi-2 config. Attention and MLP run in parallel and have biases in all projections."""
    chosen = config.qk_layernorm("head", bias=True) if config.flag("qk_layernorm") else {}
    attention = config.attention(bias=True, rope={"dim": config.rotary_width(0.5)}, **chosen)
    head = config.lm_head(tied=config.flag("tie_word_embeddings"), bias=True)
    mlp = config.plain_mlp(bias=True)
    return decoder(config, norm=config.layernorm(), attention=attention, mlp=mlp, place="parallel", head=head)


def phi_msft(config: Config) -> Architecture:
    """Read a Phi-1, Phi-1.5 or Phi-2 config in its authors' format [microsoft2023phi]."""
    step, rotated, head = config.size("pad_vocab_size_multiple"), config.size("rotary_dim"), config.divide_by_heads()
    config.override("vocab_size", -(-config.vocab // step) * step)
    config.override("intermediate_size", config.size("intermediate_size", 4 * config.d_model))
    config.override("partial_rotary_factor", rotated / head)
    block = config.mapping("architecture")
    if block.get("block_cls", "parallel") != "parallel" or block.get("mlp", {}).get("mlp_cls", "mlp") not in _MLPS:
        raise config.invalid("architecture", "parallel blocks with plain MLPs", block)
    config.one_of("embd_layer", "default")
    return phi(config)


def phi3(config: Config) -> Architecture:
    """Read a Phi-3 [abdin2024] or Phi-4 config."""
    attention = config.attention(bias=False, rope={"dim": config.rotary_width()}, window=config.sliding_window())
    return decoder(config, attention)


def phi3small(config: Config) -> Architecture:
    """Read a Phi-3-small config [abdin2024] with a clamped GEGLU, and scaled embeddings, scores and logits."""
    config.ignore("blocksparse_homo_head_pattern blocksparse_triton_kernel_block_size dummy_token_indices")
    config.ignore("attention_bias pad_sequence_to_multiple_of_64")
    config.unmodelled_unless("rope_position_scale", 1.0)
    config.one_of("hidden_act", "gegelu")
    if config.count("dense_attention_every_n_layers"):
        reach = config.size("blocksparse_block_size") * config.size("blocksparse_num_local_blocks")
        config.ignore("blocksparse_vert_stride")
        config.add_unmodelled("the NumPy model does not support block-sparse attention")
        config.warnings.append(f"block-sparse attention is counted as full attention, also beyond {reach} tokens")
    scale = (config.number("mup_attn_multiplier") or 1.0) / config.divide_by_heads()
    attention = config.attention(bias=True, scale=scale if config.flag("mup_use_scaling") else None)
    bounds = Bounds(clamp=config.number("gegelu_limit"), up_offset=1.0)
    mlp = Mlp(config.d_model, _gegelu_width(config), "quick_gelu", gated=True, bias=True, bounds=bounds)
    head = config.lm_head(input_scale=1 / (config.number("mup_width_multiplier") or 1.0))
    scaled = config.number("mup_embedding_multiplier") or 1.0
    return decoder(config, attention, mlp, norm=config.layernorm(), head=head, embedding_scale=scaled)


def _gegelu_width(config: Config) -> int:
    """Return the hidden width of Phi-3-small, which is ``ff_intermediate_size`` or a multiple of the model width."""
    given, factor = config.optional_size("intermediate_size"), config.optional_size("ff_dim_multiplier")
    step = PADDED_WIDTH if config.flag("gegelu_pad_to_256") else 1
    return given or -(-(factor or 1) * (config.d_model // 3) * 2 // step) * step


def starcoder2(config: Config) -> Architecture:
    """Read a StarCoder 2 config [lozhkov2024] with LayerNorm, biases and a sliding window in all layers."""
    bias = config.flag("use_bias", True)
    attention = config.attention(bias=bias, window=config.sliding_window())
    return decoder(config, norm=config.layernorm("norm_epsilon"), attention=attention, mlp=config.plain_mlp(bias=bias))


def stablelm(config: Config) -> Architecture:
    """Read a StableLM 2 config. A quarter of each head is rotated, and query and key heads may have separate norms."""
    norms = config.qk_layernorm() if config.flag("qk_layernorm") else {}
    bias, rope = config.flag("use_qkv_bias"), {"dim": config.rotary_width(0.25)}
    attention = config.attention(bias=bias, o_bias=False, rope=rope, **norms)
    place = "parallel" if config.flag("use_parallel_residual") else "pre"
    return decoder(config, norm=config.layernorm(), attention=attention, place=place)


def olmo(config: Config) -> Architecture:
    """Read an OLMo config [groeneveld2024] with weightless LayerNorm and clipped queries, keys and values."""
    norm = Norm(config.d_model, "layernorm", scale=False)
    return decoder(config, norm=norm, attention=config.attention(clip=config.number("clip_qkv")))


def olmo2(config: Config) -> Architecture:
    """Read an OLMo 2 config [olmo2024]. Norms follow the sub-layers, and QK norms span the full width."""
    return decoder(config, config.attention(qk_norm="projection"), place="post")


def olmo3(config: Config) -> Architecture:
    """Read an OLMo 3 config. The model is OLMo 2 with a sliding window in three of every four layers."""
    pattern = config.periodic_types(4, first=3)
    attention, order = config.windowed_attention(pattern, config.sliding_window(), qk_norm="projection")
    return decoder(config, attention, order=order, place="post")


def exaone4(config: Config) -> Architecture:
    """Read an EXAONE 4.0 config. By default, every fourth layer uses full attention without rotary positions."""
    limit, pattern = config.sliding_window(), config.get("layer_types")
    period = config.get("sliding_window_pattern")
    if pattern is None and isinstance(period, str):  # as in the original release
        pattern = exaone_pattern(config, config.n_layers, limit)
    if pattern is None:
        if not limit or not period:
            text = "layer_types is missing and cannot be derived without sliding_window and sliding_window_pattern"
            raise config.size_error(text)
        count = config.size("sliding_window_pattern")
        pattern = config.periodic_types(count, first=count - 1)
    unplaced = FULL if limit else ()
    attention, order = config.windowed_attention(pattern, limit, unplaced=unplaced, bias=False, qk_norm="head")
    return decoder(config, attention, order=order, place="post")


def _head(config: Config) -> Head:
    return config.lm_head(input_scale=config.number("logit_scale", 1.0))


def cohere(config: Config) -> Architecture:
    """Read a Command R config. Query and key heads may be normalised with separate weights per head."""
    norms = config.qk_layernorm() if config.flag("use_qk_norm") else {}
    attention = config.attention(rope={"interleaved": True}, **norms)
    norm = config.layernorm(bias=False)
    return decoder(config, norm=norm, attention=attention, place="parallel", head=_head(config))


def cohere2(config: Config) -> Architecture:
    """Read a Command R7B or Command A config. By default, every fourth layer has no window and no rotary positions."""
    count = config.size("sliding_window_pattern", 4)
    return _windowed(config, config.periodic_types(count, first=count - 1))


def cohere_compass(config: Config) -> Architecture:
    """Read a Cohere Compass text config. The model is Cohere 2 without sliding windows by default."""
    config.ignore("pooling sliding_window_pattern")
    given = config.get("rope_parameters") or {}
    unplaced = [kind for kind in ("full_attention", "sliding_attention") if given.get(kind, "") is None]
    return _windowed(config, ["full_attention"] * config.n_layers, unplaced, interleaved=False)


def _windowed(
    config: Config, pattern: list[str], unplaced: Collection[str] = FULL, interleaved: bool = True
) -> Architecture:
    rope, norm = {"interleaved": interleaved}, config.layernorm(bias=False)
    kinds, order = config.windowed_attention(pattern, config.sliding_window(), unplaced=unplaced, rope=rope)
    return decoder(config, norm=norm, attention=kinds, order=order, place="parallel", head=_head(config))


def opt(config: Config) -> Architecture:
    """Read an OPT config [zhang2022]. The 350M model is post-norm and has a narrow embedding."""
    width, biased = config.d_model, config.flag("enable_bias", True)
    affine, before = config.flag("layer_norm_elementwise_affine", True), config.flag("do_layer_norm_before", True)
    norm = replace(default_layernorm(width), scale=affine, bias=affine)
    without_final = config.flag("_remove_final_layer_norm")
    d_ff, activation = config.size("ffn_dim"), config.activation("activation_function")
    attention = Attention(width, config.n_heads, **dict.fromkeys(BIASED, biased))  # type: ignore[arg-type]
    mlp, inputs = Mlp(width, d_ff, activation, bias=biased), (_positions(config, width),)
    place, final = "pre" if before else "after", before and not without_final
    found = decoder(config, attention, mlp, norm=norm, place=place, inputs=inputs, final=final)
    narrow = config.optional_size("word_embed_proj_dim") or width
    return found if narrow == width else _narrow_table(config, found, narrow)


def _narrow_table(config: Config, found: Architecture, narrow: int) -> Architecture:
    """Return the model with a narrow embedding and head, connected by projections without biases."""
    stack = found.main
    token = Named("token", Embedding(config.vocab, narrow, share=TOKENS))
    inputs = (token, Named("project_in", Linear(narrow, stack.d_model, bias=False)), *stack.inputs[1:])
    outputs = [entry for entry in stack.outputs if entry.name != "head"]
    outputs.append(Named("project_out", Linear(stack.d_model, narrow, bias=False)))
    if len(stack.outputs) == len(outputs):
        share = TOKENS if config.flag("tie_word_embeddings", True) else None
        outputs.append(Named("head", Head(config.vocab, narrow, share=share)))
    return replace(found, stacks=(replace(stack, inputs=inputs, outputs=tuple(outputs)),))


def biogpt(config: Config) -> Architecture:
    """Read a BioGPT config [luo2022]."""
    width, norm = config.d_model, default_layernorm(config.d_model)
    scale = width**0.5 if config.flag("scale_embedding", True) else 1.0
    attention, mlp = Attention(width, config.n_heads, **BIASED), config.plain_mlp(bias=True)
    return decoder(config, attention, mlp, norm=norm, embedding_scale=scale, inputs=(_positions(config, width),))


def xglm(config: Config) -> Architecture:
    """Read an XGLM config [lin2021] with sinusoidal positions. Cross-attention is never run, even if configured."""
    width, heads = config.size("d_model"), config.size("attention_heads")
    norm = default_layernorm(width)
    own, cross = Attention(width, heads, **BIASED), unused_cross_attention(config, width, heads, norm)
    mlp = Mlp(width, config.size("ffn_dim"), config.activation("activation_function"), bias=True)
    block = Block("block", (sublayer("attention", own, pre=norm), *cross, sublayer("mlp", mlp, pre=norm)))
    blank = config.count("pad_token_id", 1)  # one row of the position table
    inputs = (_positions(config, width, fixed=FixedTable("fairseq", blank if blank >= _OFFSET else None)),)
    runs = repeat_block(block, config.size("num_layers"))
    scale = width**0.5 if config.flag("scale_embedding", True) else 1.0
    return causal_lm(config, runs, norm, inputs=inputs, embedding_scale=scale)


def _positions(config: Config, width: int, **fields: Any) -> Named:
    rows = config.size("max_position_embeddings") + _OFFSET
    return Named("position", Embedding(rows, width, table="position", offset=_OFFSET, **fields))
