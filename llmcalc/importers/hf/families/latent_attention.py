"""Model families other than DeepSeek with multi-head latent attention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Branch, Sublayer
from ....core.errors import UnknownNameError
from ....layers import Mla
from ..config import Config, Fields, Layers
from ..rope import rope_scaling
from ..rules import causal_lm, decoder, repeat_block, runs_by_type, sublayer
from .deepseek import indexed_mla, mla, shared_experts
from .llama_variants import depth_scales

# keys of a layer's own config, and the latent-attention fields that they set
_SAME = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
_FIELDS = {"num_attention_heads": "n_heads", **dict(zip(_SAME, _SAME, strict=True))}
_WITHOUT_EFFECT = {"num_key_value_heads", "head_dim"}
# default sizes of layers with a window
_WINDOWED = {
    "num_attention_heads": 64, "q_lora_rank": 1024, "kv_lora_rank": 1024, "qk_nope_head_dim": 192, "v_head_dim": 128,
    "head_dim": 256,
}  # fmt: skip
WINDOW = 512
_OLDER = "first_k_dense_replace moe_layer_freq"  # keys that older configs have instead of ``mlp_layer_types``


def youtu(config: Config) -> Architecture:
    """Read a Youtu-LLM config with latent attention and dense MLPs."""
    config.ignore("embedding_initializer_range")
    config.ignore("n_shared_experts n_routed_experts moe_intermediate_size first_k_dense_replace num_experts_per_tok")
    return decoder(config, mla(config), config.gated_mlp(bias=config.flag("mlp_bias")))


def minicpm3(config: Config) -> Architecture:
    """Read a MiniCPM3 config with latent attention, dense MLPs, and scaled embeddings and residuals."""
    value = config.optional_size("v_head_dim") or config.d_model // config.n_heads
    attention = mla(config, v_head_dim=value, rope={"interleaved": False})
    return decoder(config, attention, config.gated_mlp(bias=config.flag("mlp_bias")), **depth_scales(config))


def axk1(config: Config) -> Architecture:
    """Read an A.X K1 config as DeepSeek-V3 with an additional norm after the experts."""
    norm = config.rmsnorm()
    return _axk(config, sublayer("attention", mla(config), pre=norm), pre=norm, post=norm)


def axk2(config: Config) -> Architecture:
    """Read an A.X K2 config with gated norms and an indexer. Queries use both the normalised and the raw latent."""
    config.get("layer_types")
    config.check_groups()
    gated = replace(config.rmsnorm(), gate_rank=config.size("gated_norm_rank"))
    attention = sublayer("attention", indexed_mla(config, gate="latent", double_latent=True), pre=gated)
    return _axk(config, attention, pre=gated)


def _axk(config: Config, attention: Sublayer, **norms: Any) -> Architecture:
    """Return a decoder of dense and sparse blocks with ``norms`` around the experts."""
    norm = config.rmsnorm()
    blocks = {
        "dense": Block("dense", (attention, sublayer("mlp", config.gated_mlp(), pre=norm))),
        "sparse": Block("sparse", (attention, sublayer("mlp", shared_experts(config), **norms))),
    }
    first, period = config.count("first_k_dense_replace", 1), config.size("moe_layer_freq", 1)
    default = ["sparse" if index >= first and index % period == 0 else "dense" for index in range(config.n_layers)]
    return causal_lm(config, runs_by_type(blocks, config.types_like("mlp_layer_types", default, _OLDER)), norm)


def longcat_flash(config: Config) -> Architecture:
    """Read a LongCat-Flash config [meituan2025]. Each block has two attention layers, two MLPs and parallel
    experts.
    """
    layers, norm = config.size("num_layers"), config.rmsnorm()
    config.check_computed("num_hidden_layers", 2 * layers)
    zero, biased = config.count("zero_expert_num"), config.flag("router_bias")
    routing = {"renormalise": False, "correction": "buffer", "bias": biased, "bias_unused": biased}
    routed = config.experts("n_routed_experts", "expert_ffn_hidden_size", n_zero_experts=zero, routing=routing)
    nope, rope = config.size("qk_nope_head_dim"), config.size("qk_rope_head_dim")
    if config.size("qk_head_dim", nope + rope) != nope + rope:  # this class uses the value in the file
        raise config.size_error(f"qk_head_dim must equal qk_nope_head_dim + qk_rope_head_dim ({nope} + {rope})")
    attention, dense = mla(config, latent_scaled=True), config.gated_mlp(key="ffn_hidden_size")
    parts = (
        sublayer("attention0", attention, pre=norm),
        Sublayer("mlp0", (Branch("mlp", dense), Branch("experts", routed, joins="mlp1")), pre=norm),
        sublayer("attention1", attention, pre=norm),
        sublayer("mlp1", dense, pre=norm),
    )
    built = causal_lm(config, repeat_block(Block("block", parts), layers), norm)
    if not zero:
        return built
    return replace(built, notes=("tokens may be routed to zero-computation experts; FLOPs assume that none are",))


def dots3_note(config: Config) -> Architecture:
    """Read a dots.note text config with one gate per head and a norm on the rotary key."""
    config.check_groups()
    types, own = _types(config, config.n_layers), _own_sizes(config)
    span = config.sliding_window() or config.optional_size("sliding_window_size") or WINDOW
    known: dict[tuple[str, str], str] = {}
    mixers: Layers = {}
    names = []
    for index, kind in enumerate(types):
        sizes = own(index, kind)
        key = (kind, repr(sizes))
        if key not in known:
            known[key] = kind if kind not in mixers else f"{kind}_{len(mixers)}"
            mixers[known[key]] = _attention(config, kind, span, sizes)
        names.append(known[key])
    older = "moe_shared_expert_intermediate_size"
    wide = older if older in config.data else "shared_experts_intermediate_size"
    routed = shared_experts(config, shared={"d_ff": config.shared_width("n_shared_experts", wide)})
    feeds: Layers = {"dense": config.gated_mlp(bias=False), "sparse": routed}
    return decoder(config, mixers, feeds, names, _feeds(config, config.n_layers))


def _attention(config: Config, kind: str, span: int, sizes: Fields) -> Mla:
    rope = {"theta": config.rope_theta(kind), "scaling": rope_scaling(config, kind)}
    changes: Fields = {_FIELDS[key]: value for key, value in sizes.items() if key in _FIELDS} | {"rope": rope}
    changes |= {"gate": "input", "gate_per_head": True, "key_norm": True, "norm_eps": config.eps, "latent_scaled": True}
    if kind == "indexed_attention":
        return indexed_mla(config, {"interleaved": True}, **changes)
    if kind not in ("full_attention", "sliding_attention"):
        raise UnknownNameError("layer type", kind, ("full_attention", "sliding_attention", "indexed_attention"))
    return mla(config, window=span if kind == "sliding_attention" else None, **changes)


def _own_sizes(config: Config) -> Any:
    """Return a function that maps a layer index and layer type to that layer's size overrides."""
    given = config.layer_overrides(config.n_layers, *_FIELDS, *_WITHOUT_EFFECT)
    windowed = {key: config.size(f"swa_{key}", usual) for key, usual in _WINDOWED.items()}
    rest = config.optional_size("swa_qk_rope_head_dim")
    windowed["qk_rope_head_dim"] = rest or windowed["head_dim"] - windowed["qk_nope_head_dim"]
    config.ignore("swa_num_key_value_heads")
    if given is None:
        return lambda index, kind: windowed if kind == "sliding_attention" else {}
    for own in given.values():
        for key, value in own.items():
            config.integer(value, f"{key} in per_layer_config", 1)
    return lambda index, kind: given.get(index, {})


def _feeds(config: Config, layers: int) -> list[str]:
    first, period = config.count("first_k_dense_replace", 1), config.get("moe_layer_freq")
    flags = config.layer_indices("moe_layer_freq") if isinstance(period, list) else None
    step = config.size("moe_layer_freq", 1) if flags is None else 1
    flags = flags and config.one_per_layer("moe_layer_freq", flags, layers)
    sparse = [i >= first and (bool(flags[i]) if flags else i % step == 0) for i in range(layers)]
    return config.types_like("mlp_layer_types", ["sparse" if flag else "dense" for flag in sparse], _OLDER)


def _types(config: Config, layers: int) -> list[str]:
    sparse, windowed = config.get("use_dsa"), config.flag("use_sliding_window", True)
    full = "full_attention" if sparse is False else "indexed_attention"
    usual = [full if not windowed or i < 2 or i % 4 == 1 else "sliding_attention" for i in range(layers)]
    types = config.strings("layer_types", layers) or usual
    if sparse is None and "per_layer_config" in config.data:
        return types
    return [full if kind in ("full_attention", "indexed_attention") else kind for kind in types]
