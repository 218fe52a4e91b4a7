"""Dense decoders that differ from LLaMA in biases, norms, activations or positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from ....core.architecture import Architecture, Block, Named, Sublayer
from ....core.errors import short_repr
from ....core.layer import Layer
from ....layers import Attention, Embedding, Head, InnerNorm, Mlp, Norm
from ....layers.parts.output_norm import OutputNorm
from ....layers.score_biases.alibi import Alibi
from ..config import Config, Fields, Layers
from ..rope import dynamic_alpha_fields
from ..rules import causal_lm, decoder, runs_of, sublayer

MOLMO_TOKENS = 128  # rows of a second table, which the class always has
_NAS_MULTIPLE = 256
_ROPE_WIDTH = 4096  # width of the Baichuan models with rotary positions; wider models use ALiBi
_NORMED_VOCAB = 125696  # vocabulary of Baichuan 2, whose head normalises its rows


def arcee(config: Config) -> Architecture:
    """Read an Arcee AFM config with ungated squared ReLU MLPs."""
    return decoder(config, mlp=config.plain_mlp())


def nemotron(config: Config) -> Architecture:
    """Read a Nemotron-4 config [parmar2024] with LayerNorm, squared ReLU and half-rotated heads."""
    norm = replace(config.layernorm("norm_eps"), unit_offset=True)
    attention = config.attention(rope={"dim": config.rotary_width(0.5)})
    return decoder(config, norm=norm, attention=attention, mlp=config.plain_mlp())


def jais2(config: Config) -> Architecture:
    """Read a Jais 2 config with LayerNorm, squared ReLU and biases in all projections."""
    return decoder(config, norm=config.layernorm(), mlp=config.plain_mlp())


def seed_oss(config: Config) -> Architecture:
    """Read a Seed-OSS config with a separate flag for the output projection bias."""
    config.ignore("residual_dropout")
    return decoder(config, config.attention(o_bias=config.flag("attention_out_bias")))


def helium(config: Config) -> Architecture:
    """Read a Helium config without an output projection bias. The total head width must equal ``hidden_size``."""
    attention = config.attention(o_bias=False, rope={"interleaved": True})
    if attention.n_heads * attention.d_head != attention.d_model:  # type: ignore[operator]
        heads = f"{attention.n_heads} heads of {attention.d_head}"
        raise config.size_error(f"{heads} do not add up to hidden_size ({attention.d_model})")
    return decoder(config, attention)


def ernie4_5(config: Config) -> Architecture:
    """Read a dense ERNIE 4.5 config with a single flag for all biases."""
    return _ernie(config, interleaved=True)


def paddleocr(config: Config) -> Architecture:
    """Read a PaddleOCR-VL text config as ERNIE 4.5 with non-interleaved rotary positions."""
    return _ernie(config, interleaved=False)


def _ernie(config: Config, interleaved: bool) -> Architecture:
    bias = config.flag("use_bias")
    return decoder(config, config.attention(bias=bias, rope={"interleaved": interleaved}), config.gated_mlp(bias=bias))


def granite(config: Config) -> Architecture:
    """Read a Granite 3 config as LLaMA with constant multipliers."""
    return decoder(config, config.attention(scale=config.number("attention_multiplier")), **multipliers(config))


def granite_swa(config: Config) -> Architecture:
    """Read a Granite config with attention sinks. By default, three of every four layers have a sliding window."""
    types = config.layer_types(config.periodic_types(4, first=0))
    attention, order = attention_by_base(config, types, sinks=True, scale=config.number("attention_multiplier"))
    return decoder(config, attention, order=order, **multipliers(config))


def multipliers(config: Config) -> Fields:
    """Return decoder fields for Granite's constant multipliers. Logits are divided by ``logits_scaling``."""
    divisor = config.number("logits_scaling", 1.0)
    if not divisor:
        raise config.error("logits_scaling must not be 0, because logits are divided by it")
    return {
        "embedding_scale": config.number("embedding_multiplier", 1.0),
        "scale": config.number("residual_multiplier", 1.0),
        "head": config.lm_head(input_scale=1 / divisor),
    }


def attention_by_base(config: Config, types: Sequence[str], **changes: Any) -> tuple[Mapping[str, Layer], list[str]]:
    """Return one attention layer per type and rotary base, and each layer's name. A base of 0 disables rotation."""
    bases = [base or None for base in config.per_layer("layer_rope_theta", [config.rope_theta()] * len(types))]
    spans = {"full_attention": None, "sliding_attention": config.sliding_window()}
    seen = {base: index for index, base in enumerate(dict.fromkeys(bases))}
    names = [f"{kind}_{seen[base]}" if seen[base] else kind for kind, base in zip(types, bases, strict=True)]
    kinds: Layers = {}
    for name, kind, base in zip(names, types, bases, strict=True):
        if kind in spans and name not in kinds:
            rope = None if base is None else {"theta": base}
            kinds[name] = config.attention(window=spans[kind], rope=rope, **changes)
    return kinds, names


def hyperclovax(config: Config) -> Architecture:
    """Read a HyperCLOVA X config with Granite's multipliers and a norm on each sub-layer output."""
    place = "sandwich" if config.flag("use_post_norm", True) else "pre"
    scaled = multipliers(config)
    scaled["head"] = config.lm_head(input_scale=config.number("logits_scaling"))  # a factor, unlike Granite's divisor
    return decoder(config, config.attention(scale=config.number("attention_multiplier")), place=place, **scaled)


def smollm3(config: Config) -> Architecture:
    """Read a SmolLM3 config. Every fourth layer has no rotary positions and may use a sliding window."""
    layers, limit = config.n_layers, config.sliding_window()
    interval = config.size("no_rope_layer_interval", 4)
    rotated = config.layer_indices("no_rope_layers") or [int((index + 1) % interval != 0) for index in range(layers)]
    limited = limit if config.flag("use_sliding_window") else None
    pattern = ["full_attention" if rope or not limited else "sliding_attention" for rope in rotated]
    kinds: Layers = {
        f"{kind} {positions}": config.attention(window=span, rope={} if positions == "rope" else None)
        for kind, span in (("full_attention", None), ("sliding_attention", limit))
        for positions in ("rope", "none")
    }
    types = zip(config.layer_types(pattern), rotated, strict=False)
    return decoder(config, kinds, order=[f"{kind} {'rope' if rope else 'none'}" for kind, rope in types])


def cwm(config: Config) -> Architecture:
    """Read a Code World Model config with a sliding window in three of every four layers."""
    attention, order = config.windowed_attention(config.periodic_types(4, first=0), config.sliding_window(), bias=False)
    return decoder(config, attention, order=order)


def hunyuan(config: Config) -> Architecture:
    """Read a dense Hunyuan config with a norm on each query and key head."""
    config.ignore("eod_token_id")
    return decoder(config, hunyuan_attention(config))


def hunyuan_attention(config: Config) -> Attention:
    """Return attention with a norm on each query and key head. Original releases name the head width differently."""
    if config.get("head_dim") is None:
        config.read_legacy("attention_head_dim", "head_dim")
    return config.attention(qk_norm={"late": True}, rope=dynamic_alpha_fields(config))


def apertus(config: Config, head: Layer | None = None) -> Architecture:
    """Read an Apertus config with xIELU activations [huang2024] and a norm on each query and key head."""
    return decoder(config, config.attention(qk_norm="head"), mlp=config.plain_mlp(), head=head)


def apertus_text(config: Config) -> Architecture:
    """Read an Apertus 1.5 text config. The head may omit image and audio tokens."""
    rows, vocab = config.optional_size("output_vocab_size"), config.vocab
    if rows is None or rows == vocab or config.head_kind() == "none":
        return apertus(config)
    if rows > vocab or config.flag("tie_word_embeddings"):
        said = f"output_vocab_size ({rows}) requires an untied head and must be at most vocab_size ({vocab})"
        raise config.error(said)
    return apertus(config, Head(rows, config.d_model))


def nanochat(config: Config) -> Architecture:
    """Read a nanochat config with unweighted norms, an additional norm after the embedding and soft-capped logits."""
    norm = Norm(config.d_model, "rmsnorm", scale=False, eps=config.eps)
    head = config.lm_head(tied=config.flag("tie_word_embeddings"), softcap=config.number("final_logit_softcapping"))
    attention = config.attention(qk_norm={"scale": False, "late": True}, rope={"reversed": True})
    inputs = (Named("table_norm", norm),)
    return decoder(config, norm=norm, attention=attention, mlp=config.plain_mlp(), head=head, inputs=inputs)


def bitnet(config: Config) -> Architecture:
    """Read a BitNet b1.58 config with norms before the attention and MLP output projections."""
    config.check_equal("head_dim", config.divide_by_heads())  # the norm before the output has the width of the stream
    attention = config.attention(o_norm=OutputNorm(eps=config.eps))
    return decoder(config, attention, replace(config.gated_mlp(), inner_norm=InnerNorm(eps=config.eps)))


def nemotron_nas(config: Config) -> Architecture:
    """Read a Llama-Nemotron config. Layers may differ in width and may omit attention or the MLP."""
    norm = config.rmsnorm()
    blocks = config.get("block_configs")
    if not isinstance(blocks, list) or len(blocks) != config.n_layers:
        raise config.error("block_configs must be a list with one entry per layer")
    entries, number = {repr(entry): entry for entry in blocks}, count()

    def build(key: str) -> Block:
        return Block(f"block{next(number)}", _nas_block(config, entries[key], norm, config.d_model, config.n_heads))

    return causal_lm(config, runs_of(map(repr, blocks), build), norm)


def _nas_block(config: Config, entry: Any, norm: Layer, width: int, heads: int) -> tuple[Sublayer, ...]:
    try:
        attention, feed = dict(entry["attention"]), dict(entry["ffn"])
    except (TypeError, KeyError, ValueError):
        raise config.error(f"invalid entry in block_configs: {short_repr(entry)}") from None
    if attention.get("replace_with_linear") or feed.get("replace_with_linear"):
        raise config.error("replace_with_linear is not supported")
    found = []
    if not attention.get("no_op"):
        group = attention.get("n_heads_in_group")
        if not isinstance(group, int) or group is True or group < 1 or heads % group:
            raise config.error(f"n_heads_in_group ({short_repr(group)}) must divide the number of heads ({heads})")
        found.append(sublayer("attention", config.attention(n_kv_heads=heads // group), pre=norm))
    if not feed.get("no_op"):
        factor = feed.get("ffn_mult")
        if not isinstance(factor, (int, float)) or factor is True or factor <= 0:
            raise config.invalid("ffn_mult", "positive", factor)
        d_ff = -(-int(2 * factor * width / 3) // _NAS_MULTIPLE) * _NAS_MULTIPLE
        mlp = Mlp(width, d_ff, config.activation(), gated=True, bias=config.flag("mlp_bias"))
        found.append(sublayer("mlp", mlp, pre=norm))
    return tuple(found)


def mimo(config: Config) -> Architecture:
    """Read a MiMo config [xiaomi2025] as Qwen2. The multi-token prediction module is not counted."""
    config.ignore("num_nextn_predict_layers use_sliding_window sliding_window")
    return decoder(config, config.attention(bias=config.flag("attention_bias", True), o_bias=False))


def baichuan(config: Config) -> Architecture:
    """Read a Baichuan or Baichuan 2 config [yang2023]. The 13B models use ALiBi instead of rotary positions."""
    config.ignore("model_max_length z_loss_weight")
    if config.vocab == _NORMED_VOCAB:
        config.add_unmodelled("the NumPy model does not support a head with normalised weight rows")
    changes: Fields = {} if config.d_model == _ROPE_WIDTH else {"score_bias": Alibi(), "rope": None}
    attention = config.attention(bias=False, n_kv_heads=config.n_heads, **changes)
    return decoder(config, attention, tied=config.flag("tie_word_embeddings"))


def minicpm(config: Config) -> Architecture:
    """Read a MiniCPM config [hu2024] as LLaMA with scaled embeddings, residuals and logits."""
    return decoder(config, **depth_scales(config))


def depth_scales(config: Config) -> Fields:
    """Return decoder fields for MiniCPM's constant multipliers."""
    scale, width = (config.number("scale_depth") or 1.0) / config.n_layers**0.5, config.d_model
    head = config.lm_head(input_scale=(config.number("dim_model_base") or width) / width)
    return {"head": head, "scale": scale, "embedding_scale": config.number("scale_emb") or 1.0}


def orion(config: Config) -> Architecture:
    """Read an Orion-14B config [chen2024orion] as LLaMA with LayerNorm."""
    norm = config.layernorm("rms_norm_eps")
    return decoder(config, norm=norm, attention=config.attention(), tied=config.flag("tie_word_embeddings"))


def molmo2(config: Config) -> Architecture:
    """Read a Molmo 2 text config with Qwen3 or OLMo 2 norms. The head may have fewer rows than the embedding."""
    config.ignore("rope_scaling_layers")
    bias, whole = config.flag("attention_bias"), config.one_of("qk_norm_type", "qwen3", "olmo") == "olmo"
    attention = config.attention(bias=bias, o_bias=False, qk_norm="projection" if whole else "head")
    place = "post" if config.flag("norm_after") else "pre"
    found = decoder(config, attention, place=place, head=config.lm_head(tied=config.flag("tie_word_embeddings")))
    return with_token_rows(found, config.vocab + config.count("additional_vocab_size"))


def molmo(config: Config) -> Architecture:
    """Read a Molmo text config [deitke2024], in which ``intermediate_size`` covers the gate and the up-projection."""
    config.ignore("use_position_ids weight_tying")
    config.one_of("layer_norm_type", "rms")
    width, bias, clip = config.size("intermediate_size"), config.flag("qkv_bias"), config.number("clip_qkv")
    if width % 2:
        raise config.size_error(f"intermediate_size must be even, not {width}")
    norms = "projection" if config.flag("attention_layer_norm") else "none"
    attention = config.attention(bias=bias, o_bias=False, clip=clip, qk_norm=norms)
    mlp, place = Mlp(config.d_model, width // 2, "silu", gated=True), "post" if config.flag("norm_after") else "pre"
    rows = config.size("embedding_size", config.vocab)
    found = decoder(config, attention, mlp, place=place, head=Head(rows, config.d_model))
    return with_token_rows(found, rows + MOLMO_TOKENS)


def with_token_rows(found: Architecture, rows: int) -> Architecture:
    """Return the model with ``rows`` token embedding rows. If the head has a different row count, untie the head."""
    main = found.main
    own = any(layer.vocab != rows for _, layer in main.outputs if isinstance(layer, Head))

    def changed(entry: Named) -> Named:
        if entry.name != "token" or not isinstance(entry.layer, Embedding):
            return entry
        return Named(entry.name, replace(entry.layer, rows=rows, share=None if own else entry.layer.share))

    return replace(found, stacks=(replace(main, inputs=tuple(map(changed, main.inputs))),))
