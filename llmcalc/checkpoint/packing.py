"""How quantised matrices are stored: the tensors that stand for one matrix of [out, in], as their makers do it.

Each function gives the parts of one matrix: what is appended to the module's name, the type (as safetensors names it)
and the shape; a shape of None is one that depends on nothing known here. Sources: what the makers' tools write
(``tests/oracle/test_quantised.py`` and docs/checkpoints.md say which), else the documentation of their formats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Shape = tuple[int, ...]
WORD = 32  # bits of the integers that small ones are packed in
NF4_BLOCK, NESTED_BLOCK, NF4_CODES, BYTE_CODES = 64, 256, 16, 256
MX_BLOCK, NV_BLOCK = 32, 16
BITS = {
    "F64": 64,
    "I64": 64,
    "I32": 32,
    "F32": 32,
    "F16": 16,
    "BF16": 16,
    "I8": 8,
    "U8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
}


class Part(NamedTuple):
    """One tensor of a packed matrix."""

    suffix: str
    type: str
    shape: Shape | None

    @property
    def bits(self) -> int:
        """What it takes; one without a known shape is left out."""
        size = BITS[self.type] if self.shape is not None else 0
        for length in self.shape or ():
            size *= length
        return size


Pack = Callable[..., list[Part]]


def over(length: int, block: int) -> int:
    """Blocks that cover a length."""
    return -(-length // block)


def gptq(out: int, inputs: int, bits: int, group: int, ordered: bool = True) -> list[Part]:
    """GPTQ: packed along the inputs; scales, packed zeros, and the group of each input."""
    groups = over(inputs, group) if group > 0 else 1
    parts = [
        Part(".qweight", "I32", (over(inputs * bits, WORD), out)),
        Part(".qzeros", "I32", (groups, over(out * bits, WORD))),
        Part(".scales", "F16", (groups, out)),
    ]
    return [*parts, Part(".g_idx", "I32", (inputs,))] if ordered else parts


def awq(out: int, inputs: int, bits: int, group: int) -> list[Part]:
    """AWQ for matrix products: packed along the outputs; scales and packed zeros."""
    groups = over(inputs, group) if group > 0 else 1
    return [
        Part(".qweight", "I32", (inputs, over(out * bits, WORD))),
        Part(".qzeros", "I32", (groups, over(out * bits, WORD))),
        Part(".scales", "F16", (groups, out)),
    ]


def bnb4(out: int, inputs: int, kind: str, nested: bool, stored: str = "U8") -> list[Part]:
    """Bitsandbytes in 4 bits: two a byte, the bytes as numbers of any type, a maximum for each 64, which may be
    quantised again.
    """
    elements = out * inputs
    blocks = over(elements, NF4_BLOCK)
    parts = [
        Part(".weight", stored, (over(over(elements, 2) * BITS["U8"], BITS[stored]), 1)),
        Part(".weight.absmax", "U8" if nested else "F32", (blocks,)),
        Part(".weight.quant_map", "F32", (NF4_CODES,)),
        Part(f".weight.quant_state.bitsandbytes__{kind}", "U8", None),
    ]
    if nested:
        parts.append(Part(".weight.nested_absmax", "F32", (over(blocks, NESTED_BLOCK),)))
        parts.append(Part(".weight.nested_quant_map", "F32", (BYTE_CODES,)))
    return parts


def bnb8(out: int, inputs: int) -> list[Part]:
    """Bitsandbytes in 8 bits: a maximum for each output."""
    return [Part(".weight", "I8", (out, inputs)), Part(".SCB", "F32", (out,)), Part(".weight_format", "U8", ())]


def fp8(out: int, inputs: int, tile: Shape | None, scale: str, scale_type: str, static: str = "") -> list[Part]:
    """8-bit floats with a scale for each tile, or one for all; ``static`` names a scale of the input."""
    shape = (over(out, tile[0]), over(inputs, tile[1])) if tile else ()
    parts = [Part(".weight", "F8_E4M3", (out, inputs)), Part(scale, scale_type, shape)]
    return [*parts, *([Part(static, "F32", ())] if static else [])]


def packed(out: int, inputs: int, bits: int, group: int, symmetric: bool, ordered: bool, scale: str) -> list[Part]:
    """compressed-tensors, packed integers: along the inputs; a scale for each group, and the shape."""
    groups = over(inputs, group) if group > 0 else 1
    parts = [
        Part(".weight_packed", "I32", (out, over(inputs * bits, WORD))),
        Part(".weight_scale", scale, (out, groups)),
        Part(".weight_shape", "I64", (2,)),
    ]
    if not symmetric:
        parts.append(Part(".weight_zero_point", "I32", (over(out * bits, WORD), groups)))
    if ordered:
        parts.append(Part(".weight_g_idx", "I32", (inputs,)))
    return parts


def scaled(
    out: int, inputs: int, kind: str, shape: Shape, scale: str, symmetric: bool = True, static: bool = False
) -> list[Part]:
    """One number an element: scales of the given shape, zeros unless symmetric, a scale of the input if ``static``."""
    parts = [Part(".weight", kind, (out, inputs)), Part(".weight_scale", scale, shape)]
    parts += [] if symmetric else [Part(".weight_zero_point", kind, shape)]
    return [*parts, *([Part(".input_scale", scale, (1,))] if static else [])]


def nvfp4(out: int, inputs: int, group: int = NV_BLOCK, static: bool = True) -> list[Part]:
    """ModelOpt's NVFP4: two a byte, an 8-bit scale for each group, a scale of all and one of the input."""
    parts = [
        Part(".weight", "U8", (out, over(inputs, 2))),
        Part(".weight_scale", "F8_E4M3", (out, over(inputs, group))),
        Part(".weight_scale_2", "F32", ()),
    ]
    return [*parts, *([Part(".input_scale", "F32", ())] if static else [])]


def halves(out: int, inputs: int, group: int, static: bool) -> list[Part]:
    """ModelOpt's integers of 4 bits: two outputs a byte; with 8-bit inputs a scale of all, and one of the input."""
    parts = [
        Part(".weight", "U8", (over(out, 2), inputs)),
        Part(".weight_scale", "F32", (out, over(inputs, group))),
    ]
    return [*parts, *([Part(f".{name}", "F32", ()) for name in ("weight_scale_2", "input_scale")] if static else [])]


def microscaled(out: int, inputs: int, bits: int, name: str = ".weight") -> list[Part]:
    """MXFP4, MXFP6 and MXFP8: numbers packed in bytes, a scale of 8 bits for each 32."""
    kind, length = ("F8_E4M3", inputs) if bits == BITS["U8"] else ("U8", over(inputs * bits, BITS["U8"]))
    return [Part(name, kind, (out, length)), Part(".weight_scale", "U8", (out, over(inputs, MX_BLOCK)))]


def nvfp4_compressed(out: int, inputs: int, static: bool) -> list[Part]:
    """The same as compressed-tensors names it."""
    parts = [
        Part(".weight_packed", "U8", (out, over(inputs, 2))),
        Part(".weight_scale", "F8_E4M3", (out, over(inputs, NV_BLOCK))),
        Part(".weight_global_scale", "F32", (1,)),
    ]
    return [*parts, *([Part(".input_global_scale", "F32", (1,))] if static else [])]


def fp4_experts(out: int, inputs: int) -> list[Part]:
    """DeepSeek-V4's experts: two 4-bit floats a byte, an 8-bit scale for each 32."""
    return [Part(".weight", "I8", (out, over(inputs, 2))), Part(".scale", "F8_E8M0", (out, over(inputs, MX_BLOCK)))]


def mxfp4(experts: int, out: int, inputs: int) -> list[Part]:
    """gpt-oss's experts: blocks of 32 in 16 bytes, a scale of 8 bits for each."""
    blocks = over(inputs, MX_BLOCK)
    return [
        Part("_blocks", "U8", (experts, out, blocks, MX_BLOCK // 2)),
        Part("_scales", "U8", (experts, out, blocks)),
    ]
