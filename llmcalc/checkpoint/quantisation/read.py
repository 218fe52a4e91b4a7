"""Reader for ``quantization_config``, which determines how a checkpoint quantises and stores matrices.

Unknown methods and unsupported variants raise an error. Unlisted modules follow the defaults of each method's
library. Embeddings, norms, routers and, for most methods, the head are not quantised.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ...core.errors import UnknownNameError
from .bitsandbytes import read_bitsandbytes
from .compressed_tensors import read_compressed_tensors
from .fp8_fp4 import read_fbgemm_fp8, read_fp8, read_mxfp4
from .gptq_awq import read_auto_round, read_awq, read_gptq
from .method import WHERE, Quantisation, QuantizationConfig
from .mlx import read_mlx
from .modelopt import read_modelopt

LONGEST_CONFIG = 4_000_000
_ONE_EXPERT = r"experts?[\\.]+[\d\[(]"
# Settings for calibration and kernels, which do not change the stored tensors.
_IRRELEVANT_KEYS = """
    act_bits act_data_type act_dynamic act_group_size act_sym activation_scale_ub activation_scheme autoround_version
    backend batch_size block_name_to_quantize bnb_4bit_compute_dtype cache_block_outputs damp_percent
    damp_auto_increment dataset dequantize desc_act disable_exllama do_fuse enable_quanted_input exllama_config fmt
    fuse_max_seq_len global_compression_ratio hyb_act iters kv_cache_quant_algo kv_cache_scheme
    llm_int8_enable_fp32_cpu_offload llm_int8_has_fp16_weight llm_int8_threshold max_input_length meta mlp_fused
    model_file_base_name model_name_or_path model_seqlen modelopt_version module_name_preceding_first_block
    modules_to_fuse mse nsamples pad_token_id provider quantization_status run_compressed seqlen static_groups sym
    to_quant_block_names tokenizer transform_config true_sequential use_cuda_fp16 use_exllama version zero_point
    has_zero_point pre_quant_scale
"""
_IRRELEVANT = frozenset(_IRRELEVANT_KEYS.split())
_FLOATS = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
Reader = Callable[[QuantizationConfig, str], Quantisation | list[Quantisation]]
METHODS: dict[str, Reader] = {
    "gptq": read_gptq, "awq": read_awq, "auto-round": read_auto_round, "bitsandbytes": read_bitsandbytes,
    "fp8": read_fp8, "fbgemm_fp8": read_fbgemm_fp8, "compressed-tensors": read_compressed_tensors,
    "modelopt": read_modelopt, "mxfp4": read_mxfp4, "mlx": read_mlx,
}  # fmt: skip


def read_quantisation(data: Mapping[str, Any], dtype: str, text_only: bool = False) -> Quantisation:
    """Return the most likely storage variant for a config. ``text_only`` limits quantisation to the language model."""
    return quantisation_variants(data, dtype, text_only)[0]


def quantisation_variants(data: Mapping[str, Any], dtype: str, text_only: bool = False) -> list[Quantisation]:
    """Return the storage variants that different tools may write for a config, most likely first."""
    producer, inner = data.get("producer"), data.get("quantization")
    method = data.get("quant_method") or (producer.get("name") if isinstance(producer, dict) else None)
    if isinstance(method, str) and method.startswith("bitsandbytes"):
        method = "bitsandbytes"
    reader = METHODS.get(method) if isinstance(method, str) else None
    if reader is None:
        hint = f"supported: {', '.join(METHODS)}; {{weights=FORMAT}} overrides the method"
        raise UnknownNameError("quant_method", method, METHODS, where=WHERE, hint=hint)
    if isinstance(inner, dict):  # as in ModelOpt's hf_quant_config.json
        data = {**{key: value for key, value in data.items() if key != "quantization"}, **inner}
    config = QuantizationConfig(data)
    result = reader(config, dtype)
    unread = [key for key in data if key not in config.read | _IRRELEVANT and data[key] not in (None, False, [], {})]
    lists_experts = bool(re.search(_ONE_EXPERT, str(data)[:LONGEST_CONFIG]))
    return [
        variant._replace(
            lists_experts=lists_experts, text_only=text_only or variant.text_only, unknown_keys=tuple(unread)
        )
        for variant in (result if isinstance(result, list) else [result])
    ]


def safetensors_type(name: object) -> str:
    """Return the safetensors name of a torch dtype, or BF16 if the dtype is missing or not a float."""
    return _FLOATS.get(name.removeprefix("torch.") if isinstance(name, str) else "", "BF16")
