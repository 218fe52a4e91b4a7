"""The GPT-1, GPT-2, GPT-Neo, GPT-BigCode, GPT-J, CodeGen and CTRL model families."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ....core.architecture import Architecture, Block, Named
from ....core.errors import short_repr
from ....layers import Attention, Embedding, FixedTable, Head, Mlp, Rope
from ....layers.parts.implementation import Implementation
from ..config import BIASED, Config, Fields
from ..rules import causal_lm, decoder, postnorm_block, repeat_block, runs_of, sublayer, unused_cross_attention


def gpt2(config: Config) -> Architecture:
    """Read a GPT-2 config [radford2019]. Blocks are pre-norm and may include cross-attention.

    ``scale_attn_by_inverse_layer_idx`` divides attention scores by the layer number.
    """
    scale, layers = None if config.flag("scale_attn_weights", True) else 1.0, config.size("n_layer")
    if not config.flag("scale_attn_by_inverse_layer_idx"):
        return _gpt2(config, [("block", scale)] * layers)
    whole = scale or (config.size("n_embd") // config.size("n_head")) ** -0.5
    return _gpt2(config, [(f"block{index}", whole / (index + 1)) for index in range(layers)])


def _gpt2(config: Config, kinds: Iterable[tuple[str, float | None]], n_kv_heads: int | None = None) -> Architecture:
    """Return a decoder whose blocks have the names and the scales of attention scores in ``kinds``."""
    width, heads = config.size("n_embd"), config.size("n_head")
    norm = config.layernorm("layer_norm_epsilon", width=width)
    mlp = Mlp(width, config.optional_size("n_inner") or 4 * width, config.activation("activation_function"), bias=True)
    rest = (*unused_cross_attention(config, width, heads, norm), sublayer("mlp", mlp, pre=norm))

    def block(kind: tuple[str, float | None]) -> Block:
        own = Attention(width, heads, n_kv_heads, scale=kind[1], **BIASED)
        return Block(kind[0], (sublayer("attention", own, pre=norm), *rest))

    return causal_lm(config, runs_of(kinds, block), norm, inputs=(_positions(config, width),))


def openai_gpt(config: Config) -> Architecture:
    """Read a GPT-1 config [radford2018]. Blocks are post-norm."""
    width = config.size("n_embd")
    norm = config.layernorm("layer_norm_epsilon", width=width)
    activation = config.string("afn")
    mlp = Mlp(width, 4 * width, config.activation_name("gelu_new" if activation == "gelu" else activation), bias=True)
    block = postnorm_block("block", norm, attention=Attention(width, config.size("n_head"), **BIASED), mlp=mlp)
    return causal_lm(config, repeat_block(block, config.size("n_layer")), None, inputs=(_positions(config, width),))


def _positions(config: Config, width: int, key: str = "n_positions", fixed: FixedTable | None = None) -> Named:
    return Named("position", Embedding(config.size(key), width, table="position", fixed=fixed))


def gpt_neo(config: Config) -> Architecture:
    """Read a GPT-Neo config [black2021]. Attention scores are unscaled, and windows do not shrink the KV cache."""
    width, heads = config.d_model, config.size("num_heads")
    kinds = {"global": Attention(width, heads, o_bias=True, scale=1.0)}
    fields: Fields = {"window": config.size("window_size"), "implementation": Implementation("all_tokens")}
    kinds["local"] = replace(kinds["global"], **fields)
    d_ff = config.optional_size("intermediate_size") or 4 * width
    types, count = config.get("attention_types"), config.size("num_layers")
    given = config.strings("attention_layers", count)
    found: list[str] = []
    for entry in [[["global", "local"], 12]] if types is None else types if isinstance(types, list) else [types]:
        match entry:
            case [[*names], int(times)] if 0 <= times <= count and all(isinstance(name, str) for name in names):
                found += [str(name) for name in names] * times
            case _:
                text = f"attention_types must contain pairs of layer types and a repeat count, not {short_repr(entry)}"
                raise config.error(text)
    if given is not None and types is None:
        found = given
    if len(found) != count:
        raise config.size_error(f"attention_types describes {len(found)} layers, but num_layers is {count}")
    if given not in (None, found):
        raise config.size_error("attention_types and attention_layers describe different layers")
    norm = config.layernorm("layer_norm_epsilon")
    mlp = Mlp(width, d_ff, config.activation("activation_function"), bias=True)
    return decoder(config, kinds, mlp, found, norm=norm, inputs=(_positions(config, width, "max_position_embeddings"),))


def gpt_bigcode(config: Config) -> Architecture:
    """Read a GPT-BigCode config [li2023] (StarCoder, SantaCoder). The model is GPT-2 with multi-query attention."""
    multi_query, scale = config.flag("multi_query", True), None if config.flag("scale_attn_weights", True) else 1.0
    config.ignore("attention_softmax_in_fp32 scale_attention_softmax_in_fp32")
    config.check_computed("num_key_value_heads", 1 if multi_query else config.size("n_head"))
    if multi_query and config.flag("add_cross_attention"):
        raise config.error("add_cross_attention cannot be combined with multi_query")
    return _gpt2(config, [("block", scale)] * config.size("n_layer"), 1 if multi_query else None)


def gptj(config: Config) -> Architecture:
    """Read a GPT-J [wang2021] or CodeGen [nijkamp2022] config. Attention and MLP run in parallel after one norm."""
    width, heads = config.size("n_embd"), config.size("n_head")
    head = config.divide_by_heads(width, heads)
    rotary = min(config.optional_size("rotary_dim") or head, head)
    attention = Attention(width, heads, rope=Rope(dim=rotary, interleaved=True))
    mlp = Mlp(width, config.optional_size("n_inner") or 4 * width, config.activation("activation_function"), bias=True)
    norm = config.layernorm("layer_norm_epsilon", width=width)
    return decoder(config, norm=norm, attention=attention, mlp=mlp, place="parallel", head=_head(config))


def ctrl(config: Config) -> Architecture:
    """Read a CTRL config [keskar2019] with pre-norm blocks and sinusoidal positions."""
    width = config.size("n_embd")
    final = config.layernorm("layer_norm_epsilon", width=width)
    norm = replace(final, eps=1e-6)  # regardless of the config
    ends: Fields = {"inputs": (_positions(config, width, fixed=FixedTable("halves")),), "head": _head(config)}
    ends |= {"final_norm": final, "embedding_scale": width**0.5}
    attention = Attention(width, config.size("n_head"), **BIASED)
    return decoder(config, attention, Mlp(width, config.size("dff"), "relu", bias=True), norm=norm, **ends)


def _head(config: Config) -> Head:
    return config.lm_head(tied=config.flag("tie_word_embeddings"), width=config.size("n_embd"), bias=True)
