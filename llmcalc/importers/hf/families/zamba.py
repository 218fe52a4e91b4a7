"""Zamba and Zamba2 hybrids of Mamba layers and shared attention blocks."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block
from ....core.layer import Layer
from ....layers import Attention, Linear, Lora, Mamba, Mamba2, Mlp
from ....layers.parts.inputs import Inputs
from ..config import Config
from ..rules import causal_lm, runs_by_type, sublayer
from .state_space import MAMBA_KEYS, least_time_step, time_step_rank

_PUBLISHED = (
    "linear " + "linear*5 hybrid " * 7 + "linear*4 hybrid linear*3 hybrid linear*2"
)  # layer types of Zamba2-2.7B


def zamba(config: Config) -> Architecture:
    """Read a Zamba config [glorioso2024a] with multi-head Mamba layers and one shared attention block."""
    period, offset = config.period_and_offset("attn")
    keys = f"{MAMBA_KEYS} n_heads=n_mamba_heads activation=hidden_mamba_act"
    inner, rank = config.size("mamba_expand") * config.d_model, time_step_rank(config, "mamba_dt_rank")
    mamba = config.layer(Mamba, keys, d_inner=inner, dt_rank=rank)
    first = ["linear_attention", "linear_attention", "hybrid"]
    rest = ["hybrid" if i % period == offset else "linear_attention" for i in range(config.n_layers - len(first))]
    types = config.layer_types(first + rest, "layers_block_type")
    wide = config.optional_size("attention_hidden_size", zero_is_none=True) or 2 * config.d_model
    return _zamba(config, types, mamba, _attention(config, wide, "none"), config.gated_mlp(bias=False), 1)


def zamba2(config: Config) -> Architecture:
    """Read a Zamba2 config [glorioso2024b] with Mamba-2 layers and alternating shared blocks with adapters."""
    width, heads = config.d_model, config.size("n_mamba_heads")
    inner, biased = config.size("mamba_expand") * width, config.flag("add_bias_linear")
    head = config.divide_by_heads(inner, heads)
    config.check_equal("mamba_headdim", head)
    config.ignore("use_mem_eff_path use_long_context use_conv_bias kv_channels num_query_groups")
    keys = "n_ssm_heads=n_mamba_heads d_state=mamba_d_state n_groups=mamba_ngroups d_conv=mamba_d_conv chunk=chunk_size"
    mamba = config.layer(Mamba2, keys, d_ssm_head=head, bias=biased, time_step=least_time_step(config))
    config.get("num_hidden_layers")
    usual = _published_types()
    types = config.layer_types(usual, "layers_block_type", len(config.strings("layers_block_type") or usual))
    config.check_equal("hybrid_layer_ids", [index for index, kind in enumerate(types) if kind == "hybrid"])
    wide = config.optional_size("attention_hidden_size") or 2 * width
    rank = config.size("adapter_rank")
    attention = _attention(config, wide, "rope" if config.flag("use_mem_rope") else "none")
    if config.flag("use_shared_attention_adapter"):
        for name in ("n_heads", "n_kv_heads"):
            if getattr(attention, name) * (attention.d_head or 0) != wide:
                text = f"use_shared_attention_adapter requires {name} ({getattr(attention, name)}) · d_head = {wide}"
                raise config.size_error(text)
        attention = replace(attention, lora=Lora(rank))
    d_ff = config.optional_size("intermediate_size", zero_is_none=True) or 4 * width
    mlp = Mlp(width, d_ff, config.activation(), gated=True, bias=biased, lora=Lora(rank))
    return _zamba(config, types, mamba, attention, mlp, config.repeats("num_mem_blocks"))


def _zamba(config: Config, types: list[str], mamba: Layer, attention: Attention, mlp: Mlp, turns: int) -> Architecture:
    """Return a decoder whose hybrid blocks cycle through ``turns`` shared pairs of attention and MLP layers.

    The layers are not shared if the embeddings are untied.
    """
    norm = config.rmsnorm()
    wide = config.rmsnorm(width=(attention.inputs and attention.inputs.width) or attention.d_model)
    plain, behind = sublayer("mamba", mamba, pre=norm), sublayer("decoder", mamba, pre=norm)
    shared = config.flag("tie_word_embeddings", True)
    hybrids = types.count("hybrid")
    kinds = {"linear_attention": Block("mamba", (plain,))}
    for turn in range(turns):
        places = len(range(turn, hybrids, turns))  # including adapters for each use, all stored in the shared layer
        if not places:
            continue
        parts = []
        for name, layer, pre in ((f"shared_attention{turn}", attention, wide), (f"shared_mlp{turn}", mlp, norm)):
            own: Layer = replace(layer, lora=layer.lora and replace(layer.lora, n=places))
            parts.append(sublayer(name, own, pre=pre, residual=False, share=name if shared else ""))
        entered = parts[0].name
        parts[0] = replace(parts[0], concat_input=True)
        linear = sublayer("linear", Linear(norm.d_model, norm.d_model, bias=False), residual_from=entered)
        mixer = replace(behind, residual_from=entered)
        kinds[f"hybrid{turn}"] = Block(f"hybrid{turn}" if turns > 1 else "hybrid", (*parts, linear, mixer))
    names = (f"hybrid{index % turns}" for index in range(hybrids))
    order = [next(names) if kind == "hybrid" else kind for kind in types]
    return causal_lm(config, runs_by_type(kinds, order), norm)


def _attention(config: Config, wide: int, positions: str) -> Attention:
    width, heads = config.d_model, config.n_heads
    head = config.optional_size("attention_head_dim", zero_is_none=True) or config.divide_by_heads(2 * width)
    rotary, scale = config.rope(), (head / 2) ** -0.5
    rope = rotary if positions == "rope" else None
    return Attention(width, heads, config.n_kv_heads, head, rope=rope, scale=scale, inputs=Inputs(wide))


def _published_types() -> list[str]:
    words = (word.partition("*") for word in _PUBLISHED.split())
    names = {"linear": "linear_attention", "hybrid": "hybrid"}
    return [names[name] for name, _, count in words for _ in range(int(count or 1))]
