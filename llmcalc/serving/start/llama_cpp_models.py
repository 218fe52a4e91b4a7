"""Weights and KV cache that llama.cpp stores on each GPU and in host memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...calc.kv_cache import SHORT, state
from ...calc.pipeline_stages import layer_range
from ...core.architecture import Architecture
from ...core.interval import Interval
from ...core.record import NamedTuple
from ...engines.llama_cpp_weights import HOST, device_weights, read_placement
from ...fitting.memory import serving_weights
from ...inputs.number_formats import number_format
from .cache import STATE
from .llama_cpp_cache import CacheOptions, LlamaCppCache, llama_cpp_cache, llama_cpp_groups
from .memory import MIB, HostMemory
from .pool import CachePool, PoolGroup

MANY_TOKENS = 32  # of a step, from which on the GPU computes with matrices in host memory


class DeviceBytes(NamedTuple):
    """Bytes of weights and KV cache on a device."""

    weights: int
    cache: int


class LlamaCppModel(NamedTuple):
    """Sizes of a model in llama.cpp.

    Attributes:
        devices: bytes by number of the GPU (None: host memory).
        buffers: KV cache buffers on all devices.
        staged: bytes of the largest matrix in host memory that a GPU computes with, or 0.
        offloaded: number of layers on GPUs, with the output layer, and of all layers.
        drafts: bytes of the weights of a draft by device. Its cache is a part of that of the devices.
        draft_cache: bytes of the KV cache of a draft on all devices.
        groups: what a sequence occupies on each device.
    """

    devices: Mapping[int | None, DeviceBytes]
    buffers: LlamaCppCache
    staged: int
    offloaded: tuple[int, int]
    drafts: Mapping[int | None, int] = {}
    draft_cache: int = 0
    groups: Mapping[int | None, tuple[PoolGroup, ...]] = {}

    @property
    def host(self) -> DeviceBytes:
        """Bytes in host memory."""
        return self.devices.get(HOST, DeviceBytes(0, 0))

    @property
    def host_memory(self) -> HostMemory:
        """Bytes in host memory by what they are."""
        sizes = (*self.host, self.drafts.get(HOST, 0))
        named = zip(("weights", "KV cache", "draft"), sizes, strict=True)
        return HostMemory(tuple((name, Interval.exact(size)) for name, size in named if size))

    @property
    def gpus(self) -> list[DeviceBytes]:
        """Bytes on each GPU that stores a part of the model."""
        return [own for device, own in self.devices.items() if device is not HOST]

    @property
    def largest_gpu(self) -> int | None:
        """Number of the GPU that stores the most, or None if none does."""
        sizes = {name: sum(own) + self.drafts.get(name, 0) for name, own in self.devices.items() if name is not HOST}
        return max(sizes, key=lambda name: sizes[name], default=None)

    @property
    def largest(self) -> DeviceBytes:
        """Bytes on the GPU that stores the most."""
        return DeviceBytes(0, 0) if self.largest_gpu is None else self.devices[self.largest_gpu]

    @property
    def logged_sizes(self) -> dict[str, float]:
        """Sizes of the buffers in MiB by the names that the log gives them, without empty ones."""
        sizes = (sum(own.weights for own in self.gpus), self.host.weights, *self.buffers, self.draft_cache)
        named = zip(("model", "CPU model", "KV", "KV (window)", "RS", "draft KV"), sizes, strict=True)
        return {name: size / MIB for name, size in named if size}

    def free_on(self, free: float) -> dict[int | None, float]:
        """Return what is free for the cache of each GPU, from that of the largest one. Others have fewer weights."""
        weights = {name: own.weights + self.drafts.get(name, 0) for name, own in self.devices.items()}
        most = self.largest.weights + self.drafts.get(self.largest_gpu, 0)
        return {name: max(free + most - size, 0.0) for name, size in weights.items() if name is not HOST}

    def pool(self, free: float, tokens: int) -> CachePool:
        """Return the cache of the GPU that holds the fewest sequences of some tokens."""
        pools = [CachePool(self.groups.get(name, ()), space) for name, space in self.free_on(free).items()]
        return min(pools, key=lambda pool: pool.requests(tokens), default=CachePool((), max(free, 0.0)))

    def contexts(self, free: float) -> float:
        """Return how many caches of this size fit on the GPU that holds the fewest of them."""
        caches = {name: float(own.cache) or 1.0 for name, own in self.devices.items()}
        return min((space / caches[name] for name, space in self.free_on(free).items()), default=max(free, 0.0))

    def with_draft(self, draft: LlamaCppModel) -> LlamaCppModel:
        """Return the sizes together with those of a draft model."""
        nothing, names = DeviceBytes(0, 0), dict.fromkeys([*self.devices, *draft.devices])
        caches = {name: draft.devices.get(name, nothing).cache for name in names}
        own = {name: self.devices.get(name, nothing) for name in names}
        devices = {name: size._replace(cache=size.cache + caches[name]) for name, size in own.items()}
        weights = {name: size.weights for name, size in draft.devices.items()}
        staged = max(self.staged, draft.staged)
        groups = {name: (*self.groups.get(name, ()), *draft.groups.get(name, ())) for name in names}
        total = draft.buffers.total
        return self._replace(devices=devices, drafts=weights, draft_cache=total, staged=staged, groups=groups)


def llama_cpp_model(
    architecture: Architecture, settings: Mapping[str, Any], build: int, copies: int = 1
) -> LlamaCppModel:
    """Return the sizes of a model on each device. The layers of a GPU store their cache there.

    ``copies`` is the number of copies of recurrent states.
    """
    formats = serving_weights(architecture, settings.get("weights"), settings.get("dtype", "bf16"), (), ())
    placement, n_layers = read_placement(settings, build, settings.get("pp", 1)), architecture.main.n_layers
    weights = device_weights(architecture, formats, placement)
    options = cache_options(settings, build)
    whole = groups_of(architecture, settings, options, copies)
    ranges = placement.layer_ranges(n_layers)
    if settings.get("host_cache") or len(ranges) == 1:
        groups = {HOST if settings.get("host_cache") else next(iter(ranges)): whole}
    else:
        parts = {device: layer_range(architecture, own.start, own.stop) for device, own in ranges.items()}
        groups = {device: groups_of(part, settings, options, copies) for device, part in parts.items()}
    caches = {device: llama_cpp_cache(own, options).total for device, own in groups.items()}
    names = dict.fromkeys([*weights.by_device, *caches])
    devices = {name: DeviceBytes(weights.by_device.get(name, 0), caches.get(name, 0)) for name in names}
    is_copied = settings["max_num_batched_tokens"] >= MANY_TOKENS and not settings.get("host_compute")
    n_gpu = sum(placement.device(layer, n_layers) is not HOST for layer in range(n_layers + 1))
    staged, offloaded = weights.largest_on_host if is_copied else 0, (n_gpu, n_layers + 1)
    return LlamaCppModel(devices, llama_cpp_cache(whole, options), staged, offloaded, groups=groups)


def llama_cpp_layer(
    architecture: Architecture, layer: Architecture, weights: int, settings: Mapping[str, Any], build: int
) -> LlamaCppModel:
    """Return the sizes of a layer after the last one of a model, with which it shares its device."""
    n_layers, options = architecture.main.n_layers, cache_options(settings, build)
    own = groups_of(layer, settings, options)
    buffers = llama_cpp_cache(own, options)
    device = read_placement(settings, build, settings.get("pp", 1)).device(n_layers - 1, n_layers)
    place = HOST if settings.get("host_cache") else device
    devices = {device: DeviceBytes(weights, 0)}
    devices[place] = DeviceBytes(weights if place is device else 0, buffers.total)
    return LlamaCppModel(devices, buffers, 0, (0, 1), groups={place: own})


def cache_options(settings: Mapping[str, Any], build: int) -> CacheOptions:
    """Return the options of the KV cache in settings of llama.cpp."""
    return CacheOptions(
        settings["max_model_len"], settings["max_num_seqs"], settings["max_num_batched_tokens"], settings["unified"],
        bool(settings.get("full_window")), build,
    )  # fmt: skip


def groups_of(
    architecture: Architecture, settings: Mapping[str, Any], options: CacheOptions, copies: int = 1
) -> tuple[PoolGroup, ...]:
    """Return what a sequence occupies, with ``copies`` copies of recurrent states."""
    formats = (number_format(settings.get(name) or "fp16", name) for name in ("cache", "cache_v"))
    keys, values = (state(architecture, seq=SHORT, dtype="fp16", cache=each, extend=True) for each in formats)
    return tuple(
        group._replace(bytes=group.bytes * copies) if group.kind == STATE else group
        for group in llama_cpp_groups(keys, values, options)
    )
