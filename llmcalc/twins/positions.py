"""Position encodings for attention: RoPE [su2021], ALiBi [press2021], T5 buckets [raffel2019] and temperatures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.errors import InputError, UnsupportedError
from .weights import Array


def rotate(
    layer: Any, x: Array, positions: Array, width: int, interleaved: bool | None = None, factors: Array | None = None
) -> Array:
    """Rotate the first ``width`` elements of ``x`` [b q heads e] in pairs.

    ``interleaved`` defaults to the layer's ``rope_interleaved``. ``factors`` [e/2] scale the frequencies.
    """
    interleaved = layer.rope_interleaved if interleaved is None else interleaved
    if layer.rope_scaling == "proportional":
        width = x.shape[-1]  # only the first pairs are rotated
    turned = _rounded_to_pairs(width)
    if turned > x.shape[-1]:
        raise UnsupportedError(
            f"the rotary width {width} is odd and exceeds the head width when rounded up to an even number"
        )
    angles = positions[:, None] * frequencies(layer, width, int(positions[-1]) + 1)  # [q width/2]
    angles = angles if factors is None else angles * factors
    angles = -angles if getattr(layer, "rope_reversed", False) else angles
    cos, sin = (layer.rope_attention * f(angles)[:, None, :] for f in (np.cos, np.sin))
    both = rotate_pairs(x[..., :turned], sin, cos, interleaved)
    return np.concatenate([both, x[..., turned:]], axis=-1) if turned < x.shape[-1] else both


def _rounded_to_pairs(width: int) -> int:
    """Return the number of rotated elements, which is ``width`` rounded up to an even number."""
    return width + width % 2


def rotate_pairs(x: Array, sin: Array, cos: Array, interleaved: bool) -> Array:
    """Rotate each pair of elements of ``x`` [b q heads e], given the sine and cosine of the angles [q 1 e/2]."""
    width = x.shape[-1]
    if interleaved:
        first, second = x[..., 0::2], x[..., 1::2]
    else:
        first, second = x[..., : width // 2], x[..., width // 2 :]
    one, two = first * cos - second * sin, second * cos + first * sin
    return (np.stack if interleaved else np.concatenate)([one, two], axis=-1).reshape(x.shape)


def rotate_end(
    layer: Any, x: Array, positions: Array, width: int, interleaved: bool | None = None, factors: Array | None = None
) -> Array:
    """Rotate the last ``width`` elements of ``x`` [b q heads e] in pairs."""
    still = x.shape[-1] - _rounded_to_pairs(width)
    turned = rotate(layer, x[..., still:], positions, width, interleaved, factors)
    return np.concatenate([x[..., :still], turned], axis=-1)


def frequencies(layer: Any, width: int, length: int) -> Array:
    """Return the rotary frequency of each pair in a sequence of ``length`` tokens, in radians per token.

    Raises:
        UnsupportedError: The scaling method has no NumPy model.
        InputError: The scaling method requires ``rope_length``.
    """
    pair = np.arange(_rounded_to_pairs(width) // 2)
    base, kind, factor = layer.rope_theta, layer.rope_scaling, layer.rope_factor
    if kind == "dynamic":  # the base grows with sequences longer than the training context
        growth_of_length = max(length, training_length(layer)) / training_length(layer)
        base *= (factor * growth_of_length - (factor - 1)) ** (width / (width - 2))
    plain = base ** (-2.0 * pair / width)
    if kind in ("none", "dynamic"):
        return plain
    if kind == "longrope":
        short, long = (np.array(part.split(), float) for part in layer.rope_factors.split("|"))
        return plain / (long if length > training_length(layer) else short)
    if kind == "proportional":
        return np.where(pair < getattr(layer, "rotary_dim", width) // 2, plain / factor, 0.0)
    if kind == "linear":
        return plain / factor
    if kind == "llama3":
        turns = training_length(layer) * plain / (2 * math.pi)  # number of rotations in the training context
        low, high = layer.rope_low_factor, layer.rope_high_factor
        stretched = 1 - np.clip((turns - low) / (high - low), 0.0, 1.0)
    elif kind == "yarn":
        stretched = _share_of_slow_pairs(layer, pair, width)
    else:
        raise UnsupportedError(f"the NumPy model does not implement rope_scaling {kind!r}")
    return plain * (1 - stretched) + plain / factor * stretched


def training_length(layer: Any) -> int:
    """Return the original training context length before RoPE scaling, in tokens."""
    if layer.rope_length is None:
        raise InputError(f"rope_scaling: {layer.rope_scaling} requires rope_length", where=layer.kind())
    return int(layer.rope_length)


def _share_of_slow_pairs(layer: Any, pair: Array, width: int) -> Array:
    """Return YaRN's interpolation weight per pair, from 0 (fast rotation) to 1 (slow) [peng2023yarn, Section 3.2]."""

    def index(rotations: float) -> float:
        turns = training_length(layer) / (rotations * 2 * math.pi)
        return width * math.log(turns) / (2 * math.log(layer.rope_theta))

    first, last = index(layer.rope_fast), index(layer.rope_slow)
    if layer.rope_truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, width - 1)
    if first == last:
        last += 0.001  # avoids division by zero
    return np.clip((pair - first) / (last - first), 0.0, 1.0)


def alibi_slopes(n_heads: int) -> Array:
    """Return ALiBi slopes, adding slopes of the next power of two if the number of heads is not a power of two."""
    power = 2 ** math.floor(math.log2(n_heads))
    slopes = 2.0 ** (-8.0 / power * np.arange(1, power + 1))
    further = 2.0 ** (-4.0 / power * np.arange(1, 2 * (n_heads - power), 2))
    return np.concatenate([slopes, further])


def temperature(layer: Any, positions: Array) -> Array:
    """Return a scale factor per query [q 1 1] that grows with the query position [nakanishi2025]."""
    stretches = (positions + layer.temperature_start) / layer.temperature_length
    if getattr(layer, "temperature_law", "log") == "power":
        found: Array = (1 + stretches) ** layer.temperature
    else:
        found = 1 + layer.temperature * np.log1p(np.floor(stretches))
    return found[:, None, None]


def growth(scale: Array, shift: Array, positions: Array) -> Array:
    """Compute ``scale · log(position + 1) + shift`` [q h 1], with a learned scale and shift per head."""
    return (np.log(positions + 1.0)[:, None] * scale + shift)[..., None]


def buckets(count: int, most: int, ahead: Array, *, causal: bool) -> Array:
    """Return the T5 bucket of each distance. Buckets are exact for nearby keys and logarithmic up to ``most``.

    ``ahead`` [q k] is the key position minus the query position. If not ``causal``, each side has half the buckets.
    """
    start: Array = 0
    if causal:
        distance = np.maximum(-ahead, 0)
    else:
        count //= 2
        start, distance = np.where(ahead > 0, count, 0), np.abs(ahead)
    exact = count // 2
    far = np.log(np.maximum(distance, 1) / exact) / math.log(most / exact) * (count - exact)
    shared = np.minimum(exact + far.astype(int), count - 1)
    return start + np.where(distance < exact, distance, shared)
