"""bitsandbytes: 8 bits with a maximum for each output, or 4 bits in blocks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ...core.errors import DescriptionError, UnknownNameError
from .. import packing as packs
from .method import Quantisation, rewritten, texts
from .module_patterns import WHERE, named

_HEAD = "lm_head"
_STORED = {
    "uint8": "U8", "int8": "I8", "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
}  # fmt: skip


def bitsandbytes(data: Mapping[str, Any], dtype: str) -> list[Quantisation]:
    """Every matrix but the head, unless a list says which stay. Only matrices of their own are quantised, so that
    transformers 5 leaves experts that it keeps in one tensor as they were; checkpoints of former versions, and those
    whose experts it keeps apart, hold them quantised.
    """
    skipped = data.get("llm_int8_skip_modules")
    left = [_HEAD] if skipped is None else texts(data, "llm_int8_skip_modules")
    name, pack = _pack(data)
    first = Quantisation(name, pack, lambda module: named(module, left), head=skipped is not None)
    first = first._replace(routed=not rewritten(data))
    return [first, first._replace(routed=not first.routed)]


def _pack(data: Mapping[str, Any]) -> tuple[str, packs.Pack]:
    whole = any([data.get("load_in_8bit"), data.get("_load_in_8bit")])
    half = any([data.get("load_in_4bit"), data.get("_load_in_4bit")])
    storage = data.get("bnb_4bit_quant_storage", "uint8")
    kind, nested = data.get("bnb_4bit_quant_type", "fp4"), bool(data.get("bnb_4bit_use_double_quant"))
    if whole:
        return "bitsandbytes int8", packs.bnb8
    if not half:
        raise DescriptionError("bitsandbytes with neither load_in_8bit nor load_in_4bit", where=WHERE)
    if storage not in tuple(_STORED):
        raise UnknownNameError("bnb_4bit_quant_storage", storage, _STORED, where=WHERE)
    if kind not in ("nf4", "fp4"):
        raise UnknownNameError("bnb_4bit_quant_type", kind, ("nf4", "fp4"), where=WHERE)
    held = _STORED[storage]
    name = f"bitsandbytes {kind}{' double' if nested else ''}"
    return name, partial(packs.bnb4, kind=kind, nested=nested, stored=held)
