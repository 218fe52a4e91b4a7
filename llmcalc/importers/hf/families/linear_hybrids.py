"""Hybrids of softmax and linear attention: Kimi Linear, Ling 3, OLMo Hybrid and Lara Mini."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Named, Stack, Sublayer
from ....core.errors import short_repr
from ....core.layer import is_number
from ....core.layer_history import with_n_sums
from ....layers import AttentionResidual, Bounds, GatedDeltaNet, Kda, Latent, Mlp, Moe
from ..config import SIGMOID, Config, Fields, Layers
from ..rules import block, causal_lm, decoder, runs_by_type, runs_of
from .deepseek import mla
from .qwen import gated_delta_net

_FIXED_ROUTING = "moe_layer_freq moe_router_activation_func use_grouped_topk mla_use_nope num_nextn_predict_layers"
_SIZES = ("head_dim", "num_heads", "short_conv_kernel_size")
_KDA = ("num_heads", "head_dim", "conv_kernel_dim")  # ends of the keys of transformers
_LAYERS = ("full_attn_layers", "kda_layers")
_GATES = ("use_full_rank_gate", "gate_lower_bound")  # Kimi K3
_LARA_CYCLE = ("linear_attention", "sliding_attention", "linear_attention", "full_attention", "sliding_attention")


def kimi_linear(config: Config) -> Architecture:
    """Read a Kimi Linear [kimi2025linear] or Kimi K3 [moonshot2026k3] text config. The embeddings are never tied."""
    config.ignore(_FIXED_ROUTING)
    inner = _linear_config(config)
    full = {*inner.get("full_attn_layers", []), *inner.get("kda_layers", [])}
    if full and sorted(full) != list(range(1, config.n_layers + 1)):
        raise config.error("full_attn_layers and kda_layers must cover all layers")
    places = {index - 1 for index in inner["full_attn_layers"]} if full else set(range(4, config.n_layers, 4))
    types = ["full_attention" if index in places else "linear_attention" for index in range(config.n_layers)]
    gate = "input" if config.flag("mla_use_output_gate") else "none"
    mixers = {"full_attention": mla(config, rope=None, gate=gate), "linear_attention": _kda(config, inner)}
    activation, eps = _activation(config), config.eps
    mlp = Mlp(config.d_model, config.size("intermediate_size"), gated=True, **activation)
    width = config.optional_size("routed_expert_hidden_size")
    latent = Latent(width, norm=config.flag("latent_moe_use_norm"), eps=eps) if width else None
    dense = config.count("first_k_dense_replace", 1)
    built = sigmoid_lm(config, mixers, types, dense, mlp, **activation, latent=latent)
    every = config.optional_size("attn_res_block_size")
    return replace(built, stacks=(_with_attention_residuals(built.main, every, eps),)) if every else built


def _kda(config: Config, inner: Fields) -> Kda:
    """Return a KDA layer built from the published config keys or the transformers config keys."""
    heads, head, taps = (
        inner.get(own, config.size(f"linear_{name}"))
        for own, name in zip(("num_heads", "head_dim", "short_conv_kernel_size"), _KDA, strict=True)
    )
    gates = {"full_gate": inner.get("use_full_rank_gate", False), "decay_bound": inner.get("gate_lower_bound")}
    activation = "silu" if config.string("hidden_act") == "situ" else config.activation()
    more: Fields = {"norm_eps": config.eps, "activation": activation}
    return Kda(config.d_model, heads, head, taps, gate_rank=head, **gates, **more)


def _activation(config: Config) -> Fields:
    """Return the activation fields of all feed-forward layers, including any soft caps."""
    if config.string("hidden_act") != "situ":
        return {"activation": config.activation()}
    gate, up = config.positive_number("activation_situ_beta"), None
    if config.get("activation_situ_linear_beta") is not None:
        up = config.positive_number("activation_situ_linear_beta")
    return {"activation": "situ", "bounds": Bounds(gate_softcap=gate, up_softcap=up)}


def _linear_config(config: Config) -> Fields:
    """Validate and return ``linear_attn_config``. Layer numbers in the dictionary start at 1."""
    found = config.mapping("linear_attn_config")
    config.check_known("linear_attn_config key", found, (*_SIZES, *_LAYERS, *_GATES))
    for key, value in found.items():
        if key == "use_full_rank_gate":
            wanted, right = "must be true or false", type(value) is bool
        elif key == "gate_lower_bound":
            wanted, right = "must be a number", value is None or is_number(value)
        else:
            numbers = value if key in _LAYERS else [value]
            wanted, right = "must contain integers", isinstance(numbers, list)
            right &= all(type(number) is int for number in numbers)
        if not right:
            raise config.error(f"{key} {wanted}, not {short_repr(value)}")
    return found


def _with_attention_residuals(stack: Stack, every: int, eps: float) -> Stack:
    """Return the stack with attention residuals. A new residual stream starts every ``every`` layers."""
    blocks = (run.block for run in stack.runs for _ in range(run.count))
    kinds = ((block, index % every == 0) for index, block in enumerate(blocks))
    runs = runs_of(kinds, lambda kind: _residual_block(*kind, stack.d_model, eps))
    last = Named("attention_residual", AttentionResidual(stack.d_model, norm_eps=eps))
    return with_n_sums(replace(stack, runs=runs, outputs=(last, *stack.outputs)))


def _residual_block(block: Block, closes: bool, width: int, eps: float) -> Block:
    """Return a block with attention residuals. If ``closes`` is true, the block starts a new residual stream."""
    mixer, feed = block.sublayers
    first = _residual_sublayer(mixer, AttentionResidual(width, closes, norm_eps=eps), residual=not closes)
    second = _residual_sublayer(feed, AttentionResidual(width, norm_eps=eps), residual=True)
    return Block(f"{block.name}_first" if closes else block.name, (first, second))


def _residual_sublayer(part: Sublayer, back: AttentionResidual, residual: bool) -> Sublayer:
    branches = tuple(replace(branch, pre=part.pre) for branch in part.branches)
    return replace(part, branches=branches, pre=back, residual=residual)


def bailing_hybrid(config: Config) -> Architecture:
    """Read a Ling 3 config. The last layer of each group uses gated latent attention instead of KDA."""
    period = config.size("layer_group_size")
    config.ignore("num_mtp_layers mtp_loss_scaling_factor")
    types = ["linear_attention" if (index + 1) % period else "full_attention" for index in range(config.n_layers)]
    heads, head, taps = (
        config.optional_size(f"linear_{name}") or config.size(other)
        for name, other in zip(_KDA, ("num_attention_heads", "head_dim", "short_conv_kernel_size"), strict=True)
    )
    bound = config.number("kda_lower_bound") if config.flag("kda_safe_gate") else None
    more: Fields = {"norm_eps": config.eps, "activation": config.activation()}
    kda = Kda(config.d_model, heads, head, taps, decay_bound=bound, **more)
    config.ignore("head_dim num_attention_heads short_conv_kernel_size kda_lower_bound")
    mixers = {"full_attention": mla(config, gate="input", gate_per_head=True), "linear_attention": kda}
    return sigmoid_lm(config, mixers, types, config.count("first_k_dense_replace"))


def sigmoid_lm(
    config: Config, mixers: Layers, types: list[str], dense: int, mlp: Mlp | None = None, **routed: Any
) -> Architecture:
    """Return a decoder with initial dense layers, DeepSeek-V3 experts and an untied head."""
    config.ignore("tie_word_embeddings")
    shared = {"d_ff": config.size("moe_intermediate_size") * config.size("n_shared_experts")}
    groups = config.expert_groups()
    sparse = config.experts("num_local_experts", routing=SIGMOID, shared=shared, expert_groups=groups, **routed)
    feeds: Layers = {"dense": mlp or config.gated_mlp(), "sparse": sparse}
    return decoder(config, mixers, feeds, config.layer_types(types), config.mlp_types(dense), tied=False)


def olmo_hybrid(config: Config) -> Architecture:
    """Read an OLMo Hybrid config with pre-norm gated delta nets and OLMo 2 attention in every fourth layer."""
    norm, heads = config.rmsnorm(), config.n_heads
    config.ignore("linear_a_log_min linear_a_log_max linear_dt_min linear_dt_max linear_dt_init_floor")
    key_heads = config.optional_size("linear_num_key_heads") or heads
    d_k = config.optional_size("linear_key_head_dim") or int(0.75 * config.d_model / key_heads)
    value_heads = config.optional_size("linear_num_value_heads") or heads
    d_v, taps = config.optional_size("linear_value_head_dim") or 2 * d_k, config.size("linear_conv_kernel_dim")
    more: Fields = {"activation": config.activation(), "negative_eigenvalues": config.flag("linear_allow_neg_eigval")}
    more["norm_eps"] = 1e-5  # fixed by the class
    delta = GatedDeltaNet(config.d_model, key_heads, value_heads, d_k, d_v, taps, **more)
    rotated = config.get("rope_parameters")
    rope: Fields | None = {} if isinstance(rotated, dict) and rotated.get("rope_theta") is not None else None
    attention = config.attention(rope=rope, qk_norm="projection")
    mlp = config.gated_mlp()
    kinds = {
        "linear_attention": block("linear", norm, delta, mlp),
        "full_attention": block("attention", norm, attention, mlp, "post"),
    }
    pattern = config.periodic_types(4, 3, "linear_attention")
    if "full_attention" not in pattern:
        pattern[-1] = "full_attention"
    return causal_lm(config, runs_by_type(kinds, config.layer_types(pattern)), norm)


def lara_mini(config: Config) -> Architecture:
    """Read a Lara Mini config with gated delta nets, windowed attention, full attention and experts."""
    mixers: Layers = {
        "linear_attention": gated_delta_net(config),
        "sliding_attention": config.attention(window=config.sliding_window(), qk_norm="head"),
        "full_attention": config.attention(rope=None, qk_norm="head"),
    }
    routed: Moe = config.experts(shared={"d_ff": config.size("shared_expert_intermediate_size")})
    order = config.layer_types([_LARA_CYCLE[index % len(_LARA_CYCLE)] for index in range(config.n_layers)])
    return decoder(config, mixers, routed, order)
