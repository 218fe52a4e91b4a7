"""KV cache of serving engines: layers, groups of layers with equal pages, blocks, tokens and concurrency.

An engine allocates blocks of ``block_size`` tokens. The layers of a model are divided into groups. A block belongs to
one group and stores its tokens in every layer of that group, so all groups have the same number of layers and pages of
the same size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil, lcm

from ...calc.kv_cache import CACHED, LONG, SHORT, CachedTensor, StateSize
from ...core.amount import group_by
from ...core.form import Form
from ...core.record import NamedTuple
from .states import NO_STATES, StatePool

FULL, WINDOW, STATE = "full", "sliding", "state"
SCRATCH = "scratch"  # of one block per request, which holds tokens that an indexer has not summed up yet
ROWS = 16  # tokens, of blocks that are enlarged to the size of a recurrent state
ALL, ALIGNED = "all", "aligned"  # states that a request keeps if prefixes are cached: of each block, or two
INDEX = "index"  # role of the keys of an indexer
LONGEST = 2**40  # tokens, more than any window
CONVOLUTION = "conv"  # role of states whose last axis is that of tokens
NO_WIDTHS: Mapping[str, Fraction] = {}


class CacheLayer(NamedTuple):
    """Layers with the same cache on one rank.

    Attributes:
        kind: ``full``, ``sliding`` (the last ``window`` tokens) or ``state`` (of fixed size).
        bytes: bytes per token, or of the whole state.
        window: window length in tokens, or 0.
        n_layers: number of layers.
        multiple: number of tokens that divides the blocks of the layer's kernels.
        keys: part of ``bytes`` that stores keys of an indexer, which the engine does not align with states.
    """

    kind: str
    bytes: Fraction
    window: int
    n_layers: int
    multiple: int = 1
    keys: Fraction = Fraction()


def cache_layers(
    short: StateSize,
    long: StateSize,
    widths: Mapping[str, Fraction] = NO_WIDTHS,
    kept: int = 0,
    latent_rows: int = ROWS,
) -> tuple[CacheLayer, ...]:
    """Return the layers of a model from the sizes of its state after ``SHORT`` and ``LONG`` tokens.

    Layers that attend within chunks cache all tokens. Convolution states are divided like the recurrent states.
    ``widths`` holds the bytes of an element relative to those of the states, by role. A convolution state also keeps
    ``kept`` drafted tokens. Blocks of latents have a multiple of ``latent_rows`` tokens.
    """
    merged = Counter[tuple[str, Fraction, int, int, Fraction]]()
    both = zip(short.tensors, short.sizes, long.sizes, strict=True)
    for tensors in group_by(both, lambda each: layer_key(each[0])).values():
        first, keys, sums = tensors[0][0], Fraction(), dict[tuple[str, int], Fraction]()
        n_layers, n_ranks = first.entry.applied, max([tensor.n_ranks for tensor, *_ in tensors])
        rows = max([latent_rows if tensor.stores("latents") else ROWS for tensor, *_ in tensors])
        for tensor, (_, before), (_, after) in tensors:
            growth, own = Fraction(after - before, (LONG - SHORT) * n_layers), Fraction(before, n_layers)
            kind, window, size = FULL, 0, growth * widths.get(tensor.state.role, 1)
            if tensor.state.role == INDEX:
                keys += size
            if not growth and tensor.state.role in CACHED:
                window = window_of(tensor)
                kind, size = (WINDOW, own / window) if window else (FULL, own)
                if tensor.is_refilled and tensor.state.role != INDEX:
                    kind, window = FULL, 0
            elif not growth:
                kind, size = STATE, own * tensor.n_ranks / n_ranks * widths.get(tensor.state.role, 1)
                if kept and tensor.state.role == CONVOLUTION:
                    length = Fraction(str(tensor.factors[-1][1]))
                    size *= (length + kept) / length
            sums[kind, window] = sums.get((kind, window), Fraction()) + size
        for (kind, window), size in sums.items():
            merged[kind, size, window, rows, keys if kind == FULL else Fraction()] += n_layers
    return tuple(
        CacheLayer(kind, size, window, n_layers, multiple, indexed)
        for (kind, size, window, multiple, indexed), n_layers in merged.items()
        if size
    )


def layer_key(tensor: CachedTensor) -> tuple[object, ...]:
    """Return the place of the layer that a tensor belongs to."""
    entry = tensor.entry
    return entry.stack.name, entry.section, entry.run, entry.sublayer, entry.name


def window_of(tensor: CachedTensor) -> int:
    """Return the largest number of tokens that a tensor caches, or 0 if it caches all tokens."""
    for _, length in tensor.factors:
        if isinstance(length, Form) and (symbols := length.symbols() - {"b"}):
            first, second = (int(length(**dict.fromkeys(symbols, tokens))) for tokens in (LONGEST, 2 * LONGEST))
            return first if first == second else 0
    return 0


def round_up(length: int, multiple: int) -> int:
    """Return the smallest multiple that is not less than a length."""
    return -(-length // multiple) * multiple


class CacheGroup(NamedTuple):
    """Layers that share the blocks of a group: kind, window, tokens per block, and number of groups of these layers.

    ``bytes`` are those of the pages of all these groups in one block each, where groups have pages of different sizes.
    """

    kind: str
    window: int
    block_size: int
    n_groups: int
    bytes: Fraction = Fraction()

    def request_blocks(self, tokens: int, step_tokens: int, state_blocks: int) -> int:
        """Return the blocks that one request of ``tokens`` tokens needs in each of the groups.

        A window keeps its last tokens and those of the current step, which may start within a block. A group of states
        with more than one token per block keeps a state for each block of tokens instead of one.
        """
        if self.kind == STATE:
            return state_blocks + (-(-tokens // self.block_size) - 1 if self.block_size > 1 else 0)
        if self.kind == SCRATCH:
            return 1
        if self.kind == WINDOW:
            return -(-min(self.window + step_tokens, tokens) // self.block_size) + 1
        return -(-tokens // self.block_size)


class CacheGroups(NamedTuple):
    """Groups of a model, the bytes of a block of any group, and states outside of blocks.

    ``counted_bytes`` are the bytes of a block by which the engine divides those of a request to count requests, or 0
    if it counts blocks. ``checked_bytes`` are those of a block in the check whether a request fits, or 0 if they are
    those of a block.
    """

    groups: tuple[CacheGroup, ...]
    block_bytes: Fraction
    states: StatePool = NO_STATES
    counted_bytes: Fraction = Fraction()
    checked_bytes: Fraction = Fraction()

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return sum(group.n_groups for group in self.groups)

    def request_blocks(self, tokens: int, step_tokens: int, state_blocks: int = 1) -> int:
        """Return the blocks that one request of ``tokens`` tokens needs in all groups."""
        return sum(each.n_groups * each.request_blocks(tokens, step_tokens, state_blocks) for each in self.groups)

    def counted_blocks(self, tokens: int, step_tokens: int, state_blocks: int = 1) -> int:
        """Return the blocks that the log of the engine counts for one request of ``tokens`` tokens."""
        if not self.counted_bytes:
            return self.request_blocks(tokens, step_tokens, state_blocks)
        size = sum(each.bytes * each.request_blocks(tokens, step_tokens, state_blocks) for each in self.groups)
        return ceil(size / self.counted_bytes)


def cache_groups(
    layers: Sequence[CacheLayer], block_size: int, ratio: float = 1.0, is_grouped: bool = True,
    has_scratch: bool = False, chunk: int = 0,
) -> CacheGroups:  # fmt: skip
    """Divide layers into groups of equal pages. Without groups, a window is cached like all other layers.

    The number of layers in a group is that of the rarest kind of layer, or that of the most frequent kind if it is
    less than ``ratio`` times as frequent. Attention blocks are enlarged until a recurrent state fits into a page, to a
    multiple of ``chunk`` tokens where a state is kept for each block. With ``has_scratch``, windows are scratch blocks.
    """
    if not is_grouped:
        layers = [layer._replace(kind=FULL, window=0) if layer.kind == WINDOW else layer for layer in layers]
    tokens = [layer for layer in layers if layer.kind != STATE]
    states = [layer for layer in layers if layer.kind == STATE]
    if not tokens:
        return CacheGroups((CacheGroup(STATE, 0, 1, 1),), _sum(states))
    if len({(layer.kind, layer.window) for layer in layers}) == 1:
        return CacheGroups((CacheGroup(tokens[0].kind, tokens[0].window, block_size, 1),), _sum(tokens) * block_size)
    if states:
        kept = [layer for layer in tokens if layer.kind == FULL or not has_scratch]
        largest, row = max(layer.bytes for layer in states), min(layer.bytes - layer.keys for layer in kept)
        multiple = lcm(max(layer.multiple for layer in tokens), chunk or 1)
        block_size = max(block_size, multiple * ceil(largest / (multiple * row)))
    page = max(layer.bytes for layer in tokens if layer.kind == FULL or not has_scratch) * block_size
    kinds = Counter[tuple[str, int, int]]()
    for layer in layers:
        size = block_size if chunk else 1
        if layer.kind == WINDOW and has_scratch:
            layer, size = layer._replace(kind=SCRATCH), layer.window
        elif layer.kind != STATE:
            size = block_size * int(page / (layer.bytes * block_size))  # the rest of the page is padding
        kinds[layer.kind, layer.window, size] += layer.n_layers
    fewest, most = min(kinds.values()), max(kinds.values())
    n_layers = most if most < fewest * ratio else fewest
    groups = tuple(CacheGroup(*key, -(-count // n_layers)) for key, count in kinds.items())
    return CacheGroups(groups, page * n_layers)


def _sum(layers: Sequence[CacheLayer]) -> Fraction:
    """Return the bytes of all layers, per token or of their states."""
    return sum((layer.bytes * layer.n_layers for layer in layers), Fraction())


def flat_cache(
    layers: Sequence[CacheLayer], block_size: int, sliding_ratio: float = 1.0, states: StatePool = NO_STATES
) -> CacheGroups:
    """Return the cache of an engine whose blocks store their tokens in every layer.

    Layers with a window have ``sliding_ratio`` times as many tokens. Recurrent states are in the pool ``states``.
    """
    row = Fraction()
    for layer in layers:
        if layer.kind != STATE:
            row += layer.bytes * layer.n_layers * (Fraction(str(sliding_ratio)) if layer.kind == WINDOW else 1)
    own = _sum([layer for layer in layers if layer.kind == STATE])
    if not row:
        return CacheGroups((CacheGroup(STATE, 0, 1, 1),), own)
    return CacheGroups((CacheGroup(FULL, 0, block_size, 1),), row * block_size, states._replace(bytes=own))
