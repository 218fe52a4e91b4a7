"""Reformer attention [kitaev2020] within chunks of tokens, in sequence order or sorted by hash.

Chunks are circular, so the last chunk precedes the first. If queries also serve as keys, a token attends to
itself only if it cannot attend to any other token.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import l2norm, pad, softmax
from ....twins.heads import join, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, constant, matrix

REORDERS_SUMS = True  # the chunks that a query attends to are copied

SEED = 0  # seed of the random directions
HIDDEN, ITSELF = -1e9, -1e5  # scores of masked keys, and of the query itself
EPS = 1e-6  # epsilon per element of a key


def weights(layer: Any) -> list[Weight]:
    """Return the projections without biases. With hashing, queries also serve as keys."""
    d, h, e = layer.d_model, layer.n_heads, layer.d_head
    return [*projections("qv" if layer.hashed else "qkv", d, h, e, bias=""), matrix("wo", (h, e), d)]


def is_stepwise(layer: Any) -> bool:
    """Return whether decoding matches a single pass. Hashing prevents a match, as later tokens change the chunks."""
    return not layer.hashed


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(q kᵀ) v · wo`` for new tokens ``x`` [b q d] over their own and adjacent chunks."""
    if not layer.causal:
        step.must_be_whole(layer.kind())
    if not step.decode:
        if state is not None and layer.causal:
            state["states"] = x
        return _prefill(layer, w, x, state)
    past = state["states"] if state else x[:, :0]
    decode = _decode_hashed if layer.hashed and past.shape[1] > layer.chunk else _decode
    mixed = decode(layer, w, past, x, state)
    if state is not None:
        state["states"] = np.concatenate([past, x], axis=1)
    return join(w, mixed)


def _prefill(layer: Any, w: Weights, x: Array, state: State | None) -> Array:
    """Process all tokens in one pass. Long sequences are padded to complete chunks, and the padding is masked."""
    tokens = x.shape[1]
    if tokens > layer.padded_above:
        x = pad(x, layer.padded_to)
    q, v = project(w, "q", x), project(w, "v", x)
    k = l2norm(q, layer.d_head * EPS) if layer.hashed else project(w, "k", x)
    q, k, v = (_swap_heads(part) for part in (q, k, v))
    rows = np.arange(q.shape[2])
    if len(rows) <= layer.chunk:
        mixed, _ = _attend(layer, q, k, v, *_masks(layer, rows, rows, tokens))
    elif layer.hashed:
        mixed = _attend_sorted(layer, q, k, v, tokens, state)
    else:
        mixed = _attend_chunks(layer, q, k, v, rows[None, None], tokens)[0][:, :, : len(rows)]
    return join(w, _swap_heads(mixed))[:, :tokens]


def _swap_heads(x: Array) -> Array:
    """Transpose ``x`` from [b q h e] to [b h q e], or vice versa."""
    return np.transpose(x, (0, 2, 1, 3))


def _masks(layer: Any, query: Array, key: Array, tokens: int) -> tuple[Array, Array]:
    """Return two masks [... q k], one for hidden keys and one for each query's own key."""
    hidden = np.broadcast_to(key[..., None, :] >= tokens, (*query.shape, key.shape[-1]))
    if layer.causal:
        hidden = hidden | (key[..., None, :] > query[..., None])
    return hidden, key[..., None, :] == query[..., None]


def _attend(layer: Any, q: Array, k: Array, v: Array, hidden: Array, itself: Array) -> tuple[Array, Array]:
    """Return the attention output [... q e] and ``log Σ exp(scores)`` [... q]."""
    lead = "bhy"[: len(q.shape) - 2]
    s = einsum(f"{lead}qe,{lead}ke->{lead}qk", q, k)
    s = s if layer.hashed else s * (1 / math.sqrt(layer.d_head))
    s = np.where(hidden, HIDDEN, s)
    s = np.where(itself, ITSELF, s) if layer.hashed else s
    p = softmax(s)
    return einsum(f"{lead}qk,{lead}ke->{lead}qe", p, v), _log_sum_exp(layer, s, p)


def _log_sum_exp(layer: Any, s: Array, p: Array) -> Array:
    """Compute ``log Σ exp(s)`` from the largest score and its softmax value, or return None for a single round."""
    if not layer.hashed or layer.n_hashes == 1:
        return None
    largest = (*np.indices(s.shape[:-1]), np.argmax(constant(s), axis=-1))
    return s[largest] - np.log(p[largest])


def _attend_chunks(layer: Any, q: Array, k: Array, v: Array, positions: Array, tokens: int) -> tuple[Array, Array]:
    """Apply ``_attend`` within chunks of ``q``, ``k`` and ``v`` [b h n e] at the token positions [b h n]."""
    chunk = layer.chunk
    q, k, v = (pad(part, chunk, axis=2) for part in (q, k, v))
    padding = np.full((*positions.shape[:2], -positions.shape[2] % chunk), tokens)
    b, h, n, e = q.shape
    own = np.concatenate([positions, padding], axis=2).reshape(*positions.shape[:2], -1, chunk)
    near = (np.arange(n // chunk)[:, None] + np.arange(-layer.before, layer.after + 1)) % (n // chunk)
    k, v = (part.reshape(b, h, -1, chunk, e)[:, :, near].reshape(b, h, n // chunk, -1, e) for part in (k, v))
    keys = own[:, :, near].reshape(*own.shape[:3], -1)
    mixed, total = _attend(layer, q.reshape(b, h, -1, chunk, e), k, v, *_masks(layer, own, keys, tokens))
    return mixed.reshape(b, h, n, e), None if total is None else total.reshape(b, h, n)


def _attend_sorted(layer: Any, q: Array, k: Array, v: Array, tokens: int, state: State | None) -> Array:
    """Attend within chunks of tokens sorted by bucket, and combine the outputs of all hashing rounds."""
    b, h, rows, e = q.shape
    buckets = _buckets(layer, constant(q), _n_rotations(layer, tokens, state))
    buckets[..., tokens:] = np.max(buckets, axis=-1, keepdims=True) + (rows > tokens)
    if state is not None:
        state["_buckets"] = buckets[..., :tokens]
    padding = -rows % layer.chunk  # per round, so that each round starts with a new chunk
    if padding:
        last = np.full((*buckets.shape[:3], padding), buckets.max() + 1)
        buckets, q, k, v = np.concatenate([buckets, last], axis=-1), *(pad(x, layer.chunk, 2) for x in (q, k, v))
    order = np.argsort(buckets, axis=-1, kind="stable").reshape(b, h, -1)
    at = np.arange(b)[:, None, None], np.arange(h)[:, None]
    q, k, v = (part[(*at, order)] for part in (q, k, v))
    mixed, total = _attend_chunks(layer, q, k, v, order, tokens)
    per_round = rows + padding
    first = np.repeat(np.arange(layer.n_hashes) * per_round, per_round)
    back = first + np.argsort(order.reshape(b, h, layer.n_hashes, -1), axis=-1).reshape(b, h, -1)
    rounds = mixed[(*at, back)].reshape(b, h, layer.n_hashes, per_round, e)
    if total is None:
        return rounds[:, :, 0, :rows]
    return _combine_rounds(rounds, total[(*at, back)].reshape(b, h, layer.n_hashes, per_round))[:, :, :rows]


def _combine_rounds(mixed: Array, total: Array) -> Array:
    """Combine the outputs [b h n q e] of all hashing rounds into a weighted sum [b h q e]."""
    share = _swap_last(softmax(_swap_last(total)))
    return np.sum(mixed * share[..., None], axis=2)


def _swap_last(x: Array) -> Array:
    return np.transpose(x, (0, 1, 3, 2))


def _n_rotations(layer: Any, tokens: int, state: State | None) -> int:
    """Return the number of random directions per round (default: the number of chunks in the first pass)."""
    count = int(layer.n_rotations or max(1, tokens // layer.chunk))
    return count if state is None else int(state.setdefault("_rotations", count))


def planes(layer: Any, rotations: int) -> Array:
    """Return the random directions [h e n r]."""
    return np.random.default_rng(SEED).standard_normal((layer.n_heads, layer.d_head, layer.n_hashes, rotations))


def _buckets(layer: Any, q: Array, rotations: int) -> Array:
    """Return the buckets [b h n q] of all tokens per round, determined by the closest signed directions."""
    rotated = einsum("bhqe,henr->bhnqr", q, planes(layer, rotations))
    factors = [int(word) for word in layer.factors.split()] or [2 * rotations]
    found, before, product = np.zeros(rotated.shape[:-1], int), 0, 1
    for factor in factors:
        part = rotated[..., before : before + factor // 2]
        both = np.concatenate([part, -part], axis=-1)
        found, before, product = found + product * np.argmax(both, axis=-1), before + factor // 2, product * factor
    return found


def _decode(layer: Any, w: Weights, past: Array, x: Array, state: State | None) -> Array:
    """Return the output [b q h e] of attention from new tokens to their own chunk and the preceding chunks."""
    cached, new = past.shape[1], x.shape[1]
    seen = cached if layer.hashed else min(cached, cached % layer.chunk + layer.before * layer.chunk)
    near = np.concatenate([past[:, cached - seen :], x], axis=1)
    q, v, k = project(w, "q", x), project(w, "v", near), project(w, "q" if layer.hashed else "k", near)
    query, key = cached + np.arange(new), cached - seen + np.arange(seen + new)
    if layer.hashed and cached + new >= layer.chunk and state is not None:
        state["_buckets"] = _buckets(layer, _swap_heads(constant(k)), _n_rotations(layer, cached + new, state))
    k = l2norm(k, layer.d_head * EPS) if layer.hashed else k
    hidden, itself = _masks(layer, query, key, cached + new)
    if not layer.hashed:
        hidden = hidden | (key < ((query // layer.chunk - layer.before) * layer.chunk)[:, None])
    q, k, v = (_swap_heads(part) for part in (q, k, v))
    return _swap_heads(_attend(layer, q, k, v, hidden, itself)[0])


def _decode_hashed(layer: Any, w: Weights, past: Array, x: Array, state: State | None) -> Array:
    """Return the output [b q h e] of attention from new tokens to nearby tokens in the sorted order of each round."""
    if state is None or "_buckets" not in state:
        raise UnsupportedError("the cached tokens have no hashes", where="chunked_attention")
    found = []
    for number in range(x.shape[1]):
        tokens = np.concatenate([past, x[:, : number + 1]], axis=1)
        q = _swap_heads(project(w, "q", x[:, number : number + 1]))
        own = _buckets(layer, constant(q), _n_rotations(layer, 0, state))
        state["_buckets"] = np.concatenate([state["_buckets"], own], axis=-1)
        near = _near_last(layer, state["_buckets"])  # [b h n k]
        chosen = tokens[np.arange(len(near))[:, None, None, None], near]
        k, v = (einsum("bhnkd,dhe->bhnke", chosen, weight) for weight in (w.wq, w.wv))
        queries = np.repeat(q, layer.n_hashes, axis=2)[:, :, :, None]
        itself = (near == tokens.shape[1] - 1)[:, :, :, None]
        mixed, total = _attend(layer, queries, l2norm(k, layer.d_head * EPS), v, np.zeros_like(itself), itself)
        found.append(mixed[:, :, 0] if total is None else _combine_rounds(mixed, total))
    return _swap_heads(np.concatenate(found, axis=2))


def _near_last(layer: Any, buckets: Array) -> Array:
    """Return the tokens [b h n k] in or adjacent to the last token's chunk after sorting by bucket."""
    order = np.argsort(buckets, axis=-1, kind="stable")
    tokens = order.shape[-1]
    chunk = np.argmax(order == tokens - 1, axis=-1) // layer.chunk - layer.before
    reach = np.arange((layer.before + 1 + layer.after) * layer.chunk)
    return np.take_along_axis(order, (chunk[..., None] * layer.chunk + reach) % tokens, axis=-1)
