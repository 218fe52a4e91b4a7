"""Report for ``serve`` with the memory that an engine takes on each GPU, and the size of its KV cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.interval import Interval
from ..engines.profile import GIB
from ..engines.settings import states_all
from ..estimate.hardware import SYSTEM_BYTES
from ..inputs.serving_settings import SERVE
from ..serving.start.layout_error import LayoutError
from ..serving.start.llama_cpp_fit import MARGIN
from ..serving.start.memory import STATIC
from ..serving.start.start import LAYOUT, Start
from .document import Cell, Document, Fact, Table, assumed_settings, columns, next_table, summary_table
from .file_formats import sixteen_bit_line
from .heading import model_document, named_values
from .numbers import BYTES, about, ends_text, three_digits

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
SMALLEST = 2**20  # bytes in the table
GPUS = "GPUs: number"
STARTED: dict[str, Callable[[Start], Cell]] = {
    GPUS: lambda one: one.ranks, "cached tokens: number": lambda one: f"{one.tokens.best:,.0f}",
    f"{REQUESTS}: number": lambda one: f"{one.concurrency.best:.2f}",
}  # fmt: skip
REFUSED = "will not start"
HEADS = ("low: about bytes 1", "best: about bytes", "high: about bytes 1")


def serve_document(result: Start) -> Document:
    """Build the report of an engine. The title is the answer."""
    card, command, line = result.deployment.accelerator, result.deployment.command, ""
    if result.starts and not command and states_all(result):
        line = result.line()
    notes, details = start_notes(result), start_details(result)
    unmodelled = command.unmodelled if command else ()
    weights, dtype = result.settings.get("weights"), result.settings.get("dtype", "bf16")
    format_line = sixteen_bit_line(result.architecture, result.engine, weights, dtype)
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
        lines=tuple(filter(None, (named_values(settings_of(result)), format_line))),
        alerts=[*(f"the effect of {flag} on the memory is not computed" for flag in unmodelled), *result.warnings],
        summary=Table("", (), []) if result.refusals else memory_summary(result, *_held(result)),
        tables=(
            *memory_tables(result),
            _host(result),
            _cache(result),
            Table("the log will say", columns("line: text"), log),
        ),
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
    is_larger = any(one.ranks != min(result.ranks, result.deployment.gpus.count or result.ranks) for _, one in lines)
    return next_table(lines, {name: cell for name, cell in STARTED.items() if is_larger or name != GPUS})


def memory_tables(result: Start) -> tuple[Table, ...]:
    """Return the division of the memory, and what is outside of the budget of an engine that has such a part."""
    memory, free = result.memory, result.memory.available
    loaded = [("weights", memory.weights), *memory.extras]
    rest = [
        ("activation", memory.activation), ("non-torch", memory.non_torch),
        *([("CUDA graphs", memory.graphs)] if memory.counts_graphs else []),
    ]  # fmt: skip
    is_missing, name = free.best <= 0, "available states" if result.is_recurrent else "available KV cache"
    last = ("missing", Interval(-free.high, -free.best, -free.low)) if is_missing else (name, free)
    is_static = result.profile.rule == STATIC
    heads = columns("part: name", *HEADS, "of memory: share")

    def rows(parts: list[tuple[str, Interval]]) -> list[tuple[Any, ...]]:
        return [(name, *map(int, estimate), estimate.best / memory.total) for name, estimate in parts]

    budget = ("budget", memory.budget, memory.budget, memory.budget, memory.budget / memory.total)
    own = Table("per GPU", heads, rows([*loaded, *([] if is_static else rest), last]), budget)
    title = f"outside of {result.profile.share_name.replace('_', ' ')}, per GPU"
    return (own, Table(title, heads, rows(rest))) if is_static else (own,)


def memory_summary(result: Start, *facts: Fact) -> Table:
    """Return the division of the memory of a GPU in the words of a screen, with the KV cache and further facts."""
    memory, free, profile, own = result.memory, result.memory.available, result.profile, result.settings
    logs = f"{profile.title} {ends_text(*profile.measured)}" if profile.measured else profile.title
    used = memory.budget + (memory.activation.best + memory.non_torch.best if profile.rule == STATIC else 0)
    missing = Interval(-free.high, -free.best, -free.low)
    parts = [
        ("weights", memory.weights, "checkpoint"), *((name, size, "checkpoint") for name, size in memory.extras),
        ("activations", memory.activation, logs), ("engine", memory.non_torch, logs),
        ("CUDA graphs", memory.graphs, logs),
        ("missing", missing, "") if free.best <= 0 else ("states" if result.is_recurrent else "KV cache", free, logs),
        ("not used", Interval.exact(memory.total - used), f"{profile.title} uses {own['share']:.4g}"),
        ("host memory", result.host.total, ""),
    ]  # fmt: skip
    sizes = [
        Fact(name, int(size.best), BYTES, note, size_span(size)) for name, size, note in parts if size.high > 2**20
    ]
    return summary_table([*sizes, *facts], "per GPU", memory.total)


def sizes_of(result: Start) -> dict[str, Any]:
    """Return the sizes of the layout that differ from 1."""
    return {name: size for name in LAYOUT if (size := result.settings.get(name, 1)) > 1}


def size_span(size: Interval) -> str:
    """Return the ends of the interval of a size, such as ``53.4 to 55.7 GiB``, or empty text if it has none."""
    unit = max((scale for scale in (GIB, 2**20) if size.high >= scale), default=1)
    low, high = (three_digits(max(end, 0) / unit) for end in (size.low, size.high))
    return "" if low == high else f"{low} to {high} {about(size.high, BYTES).rpartition(' ')[2]}"


def _host(result: Start) -> Table:
    *rows, total = [
        (name, int(size.low), int(size.best), int(size.high))
        for name, size in (*result.host.parts, ("total", result.host.total))
    ]
    return Table("host memory", columns("part: name", *HEADS), rows, total if len(rows) > 1 else None)


def _cache(result: Start) -> Table:
    if result.memory.available.best <= 0:
        return Table("KV cache", (), [])

    def row(name: str, estimate: Interval, digits: int = 0) -> tuple[Any, ...]:
        return name, *(f"{value if digits else int(value):,.{digits}f}" for value in estimate)

    if result.buffers:
        sizes = (*result.buffers, result.placed.draft_cache if result.placed else 0)
        named = zip(("all tokens", "sliding windows", "recurrent states", "draft"), sizes, strict=True)
        return Table("KV cache", columns("of: name", "size: bytes"), [row for row in named if row[1]])
    if result.is_recurrent:
        rows = [row("sequences", result.concurrency)]
        return Table("recurrent states", columns("what: name", "low: number", "best: number", "high: number"), rows)
    rows = [
        row("GPU KV cache size, tokens", result.tokens),
        row("blocks", result.blocks),
        row(f"maximum concurrency at {result.max_model_len:,} tokens", result.concurrency, 2),
        *([row("tokens in host memory", result.host_tokens)] if result.host_tokens else []),
    ]
    return Table("KV cache", columns("what: name", "low: number 1", "best: number", "high: number 1"), rows)


def start_notes(result: Start) -> list[str]:
    """Return the assumptions about the engine that can change the decision."""
    memory, command = result.memory, result.deployment.command
    found = [*_automatic(result), *(note for note in result.notes if note not in result.architecture.notes)]
    if not memory.counts_graphs and memory.graphs.high:
        found.append("CUDA graphs are captured outside of the budget, after the KV cache is allocated")
    if command and command.listed:
        found.append(f"flags without effect on the memory: {', '.join(command.listed)}")
    return found


def start_details(result: Start) -> list[str]:
    """Return what the sizes of the engine's memory rest on."""
    profile, card, found = result.profile, result.deployment.accelerator, []
    if profile.is_extrapolated:
        first, last = profile.measured
        wider = f"{profile.version} is assumed to be alike, with a wider range"
        found.append(f"constants were measured on {profile.title} {first} to {last}; {wider}")
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
