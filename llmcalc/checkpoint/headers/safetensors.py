"""The header of a safetensors file: 8 bytes with the length of a JSON object, the object, then the tensors.

https://github.com/huggingface/safetensors#format: names are unique, the tensors fill the rest of the file without
holes, and the object may be followed by spaces.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...core.errors import DescriptionError, InputError, shown
from ...importers.plain_json import first_repeated
from . import File, Held, limits

LENGTH = 8  # bytes that say how long the header is
METADATA = "__metadata__"
BITS_A_BYTE = 8
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip

Reader = Callable[[int, int], bytes]


def read_file(path: Path) -> File:
    """The header of one file.

    Raises:
        DescriptionError: it is no safetensors file, or its header contradicts itself or the file.
    """
    where = limits.printable(path)
    size = limits.regular_file(path)
    return read(lambda start, length: limits.read_range(path, start, length), size, path.name, where)


def read(reader: Reader, size: int, name: str, where: str) -> File:
    """The header of a file of ``size`` bytes, of which ``reader(start, length)`` gives a part.

    Raises:
        DescriptionError: as ``read_file``.
    """
    head = reader(0, LENGTH)
    if len(head) < LENGTH:
        raise DescriptionError(f"has {size} bytes, too few for a safetensors file", where=where)
    length = int.from_bytes(head, "little")
    if length > size - LENGTH:
        raise _broken(f"its header is said to have {length:,} bytes, but the file has {size:,}", where)
    if length > limits.LARGEST_JSON:
        raise _broken(
            f"its header is said to have {length:,} bytes; no more than {limits.LARGEST_JSON:,} are read", where
        )
    raw = reader(LENGTH, length)
    if len(raw) < length:
        raise _broken("the file ends within its header", where)
    if not raw.startswith(b"{"):
        raise _broken("its header does not begin with {", where, "is it a safetensors file?")
    limits.check_json(raw, "its header", where)
    metadata, tensors = _entries(_parse(raw, where), where)
    header = LENGTH + len(raw.rstrip(b" "))
    data = size - LENGTH - length
    _check_places(tensors, data, where)
    return File(name, size, header, LENGTH + length - header, tuple(tensors), metadata)


def _parse(raw: bytes, where: str) -> dict[str, Any]:
    import json

    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_Unique(where), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise _broken(f"its header is no UTF-8 text (byte {error.start})", where) from None
    except RecursionError:
        raise _broken("its header is nested too deeply", where) from None
    except InputError:
        raise
    except ValueError as error:  # no JSON, or an integer of more digits than the interpreter reads
        raise _broken(f"its header is no JSON: {str(error)[:200]}", where) from None
    if not isinstance(found, dict):
        raise _broken("its header is no JSON object", where)
    return found


class _Unique:
    """Makes a mapping of the pairs of an object, whose names differ."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        data = dict(pairs)
        if len(data) != len(pairs):
            raise _broken(f"its header names {shown(first_repeated(key for key, _ in pairs))} twice", self.where)
        return data


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of a header")


def _entries(data: dict[str, Any], where: str) -> tuple[dict[str, Any], list[Held]]:
    metadata = data.pop(METADATA, None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _broken(f"{METADATA} is no mapping of texts", where)
    if len(data) > limits.MOST_TENSORS:
        raise _broken(f"its header names {len(data):,} tensors; no more than {limits.MOST_TENSORS:,} are read", where)
    return metadata, [_held(name, entry, where) for name, entry in data.items()]


def _held(name: str, entry: Any, where: str) -> Held:
    if not name or len(name) > limits.LONGEST_NAME:
        raise _broken(f"{shown(name)} is no name of a tensor", where)
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _broken(f"{shown(name)} is not described by dtype, shape and data_offsets", where)
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in BITS:
        raise _broken(f"{shown(name)} has the unknown dtype {shown(kind)}", where, f"known: {', '.join(BITS)}")
    if not isinstance(shape, list) or len(shape) > limits.MOST_DIMENSIONS or not all(map(_is_size, shape)):
        raise _broken(f"{shown(name)} has the shape {shown(shape)}", where)
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_size, offsets)):
        raise _broken(f"{shown(name)} has the data_offsets {shown(offsets)}", where)
    start, end = offsets
    held = Held(name, kind, tuple(shape), start, end - start)
    bits = held.elements * BITS[kind]
    if bits % BITS_A_BYTE or bits // BITS_A_BYTE != held.size:
        needs = f"{-(-bits // BITS_A_BYTE):,}" if bits < limits.LARGEST else "too many"
        raise _broken(f"{shown(name)} of {kind} {shown(shape)} takes {needs} bytes, but has {held.size:,}", where)
    return held


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < limits.LARGEST


def _check_places(tensors: list[Held], data: int, where: str) -> None:
    """The tensors fill the data from its first to its last byte, each behind another."""
    end = 0
    for held in sorted(tensors, key=lambda held: (held.start, held.size)):
        if held.start != end:
            how = "overlaps another" if held.start < end else f"begins at byte {held.start:,} behind a hole"
            raise _broken(f"{shown(held.name)} {how}: the tensors before it end at byte {end:,}", where)
        end += held.size
    if end != data:
        raise _broken(f"its tensors take {end:,} bytes, but {data:,} follow the header", where, "is the file complete?")


def _broken(message: str, where: str, hint: str = "") -> DescriptionError:
    return DescriptionError(message, where=where, hint=hint)
