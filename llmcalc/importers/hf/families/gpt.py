"""The GPT-1, GPT-2, GPT-Neo, GPT-BigCode, GPT-J, CodeGen and CTRL model families."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Sublayer
from ....core.errors import short_repr
from ....layers import Attention, Embedding, FixedTable, Head, Mlp, Rope
from ....layers.parts.cross import Cross
from ....layers.parts.implementation import Implementation
from ..config import BIASED, TOKENS, Config, Fields
from ..rules import causal_lm, decoder, group_runs, repeat_block, sublayer


def gpt2(config: Config) -> Architecture:
    """Read a GPT-2 config [radford2019]. Blocks are pre-norm and may include cross-attention."""
    width = config.size("n_embd")
    norm = config.layernorm("layer_norm_epsilon", width=width)
    mlp = Mlp(width, config.optional_size("n_inner") or 4 * width, config.activation("activation_function"), bias=True)
    more = [_unused_cross_attention(config, width, norm)] if config.flag("add_cross_attention") else []

    def block(name: str, scale: float | None) -> Block:
        own = sublayer("attention", Attention(width, config.size("n_head"), scale=scale, **BIASED), pre=norm)
        return Block(name, (own, *more, sublayer("mlp", mlp, pre=norm)))

    inputs = (_positions(config, width),)
    return causal_lm(config, group_runs(_scaled_blocks(config, width, block)), norm, inputs=inputs)


def _unused_cross_attention(config: Config, width: int, norm: object) -> Sublayer:
    """Return cross-attention that is stored but never run because the model has no encoder."""
    cross = Attention(width, config.size("n_head"), cross=Cross(), causal=False, unused=True, **BIASED)
    return sublayer("cross_attention", cross, pre=norm)  # type: ignore[arg-type]


def _scaled_blocks(config: Config, width: int, block: Callable[[str, float | None], Block]) -> list[Block]:
    """Return the blocks. ``scale_attn_by_inverse_layer_idx`` divides attention scores by the layer number."""
    layers = config.size("n_layer")
    usual = None if config.flag("scale_attn_weights", True) else 1.0
    if not config.flag("scale_attn_by_inverse_layer_idx"):
        return [block("block", usual)] * layers
    whole = usual or (width // config.size("n_head")) ** -0.5
    return [block(f"block{index}", whole / (index + 1)) for index in range(layers)]


def openai_gpt(config: Config) -> Architecture:
    """Read a GPT-1 config [radford2018]. Blocks are post-norm."""
    width = config.size("n_embd")
    norm = config.layernorm("layer_norm_epsilon", width=width)
    mlp = Mlp(
        width,
        4 * width,
        config.activation_name({"gelu": "gelu_new"}.get(config.string("afn"), config.string("afn"))),
        bias=True,
    )
    attention = Attention(width, config.size("n_head"), **BIASED)
    block = Block("block", (sublayer("attention", attention, after=norm), sublayer("mlp", mlp, after=norm)))
    return causal_lm(config, repeat_block(block, config.size("n_layer")), None, inputs=(_positions(config, width),))


def _positions(config: Config, width: int) -> Named:
    return Named("position", Embedding(config.size("n_positions"), width, table="position"))


def gpt_neo(config: Config) -> Architecture:
    """Read a GPT-Neo config [black2021]. Attention scores are unscaled, and windows do not shrink the KV cache."""
    width, heads = config.d_model, config.size("num_heads")
    fields: Fields = {"o_bias": True, "scale": 1.0, "implementation": Implementation("all_tokens")}
    kinds = {
        "global": Attention(width, heads, o_bias=True, scale=1.0),
        "local": Attention(width, heads, window=config.size("window_size"), **fields),
    }
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
    return decoder(
        config,
        norm=config.layernorm("layer_norm_epsilon"),
        attention=kinds,
        mlp=Mlp(width, d_ff, config.activation("activation_function"), bias=True),
        order=found,
        inputs=(Named("position", Embedding(config.size("max_position_embeddings"), width, table="position")),),
    )


def gpt_bigcode(config: Config) -> Architecture:
    """Read a GPT-BigCode config [li2023] (StarCoder, SantaCoder). The model is GPT-2 with multi-query attention."""
    width, heads = config.size("n_embd"), config.size("n_head")
    multi_query = config.flag("multi_query", True)
    config.ignore("attention_softmax_in_fp32 scale_attention_softmax_in_fp32")
    config.check_computed("num_key_value_heads", 1 if multi_query else heads)
    norm = config.layernorm("layer_norm_epsilon", width=width)
    d_ff = config.optional_size("n_inner") or 4 * width
    scale = None if config.flag("scale_attn_weights", True) else 1.0
    own = Attention(width, heads, 1 if multi_query else None, scale=scale, **BIASED)
    parts = [sublayer("attention", own, pre=norm)]
    if config.flag("add_cross_attention"):
        if multi_query:
            raise config.error("add_cross_attention cannot be combined with multi_query")
        cross = Attention(width, heads, cross=Cross(), causal=False, unused=True, **BIASED)
        parts.append(sublayer("cross_attention", cross, pre=norm))
    parts.append(sublayer("mlp", Mlp(width, d_ff, config.activation("activation_function"), bias=True), pre=norm))
    position = Embedding(config.size("n_positions"), width, table="position")
    runs = repeat_block(Block("block", tuple(parts)), config.size("n_layer"))
    return causal_lm(config, runs, norm, inputs=(Named("position", position),))


def gptj(config: Config) -> Architecture:
    """Read a GPT-J [wang2021] or CodeGen [nijkamp2022] config. Attention and MLP run in parallel after one norm."""
    width = config.size("n_embd")
    heads = config.size("n_head")
    head = config.divide_by_heads(width, heads)
    rotary = min(config.optional_size("rotary_dim") or head, head)
    attention = Attention(width, heads, rope=Rope(dim=rotary, interleaved=True))
    mlp = Mlp(width, config.optional_size("n_inner") or 4 * width, config.activation("activation_function"), bias=True)
    norm = config.layernorm("layer_norm_epsilon", width=width)
    return decoder(config, norm=norm, attention=attention, mlp=mlp, place="parallel", head=_head(config, width))


def ctrl(config: Config) -> Architecture:
    """Read a CTRL config [keskar2019] with pre-norm blocks and sinusoidal positions."""
    width = config.size("n_embd")
    final = config.layernorm("layer_norm_epsilon", width=width)
    position = Embedding(config.size("n_positions"), width, table="position", fixed=FixedTable("halves"))
    return decoder(
        config,
        norm=replace(final, eps=1e-6),  # regardless of the config
        final_norm=final,
        embedding_scale=width**0.5,
        attention=Attention(width, config.size("n_head"), **BIASED),
        mlp=Mlp(width, config.size("dff"), "relu", bias=True),
        inputs=(Named("position", position),),
        head=_head(config, width),
    )


def _head(config: Config, width: int) -> Head:
    return Head(config.vocab, width, share=TOKENS if config.flag("tie_word_embeddings") else None, bias=True)
