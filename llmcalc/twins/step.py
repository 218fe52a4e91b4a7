"""The inputs of one step, shared between its layers, and the cache between steps."""

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
    """The tokens of one step, of one stack.

    Attributes:
        ids: token ids [b q]; zeros if the stack reads ``data``.
        data: frames [b r i] or patches [b q c (f) i j], read instead of tokens.
        cached: tokens of this stack in the cache.
        text: ids of all tokens so far, including this step's [b c+q]; None: the same as ``ids``.
        segments: segment ids [b q], or n per token [b q n]; None: all 0.
        boxes: left, upper, right and lower edge of each token on the page [b q 4]; None: all 0.
        source: input of cross-attention [b n d]: the encoder's output (None in a decode step, which has its keys
            cached), or the vectors of the patches that end in this step.
        image_tokens: image vectors [b m d], and a mask of the tokens that they replace [b q]; None: no image.
        vectors: patch vectors computed by a stack of bytes [b p·n d].
        own_ids: ids [b q] of tables with separate ids, by name.
        grid: rows and columns of the patches, in row-major order; None: no patches.
        prompt: learned tokens before all others.
        n_merged: patches merged into each position.
        whole_grid: the grid before merging.
        tower_results: earlier outputs of a tower with several.
        latent_arrays: learned vectors that will replace the stream, in order, each [b n d].
        streams: the residual stream before the first block and after each block.
        shared_keys: keys and values that later layers reuse, by their sizes (Gemma 3n).
        copies: copies of all tokens, concatenated in the stream (ProphetNet).
        saved_streams: named streams that later layers read.
        prefix: learned keys and values of prefix tuning, per self-attention layer, then per cross-attention layer.
        first_input: input of the first block [b q d].
        sublayer_inputs: the stream before each sub-layer of the current block, by the sub-layer's name.
        deferred_results: results added to the stream after a later sub-layer, by that sub-layer's name.
        block_sums: sums of the outputs of earlier groups of blocks.
        use_counts: runs of each sub-layer so far, by name; ``use_index``: earlier runs of the current sub-layer.
        angles: sines, then cosines, of the rotary angles [q e], if they come from a table.
        n_added: terms in the residual stream so far.
        depth: index of the current block, and number of blocks.
        layer_inputs: per-layer embeddings of the remaining layers, each [b q l].
        stream: the residual that the current sub-layer adds to [b q d].
        unnormed: input of the branches, before their own norms [b q d].
        router_before: hidden state of the previous router, if it is a network [b q f].
        unselected: mask of the tokens that the last indexer did not select for each query [b q k]; None: no indexer.
    """

    ids: Array
    cached: int = 0
    text: Array | None = None
    segments: Array | None = None
    boxes: Array | None = None
    source: Array | None = None
    vectors: Array | None = None
    image_tokens: tuple[Array, Array] | None = None
    own_ids: Mapping[str, Array] = field(default_factory=dict)
    data: Array | None = None
    grid: tuple[int, int] | None = None
    prompt: int = 0
    n_merged: int = 1
    whole_grid: tuple[int, int] | None = None
    latent_arrays: list[Array] = field(default_factory=list)
    tower_results: list[Array] = field(default_factory=list)
    streams: list[Array] = field(default_factory=list)
    shared_keys: dict[object, tuple[Array, Array]] = field(default_factory=dict)
    copies: int = 1
    saved_streams: dict[str, Array] = field(default_factory=dict)
    prefix: list[list[tuple[Array, Array]]] = field(default_factory=list)
    first_input: Array | None = None
    angles: Array | None = None
    sublayer_inputs: dict[str, Array] = field(default_factory=dict)
    deferred_results: dict[str, list[Array]] = field(default_factory=dict)
    block_sums: list[Array] = field(default_factory=list)
    use_counts: dict[str, int] = field(default_factory=dict)
    use_index: int = 0
    n_added: int = 1
    depth: tuple[int, int] = (0, 1)
    layer_inputs: list[Array] = field(default_factory=list)
    stream: Array | None = None
    unnormed: Array | None = None
    router_before: Array | None = None
    unselected: Array | None = None

    @property
    def decode(self) -> bool:
        """Whether the cache holds earlier tokens."""
        return self.cached > 0

    def restore_grid(self) -> None:
        """Undo the merging of patches."""
        self.grid, self.n_merged = self.whole_grid, 1

    def must_be_whole(self, kind: str) -> None:
        """Raise an UnsupportedError in a decode step, for kinds that see later tokens and have no cache."""
        if self.decode:
            raise UnsupportedError("it sees later tokens and cannot run token by token", where=kind)

    def must_have_copies(self, copies: int, kind: str) -> None:
        """Raise an UnsupportedError unless the stream holds this many copies of the tokens."""
        if self.copies != copies:
            raise UnsupportedError(f"it needs {copies} copies of the tokens, not {self.copies}", where=kind)

    def must_be_latents(self, wanted: int | None, x: Array, kind: str) -> None:
        """Raise an UnsupportedError unless ``x`` is the ``wanted`` number of learned vectors."""
        if wanted and (x.shape[1] != wanted or self.grid):
            raise UnsupportedError(f"it runs on {wanted} learned vectors, not on tokens", where=kind)

    @property
    def positions(self) -> Array:
        """Positions of the new tokens [q]."""
        return np.arange(self.cached, self.cached + self.ids.shape[1])


@dataclass
class Cache:
    """The state of a model between steps: the state of each layer, the number of tokens, and their ids."""

    layers: dict[tuple[object, ...], State] = field(default_factory=dict)
    length: int = 0
    text: Array | None = None

    def with_text(self, ids: Array) -> Array:
        """The ids of all tokens so far and of the new ones [b c+q]."""
        return ids if self.text is None else np.concatenate([self.text, ids], axis=1)

    def extend(self, ids: Array) -> None:
        """Append new tokens."""
        self.text = self.with_text(ids)
        self.length += ids.shape[1]

    def arrays(self) -> list[Array]:
        """The arrays of all layer states."""
        return [array for state in self.layers.values() for name, array in state.items() if name[0] != "_"]

    @property
    def elements(self) -> int:
        """Number of cached elements."""
        return sum(array.size for array in self.arrays())

    @property
    def bytes(self) -> int:
        """Cached bytes, in the arrays' own data types."""
        return sum(array.size * array.dtype.itemsize for array in self.arrays())
