"""Document of ``memory``: the parts of serving or training memory, and the peak."""

from __future__ import annotations

from typing import Any

from ..calc.active_experts import expected_active_experts, expert_layers
from ..calc.kv_cache import CACHED, ROLE_DTYPES, StateSize
from ..calc.memory.inference import InferenceMemory
from ..calc.memory.number_formats import Format
from ..calc.memory.pipeline import ParallelMemory
from ..core.aliases import JSON_KEYS, old_names
from ..core.architecture import Architecture
from ..core.errors import spelled
from ..core.record import fields, is_record
from ..core.workload import Workload
from .document import Column, Document, Fact, Table
from .heading import SIZES, formula_note, ignored_keys_note, model_document, workload_inputs, workload_line
from .json_envelope import envelope, model_inputs

BYTES = "bytes"
PUBLISHED = "weights as the checkpoint stores them; {weights=FORMAT} overrides the format"
PARTS = ("weights", "gathered", "gradients", "optimizer", "activations", "transient")
ROLES = {
    "kv": "keys, values, latents",
    "index": "indexer keys",
    "recurrent": "recurrent states",
    "conv": "convolution states",
}
CONVENTIONS = {
    "GiB": "2^30 bytes",
    "state": "KV cache and recurrent states; recurrent states in fp32",
    "transient": "modelled: the largest set of tensors alive at once in a prefill, with fused attention",
}


def memory_document(result: InferenceMemory | ParallelMemory, ideal: StateSize | None = None) -> Document:
    """The document of a memory result; ``ideal`` is the state without rounding to cache blocks."""
    return _inference(result, ideal) if isinstance(result, InferenceMemory) else _training(result)


def unverified_formats(formats: list[Format]) -> list[str]:
    """A note for every format whose figures were not verified in their source."""
    return [f"{found.name}: not verified in its source ({found.source})" for found in formats if not found.checked]


# ---------------------------------------------------------------------- serving


def _inference(result: InferenceMemory, ideal: StateSize | None) -> Document:
    size = result.state_size
    formats = list(dict.fromkeys(entry.format for entry in result.stored))
    if size.cache:
        formats.append(size.cache)
    tables = [_weights(result), _state(result, ideal), _experts(result)]
    notes = [formula_note("elements of the state", size.form), *unverified_formats(formats)]
    notes += [spelled(PUBLISHED)] if result.published else []
    notes += [ignored_keys_note(result.unread)] if result.unread else []
    return model_document(
        result.architecture,
        lambda: _inference_record(result, ideal),
        lines=(serving_line(result), *_ranks(result)),
        facts=(
            Fact("peak", result.peak, BYTES, "weights, state and transient buffers"),
            Fact("weights", result.weights, BYTES),
            Fact("state", result.state, BYTES, _each(result)),
            Fact("transient", result.activations, BYTES, f"modelled: buffers of a prefill of {_prefilled(result)}"),
        ),
        tables=tuple(table for table in tables if table.rows),
        notes=notes,
    )


def serving_line(result: InferenceMemory) -> str:
    """The workload of serving, in one line."""
    beams = result.state_size.beams
    return workload_line(result.workload, SIZES) + (f" · beams {beams}" if beams > 1 else "")


def _each(result: InferenceMemory) -> str:
    size = result.state_size
    beams = f", {size.beams} beams each" if size.beams > 1 else ""
    return f"{size.bytes // result.workload.batch:,} per sequence{beams}"


def _prefilled(result: InferenceMemory) -> str:
    return f"{result.prefill} tokens at once" if result.prefill else "all tokens at once"


def _ranks(result: InferenceMemory) -> tuple[str, ...]:
    mesh = mesh_line(result.mesh)
    return (f"{mesh}; values per rank",) if mesh else ()


def _weights(result: InferenceMemory) -> Table:
    groups: dict[tuple[str, str], list[int]] = {}
    for entry in result.stored:
        group = groups.setdefault((entry.component, entry.format.name), [0, 0])
        group[0] += entry.elements
        group[1] += entry.bits
    ordered = sorted(groups.items(), key=lambda item: -item[1][1])
    rows: list[tuple[Any, ...]] = [
        (component, name, elements, -(-bits // 8), bits / elements if elements else 0.0, bits / 8 / result.weights)
        for (component, name), (elements, bits) in ordered
    ]
    columns = (
        Column("component", "name"), Column("format", "name"), Column("elements", "count", 3), Column(BYTES, BYTES),
        Column("bits each", "number"), Column("share", "share"),
    )  # fmt: skip
    elements = sum(group[0] for group in groups.values())
    each = 8 * result.weights / elements if elements else 0.0
    return Table("weights", columns, rows, ("total", "", elements, result.weights, each, 1.0))


def _state(result: InferenceMemory, ideal: StateSize | None) -> Table:
    size = result.state_size
    rows: list[tuple[Any, ...]] = []
    for role, held in size.by_role.items():
        kept = ROLE_DTYPES[role] or (size.cache.name if size.cache and role in CACHED else size.dtype)
        more = (ideal.by_role[role], held - ideal.by_role[role]) if ideal else ()
        rows.append((ROLES[role], kept, held, *more))
    columns = [Column("state", "name"), Column("format", "name"), Column(BYTES, BYTES)]
    if ideal:
        columns += [Column("without paging", BYTES), Column("wasted", BYTES)]
    name = f"state in pages of {size.page} tokens" if ideal else "state"
    return Table(name, tuple(columns), rows)


def _experts(result: InferenceMemory) -> Table:
    rows: list[tuple[Any, ...]] = []
    batch, tokens = result.workload.batch, result.workload.batch * result.workload.seq
    for found in expert_layers(result.architecture):
        reached = [expected_active_experts(found.n_experts, found.top_k, count) for count in (batch, tokens)]
        rows.append((found.layers, found.n_experts, found.top_k, *reached))
    columns = (
        Column("layers", "number"), Column("experts", "number"), Column("active", "number"),
        Column(f"touched by a decode step ({batch})", "number"), Column(f"by the prefill ({tokens})", "number"),
    )  # fmt: skip
    return Table("routed experts per layer: T tokens touch E(1 - (1 - k/E)^T)", columns, rows)


def _inference_record(result: InferenceMemory, ideal: StateSize | None) -> dict[str, Any]:
    architecture, size = result.architecture, result.state_size
    cache = size.cache.name if size.cache else size.dtype
    inputs = {**model_inputs(architecture), **workload_inputs(result.workload), "cache": cache, "page": size.page}
    inputs |= {"prefill": result.prefill, "beams": size.beams}
    formats = {entry.format.name: entry.format for entry in result.stored}
    data = {
        **result.to_dict(),
        "weights_by_format": [
            {"component": entry.component, "format": entry.format.name, "elements": entry.elements, "bits": entry.bits}
            for entry in result.stored
        ],
        "formats": [
            {"name": name, "source": found.source, "checked": found.checked} for name, found in formats.items()
        ],
        "state_elements": size.elements,
        "state_without_blocks": ideal.bytes if ideal else None,
        "experts": [
            {
                **found._asdict(),
                "touched_by_decode": expected_active_experts(found.n_experts, found.top_k, result.workload.batch),
                "touched_by_prefill": expected_active_experts(
                    found.n_experts, found.top_k, result.workload.batch * result.workload.seq
                ),
            }
            for found in expert_layers(architecture)
        ],
        "notes": [*unverified_formats(list(formats.values())), *architecture.notes],
    }
    return envelope("memory", {**inputs, "mesh": plain_data(result.mesh), "conventions": CONVENTIONS}, data)


# --------------------------------------------------------------------- training


def _training(result: ParallelMemory) -> Document:
    worst = result.worst
    facts = [Fact("peak", worst.peak, BYTES, worst.phase)]
    facts += [Fact(name, getattr(worst, name), BYTES, note) for name, note in _training_parts(result)]
    return model_document(
        worst.architecture,
        lambda: _training_record(worst.architecture, result),
        lines=(workload_line(worst.workload, SIZES), *_settings(result)),
        facts=tuple(facts),
        tables=tuple(table for table in (_at_peak(result), _timeline(result), _stages(result)) if table.rows),
        notes=("allocated bytes; the allocator's reserve and kernel workspaces are extra",),
    )


def _training_parts(result: ParallelMemory) -> list[tuple[str, str]]:
    recipe = result.worst.recipe
    parts = ["states"] + (
        [f"a master copy of {recipe.master_weight_bytes} bytes per parameter"] if recipe.master_weight_bytes else []
    )
    trained = f"of rank-{recipe.adapters.rank} adapters only" if recipe.adapters else ""
    weights = (
        f"in {recipe.frozen_weights.name}, and adapters"
        if recipe.frozen_weights
        else f"{recipe.weight_bytes} bytes per parameter"
    )
    return [
        ("weights", weights),
        ("gradients", trained or f"{recipe.gradient_bytes} bytes per parameter"),
        ("optimizer", " and ".join(parts)),
        ("activations", "saved by the forward pass"),
    ]


def _settings(result: ParallelMemory) -> tuple[str, ...]:
    policy, recipe = result.worst.policy, result.worst.recipe
    words = [recipe.name, f"attention {policy.attention}", f"recompute {policy.recompute}"]
    words += ["dropout"] if policy.dropout else []
    words += ["loss fused"] if policy.loss == "fused" else []
    mesh = mesh_line(result.mesh)
    return (f"training: {' · '.join(words)}", *([f"{mesh}; values per rank of the largest stage"] if mesh else []))


def _at_peak(result: ParallelMemory) -> Table:
    moment = result.worst.largest
    rows: list[tuple[Any, ...]] = [
        (name, getattr(moment, name), getattr(moment, name) / moment.total) for name in PARTS if getattr(moment, name)
    ]
    columns = (Column("part", "name"), Column(BYTES, BYTES), Column("share", "share"))
    return Table(f"at the peak: {moment.phase}", columns, rows, ("total", moment.total, 1.0))


def _timeline(result: ParallelMemory) -> Table:
    """The peak of each phase, in chronological order."""
    phases: dict[str, int] = {}
    for moment in result.worst.timeline:
        phases[moment.phase] = max(phases.get(moment.phase, 0), moment.total)
    rows: list[tuple[Any, ...]] = [(phase, size, size / result.worst.peak) for phase, size in phases.items()]
    return Table("timeline", (Column("phase", "name"), Column(BYTES, BYTES), Column("of the peak", "share")), rows)


def _stages(result: ParallelMemory) -> Table:
    if len(result.stages) == 1:
        return Table("stages", (), [])
    rows: list[tuple[Any, ...]] = [
        (number, stage.weights, stage.activations, stage.peak, stage.peak / result.worst.peak)
        for number, stage in enumerate(result.stages)
    ]
    columns = (
        Column("stage", "number"), Column("weights", BYTES, 1), Column("activations", BYTES, 1), Column("peak", BYTES),
        Column("of the largest", "share"),
    )  # fmt: skip
    return Table("pipeline stages", columns, rows)


def mesh_line(mesh: Any) -> str:
    """``8 ranks: dp 2 · tp 4``; empty for one rank."""
    said = [
        field.name.replace("_", " ") if value is True else f"{field.name.replace('_', ' ')} {value}"
        for field in fields(mesh)
        if (value := getattr(mesh, field.name)) != field.default
    ]
    return f"{mesh.ranks} ranks: {' · '.join(said)}" if said else ""


def plain_data(value: Any) -> Any:
    """A record and the records within it as plain data; renamed fields keep their first name."""
    if is_record(value):
        first = old_names(JSON_KEYS.get(type(value).__name__, {}))
        return {first.get(field.name, field.name): plain_data(getattr(value, field.name)) for field in fields(value)}
    return [plain_data(item) for item in value] if isinstance(value, (list, tuple)) else value


def _training_record(architecture: Architecture, result: ParallelMemory) -> dict[str, Any]:
    worst = result.worst
    workload: Workload = worst.workload
    settings = {
        "recipe": plain_data(worst.recipe),
        "policy": plain_data(worst.policy),
        "mesh": plain_data(result.mesh),
    }
    inputs = {**model_inputs(architecture), **workload_inputs(workload), **settings}
    phases: dict[str, int] = {}
    for moment in worst.timeline:
        phases[moment.phase] = max(phases.get(moment.phase, 0), moment.total)
    data = {**result.to_dict(), "timeline": phases, "notes": list(architecture.notes)}
    return envelope("memory", {**inputs, "conventions": CONVENTIONS}, data)
