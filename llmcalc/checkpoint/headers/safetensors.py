"""Safetensors file headers, which consist of an 8-byte length and a JSON object.

Format specification: https://github.com/huggingface/safetensors#format. Names are unique, the tensors fill the
rest of the file without gaps, and the JSON object may be padded with spaces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...core.errors import DescriptionError, short_repr
from ...core.strict_json import read_json
from . import COMPLETE, FileHeader, TensorInfo, limits, located, padding_bytes

if TYPE_CHECKING:
    from pathlib import Path

LENGTH = 8  # size of the header's length field
METADATA = "__metadata__"
BITS_A_BYTE = 8
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip

Reader = Callable[[int, int], bytes]


def read_file(path: Path) -> FileHeader:
    """Read the header of a safetensors file."""
    where = limits.printable(path)
    size = limits.regular_file(path)
    return read(lambda start, length: limits.read_range(path, start, length), size, path.name, where)


def read(reader: Reader, size: int, name: str, where: str) -> FileHeader:
    """Parse the header of a file of ``size`` bytes. ``reader(start, length)`` returns a range of bytes."""
    with located(where):
        return _read(reader, size, name, where)


def _read(reader: Reader, size: int, name: str, where: str) -> FileHeader:
    head = reader(0, LENGTH)
    if len(head) < LENGTH:
        raise DescriptionError(f"is only {size} bytes long, which is too short for a safetensors file")
    length = int.from_bytes(head, "little")
    if length > size - LENGTH:
        raise DescriptionError(f"its header should have {length:,} bytes, but the file has {size:,}")
    if length > limits.LARGEST_JSON:
        raise DescriptionError(f"its header has {length:,} bytes; the limit is {limits.LARGEST_JSON:,}")
    raw = reader(LENGTH, length)
    if len(raw) < length:
        raise DescriptionError("the file ends inside its header")
    if not raw.startswith(b"{"):
        raise DescriptionError("its header does not start with {", hint="Check that it is a safetensors file.")
    limits.check_json(raw, "its header", where)
    try:
        entries: dict[str, Any] = read_json(raw.decode("utf-8"), f"{where}: header")
    except UnicodeDecodeError as error:
        raise DescriptionError(f"its header is not UTF-8 text (byte {error.start})") from None
    metadata = entries.pop(METADATA, None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise DescriptionError(f"{METADATA} must map strings to strings")
    if len(entries) > limits.MOST_TENSORS:
        raise DescriptionError(f"its header lists {len(entries):,} tensors; the limit is {limits.MOST_TENSORS:,}")
    tensors = tuple(_tensor_info(name, entry) for name, entry in entries.items())
    data = size - LENGTH - length
    padding_bytes(tensors, data)
    end = sum(tensor.size_bytes for tensor in tensors)
    if end != data:
        raise DescriptionError(f"its tensors take {end:,} bytes, but {data:,} follow the header", hint=COMPLETE)
    n_spaces = len(raw) - len(raw.rstrip(b" "))
    return FileHeader(name, size, LENGTH + length - n_spaces, n_spaces, tensors, metadata)


def _tensor_info(name: str, entry: Any) -> TensorInfo:
    text = short_repr(name)
    if not name or len(name) > limits.LONGEST_NAME:
        raise DescriptionError(f"{text} is not a valid tensor name")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise DescriptionError(f"the entry of {text} must have dtype, shape and data_offsets")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in BITS:
        raise DescriptionError(f"{text} has the unknown dtype {short_repr(kind)}", hint=f"known: {', '.join(BITS)}")
    if not isinstance(shape, list) or len(shape) > limits.MOST_DIMENSIONS or not all(map(_is_size, shape)):
        raise DescriptionError(f"{text} has the invalid shape {short_repr(shape)}")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_size, offsets)):
        raise DescriptionError(f"{text} has the invalid data_offsets {short_repr(offsets)}")
    start, end = offsets
    tensor = TensorInfo(name, kind, tuple(shape), start, end - start)
    bits = tensor.elements * BITS[kind]
    if bits % BITS_A_BYTE or bits // BITS_A_BYTE != tensor.size_bytes:
        needed = f"{-(-bits // BITS_A_BYTE):,}" if bits < limits.LARGEST else "too many"
        size = f"needs {needed} bytes, but has {tensor.size_bytes:,}"
        raise DescriptionError(f"{text} of type {kind} and shape {short_repr(shape)} {size}")
    return tensor


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < limits.LARGEST
