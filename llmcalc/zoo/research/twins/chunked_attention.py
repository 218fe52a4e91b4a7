"""Reformer's attention [kitaev2020]: chunks of tokens look at their neighbours, in order or sorted by hashes.

What stands before the first chunk is the last one, and the other way round. Where queries serve as keys, a token looks
at itself if there is nothing else to be seen, and at nothing but others otherwise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import l2norm, softmax
from ....twins.heads import join, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, constant, matrix

SEED = 0  # of the random planes
HIDDEN, ITSELF = -1e9, -1e5  # scores of what a query may not see, and of the query itself
EPS = 1e-6  # a number of a key


def weights(layer: Any) -> list[Weight]:
    """Projections without biases; hashed queries are keys too."""
    d, h, e = layer.d_model, layer.n_heads, layer.d_head
    return [*projections("qv" if layer.hashed else "qkv", d, h, e, bias=""), matrix("wo", (h, e), d)]


def is_stepwise(layer: Any) -> bool:
    """Whether tokens that come one by one see what they see together: a later one changes what stands in a chunk."""
    return not layer.hashed


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``softmax(q kᵀ) v · wo`` for the new tokens ``x`` [b q d], within a chunk and those beside it."""
    if not layer.causal:
        step.must_be_whole(layer.kind())
    if not step.decode:
        if state is not None and layer.causal:
            state["states"] = x
        return _of_a_text(layer, w, x, state)
    past = state["states"] if state else x[:, :0]
    found = (_of_a_token if layer.hashed and past.shape[1] > layer.chunk else _of_tokens)(layer, w, past, x, state)
    if state is not None:
        state["states"] = np.concatenate([past, x], axis=1)
    return join(w, found)


def _of_a_text(layer: Any, w: Weights, x: Array, state: State | None) -> Array:
    """All tokens at once; a long text is filled up to whole chunks, which nobody sees."""
    tokens = x.shape[1]
    if tokens > layer.padded_above:
        x = _filled(x, layer.padded_to)
    q, v = project(w, "q", x), project(w, "v", x)
    k = l2norm(q, layer.d_head * EPS) if layer.hashed else project(w, "k", x)
    q, k, v = (np.transpose(part, (0, 2, 1, 3)) for part in (q, k, v))  # [b h q e]
    rows = np.arange(q.shape[2])
    if len(rows) <= layer.chunk:
        mixed, _ = _attended(layer, q, k, v, *_met(layer, rows, rows, tokens))
    elif layer.hashed:
        mixed = _sorted(layer, q, k, v, tokens, state)
    else:
        mixed = _in_chunks(layer, q, k, v, rows[None, None], tokens)[0][:, :, : len(rows)]
    return join(w, np.transpose(mixed, (0, 2, 1, 3)))[:, :tokens]


def _filled(x: Array, size: int, axis: int = 1) -> Array:
    missing = [*x.shape[:axis], -x.shape[axis] % size, *x.shape[axis + 1 :]]
    return np.concatenate([x, np.zeros(missing)], axis=axis) if missing[axis] else x


def _met(layer: Any, query: Array, key: Array, tokens: int) -> tuple[Array, Array]:
    """Which keys a query may not see [... q k], and which is itself, by the places of both."""
    hidden = np.broadcast_to(key[..., None, :] >= tokens, (*query.shape, key.shape[-1]))
    if layer.causal:
        hidden = hidden | (key[..., None, :] > query[..., None])
    return hidden, key[..., None, :] == query[..., None]


def _attended(layer: Any, q: Array, k: Array, v: Array, hidden: Array, itself: Array) -> tuple[Array, Array]:
    """Values weighted by scores [... q e], and the logarithm of the sum of the scores' exponentials [... q]."""
    lead = "bhy"[: len(q.shape) - 2]
    s = einsum(f"{lead}qe,{lead}ke->{lead}qk", q, k)
    s = s if layer.hashed else s * (1 / math.sqrt(layer.d_head))
    s = np.where(hidden, HIDDEN, s)
    s = np.where(itself, ITSELF, s) if layer.hashed else s
    p = softmax(s)
    return einsum(f"{lead}qk,{lead}ke->{lead}qe", p, v), _log_sum(layer, s, p)


def _log_sum(layer: Any, s: Array, p: Array) -> Array:
    """``log Σ exp(s)``, from the largest score and its share; None: there is nothing that it is compared with."""
    if not layer.hashed or layer.n_hashes == 1:
        return None
    largest = (*np.indices(s.shape[:-1]), np.argmax(constant(s), axis=-1))
    return s[largest] - np.log(p[largest])


def _in_chunks(layer: Any, q: Array, k: Array, v: Array, places: Array, tokens: int) -> tuple[Array, Array]:
    """The same of vectors [b h n e] that stand at these ``places`` [b h n], chunk by chunk."""
    chunk = layer.chunk
    q, k, v = (_filled(part, chunk, axis=2) for part in (q, k, v))
    places = np.concatenate([places, np.full((*places.shape[:2], -places.shape[2] % chunk), tokens)], axis=2)
    b, h, n, e = q.shape
    own = places.reshape(*places.shape[:2], -1, chunk)
    near = (np.arange(n // chunk)[:, None] + np.arange(-layer.before, layer.after + 1)) % (n // chunk)
    k, v = (part.reshape(b, h, -1, chunk, e)[:, :, near].reshape(b, h, n // chunk, -1, e) for part in (k, v))
    beside = own[:, :, near].reshape(*own.shape[:3], -1)
    mixed, total = _attended(layer, q.reshape(b, h, -1, chunk, e), k, v, *_met(layer, own, beside, tokens))
    return mixed.reshape(b, h, n, e), None if total is None else total.reshape(b, h, n)


def _sorted(layer: Any, q: Array, k: Array, v: Array, tokens: int, state: State | None) -> Array:
    """Tokens that hash alike stand together, in every round anew; rounds weigh as much as their scores."""
    b, h, rows, e = q.shape
    buckets = _buckets(layer, constant(q), _rotations(layer, tokens, state), rows > tokens)
    buckets[..., tokens:] = np.max(buckets, axis=-1, keepdims=True) + (rows > tokens)
    if state is not None:
        state["_buckets"] = buckets[..., :tokens]
    whole = -rows % layer.chunk  # of a round, so that rounds begin with chunks of their own
    if whole:
        last = np.full((*buckets.shape[:3], whole), buckets.max() + 1)
        buckets, q, k, v = np.concatenate([buckets, last], axis=-1), *(_filled(x, layer.chunk, 2) for x in (q, k, v))
    order = np.argsort(buckets, axis=-1, kind="stable").reshape(b, h, -1)
    at = np.arange(b)[:, None, None], np.arange(h)[:, None]
    q, k, v = (part[(*at, order)] for part in (q, k, v))
    mixed, total = _in_chunks(layer, q, k, v, order, tokens)
    per_round = rows + whole
    first = np.repeat(np.arange(layer.n_hashes) * per_round, per_round)
    back = first + np.argsort(order.reshape(b, h, layer.n_hashes, -1), axis=-1).reshape(b, h, -1)
    apart = mixed[(*at, back)].reshape(b, h, layer.n_hashes, per_round, e)
    if total is None:
        return apart[:, :, 0, :rows]
    return _weighed(apart, total[(*at, back)].reshape(b, h, layer.n_hashes, per_round))[:, :, :rows]


def _weighed(mixed: Array, total: Array) -> Array:
    """The rounds' results [b h n q e] together [b h q e]."""
    share = np.transpose(softmax(np.transpose(total, (0, 1, 3, 2))), (0, 1, 3, 2))
    return np.sum(mixed * share[..., None], axis=2)


def _rotations(layer: Any, tokens: int, state: State | None) -> int:
    """Random directions of a round: as many as there were chunks when the text began, if no number is given."""
    found = int(layer.n_rotations or max(1, tokens // layer.chunk))
    return found if state is None else int(state.setdefault("_rotations", found))


def planes(layer: Any, rotations: int) -> Array:
    """The random directions [h e n r]."""
    return np.random.default_rng(SEED).standard_normal((layer.n_heads, layer.d_head, layer.n_hashes, rotations))


def _buckets(layer: Any, q: Array, rotations: int, spare: bool) -> Array:
    """The bucket of each token in each round [b h n q]: the direction that it points in most, or its opposite."""
    turned = einsum("bhqe,henr->bhnqr", q, planes(layer, rotations))
    factors = [int(word) for word in layer.factors.split()] or [2 * rotations]
    found, before, product = np.zeros(turned.shape[:-1], int), 0, 1
    for factor in factors:
        some = turned[..., before : before + factor // 2]
        both = np.concatenate([some, -some], axis=-1)
        found, before, product = found + product * np.argmax(both, axis=-1), before + factor // 2, product * factor
    return found


def _of_tokens(layer: Any, w: Weights, past: Array, x: Array, state: State | None) -> Array:
    """New tokens behind those of their own chunk and of the ones before it [b q h e]."""
    cached, new = past.shape[1], x.shape[1]
    seen = cached if layer.hashed else min(cached, cached % layer.chunk + layer.before * layer.chunk)
    near = np.concatenate([past[:, cached - seen :], x], axis=1)
    q, v, k = project(w, "q", x), project(w, "v", near), project(w, "q" if layer.hashed else "k", near)
    query, key = cached + np.arange(new), cached - seen + np.arange(seen + new)
    if layer.hashed and cached + new >= layer.chunk and state is not None:
        flat = np.transpose(constant(k), (0, 2, 1, 3))
        state["_buckets"] = _buckets(layer, flat, _rotations(layer, cached + new, state), False)
    k = l2norm(k, layer.d_head * EPS) if layer.hashed else k
    hidden, itself = _met(layer, query, key, cached + new)
    if not layer.hashed:
        hidden = hidden | (key < ((query // layer.chunk - layer.before) * layer.chunk)[:, None])
    q, k, v = (np.transpose(part, (0, 2, 1, 3)) for part in (q, k, v))
    return np.transpose(_attended(layer, q, k, v, hidden, itself)[0], (0, 2, 1, 3))


def _of_a_token(layer: Any, w: Weights, past: Array, x: Array, state: State | None) -> Array:
    """Token after token behind many: each looks at what now stands around it in every round [b q h e]."""
    if state is None or "_buckets" not in state:
        raise UnsupportedError("the tokens before have no hashes", where="chunked_attention")
    found = []
    for number in range(x.shape[1]):
        all_ = np.concatenate([past, x[:, : number + 1]], axis=1)
        q = np.transpose(project(w, "q", x[:, number : number + 1]), (0, 2, 1, 3))
        own = _buckets(layer, constant(q), _rotations(layer, 0, state), False)
        state["_buckets"] = np.concatenate([state["_buckets"], own], axis=-1)
        near = _around(layer, state["_buckets"])  # [b h n k]
        chosen = all_[np.arange(len(near))[:, None, None, None], near]
        k, v = (einsum("bhnkd,dhe->bhnke", chosen, weight) for weight in (w.wq, w.wv))
        asks = np.repeat(q, layer.n_hashes, axis=2)[:, :, :, None]
        itself = (near == all_.shape[1] - 1)[:, :, :, None]
        mixed, total = _attended(layer, asks, l2norm(k, layer.d_head * EPS), v, np.zeros_like(itself), itself)
        found.append(mixed[:, :, 0] if total is None else _weighed(mixed, total))
    return np.transpose(np.concatenate(found, axis=2), (0, 2, 1, 3))


def _around(layer: Any, buckets: Array) -> Array:
    """The tokens in the chunk of the last one and in those beside it, of all in the order of their hashes [b h n k]."""
    order = np.argsort(buckets, axis=-1, kind="stable")
    tokens = order.shape[-1]
    chunk = np.argmax(order == tokens - 1, axis=-1) // layer.chunk - layer.before
    reach = np.arange((layer.before + 1 + layer.after) * layer.chunk)
    return np.take_along_axis(order, (chunk[..., None] * layer.chunk + reach) % tokens, axis=-1)
