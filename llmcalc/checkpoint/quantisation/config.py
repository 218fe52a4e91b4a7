"""``quantization_config`` of a published checkpoint: which matrices are quantised, and what each is stored as.

A method reads its own keys; one that is not known, and a key that changes what is stored in a way that is not known,
are errors. Modules that no list names are treated as the maker's library does: tables, norms, routers and, but for
ModelOpt, compressed-tensors and lists that leave it out, the head are left as they were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ...core.errors import UnknownNameError
from .bitsandbytes import bitsandbytes
from .compressed_tensors import compressed
from .fp8_fp4 import fbgemm, fp8, mxfp4
from .gptq_awq import auto_round, awq, gptq
from .method import Matrix, Quantisation, Told
from .modelopt import modelopt
from .module_patterns import WHERE

__all__ = ["METHODS", "Matrix", "Quantisation", "float_type", "read_quantisation", "readings"]

LONGEST_LISTS = 4_000_000
_ONE_EXPERT = re.compile(r"experts?[\\.]+[\d\[(]")
# How the numbers were found, and how kernels compute with them: nothing of what is stored.
_PASSED = """
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
_IRRELEVANT = frozenset(_PASSED.split())
_FLOATS = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
Reader = Callable[[Told, str], Quantisation | list[Quantisation]]
METHODS: dict[str, Reader] = {
    "gptq": gptq, "awq": awq, "auto-round": auto_round, "bitsandbytes": bitsandbytes, "fp8": fp8, "fbgemm_fp8": fbgemm,
    "compressed-tensors": compressed, "modelopt": modelopt, "mxfp4": mxfp4,
}  # fmt: skip


def read_quantisation(data: Mapping[str, Any], dtype: str, language: bool = False) -> Quantisation:
    """The method of a ``quantization_config``, the likeliest of its ``readings``; ``dtype`` is what the checkpoint
    computes in, ``language`` that it stands in the config of the language model within that of a larger one.

    Raises:
        UnknownNameError: a method that is not known.
        UnsupportedError: a variant of a known one that is not.
    """
    return readings(data, dtype, language)[0]


def readings(data: Mapping[str, Any], dtype: str, language: bool = False) -> list[Quantisation]:
    """The ways in which writers are known to store what a config says, the likeliest first."""
    producer, inner = data.get("producer"), data.get("quantization")
    maker = producer.get("name") if isinstance(producer, dict) else None
    method = data.get("quant_method") or maker
    if isinstance(method, str) and method.startswith("bitsandbytes"):
        method = "bitsandbytes"
    reader = METHODS.get(method) if isinstance(method, str) else None
    if reader is None:
        hint = f"understood: {', '.join(METHODS)}; {{weights=FORMAT}} overrides the method"
        raise UnknownNameError("quant_method", method, METHODS, where=WHERE, hint=hint)
    if isinstance(inner, dict):  # as ModelOpt's own file has it
        data = {**{key: value for key, value in data.items() if key != "quantization"}, **inner}
    told = Told(data)
    read = reader(told, dtype)
    found = read if isinstance(read, list) else [read]
    unread = tuple(key for key in data if key not in told.read | _IRRELEVANT and data[key] not in (None, False, [], {}))
    apart = bool(_ONE_EXPERT.search(str(data)[:LONGEST_LISTS]))
    return [one._replace(apart=apart, language=language, unread=unread) for one in found]


def float_type(name: object) -> str:
    """Safetensors' name of a torch dtype, or BF16 if a config does not tell."""
    text = name.removeprefix("torch.") if isinstance(name, str) else ""
    return _FLOATS.get(text, "BF16")
