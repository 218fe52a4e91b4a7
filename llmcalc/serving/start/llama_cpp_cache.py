"""Caches that llama.cpp and its fork ik_llama.cpp allocate: keys, values and latents, windows and recurrent states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

from ...calc.kv_cache import CACHED, CachedTensor, StateSize
from ...core.architecture import declare
from ...core.record import NamedTuple
from .cache import FULL, STATE, WINDOW, window_of
from .pool import PoolGroup

CELLS, CELLS_WITHOUT_FLASH = 256, 32  # a cache holds a multiple of these tokens
STATE_BYTES = 4  # per element of a recurrent or convolution state
# first builds with these caches: pull requests 12801, 13194, 16812 and 19067
LATENTS, SHORT_WINDOWS, EQUAL_CELLS, NO_VALUES = 5_130, 5_434, 6_890, 7_820
USED_LAYERS = 3_918  # first build of ik_llama.cpp that only caches the layers that it runs: pull request 843


class LlamaCppCache(NamedTuple):
    """Bytes of the buffers: of all tokens, of the last tokens of sliding windows, and of recurrent states."""

    full: int
    window: int
    states: int

    @property
    def total(self) -> int:
        """Sum of the buffers."""
        return self.full + self.window + self.states


class CacheOptions(NamedTuple):
    """Options of llama.cpp.

    Attributes:
        context: tokens of all sequences.
        parallel: number of sequences.
        ubatch: tokens of a physical batch.
        unified: whether all sequences share one buffer.
        swa_full: whether windows are cached at full length.
        build: build number (default: the newest one).
        mla: ``-mla`` of ik_llama.cpp: 0 caches keys and values of heads, 1 also transposed latents.
        flash_attention: whether flash attention is used, which needs no transposed latents.
        is_fork: whether the program is ik_llama.cpp, whose builds have numbers of their own.
    """

    context: int
    parallel: int = 1
    ubatch: int = 512
    unified: bool = False
    swa_full: bool = False
    build: int | None = None
    mla: int | None = None
    flash_attention: bool = True
    is_fork: bool = False

    @property
    def caches_unused_layers(self) -> bool:
        """Whether layers of the file that the program does not run, which predict further tokens, are cached too."""
        return self.is_fork and self.is_before(USED_LAYERS)

    def is_before(self, build: int) -> bool:
        """Whether the build is older than another one."""
        return self.build is not None and self.build < build


def llama_cpp_groups(keys: StateSize, values: StateSize, options: CacheOptions) -> Iterator[PoolGroup]:
    """Yield what a sequence occupies, from its state in the format of the keys and of the values.

    The two states are of the same number of tokens, which is longer than any window.
    """
    is_small = not options.flash_attention and options.is_before(EQUAL_CELLS)
    cells = CELLS_WITHOUT_FLASH if is_small else CELLS
    for (tensor, as_key), (_, as_value) in zip(keys.sizes, values.sizes, strict=True):
        layers = tensor.entry.applied
        if tensor.state.role not in CACHED:
            elements = prod(length for _, length in tensor.factors if isinstance(length, int))
            yield PoolGroup(STATE, 0, 1, elements * STATE_BYTES * layers)
            continue
        length = window_of(tensor)
        row = (as_value if tensor.stores("values") else as_key) // (length or keys.workload.seq)
        if tensor.stores("latents"):
            row = _latent_row(tensor, row, as_value // keys.workload.seq, options)
        if length and not (options.swa_full or options.is_before(SHORT_WINDOWS)):
            tokens = (length + 1) * (options.parallel if options.unified else 1) + options.ubatch
            yield PoolGroup(WINDOW, tokens + 1 - CELLS, CELLS, CELLS * row)
        else:
            yield PoolGroup(FULL, 0, cells, cells * row)


def llama_cpp_cache(groups: Iterable[PoolGroup], options: CacheOptions) -> LlamaCppCache:
    """Return the buffers that store what the sequences occupy."""
    buffers = 1 if options.unified else options.parallel
    context = -(-options.context // buffers)  # of each buffer
    sizes = dict.fromkeys((FULL, WINDOW, STATE), 0)
    for group in groups:
        sizes[group.kind] += int(group.bytes_of(context)) * (options.parallel if group.kind == STATE else buffers)
    return LlamaCppCache(*sizes.values())


def _latent_row(tensor: CachedTensor, key: int, value: int, options: CacheOptions) -> int:
    """Return the bytes per token of a part of the latents, or of the keys and values of all heads instead of it."""
    stored, axes = tensor.entry.layer.STORED, declare(tensor.entry.layer).axes
    heads, is_first = (stored.head_keys, stored.head_values), tensor.state.name == stored.latents.split()[0]
    if any(heads) and (options.mla == 0 or (options.mla is None and options.is_before(LATENTS))):
        n_keys, n_values = (prod(int(axes[axis]) for axis in own.split()) for own in heads)
        return (n_keys * key + n_values * value) // tensor.columns if is_first else 0
    is_old = options.mla is None and options.is_before(NO_VALUES)
    has_values = is_old or (options.mla == 1 and not options.flash_attention)
    return key + (value if has_values and is_first else 0)
