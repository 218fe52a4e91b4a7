"""Step inputs shared by layers, the cache between steps, and patch vectors passed between stacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..core.errors import UnsupportedError
from .weights import Array

# State of one layer. Names with a leading underscore do not count as state: they are independent of the tokens, or
# hashes of other state.
State = dict[str, Array]


@dataclass
class Step:
    """Inputs and shared state of one stack during one step."""

    ids: Array  # token ids [b q]; zeros if the stack reads ``data``
    cached: int = 0  # number of tokens of this stack in the cache
    text: Array | None = None  # ids of all tokens so far, including this step's [b c+q]; None: the same as ``ids``
    segments: Array | None = None  # segment ids [b q], or n per token [b q n]; None: all 0
    boxes: Array | None = None  # left, upper, right and lower edge of each token's box [b q 4]; None: all 0
    # input of cross-attention [b n d]: the encoder's output (None in a decode step, which has its keys cached), or the
    # vectors of the patches that end in this step
    source: Array | None = None
    vectors: Array | None = None  # patch vectors computed by a stack of bytes [b p·n d]
    image_tokens: tuple[Array, Array] | None = None  # image vectors [b m d], and a mask of the replaced tokens [b q]
    own_ids: Mapping[str, Array] = field(default_factory=dict)  # ids [b q] of tables with separate ids, by name
    data: Array | None = None  # frames [b r i] or patches [b q c (f) i j], read instead of tokens
    grid: tuple[int, int] | None = None  # rows and columns of the patches, in row-major order; None: no patches
    prompt: int = 0  # number of learned tokens before all others
    n_merged: int = 1  # number of patches merged into each position
    whole_grid: tuple[int, int] | None = None  # the grid before merging
    latent_arrays: list[Array] = field(default_factory=list)  # vectors that will replace the stream, each [b n d]
    tower_results: list[Array] = field(default_factory=list)  # earlier outputs of a tower with several outputs
    streams: list[Array] = field(default_factory=list)  # the residual stream before and after each block
    # keys and values that later layers reuse, by their sizes (Gemma 3n)
    shared_keys: dict[object, tuple[Array, Array]] = field(default_factory=dict)
    copies: int = 1  # number of copies of all tokens, concatenated in the stream (ProphetNet)
    saved_streams: dict[str, Array] = field(default_factory=dict)  # named streams that later layers read
    # learned keys and values of prefix tuning, per self-attention layer, then per cross-attention layer
    prefix: list[list[tuple[Array, Array]]] = field(default_factory=list)
    first_input: Array | None = None  # input of the first block [b q d]
    unnormed_output: Array | None = None  # input of the final norm [b q d]
    previous_stream: Array | None = None  # that of the previous stack, in a module for multi-token prediction
    angles: Array | None = None  # sines, then cosines, of the rotary angles [q e], if they come from a table
    sublayer_inputs: dict[str, Array] = field(default_factory=dict)  # stream before each sub-layer of the current block
    deferred_results: dict[str, list[Array]] = field(default_factory=dict)  # by the preceding sub-layer
    block_sums: list[Array] = field(default_factory=list)  # sums of the outputs of earlier layer groups
    use_counts: dict[str, int] = field(default_factory=dict)  # number of runs of each sub-layer so far, by name
    use_index: int = 0  # number of earlier runs of the current sub-layer
    n_added: int = 1  # number of terms in the residual stream so far
    depth: tuple[int, int] = (0, 1)  # index of the current block, and number of blocks
    layer_inputs: list[Array] = field(default_factory=list)  # per-layer embeddings of the remaining layers [b q l]
    stream: Array | None = None  # the residual that the current sub-layer adds to [b q d]
    unnormed: Array | None = None  # input of the branches, before their own norms [b q d]
    router_before: Array | None = None  # hidden state of the previous router, if it is a network [b q f]
    unselected: Array | None = None  # mask of the tokens that the last indexer did not select [b q k]

    @property
    def decode(self) -> bool:
        """Whether the cache contains earlier tokens."""
        return self.cached > 0

    def must_be_whole(self, kind: str) -> None:
        """Raise an UnsupportedError in a decode step, since layers of this kind attend to later tokens."""
        if self.decode:
            raise UnsupportedError("the layer attends to later tokens, so it cannot run token by token", where=kind)

    def must_have_copies(self, copies: int, kind: str) -> None:
        """Raise an UnsupportedError unless the stream holds ``copies`` copies of each token."""
        if self.copies != copies:
            raise UnsupportedError(
                f"the stream must contain {copies} copies of the tokens, not {self.copies}", where=kind
            )

    def must_be_latents(self, wanted: int | None, x: Array, kind: str) -> None:
        """Raise an UnsupportedError unless ``x`` consists of ``wanted`` learned vectors."""
        if wanted and (x.shape[1] != wanted or self.grid):
            raise UnsupportedError(f"the input must be {wanted} learned vectors, not tokens", where=kind)

    @property
    def positions(self) -> Array:
        """Positions of the new tokens [q]."""
        return np.arange(self.cached, self.cached + self.ids.shape[1])


@dataclass
class Cache:
    """Model state between steps, consisting of layer states, the number of tokens, and token ids."""

    layers: dict[tuple[object, ...], State] = field(default_factory=dict)
    length: int = 0
    text: Array | None = None

    def with_text(self, ids: Array) -> Array:
        """Return the cached token ids followed by the new ids [b c+q]."""
        return ids if self.text is None else np.concatenate([self.text, ids], axis=1)

    def extend(self, ids: Array) -> None:
        """Append new token ids and update the length."""
        self.text = self.with_text(ids)
        self.length += ids.shape[1]

    def arrays(self) -> list[Array]:
        """Return the state arrays of all layers."""
        return [array for state in self.layers.values() for name, array in state.items() if name[0] != "_"]

    @property
    def elements(self) -> int:
        """Number of cached elements."""
        return sum(array.size for array in self.arrays())

    @property
    def bytes(self) -> int:
        """Size of the cached arrays in bytes."""
        return sum(array.size * array.dtype.itemsize for array in self.arrays())


def extended(state: State | None, kept: int | None = None, **new: Array) -> tuple[Array, ...]:
    """Return cached rows [b c ...] and new ones [b q ...], and cache the last ``kept`` of them (default: all)."""
    found = {
        name: np.concatenate([state[name], rows], axis=1) if state and name in state else rows
        for name, rows in new.items()
    }
    if state is not None:
        for name, rows in found.items():
            state[name] = rows[:, 0 if kept is None else max(0, rows.shape[1] - kept) :]
    return tuple(found.values())


def recalled(state: State | None, name: str, *shape: int) -> Array:
    """Return a cached array, or zeros if there is no context."""
    return state[name] if state and name in state else np.zeros(shape)


def store(state: State | None, **arrays: Array) -> None:
    """Cache arrays for the next step, if this step has a cache."""
    if state is not None:
        state.update(arrays)


def patches_begun(tokens: int, patch: int) -> int:
    """Return the number of patches that start within the first ``tokens`` bytes.

    >>> [patches_begun(tokens, 4) for tokens in (0, 1, 4, 5, 6, 9)]
    [0, 1, 1, 2, 2, 3]
    """
    return -(-tokens // patch)


@dataclass
class PatchHandover:
    """Byte and patch vectors passed between the stacks of a Byte Latent Transformer [pagnoni2024]."""

    ids: Array = None  # byte ids [b q]
    stream: Array = None  # output of the stack that ran on bytes [b q d]
    vectors: Array = None  # n vectors for each of p patches, in order [b p·n d]
    patches: Array = None  # output of the stack that ran on patches [b p n·d]

    def store(self, patch: int | None, step: Step, result: Array) -> None:
        """Store the output of a patch-level stack if ``patch`` is given, or of a byte-level stack otherwise."""
        if patch:
            self.patches = result
        else:
            self.ids, self.stream, self.vectors = step.ids, step.streams[-1], step.vectors

    def step(self, patch: int | None, width: int, cached: int) -> Step:
        """Return the next stack's step inputs for bytes, or for patches that start after ``cached`` bytes."""
        if self.vectors is None:
            raise UnsupportedError("no byte stack has produced patch vectors")
        b = self.ids.shape[0]
        if patch:
            before, ended = (patches_begun(tokens, patch) for tokens in (cached, cached + self.ids.shape[1]))
            ids = np.zeros((b, ended - before), int)
            if self.vectors.shape[1] * self.vectors.shape[2] != (ended - before) * width:
                raise UnsupportedError(f"the concatenated patch vectors do not have width {width}")
            return Step(ids, before, data=self.vectors.reshape(b, ended - before, width))
        if not self.vectors.shape[1]:
            return Step(self.ids, cached, data=self.stream, source=np.zeros((b, 0, width)))
        if self.patches is None or self.stream.shape[-1] != width or self.patches.shape[-1] % width:
            raise UnsupportedError(f"no stack has produced patch vectors that match the byte width ({width})")
        source = self.patches.reshape(b, self.patches.shape[1] * (self.patches.shape[-1] // width), width)
        return Step(self.ids, cached, data=self.stream, source=source)


def distances(step: Step, keys: int) -> Array:
    """Return the distances [q k] of the new tokens from the last ``keys`` tokens. Earlier keys have positive ones."""
    found: Array = step.positions[:, None] - np.arange(step.cached + step.ids.shape[1])[-keys:]
    return found
