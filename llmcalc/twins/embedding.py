"""Lookup tables for tokens, absolute positions and segments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.errors import InputError, UnsupportedError
from .functions import rmsnorm
from .step import State, Step
from .weights import Array, Weight, Weights, constant, table, vector

COLUMN_AND_ROW = slice(1, 3)  # positions of the column and row within the segment ids of a table's token


def weights(layer: Any) -> list[Weight]:
    """Return the embedding table and an optional norm."""
    sizes = (layer.codebooks, layer.rows) if layer.codebooks else (layer.rows,)
    sizes = (layer.rows // layer.columns, layer.columns) if layer.columns else sizes
    found = table("w", *sizes, layer.d_model, share=layer.share, buffer=bool(layer.fixed))
    norm = [vector("norm", layer.d_model, mean=1.0)] if layer.normed else []
    return [found._replace(computed=bool(layer.fixed)), *norm]


def forward(layer: Any, w: Weights, x: Array | None, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = x[b q d] + w[n d]``, with the row n of each token or position ``[b q]``.

    Without ``x``, return the rows. With ``use: copies``, append initial vectors for additional copies of the tokens.
    """
    ids = layer.ids
    if layer.use in _LEARNED:
        return _LEARNED[layer.use](layer, w, x, step)
    if ids and ids.edges != "none":
        return _add_box_rows(layer, w, x, step)
    if step.grid and layer.rows != step.ids.shape[1]:
        text = f"the position table has {layer.rows} rows, not {step.ids.shape[1]}; interpolation is not implemented"
        raise UnsupportedError(text, where="embedding")
    if layer.use == "replacement":
        mask = (step.ids == ids.replaced)[..., None]
        return w.w * mask + x * ~mask
    if layer.codebooks:
        return _sum_codebooks(layer, w, step)
    rows = _table(layer, w)[_row_ids(layer, step)] * layer.scale
    rows = rmsnorm(rows, layer.norm_eps, w.norm) if layer.normed else rows
    if ids and ids.dropped is not None:
        mask = (step.ids != ids.dropped)[..., None]
        rows = rows * (mask / np.maximum(np.mean(mask, axis=1, keepdims=True), 1 / mask.shape[1]))
    if step.image_tokens is not None and layer.table == "token" and layer.use == "tokens":
        rows = _insert_image(rows, *step.image_tokens)
    if layer.use == "joined":
        return np.concatenate([x, rows], axis=-1)
    if x is not None and x.shape[-1] != layer.d_model:
        raise UnsupportedError(f"embeddings of width {layer.d_model} and {x.shape[-1]} cannot be added")
    return rows if x is None else x + rows


def _for_each_sequence(layer: Any, w: Weights, step: Step) -> Array:
    """Return the rows of the table for each sequence, [b n d]."""
    return w.w[np.tile(np.arange(layer.rows), (len(step.ids), 1))]


def _side_tokens(layer: Any, w: Weights, x: Array | None, step: Step) -> Array:
    """Save learned tokens [1 n d] for later layers. Without a stream, they are the stream [b n d]."""
    if x is None and step.source is not None:  # learned queries
        return _for_each_sequence(layer, w, step)
    if step.grid:
        raise UnsupportedError("the NumPy model does not support learned tokens in a patch sequence", where="embedding")
    spread = 0.0 if x is None else 0.0 * x[:, :1]  # over the batch
    step.saved_streams["side_tokens"] = w.w[None] + spread
    return x


def _copies(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """Append the initial vectors of further copies of the tokens to ``x`` [b q d], which becomes [b (n + 1)·q d]."""
    first = np.concatenate([w.w[-1:], w.w[:-1]])  # the last row belongs to the first copy, as in the original code
    step.copies += layer.rows
    copies = np.repeat(first, step.ids.shape[1], axis=0)[None] + np.zeros((len(step.ids), 1, 1))
    return np.concatenate([x, copies], axis=1)


def _angles(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """Save the angles [q d] of rotary positions for later layers."""
    step.angles = constant(_table(layer, w))[step.positions + layer.offset]
    return x


def _latent_array(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """Save learned latents [b n d] for later layers."""
    step.latent_arrays.append(_for_each_sequence(layer, w, step))
    return x


def _prefix(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """Prepend learned tokens, which all sequences share, to ``x`` [b q d], which becomes [b n+q d]."""
    step.prompt = w.w.shape[0]
    step.ids = np.concatenate([np.zeros((len(step.ids), step.prompt), int), step.ids], axis=1)
    return np.concatenate([w.w[None] + np.zeros((len(step.ids), 1, 1)), x], axis=1)


def _suffix(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """Append learned tokens to ``x`` [b q d], which becomes [b q+n d]."""
    step.must_be_whole("embedding")
    rows = _for_each_sequence(layer, w, step) * layer.scale
    step.ids = np.concatenate([step.ids, np.zeros((len(step.ids), layer.rows), int)], axis=1)
    return np.concatenate([x, rows], axis=1)


def _everywhere(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """Add one vector to all tokens."""
    return x + w.w[0]


_LEARNED: dict[str, Callable[[Any, Weights, Any, Step], Array]] = {  # by the use of vectors that no id looks up
    "side_tokens": _side_tokens,
    "copies": _copies,
    "angles": _angles,
    "array": _latent_array,
    "prefix": _prefix,
    "suffix": _suffix,
    "everywhere": _everywhere,
}


def _insert_image(rows: Array, vectors: Array, marked: Array) -> Array:
    """Replace the masked token embeddings [b q d] with the image vectors, in order."""
    if vectors.shape[-1] != rows.shape[-1] or (marked.sum(axis=1) != vectors.shape[1]).any():
        text = f"{vectors.shape[1]} image vectors of width {vectors.shape[-1]} do not fit the placeholder tokens"
        raise InputError(f"{text}: {marked.sum(axis=1).tolist()} per sequence, of width {rows.shape[-1]}")
    index = np.maximum(np.cumsum(marked, axis=1) - 1, 0)
    return np.where(marked[..., None], vectors[np.arange(len(marked))[:, None], index], rows)


def _sum_codebooks(layer: Any, w: Weights, step: Step) -> Array:
    """Sum each token's codebook embeddings. The ids [b·n q] contain one row per codebook, grouped by sequence."""
    if len(step.ids) % layer.codebooks:
        raise InputError(
            f"the number of ID sequences ({len(step.ids)}) must be a multiple of codebooks ({layer.codebooks})"
        )
    ids = step.ids.reshape(-1, layer.codebooks, step.ids.shape[1])
    found: Array = sum(w.w[number][ids[:, number]] for number in range(layer.codebooks))
    return found * layer.scale


def _add_box_rows(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """Add embeddings of the edges, height or width of token boxes [b q 4] to ``x`` [xu2019]."""
    boxes = np.zeros((*step.ids.shape, 4), int) if step.boxes is None else step.boxes
    left, upper, right, lower = np.moveaxis(boxes, -1, 0)
    edges = {"left_right": (left, right), "upper_lower": (upper, lower), "height": (lower - upper,)}
    for edge in edges.get(layer.ids.edges, (right - left,)):
        if edge.min() < 0 or edge.max() >= layer.rows:
            raise InputError(f"box edges must be from 0 to {layer.rows - 1}, with left <= right and top <= bottom")
        x = x + w.w[edge] * layer.scale
    return x


def _row_ids(layer: Any, step: Step) -> Array:
    ids = layer.ids
    if ids and ids.own:
        return _check_ids(layer, step.own_ids.get(ids.own, np.zeros_like(step.ids)), ids.own)
    if layer.table == "segment":
        if step.segments is None:
            return np.zeros_like(step.ids)
        column = ids.column if ids else None
        _check_axes(step.segments, 2 if column is None else 3)
        return _check_ids(layer, step.segments if column is None else step.segments[..., column], "token_type_ids")
    if layer.table != "position":
        return step.ids
    if step.copies > 1:  # additional copies are one position later
        return np.concatenate([step.positions, *[step.positions + 1] * (step.copies - 1)]) + layer.offset
    if ids and ids.by_cell and step.segments is not None:
        _check_axes(step.segments, 3)
        cells = step.segments[..., COLUMN_AND_ROW]
        same = (cells[:, :, None] == cells[:, None]).all(axis=-1)  # [b q k]
        within = step.positions - np.argmax(same, axis=2)  # position within the table cell
        return np.minimum(within, layer.rows - 1 - layer.offset) + layer.offset
    return position_rows(layer.offset, ids.padding if ids else None, step)


def position_rows(offset: int, padding_id: int | None, step: Step) -> Array:
    """Return the position table row of each token, [q], or [b q] if padding tokens are not counted."""
    if padding_id is None:
        return step.positions + offset
    real = step.ids != padding_id
    return (np.cumsum(real, axis=1) + step.cached) * real + offset - 1


def _check_axes(segments: Array, axes: int) -> None:
    if segments.ndim != axes:
        what = "one segment ID" if axes == 2 else "several segment IDs"
        raise InputError(f"token_type_ids must have {what} per token, but has shape {segments.shape}")


def _check_ids(layer: Any, ids: Array, name: str) -> Array:
    if ids.min() < 0 or ids.max() >= layer.rows:
        raise InputError(f"{name} contains {ids.max()}, but the table has {layer.rows} rows")
    return ids


def _table(layer: Any, w: Weights) -> Array:
    if layer.columns:
        return w.w.reshape(layer.rows, layer.d_model)
    if layer.fixed is None:
        return w.w
    order, blank = layer.fixed.order, layer.fixed.blank
    if order == "interleaved":
        return sinusoids(np.arange(layer.rows), layer.d_model)
    found = sinusoid_halves(layer.rows, layer.d_model, order != "halves")
    if order == "cosines":
        half = layer.d_model // 2
        found[:, : 2 * half] = np.roll(found[:, : 2 * half], half, axis=1)
    if layer.ids and layer.ids.padding is not None:
        found[layer.offset - 1] = 0.0
    if blank is not None:
        found[blank] = 0.0
    return found


def sinusoid_halves(rows: int, width: int, slower: bool) -> Array:
    """Return sinusoids [rows width], sines first. If ``slower``, the lowest frequency is 1e-4 radians per position."""
    half = width // 2
    angles = np.arange(rows)[:, None] / 10000.0 ** (np.arange(half) / (half - slower))
    return np.concatenate([np.sin(angles), np.cos(angles), np.zeros((rows, width % 2))], axis=1)


def sines_and_cosines(positions: Array, width: int) -> Array:
    """Return sinusoids with sines in the first half of the columns and cosines in the second half [dai2019]."""
    angles = positions[:, None] / 10000.0 ** (2 * np.arange(width // 2) / width)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)


def sinusoids(positions: Array, width: int) -> Array:
    """Return sinusoids with sines in even columns and cosines in odd columns [vaswani2017, Section 3.5]."""
    column = np.arange(width)
    angles = positions[:, None] / 10000.0 ** (2 * (column // 2) / width)
    return np.where(column % 2 == 0, np.sin(angles), np.cos(angles))
