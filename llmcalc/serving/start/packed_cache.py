"""KV cache of layers whose pages differ in size, such as those that compress tokens, as vLLM packs them into blocks.

Layers that need the same number of blocks share a block table and are one type. A type is split into groups, so that
the groups have about as many layers. A block belongs to one group and has room for the largest one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil, isqrt

from ...calc.kv_cache import CACHED, LONG, SHORT, CachedTensor, StateSize
from ...core.amount import group_by, summed
from ...core.errors import InputError
from ...core.form import Form
from ...core.record import NamedTuple
from ...core.type_names import Any
from .cache import FULL, INDEX, WINDOW, CacheGroup, CacheGroups, layer_key, round_up, window_of

TUPLES = "tuples"  # a block has pages of every size for as many layers as the largest group
SIZES = "sizes"  # a block has as many pages of each size as any group
GROUPS = "groups"  # a block is as large as the largest group
PATTERNS = "patterns"  # the same, and types with as many pages of each size are repeated patterns
PADDED = (TUPLES, SIZES)  # rules in which pages of windows have a size of the other pages
FP32, FP16 = 4, 2  # bytes


class Page(NamedTuple):
    """Pages of equal layers: what they cache, their window, the tokens of a block, bytes, and number of layers."""

    kind: str
    window: int
    block_size: int
    bytes: int
    n_layers: int

    @property
    def type(self) -> tuple[str, int, int]:
        """What decides how many blocks a request needs."""
        return self.kind, self.window, self.block_size


def is_compressed(length: object) -> bool:
    """Return whether a cached length grows by less than one entry per token, but does grow."""
    return isinstance(length, Form) and 0 < _growth(length) < 1


def _growth(length: Form) -> Fraction:
    """Return the entries per token of a long request."""
    symbols = length.symbols() - {"b"}
    short, long = (length(**dict.fromkeys(symbols, tokens), b=1) for tokens in (SHORT, LONG))
    return Fraction(int(long - short), max(len(symbols), 1) * (LONG - SHORT))


def compressed_pages(states: StateSize, rule: Mapping[str, Any], block_size: int) -> tuple[Page, ...]:
    """Return the pages of layers that attend to a window and to summaries of ``rate`` tokens.

    A block of ``block_size`` tokens has a summary per ``rate`` tokens. Windows, and the sums of tokens that the next
    summary needs, are cached in blocks of their own sizes.

    Args:
        states: states of a model or of a part of it.
        rule: bytes of a cached vector by its role, the widths of these vectors, the tokens of a block of windows and of
            sums, and the multiple to which pages are padded.
        block_size: tokens per block.
    """
    found: list[Page] = []
    for tensors in _layers(states):
        n_layers = tensors[0].entry.applied
        for role in CACHED:
            own = [tensor for tensor in tensors if tensor.state.role == role]
            found += _pages(own, role, rule, block_size, n_layers)
    return tuple(found)


def _layers(states: StateSize) -> Iterable[Sequence[CachedTensor]]:
    """Return the states of each layer."""
    return group_by(states.tensors, layer_key).values()


def _pages(
    tensors: Sequence[CachedTensor], role: str, rule: Mapping[str, Any], block_size: int, n_layers: int
) -> Iterator[Page]:
    """Yield the pages of the vectors of a layer that have one role."""
    record, multiple = int(rule["records"][role]), int(rule["alignment"])
    pending = 2 * max((tensor.columns for tensor in tensors if tensor.stores("pending")), default=0)  # values and gates
    for tensor in tensors:
        length = tensor.factors[1][1]
        if tensor.stores("pending") or not isinstance(length, Form):
            continue
        window, growth = window_of(tensor), _growth(length)
        if tensor.columns != rule["widths"][role]:
            message = f"vLLM has no kernel for a cache of compressed tokens with vectors of {tensor.columns} values"
            raise InputError(message, parameter="engine", hint="use llmcalc memory for its size")
        if window:
            tokens = int(rule["window_block"])
            yield Page(WINDOW, window, tokens, round_up(tokens * record, multiple), n_layers)
            continue
        rate = int(1 / growth)
        yield Page(FULL, 0, block_size, round_up(block_size // rate * record, multiple), n_layers)
        if pending:
            n_covered = pending // (2 * tensor.columns)  # groups of tokens in a summary: two if it overlaps
            tokens = int(rule["state_blocks"].get(str(rate), 0))
            if not tokens:
                rates = " or ".join(rule["state_blocks"])
                message = f"vLLM compresses {rates} tokens into one, not {rate}"
                raise InputError(message, parameter="engine", hint="use llmcalc memory for the size of the cache")
            yield Page(WINDOW, n_covered * rate - 1, tokens, round_up(tokens * pending * FP32, multiple), n_layers)


def compressed_workspace(states: StateSize, rule: Mapping[str, Any], length: int, step_tokens: int) -> int:
    """Return the bytes of the workspace that vLLM keeps for prefills of layers with summaries.

    It is as large as what any layer gathers: the summaries, window and new tokens of some requests in 16 bits, or the
    keys of the indexer for some multiple of the longest request, and the workspace of its top-k kernel.
    """
    own, most = rule["workspace"], 0
    for tensors in _layers(states):
        cached = [tensor for tensor in tensors if not tensor.stores("pending")]
        windows = [window_of(tensor) + 1 for tensor in cached]
        for tensor in cached:
            size = tensor.factors[1][1]
            growth = _growth(size) if isinstance(size, Form) else Fraction()
            if tensor.state.role == INDEX:
                keys = int(own["lengths"] * length * growth)
                most = max(most, keys * int(rule["records"][INDEX]) + int(own["top_k"]))
            else:
                rows = ceil(length * growth) + max(windows) + step_tokens
                most = max(most, int(own["requests"]) * rows * tensor.columns * FP16)
    return most


def packed_groups(
    pages: Sequence[Page], packing: str, whole: Sequence[Page] = (), counts_bytes: bool = False
) -> CacheGroups:
    """Pack the pages of a pipeline stage into blocks.

    >>> pages = [Page(FULL, 0, 256, 100, 2), Page(FULL, 0, 256, 20, 2), Page(WINDOW, 127, 64, 100, 4)]
    >>> [packed_groups(pages, rule).block_bytes for rule in (TUPLES, GROUPS)]
    [Fraction(240, 1), Fraction(240, 1)]

    Args:
        pages: pages of equal layers.
        packing: how versions of vLLM do so: ``tuples``, ``sizes``, ``groups`` or ``patterns``.
        whole: pages of the whole model, whose layers decide the number of groups (default: ``pages``).
        counts_bytes: whether the engine divides the bytes of a request by those of the first group, not blocks.
    """
    types = _types(whole or pages)
    sizes = {page.bytes for page in pages if page.kind == FULL}
    all_sizes = {page.bytes for page in whole or pages if page.kind == FULL}
    n_groups = _numbers_of_groups(types, packing, all_sizes)
    groups, contents = [], []
    for kind, layers in _types(pages).items():
        layers = _padded(layers, all_sizes) if packing in PADDED and kind[0] == WINDOW else layers
        contents.append({size: -(-count // n_groups[kind]) for size, count in layers.items()})
        total = sum(size * count for size, count in layers.items())
        groups.append(CacheGroup(*kind, n_groups[kind], Fraction(total)))
    tuples = sum(sizes) * max(max(content.values()) for content in contents)
    block = tuples
    if packing == SIZES:
        every = {size for content in contents for size in content}
        block = sum(size * max(content.get(size, 0) for content in contents) for size in every)
    elif packing != TUPLES:
        block = max(sum(size * count for size, count in content.items()) for content in contents)
    counted = groups[0].bytes / groups[0].n_groups if counts_bytes else Fraction()
    checked = Fraction() if packing == PATTERNS else Fraction(tuples)
    return CacheGroups(tuple(groups), Fraction(block), counted_bytes=counted, checked_bytes=checked)


def _types(pages: Sequence[Page]) -> dict[tuple[str, int, int], dict[int, int]]:
    """Return the number of layers by the bytes of their pages, for each type. Full attention is the first type."""
    ordered = group_by(sorted(pages, key=lambda page: page.kind != FULL), lambda page: page.type)
    return {kind: summed((page.bytes, page.n_layers) for page in own) for kind, own in ordered.items()}


def _numbers_of_groups(
    types: Mapping[tuple[str, int, int], Mapping[int, int]], packing: str, sizes: Iterable[int]
) -> dict[tuple[str, int, int], int]:
    """Return the number of groups of each type. ``sizes`` are those of the pages of full attention."""
    most = {kind: max(layers.values()) for kind, layers in types.items()}
    if packing != PATTERNS:
        repeats = least_padding(list(most.values()), next(iter(most.values())))
        if packing in PADDED:  # pages of two sizes may get the same one
            most = {kind: max(_padded(layers, sizes).values()) for kind, layers in types.items()}
        return {kind: -(-count // repeats) if kind[0] == WINDOW else 1 for kind, count in most.items()}
    balanced = [kind for kind, layers in types.items() if len({*layers.values()}) == 1]
    least = max((most[kind] for kind in balanced if len(types[kind]) > 1), default=0)
    if not least:
        return dict.fromkeys(types, 1)
    repeats = least_padding([most[kind] for kind in balanced], least)
    return {kind: -(-count // repeats) if kind in balanced else 1 for kind, count in most.items()}


def least_padding(counts: Sequence[int], least: int) -> int:
    """Return the size of groups, of at least ``least`` layers, that adds the fewest layers to fill all groups.

    Among equal sizes, it is the largest. Between two sizes with the same number of groups, the smaller one adds fewer
    layers, so only the smallest size for each number of groups is tried.

    >>> least_padding([21, 43, 21, 20], 21)
    22
    """
    sizes = {least, *range(least, isqrt(max(counts)) + 1)}
    for count in counts:
        most = min(-(-count // least), isqrt(count) + 1)
        sizes |= {-(-count // number) for number in range(1, most + 1)}
    padding = {size: sum(-count % size for count in counts) for size in sizes if size >= least}
    fewest = min(padding.values())
    largest: int = max(size for size, added in padding.items() if added == fewest)
    return largest


def _padded(layers: Mapping[int, int], sizes: Iterable[int]) -> dict[int, int]:
    """Return layers whose pages have the next larger of some sizes."""
    return summed(
        (min((each for each in sizes if each >= size), default=size), count) for size, count in layers.items()
    )
