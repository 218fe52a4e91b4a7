"""Model families with hyper-connections between residual streams: DeepSeek-V4, Hunyuan 4, Qwen4 and GLM-5.3-Flash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ....core.architecture import Architecture, Block, Branch, Named, Run, Sublayer
from ....core.layer import Layer
from ....layers import Bounds, CompressedAttention, Gate, HyperConnection, Kda, Rope
from ....layers.parts.latent_indexer import LatentIndexer
from ....layers.parts.rope import Yarn
from ....layers.parts.token_indexer import TokenIndexer
from ..config import Config, Fields, Layers
from ..rope import rope_scaling
from ..rules import causal_lm, mixed_runs
from .deepseek import INDEXER, indexed_mla, indexer_types, mla, shared_experts
from .qwen import gated_delta_net

_ROTATED = 64 / 512  # default rotated fraction of a head
_BY_RATIO = {0: "sliding_attention", 4: "compressed_sparse_attention", 128: "heavily_compressed_attention"}


def glm5_next(config: Config) -> Architecture:
    """Read a GLM-5.3-Flash config with KDA, indexed latent attention without positions, and hyper-connections."""
    layers, width = config.n_layers, config.d_model
    dense = min(config.count("first_k_dense_replace", 3), layers)
    config.ignore("head_dim qk_head_dim")
    for key in ("mhc", "mla_use_nope", "index_kpool_compress"):  # of published configs
        if not config.flag(key, True):
            config.add_unmodelled(f"{key} (False)")
    if not config.flag("index_kpool_always_select_tail", True):
        config.add_unmodelled("the NumPy model does not support empty attention before the first complete group")
    usual = ["indexed_attention" if index % 4 == 3 else "linear_attention" for index in range(layers)]
    words = dict.fromkeys(("full_attention", "deepseek_sparse_attention"), "indexed_attention")
    kinds = [words.get(kind, kind) for kind in config.strings("layer_types", layers) or usual]
    parts = zip(kinds, indexer_types(config, layers), strict=True)
    order = [kind if part == "full" or "linear" in kind else f"shared_{kind}" for kind, part in parts]
    limit = config.number("swiglu_limit")
    bounds, shared = Bounds(limit) if limit else None, {"activation": config.activation()}
    indexer = LatentIndexer(**config.fields_of(LatentIndexer, INDEXER), compressed=config.size("index_kpool"))
    full = mla(config, rope=None, norm_eps=config.eps, indexer=indexer, index_topk=config.size("index_topk"))
    mixers: Layers = {"linear_attention": _kda(config), "indexed_attention": full}
    mixers["shared_indexed_attention"] = replace(full, indexer=None)
    feeds: Layers = {
        "dense": replace(config.gated_mlp(), bounds=bounds),
        # routed experts always use silu
        "sparse": shared_experts(config, bounds=bounds, activation="silu", shared=shared),
    }
    hyper = HyperConnection(width, config.size("hc_mult"), iterations=config.size("hc_sinkhorn_iters"), **_eps(config))
    norm = config.rmsnorm()
    runs = hyper_connected_runs(hyper, norm, mixers, feeds, zip(order, config.mlp_types(dense), strict=True))
    return causal_lm(config, runs, norm)


def _kda(config: Config) -> Kda:
    """Return a KDA layer from top-level config keys, or from the nested object in older configs."""
    given = config.get("linear_attn_config")
    names = {
        "head_dim": "linear_head_dim",
        "num_heads": "linear_num_heads",
        "short_conv_kernel_size": "linear_conv_kernel_dim",
        "gate_lower_bound": "linear_lower_bound",
    }
    if isinstance(given, dict):
        for old, new in names.items():
            if old in given:
                config.override(new, given[old])
    keys = "n_heads=linear_num_heads d_head=linear_head_dim d_conv=linear_conv_kernel_dim"
    keys += " decay_bound=linear_lower_bound activation=hidden_act"
    return config.layer(Kda, keys, gate_rank=config.size("linear_head_dim"), norm_eps=config.eps)


def deepseek_v4(config: Config) -> Architecture:
    """Read a DeepSeek-V4 config [deepseek2026v4] with compressed attention, hyper-connections and hash routing."""
    layers, width, streams = config.n_layers, config.d_model, config.size("hc_mult")
    config.ignore("num_key_value_heads n_shared_experts attention_bias num_nextn_predict_layers expert_dtype")
    config.ignore("partial_rotary_factor qk_rope_head_dim compress_rope_theta")
    score = config.string("scoring_func", "sqrtsoftplus").replace("sqrtsoftplus", "sqrt_softplus")
    routing = {"score": score, "correction": "buffer", "renormalise": True}
    shared = {"d_ff": config.size("moe_intermediate_size"), "bias": config.flag("mlp_bias")}
    bounds = Bounds(config.number("swiglu_limit"))
    routed = config.experts("n_routed_experts", routing=routing, shared=shared, bounds=bounds)
    by_hash = replace(routed.routing, correction="none", hash_rows=config.vocab)
    feeds: Layers = {"moe": routed, "hash_moe": replace(routed, routing=by_hash)}
    hashed = min(layers, config.count("num_hash_layers", 3))
    kinds = (config.strings("mlp_layer_types") or ["hash_moe"] * hashed + ["moe"] * (layers - hashed))[:layers]
    norm, order = config.rmsnorm(), zip(_compressed_layers(config, layers), kinds, strict=True)
    hyper = HyperConnection(width, streams, iterations=config.size("hc_sinkhorn_iters"), **_eps(config))
    return _multi_stream_lm(config, hyper, norm, _compressed_attention(config), feeds, order)


def _eps(config: Config) -> Fields:
    return {"eps": config.number("hc_eps", 1e-6) or 0.0, "norm_eps": config.eps}


def _compressed_layers(config: Config, layers: int) -> list[str]:
    """Return the type of each layer. Excess entries, such as those for prediction modules, are ignored."""
    ratios = config.layer_indices("compress_ratios")
    strange = next((ratio for ratio in ratios if ratio not in _BY_RATIO), None)
    if strange is not None:
        raise config.invalid("compress_ratios", "0, 4 or 128", strange)
    heavy, sparse = _BY_RATIO[128], _BY_RATIO[4]
    usual = [sparse if index >= 2 and index % 2 else heavy for index in range(layers)]
    return (config.strings("layer_types") or [_BY_RATIO[ratio] for ratio in ratios] or usual)[:layers]


def _compressed_attention(config: Config) -> Layers:
    rates = config.get("compress_rates") or {_BY_RATIO[4]: 4, _BY_RATIO[128]: 128}
    if not isinstance(rates, dict) or not {_BY_RATIO[4], _BY_RATIO[128]} <= set(rates):
        raise config.invalid("compress_rates", "an object with a rate for each compressed layer type", rates)
    head, given = config.size("head_dim"), config.optional_size("qk_rope_head_dim")
    parameters = config.get("rope_parameters")
    main = parameters.get("main") if isinstance(parameters, dict) else None
    share = main.get("partial_rotary_factor") if isinstance(main, dict) else None
    share = share or config.number("partial_rotary_factor") or (given or _ROTATED * head) / head
    dim = max(1, int(head * config.finite_number(share, "partial_rotary_factor")))
    keys = "n_heads=num_attention_heads d_head=head_dim q_lora_rank window=sliding_window n_groups=o_groups o_lora_rank"
    near = config.layer(CompressedAttention, keys, rope=_rope(config, "main", dim), norm_eps=config.eps)
    indexer = config.fields_of(CompressedAttention, "index_heads=index_n_heads index_dim=index_head_dim index_topk")
    sparse = config.optional_size("compress_rate_csa") or rates[_BY_RATIO[4]]
    heavy = config.optional_size("compress_rate_hca") or rates[_BY_RATIO[128]]
    far = replace(near, rope=_rope(config, "compress", dim))
    return {
        "sliding_attention": near,
        "compressed_sparse_attention": replace(far, rate=sparse, overlap=True, **indexer),
        "heavily_compressed_attention": replace(far, rate=heavy),
    }


def _rope(config: Config, label: str, dim: int) -> Rope:
    """Return the rotary positions of compressed (``compress``) or uncompressed (``main``) layers.

    Unless the config sets separate parameters for each label, RoPE scaling applies only to compressed layers.
    """
    parameters = config.get("rope_parameters") or config.get("rope_scaling")
    if isinstance(parameters, dict) and isinstance(parameters.get(label), dict):
        return config.rope(label, dim=dim, interleaved=True)
    if label == "main":
        return Rope(config.number("rope_theta", 10000.0) or 10000.0, dim, interleaved=True)
    scaling = rope_scaling(config)
    if isinstance(parameters, dict) and isinstance(scaling, Yarn) and not parameters.get("attention_factor"):
        scaling = replace(scaling, attention=1.0)
    return Rope(config.number("compress_rope_theta", 160000.0) or 160000.0, dim, interleaved=True, scaling=scaling)


def hy_v4(config: Config) -> Architecture:
    """Read a Hunyuan 4 config with gated latent attention, sinks, shared indexer selections and hyper-connections."""
    layers, width, streams = config.n_layers, config.d_model, config.size("hc_mult")
    config.ignore("learnable_sink_init")
    full = indexed_mla(config, {"rotates_end": True}, sinks=True, gate="input", rope={"interleaved": False})
    mixers: Layers = {"full": full, "shared": replace(full, indexer=None)}
    shared = {"activation": config.activation(), "clamped": False}
    routed = shared_experts(config, bounds=Bounds(config.number("swiglu_limit")), shared=shared, activation="silu")
    feeds: Layers = {"dense": config.gated_mlp(), "sparse": routed}
    usual = ["full" if index == 0 or (index - 1) % 4 == 0 else "shared" for index in range(layers)]
    order = zip(config.strings("indexer_types", layers) or usual, config.mlp_types(1), strict=True)
    scale = config.number("hc_magnitude") or 2.0
    hyper = HyperConnection(width, streams, mixed=False, write_scale=scale, **_eps(config))
    return _multi_stream_lm(config, hyper, config.rmsnorm(), mixers, feeds, order)


def qwen4(config: Config) -> Architecture:
    """Read an experimental Qwen4 config with delta nets, indexed attention and per-channel hyper-connections."""
    width = config.d_model
    config.ignore("indexer_kv_heads output_gate_type number_of_conv_states intermediate_size decoder_sparse_step")
    config.ignore("ple_embed_dim ple_conv_kernel_size ngram_size heads_per_ngram ngram_vocab_size_base seed")
    config.ignore("make_ngram_vocab_size_divisible_by split_ngram_parts mlp_only_layers mtp_num_hidden_layers")
    if config.layer_indices("ple_layer_ids"):
        raise config.error("layers with n-gram embeddings (ple_layer_ids) are not supported")
    attention: Fields = {"gate": Gate(), "qk_norm": {"unit_offset": True}, "rope": {"dim": config.rotary_width()}}
    keys = "n_heads=indexer_n_heads dim=indexer_head_dim top_k=indexer_budget block=indexer_compress_ratio"
    indexer = TokenIndexer(**config.fields_of(TokenIndexer, keys), pooled=True, unit_offset=True, norm_eps=config.eps)
    mixers: Layers = {
        "indexed_attention": config.attention(**attention, indexer=indexer),
        "linear_attention": gated_delta_net(config),
    }
    shared = {"d_ff": config.size("shared_expert_intermediate_size"), "gate": True}
    feeds: Layers = {"sparse": config.experts(shared=shared)}
    pattern = config.every_nth("full_attention_interval", "indexed_attention", "linear_attention", 4)
    kinds = [kind.replace("full_", "indexed_") for kind in config.layer_types(pattern)]
    hyper = HyperConnection(width, config.size("hc_count"), rank=config.size("hc_lowrank"), norm_eps=config.eps)
    return _multi_stream_lm(config, hyper, None, mixers, feeds, ((kind, "sparse") for kind in kinds))


def _multi_stream_lm(
    config: Config,
    hyper: HyperConnection,
    norm: Layer | None,
    mixers: Mapping[str, Layer],
    feeds: Mapping[str, Layer],
    order: Iterable[tuple[str, str]],
) -> Architecture:
    """Return a decoder whose sub-layers read and write several residual streams."""
    made = causal_lm(config, hyper_connected_runs(hyper, norm, mixers, feeds, order), norm)
    head = Named("streams", replace(hyper, writes=False))
    return replace(made, stacks=(replace(made.main, outputs=(head, *made.main.outputs)),))


def hyper_connected_runs(
    hyper: Layer,
    norm: Layer | None,
    mixers: Mapping[str, Layer],
    feeds: Mapping[str, Layer],
    order: Iterable[tuple[str, str]],
) -> tuple[Run, ...]:
    """Return runs of blocks whose sub-layers read and write several residual streams."""

    def build(name: str, mixer: Layer, feed: Layer) -> Block:
        parts = (("attention", mixer), ("mlp", feed))
        return Block(name, tuple(Sublayer(key, (Branch(key, layer, pre=norm),), pre=hyper) for key, layer in parts))

    return mixed_runs(mixers, feeds, order, build, words={})
