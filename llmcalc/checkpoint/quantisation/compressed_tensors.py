"""compressed-tensors quantisation with a separate bit width, strategy and format for each group of modules."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ...core.errors import DescriptionError, UnsupportedError, short_repr
from ..headers.safetensors import BITS
from .method import (
    WHERE,
    ModuleOverride,
    Quantisation,
    bit_width,
    in_modules,
    integer,
    integer_pair,
    pattern_matcher,
    scale_type,
    strings,
    unsupported,
)
from .packing import PackedTensor, Packing, Shape, ceil_div, pack_bytes, pack_integers, pack_microscaled, pack_nvfp4

BLOCK = 128
_CLASS, _EXPRESSION = "Linear", "re:"
_BYTE_FORMATS = ("float-quantized", "int-quantized", "naive-quantized")
_MICROSCALED = {"mxfp4-pack-quantized": 4, "mxfp6-pack-quantized": 6, "mxfp8-quantized": 8}
_BITS = {"nvfp4-pack-quantized": 4, **_MICROSCALED}


def read_compressed_tensors(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """Read groups of modules. Modules are matched by name, then by regular expression, and finally by class."""
    groups, sparse, default_format = data.get("config_groups"), data.get("sparsity_config") or {}, data.get("format")
    if not isinstance(sparse, dict) or sparse.get("format", "dense") != "dense":
        raise unsupported("sparse matrices of compressed-tensors are not supported")
    if not isinstance(groups, dict) or not groups:
        raise unsupported("compressed-tensors without config_groups is not supported")
    by_name: list[ModuleOverride] = []
    by_expression: list[ModuleOverride] = []
    by_class: Packing | None = None
    titles: dict[str, None] = {}
    patterns = excluded = strings(data, "ignore")
    for group in groups.values():
        if not isinstance(group, dict) or not isinstance(group.get("weights"), dict):
            raise DescriptionError("a compressed-tensors group has no weight settings", where=WHERE)
        packing, title = _packing(str(group.get("format") or default_format), group, scale_type(dtype))
        titles[title] = None
        targets = strings(group, "targets") or [_CLASS]
        expressions = [target for target in targets if target.startswith(_EXPRESSION)]
        names = set(targets).difference(expressions, [_CLASS])
        by_name.append(ModuleOverride(in_modules(names), packing))
        by_expression.append(ModuleOverride(pattern_matcher(expressions), packing))
        patterns = [*patterns, *expressions, *names]
        by_class = packing if _CLASS in targets and by_class is None else by_class
    is_excluded, overrides = pattern_matcher(excluded, anywhere=True), (*by_name, *by_expression)
    return Quantisation(" + ".join(titles), by_class, is_excluded, overrides, includes_head=True, patterns=patterns)


def _packing(form: str, group: Mapping[str, Any], scale: str) -> tuple[Packing, str]:
    weights, activations = group["weights"], group.get("input_activations")
    bits, strategy = bit_width(weights, "num_bits", 8), weights.get("strategy") or "tensor"
    size = integer(weights, "group_size", -1) if strategy == "group" else -1
    if bits != _BITS.get(form, bits):
        raise _unsupported(form, bits)
    if form == "pack-quantized":
        title = f"compressed int{bits}{f' g{size}' if size > 0 else ' channel'}"
        symmetric, has_index = weights.get("symmetric", True) is True, weights.get("actorder") == "group"
        settings = {"symmetric": symmetric, "has_group_index": has_index, "scale_type": scale}
        return partial(pack_integers, bits=bits, group=size, **settings), title
    if form == "nvfp4-pack-quantized":
        return partial(pack_nvfp4, input_scale=activations is not None, compressed=True), "compressed nvfp4"
    if form in _MICROSCALED:
        name = ".weight" if bits == BITS["U8"] else ".weight_packed"
        return partial(pack_microscaled, bits=bits, name=name), f"compressed mxfp{bits}"
    return _byte_packing(form, bits, strategy, group, scale)


def _byte_packing(form: str, bits: int, strategy: str, group: Mapping[str, Any], scale: str) -> tuple[Packing, str]:
    """Return a packing that uses one byte per element, regardless of the number of bits."""
    weights, activations = group["weights"], group.get("input_activations")
    input_scale = isinstance(activations, dict) and not activations.get("dynamic", False)
    is_float = weights.get("type") == "float"
    if form not in _BYTE_FORMATS or bits > BITS["I8"] or (is_float and bits != BITS["I8"]):
        raise _unsupported(form, bits)
    kind, symmetric = "F8_E4M3" if is_float else "I8", weights.get("symmetric", True) is True
    is_block = strategy == "block"
    block = integer_pair(weights.get("block_structure") or [BLOCK, BLOCK], "block_structure") if is_block else (1, 1)
    size = integer(weights, "group_size", -1)
    if strategy not in ("tensor", "channel", "block", "group") or (strategy == "group" and size < 1):
        raise unsupported(f"compressed-tensors strategy {short_repr(strategy)} is not supported")

    def packing(out: int, inputs: int) -> list[PackedTensor]:
        scales: dict[str, Shape] = {
            "tensor": (1,),
            "channel": (out, 1),
            "group": (out, ceil_div(inputs, max(1, size))),
            "block": (ceil_div(out, block[0]), ceil_div(inputs, block[1])),
        }
        return pack_bytes(out, inputs, kind, scales[strategy], scale, symmetric, input_scale)

    granularity = f"g{size}" if strategy == "group" else strategy
    return packing, f"compressed {'fp8' if is_float else f'int{bits}'} {granularity}"


def _unsupported(form: str, bits: int) -> UnsupportedError:
    return unsupported(f"compressed-tensors format {short_repr(form)} with {bits} bits is not supported")
