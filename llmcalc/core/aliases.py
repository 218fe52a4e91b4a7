"""Mappings from deprecated but still accepted names to current names.

An old parameter name has the same effect and raises a ``DeprecationWarning`` once per process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)
Function = TypeVar("Function", bound=Callable[..., Any])

STACK_KEYS = {"spare_patches": "extra_patches", "in_text": "replaces_placeholder_tokens"}
STACK_ROLES = {"side": "auxiliary"}
SUBLAYER_KEYS = {"by_depth": "depth_scaled", "reads": "input_from", "beside_first": "concat_input"}
OPTIONS = {  # command-line options, for commands that have only the new one
    "--attention": "--count", "--budget": "--max-compute", "--chunks": "--virtual-stages", "--context": "--lengths",
    "--experts": "--n-experts", "--loss": "--cross-entropy", "--micro-batch": "--micro-batch-size",
    "--pairs": "--count", "--select": "--path",
}  # fmt: skip
ENGINE_OPTIONS = {  # options of vLLM, SGLang, TensorRT-LLM and llama.cpp with the same meaning
    "--block-size": "--paged", "--cache-type": "--cache", "--context-length": "--seq",
    "--context-parallel-size": "--cp", "--ctx": "--seq", "--ctx-size": "--seq", "--data-parallel-size": "--dp",
    "--dp-size": "--dp", "--ep-size": "--ep", "--expert-parallel-size": "--ep",
    "--gpu-memory-utilization": "--reserve", "--kv-cache-dtype": "--cache",
    "--max-batch-size": "--batch", "--max-model-len": "--seq", "--max-num-batched-tokens": "--step-tokens",
    "--max-num-seqs": "--batch", "--max-num-tokens": "--step-tokens", "--max-running-requests": "--batch",
    "--max-seq-len": "--seq", "--page-size": "--paged", "--pipeline-parallel-size": "--pp", "--pp-size": "--pp",
    "--quant": "--weights", "--quantization": "--weights", "--tensor-parallel-size": "--tp", "--tp-size": "--tp",
}  # fmt: skip
ENGINES = {  # other names of serving engines
    "trtllm": "tensorrt-llm", "trt-llm": "tensorrt-llm", "tensorrt_llm": "tensorrt-llm", "tensorrtllm": "tensorrt-llm",
    "trtllm-serve": "tensorrt-llm", "llamacpp": "llama.cpp", "llama-cpp": "llama.cpp", "llama_cpp": "llama.cpp",
    "llama-server": "llama.cpp",
}  # fmt: skip
ENGINE_VALUES: dict[str, dict[str, str]] = {  # values of these engines, by option; an empty value is the default
    "--cache": {"auto": ""},
    "--engine": ENGINES,
    "--dtype": {"auto": "", "bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32", "float": "fp32"},
}
SETTINGS = {"pairs": "count"}  # parameters of explain, sweep and compare
JSON_KEYS = {  # by class; JSON output keeps the old names, and keyword arguments accept them
    "Mesh": {
        "data": "dp", "tensor": "tp", "pipeline": "pp", "expert": "ep", "context": "cp", "expert_tensor": "etp",
        "sequence": "sp", "chunks": "virtual_stages",
    },
    "Recipe": {"weights": "weight_bytes", "gradients": "gradient_bytes", "master": "master_weight_bytes",
               "buffered": "contiguous_gradient_buffer", "temporaries": "n_temporaries", "frozen": "frozen_weights"},
}  # fmt: skip
LAYER_KINDS = {
    "cca": "compressed_convolutional_attention",
    "complementary_attention": "lilt_attention",
    "page_attention": "layoutlm_attention",
    "peer": "product_key_experts",
    "profile_attention": "relative_profile_attention",
    "span_attention": "convbert_attention",
}
LAYER_FIELDS: dict[str, dict[str, str]] = {  # by layer kind
    "conv": {"rate": "upsample"},
    "linear": {"anew": "recomputed_per_step", "back": "restores_stream", "rate": "upsample"},
    "moe": {
        "by_importance": "priority_by_score",
        "n_skip": "n_null_experts",
        "of_batch": "batch_capacity",
        "router_memory": "router_residual",
        "shares_scaled": "learned_gate_scale",
    },
    "patch_attention": {"spare_patches": "extra_patches"},
    "scale": {"lone": "scalar"},
    "stored": {"lone": "bare"},
}
LAYER_CHOICES: dict[str, dict[str, dict[str, str]]] = {  # by layer kind and field
    "embedding": {"use": {"beside": "side_tokens", "before": "prefix", "behind": "suffix", "instead": "replacement"}},
}
PART_FIELDS: dict[str, dict[str, str]] = {  # by field that holds the part: flat fields of the layer
    "rope": {
        "rotary_dim": "dim",
        "rope_theta": "theta",
        "rope_interleaved": "interleaved",
        "rope_reversed": "reversed",
        "rope_grid": "grid",
        "rope_scaling": "scaling",
        "rope_factor": "scaling.factor",
        "rope_length": "scaling.length",
        "rope_low_factor": "scaling.low_factor",
        "rope_high_factor": "scaling.high_factor",
        "rope_fast": "scaling.fast",
        "rope_slow": "scaling.slow",
        "rope_truncate": "scaling.truncate",
        "rope_attention": "scaling.attention",
        "rope_factors": "scaling.factors",
    },
    "gate": {"gate_per_head": "per_head", "gate_bias": "bias", "gate_function": "function"},
    "latent": {
        "d_latent": "width",
        "latent_bias": "bias",
        "latent_in_norm": "in_norm",
        "latent_norm": "norm",
        "latent_norm_eps": "eps",
    },
    "shared": {
        "d_ff_shared": "d_ff",
        "shared_activation": "activation",
        "shared_gated": "gated",
        "shared_clamped": "clamped",
        "shared_clamp": "clamp",
        "shared_bias": "bias",
        "shared_gate": "gate",
        "shared_scale": "scale",
    },
    "scored_shared": {"n_shared": "n"},
    "routing": {
        "router": "score",
        "router_gain": "gain",
        "router_softcap": "softcap",
        "router_bias": "bias",
        "router_bias_unused": "bias_unused",
        "router_scaled": "scaled",
        "router_eps": "eps",
        "correction_bias": "correction",
        "hash_rows": "hash_rows",
        "mixer_tolerance": "mixer_tolerance",
        "renormalise": "renormalise",
        "renormalise_eps": "renormalise_eps",
        "renormalise_power": "renormalise_power",
        "renormalise_late": "renormalise_late",
        "routed_scale": "scale",
        "learned_gate_scale": "learned_scale",
    },
    "router_network": {"d_router": "width", "router_residual": "residual"},
    "expert_groups": {"n_groups": "n", "top_groups": "top", "group_score": "score"},
    "expert_capacity": {
        "capacity": "tokens",
        "capacity_factor": "factor",
        "capacity_share": "share",
        "batch_capacity": "batch",
        "priority_by_score": "by_score",
    },
    "bounds": {
        "clamp": "clamp",
        "clamp_late": "clamp_late",
        "up_offset": "up_offset",
        "gate_softcap": "gate_softcap",
        "up_softcap": "up_softcap",
    },
    "inner_norm": {"inner_norm_function": "function", "inner_norm_eps": "eps"},
    "sphere": {"sphere_gain": "gain"},
    "lora": {"adapter_rank": "rank", "n_adapters": "n"},
    "padding": {"padded_to": "multiple", "padded_above": "above"},
    "sequence": {
        "prompt": "prompt",
        "n_latents": "n_latents",
        "n_positions": "n_positions",
        "streams": "streams",
        "merge_extra": "merge_extra",
        "merge_whole": "merge_whole",
        "n_global": "n_global",
        "globals_dropped": "globals_dropped",
        "neighbours": "neighbours",
        "merge_by_channel": "merge_by_channel",
    },
    "ids": {
        "padding_id": "padding",
        "dropped_id": "dropped",
        "token_id": "replaced",
        "own_ids": "own",
        "column": "column",
        "by_cell": "by_cell",
        "edges": "edges",
    },
    "fixed": {"sinusoids": "order", "blank": "blank"},
    "logit_scale": {"scale_gain": "gain"},
    "masked": {"barred": "n", "barred_from": "first"},
    "pooler": {"pooled": "position", "pooled_id": "id"},
    "frames": {"span": "span", "chunk": "chunk", "reach": "reach"},
    "frequencies": {"rows": "bins", "taps_across": "taps"},
    "residual_stream": {"stream": "index", "restores_stream": "restores"},
    "multipliers": {
        "value_scale": "value",
        "in_scale": "input",
        "gate_scale": "gate",
        "out_scale": "output",
        "scaled": "learned",
        "z_scale": "z",
        "x_scale": "x",
        "B_scale": "B",
        "C_scale": "C",
        "dt_scale": "dt",
    },
    "time_step": {"dt_min": "least", "dt_max": "most"},
    "qk_norm": {
        "qk_norm_function": "function",
        "qk_norm_scale": "scale",
        "qk_norm_bias": "bias",
        "qk_norm_eps": "eps",
        "qk_norm_unit_offset": "unit_offset",
        "qk_norm_late": "late",
    },
    "score_bias": {
        "alibi_scale": "scale",
        "n_buckets": "n_buckets",
        "max_distance": "max_distance",
        "relative_shared": "shared",
    },
    "cross": {"d_source": "d_source", "streams": "streams"},
    "inputs": {"d_input": "width", "d_input_v": "value_width", "values_of": "values_of"},
    "indexer": {
        "index_heads": "n_heads",
        "index_dim": "dim",
        "index_block": "block",
        "index_pooled": "pooled",
        "index_local": "local",
        "index_unit_offset": "unit_offset",
        "index_topk": "top_k",
        "index_interleaved": "interleaved",
        "index_rotates_end": "rotates_end",
        "index_compressed": "compressed",
        "index_input_norm": "input_norm",
        "index_position_scaled": "position_scaled",
    },
    "kv": {
        "prefix": "prefix",
        "exclusive": "exclusive",
        "values_are_keys": "values_are_keys",
        "kv_reused": "reused",
        "v_rope": "rope",
        "v_norm": "norm",
    },
    "o_norm": {"o_norm_function": "function"},
    "implementation": {"implemented_cache": "cache", "softmax_in_fp32": "softmax_in_fp32"},
    "temperature": {"temperature_law": "law", "temperature_length": "length", "temperature_start": "start"},
}
# by layer kind: the first names of its fields in the order that fingerprints keep; later fields follow
FIRST_FIELDS = {
    "embedding": """
        rows d_model table share offset scale padding_id dropped_id own_ids use column by_cell token_id codebooks edges
        columns learned sinusoids blank normed norm_eps unused
    """,
    "head": """
        vocab d_model share d_rest bias buffer_bias softcap input_scale loss_in_fp32 streams codebooks scored
        n_positions scaled barred barred_from scale_gain unused_biases unused
    """,
    "norm": """
        d_model function scale bias eps unit_offset weights_of gate_rank streams n_latents merge merge_extra
        merge_whole n_global globals_dropped prompt n_positions unused weighted_first activation
    """,
    "linear": """
        d_in d_out bias activation positions pooled pooled_id neighbours merge merge_whole upsample span chunk
        merge_by_channel n_latents prompt dropped unused share stream recomputed_per_step restores_stream reach
    """,
    "mlp": """
        d_model d_ff activation gated bias out_bias clamp clamp_late up_offset gate_softcap up_softcap inner_norm
        inner_norm_function inner_norm_eps sparsity on_sphere sphere_gain gate_scale out_scale scaled n_global
        globals_dropped padded_to padded_above streams adapter_rank n_adapters n_positions n_latents merge merge_extra
        merge_whole prompt unused
    """,
    "mamba2": """
        d_model n_ssm_heads d_ssm_head d_state n_groups d_conv chunk bias conv_bias norm norm_eps dt_min dt_max
        out_bias gate_first in_scale out_scale z_scale x_scale B_scale C_scale dt_scale activation
    """,
    "moe": """
        d_model d_ff n_experts top_k activation gated clamp clamp_late up_offset gate_softcap up_softcap expert_bias
        router renormalise renormalise_eps renormalise_power routed_scale router_softcap mixer_tolerance scaled_input
        shared_scale router_bias router_bias_unused router_scaled router_eps correction_bias hash_rows n_groups
        top_groups group_score d_ff_shared shared_activation shared_gated shared_clamped shared_clamp shared_bias
        shared_gate d_latent latent_in_norm result_norm result_norm_eps router_gain latent_bias latent_norm
        latent_norm_eps capacity_factor top_k_run n_zero_experts out_bias capacity batch_capacity capacity_share
        priority_by_score renormalise_late d_router router_residual n_null_experts n_shared learned_gate_scale unused
    """,
    "attention": """
        d_model n_heads n_kv_heads d_head d_head_v q_bias k_bias v_bias o_bias qk_norm qk_norm_function qk_norm_scale
        qk_norm_bias qk_norm_eps qk_norm_unit_offset qk_norm_late positions alibi_scale rotary_dim rope_theta
        rope_interleaved rope_reversed rope_grid rope_scaling rope_factor rope_length rope_low_factor rope_high_factor
        rope_fast rope_slow rope_truncate rope_attention rope_factors n_buckets max_distance relative_shared causal
        window window_ahead chunk cross d_source d_input d_input_v values_of adapter_rank n_adapters index_heads
        index_dim index_block index_pooled index_local index_unit_offset index_topk clip gated gate_per_head gate_bias
        gate_function sinks prompt prefix exclusive values_are_keys kv_reused v_rope v_norm head_norm o_norm
        o_norm_function implemented_cache logit_softcap scale value_scale in_scale out_scale temperature
        temperature_law temperature_length temperature_start softmax_in_fp32 streams merge unused
    """,
    "mla": """
        d_model n_heads kv_lora_rank qk_nope_head_dim qk_rope_head_dim v_head_dim q_lora_rank bias rope rope_theta
        causal window gate gate_per_head double_latent key_norm latent_scaled sinks index_heads index_dim index_topk
        index_interleaved index_rotates_end index_compressed index_input_norm index_position_scaled latent_reused
        latent_lent position_scaled rope_learned scale temperature temperature_length temperature_start norm_eps
        rotary_dim rope_interleaved rope_reversed rope_grid rope_scaling rope_factor rope_length rope_low_factor
        rope_high_factor rope_fast rope_slow rope_truncate rope_attention rope_factors
    """,
}
PART_FLAGS = {
    "gated": ("gate", True),
    "head_norm": ("o_norm", "head"),
    "learned": ("fixed", False),
    "on_sphere": ("sphere", True),
    "scaled": ("logit_scale", True),
}  # flags for a part, for its short form, or (False) for the absence of a part
PART_BOUND = ("n_buckets", "streams")  # flat fields that have no meaning without their part
PART_SWITCHES = ("cross", "inner_norm", "o_norm")  # parts whose own name was a flag
PART_ABSENT = {"gate_bias": "none"}  # values of flat fields without the part, if different from the default
# flat fields whose value without the part is that of another field
PART_WIDTHS = {"rotary_dim": "d_head", "index_dim": "d_head", "d_source": "d_model", "shared_gated": "gated"}
PART_SHORT_FORMS = {"positions": ("score_bias", "rope")}  # a field whose value is the name of a part or of a choice


def renamed(data: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    """Return ``data`` with deprecated keys renamed. A deprecated key is kept if its current name is also present.

    >>> renamed({"in_text": True}, STACK_KEYS)
    {'replaces_placeholder_tokens': True}
    """
    return {aliases[key] if key in aliases and aliases[key] not in data else key: value for key, value in data.items()}


def old_names(aliases: Mapping[str, str]) -> dict[str, str]:
    """Return a mapping from each current name to its first deprecated name."""
    return {new: old for old, new in reversed(list(aliases.items()))}


def accepts_aliases(**aliases: str) -> Callable[[Function], Function]:
    """Make a function accept other names of its keyword arguments.

    >>> accepts_aliases(pairs="count")(lambda count: count)(pairs="dense")
    'dense'
    """

    def decorate(function: Function) -> Function:
        @wraps(function)
        def call(*values: Any, **named: Any) -> Any:
            found = renamed(named, aliases)
            for name in aliases.keys() & found.keys():
                from .errors import InputError

                text = f"cannot be combined with {aliases[name]}, its current name"
                raise InputError(text, parameter=name, hint="omit it")
            return function(*values, **found)

        return call  # type: ignore[return-value]

    return decorate


def accepts_old_names(cls: Class) -> Class:
    """Make a record accept deprecated field names as keyword arguments and attributes."""
    scope, make = cls.__name__, cls.__init__  # type: ignore[misc]
    aliases, noticed = JSON_KEYS[scope], set[str]()

    def current(name: str) -> str:
        if name in aliases and name not in noticed:
            import warnings  # slow to import, and needed only here

            noticed.add(name)
            warnings.warn(f"{scope}: {name} is now called {aliases[name]}", DeprecationWarning, stacklevel=3)
        return aliases.get(name, name)

    def init(self: Any, *values: Any, **named: Any) -> None:
        found = dict(zip(map(current, named), named.values(), strict=True))  # no frame between current() and the call
        if len(found) < len(named):
            raise TypeError(f"{scope}: both the old and the new name of a field are given")
        make(self, *values, **found)

    def attribute(self: Any, name: str) -> Any:
        if name in aliases:
            return getattr(self, current(name))
        raise AttributeError(f"{scope} has no attribute {name!r}")

    cls.__init__ = init  # type: ignore[misc]
    cls.__getattr__ = attribute  # type: ignore[attr-defined]
    return cls
