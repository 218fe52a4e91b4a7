"""What a serving engine stores in host memory, and whether memory that host and GPU share is enough for both."""

from __future__ import annotations

from ...core.interval import Interval
from ...core.record import changed
from ...core.type_names import Any
from ...engines.profile import GIB
from .cache import FULL
from .memory import HostMemory
from .models import ADAPTERS
from .offload import host_cache
from .start import Start


def within_unified_memory(result: Start) -> Start:
    """Return the result with a refusal if GPU and host share one memory, and what both store exceeds it."""
    shared = result.deployment.accelerator.shared_bytes if result.deployment.accelerator else None
    host, memory, ranks = result.host.total.best, result.memory, result.ranks
    if shared is None or not host:
        return result
    used = float(memory.budget)
    if result.placed:  # other engines fill their budget with the cache
        used += float(result.groups.block_bytes) - memory.available.best
    if host + ranks * used <= ranks * shared:
        return result
    sizes = f"{host / GIB:.2f} GiB in host memory and {ranks * used / GIB:.2f} GiB on the GPU"
    text = f"{sizes} exceed the {ranks * shared / GIB:.2f} GiB that programs have of the unified memory"
    return changed(result, refusals=(*result.refusals, text))


def in_host_memory(result: Start, offloaded: Interval) -> dict[str, Any]:
    """Return what the host stores for all ranks, and the tokens of the cache there."""
    if result.placed:
        return {"host": result.placed.host_memory}
    cache, groups, settings = host_cache(result.settings), result.groups, result.settings
    replicas = 1 if settings.get("attention_dp") else settings.get("dp", 1)
    ranks = result.ranks // replicas
    parts = [("weights", offloaded.scaled(result.ranks).rounded())] if offloaded.high else []
    parts += _adapters_on_host(result)
    if not cache:
        return {"host": HostMemory(tuple(parts))}
    tokens = min([group.block_size for group in groups.groups if group.kind == FULL] or [1])
    parts.append(("KV cache", cache.total(groups.block_bytes / tokens, ranks, replicas, result.tokens)))
    on_host = cache.tokens(groups.block_bytes, tokens, groups.n_groups, ranks, result.tokens)
    return {"host": HostMemory(tuple(parts)), "host_tokens": on_host}


def _adapters_on_host(result: Start) -> list[tuple[str, Interval]]:
    """Return the adapters that vLLM keeps for each rank. They may have smaller ranks than the slots on the GPU."""
    settings, sizes = result.settings, [size for name, size in result.memory.extras if name.startswith(ADAPTERS)]
    kept = settings.get("max_cpu_loras")
    if not sizes or not kept:
        return []
    most = sizes[0].scaled(result.ranks * kept / settings["max_loras"]).rounded()
    return [("LoRA adapters, at most", Interval(0, most.best, most.high))]
