"""FP8 quantisation (with scales per block, output or matrix), FP4 experts, and gpt-oss's MXFP4 format."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ...core.errors import short_repr
from .method import Quantisation, integer_pair, is_from_transformers_5, is_listed, pattern_matcher, strings, unsupported
from .packing import Shape, pack_bytes, pack_fp4_experts, pack_fp8, pack_mxfp4_experts

# Suffixes of the weight scale and the input scale, which depend on the writer.
_INVERSE, _PLAIN, _SHORT = (".weight_scale_inv", ".activation_scale"), (".weight_scale", ".input_scale"), (".scale", "")


def read_fp8(data: Mapping[str, Any], dtype: str) -> list[Quantisation]:
    """Read FP8 settings with block scales (DeepSeek) or one scale per matrix. Scale names vary by tool."""
    size, has_block_size = data.get("weight_block_size"), "weight_block_size" in data
    block = None if size is None else integer_pair(size, "weight_block_size")
    listed = data.get("modules_to_not_convert")
    excluded = [*strings(data, "modules_to_not_convert"), *strings(data, "ignored_layers")]
    if data.get("modules_to_convert"):
        raise unsupported("embedding tables in FP8 (modules_to_convert) are not supported")
    experts = data.get("expert_dtype")
    if experts not in (None, "fp8", "fp4"):
        raise unsupported(f"expert_dtype {short_repr(experts)} is not supported; use fp8 or fp4")
    is_static, is_power_of_two = data.get("activation_scheme") == "static", data.get("scale_fmt") == "ue8m0"
    method = Quantisation(
        f"fp8 {block[0]}x{block[1]}" if block else "fp8", None, lambda module: is_listed(module, excluded),
        includes_head=listed is not None, expert_packing=pack_fp4_experts if experts == "fp4" else None,
        tile=block, expert_name="fp4" if experts == "fp4" else "", patterns=excluded,
    )  # fmt: skip
    variants = []
    for (scale, input_scale), kind in _scales(block, has_block_size, is_power_of_two, is_from_transformers_5(data)):
        suffix = input_scale if is_static else ""
        packing = partial(pack_fp8, block=block, scale=scale, scale_type=kind, input_scale=suffix)
        variants.append(method._replace(packing=packing))
    return [*variants, *(variant._replace(includes_head=not variant.includes_head) for variant in variants)]


def _scales(
    block: Shape | None, has_block_size: bool, is_power_of_two: bool, is_new: bool
) -> list[tuple[tuple[str, str], str]]:
    """Return possible scale suffixes and scale types, most likely first."""
    if is_power_of_two:
        variants = [(_SHORT, "F8_E8M0"), (_INVERSE, "F8_E8M0"), (_INVERSE, "F32")]
        return variants[1:] + variants[:1] if is_new else variants
    variants = [(_INVERSE, "F32"), (_PLAIN, "F32")]
    return variants if block or has_block_size else variants[::-1]


def read_fbgemm_fp8(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """Read FBGEMM's FP8 settings with one scale per output."""
    excluded = strings(data, "modules_to_not_convert")
    return Quantisation(
        "fp8 channel", lambda out, inputs: pack_bytes(out, inputs, "F8_E4M3", (out, 1), "F32"),
        lambda name: is_listed(name, excluded), is_tested=False, patterns=excluded,
    )  # fmt: skip


def read_mxfp4(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """Read gpt-oss's MXFP4 settings. Only stacked experts are quantised."""
    excluded = strings(data, "modules_to_not_convert")
    return Quantisation(
        "mxfp4", pack_mxfp4_experts, pattern_matcher(excluded), stacked_only=True, is_tested=False, patterns=excluded
    )
