"""Names and order of fields in the text of a fingerprint.

A fingerprint finds a model again, for example in the file of a calibration. Its text keeps the names and the order
that fields had first, whatever they are called now. Fields of parts had names of their own, such as ``rope_theta``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from ..layer import Layer
from ..part import Part, part_name
from ..record import MISSING, fields

Entry = tuple[str, Any, Any]  # name, value and default of a field

KINDS = {  # first names of kinds
    "compressed_convolutional_attention": "Cca",
    "convbert_attention": "SpanAttention",
    "layoutlm_attention": "PageAttention",
    "lilt_attention": "ComplementaryAttention",
    "product_key_experts": "Peer",
    "relative_profile_attention": "ProfileAttention",
}
FIELDS = {  # first names of fields, by class or by kind of layer
    "Stack": {"extra_patches": "spare_patches", "replaces_placeholder_tokens": "in_text"},
    "Sublayer": {"depth_scaled": "by_depth", "input_from": "reads", "concat_input": "beside_first"},
    "conv": {"upsample": "rate"},
    "linear": {"recomputed_per_step": "anew", "upsample": "rate"},
    "moe": {"n_null_experts": "n_skip"},
    "patch_attention": {"extra_patches": "spare_patches"},
    "scale": {"scalar": "lone"},
    "stored": {"bare": "lone"},
}
CHOICES = {  # first words for values, by class or kind and field
    ("Stack", "role"): {"auxiliary": "side"},
    ("embedding", "use"): {
        "side_tokens": "beside", "prefix": "before", "suffix": "behind", "replacement": "instead",
    },
}  # fmt: skip
ORDER = {  # first names in the order of the text, by kind of layer; other names follow
    "attention": """
        d_model n_heads n_kv_heads d_head d_head_v q_bias k_bias v_bias o_bias qk_norm qk_norm_function qk_norm_scale
        qk_norm_bias qk_norm_eps qk_norm_unit_offset qk_norm_late positions alibi_scale rotary_dim rope_theta
        rope_interleaved rope_reversed rope_grid rope_scaling rope_factor rope_length rope_low_factor rope_high_factor
        rope_fast rope_slow rope_truncate rope_attention rope_factors n_buckets max_distance relative_shared causal
        window window_ahead chunk cross d_source d_input d_input_v values_of adapter_rank n_adapters index_heads
        index_dim index_block index_pooled index_local index_unit_offset index_topk clip gated gate_per_head gate_bias
        gate_function sinks prompt prefix exclusive values_are_keys kv_reused v_rope v_norm head_norm o_norm
        o_norm_function implemented_cache logit_softcap scale value_scale in_scale out_scale temperature
        temperature_law temperature_length temperature_start softmax_in_fp32
    """,
    "embedding": """
        rows d_model table share offset scale padding_id dropped_id own_ids use column by_cell token_id codebooks
    """,
    "head": """
        vocab d_model share d_rest bias buffer_bias softcap input_scale loss_in_fp32 streams codebooks scored
        n_positions scaled barred barred_from
    """,
    "linear": """
        d_in d_out bias activation positions pooled pooled_id neighbours merge merge_whole rate span chunk
        merge_by_channel n_latents prompt dropped unused share stream anew back
    """,
    "mla": """
        d_model n_heads kv_lora_rank qk_nope_head_dim qk_rope_head_dim v_head_dim q_lora_rank bias rope rope_theta
        causal window gate gate_per_head double_latent key_norm latent_scaled sinks index_heads index_dim index_topk
        index_interleaved index_rotates_end index_compressed index_input_norm index_position_scaled latent_reused
        latent_lent position_scaled rope_learned scale temperature temperature_length temperature_start norm_eps
    """,
    "mlp": """
        d_model d_ff activation gated bias out_bias clamp clamp_late up_offset gate_softcap up_softcap inner_norm
        inner_norm_function inner_norm_eps sparsity on_sphere sphere_gain gate_scale out_scale scaled n_global
        globals_dropped padded_to padded_above streams adapter_rank n_adapters n_positions n_latents merge merge_extra
        merge_whole
    """,
    "moe": """
        d_model d_ff n_experts top_k activation gated clamp clamp_late up_offset gate_softcap up_softcap expert_bias
        router renormalise renormalise_eps renormalise_power routed_scale router_softcap mixer_tolerance scaled_input
        shared_scale router_bias router_bias_unused router_scaled router_eps correction_bias hash_rows n_groups
        top_groups group_score d_ff_shared shared_activation shared_gated shared_clamped shared_clamp shared_bias
        shared_gate d_latent latent_in_norm result_norm result_norm_eps router_gain latent_bias latent_norm
        latent_norm_eps capacity_factor top_k_run n_zero_experts out_bias capacity of_batch capacity_share
        by_importance renormalise_late d_router router_memory n_skip n_shared shares_scaled unused
    """,
    "norm": """
        d_model function scale bias eps unit_offset weights_of gate_rank streams n_latents merge merge_extra
        merge_whole n_global globals_dropped
    """,
}
PARTS = {  # by field that holds a part: first names of the part's fields, with their paths if these differ
    "rope": """
        rotary_dim=dim rope_theta=theta rope_interleaved=interleaved rope_reversed=reversed rope_grid=grid
        rope_scaling=scaling rope_factor=scaling.factor rope_length=scaling.length rope_low_factor=scaling.low_factor
        rope_high_factor=scaling.high_factor rope_fast=scaling.fast rope_slow=scaling.slow
        rope_truncate=scaling.truncate rope_attention=scaling.attention rope_factors=scaling.factors
    """,
    "gate": "gate_per_head=per_head gate_bias=bias gate_function=function",
    "latent": "d_latent=width latent_bias=bias latent_in_norm=in_norm latent_norm=norm latent_norm_eps=eps",
    "shared": """
        d_ff_shared=d_ff shared_activation=activation shared_gated=gated shared_clamped=clamped shared_clamp=clamp
        shared_bias=bias shared_gate=gate shared_scale=scale
    """,
    "scored_shared": "n_shared=n",
    "routing": """
        router=score router_gain=gain router_softcap=softcap router_bias=bias router_bias_unused=bias_unused
        router_scaled=scaled router_eps=eps correction_bias=correction hash_rows mixer_tolerance renormalise
        renormalise_eps renormalise_power renormalise_late routed_scale=scale shares_scaled=learned_scale
    """,
    "router_network": "d_router=width router_memory=residual",
    "expert_groups": "n_groups=n top_groups=top group_score=score",
    "expert_capacity": """
        capacity=tokens capacity_factor=factor capacity_share=share of_batch=batch by_importance=by_score
    """,
    "bounds": "clamp clamp_late up_offset gate_softcap up_softcap",
    "inner_norm": "inner_norm_function=function inner_norm_eps=eps",
    "sphere": "sphere_gain=gain",
    "lora": "adapter_rank=rank n_adapters=n",
    "padding": "padded_to=multiple padded_above=above",
    "sequence": """
        prompt n_latents n_positions streams merge_extra merge_whole n_global globals_dropped neighbours
        merge_by_channel
    """,
    "ids": "padding_id=padding dropped_id=dropped token_id=replaced own_ids=own column by_cell edges",
    "fixed": "sinusoids=order blank",
    "logit_scale": "scale_gain=gain",
    "masked": "barred=n barred_from=first",
    "pooler": "pooled=position pooled_id=id",
    "frames": "span chunk reach",
    "frequencies": "rows=bins taps_across=taps",
    "residual_stream": "stream=index back=restores",
    "multipliers": """
        value_scale=value in_scale=input gate_scale=gate out_scale=output scaled=learned z_scale=z x_scale=x B_scale=B
        C_scale=C dt_scale=dt
    """,
    "time_step": "dt_min=least dt_max=most",
    "qk_norm": """
        qk_norm_function=function qk_norm_scale=scale qk_norm_bias=bias qk_norm_eps=eps
        qk_norm_unit_offset=unit_offset qk_norm_late=late
    """,
    "score_bias": "alibi_scale=scale n_buckets max_distance relative_shared=shared",
    "cross": "d_source streams",
    "inputs": "d_input=width d_input_v=value_width values_of",
    "indexer": """
        index_heads=n_heads index_dim=dim index_block=block index_pooled=pooled index_local=local
        index_unit_offset=unit_offset index_topk=top_k index_interleaved=interleaved index_rotates_end=rotates_end
        index_compressed=compressed index_input_norm=input_norm index_position_scaled=position_scaled
    """,
    "kv": "prefix exclusive values_are_keys kv_reused=reused v_rope=rope v_norm=norm",
    "o_norm": "o_norm_function=function",
    "implementation": "implemented_cache=cache softmax_in_fp32",
    "temperature": "temperature_law=law temperature_length=length temperature_start=start",
}
FLAGS = {  # by part: a flag, and the value of the main field that it stands for, or False for the absence of the part
    "fixed": ("learned", False),
    "gate": ("gated", True),
    "logit_scale": ("scaled", True),
    "o_norm": ("head_norm", "head"),
    "sphere": ("on_sphere", True),
}
SWITCHES = ("cross", "inner_norm", "o_norm")  # parts whose own name was a flag
ABSENT = {"gate_bias": "none"}  # values without the part, if different from the default
# fields of a part that have the value of a field of the layer if the layer lacks the part
WIDTHS = {"rotary_dim": "d_head", "index_dim": "d_head", "d_source": "d_model", "shared_gated": "gated"}


def kind_name(value: object) -> str:
    """Return the first name of a record's class."""
    return KINDS.get(value.kind(), value.signature()) if isinstance(value, Layer) else type(value).__name__


def named_fields(value: object) -> Iterator[tuple[str, Any]]:
    """Yield the first name and the value of each field that differs from its default, in the order of the text."""
    kind = value.kind() if isinstance(value, Layer) else type(value).__name__
    names = FIELDS.get(kind, {})
    own = [(names.get(name, name), getattr(value, name), default) for name, _, default in fields(value)]
    for name, item, default in _in_order(value, own) if isinstance(value, Layer) and value.PARTS else own:
        if default is MISSING or item != default:
            words = CHOICES.get((kind, name))
            yield name, words.get(item, item) if words else item


def _in_order(layer: Layer, own: list[Entry]) -> list[Entry]:
    """Return the fields of a layer in the order of the text, with the fields of parts instead of the parts."""
    found: list[Entry] = []
    for entry in own:
        found += _part_fields(layer, *entry) if entry[0] in layer.PARTS else [entry]
    kinds = [base.kind() for base in type(layer).__mro__ if issubclass(base, Layer)]
    order = next((ORDER[kind] for kind in kinds if kind in ORDER), "").split()
    places = {name: place for place, name in enumerate(order)}
    return sorted(found, key=lambda entry: places.get(entry[0], len(places)))


def _part_fields(layer: Layer, name: str, part: Part | None, default: Part | None) -> Iterator[Entry]:
    """Yield what the text says of a field that holds a part: whether there is a part, and the fields of the part."""
    choices, own = layer.PARTS[name], _names(type(layer))
    short, absent = choices[0].SHORT, choices[0].ABSENT
    if name == "score_bias" and "rope" in own:
        yield "positions", part_name(part) if getattr(layer, "rope", None) is None else "rope", "none"
    elif name in SWITCHES or default is not None:
        yield name, _stands_for(part, getattr(choices[0], short) if short else True), default is not None
    elif short:
        yield name, absent if part is None else getattr(part, short), absent
    flag, meaning = FLAGS.get(name, ("", None))
    if flag and flag not in own:
        yield flag, _stands_for(part, meaning), meaning is False
    for first, path in _paths(type(layer), name):  # type: ignore[arg-type]
        value, usual = _at(part, choices, path), _at(default, choices, path)
        if part is None:
            width = getattr(layer, WIDTHS.get(first, ""), None)
            value = ABSENT.get(first, value) if width is None else width
        yield first, value, usual


@cache
def _paths(kind: type[Layer], holder: str) -> list[tuple[str, list[str]]]:
    """Return the first names of fields of the part that a field holds, and the paths of these fields."""
    known = {name for choice in kind.PARTS[holder] for name in _names(choice)}
    words = [word.partition("=") for word in PARTS.get(holder, "").split()]
    paths = [(first, (path or first).split(".")) for first, _, path in words]
    return [(first, path) for first, path in paths if path[0] in known and first not in _names(kind)]


def _at(part: Part | None, choices: Sequence[type[Part]], path: Sequence[str]) -> Any:
    """Return the value at a path in a part, or the default of the first choice that has the field."""
    first, *rest = path
    owner = next(kind for kind in (type(part), *choices) if issubclass(kind, Part) and first in _names(kind))
    value = getattr(part if type(part) is owner else owner, first, None)
    if first not in owner.PARTS:
        return value
    return _at(value, owner.PARTS[first], rest) if rest else part_name(value)


def _stands_for(part: Part | None, meaning: Any) -> bool:
    """Return whether a part has ``meaning`` in its main field. True stands for any part, and False for none."""
    if part is None or type(meaning) is bool:
        return (part is not None) is (meaning is not False)
    return bool(getattr(part, part.SHORT) == meaning)


def _names(kind: type[Part]) -> tuple[str, ...]:
    return kind.__match_args__  # type: ignore[attr-defined, no-any-return]
