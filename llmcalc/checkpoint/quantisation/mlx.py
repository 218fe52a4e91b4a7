"""MLX quantisation of matrices and tables in groups along the inputs, with settings by module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from ...core.errors import DescriptionError, UnknownNameError, short_repr
from .method import WHERE, ModuleOverride, Quantisation, QuantizationConfig, bit_width, integer, scale_type
from .packing import WORD_BITS, PackedTensor, Packing, ceil_div, n_groups

AFFINE = "affine"
MODES = {AFFINE: (64, 4), "mxfp4": (32, 4), "nvfp4": (16, 4), "mxfp8": (32, 8)}  # usual group size and bits
_SETTINGS = ("group_size", "bits", "mode", "quant_method", "model_type")
_MIXTRAL = {".switch_mlp.w1": ".switch_mlp.gate_proj", ".switch_mlp.w2": ".switch_mlp.down_proj"}
_MIXTRAL |= {".switch_mlp.w3": ".switch_mlp.up_proj"}
_EXPERTS = re.compile(r"\.experts(\.\d+)?(?=\.|$)")
# Types whose router is a plain tensor in mlx-lm 0.32, not a module, so that it is never quantised.
_PLAIN_ROUTERS = """
    bailing_moe_v3 deepseek deepseek_v2 deepseek_v3 deepseek_v32 dots1 exaone_moe glm4_moe glm4_moe_lite glm_moe_dsa
    kimi_k2 kimi_k25 mimo_v2_flash mistral4 muse_spark_text nemotron_h solar_open
"""
# Types of which mlx-lm 0.32 has written models as large as computed, see tests/checkpoint/test_mlx.py.
TESTED = """
    bailing_moe cohere deepseek_v3 dots1 ernie4_5 exaone4 gemma gemma2 gemma3_text glm4 glm4_moe gpt2 gpt_oss granite
    hunyuan_v1_dense jamba lfm2 lfm2_moe llama mamba minimax_m2 mistral mixtral nemotron olmo2 olmo3 olmoe phi3 phimoe
    qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next seed_oss smollm3 stablelm starcoder2
"""


def pack_mlx(*shape: int, bits: int, group: int, mode: str, scales: str) -> list[PackedTensor]:
    """Pack a matrix [out, in] or [experts, out, in] in MLX's format, with words of 32 bits and a scale per group.

    Groups have a 16-bit scale and bias in the mode ``affine``, and an 8-bit scale in the others.
    """
    *rows, inputs = shape
    groups = (*rows, n_groups(inputs, group))
    tensors = [PackedTensor(".weight", "U32", (*rows, ceil_div(inputs * bits, WORD_BITS)))]
    if mode != AFFINE:
        return [*tensors, PackedTensor(".scales", "U8", groups)]
    return [*tensors, PackedTensor(".scales", scales, groups), PackedTensor(".biases", scales, groups)]


def read_mlx(data: QuantizationConfig, dtype: str) -> Quantisation:
    """Read MLX settings. Tables and routers are quantised as well, but no matrix whose rows are not whole groups."""
    mode, bits, group = _settings(data)
    modules = {key: value for key, value in data.items() if key not in _SETTINGS and isinstance(value, (dict, bool))}
    data.read.update(modules, _SETTINGS)
    by_packing: dict[tuple[str, int, int] | None, set[str]] = {}
    for name, value in modules.items():
        own = None if value is False else (mode, bits, group) if value is True else _settings(value)
        plain = _plain(name)
        by_packing.setdefault(own, set()).update({plain, plain.rpartition(".")[0]})
    overrides = tuple(
        ModuleOverride(partial(_is_in, names), own and _packing(*own, dtype)) for own, names in by_packing.items()
    )
    model_type = data.get("model_type")
    return Quantisation(
        f"mlx {_name(mode, bits)} g{group}", _packing(mode, bits, group, dtype), overrides=overrides,
        includes_head=True, includes_tables=True, includes_routers=model_type not in _PLAIN_ROUTERS.split(),
        includes_stacked=True, text_only=True, row_multiple=group, is_tested=model_type in TESTED.split(),
        patterns=tuple(modules),
    )  # fmt: skip


def _settings(data: Mapping[str, Any]) -> tuple[str, int, int]:
    mode = data.get("mode", AFFINE)
    if mode not in tuple(MODES):
        raise UnknownNameError("mode", str(mode), MODES, where=WHERE)
    usual_group, usual_bits = MODES[mode]
    bits, group = bit_width(data, "bits", usual_bits), integer(data, "group_size", usual_group)
    if group < 1:
        raise DescriptionError(f"group_size must be at least 1, not {short_repr(group)}", where=WHERE)
    return mode, bits, group


def _packing(mode: str, bits: int, group: int, dtype: str) -> Packing:
    return partial(pack_mlx, bits=bits, group=group, mode=mode, scales=scale_type(dtype))


def _name(mode: str, bits: int) -> str:
    return f"int{bits}" if mode == AFFINE else mode


def _is_in(names: set[str], module: str) -> bool:
    return _plain(module) in names


def _plain(module: str) -> str:
    """Return the name of a module in MLX without prefixes, which differ between tools.

    >>> _plain("model.layers.1.mlp.experts.3.up_proj"), _plain("language_model.layers.1.mlp.switch_mlp.up_proj")
    ('layers.1.mlp.switch_mlp.up_proj', 'layers.1.mlp.switch_mlp.up_proj')
    """
    name = _EXPERTS.sub(".switch_mlp", module).replace("gate_up_proj", "gate_proj")
    name = next((name.replace(old, new) for old, new in _MIXTRAL.items() if name.endswith(old)), name)
    while name.startswith(("language_model.", "model.")):
        name = name.partition(".")[2]
    return name
