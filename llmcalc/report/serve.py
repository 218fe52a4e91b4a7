"""Report for ``serve`` with the memory that an engine takes on each GPU, and the size of its KV cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.interval import Interval
from ..engines.profile import GIB
from ..engines.settings import states_all
from ..estimate.hardware import SYSTEM_BYTES
from ..serving.start.layout_error import LayoutError
from ..serving.start.llama_cpp_fit import MARGIN
from ..serving.start.memory import STATIC
from ..serving.start.start import Start
from .document import Cell, Document, Table, columns
from .file_formats import sixteen_bit_line
from .heading import model_document, named_values

SHOWN = (
    "tp", "pp", "dp", "expert_parallel", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "share", "dtype",
    "weights", "cache", "block_size", "enforce_eager", "gpu_layers", "cpu_experts", "cpu_all_experts", "cpu_dense",
    "tensor_overrides", "host_cache", "cpu_offload_gb", "kv_offloading_size", "hicache_ratio", "hicache_size",
)  # fmt: skip
GPUS = "GPUs: number"
STARTED: dict[str, Callable[[Start], Cell]] = {
    GPUS: lambda one: one.ranks, "tokens: number": lambda one: f"{one.tokens.best:,.0f}",
    "concurrency: number": lambda one: f"{one.concurrency.best:.2f}",
}  # fmt: skip
REFUSED = "will not start"
HEADS = ("low: about bytes 1", "best: about bytes", "high: about bytes 1")


def serve_document(result: Start) -> Document:
    """Build the report of an engine. The title is the answer."""
    card, command, notes = result.deployment.accelerator, result.deployment.command, start_notes(result)
    unmodelled = command.unmodelled if command else ()
    weights, dtype = result.settings.get("weights"), result.settings.get("dtype", "bf16")
    format_line = sixteen_bit_line(result.architecture, result.engine, weights, dtype)
    log = [(line,) for line in result.log()] if result.starts else []
    return model_document(
        result.architecture,
        "serve",
        lambda: (
            {"gpu": card.to_dict() if card else None},
            {**result.to_dict(), "notes": [*notes, *result.architecture.notes]},
        ),
        f" in {result.engine_title} on {used_text(result)} × {card.title if card else 'GPU'}",
        answer=f"{'✓' if result.starts else '✗'} {result.summary}",
        excess=result.excess,
        lines=tuple(filter(None, (named_values(settings_of(result)), format_line))),
        alerts=[*(f"the effect of {flag} on the memory is not computed" for flag in unmodelled), *result.warnings],
        tables=(
            _changes(result),
            *memory_tables(result),
            _host(result),
            _cache(result),
            Table("the log will say", columns("line: text"), log),
        ),
        main=1 if result.changes else 0,
        notes=notes,
    )


def refused_document(error: LayoutError) -> Document:
    """Build the report of an engine that does not start, as its number of ranks does not divide the model."""
    lines = [{"command": result.offer(change), "settings": change} for change, result in error.changes]
    data = {"starts": False, "verdict": REFUSED, "reason": error.message, "changes": lines}
    return model_document(
        error.architecture,
        "serve",
        lambda: ({}, data),
        answer=f"✗ {REFUSED.capitalize()}: {error.message}",
        tables=(_starting([(result.offer(change), result) for change, result in error.changes], STARTED),),
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


def _changes(result: Start) -> Table:
    """Return a table of command lines with which the engine starts, or with which the GPUs store the whole model."""
    lines = [(result.offer(change), one) for change, one in result.changes]
    if result.placed:
        what = "longer context" if list(result.automatic) == ["max_model_len"] else "all on the GPU"
        title = f"{what} with" if result.automatic else "starts with"
        return _starting(lines, {"host memory: about bytes": lambda one: int(one.host.total.best)}, title)
    is_larger = any(one.ranks != min(result.ranks, result.deployment.gpus.count or result.ranks) for _, one in lines)
    return _starting(lines, {name: cell for name, cell in STARTED.items() if is_larger or name != GPUS})


def _starting(
    lines: Sequence[tuple[str, Start]], cells: Mapping[str, Callable[[Start], Cell]],
    title: str = "starts with",
) -> Table:  # fmt: skip
    """Return a table of command lines with what follows from them."""
    rows = [(*(cell(one) for cell in cells.values()), line) for line, one in lines]
    return Table(title, columns(*cells, "command: text"), rows)


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


def start_notes(result: Start, change: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Return what was assumed about the engine, and its command, with changed settings if given."""
    memory, profile, deployed = result.memory, result.profile, result.deployment
    command, card = deployed.command, deployed.accelerator
    found = [*_automatic(result), *(note for note in result.notes if note not in result.architecture.notes)]
    if not memory.counts_graphs and memory.graphs.high:
        found.append("CUDA graphs are captured outside of the budget, after the KV cache is allocated")
    if command and command.listed:
        found.append(f"flags without effect on the memory: {', '.join(command.listed)}")
    if result.starts and not command and states_all(result):
        found.append(f"command: {result.line(change)}")
    if profile.is_extrapolated:
        first, last = profile.measured
        wider = f"{profile.version} is assumed to be alike, with a wider range"
        found.append(f"constants were measured on {profile.title} {first} to {last}; {wider}")
    if card and card.shared_bytes and result.host.parts:
        size, system = card.shared_bytes / GIB, SYSTEM_BYTES / GIB
        found.append(f"GPU and host share one memory: {size:.2f} GiB without {system:g} GiB assumed for the system")
    errors = "llmcalc evidence serve compares them with logs"
    return (*found, f"low, best and high follow from constants of {profile.title}; {errors}")


def _automatic(result: Start) -> list[str]:
    """Return what llama.cpp chooses by itself."""
    own = result.automatic
    if not own:
        return []
    does = [f"shortens the context to {own['max_model_len']:,} tokens"] if "max_model_len" in own else []
    does += ["keeps a part in host memory"] if len(own) > len(does) else []
    return [f"{result.profile.title} itself {' and '.join(does)}, so that {MARGIN / GIB:g} GiB of each GPU stays free"]
