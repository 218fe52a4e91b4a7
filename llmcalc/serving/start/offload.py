"""Weights and KV cache that vLLM and SGLang keep in host memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction

from ...core.errors import InputError
from ...core.interval import Interval
from ...core.record import NamedTuple
from ...core.type_names import Any
from ...engines.profile import GIB

GB = 10**9
USUAL_RATIO = 2.0  # SGLang: tokens in host memory per token on the GPU
LMCACHE_GIB = 5.0  # LMCache: max_local_cpu_size of a rank
GPU, REPLICA = "gpu", "replica"


def offloaded_weights(settings: Mapping[str, Any], layers: int, n_layers: int, largest: int) -> tuple[Interval, int]:
    """Return the bytes of the weights of a rank that are in host memory, and those of buffers for them on the GPU.

    ``cpu_offload_gb`` moves matrix after matrix of the ``n_layers`` layers, which have ``layers`` bytes, until they
    reach this size, so that it may be exceeded by a part of the ``largest`` matrix. ``offload_group_size`` moves the
    last layers of each group, and prefetches some of them into buffers.
    """
    if group := settings.get("offload_group_size"):
        per_group = settings.get("offload_num_in_group") or 1
        moved = sum(layer % group >= group - per_group for layer in range(n_layers))
        buffers = min(settings.get("offload_prefetch_step") or 1, moved)
        return Interval.exact(layers * moved // n_layers), layers * buffers // n_layers
    size = round((settings.get("cpu_offload_gb") or 0) * GIB)
    if not size:
        return Interval.exact(0), 0
    most = Interval(size, size + largest // 2, size + largest)
    return most.each(lambda own: min(own, layers)), 0


class HostCache(NamedTuple):
    """KV cache in host memory: its bytes per rank or per replica, or its tokens per token on the GPU."""

    bytes: int = 0
    of: str = REPLICA
    ratio: float = 0.0

    def tokens(self, block_bytes: Fraction, block_tokens: int, n_groups: int, ranks: int, on_gpu: Interval) -> Interval:
        """Return the number of tokens, in whole blocks of all groups of layers."""
        if self.ratio:
            return on_gpu.each(lambda tokens: int(tokens * self.ratio) // block_tokens * block_tokens)
        each = block_bytes * (ranks if self.of == REPLICA else 1)
        return Interval.exact(self.bytes // each // n_groups * block_tokens if each else 0)

    def total(self, token_bytes: Fraction, ranks: int, replicas: int, on_gpu: Interval) -> Interval:
        """Return the bytes on all ranks of all replicas."""
        if self.ratio:
            return on_gpu.scaled(self.ratio * float(token_bytes) * ranks * replicas).rounded()
        return Interval.exact(self.bytes * replicas * (ranks if self.of == GPU else 1))


def host_cache(settings: Mapping[str, Any]) -> HostCache | None:
    """Return the KV cache in host memory that settings ask for, if any."""
    if settings.get("hierarchical_cache"):
        if size := settings.get("hicache_size"):
            return HostCache(round(size * GB), GPU)
        return HostCache(ratio=settings.get("hicache_ratio") or USUAL_RATIO)
    if size := settings.get("kv_offloading_size"):
        return HostCache(round(size * GIB))
    return _of_connector(settings["kv_transfer_config"]) if settings.get("kv_transfer_config") else None


def _of_connector(text: str) -> HostCache | None:
    """Read vLLM's ``kv_transfer_config``, or the name of a connector. Some store nothing in host memory."""
    try:
        found: Any = json.loads(text) if text.startswith("{") else {"kv_connector": text}
        name, extra = str(found["kv_connector"]), found.get("kv_connector_extra_config") or {}
        size = float(extra.get("cpu_bytes_to_use") or 0)
    except (ValueError, TypeError, KeyError, AttributeError):
        hint = 'use JSON such as {"kv_connector": "OffloadingConnector", "kv_role": "kv_both"}'
        raise InputError("invalid JSON in kv_transfer_config", parameter="command", hint=hint) from None
    if name.startswith("LMCache"):
        return HostCache(round(float(extra.get("lmcache.max_local_cpu_size") or LMCACHE_GIB) * GIB), GPU)
    return HostCache(round(size)) if size else None
