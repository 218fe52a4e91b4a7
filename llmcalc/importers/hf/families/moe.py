"""Mixture-of-experts decoders, mostly without shared experts."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture
from ....core.errors import short_repr
from ....layers import Attention, Bounds, Gate, Moe, Norm, Routing
from ....layers.parts.temperature import Temperature
from ..config import FULL, SIGMOID, Config, Fields
from ..rules import block, causal_lm, decoder, map_sublayers, runs_by_type
from .llama_variants import attention_by_base, hunyuan_attention, multipliers
from .minimax import SWIGLU_ALPHA
from .qwen import sparse_types

SPARSE_MIXER = 2  # number of experts per token in SparseMixer [liu2023]
BEAM_STRETCH = 2048  # unit of positions in tokens


def phimoe(config: Config) -> Architecture:
    """Read a Phi-3.5-MoE config with LayerNorm and optional biases in attention and the head."""
    config.ignore("input_jitter_noise")  # used only in training
    attention = config.attention(window=config.sliding_window())
    # the class always selects two experts
    routing = {"mixer_tolerance": config.number("router_jitter_noise", 0.0)}
    feed = config.experts("num_local_experts", "intermediate_size", routing=routing, top_k_run=SPARSE_MIXER)
    if feed.top_k != SPARSE_MIXER:
        chosen = f"always selects {SPARSE_MIXER} experts, but num_experts_per_tok is {feed.top_k}"
        config.add_unmodelled(f"the model class {chosen}")
    head = config.lm_head(bias=config.flag("lm_head_bias"))
    return decoder(config, attention, feed, norm=config.layernorm("rms_norm_eps"), head=head)


def olmoe(config: Config) -> Architecture:
    """Read an OLMoE config [muennighoff2024] with norms over the full width of queries and keys."""
    config.check_equal("head_dim", config.divide_by_heads())  # norms of queries and keys have the width of the stream
    attention = config.attention(qk_norm="projection", clip=config.number("clip_qkv"))
    return decoder(config, attention, config.experts(width="intermediate_size"))


def flex_olmo(config: Config) -> Architecture:
    """Read a FlexOlmo config as OLMoE with norms on the sub-layer outputs instead of the inputs."""
    attention = config.attention(qk_norm="projection")
    return decoder(config, attention, config.experts(width="intermediate_size"), place="post")


def hunyuan_v1_moe(config: Config) -> Architecture:
    """Read a Hunyuan-Large or A13B config with a shared expert and a norm on each query and key head."""
    config.collapse("num_experts num_experts_per_tok")
    feed = config.experts(width="intermediate_size", shared={"d_ff": config.size("intermediate_size")})
    return decoder(config, hunyuan_attention(config), feed)


def gpt_oss(config: Config) -> Architecture:
    """Read a gpt-oss config with attention sinks, biases and clamped SwiGLU. Every other layer has a window."""
    config.ignore("hidden_act experts_per_token initial_context_length")
    config.unmodelled_unless("swiglu_alpha", SWIGLU_ALPHA)
    feed = config.layer(
        Moe,
        "d_ff=intermediate_size n_experts=num_local_experts top_k=num_experts_per_tok",
        activation="quick_gelu",  # x · sigmoid(1.702 x) regardless of hidden_act
        bounds=Bounds(config.number("swiglu_limit"), up_offset=1.0),
        expert_bias=True,
        routing=Routing(bias=True, renormalise=True),
    )
    types = config.layer_types(config.periodic_types(2, first=1))
    return decoder(config, config.local_global_attention(config.sliding_window(), sinks=True), feed, types)


def granitemoe(config: Config) -> Architecture:
    """Read a Granite 3 MoE config with an optional shared expert."""
    return _granite(config, ["full_attention"] * config.n_layers)


def granitemoe_swa(config: Config) -> Architecture:
    """Read a Granite MoE config with attention sinks. By default, three of every four layers have a window."""
    return _granite(config, config.layer_types(config.periodic_types(4, first=0)), sinks=True)


def _granite(config: Config, types: list[str], **changes: object) -> Architecture:
    shared = config.optional_size("shared_intermediate_size", zero_is_none=True)
    keys = ("num_local_experts", "intermediate_size")
    routed = config.experts(*keys, routing={"renormalise": True}, shared={"d_ff": shared})
    mixers, order = attention_by_base(config, types, scale=config.number("attention_multiplier"), **changes)
    return decoder(config, mixers, routed, order, **multipliers(config))


def mellum(config: Config) -> Architecture:
    """Read a Mellum 2 config as Qwen3-MoE with optional windowed and dense layers."""
    pattern = ["full_attention"] * config.n_layers
    config.ignore("num_mtp_layers mtp_layer_types mtp_mlp_layer_types")  # the class does not build prediction modules
    attention, order = config.windowed_attention(pattern, config.sliding_window(), qk_norm="head")
    return decoder(config, attention, config.experts(), order, config.mlp_types(dense=0))


def flint(config: Config) -> Architecture:
    """Read a Flint config with attention sinks, a shared expert, and rotary positions only in windowed layers."""
    last = config.n_layers - 1
    pattern = [
        "full_attention" if index < 2 or index % 4 == 1 or index == last else "sliding_attention"
        for index in range(config.n_layers)
    ]
    limit = config.sliding_window()
    attention, order = config.windowed_attention(pattern, limit, unplaced=FULL, qk_norm="head", sinks=True)
    shared = config.optional_size("shared_expert_intermediate_size", zero_is_none=True)
    routed = config.experts(routing={"score": "sigmoid"}, shared={"d_ff": shared})
    kinds = sparse_types(config, dense=(0, 1) if config.get("mlp_only_layers") is None else ())
    return decoder(config, attention, routed, order, kinds)


def kolibri1(config: Config) -> Architecture:
    """Read a Kolibri 1 config with sandwich norms and a shared expert. Four of every five layers have a window."""
    limit, pattern = config.sliding_window(), config.periodic_types(5, first=4)
    unplaced = FULL if limit else ()
    attention, order = config.windowed_attention(pattern, limit, unplaced=unplaced, bias=False, qk_norm="head")
    if "sliding_attention" in order and not limit:
        raise config.error("layers with sliding-window attention require sliding_window")
    shared = config.optional_size("shared_expert_intermediate_size", zero_is_none=True)
    feed, norm = config.experts(routing=SIGMOID, shared={"d_ff": shared}), config.rmsnorm()
    blocks = {kind: block(kind, norm, layer, feed, "sandwich") for kind, layer in attention.items()}
    return causal_lm(config, runs_by_type(blocks, order), norm)


def dbrx(config: Config) -> Architecture:
    """Read a DBRX config [databricks2024] with bias-free LayerNorm and clipped queries, keys and values."""
    width, heads = config.size("d_model"), config.size("n_heads")
    attend, feed = _nested(config, "attn_config"), _nested(config, "ffn_config")
    config.ignore("num_key_value_heads tie_word_embeddings")  # the class never ties embeddings
    attend.ignore("is_encoder_decoder")
    feed.ignore("is_encoder_decoder hidden_size moe_loss_weight moe_jitter_eps")
    power = feed.get("moe_normalize_expert_weights", 1.0)  # order of the norm that divides gate values, or None
    order = 1.0 if power is None else feed.finite_number(power, "moe_normalize_expert_weights")
    routing = Routing(renormalise=power is not None, renormalise_power=order)
    pairs, head = attend.size("kv_n_heads", 1), config.divide_by_heads(width, heads)
    rope = config.rope(theta=config.rope_theta(default=attend.number("rope_theta") or 10000.0))
    attention = Attention(width, heads, pairs, head, clip=attend.number("clip_qkv"), rope=rope)
    act = feed.get("ffn_act_fn") or {"name": "silu"}
    if not isinstance(act, dict) or set(act) != {"name"}:
        raise config.error(f"ffn_act_fn must contain only the key 'name', not {short_repr(act)}")
    n_experts, top_k = feed.size("moe_num_experts", 4), feed.size("moe_top_k", 1)
    activation = config.activation_name(act["name"], "ffn_act_fn")
    routed = Moe(width, feed.size("ffn_hidden_size", 3584), n_experts, top_k, activation, routing=routing)
    for part in (attend, feed):
        part.check_all_read()
    return decoder(config, attention, routed, norm=Norm(width, "layernorm"), tied=False)


def _nested(config: Config, key: str) -> Config:
    return config.nested(key, {name: entry for name, entry in config.mapping(key).items() if name != "model_type"}, "")


def beam(config: Config) -> Architecture:
    """Read a Beam config with sandwich norms, depth-scaled residuals and gated attention."""
    gate: Fields = {"gate": Gate(bias="head"), "qk_norm": "head"}
    spans = {"full_attention": None, "sliding_attention": config.sliding_window()}
    mixers = {kind: config.attention(window=spans[kind], **_beam_positions(config, kind), **gate) for kind in spans}
    last, layers = config.n_layers - 1, range(config.n_layers)
    pattern = ["full_attention" if at == last or at % 6 == 5 else "sliding_attention" for at in layers]
    routed = config.experts(routing=SIGMOID, expert_groups=config.expert_groups("two"))
    kinds = config.mlp_types(min(3, len(layers)))
    head = config.lm_head(softcap=config.number("final_logit_softcapping"))
    found = decoder(config, mixers, routed, config.layer_types(pattern), kinds, place="sandwich", head=head)
    return map_sublayers(found, lambda part: replace(part, depth_scaled=True))


def _beam_positions(config: Config, kind: str) -> Fields:
    """Return rotary position fields, or query scaling fields for layer types without ``rope_parameters``."""
    is_stated = config.get("rope_parameters") is not None
    given = config.mapping("rope_parameters") if is_stated else {"full_attention": None}
    if given.get(kind, given) is not None:
        return {"layer_type": kind}
    return {"rope": None, "temperature": Temperature(0.1, "power", BEAM_STRETCH)}
