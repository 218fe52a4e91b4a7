"""NVIDIA ModelOpt quantisation with a single algorithm, or with a separate algorithm for each listed layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any

from ...core.errors import short_repr
from .method import ModuleOverride, Quantisation, in_modules, integer, mapping, pattern_matcher, strings, unsupported
from .packing import NV_BLOCK, Packing, pack_bytes, pack_fp8, pack_int4_pairs, pack_microscaled, pack_nvfp4

BLOCK = 128
MIXED = "MIXED_PRECISION"
_GROUP_SIZES = {
    "W4A16_AWQ": 128, "W4A8_AWQ": 128, "NVFP4": NV_BLOCK, "W4A16_NVFP4": NV_BLOCK, "NVFP4_AWQ": NV_BLOCK,
    "W4A8_NVFP4_FP8": 32,
}  # fmt: skip
_MICROSCALED = {"MXFP8": 8, "MXFP4": 4, "W4A8_MXFP4_FP8": 4}
_PLAIN = ("FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "W8A16", "W8A8_SQ_PER_CHANNEL")
ALGORITHMS = (*_PLAIN, *_MICROSCALED, *_GROUP_SIZES)


def read_modelopt(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """Read ModelOpt settings. All matrices are quantised by default, but only listed layers in mixed precision."""
    algorithm = _algorithm(data)
    excluded = [*strings(data, "ignore"), *strings(data, "exclude_modules")]
    is_excluded = pattern_matcher(excluded, anywhere=True)
    if algorithm == MIXED:
        data.get("config_groups")  # the layers of quantized_layers, grouped by algorithm
        modules: dict[tuple[str, int], set[str]] = defaultdict(set)
        for name, settings in mapping(data.get("quantized_layers"), "quantized_layers").items():
            own = _algorithm(mapping(settings, "quantized_layers"))
            modules[own, _group_size(settings, own)].add(name)
        overrides = tuple(ModuleOverride(in_modules(names), _packing(*key)) for key, names in modules.items())
        title = " + ".join(dict.fromkeys(own.lower() for own, _ in modules))
        return Quantisation(f"modelopt {title}", None, overrides=overrides, includes_head=True)
    packing = _packing(algorithm, _group_size(data, algorithm))
    return Quantisation(f"modelopt {algorithm.lower()}", packing, is_excluded, includes_head=True, patterns=excluded)


def _algorithm(data: Mapping[str, Any]) -> str:
    value = data.get("quant_algo")
    name = value.upper() if isinstance(value, str) else ""
    if name not in (*ALGORITHMS, MIXED):
        supported = ", ".join((*ALGORITHMS, MIXED))
        raise unsupported(f"ModelOpt's quant_algo {short_repr(value)} is not supported; supported: {supported}")
    return name


def _group_size(data: Mapping[str, Any], algorithm: str) -> int:
    """Return the number of elements per group, or 1 for an algorithm without groups."""
    default = _GROUP_SIZES.get(algorithm, 1)
    groups = data.get("config_groups")
    groups = list(groups.values()) if isinstance(groups, dict) and groups else [{"weights": data}]
    weights = [group["weights"] for group in groups if isinstance(group, dict) and "weights" in group]
    sizes = {integer(each, "group_size", default) for each in weights if isinstance(each, Mapping)} or {default}
    if len(sizes) != 1 or min(sizes) < 1:
        raise unsupported(f"ModelOpt group sizes {short_repr(sorted(sizes))} are not supported")
    return sizes.pop()


def _packing(algorithm: str, group: int) -> Packing:
    if algorithm.endswith("_AWQ") and algorithm.startswith("W4"):
        return partial(pack_int4_pairs, group=group, fp8_inputs=algorithm == "W4A8_AWQ")
    if algorithm in _GROUP_SIZES:
        return partial(pack_nvfp4, group=group, input_scale=algorithm != "W4A16_NVFP4")
    if algorithm in _MICROSCALED:
        return partial(pack_microscaled, bits=_MICROSCALED[algorithm])
    if algorithm in ("FP8", "FP8_PB_WO"):
        block, input_scale = (None, ".input_scale") if algorithm == "FP8" else ((BLOCK, BLOCK), "")
        return partial(pack_fp8, block=block, scale=".weight_scale", scale_type="F32", input_scale=input_scale)
    kind, has_input_scale = "F8_E4M3" if algorithm.startswith("FP8") else "I8", algorithm.startswith("W8A8")
    return lambda out, inputs: pack_bytes(out, inputs, kind, (out,), "F32", input_scale=has_input_scale)
