"""Floats of 8 and 4 bits with scales beside them: FP8 by tile, output or matrix, MXFP4, torchao's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ...core.errors import UnsupportedError, shown
from .. import packing as packs
from ..packing import Part, Shape
from .method import Quantisation, pair, rewritten, texts
from .module_patterns import WHERE, matcher, named

# How writers call the scale of a matrix and that of its input.
_INVERSE, _PLAIN, _SHORT = (".weight_scale_inv", ".activation_scale"), (".weight_scale", ".input_scale"), (".scale", "")


def fp8(data: Mapping[str, Any], dtype: str) -> list[Quantisation]:
    """DeepSeek's tiles, and matrices with one scale. Writers differ in what they call scales, whether those that are
    powers of two take one byte, and whether the head is quantised where a list does not name it.
    """
    size, spelt = data.get("weight_block_size"), "weight_block_size" in data
    tile = None if size is None else pair(size, "weight_block_size")
    kept = data.get("modules_to_not_convert")
    left = [*texts(data, "modules_to_not_convert"), *texts(data, "ignored_layers")]
    if data.get("modules_to_convert"):
        raise UnsupportedError("tables in 8 bits are not understood", where=WHERE)
    experts = data.get("expert_dtype")
    if experts not in (None, "fp8", "fp4"):
        raise UnsupportedError(f"experts in {shown(experts)} are not understood; fp8 and fp4 are", where=WHERE)
    name = f"fp8 {tile[0]}x{tile[1]}" if tile else "fp8"
    static = data.get("activation_scheme") == "static"
    plain = Quantisation(name, None, lambda module: named(module, left), head=kept is not None)
    plain = plain._replace(pack_experts=packs.fp4_experts if experts == "fp4" else None)
    small = data.get("scale_fmt") == "ue8m0"
    ways = _ways(tile, spelt, small, rewritten(data))
    found = [
        plain._replace(pack=partial(packs.fp8, tile=tile, scale=scale, scale_type=kind, static=given if static else ""))
        for (scale, given), kind in ways
    ]
    return [*found, *(one._replace(head=not one.head) for one in found)]


def _ways(tile: Shape | None, spelt: bool, small: bool, new: bool) -> list[tuple[tuple[str, str], str]]:
    """Names of the scales and their type, as writers may have chosen, the likeliest first."""
    if small:
        ways = [(_SHORT, "F8_E8M0"), (_INVERSE, "F8_E8M0"), (_INVERSE, "F32")]
        return ways[1:] + ways[:1] if new else ways
    ways = [(_INVERSE, "F32"), (_PLAIN, "F32")]
    return ways if tile or spelt else ways[::-1]


def fbgemm(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """A scale for each output."""
    left = texts(data, "modules_to_not_convert")

    def pack(out: int, inputs: int) -> list[Part]:
        return packs.scaled(out, inputs, "F8_E4M3", (out, 1), "F32")

    return Quantisation("fp8 channel", pack, lambda name: named(name, left), compared=False)


def mxfp4(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """Experts that are kept in one tensor, alone (gpt-oss)."""
    left = matcher(texts(data, "modules_to_not_convert"))
    return Quantisation("mxfp4", packs.mxfp4, left, experts_only=True, compared=False)
