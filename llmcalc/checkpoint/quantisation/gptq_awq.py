"""Small integers packed in words of 32 bits: GPTQ, AWQ, and what AutoRound writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from ...core.errors import DescriptionError, UnsupportedError, shown
from .. import packing as packs
from ..packing import Pack
from .method import Own, Quantisation, mapping, number, only, scale_type, texts, width
from .module_patterns import WHERE, expression, named

BITS, GROUP = 4, 128


def gptq(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """Matrices of the blocks; ``dynamic`` leaves some out or gives them bits and groups of their own."""
    bits, group = width(data, "bits", BITS), number(data, "group_size", GROUP)
    only(data, "checkpoint_format", ("gptq", "gptq_v2", "gptq_p"))
    only(data, "format", ("gptq", "gptq_v2", "gptq_p"))
    only(data, "method", ("gptq",))
    only(data, "data_type", ("int",))
    only(data, "pack_dtype", ("int32",))
    inside, left = _inside(data), texts(data, "modules_to_not_convert")
    own = _dynamic(data.get("dynamic"), bits, group)

    def stays(module: str) -> bool:
        outside = bool(inside) and not any(module.endswith(name) for name in inside)
        return outside or named(module, left)

    pack = partial(packs.gptq, bits=bits, group=group)
    return Quantisation(f"gptq int{bits} g{group}", pack, stays, own=own, head=data.get("lm_head") is True)


def awq(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """Matrices of the blocks, packed for products of matrices."""
    bits, group = width(data, "bits", BITS), number(data, "group_size", GROUP)
    version = str(data.get("version") or "gemm").lower()
    if version != "gemm":
        raise UnsupportedError(f"AWQ of the version {shown(version)} is not understood; gemm is", where=WHERE)
    only(data, "format", ("gemm",))
    only(data, "method", ("awq",))
    only(data, "data_type", ("int",))
    left = texts(data, "modules_to_not_convert")
    pack = partial(packs.awq, bits=bits, group=group)
    return Quantisation(f"awq int{bits} g{group}", pack, lambda name: named(name, left))


def auto_round(data: Mapping[str, Any], dtype: str) -> Quantisation:
    """AutoRound's own way of naming other makers' packings."""
    bits, group, kind = width(data, "bits", BITS), _group(data), data.get("data_type", "int")
    form = str(data.get("packing_format") or "auto_round:auto_gptq").removeprefix("auto_round:")
    if data.get("extra_config"):
        raise UnsupportedError("AutoRound with settings of their own for some modules is not understood", where=WHERE)
    if kind == "int" and form in ("auto_gptq", "gptq"):
        pack: Pack = partial(packs.gptq, bits=bits, group=group, ordered=False)
    elif kind == "int" and form in ("auto_awq", "awq"):
        pack = partial(packs.awq, bits=bits, group=group)
    elif kind == "mx_fp" and form == "llm_compressor" and bits in (4, 8):
        pack = partial(packs.microscaled, bits=bits, name=".weight_packed" if bits == BITS else ".weight")
    elif kind == "fp" and bits == packs.BITS["U8"] and group < 0:
        pack = partial(packs.scaled, kind="F8_E4M3", shape=(1,), scale=scale_type(dtype))
    else:
        raise UnsupportedError(f"AutoRound's {shown(kind)} packed as {shown(form)} is not understood", where=WHERE)
    return Quantisation(f"auto-round {kind}{bits} g{group}", pack)


def _group(data: Mapping[str, Any]) -> int:
    """The size of a group; 0 stands for one group of all."""
    return -1 if data.get("group_size") == 0 else number(data, "group_size", GROUP)


def _dynamic(data: Any, bits: int, group: int) -> tuple[Own, ...]:
    """GPTQModel's exceptions by expression: ``-:`` leaves modules out, anything else says how they are stored."""
    if data is None or data is False:
        return ()
    found = []
    for key, settings in mapping(data, "dynamic").items():
        pattern = re.compile(expression(key[2:] if key.startswith(("-:", "+:")) else key))
        own = mapping(settings or {}, "dynamic")
        pack = partial(packs.gptq, bits=width(own, "bits", bits), group=number(own, "group_size", group))
        found.append(Own(pattern.match, None if key.startswith("-:") else pack))
    return tuple(found)


def _inside(data: Mapping[str, Any]) -> list[str]:
    """The modules of a block that are quantised, in one list or in one a step."""
    value = data.get("modules_in_block_to_quantize") or []
    if not isinstance(value, list):
        raise DescriptionError(f"modules_in_block_to_quantize is {shown(value)}; it is a list of texts", where=WHERE)
    steps = [step if isinstance(step, list) else [step] for step in value]
    flat = [name for step in steps for name in step]
    if not all(isinstance(name, str) for name in flat):
        raise DescriptionError(f"modules_in_block_to_quantize holds {shown(value)}", where=WHERE)
    return flat
