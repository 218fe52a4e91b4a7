"""bitsandbytes quantisation to 8 bits with one maximum per output, or to 4 bits with one maximum per block."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ...core.errors import DescriptionError, UnknownNameError
from .method import WHERE, Quantisation, is_from_transformers_5, is_listed, strings
from .packing import Packing, pack_bitsandbytes_4bit, pack_bitsandbytes_8bit

_HEAD = "lm_head"
_STORAGE = {
    "uint8": "U8", "int8": "I8", "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
}  # fmt: skip


def read_bitsandbytes(data: Mapping[str, Any], dtype: str) -> list[Quantisation]:
    """Read bitsandbytes settings. By default, the head and transformers 5's stacked experts are not quantised."""
    listed = data.get("llm_int8_skip_modules")
    excluded = [_HEAD] if listed is None else strings(data, "llm_int8_skip_modules")
    name, packing = _packing(data)
    method = Quantisation(
        name, packing, lambda module: is_listed(module, excluded), includes_head=listed is not None,
        includes_routed=not is_from_transformers_5(data), patterns=excluded,
    )  # fmt: skip
    return [method, method._replace(includes_routed=not method.includes_routed)]


def _packing(data: Mapping[str, Any]) -> tuple[str, Packing]:
    is_8bit = any([data.get("load_in_8bit"), data.get("_load_in_8bit")])
    is_4bit = any([data.get("load_in_4bit"), data.get("_load_in_4bit")])
    storage = data.get("bnb_4bit_quant_storage", "uint8")
    quant_type, double_quant = data.get("bnb_4bit_quant_type", "fp4"), bool(data.get("bnb_4bit_use_double_quant"))
    if is_8bit:
        return "bitsandbytes int8", pack_bitsandbytes_8bit
    if not is_4bit:
        raise DescriptionError("bitsandbytes requires load_in_8bit or load_in_4bit", where=WHERE)
    if storage not in tuple(_STORAGE):
        raise UnknownNameError("bnb_4bit_quant_storage", storage, _STORAGE, where=WHERE)
    if quant_type not in ("nf4", "fp4"):
        raise UnknownNameError("bnb_4bit_quant_type", quant_type, ("nf4", "fp4"), where=WHERE)
    name = f"bitsandbytes {quant_type}{' double' if double_quant else ''}"
    settings = {"quant_type": quant_type, "double_quant": double_quant, "storage": _STORAGE[storage]}
    return name, partial(pack_bitsandbytes_4bit, **settings)
