"""The Mistral, Ministral, Mixtral and Mistral Large families, including configs in Mistral AI's own format."""

from __future__ import annotations

from ....core.architecture import Architecture
from ....core.layer import Layer
from ....layers import Mla, Mlp, Moe, Routing
from ....layers.parts.latent_indexer import LatentIndexer
from ..config import Config, Fields, Layers
from ..rope import query_temperature
from ..rules import decoder
from .deepseek import dense_first, indexer_types, mla, shared_experts
from .llama import RUNTIME_KEYS, original_decoder


def mistral(config: Config) -> Architecture:
    """Read a Mistral config [jiang2023] as LLaMA with a sliding window. Ministral 3 also scales queries by
    position.
    """
    return decoder(config, config.attention(bias=False, window=config.sliding_window(), **query_temperature(config)))


def ministral(config: Config) -> Architecture:
    """Read a Ministral config with a sliding window in all layers or in the layers selected by ``layer_types``."""
    limit = config.sliding_window()
    pattern = ["sliding_attention" if limit else "full_attention"] * config.n_layers
    attention, order = config.windowed_attention(pattern, limit, bias=False)
    return decoder(config, attention, order=order)


def mixtral(config: Config) -> Architecture:
    """Read a Mixtral config [jiang2024] with routed SwiGLU experts."""
    attention = config.attention(bias=False, window=config.sliding_window())
    return decoder(config, attention, config.experts("num_local_experts", "intermediate_size"))


def mistral4(config: Config) -> Architecture:
    """Read a Mistral Small 4 config as DeepSeek-V3 with softmax routing and position-dependent query scaling."""
    routed = shared_experts(config, routing={})
    config.ignore("head_dim")
    return decoder(config, mla(config, **query_temperature(config)), routed, feeds=dense_first(config))


def mistral_large4(config: Config) -> Architecture:
    """Read a Mistral Large 4 config with learned query scaling. Layers may reuse earlier latents or token
    selections.
    """
    layers = config.n_layers
    config.ignore("layer_types num_experts index_topk_freq index_skip_topk_offset index_topk_pattern moe_layer_freq")
    period = config.size("no_rope_layer_interval", 4)
    turned = config.per_layer("no_rope_layers", [(index + 1) % period for index in range(layers)])
    sources = config.per_layer("kv_source_layers", range(layers))
    feeds = config.mlp_types(config.count("first_k_dense_replace"))
    kinds, mixers, order = indexer_types(config, layers), dict[str, Layer](), []
    parts: Layers = {"dense": config.gated_mlp(), "sparse": shared_experts(config, routing={"renormalise": True})}
    for index, (indexer, turns, source) in enumerate(zip(kinds, turned, sources, strict=True)):
        config.check_known("indexer type", [indexer], ("full", "shared"))
        lent = index in sources[index + 1 :]
        origin = "lent" if lent else "own" if source == index else "reused"
        name = f"{indexer}_{'rope' if turns else 'nope'}_{origin}"
        mixers.setdefault(name, _scaled_attention(config, indexer == "full", bool(turns), source != index, lent))
        order.append(name)
    softcap = config.number("final_logit_softcapping")
    return decoder(config, mixers, parts, order, feeds, head=config.lm_head(softcap=softcap))


def _scaled_attention(config: Config, indexer: bool, turned: bool, reused: bool, lent: bool) -> Mla:
    """Return an attention layer with learned query scaling. Heads without rotation have no rotary part."""
    nope, rope = config.size("qk_nope_head_dim"), config.size("qk_rope_head_dim")
    places: Fields = {} if turned else {"qk_nope_head_dim": nope + rope, "qk_rope_head_dim": 0, "rope": None}
    heads, width = config.size("index_n_heads"), config.size("index_head_dim")
    own = LatentIndexer(heads, width, interleaved=True, input_norm=True, position_scaled=True)
    chosen: Fields = {"index_topk": config.size("index_topk"), "indexer": own if indexer else None}
    learned: Fields = {"position_scaled": True}
    learned |= {"latent_reused": reused, "latent_lent": lent, "norm_eps": config.eps}
    return mla(config, rope_learned=max(1, rope // 2), **learned, **places, **chosen)


def mistral_params(config: Config) -> Architecture:
    """Read a Mistral [jiang2023] or Mixtral [jiang2024] config in Mistral AI's own format."""
    config.ignore(f"{RUNTIME_KEYS} model_type")
    width, hidden = config.d_model, config.size("intermediate_size")
    routed = key_group(config, "moe", ("num_experts", "num_experts_per_tok"))
    feed: Layer = Mlp(width, hidden, "silu", gated=True)
    if routed:
        experts, chosen = (config.integer(routed.get(key), key, 1) for key in ("num_experts", "num_experts_per_tok"))
        feed = Moe(width, hidden, experts, chosen, routing=Routing(renormalise=True))
    return original_decoder(config, feed, window=config.sliding_window(), rope={"interleaved": True})


def key_group(config: Config, key: str, known: tuple[str, ...]) -> Fields:
    """Return the nested object at ``key``, or an empty dictionary if the key is not set. Reject unknown keys."""
    found = config.mapping(key)
    config.check_known(f"{key} key", found, known)
    return found
