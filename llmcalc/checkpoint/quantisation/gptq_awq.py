"""GPTQ, AWQ and AutoRound quantisation with low-bit integers packed into 32-bit words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from ...core.errors import DescriptionError, short_repr
from ..headers.safetensors import BITS
from .method import (
    WHERE,
    ModuleOverride,
    Quantisation,
    bit_width,
    check_known,
    integer,
    is_listed,
    mapping,
    safe_expression,
    scale_type,
    strings,
    unsupported,
)
from .packing import WORD_BITS, PackedTensor, Packing, ceil_div, n_groups, pack_bytes, pack_microscaled

DEFAULT_BITS, DEFAULT_GROUP = 4, 128


def pack_gptq(out: int, inputs: int, bits: int, group: int, has_group_index: bool = True) -> list[PackedTensor]:
    """Pack a matrix in GPTQ format, with scales, zero points, group indices, and integers packed along the inputs."""
    groups = n_groups(inputs, group)
    tensors = [
        PackedTensor(".qweight", "I32", (ceil_div(inputs * bits, WORD_BITS), out)),
        PackedTensor(".qzeros", "I32", (groups, ceil_div(out * bits, WORD_BITS))),
        PackedTensor(".scales", "F16", (groups, out)),
    ]
    return [*tensors, PackedTensor(".g_idx", "I32", (inputs,))] if has_group_index else tensors


def pack_awq(out: int, inputs: int, bits: int, group: int) -> list[PackedTensor]:
    """Pack a matrix in AWQ's GEMM layout, with scales, packed zero points, and integers packed along the outputs."""
    _, zeros, scales = pack_gptq(out, inputs, bits, group, has_group_index=False)
    return [PackedTensor(".qweight", "I32", (inputs, ceil_div(out * bits, WORD_BITS))), zeros, scales]


def _bits_and_group(data: Mapping[str, Any], method: str, formats: tuple[str, ...]) -> tuple[int, int]:
    for key, known in (("format", formats), ("method", (method,)), ("data_type", ("int",))):
        check_known(data, key, known)
    return bit_width(data, "bits", DEFAULT_BITS), integer(data, "group_size", DEFAULT_GROUP)


def read_gptq(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """Read GPTQ settings for matrices inside blocks. ``dynamic`` excludes modules or overrides bits and group size."""
    bits, group = _bits_and_group(data, "gptq", ("gptq", "gptq_v2", "gptq_p"))
    check_known(data, "checkpoint_format", ("gptq", "gptq_v2", "gptq_p"))
    check_known(data, "pack_dtype", ("int32",))
    included, excluded = _included_modules(data), strings(data, "modules_to_not_convert")

    def is_excluded(module: str) -> bool:
        is_outside = bool(included) and not any(module.endswith(name) for name in included)
        return is_outside or is_listed(module, excluded)

    packing = partial(pack_gptq, bits=bits, group=group)
    overrides, has_head = _dynamic(data.get("dynamic"), bits, group), data.get("lm_head") is True
    return Quantisation(f"gptq int{bits} g{group}", packing, is_excluded, overrides, includes_head=has_head)


def read_awq(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """Read AWQ settings for matrices inside blocks. Only the GEMM version is supported."""
    version = str(data.get("version") or "gemm").lower()
    if version != "gemm":
        raise unsupported(f"AWQ version {short_repr(version)} is not supported; use gemm")
    bits, group = _bits_and_group(data, "awq", ("gemm",))
    excluded = strings(data, "modules_to_not_convert")
    packing = partial(pack_awq, bits=bits, group=group)
    return Quantisation(f"awq int{bits} g{group}", packing, lambda name: is_listed(name, excluded), patterns=excluded)


def read_auto_round(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """Read AutoRound settings. AutoRound uses the storage formats of other tools."""
    bits, kind = bit_width(data, "bits", DEFAULT_BITS), data.get("data_type", "int")
    group = -1 if data.get("group_size") == 0 else integer(data, "group_size", DEFAULT_GROUP)  # 0 means one group
    form = str(data.get("packing_format") or "auto_round:auto_gptq").removeprefix("auto_round:")
    if data.get("extra_config"):
        raise unsupported("AutoRound's extra_config is not supported")
    if kind == "int" and form in ("auto_gptq", "gptq"):
        packing: Packing = partial(pack_gptq, bits=bits, group=group, has_group_index=False)
    elif kind == "int" and form in ("auto_awq", "awq"):
        packing = partial(pack_awq, bits=bits, group=group)
    elif kind == "mx_fp" and form == "llm_compressor" and bits in (4, 8):
        packing = partial(pack_microscaled, bits=bits, name=".weight_packed" if bits == 4 else ".weight")
    elif kind == "fp" and bits == BITS["U8"] and group < 0:
        packing = partial(pack_bytes, kind="F8_E4M3", scales=(1,), scale_type=scale_type(dtype))
    else:
        raise unsupported(f"AutoRound's {short_repr(kind)} in packing format {short_repr(form)} is not supported")
    return Quantisation(f"auto-round {kind}{bits} g{group}", packing, patterns=())


def _dynamic(data: Any, bits: int, group: int) -> tuple[ModuleOverride, ...]:
    """Read GPTQModel's regular expressions, which exclude modules (``-:``) or set the bit width and group size."""
    if data is None or data is False:
        return ()
    overrides = []
    for key, value in mapping(data, "dynamic").items():
        pattern = re.compile(safe_expression(key[2:] if key.startswith(("-:", "+:")) else key))
        settings = mapping(value or {}, "dynamic")
        own_bits, own_group = bit_width(settings, "bits", bits), integer(settings, "group_size", group)
        packing = partial(pack_gptq, bits=own_bits, group=own_group)
        overrides.append(ModuleOverride(pattern.match, None if key.startswith("-:") else packing))
    return tuple(overrides)


def _included_modules(data: Mapping[str, Any]) -> list[str]:
    """Return the quantised modules of a block from a list or a list of lists."""
    value = data.get("modules_in_block_to_quantize") or []
    steps = [step if isinstance(step, list) else [step] for step in value] if isinstance(value, list) else [[value]]
    names: list[Any] = [name for step in steps for name in step]
    if isinstance(value, str) or not all(isinstance(name, str) for name in names):
        message = f"modules_in_block_to_quantize is {short_repr(value)}; it must be a list of strings"
        raise DescriptionError(message, where=WHERE)
    return names
