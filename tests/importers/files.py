"""Tiny writers of safetensors and GGUF files, so that tests need none of others."""

import json
import struct

TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144)}
BYTES = {"F32": 4, "BF16": 2, "F16": 2, "I32": 4, "I64": 8, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E8M0": 1}
ALIGNMENT = 32


def product(shape):
    size = 1
    for length in shape:
        size *= length
    return size


def safetensors(tensors, metadata=None, spaces=0):
    """The bytes of a file of zeros; ``tensors`` maps a name to (dtype, shape)."""
    header, at = ({"__metadata__": metadata} if metadata else {}), 0
    for name, (dtype, shape) in tensors.items():
        size = product(shape) * BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return framed(json.dumps(header).encode() + b" " * spaces, bytes(at))


def framed(header, data=b""):
    """A header of any bytes, with its length before it and data behind it."""
    return struct.pack("<Q", len(header)) + header + data


def text(value, order="<"):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack(order + "Q", len(raw)) + raw


def value(entry, order="<"):
    """A GGUF value with its type: texts, booleans, integers (u32), floats (f32) and lists of these."""
    if isinstance(entry, bytes):
        return entry
    if isinstance(entry, bool):
        return struct.pack(order + "I?", 7, entry)
    if isinstance(entry, int):
        return struct.pack(order + ("Ii" if entry < 0 else "II"), 5 if entry < 0 else 4, entry)
    if isinstance(entry, float):
        return struct.pack(order + "If", 6, entry)
    if isinstance(entry, str):
        return struct.pack(order + "I", 8) + text(entry, order)
    inner = [value(one, order) for one in entry]
    kind = inner[0][:4] if inner else struct.pack(order + "I", 4)
    return (
        struct.pack(order + "I", 9) + kind + struct.pack(order + "Q", len(inner)) + b"".join(one[4:] for one in inner)
    )


def gguf(metadata, tensors, order="<", version=3, alignment=ALIGNMENT):
    """The bytes of a file of zeros; ``tensors`` maps a name to (type, shape), outermost dimension first."""
    pairs = b"".join(text(key, order) + value(entry, order) for key, entry in metadata.items())
    rows, at = [], 0
    for name, (kind, shape) in tensors.items():
        number, block, size = TYPES[kind]
        dimensions = struct.pack(f"{order}I{len(shape)}Q", len(shape), *reversed(shape))
        rows.append(text(name, order) + dimensions + struct.pack(order + "IQ", number, at))
        at += -(-(product(shape) // block * size) // alignment) * alignment
    head = b"GGUF" + struct.pack(order + "IQQ", version, len(tensors), len(metadata)) + pairs + b"".join(rows)
    return head + bytes(-len(head) % alignment) + bytes(at)
