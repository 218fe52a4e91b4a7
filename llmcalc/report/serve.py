"""Report for ``serve`` with the memory that an engine takes on each GPU, and the size of its KV cache."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from ..core.interval import Interval
from ..core.printable import three_digits
from ..engines.profile import GIB
from ..engines.settings import states_all
from ..estimate.hardware import SYSTEM_BYTES
from ..inputs.serving_settings import SERVE
from ..serving.start.layout_error import LayoutError
from ..serving.start.llama_cpp_fit import MARGIN
from ..serving.start.memory import MIB, STATIC
from ..serving.start.start import LAYOUT, Start
from .document import Cell, Document, Fact, Table, assumed_settings, columns, next_table, summary_table, table_of
from .file_formats import sixteen_bit_line
from .heading import model_document, named_values
from .numbers import BYTES, about, ends_text

SHOWN = (
    "tp", "pp", "dp", "expert_parallel", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "share", "dtype",
    "weights", "cache", "block_size", "enforce_eager", "gpu_layers", "cpu_experts", "cpu_all_experts", "cpu_dense",
    "tensor_overrides", "host_cache", "cpu_offload_gb", "kv_offloading_size", "hicache_ratio", "hicache_size",
)  # fmt: skip
REQUESTS = "requests at once"
ASSUMED = (
    "engine", "engine_version", "tp", "pp", "dp", "max_model_len", "max_num_seqs", "max_num_batched_tokens",
    "gpu_memory_utilization",
)  # fmt: skip
STARTED: dict[str, Callable[[Start], Cell]] = {
    "GPUs: number": lambda one: one.ranks, "cached tokens: number": lambda one: f"{one.tokens.best:,.0f}",
    f"{REQUESTS}: number": lambda one: f"{one.concurrency.best:.2f}",
}  # fmt: skip
REFUSED = "will not start"
MISSING = "missing"


def serve_document(result: Start) -> Document:
    """Build the report of an engine. The title is the answer."""
    card, command, line = result.deployment.accelerator, result.deployment.command, ""
    if result.starts and not command and states_all(result):
        line = result.line()
    notes, details = start_notes(result), start_details(result)
    unmodelled = command.unmodelled if command else ()
    log = [(line,) for line in result.log()] if result.starts else []
    stated = [*notes, *([f"command: {line}"] if line else []), *details]
    return model_document(
        result.architecture,
        "serve",
        lambda: (
            {"gpu": card.to_dict() if card else None},
            {**result.to_dict(), "notes": [*stated, *result.architecture.notes]},
        ),
        f" in {result.engine_title} on {used_text(result)} × {card.title if card else 'GPU'}",
        answer=f"{'✓' if result.starts else '✗'} {result.summary}",
        excess=result.excess,
        assumed=assumed_settings(SERVE, assumed_of(result)),
        lines=(named_values(settings_of(result)),),
        alerts=[*(f"the effect of {flag} on the memory is not computed" for flag in unmodelled), *result.warnings],
        summary=Table("", (), []) if result.refusals else memory_summary(result, *_held(result)),
        facts=tuple(_cache(result)),
        tables=(memory_table(result), Table("the log will say", columns("line: text"), log)),
        next=_next(result, line),
        notes=notes,
        details=details,
    )


def assumed_of(result: Start) -> dict[str, Any]:
    """Return the values of settings that the engine has by itself. A command line states all others."""
    own = {"engine": result.engine, "engine_version": result.profile.version, **result.settings, **sizes_of(result)}
    if not result.placed:
        own["gpu_memory_utilization"] = f"{result.settings['share']:.4g}"
    stated = {each.name for each in SERVE if each.part != "machine"} if result.deployment.command else ()
    return {
        name: value for name, value in own.items() if name not in stated and name in ASSUMED and not result.refusals
    }


def _held(result: Start) -> list[Fact]:
    """Return the tokens in the KV cache, and the requests at once."""
    if result.memory.available.best <= 0 or result.buffers:
        return []
    tokens, (low, requests, high) = result.tokens, map(three_digits, result.concurrency)
    what = "sequences" if result.is_recurrent else f"of {result.max_model_len:,} tokens"
    held = Fact(REQUESTS, requests, what, interval=f"{low} to {high}")
    if result.is_recurrent:
        return [held]
    return [Fact("cached tokens", f"{tokens.best:,.0f}", interval=f"{tokens.low:,.0f} to {tokens.high:,.0f}"), held]


def refused_document(error: LayoutError) -> Document:
    """Build the report of an engine that does not start, as its number of ranks does not divide the model."""
    lines = [{"command": result.offer(change), "settings": change} for change, result in error.changes]
    data = {"starts": False, "verdict": REFUSED, "reason": error.message, "changes": lines}
    return model_document(
        error.architecture,
        "serve",
        lambda: ({}, data),
        answer=f"✗ {REFUSED.capitalize()}: {error.message}",
        summary=Table("", (), []),
        next=next_table([(result.offer(change), result) for change, result in error.changes], STARTED),
    )


def used_text(result: Start) -> str:
    """Return the number of GPUs of a layout, such as ``8``, or ``8 of 11`` if it leaves some unused."""
    count = result.deployment.gpus.count or 0
    return f"{result.ranks} of {count}" if result.ranks < count else str(result.ranks)


def settings_of(result: Start) -> dict[str, Any]:
    """Return the settings that are shown."""
    own = {**result.settings, "share": f"{result.settings['share']:.4g}"}
    named = {name: own[name] for name in SHOWN if own.get(name) not in (None, False)}
    return {(result.profile.share_name if name == "share" else name): value for name, value in named.items()}


def _next(result: Start, line: str) -> Table:
    """Return command lines with which the engine starts, or with which the GPUs store the whole model."""
    lines = [(result.offer(change), one) for change, one in result.changes] or ([(line, result)] if line else [])
    if result.placed:
        return next_table(lines, {"host memory: about bytes": lambda one: int(one.host.total.best)})
    return next_table(lines, STARTED)


def memory_rows(result: Start) -> list[tuple[str, Interval, str]]:
    """Return the parts of the memory of a GPU, which add up to it, each with what it rests on."""
    memory, free, profile = result.memory, result.memory.available, result.profile
    logs = f"{profile.title} {ends_text(*profile.measured)}" if profile.measured else profile.title
    outside = [memory.activation, memory.non_torch] if profile.rule == STATIC else []
    outside += [] if memory.counts_graphs else [memory.graphs]
    unused = Interval.exact(memory.total - memory.budget - sum(size.best for size in outside))
    last: list[tuple[str, Interval, str]] = [("states" if result.is_recurrent else "KV cache", free, logs)]
    if free.best <= 0:
        last = [(MISSING, Interval(-free.high, -free.best, -free.low), "")]
    elif result.buffers:
        cache, has_keys = Interval.exact(float(result.groups.block_bytes)), result.buffers.full or result.buffers.window
        last = [("KV cache" if has_keys else "states", cache, logs), ("free", free - cache, logs)]
    return [
        ("weights", memory.weights, "checkpoint"), *((name, size, "checkpoint") for name, size in memory.extras),
        ("activations", memory.activation, logs), ("engine", memory.non_torch, logs),
        ("CUDA graphs", memory.graphs, logs), *last,
        ("not used", unused, f"{profile.title} uses {result.settings['share']:.4g}"),
    ]  # fmt: skip


def memory_table(result: Start) -> Table:
    """Return the parts of the memory of a GPU in bytes."""
    whole, parts = result.memory.total, [part for part in memory_rows(result) if part[1].high]
    return table_of("per GPU", parts, {
        "part: name": itemgetter(0), "low: about bytes 1": lambda part: int(part[1].low),
        "best: about bytes": lambda part: int(part[1].best), "high: about bytes 1": lambda part: int(part[1].high),
        "of memory: share": lambda part: part[1].best / whole,
    }, ("total", whole, whole, whole, 1.0))  # fmt: skip


def memory_summary(result: Start, *facts: Fact) -> Table:
    """Return the parts of the memory of a GPU in the words of a screen, with the host memory and further facts."""
    parts = [*memory_rows(result), ("host memory", result.host.total, "")]
    sizes = [Fact(name, int(size.best), BYTES, note, size_span(size)) for name, size, note in parts if size.high > MIB]
    return summary_table([*sizes, *facts], "per GPU", result.memory.total)


def sizes_of(result: Start) -> dict[str, Any]:
    """Return the sizes of the layout that differ from 1."""
    return {name: size for name in LAYOUT if (size := result.settings.get(name, 1)) > 1}


def size_span(size: Interval) -> str:
    """Return the ends of the interval of a size, such as ``53.4 to 55.7 GiB``, or empty text if it has none."""
    unit = max((scale for scale in (GIB, MIB) if size.high >= scale), default=1)
    low, high = (three_digits(max(end, 0) / unit) for end in (size.low, size.high))
    return "" if low == high else f"{low} to {high} {about(size.high, BYTES).rpartition(' ')[2]}"


def _cache(result: Start) -> list[Fact]:
    """Return the parts of the host memory and of the KV cache."""
    sizes = [(f"host memory: {name}", int(size.best)) for name, size in result.host.parts]
    if result.buffers:
        buffers = (*result.buffers, result.placed.draft_cache if result.placed else 0)
        sizes += zip(("all tokens", "sliding windows", "recurrent states", "draft"), buffers, strict=True)
    counts = {"blocks of the KV cache": result.blocks.best} if result.memory.available.best > 0 else {}
    counts |= {"tokens in host memory": result.host_tokens.best} if result.host_tokens else {}
    named = [Fact(name, f"{int(number):,}") for name, number in counts.items() if not result.buffers]
    return [*(Fact(name, size or None, BYTES) for name, size in sizes), *named]


def start_notes(result: Start) -> list[str]:
    """Return the assumptions about the engine that can change the decision."""
    memory, command = result.memory, result.deployment.command
    weights, dtype = result.settings.get("weights"), result.settings.get("dtype", "bf16")
    usual = sixteen_bit_line(result.architecture, result.engine, weights, dtype)
    found = [usual, *_automatic(result), *(note for note in result.notes if note not in result.architecture.notes)]
    if result.profile.is_extrapolated:
        own, measured = result.engine_title, ends_text(*result.profile.measured)
        found.append(f"no run of {own} was measured: sizes measured on {measured} are used, with wider intervals")
    if not memory.counts_graphs and memory.graphs.high:
        found.append("CUDA graphs are captured outside of the budget, after the KV cache is allocated")
    if command and command.listed:
        found.append(f"flags without effect on the memory: {', '.join(command.listed)}")
    return found


def start_details(result: Start) -> list[str]:
    """Return what the sizes of the engine's memory rest on."""
    profile, card, found = result.profile, result.deployment.accelerator, []
    if card and card.shared_bytes and result.host.parts:
        size, system = card.shared_bytes / GIB, SYSTEM_BYTES / GIB
        found.append(f"GPU and host share one memory: {size:.2f} GiB without {system:g} GiB assumed for the system")
    errors = "llmcalc evidence serve compares them with logs"
    return [*found, f"low, best and high follow from constants of {profile.title}; {errors}"]


def _automatic(result: Start) -> list[str]:
    """Return what llama.cpp chooses by itself."""
    own = result.automatic
    if not own:
        return []
    does = [f"shortens the context to {own['max_model_len']:,} tokens"] if "max_model_len" in own else []
    does += ["keeps a part in host memory"] if len(own) > len(does) else []
    return [f"{result.profile.title} itself {' and '.join(does)}, so that {MARGIN / GIB:g} GiB of each GPU stays free"]
