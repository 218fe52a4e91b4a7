"""What a layer is told about the step that it takes part in, and what it may keep for the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..core.errors import UnsupportedError
from .weights import Array

# One layer's. Names that begin with an underscore are no state: they depend on no token, or are no more than hashes of
# what is kept.
State = dict[str, Array]


@dataclass
class Step:
    """The tokens of one step, of one stack.

    Attributes:
        ids: token ids [b q]; of a stack that reads data, as many zeros.
        data: what such a stack reads instead: frames [b r i], or patches [b q c (f) i j].
        cached: tokens of this stack that earlier steps have seen.
        text: the ids of all tokens so far, those of this step included [b c+q]; None: there are no others.
        segments: segment ids [b q], or several of each token [b q n]; None: all 0.
        boxes: left, upper, right and lower edge of each token on the page [b q 4]; None: all 0.
        source: the encoder's output [b n d], for cross-attention; None in a decode step, which has its keys cached. Of
            bytes the vectors of the patches that end in this step.
        seen: vectors of an image [b m d], and the tokens whose places they take [b q]; None: there is no image.
        vectors: those that a stack of bytes has made of these patches [b p·n d].
        own_ids: ids [b q] of tables that have ids of their own, by the name of these.
        grid: rows and columns of the patches, which come row by row; None: there are none.
        prompt: learned tokens that stand before all others.
        merged: patches that have become one position.
        whole_grid: the grid before patches became one.
        results: what a tower has given before its last result.
        arrays: learned vectors that are still to take the place of the stream, in their order, each [b n d].
        streams: what the stream was before the blocks, and behind each of them.
        keys: keys, values and positions that later layers may use again, by what they are [Gemma 3n].
        copies: of all tokens, one behind the other in the stream [ProphetNet].
        kept: what the stream was at places that later layers come back to.
        prefix: learned keys and values of the attention layers to come (prefix tuning): those of attention within the
            stack, then those of cross-attention, each layer by layer.
        first: what the first block gets [b q d].
        before: what the stream was before each sub-layer of the block at work, by the sub-layer's name.
        joining: results that join the stream behind a later sub-layer of the block, by that one's name.
        groups: sums of what groups of earlier blocks gave, to which later ones look back.
        turns: how often sub-layers of each name have run; ``turn`` how often the one at work had before.
        angles: sines, then cosines, by which attention rotates [q e], if they come from a table.
        n_added: terms of the stream so far, where they weigh by their number.
        depth: number of the block at work, and how many there are.
        layer_inputs: what per-layer embeddings have for the layers to come, each [b q l].
        stream: what the result of the sub-layer at work is added to [b q d].
        unnormed: what the branches of a sub-layer get, in front of norms of their own [b q d].
        router_before: what the last router saw, if it is a network [b q f].
        not_chosen: which tokens the last indexer has left out for each query [b q k]; None: there was none.
    """

    ids: Array
    cached: int = 0
    text: Array | None = None
    segments: Array | None = None
    boxes: Array | None = None
    source: Array | None = None
    vectors: Array | None = None
    seen: tuple[Array, Array] | None = None
    own_ids: Mapping[str, Array] = field(default_factory=dict)
    data: Array | None = None
    grid: tuple[int, int] | None = None
    prompt: int = 0
    merged: int = 1
    whole_grid: tuple[int, int] | None = None
    arrays: list[Array] = field(default_factory=list)
    results: list[Array] = field(default_factory=list)
    streams: list[Array] = field(default_factory=list)
    keys: dict[object, tuple[Array, Array]] = field(default_factory=dict)
    copies: int = 1
    kept: dict[str, Array] = field(default_factory=dict)
    prefix: list[list[tuple[Array, Array]]] = field(default_factory=list)
    first: Array | None = None
    angles: Array | None = None
    before: dict[str, Array] = field(default_factory=dict)
    joining: dict[str, list[Array]] = field(default_factory=dict)
    groups: list[Array] = field(default_factory=list)
    turns: dict[str, int] = field(default_factory=dict)
    turn: int = 0
    n_added: int = 1
    depth: tuple[int, int] = (0, 1)
    layer_inputs: list[Array] = field(default_factory=list)
    stream: Array | None = None
    unnormed: Array | None = None
    router_before: Array | None = None
    not_chosen: Array | None = None

    @property
    def decode(self) -> bool:
        """Whether there are tokens before."""
        return self.cached > 0

    def restore_grid(self) -> None:
        """All patches apart again."""
        self.grid, self.merged = self.whole_grid, 1

    def must_be_whole(self, kind: str) -> None:
        """Raise an UnsupportedError in a decode step: a layer of this kind sees both ways and keeps nothing."""
        if self.decode:
            raise UnsupportedError("it sees later tokens, so tokens cannot come one by one", where=kind)

    def must_have_copies(self, copies: int, kind: str) -> None:
        """Raise an UnsupportedError unless the stream holds so many copies of all tokens."""
        if self.copies != copies:
            raise UnsupportedError(f"it runs on {copies} copies of the tokens, but there are {self.copies}", where=kind)

    def must_be_latents(self, wanted: int | None, x: Array, kind: str) -> None:
        """Raise an UnsupportedError unless a layer that runs on so many learned vectors gets these."""
        if wanted and (x.shape[1] != wanted or self.grid):
            raise UnsupportedError(f"it runs on {wanted} learned vectors, not on the tokens", where=kind)

    @property
    def positions(self) -> Array:
        """Where the new tokens stand [q]."""
        return np.arange(self.cached, self.cached + self.ids.shape[1])


@dataclass
class Cache:
    """The state of a whole model between steps: that of each layer, and the text so far, of so many tokens."""

    layers: dict[tuple[object, ...], State] = field(default_factory=dict)
    length: int = 0
    text: Array | None = None

    def with_text(self, ids: Array) -> Array:
        """The text so far with new tokens [b c+q]."""
        return ids if self.text is None else np.concatenate([self.text, ids], axis=1)

    def extend(self, ids: Array) -> None:
        """Take new tokens for seen."""
        self.text = self.with_text(ids)
        self.length += ids.shape[1]

    def arrays(self) -> list[Array]:
        """What is kept of the tokens."""
        return [array for state in self.layers.values() for name, array in state.items() if name[0] != "_"]

    @property
    def elements(self) -> int:
        """Numbers kept."""
        return sum(array.size for array in self.arrays())

    @property
    def bytes(self) -> int:
        """Bytes kept, as the arrays have them."""
        return sum(array.size * array.dtype.itemsize for array in self.arrays())
