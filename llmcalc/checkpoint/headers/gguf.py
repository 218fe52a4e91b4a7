"""GGUF file headers, which contain the metadata and the tensor table.

See https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. A header contains a magic number, a version, two
counts, metadata, and a table of tensor names, dimensions (innermost first), types and offsets.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ...core.errors import DescriptionError, short_repr
from ...core.record import NamedTuple
from ...data import table
from . import COMPLETE, FileHeader, TensorInfo, limits, located, padding_bytes

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = "general.alignment"
DEFAULT_ALIGNMENT = 32
MOST_PAIRS = 10_000
MOST_TENSORS = 50_000
MOST_TEXTS = 1_500_000  # total entries in all arrays; a vocabulary has up to a few hundred thousand
MOST_ENTRIES = 4_096  # longest array whose values are stored; only the length of longer arrays is kept
MOST_ENTRIES_IN_FILE = 400_000
LONGEST_TEXT = 1 << 16  # longest stored text, in bytes
BYTES_AS_ENTRY = 32  # number of text bytes that count as one array entry
LENGTH = 8  # size of a length field in bytes
DEEPEST = 3
MOST_DIMENSIONS = 4
FLOAT, STRING, ARRAY, BOOL = 6, 8, 9, 7
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", FLOAT: "f", BOOL: "?", 10: "Q", 11: "q", 12: "d"}
BITS_A_BYTE = 8
FIRST_READ, LONGEST_READ = 1 << 16, 64 << 20  # in bytes
Reader = Callable[[int, int], bytes]
_LARGEST_FLOAT = 3e38  # 32-bit types


class Long(NamedTuple):
    """Placeholder for an array or string that is too long to store. ``length`` is the number of entries or bytes."""

    length: int


class ShortReadError(Exception):
    """Raised if the bytes read so far do not contain the complete header."""


def read_file(path: Path) -> FileHeader:
    """Read the header of a GGUF file."""
    where = limits.printable(path)
    size = limits.regular_file(path)
    if size == 0:
        raise DescriptionError("is empty", where=where)
    return read_start(lambda start, length: limits.read_range(path, start, length), size, path.name, where)


def read_start(reader: Reader, size: int, name: str, where: str) -> FileHeader:
    """Parse the header of a file of ``size`` bytes and read no more than the header needs.

    ``reader(start, length)`` returns a range of bytes.
    """
    length = FIRST_READ
    while True:
        try:
            return read(reader(0, min(length, size)), size, name, where)
        except ShortReadError:
            if length >= min(size, LONGEST_READ):
                raise DescriptionError(f"the header is longer than {LONGEST_READ:,} bytes", where=where) from None
            length *= 4


def read(content: bytes, size: int, name: str, where: str) -> FileHeader:
    """Parse the header at the start of a file of ``size`` bytes. Raise a ShortReadError if ``content`` is too
    short.
    """
    with located(where):
        return _read(_Cursor(content, size), size, name)


class _Cursor:
    """Sequential reader for header values."""

    def __init__(self, content: bytes, size: int) -> None:
        self.content, self.size, self.at, self.order, self.n_texts, self.n_stored = content, size, 0, "<", 0, 0

    def skip(self, length: int) -> int:
        """Skip ``length`` bytes and return the position of the first skipped byte."""
        start, self.at = self.at, self.at + length
        if self.at > self.size:
            raise DescriptionError(f"the file ends inside its header, at byte {self.size:,}", hint=COMPLETE)
        if self.at > len(self.content):
            raise ShortReadError
        return start

    def number(self, code: str) -> Any:
        """Read a number with the given ``struct`` format code."""
        return struct.unpack_from(self.order + code, self.content, self.skip(struct.calcsize("=" + code)))[0]

    def may_store(self, count: int) -> bool:
        """Record ``count`` more stored entries, and return whether the limits allow storing this array."""
        self.n_stored += count
        return count <= MOST_ENTRIES and self.n_stored <= MOST_ENTRIES_IN_FILE

    def length(self) -> int:
        return int(self.number("Q"))

    def text(self, longest: int = LONGEST_TEXT) -> str:
        """Read a UTF-8 string."""
        length = self.length()
        if length > longest:
            raise DescriptionError(f"the string at byte {self.at:,} has {length:,} bytes, more than the limit")
        start = self.skip(length)
        try:
            return self.content[start : self.at].decode("utf-8")
        except UnicodeDecodeError:
            raise DescriptionError(f"the string at byte {start:,} is not valid UTF-8") from None

    def skip_texts(self, count: int) -> None:
        """Skip ``count`` strings."""
        self.n_texts += count
        if self.n_texts > MOST_TEXTS or LENGTH * count > self.size - self.at:
            raise DescriptionError(f"the array at byte {self.at:,} has {count:,} strings, more than the limit")
        read, content, at, end = struct.Struct(self.order + "Q").unpack_from, self.content, self.at, len(self.content)
        for _ in range(count):
            if at + LENGTH > end:
                break
            at += LENGTH + read(content, at)[0]
        else:
            self.skip(at - self.at)
            return
        self.at = end
        self.skip(max(LENGTH, at + LENGTH - end))


def _read(cursor: _Cursor, size: int, name: str) -> FileHeader:
    start = cursor.skip(len(MAGIC))
    if cursor.content[start : cursor.at] != MAGIC:
        raise DescriptionError("does not start with the bytes GGUF", hint="check that it is a GGUF file")
    version = cursor.number("I")
    if version >= 1 << 16:  # big-endian files have a small number in the high bytes
        cursor.order, version = ">", int.from_bytes(version.to_bytes(4, "little"), "big")
    if version not in VERSIONS:
        raise DescriptionError(f"GGUF version {version} is not supported (supported: 2 and 3)")
    tensors, pairs = cursor.length(), cursor.length()
    if tensors > MOST_TENSORS or pairs > MOST_PAIRS:
        raise DescriptionError(f"{tensors:,} tensors and {pairs:,} metadata pairs exceed the limits")
    metadata = _pairs(cursor, pairs)
    entries = [_entry(cursor) for _ in range(tensors)]
    alignment = metadata.get(ALIGNMENT, DEFAULT_ALIGNMENT)
    if type(alignment) is not int or not 0 < alignment <= 1 << 20 or alignment & (alignment - 1):
        raise DescriptionError(f"{ALIGNMENT} must be a power of two, not {short_repr(alignment)}")
    header = cursor.at
    begin = -(-header // alignment) * alignment if entries else header
    if begin > size:
        raise DescriptionError(f"ends before byte {begin:,}, where its tensor data should start", hint=COMPLETE)
    padding = begin - header + padding_bytes(entries, size - begin, alignment)
    return FileHeader(name, size, header, padding, tuple(entries), metadata)


def _pairs(cursor: _Cursor, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.text(limits.LONGEST_NAME)
        if key in metadata:
            raise DescriptionError(f"duplicate key {short_repr(key)}")
        try:
            metadata[key] = _value(cursor, cursor.number("I"), 0)
        except DescriptionError as error:
            error.hint = error.hint or f"in the value of {short_repr(key)}"
            raise
    return metadata


def _value(cursor: _Cursor, kind: int, depth: int) -> Any:
    if kind == FLOAT:
        return _shortest(cursor.number(SCALARS[kind]))
    if kind in SCALARS:
        return cursor.number(SCALARS[kind])
    if kind == STRING:
        return _text(cursor)
    if kind != ARRAY or depth > DEEPEST:
        problem = "arrays are nested too deeply" if kind == ARRAY else f"unknown value type {kind}"
        raise DescriptionError(f"{problem} at byte {cursor.at:,}")
    inner, count = cursor.number("I"), cursor.length()
    if inner in SCALARS:
        length = struct.calcsize("=" + SCALARS[inner])
        if count > cursor.size // length:
            raise DescriptionError(f"the array of {count:,} numbers at byte {cursor.at:,} is longer than the file")
        start = cursor.skip(count * length)
        code = f"{cursor.order}{count}{SCALARS[inner]}"
        return list(struct.unpack_from(code, cursor.content, start)) if cursor.may_store(count) else Long(count)
    if inner == STRING:
        if cursor.may_store(count):
            return [_text(cursor) for _ in range(count)]
        cursor.skip_texts(count)
        return Long(count)
    if not cursor.may_store(count):
        raise DescriptionError(f"the array at byte {cursor.at:,} has {count:,} arrays, more than the limit")
    return [_value(cursor, inner, depth + 1) for _ in range(count)]


def _shortest(value: float) -> float:
    """Return a 32-bit float rounded to its shortest decimal form, such as 1e-05 instead of 9.99999974e-06."""
    short = float(f"{value:.7g}")
    return short if abs(short) < _LARGEST_FLOAT and struct.pack("f", short) == struct.pack("f", value) else value


def _text(cursor: _Cursor) -> str | Long:
    """Return a metadata string, or a placeholder for a long string such as a chat template."""
    length = cursor.length()
    if length > LONGEST_TEXT or not cursor.may_store(length // BYTES_AS_ENTRY):
        cursor.skip(length)
        return Long(length)
    cursor.at -= LENGTH
    return cursor.text()


def _entry(cursor: _Cursor) -> TensorInfo:
    name = cursor.text(limits.LONGEST_NAME)
    dimensions = cursor.number("I")
    if dimensions > MOST_DIMENSIONS:
        raise DescriptionError(
            f"{short_repr(name)} has {dimensions:,} dimensions, more than the limit of {MOST_DIMENSIONS}"
        )
    lengths = [cursor.length() for _ in range(dimensions)]
    number, start = cursor.number("I"), cursor.length()
    kind = types().get(number)
    if kind is None:
        hint = "It may be a type that llama.cpp has removed or added since." if number < 256 else ""
        raise DescriptionError(f"{short_repr(name)} has the unknown type {number}", hint=hint)
    if any(length >= limits.LARGEST for length in lengths) or start >= limits.LARGEST:
        raise DescriptionError(f"{short_repr(name)} has invalid dimensions {short_repr(lengths)} or offset {start:,}")
    row = lengths[0] if lengths else 1
    if row % kind.block:
        rows = f"rows of {row:,} elements, not a multiple of {kind.name}'s block size {kind.block}"
        raise DescriptionError(f"{short_repr(name)} has {rows}")
    tensor = TensorInfo(name, kind.name, tuple(reversed(lengths)), start, 0)
    return tensor._replace(size_bytes=tensor.elements // kind.block * kind.bits // BITS_A_BYTE)


class Type(NamedTuple):
    """A GGML type that stores ``block`` elements in ``bits`` bits."""

    name: str
    bits: int
    block: int


@cache
def types() -> dict[int, Type]:
    """Return the GGML types that files may contain, by type number."""
    return {
        entry["ggml"]: Type(name.removeprefix("gguf-").upper(), entry["bits"], entry.get("block", 1))
        for name, entry in table("formats/gguf").items()
    }
