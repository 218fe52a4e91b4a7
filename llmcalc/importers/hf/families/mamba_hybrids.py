"""Hybrids of attention and Mamba: Jamba, Nemotron-H, Bamba, Granite 4 and Falcon-H1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Branch, Sublayer
from ....core.layer import Layer
from ....layers import Latent, Mamba, Mamba2, MlpMultipliers, SsmMultipliers
from ....layers.parts.multipliers import Multipliers
from ..config import OLD_WORDS, SIGMOID, Config, Fields, Layers
from ..rules import causal_lm, decoder, group_runs, prenorm_block, repeat_block, runs_of, sublayer
from .llama_variants import multipliers
from .state_space import MAMBA_KEYS, least_time_step, time_step_limits, time_step_rank

_LETTERS = {"M": "linear_attention", "E": "moe", "*": "full_attention", "-": "mlp"}
_IGNORED_BY_NEMOTRON = (  # keys that are computed from other keys, unused, or for modules that the class never builds
    "num_hidden_layers sliding_window expand mamba_proj_bias n_shared_experts "
    "num_nextn_predict_layers time_step_rank mtp_layers_block_type mtp_hybrid_override_pattern partial_rotary_factor "
    "attention_head_dim mamba_ssm_cache_dtype "
    "tie_word_embeddings"  # the class never ties embeddings
)


def jamba(config: Config) -> Architecture:
    """Read a Jamba config [lieber2024] with Mamba layers. Attention and expert layers occur at regular intervals."""
    attention, keys = config.attention(bias=False, rope=None), f"{MAMBA_KEYS} activation=hidden_act"
    inner, rank = config.size("mamba_expand") * config.d_model, time_step_rank(config, "mamba_dt_rank")
    mamba = config.layer(Mamba, keys, d_inner=inner, dt_rank=rank, bcdt_norm="rmsnorm", norm_eps=config.eps)
    mixers: Layers = {"attention": attention, "mamba": mamba}
    n_experts, norm = config.size("num_experts"), config.rmsnorm()
    experts = config.experts(width="intermediate_size", routing={"renormalise": False})
    attention_period, attention_offset = config.period_and_offset("attn")
    expert_period, expert_offset = config.period_and_offset("expert")

    def block(kind: tuple[str, bool]) -> Block:
        mixer, sparse = kind
        feed = experts if sparse else config.gated_mlp()
        return prenorm_block(f"{mixer}_moe" if sparse else mixer, norm, **{mixer: mixers[mixer], "mlp": feed})

    names = (
        "attention" if index % attention_period == attention_offset else "mamba" for index in range(config.n_layers)
    )
    sparse = (n_experts > 1 and index % expert_period == expert_offset for index in range(config.n_layers))
    return causal_lm(config, runs_of(zip(names, sparse, strict=True), block), norm)


def nemotron_h(config: Config) -> Architecture:
    """Read a Nemotron-H or Nemotron 3 config. Each block has either one mixer or one feed-forward layer."""
    norm = config.rmsnorm("layer_norm_epsilon")
    config.ignore(_IGNORED_BY_NEMOTRON)
    latent = config.optional_size("moe_latent_size")
    config.get("attention_bias")  # a key without effect, because the class has no bias
    mixers = {"mamba": _nemotron_mamba(config), "attention": config.attention(bias=False, rope=None)}
    mlp, bias = config.plain_mlp(activation="mlp_hidden_act"), config.flag("mlp_bias")
    more: Fields = {"gated": False, "expert_bias": False, "activation": mlp.activation}
    more["expert_groups"] = config.expert_groups("two")
    more["latent"] = Latent(latent, bias) if latent else None
    shared = {"d_ff": config.size("moe_shared_expert_intermediate_size"), "bias": bias}
    routed = config.experts("n_routed_experts", routing=SIGMOID, shared=shared, **more)
    layers: Layers = {**mixers, "mlp": mlp, "moe": routed}
    blocks = {name: Block(name, (sublayer(name, layer, pre=norm),)) for name, layer in layers.items()}
    kinds = {OLD_WORDS.get(name, name): block for name, block in blocks.items()}
    return causal_lm(config, group_runs(kinds[kind] for kind in _nemotron_order(config, kinds)), norm, tied=False)


def _nemotron_mamba(config: Config) -> Mamba2:
    keys = "n_ssm_heads=mamba_num_heads d_ssm_head=mamba_head_dim d_state=ssm_state_size n_groups d_conv=conv_kernel"
    keys += " chunk=chunk_size bias=use_bias conv_bias=use_conv_bias activation=mamba_hidden_act"
    eps = config.number("layer_norm_epsilon") or 1e-5
    return config.layer(Mamba2, keys, norm_eps=eps, time_step=least_time_step(config))


def _nemotron_order(config: Config, kinds: dict[str, Block]) -> list[str]:
    types, pattern = config.strings("layers_block_type"), config.get("hybrid_override_pattern")
    if types is None and pattern is None:
        types = ["linear_attention", "moe", "full_attention", "mlp"]
    if types is None:
        pattern = config.string("hybrid_override_pattern")
        config.check_known("hybrid_override_pattern letter", pattern, _LETTERS)
        types = [_LETTERS[letter] for letter in pattern]
    types = [OLD_WORDS.get(kind, kind) for kind in types]
    config.check_known("layer type", types, kinds)
    return types


def bamba(config: Config) -> Architecture:
    """Read a Bamba config with Mamba-2 and attention layers, each followed by an MLP."""
    config.ignore("z_loss_coefficient")
    mixers: Layers = {
        "full_attention": config.attention(rope={"dim": config.rotary_width(0.5)}),
        "linear_attention": _mamba2(config, config.size("mamba_expand") * config.d_model),
    }
    places = set(config.layer_indices("attn_layer_indices"))
    types = ["full_attention" if i in places else "linear_attention" for i in range(config.n_layers)]
    return decoder(config, mixers, order=types)


def granitemoehybrid(config: Config) -> Architecture:
    """Read a Granite 4 config with Mamba-2 and attention layers, a shared MLP and optional experts."""
    if config.string("normalization_function", "rmsnorm") != "rmsnorm":
        raise config.error("normalization_function must be 'rmsnorm'")
    rope: Fields | None = {} if config.get("position_embedding_type") == "rope" else None
    mixers: Layers = {
        "full_attention": config.attention(rope=rope, scale=config.number("attention_multiplier")),
        "linear_attention": _mamba2(config, config.size("mamba_expand") * config.d_model),
    }
    order = config.layer_types(["linear_attention"] * config.n_layers)
    return decoder(config, mixers, _shared_or_sparse(config), order, **multipliers(config))


def _shared_or_sparse(config: Config) -> Layer:
    config.ignore("intermediate_size num_experts_per_tok")
    if not config.count("num_local_experts"):
        return config.gated_mlp("shared_intermediate_size", bias=False)
    shared, routing = {"d_ff": config.size("shared_intermediate_size")}, {"renormalise": True, "scale": 1.0}
    return config.experts("num_local_experts", "intermediate_size", routing=routing, shared=shared)


def falcon_h1(config: Config) -> Architecture:
    """Read a Falcon-H1 config [zuo2025]. Each layer runs attention and Mamba-2 in parallel and sums the outputs."""
    norm = config.rmsnorm()
    inner = config.optional_size("mamba_d_ssm") or config.size("mamba_expand") * config.d_model
    config.get("mamba_expand")
    late = not config.flag("mamba_norm_before_gate", True)
    fields: Fields = {"out_bias": config.flag("projectors_bias"), "norm": config.flag("mamba_rms_norm")}
    around = [config.number(key, 1.0) or 1.0 for key in ("ssm_in_multiplier", "ssm_out_multiplier")]
    factors = SsmMultipliers(*around, *_numbers(config, "ssm_multipliers", 5))
    mamba = _mamba2(config, inner, **fields, gate_first=late or not fields["norm"], multipliers=factors)
    plain = config.attention()
    scale = (config.number("key_multiplier", 1.0) or 1.0) * float(plain.d_head or 1) ** -0.5
    ends = (config.number(key, 1.0) for key in ("attention_in_multiplier", "attention_out_multiplier"))
    outer = Multipliers(**dict(zip(("input", "output"), ends, strict=True)))  # type: ignore[arg-type]
    mixers = (Branch("mamba", mamba), Branch("attention", replace(plain, scale=scale, multipliers=outer)))
    gate, down = _numbers(config, "mlp_multipliers", 2)
    mlp = replace(config.gated_mlp(bias=config.flag("mlp_bias")), multipliers=MlpMultipliers(gate, down))
    block = Block("block", (Sublayer("mixer", mixers, norm), Sublayer("mlp", (Branch("mlp", mlp),), norm)))
    head = config.lm_head(input_scale=config.number("lm_head_multiplier", 1.0))
    runs = repeat_block(block, config.n_layers)
    return causal_lm(config, runs, norm, head=head, embedding_scale=config.number("embedding_multiplier", 1.0) or 1.0)


def _numbers(config: Config, key: str, count: int) -> list[float]:
    """Return a list of ``count`` numbers, or a list of ones if the key is not set."""
    given = config.get(key) or [1.0] * count
    if not isinstance(given, list) or len(given) != count:
        raise config.invalid(key, f"a list of {count} numbers", given)
    return [config.finite_number(value, key) for value in given]


def _mamba2(config: Config, inner: int, **changes: Any) -> Mamba2:
    """Return the Mamba-2 layer after checking that head count times head width equals the inner width."""
    heads = config.size("mamba_n_heads")
    if inner % heads:
        raise config.size_error(f"mamba_n_heads ({heads}) must divide the inner width ({inner})")
    head = inner // heads if config.get("mamba_d_head") == "auto" else config.size("mamba_d_head")
    if head * heads != inner:
        text = f"mamba_d_head · mamba_n_heads must equal the inner width ({inner}), not {head * heads}"
        raise config.size_error(text)
    keys = "d_state=mamba_d_state n_groups=mamba_n_groups d_conv=mamba_d_conv chunk=mamba_chunk_size"
    keys += " bias=mamba_proj_bias conv_bias=mamba_conv_bias activation=hidden_act"
    changes |= {"n_ssm_heads": heads, "d_ssm_head": head, "norm_eps": config.eps, **time_step_limits(config)}
    return config.layer(Mamba2, keys, **changes)
