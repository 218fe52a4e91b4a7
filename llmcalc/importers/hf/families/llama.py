"""The LLaMA 1 to 4 model families, including configs in Meta's original format."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Named
from ....core.layer import Layer
from ....layers import Attention, Embedding, Mlp, Rope, Scale
from ....layers.parts.cross import Cross
from ....layers.parts.qk_norm import QkNorm
from ....layers.parts.temperature import Temperature
from ..config import TOKENS, Config, Fields, Layers
from ..rules import causal_lm, decoder, prenorm_block, runs_by_type, sublayer

_ROUTING: Fields = {"score": "sigmoid", "renormalise": False}
IMAGE_TOKENS = 8  # rows of Llama 3.2's embedding that the head lacks
CROSSED = [3, 8, 13, 18, 23, 28, 33, 38]  # layers of the 11B model that attend to images
ORIGINAL_THETA = 10000.0
RUNTIME_KEYS = "max_batch_size max_seq_len model_parallel_size"


def llama(config: Config) -> Architecture:
    """Read a LLaMA 1, 2 or 3 [touvron2023a, touvron2023b, grattafiori2024], InternLM [cai2024internlm] or openPangu
    config.
    """
    return decoder(config, mlp=config.gated_mlp(bias=config.flag("mlp_bias")))


def llama4(config: Config) -> Architecture:
    """Read a Llama 4 config [meta2025llama4]. The transformers class runs every expert on every token."""
    config.ignore("moe for_llm_compressor")
    chunk, rotated = config.optional_size("attention_chunk_size"), _rotated(config, config.n_layers)
    types = config.layer_types(["chunked_attention" if turned and chunk else "full_attention" for turned in rotated])
    keys, shared = ("num_local_experts", "intermediate_size"), {"d_ff": config.size("intermediate_size")}
    routed = config.experts(*keys, routing=_ROUTING, shared=shared, scaled_input=True)
    routed = replace(routed, top_k_run=routed.n_experts)
    feeds: Layers = {"sparse": routed, "dense": config.gated_mlp(key="intermediate_size_mlp")}
    mixers = {
        _name(kind, turned): _attention(config, chunk if kind == "chunked_attention" else None, turned)
        for kind, turned in dict.fromkeys(zip(types, rotated, strict=True))
        if kind in ("chunked_attention", "full_attention")
    }
    sparse, order = _sparse_layers(config, config.n_layers), [_name(*kind) for kind in zip(types, rotated, strict=True)]
    kinds = ["sparse" if index in sparse else "dense" for index in range(config.n_layers)]
    return decoder(config, mixers, feeds, order, kinds)


def _sparse_layers(config: Config, layers: int) -> set[int]:
    step = config.size("interleave_moe_layer_step", 1)
    given = config.get("moe_layers")
    return set(config.layer_indices("moe_layers") if given is not None else range(step - 1, layers, step))


def _rotated(config: Config, layers: int) -> list[bool]:
    period, given = config.size("no_rope_layer_interval", 4), config.get("no_rope_layers")
    if not given:
        return [(index + 1) % period != 0 for index in range(layers)]
    return [*map(bool, config.one_per_layer("no_rope_layers", config.layer_indices("no_rope_layers"), layers))]


def _attention(config: Config, chunk: int | None, rotated: bool) -> Layer:
    """Return the attention layer for a layer type. Rotated layers may have unweighted norms on queries and keys."""
    fields: Fields = {"chunk": chunk, "rope": {"interleaved": True} if rotated else None}
    if rotated and config.flag("use_qk_norm"):
        fields |= {"qk_norm": {"scale": False, "late": True}}
    if not rotated and _is_temperature_tuned(config):
        rate, length = config.number("attn_scale"), config.size("floor_scale")
        fields |= {"temperature": Temperature(rate, length=length) if rate else None}
    config.ignore("attn_temperature_tuning attn_scale floor_scale")
    return config.attention(**fields)


def _is_temperature_tuned(config: Config) -> bool:
    """Return whether temperature tuning is enabled. Published configs use 4 instead of ``true``."""
    value = config.get("attn_temperature_tuning", True)
    if type(value) is int:
        return config.integer(value, "attn_temperature_tuning", 0) > 0
    return config.flag("attn_temperature_tuning", True)


def _name(kind: str, rotated: bool) -> str:
    return kind if rotated == (kind == "chunked_attention") else f"{kind}_{'rope' if rotated else 'nope'}"


def mllama(config: Config) -> Architecture:
    """Read a Llama 3.2 Vision text config. Image cross-attention layers are stored but not run."""
    key = "cross_attention_layers"
    crossed = CROSSED if config.get(key) is None else config.layer_indices(key)
    norm, own, mlp = config.rmsnorm(), config.attention(bias=False), config.gated_mlp()
    idle, gate = replace(norm, unused=True), Scale(config.d_model, scalar=True, function="tanh", unused=True)
    sizes = (config.d_model, own.n_heads, own.n_kv_heads, own.d_head)
    cross = Attention(*sizes, qk_norm=QkNorm(), causal=False, cross=Cross(), unused=True)
    parts = {"cross_attention": cross, "mlp": replace(mlp, unused=True)}
    looking = (sublayer(name, layer, pre=idle, post=gate) for name, layer in parts.items())
    blocks = {"block": prenorm_block("block", norm, attention=own, mlp=mlp), "image": Block("image", tuple(looking))}
    order = ["image" if index in crossed else "block" for index in range(config.n_layers)]
    config.ignore("tie_word_embeddings")
    model = causal_lm(config, runs_by_type(blocks, order), norm, tied=False)
    table = Named("token", Embedding(config.vocab + IMAGE_TOKENS, config.d_model, share=TOKENS))
    note = "layers that attend to an image are counted but not run, because the input is text only"
    return replace(model, stacks=(replace(model.main, inputs=(table,)),), notes=(*model.notes, note))


def llama_params(config: Config) -> Architecture:
    """Read a LLaMA 1, 2 or 3 config in Meta's original format [touvron2023a]."""
    config.ignore(RUNTIME_KEYS)
    if config.flag("use_scaled_rope"):
        config.add_unmodelled("use_scaled_rope scales rotary angles by factors that the file does not contain")
    width, step = config.d_model, config.size("multiple_of")
    factor = config.number("ffn_dim_multiplier")
    hidden = 2 * 4 * width // 3
    hidden = hidden if factor is None else int(factor * hidden)
    mlp = Mlp(width, config.integer(-(-hidden // step) * step, "ffn_dim_multiplier", 1), "silu", gated=True)
    return original_decoder(config, mlp, rope={"interleaved": True})


def original_decoder(config: Config, feed: Layer, **changes: Any) -> Architecture:
    """Return a decoder built from the config keys that Meta's and Mistral AI's formats share."""
    if config.get("vocab_size") == -1:  # in Meta's files, only the tokenizer has the size
        raise config.size_error(
            "vocab_size is -1, so the vocabulary size is defined only by the tokenizer",
            hint="set it, for example with {overrides=vocab_size=32000}",
        )
    head, theta = config.optional_size("head_dim") or config.divide_by_heads(), config.number("rope_theta")
    changes["rope"] = Rope(theta or ORIGINAL_THETA, **changes.get("rope", {}))
    attention = Attention(config.d_model, config.n_heads, config.n_kv_heads, head, **changes)
    return decoder(config, attention, feed, norm=config.rmsnorm("norm_eps"), tied=config.flag("tied_embeddings"))
