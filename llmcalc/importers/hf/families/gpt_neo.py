"""GPT-Neo and GPT-BigCode: GPT-2 with windows, and with one key/value head."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Architecture, Block, Named
from ....core.errors import DescriptionError, SizeError, shown
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.mlp import Mlp
from ..config import Config
from ..decoder import decoder
from ..rules import causal_lm, layernorm, repeat_block, sublayer
from .gpt import BIASED


def gpt_neo(config: Config) -> Architecture:
    """GPT-Neo [black2021]: a window in every other layer, which the class keeps whole in its cache; unscaled scores."""
    width, heads = config.size("hidden_size"), config.size("num_heads")
    fields: dict[str, Any] = {"o_bias": True, "scale": 1.0, "implemented_cache": "all_tokens"}
    kinds = {
        "global": Attention(width, heads, o_bias=True, scale=1.0),
        "local": Attention(width, heads, window=config.size("window_size"), **fields),
    }
    d_ff = config.optional_size("intermediate_size") or 4 * width
    return decoder(
        config,
        norm=layernorm(config, width, "layer_norm_epsilon"),
        attention=kinds,
        mlp=Mlp(width, d_ff, config.activation("activation_function"), bias=True),
        order=_attention_layers(config),
        inputs=(Named("position", Embedding(config.size("max_position_embeddings"), width, table="position")),),
    )


def _attention_layers(config: Config) -> list[str]:
    """The kind of each layer: ``attention_layers``, or the repetitions in ``attention_types``."""
    types, count = config.get("attention_types"), config.size("num_layers")
    given = config.strings("attention_layers")
    found: list[str] = given or []
    if given is None:
        for entry in [[["global", "local"], 12]] if types is None else types if isinstance(types, list) else [types]:
            match entry:
                case [[*names], int(times)] if 0 <= times <= count and all(isinstance(name, str) for name in names):
                    found += [str(name) for name in names] * times
                case _:
                    text = f"{shown(entry)} in attention_types is no pair of layer kinds and how often they come"
                    raise DescriptionError(text, where=config.where)
    if len(found) != count:
        raise SizeError(f"attention_types describes {len(found)} layers of {count}", where=config.where)
    return found


def gpt_bigcode(config: Config) -> Architecture:
    """GPT-BigCode [li2023] (StarCoder, SantaCoder): GPT-2 with multi-query attention."""
    width, heads = config.size("n_embd"), config.size("n_head")
    multi_query = config.flag("multi_query", True)
    config.ignore("num_key_value_heads attention_softmax_in_fp32 scale_attention_softmax_in_fp32")
    norm = layernorm(config, width, "layer_norm_epsilon")
    d_ff = config.optional_size("n_inner") or 4 * width
    scale = None if config.flag("scale_attn_weights", True) else 1.0
    own = Attention(width, heads, 1 if multi_query else None, scale=scale, **BIASED)
    parts = [sublayer("attention", own, pre=norm)]
    if config.flag("add_cross_attention"):
        if multi_query:
            raise DescriptionError("add_cross_attention does not go with multi_query", where=config.where)
        cross = Attention(width, heads, cross=True, causal=False, unused=True, **BIASED)
        parts.append(sublayer("cross_attention", cross, pre=norm))
    parts.append(sublayer("mlp", Mlp(width, d_ff, config.activation("activation_function"), bias=True), pre=norm))
    position = Embedding(config.size("n_positions"), width, table="position")
    runs = repeat_block(Block("block", tuple(parts)), config.size("n_layer"))
    return causal_lm(config, runs, norm, inputs=(Named("position", position),))
