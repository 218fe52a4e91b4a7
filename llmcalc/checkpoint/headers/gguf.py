"""The head of a GGUF file: metadata and the table of tensors; what follows is never read.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md: magic, version, two counts, key-value pairs, a table of
names, dimensions (innermost first), types and offsets; then, aligned, the tensors.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ...core.errors import DescriptionError, InputError, shown
from ...data import table
from . import File, Held, limits

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = "general.alignment"
USUAL_ALIGNMENT = 32
MOST_PAIRS = 10_000
MOST_TENSORS = 50_000
MOST_TEXTS = 1_500_000  # in all arrays together; a vocabulary has up to a few hundred thousand
MOST_KEPT = 4_096  # entries of an array that are kept; longer ones are counted
MOST_KEPT_IN_ALL = 400_000
LONGEST_TEXT = 1 << 16  # bytes of one that is kept
BYTES_AS_ENTRY = 32  # bytes of text that take the room of an entry of a list
LENGTH = 8  # bytes of a length
DEEPEST = 3
MOST_DIMENSIONS = 4
FLOAT, STRING, ARRAY, BOOL = 6, 8, 9, 7
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", FLOAT: "f", BOOL: "?", 10: "Q", 11: "q", 12: "d"}
BITS_A_BYTE = 8
_LARGEST_FLOAT = 3e38  # of 32 bits


class Long(NamedTuple):
    """A list or text that is too long to be kept: how many entries or bytes it has."""

    length: int


class ShortReadError(Exception):
    """More of the file is needed than was given."""


def read_file(path: Path) -> File:
    """The head of one file, memory-mapped.

    Raises:
        DescriptionError: it is no GGUF file, or it contradicts itself.
    """
    where = limits.printable(path)
    size = limits.regular_file(path)
    if size == 0:
        raise DescriptionError("is empty", where=where)
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return read(content, size, path.name, where)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DescriptionError(f"cannot be read: {reason}", where=where) from None


def read(content: bytes | mmap.mmap, size: int, name: str, where: str) -> File:
    """The head of a file of ``size`` bytes that begins with ``content``.

    Raises:
        DescriptionError: as ``read_file``.
        ShortReadError: ``content`` is not all of the file, and ends before the head does.
    """
    try:
        return _read(_Cursor(content, size), size, name, where)
    except InputError as error:
        raise error.at(where) from None


class _Cursor:
    """A place in a file, which moves on as values are read."""

    def __init__(self, content: bytes | mmap.mmap, size: int) -> None:
        self.content, self.size, self.at, self.order, self.texts, self.kept = content, size, 0, "<", 0, 0

    def skip(self, length: int) -> int:
        """Where a value of so many bytes begins; the place behind it is next."""
        start, self.at = self.at, self.at + length
        if self.at > self.size:
            raise DescriptionError(f"the file ends within its head, at byte {self.size:,}", hint="is it complete?")
        if self.at > len(self.content):
            raise ShortReadError
        return start

    def number(self, code: str) -> Any:
        """A number of a type of ``struct``."""
        start = self.skip(struct.calcsize("=" + code))
        return struct.unpack_from(self.order + code, self.content, start)[0]

    def keep(self, count: int) -> bool:
        """Whether a list of so many entries is kept, beside what is kept already."""
        self.kept += count
        return count <= MOST_KEPT and self.kept <= MOST_KEPT_IN_ALL

    def length(self) -> int:
        """A length or count."""
        return int(self.number("Q"))

    def text(self, longest: int = LONGEST_TEXT) -> str:
        """A text, or what of it is UTF-8."""
        length = self.length()
        if length > longest:
            raise DescriptionError(f"a text of {length:,} bytes at byte {self.at:,}")
        start = self.skip(length)
        try:
            return self.content[start : self.at].decode("utf-8")
        except UnicodeDecodeError:
            raise DescriptionError(f"the text at byte {start:,} is no UTF-8") from None

    def pass_texts(self, count: int) -> None:
        """Skip so many texts."""
        self.texts += count
        if self.texts > MOST_TEXTS or LENGTH * count > self.size - self.at:
            raise DescriptionError(f"a list of {count:,} texts at byte {self.at:,}, more than can be")
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


def _read(cursor: _Cursor, size: int, name: str, where: str) -> File:
    start = cursor.skip(len(MAGIC))
    if cursor.content[start : cursor.at] != MAGIC:
        raise DescriptionError("does not begin with GGUF", hint="is it a GGUF file?")
    version = cursor.number("I")
    if version >= 1 << 16:  # the bytes of a small number, the other way round
        cursor.order, version = ">", int.from_bytes(version.to_bytes(4, "little"), "big")
    if version not in VERSIONS:
        raise DescriptionError(f"is of GGUF version {version}; versions 2 and 3 are understood")
    tensors, pairs = cursor.length(), cursor.length()
    if tensors > MOST_TENSORS or pairs > MOST_PAIRS:
        raise DescriptionError(
            f"is said to have {tensors:,} tensors and {pairs:,} pairs of metadata, more than any file"
        )
    metadata = _pairs(cursor, pairs)
    entries = [_entry(cursor) for _ in range(tensors)]
    alignment = metadata.get(ALIGNMENT, USUAL_ALIGNMENT)
    if type(alignment) is not int or not 0 < alignment <= 1 << 20 or alignment & (alignment - 1):
        raise DescriptionError(f"{ALIGNMENT} is {shown(alignment)}; it is a power of two")
    header = cursor.at
    begin = -(-header // alignment) * alignment if entries else header
    if begin > size:
        raise DescriptionError(f"ends before its tensors begin, at byte {begin:,}", hint="is the file complete?")
    padding = begin - header + _gaps(entries, size - begin, alignment)
    return File(name, size, header, padding, tuple(entries), metadata)


def _pairs(cursor: _Cursor, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.text(limits.LONGEST_NAME)
        if key in found:
            raise DescriptionError(f"the key {shown(key)} stands twice")
        try:
            found[key] = _value(cursor, cursor.number("I"), 0)
        except DescriptionError as error:
            error.hint = error.hint or f"in the value of {shown(key)}"
            raise
    return found


def _value(cursor: _Cursor, kind: int, depth: int) -> Any:
    if kind == FLOAT:
        return _shortest(cursor.number(SCALARS[kind]))
    if kind in SCALARS:
        return cursor.number(SCALARS[kind])
    if kind == STRING:
        return _text(cursor)
    if kind != ARRAY or depth > DEEPEST:
        what = "arrays within arrays" if kind == ARRAY else f"a value of the unknown type {kind}"
        raise DescriptionError(f"{what} at byte {cursor.at:,}")
    inner, count = cursor.number("I"), cursor.length()
    if inner in SCALARS:
        return _numbers(cursor, SCALARS[inner], count)
    if inner == STRING:
        if cursor.keep(count):
            return [_text(cursor) for _ in range(count)]
        cursor.pass_texts(count)
        return Long(count)
    if not cursor.keep(count):
        raise DescriptionError(f"a list of {count:,} lists at byte {cursor.at:,}")
    return [_value(cursor, inner, depth + 1) for _ in range(count)]


def _shortest(value: float) -> float:
    """A 32-bit float as it was written: 1e-05, not 9.99999974e-06."""
    short = float(f"{value:.7g}")
    return short if abs(short) < _LARGEST_FLOAT and struct.pack("f", short) == struct.pack("f", value) else value


def _text(cursor: _Cursor) -> str | Long:
    """A text of the metadata; a long one, such as a template or a tokenizer, is passed over."""
    length = cursor.length()
    if length > LONGEST_TEXT or not cursor.keep(length // BYTES_AS_ENTRY):
        cursor.skip(length)
        return Long(length)
    cursor.at -= LENGTH
    return cursor.text()


def _numbers(cursor: _Cursor, code: str, count: int) -> list[Any] | Long:
    length = struct.calcsize("=" + code)
    if count > cursor.size // length:
        raise DescriptionError(f"a list of {count:,} numbers at byte {cursor.at:,}, more than the file holds")
    start = cursor.skip(count * length)
    if not cursor.keep(count):
        return Long(count)
    return list(struct.unpack_from(f"{cursor.order}{count}{code}", cursor.content, start))


def _entry(cursor: _Cursor) -> Held:
    name = cursor.text(limits.LONGEST_NAME)
    dimensions = cursor.number("I")
    if dimensions > MOST_DIMENSIONS:
        raise DescriptionError(
            f"{shown(name)} has {dimensions:,} dimensions; no more than {MOST_DIMENSIONS} are stored"
        )
    lengths = [cursor.length() for _ in range(dimensions)]
    number, start = cursor.number("I"), cursor.length()
    kind = types().get(number)
    if kind is None:
        hint = "types of llama.cpp that files no longer hold, or newer ones" if number < 256 else ""
        raise DescriptionError(f"{shown(name)} is of the unknown type {number}", hint=hint)
    if any(length >= limits.LARGEST for length in lengths) or start >= limits.LARGEST:
        raise DescriptionError(f"{shown(name)} has the dimensions {shown(lengths)} at {start:,}")
    row = lengths[0] if lengths else 1
    if row % kind.block:
        raise DescriptionError(f"{shown(name)} has rows of {row:,}, no multiple of the {kind.block} of {kind.name}")
    held = Held(name, kind.name, tuple(reversed(lengths)), start, 0)
    return held._replace(size=held.elements // kind.block * kind.bits // BITS_A_BYTE)


def _gaps(entries: Iterable[Held], data: int, alignment: int) -> int:
    """Bytes of padding between tensors and behind the last one.

    Raises:
        DescriptionError: names that recur, tensors that overlap, leave holes or exceed the file.
    """
    end = padding = 0
    names: set[str] = set()
    for held in sorted(entries, key=lambda held: (held.start, held.size)):
        if held.name in names:
            raise DescriptionError(f"names the tensor {shown(held.name)} twice")
        names.add(held.name)
        begin = -(-end // alignment) * alignment
        if held.start != begin:
            how = "overlaps another" if held.start < end else "does not begin where the one before it ends, aligned"
            raise DescriptionError(f"{shown(held.name)} at {held.start:,} {how}: byte {begin:,}")
        padding += begin - end
        end = held.start + held.size
        if end > data:
            message = f"{shown(held.name)} ends at byte {end:,} of the tensors, but the file holds {data:,}"
            raise DescriptionError(message, hint="is the file complete?")
    last = -(-end // alignment) * alignment - end
    return padding + (last if data == end + last else 0)


class Type(NamedTuple):
    """A type of GGML: ``bits`` of a block of so many elements."""

    name: str
    bits: int
    block: int


@cache
def types() -> dict[int, Type]:
    """The types that files hold, by their numbers."""
    entries = table("formats/gguf").items()
    return {
        entry["ggml"]: Type(name.removeprefix("gguf-").upper(), entry["bits"], entry.get("block", 1))
        for name, entry in entries
    }
