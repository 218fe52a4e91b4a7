"""Storage formats of quantised matrices [out, in].

Each function returns the tensors that replace one matrix. A tensor has a suffix (appended to the module's
name), a type (in safetensors notation) and a shape (None if unknown). ``docs/checkpoints.md`` lists the formats
that are tested against the output of their tools. All other formats follow published documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ...core.record import NamedTuple
from ..headers.safetensors import BITS

Shape = tuple[int, ...]
WORD_BITS = 32  # size of the integers that hold several small ones
NF4_BLOCK, NESTED_BLOCK, NF4_CODES, BYTE_CODES = 64, 256, 16, 256
MX_BLOCK, NV_BLOCK = 32, 16


class PackedTensor(NamedTuple):
    """One of the tensors that store a quantised matrix."""

    suffix: str
    type: str
    shape: Shape | None

    @property
    def bits(self) -> int:
        """Number of bits, or 0 if the shape is unknown."""
        return 0 if self.shape is None else BITS[self.type] * prod(self.shape)


Packing = Callable[..., list[PackedTensor]]


def ceil_div(length: int, divisor: int) -> int:
    """Return the quotient of two integers, rounded up."""
    return -(-length // divisor)


def n_groups(length: int, group: int) -> int:
    """Return the number of groups needed to cover a length, or 1 if ``group`` is not positive."""
    return ceil_div(length, group) if group > 0 else 1


def pack_bitsandbytes_4bit(
    out: int, inputs: int, quant_type: str, double_quant: bool, storage: str = "U8"
) -> list[PackedTensor]:
    """Pack a matrix in the 4-bit bitsandbytes format, with two elements per byte and one maximum per 64 elements.
    The packed elements have the type ``storage``. Double quantisation also quantises the maxima.
    """
    elements = out * inputs
    blocks = ceil_div(elements, NF4_BLOCK)
    tensors = [
        PackedTensor(".weight", storage, (ceil_div(ceil_div(elements, 2) * BITS["U8"], BITS[storage]), 1)),
        PackedTensor(".weight.absmax", "U8" if double_quant else "F32", (blocks,)),
        PackedTensor(".weight.quant_map", "F32", (NF4_CODES,)),
        PackedTensor(f".weight.quant_state.bitsandbytes__{quant_type}", "U8", None),
    ]
    if double_quant:
        tensors.append(PackedTensor(".weight.nested_absmax", "F32", (ceil_div(blocks, NESTED_BLOCK),)))
        tensors.append(PackedTensor(".weight.nested_quant_map", "F32", (BYTE_CODES,)))
    return tensors


def pack_bitsandbytes_8bit(out: int, inputs: int) -> list[PackedTensor]:
    """Pack a matrix in the 8-bit bitsandbytes format, with one maximum per output."""
    return [
        PackedTensor(".weight", "I8", (out, inputs)),
        PackedTensor(".SCB", "F32", (out,)),
        PackedTensor(".weight_format", "U8", ()),
    ]


def pack_fp8(
    out: int, inputs: int, block: Shape | None, scale: str, scale_type: str, input_scale: str = ""
) -> list[PackedTensor]:
    """Pack a matrix in FP8, with one scale per block or matrix. ``scale`` and ``input_scale`` are tensor suffixes."""
    shape = (ceil_div(out, block[0]), ceil_div(inputs, block[1])) if block else ()
    tensors = [PackedTensor(".weight", "F8_E4M3", (out, inputs)), PackedTensor(scale, scale_type, shape)]
    return [*tensors, *([PackedTensor(input_scale, "F32", ())] if input_scale else [])]


def pack_integers(
    out: int, inputs: int, bits: int, group: int, symmetric: bool, has_group_index: bool, scale_type: str
) -> list[PackedTensor]:
    """Pack a matrix in ``pack-quantized`` format, with integers packed along the inputs and one scale per group."""
    groups = n_groups(inputs, group)
    tensors = [
        PackedTensor(".weight_packed", "I32", (out, ceil_div(inputs * bits, WORD_BITS))),
        PackedTensor(".weight_scale", scale_type, (out, groups)),
        PackedTensor(".weight_shape", "I64", (2,)),
    ]
    if not symmetric:
        tensors.append(PackedTensor(".weight_zero_point", "I32", (ceil_div(out * bits, WORD_BITS), groups)))
    if has_group_index:
        tensors.append(PackedTensor(".weight_g_idx", "I32", (inputs,)))
    return tensors


def pack_bytes(
    out: int, inputs: int, kind: str, scales: Shape, scale_type: str, symmetric: bool = True, input_scale: bool = False
) -> list[PackedTensor]:
    """Pack a matrix with one byte per element and scales of shape ``scales``. Asymmetric formats add zero points."""
    tensors = [PackedTensor(".weight", kind, (out, inputs)), PackedTensor(".weight_scale", scale_type, scales)]
    tensors += [] if symmetric else [PackedTensor(".weight_zero_point", kind, scales)]
    return [*tensors, *([PackedTensor(".input_scale", scale_type, (1,))] if input_scale else [])]


def pack_nvfp4(
    out: int, inputs: int, group: int = NV_BLOCK, input_scale: bool = True, compressed: bool = False
) -> list[PackedTensor]:
    """Pack a matrix in NVFP4, with two elements per byte, an FP8 scale per group, and a scale per matrix."""
    shape: Shape = ()
    weight, scale, inner = ".weight", ".weight_scale_2", ".input_scale"
    if compressed:
        weight, scale, inner, shape = ".weight_packed", ".weight_global_scale", ".input_global_scale", (1,)
    tensors = [
        PackedTensor(weight, "U8", (out, ceil_div(inputs, 2))),
        PackedTensor(".weight_scale", "F8_E4M3", (out, ceil_div(inputs, group))),
        PackedTensor(scale, "F32", shape),
    ]
    return [*tensors, *([PackedTensor(inner, "F32", shape)] if input_scale else [])]


def pack_int4_pairs(out: int, inputs: int, group: int, fp8_inputs: bool) -> list[PackedTensor]:
    """Pack a matrix in ModelOpt's INT4 format (two outputs per byte, a scale per group). FP8 inputs add two scales."""
    tensors = [
        PackedTensor(".weight", "U8", (ceil_div(out, 2), inputs)),
        PackedTensor(".weight_scale", "F32", (out, ceil_div(inputs, group))),
    ]
    scales = ("weight_scale_2", "input_scale") if fp8_inputs else ()
    return [*tensors, *(PackedTensor(f".{name}", "F32", ()) for name in scales)]


def pack_microscaled(out: int, inputs: int, bits: int, name: str = ".weight") -> list[PackedTensor]:
    """Pack a matrix in MXFP4, MXFP6 or MXFP8, with one 8-bit scale per 32 elements."""
    kind, length = ("F8_E4M3", inputs) if bits == BITS["U8"] else ("U8", ceil_div(inputs * bits, BITS["U8"]))
    return [
        PackedTensor(name, kind, (out, length)),
        PackedTensor(".weight_scale", "U8", (out, ceil_div(inputs, MX_BLOCK))),
    ]


def pack_fp4_experts(out: int, inputs: int) -> list[PackedTensor]:
    """Pack DeepSeek-V4 experts, with two FP4 elements per byte and one 8-bit scale per 32 elements."""
    return [
        PackedTensor(".weight", "I8", (out, ceil_div(inputs, 2))),
        PackedTensor(".scale", "F8_E8M0", (out, ceil_div(inputs, MX_BLOCK))),
    ]


def pack_mxfp4_experts(experts: int, out: int, inputs: int) -> list[PackedTensor]:
    """Pack the stacked experts of gpt-oss, with blocks of 32 elements in 16 bytes and one 8-bit scale per block."""
    blocks = ceil_div(inputs, MX_BLOCK)
    return [
        PackedTensor("_blocks", "U8", (experts, out, blocks, MX_BLOCK // 2)),
        PackedTensor("_scales", "U8", (experts, out, blocks)),
    ]
