"""Rotary position embeddings [su2021] and context extension methods.

Each pair of channels is rotated by an angle proportional to the position. A context extension method lowers the
frequencies of all pairs or only of the slow pairs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.errors import InputError, UnsupportedError
from .weights import Array


def rotate(
    rope: Any, x: Array, positions: Array, width: int, interleaved: bool | None = None, factors: Array | None = None
) -> Array:
    """Rotate the first ``width`` elements of ``x`` [b q heads e] in pairs.

    ``interleaved`` defaults to the setting in ``rope``. The frequencies are multiplied by ``factors`` [e/2].
    """
    if rope.grid != "none":
        raise UnsupportedError("this NumPy model does not rotate by patch rows and columns")
    if method(rope) == "proportional":
        width = x.shape[-1]  # only the first pairs are rotated
    turned = _rounded_to_pairs(width)
    if turned > x.shape[-1]:
        raise UnsupportedError(
            f"the rotary width {width} is odd and exceeds the head width when rounded up to an even number"
        )
    angles = positions[:, None] * frequencies(rope, width, int(positions[-1]) + 1)  # [q width/2]
    angles = angles if factors is None else angles * factors
    angles = -angles if rope.reversed else angles
    scale = rope.scaling.attention if method(rope) in ("yarn", "longrope") else 1.0
    cos, sin = (scale * f(angles)[:, None, :] for f in (np.cos, np.sin))
    both = rotate_pairs(x[..., :turned], sin, cos, rope.interleaved if interleaved is None else interleaved)
    return np.concatenate([both, x[..., turned:]], axis=-1) if turned < x.shape[-1] else both


def rotate_end(
    rope: Any, x: Array, positions: Array, width: int, interleaved: bool | None = None, factors: Array | None = None
) -> Array:
    """Rotate the last ``width`` elements of ``x`` [b q heads e] in pairs."""
    still = x.shape[-1] - _rounded_to_pairs(width)
    turned = rotate(rope, x[..., still:], positions, width, interleaved, factors)
    return np.concatenate([x[..., :still], turned], axis=-1)


def rotate_pairs(x: Array, sin: Array, cos: Array, interleaved: bool) -> Array:
    """Rotate each pair of elements of ``x`` [b q heads e], given the sine and cosine of the angles [q 1 e/2]."""
    width = x.shape[-1]
    if interleaved:
        first, second = x[..., 0::2], x[..., 1::2]
    else:
        first, second = x[..., : width // 2], x[..., width // 2 :]
    one, two = first * cos - second * sin, second * cos + first * sin
    return (np.stack if interleaved else np.concatenate)([one, two], axis=-1).reshape(x.shape)


def method(rope: Any) -> str:
    """Return the name of the context extension method, or ``none``."""
    return "none" if rope.scaling is None else str(rope.scaling.kind())


def frequencies(rope: Any, width: int, length: int) -> Array:
    """Return the rotary frequency of each pair in a sequence of ``length`` tokens, in radians per token.

    Raises:
        UnsupportedError: The context extension method has no NumPy model.
        InputError: The context extension method requires a training length, but none is known.
    """
    pair, base, scaling = np.arange(_rounded_to_pairs(width) // 2), rope.theta, rope.scaling
    if method(rope) == "dynamic":  # the base grows with sequences longer than the training context
        growth = max(length, training_length(rope)) / training_length(rope)
        base *= (scaling.factor * growth - (scaling.factor - 1)) ** (width / (width - 2))
    plain = base ** (-2.0 * pair / width)
    match method(rope):
        case "none" | "dynamic":
            return plain
        case "linear":
            return plain / scaling.factor
        case "proportional":
            return np.where(pair < rope.dim // 2, plain / scaling.factor, 0.0)
        case "longrope":
            short, long = (np.array(part.split(), float) for part in scaling.factors.split("|"))
            return plain / (long if length > training_length(rope) else short)
        case "llama3":
            turns = training_length(rope) * plain / (2 * math.pi)  # number of rotations in the training context
            low, high = scaling.low_factor, scaling.high_factor
            stretched = 1 - np.clip((turns - low) / (high - low), 0.0, 1.0)
        case "yarn":
            stretched = _share_of_slow_pairs(rope, pair, width)
        case other:
            raise UnsupportedError(f"the NumPy model does not implement the rotary scaling method {other!r}")
    return plain * (1 - stretched) + plain / scaling.factor * stretched


def training_length(rope: Any) -> int:
    """Return the training context length before extension, in tokens."""
    if rope.scaling.length is None:
        raise InputError(f"{method(rope)} scaling of rotary positions requires length", where="rope")
    return int(rope.scaling.length)


def _share_of_slow_pairs(rope: Any, pair: Array, width: int) -> Array:
    """Return YaRN's interpolation weight per pair, from 0 (fast rotation) to 1 (slow) [peng2023yarn, Section 3.2]."""

    def index(rotations: float) -> float:
        turns = training_length(rope) / (rotations * 2 * math.pi)
        return width * math.log(turns) / (2 * math.log(rope.theta))

    first, last = index(rope.scaling.fast), index(rope.scaling.slow)
    if rope.scaling.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, width - 1)
    if first == last:
        last += 0.001  # avoids division by zero
    return np.clip((pair - first) / (last - first), 0.0, 1.0)


def _rounded_to_pairs(width: int) -> int:
    """Return the number of rotated elements, which is ``width`` rounded up to an even number."""
    return width + width % 2
