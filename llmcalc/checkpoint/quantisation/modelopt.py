"""NVIDIA ModelOpt: one algorithm for all matrices, or one for each layer that is named."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ...core.errors import UnsupportedError, shown
from .. import packing as packs
from ..packing import NV_BLOCK, Pack
from .method import Own, Quantisation, mapping, number, texts
from .module_patterns import WHERE, matcher, within

TILE = 128
MIXED = "MIXED_PRECISION"
_GROUPS = {"W4A16_AWQ": 128, "W4A8_AWQ": 128, "NVFP4": NV_BLOCK, "W4A16_NVFP4": NV_BLOCK, "NVFP4_AWQ": NV_BLOCK,
           "W4A8_NVFP4_FP8": 32}  # fmt: skip
_MICROSCALED = {"MXFP8": 8, "MXFP4": 4, "W4A8_MXFP4_FP8": 4}
_PLAIN = ("FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "W8A16", "W8A8_SQ_PER_CHANNEL")
ALGORITHMS = (*_PLAIN, *_MICROSCALED, *_GROUPS)


def modelopt(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """What the lists do not leave out, the head too; or, where algorithms are mixed, what has one of its own."""
    algorithm = _algorithm(data)
    left = matcher([*texts(data, "ignore"), *texts(data, "exclude_modules")], anywhere=True)
    if algorithm == MIXED:
        data.get("config_groups")  # the same, by algorithm
        return _mixed(mapping(data.get("quantized_layers"), "quantized_layers"))
    pack = _pack(algorithm, _size(data, algorithm))
    return Quantisation(f"modelopt {algorithm.lower()}", pack, left, head=True)


def _mixed(layers: Mapping[str, Any]) -> Quantisation:
    """Modules that are named, each with its algorithm."""
    sets: dict[tuple[str, int], set[str]] = {}
    for name, settings in layers.items():
        algorithm = _algorithm(mapping(settings, "quantized_layers"))
        sets.setdefault((algorithm, _size(settings, algorithm)), set()).add(name)
    own = tuple(Own(within(names), _pack(*how)) for how, names in sets.items())
    said = " + ".join(dict.fromkeys(algorithm.lower() for algorithm, _ in sets))
    return Quantisation(f"modelopt {said}", None, own=own, head=True)


def _algorithm(data: Mapping[str, Any]) -> str:
    told = data.get("quant_algo")
    name = told.upper() if isinstance(told, str) else ""
    if name not in (*ALGORITHMS, MIXED):
        known = ", ".join(ALGORITHMS)
        raise UnsupportedError(f"ModelOpt's {shown(told)} is not understood; known: {known}, {MIXED}", where=WHERE)
    return name


def _size(data: Mapping[str, Any], algorithm: str) -> int:
    """Elements of a group, where an algorithm has groups of any size."""
    usual = _GROUPS.get(algorithm, 1)
    groups = data.get("config_groups")
    if not isinstance(groups, dict) or not groups:
        groups = {"": {"weights": data}}
    sizes = {number(one["weights"], "group_size", usual) for one in groups.values() if _weighs(one)} or {usual}
    if len(sizes) != 1 or min(sizes) < 1:
        raise UnsupportedError(f"groups of {shown(sorted(sizes))} are not understood", where=WHERE)
    return sizes.pop()


def _weighs(group: object) -> bool:
    return isinstance(group, dict) and isinstance(group.get("weights"), Mapping)


def _pack(algorithm: str, size: int) -> Pack:
    """The tensors of a matrix; ``size`` elements are a group."""
    if algorithm.endswith("_AWQ") and algorithm.startswith("W4"):
        return partial(packs.halves, group=size, static=algorithm == "W4A8_AWQ")
    if algorithm in _GROUPS:
        return partial(packs.nvfp4, group=size, static=algorithm != "W4A16_NVFP4")
    if algorithm in _MICROSCALED:
        return partial(packs.microscaled, bits=_MICROSCALED[algorithm])
    if algorithm in ("FP8", "FP8_PB_WO"):
        tile, given = (None, ".input_scale") if algorithm == "FP8" else ((TILE, TILE), "")
        return partial(packs.fp8, tile=tile, scale=".weight_scale", scale_type="F32", static=given)
    kind = "F8_E4M3" if algorithm.startswith("FP8") else "I8"
    return lambda out, inputs: packs.scaled(out, inputs, kind, (out,), "F32", static=algorithm.startswith("W8A8"))
