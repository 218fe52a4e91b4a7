"""The mLSTM layer with exponential gates and a normaliser [beck2024, Section 2.3; beck2025]."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy import einsum

from ....twins.functions import layernorm, operation, plus, sigmoid, softcap, softplus
from ....twins.heads import project
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, vector


class Memory(NamedTuple):
    """The state ``C`` [b h k v], the normaliser ``n`` [b h k], and the shared exponent ``m`` [b h]."""

    C: Array
    n: Array
    m: Array


def weights(layer: Any) -> list[Weight]:
    """Return the input and output projections, the per-head gates, and the norm."""
    d, h = layer.d_model, layer.n_heads
    keys, values = (h, layer.d_k // h), (h, layer.d_v // h)
    sizes = {"q": keys, "k": keys, "v": values, "o": values}
    found = [matrix(f"w{name}", d, size) for name, size in sizes.items()]
    found += [matrix("wi", d, h), vector("bi", h), matrix("wf", d, h), vector("bf", h)]
    found += [vector("norm", *values, mean=1.0), matrix("out", values, d)]
    if layer.bias:
        found += [vector(f"b{name}", *size) for name, size in sizes.items()] + [vector("norm_b", *values)]
        found += [vector("out_b", d)]
    return found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``C = f C + i k vᵀ; n = f n + i k; h = Cᵀ q / max(|n·q|, 1)``, then apply a norm and an output gate."""
    q, k, v, o = (project(w, name, x) for name in "qkvo")
    i, f = (einsum("bqd,dh->bqh", x, getattr(w, f"w{name}")) + getattr(w, f"b{name}") for name in "if")
    if layer.gate_softcap:
        i, f = softcap(i, layer.gate_softcap), softcap(f, layer.gate_softcap)
    rule = recurrence if step.decode else in_chunks
    y, *memory = rule(q, k, v, i, f, *_start(k, v, state), layer.chunk, layer.eps)
    if state is not None:
        state.update(Memory(*memory)._asdict())
    y = layernorm(y, layer.norm_eps, w.norm, w.get("norm_b"))
    return plus(einsum("bqhv,hvd->bqd", y * sigmoid(o), w.out), w.get("out_b"))


def recurrence(
    q: Array, k: Array, v: Array, i: Array, f: Array, C: Array, n: Array, m: Array, chunk: int, eps: float
) -> tuple[Array, ...]:
    """Compute the recurrence token by token. Gate exponents are relative to the largest exponent to avoid overflow."""
    outputs, memory, decay = [], Memory(C, n, m), -softplus(-f)
    q = q / math.sqrt(q.shape[-1])
    for t in range(q.shape[1]):
        m = np.maximum(decay[:, t] + memory.m, i[:, t])
        old, new = np.exp(decay[:, t] + memory.m - m), np.exp(i[:, t] - m)
        key = k[:, t] * new[..., None]
        C = old[..., None, None] * memory.C + einsum("bhk,bhv->bhkv", key, v[:, t])
        memory = Memory(C, old[..., None] * memory.n + key, m)
        read = einsum("bhk,bhkv->bhv", q[:, t], C)
        outputs.append(_normalise(read, einsum("bhk,bhk->bh", q[:, t], memory.n), m, eps))
    return np.stack(outputs, axis=1), *memory


@operation
def in_chunks(
    q: Array, k: Array, v: Array, i: Array, f: Array, C: Array, n: Array, m: Array, chunk: int, eps: float
) -> tuple[Array, ...]:
    """Compute the recurrence with decayed attention within chunks and a memory carried across chunks."""
    zero = 0.0 * k[:, 0]  # gives the initial memory a gradient, as after a context
    memory = Memory(C + zero[..., None] * v[:, 0, :, None, :], n + zero, m + np.sum(zero, axis=-1))
    outputs, decay = [], -softplus(-f)
    q = q / math.sqrt(q.shape[-1])
    for first in range(0, q.shape[1], chunk):
        here = slice(first, first + chunk)
        y, memory = _chunk(q[:, here], k[:, here], v[:, here], i[:, here], decay[:, here], memory, eps)
        outputs.append(y)
    return np.concatenate(outputs, axis=1), *memory


def _chunk(q: Array, k: Array, v: Array, i: Array, decay: Array, memory: Memory, eps: float) -> tuple[Array, Memory]:
    """Return the outputs of one chunk [b z h v] and the final memory, given the log decay ``decay`` [b z h]."""
    total = np.cumsum(decay, axis=1)  # [b z h]
    to, of = np.transpose(total, (0, 2, 1)), np.transpose(i - total, (0, 2, 1))  # [b h z]
    between = np.where(np.tri(q.shape[1], dtype=bool), to[..., :, None] + of[..., None, :], -np.inf)  # [b h q k]
    inter = to + memory.m[..., None]
    m = np.maximum(np.max(between, axis=-1), inter)  # [b h q]
    s = einsum("bqhk,bzhk->bhqz", q, k) * np.exp(between - m[..., None])
    earlier = q * np.transpose(np.exp(inter - m), (0, 2, 1))[..., None]
    read = einsum("bqhk,bhkv->bqhv", earlier, memory.C) + einsum("bhqz,bzhv->bqhv", s, v)
    weight = einsum("bqhk,bhk->bqh", earlier, memory.n) + np.transpose(np.sum(s, axis=-1), (0, 2, 1))
    y = _normalise(read, weight, np.transpose(m, (0, 2, 1)), eps)
    return y, _update(k, v, i + (total[:, -1:] - total), total[:, -1], memory)


def _update(k: Array, v: Array, exponent: Array, decay: Array, memory: Memory) -> Memory:
    """Return the memory after a chunk, given the key exponents [b z h] and the total log decay [b h]."""
    m = np.maximum(decay + memory.m, np.max(exponent, axis=1))
    old, key = np.exp(decay + memory.m - m), k * np.exp(exponent - m[:, None])[..., None]
    C = old[..., None, None] * memory.C + einsum("bzhk,bzhv->bhkv", key, v)
    return Memory(C, old[..., None] * memory.n + np.sum(key, axis=1), m)


def _normalise(read: Array, weight: Array, m: Array, eps: float) -> Array:
    """Compute ``read / max(|weight|, 1)`` for ``read`` and ``weight`` that are already scaled by ``exp(-m)``."""
    return read / (np.maximum(np.maximum(weight, -weight), np.exp(-m)) + eps)[..., None]


def _start(k: Array, v: Array, state: State | None) -> Memory:
    """Return the initial memory, or zeros if there is no context."""
    if state and "C" in state:
        return Memory(state["C"], state["n"], state["m"])
    heads = (k.shape[0], k.shape[2])
    return Memory(np.zeros((*heads, k.shape[3], v.shape[3])), np.zeros((*heads, k.shape[3])), np.zeros(heads))
