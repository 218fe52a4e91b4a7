"""compressed-tensors: groups of modules, each with its bits, its strategy and its format."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ...core.errors import DescriptionError, UnsupportedError, shown
from .. import packing as packs
from ..packing import Pack, Part, Shape
from .method import Own, Quantisation, number, pair, scale_type, texts, width
from .module_patterns import WHERE, matcher, within

TILE = 128
_CLASS, _EXPRESSION = "Linear", "re:"
_BY_ELEMENT = ("float-quantized", "int-quantized", "naive-quantized")
_MICROSCALED = {"mxfp4-pack-quantized": 4, "mxfp6-pack-quantized": 6, "mxfp8-quantized": 8}
_BITS = {"nvfp4-pack-quantized": 4, **_MICROSCALED}


def compressed(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """Every matrix of a class, or those that a group names; a name goes before an expression, that before a class."""
    groups, sparse, form = data.get("config_groups"), data.get("sparsity_config") or {}, data.get("format")
    if not isinstance(sparse, dict) or sparse.get("format", "dense") != "dense":
        raise UnsupportedError("sparse matrices of compressed-tensors are not understood", where=WHERE)
    if not isinstance(groups, dict) or not groups:
        raise UnsupportedError("compressed-tensors with no config_groups is not understood", where=WHERE)
    named: list[Own] = []
    described: list[Own] = []
    whole: Pack | None = None
    said: dict[str, None] = {}
    for group in groups.values():
        if not isinstance(group, dict) or not isinstance(group.get("weights"), dict):
            raise DescriptionError("the group of compressed-tensors has no weights", where=WHERE)
        pack, name = _pack(str(group.get("format") or form), group, scale_type(dtype))
        said[name] = None
        targets = texts(group, "targets") or [_CLASS]
        expressions = [one for one in targets if one.startswith(_EXPRESSION)]
        named.append(Own(within({one for one in targets if one != _CLASS}.difference(expressions)), pack))
        described.append(Own(matcher(expressions), pack))
        whole = pack if _CLASS in targets and whole is None else whole
    left, own = matcher(texts(data, "ignore"), anywhere=True), (*named, *described)
    return Quantisation(" + ".join(said), whole, left, own=own, head=True)


def _pack(form: str, group: Mapping[str, Any], scale: str) -> tuple[Pack, str]:
    weights, activations = group["weights"], group.get("input_activations")
    bits, strategy = width(weights, "num_bits", 8), weights.get("strategy") or "tensor"
    size = number(weights, "group_size", -1) if strategy == "group" else -1
    symmetric, ordered = weights.get("symmetric", True) is True, weights.get("actorder") == "group"
    if bits != _BITS.get(form, bits):
        raise UnsupportedError(f"compressed-tensors in {bits} bits as {shown(form)} is not understood", where=WHERE)
    if form == "pack-quantized":
        name = f"compressed int{bits}{f' g{size}' if size > 0 else ' channel'}"
        how = {"symmetric": symmetric, "ordered": ordered, "scale": scale}
        return partial(packs.packed, bits=bits, group=size, **how), name
    if form == "nvfp4-pack-quantized":
        return partial(packs.nvfp4_compressed, static=activations is not None), "compressed nvfp4"
    if form in _MICROSCALED:
        held = ".weight" if bits == packs.BITS["U8"] else ".weight_packed"
        return partial(packs.microscaled, bits=bits, name=held), f"compressed mxfp{bits}"
    return _by_element(form, bits, strategy, group, scale)


def _by_element(form: str, bits: int, strategy: str, group: Mapping[str, Any], scale: str) -> tuple[Pack, str]:
    """One byte an element, whatever its bits."""
    weights, activations = group["weights"], group.get("input_activations")
    static = isinstance(activations, dict) and not activations.get("dynamic", False)
    floats = weights.get("type") == "float"
    if form not in _BY_ELEMENT or bits > packs.BITS["I8"] or (floats and bits != packs.BITS["I8"]):
        raise UnsupportedError(f"compressed-tensors in {bits} bits as {shown(form)} is not understood", where=WHERE)
    kind, symmetric = "F8_E4M3" if floats else "I8", weights.get("symmetric", True) is True
    tile = pair(weights.get("block_structure") or [TILE, TILE], "block_structure") if strategy == "block" else (1, 1)
    size = number(weights, "group_size", -1)
    if strategy not in ("tensor", "channel", "block", "group") or (strategy == "group" and size < 1):
        raise UnsupportedError(f"the strategy {shown(strategy)} of compressed-tensors is not understood", where=WHERE)

    def pack(out: int, inputs: int) -> list[Part]:
        shapes: dict[str, Shape] = {
            "tensor": (1,),
            "channel": (out, 1),
            "group": (out, packs.over(inputs, max(1, size))),
            "block": (packs.over(out, tile[0]), packs.over(inputs, tile[1])),
        }
        return packs.scaled(out, inputs, kind, shapes[strategy], scale, symmetric, static)

    by = f"g{size}" if strategy == "group" else strategy
    return pack, f"compressed {'fp8' if floats else f'int{bits}'} {by}"
