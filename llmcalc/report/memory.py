"""Report for ``memory`` with the components and the peak of serving or training memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from ..calc.kv_cache import CACHED, ROLE_DTYPES, StateSize
from ..calc.memory.fit import Fit
from ..calc.memory.inference import InferenceMemory
from ..calc.memory.number_formats import Format
from ..calc.touched_experts import expected_active_experts, expert_layers
from ..core.aliases import JSON_KEYS
from ..core.amount import group_by, summed
from ..core.architecture import model_of
from ..core.errors import spelled
from ..core.record import fields, is_record
from ..core.type_names import TYPE_CHECKING, Any
from .document import Document, Fact, Table, columns, parts_table, table_of
from .heading import (
    SIZES,
    derivation,
    formula_note,
    ignored_keys_note,
    model_document,
    named_values,
    settings_text,
    title,
    workload_inputs,
    workload_line,
)  # fmt: skip
from .numbers import BYTES as BYTES
from .numbers import binary, percent
from .provenance import evidence_notes

if TYPE_CHECKING:
    from ..calc.memory.pipeline import ParallelMemory
    from ..calc.memory.timeline import Moment
    from ..calc.memory.training import TrainingMemory
    from .pictures import Picture

PUBLISHED = "weights as stored in the checkpoint; {weights=FORMAT} overrides the format"
UNEVEN = (
    "unequal pipeline stages: the embedding and the head count as a layer each, as in torchtitan, and in Megatron-LM "
    "if they are accounted for in the pipeline split"
)
PARTS = ("weights", "gathered", "gradients", "optimizer", "activations", "transient")
ROLES = {
    "kv": "keys, values, latents", "index": "indexer keys", "recurrent": "recurrent states",
    "conv": "convolution states",
}  # fmt: skip
CONVENTIONS = {
    "GiB": "2^30 bytes",
    "state": "KV cache and recurrent states; recurrent states in fp32",
    "transient": "modelled: the largest set of live tensors in a prefill with fused attention",
}


def memory_document(result: InferenceMemory | ParallelMemory, ideal: StateSize | None = None) -> Document:
    """Build the memory report. ``ideal`` is the state size without rounding to cache blocks."""
    return _inference(result, ideal) if isinstance(result, InferenceMemory) else _training(result)


def unverified_formats(formats: list[Format]) -> list[str]:
    """Return a note for every number format whose figures were not verified against their source."""
    return [f"{found.name}: not verified in its source ({found.source})" for found in formats if not found.checked]


# ---------------------------------------------------------------------- serving


def _inference(result: InferenceMemory, ideal: StateSize | None) -> Document:
    size = result.state_size
    formats = [*dict.fromkeys(entry.format for entry in result.stored), *([size.cache] if size.cache else [])]
    mesh = mesh_line(result.mesh, result)
    beams = f", {size.beams} beams each" if size.beams > 1 else ""
    limit = result.steps.limit
    at_once = f"at most {limit} tokens" if limit else "all tokens"
    return model_document(
        result.architecture,
        "memory",
        lambda: _inference_json(result, ideal),
        workload=result.workload,
        lines=(serving_line(result), weights_line(result), mesh and f"{mesh}; values per rank"),
        alerts=refusals(result),
        facts=(
            Fact("peak", result.peak, BYTES, "weights, state and transient buffers"),
            Fact("weights", result.weights, BYTES),
            Fact("state", result.state, BYTES, f"{size.bytes // size.workload.batch:,} per sequence{beams}"),
            Fact("transient", result.activations, BYTES, f"modelled: buffers of a step that computes {at_once}"),
        ),
        tables=(_images(result), _weights(result), _state(result, ideal), _experts(result)),
        pictures=lambda: _charts(result),
        derivation=derivation("memory", result),
        notes=(
            *unverified_formats(formats),
            *evidence_notes("memory", "peak", "serving"),
            spelled(PUBLISHED) if result.published else "",
            ignored_keys_note(result.unread) if result.unread else "",
        ),
        details=(formula_note("elements of the state", size.form),),
    )


def _images(result: InferenceMemory) -> Table:
    """Return a table of the images of a sequence."""
    return table_of("images", result.images, {
        "image: name": lambda size: f"{size.width}x{size.height}", "tokens: number": "tokens",
        "embeddings: number": "embeddings", "patches: number": "patches",
        "pictures: number": lambda size: len(size.grids),
    })  # fmt: skip


def _charts(result: InferenceMemory) -> list[Picture]:
    """Plot the parts of the peak, and the weights by component."""
    from .pictures import Bar, Bars, bars_of

    sizes = {"weights": result.weights, "state": result.state, "transient": result.activations}
    name = title(result.architecture)
    parts = tuple(Bar(part, (("bytes", float(size)),), percent(size / result.peak)) for part, size in sizes.items())
    weights = bars_of(name, _weights(result))
    return [Bars(f"{name}: serving memory", BYTES, parts), *([weights] if weights else [])]


def serving_line(result: InferenceMemory) -> str:
    """Return a one-line summary of the serving workload."""
    steps = {"prefill": result.steps.prefill, "beams": result.steps.beams if result.steps.beams > 1 else None}
    given = {name: value for name, value in steps.items() if value}
    more = named_values({**given, "step_tokens": result.steps.limit or "all"})
    return f"{workload_line(result.workload, SIZES)} · {more}"


def refusals(result: InferenceMemory) -> list[str]:
    """Return warnings about matrices that kernels for block-quantised weights do not accept."""
    return [f"{text}; kernels of vLLM and SGLang refuse this" for text in result.refusals]


def weights_line(result: InferenceMemory) -> str:
    """Return a line such as ``weights: mxfp4 experts, bf16 rest, as published``, or nothing for requested formats."""
    if not result.published:
        return ""
    parts = group_by(sorted(result.stored, key=lambda entry: -entry.bits), lambda entry: entry.format.name)
    *quantised, rest = parts
    is_of_experts = {name: {entry.component for entry in own} == {"routed experts"} for name, own in parts.items()}
    words = [f"{name} {'experts' if is_of_experts[name] else 'matrices'}" for name in quantised]
    return f"weights: {', '.join([*words, f'{rest} rest' if words else rest])}, as published"


def _weights(result: InferenceMemory) -> Table:
    named = [((entry.component, entry.format.name), entry) for entry in result.stored]
    elements, bits = (summed((name, getattr(entry, size)) for name, entry in named) for size in ("elements", "bits"))
    rows = [
        (*name, elements[name], -(-size // 8), size / (elements[name] or 1), size / 8 / result.weights)
        for name, size in sorted(bits.items(), key=lambda item: -item[1])
    ]
    heads = columns(
        "component: name", "format: name", "elements: count 3", "bytes: bytes", "bits each: number", "share: share"
    )
    whole = sum(elements.values())
    return Table("weights", heads, rows, ("total", "", whole, result.weights, 8 * result.weights / (whole or 1), 1.0))


def _state(result: InferenceMemory, ideal: StateSize | None) -> Table:
    size = result.state_size
    rows: list[tuple[Any, ...]] = []
    for role, stored in size.by_role.items():
        format_name = ROLE_DTYPES[role] or (size.cache.name if size.cache and role in CACHED else size.dtype)
        unpaged = (ideal.by_role[role], stored - ideal.by_role[role]) if ideal else ()
        rows.append((ROLES[role], format_name, stored, *unpaged))
    of_pages = ("without paging: bytes", "wasted: bytes") if ideal else ()
    name = f"state in pages of {size.page} tokens" if ideal else "state"
    return Table(name, columns("state: name", "format: name", "bytes: bytes", *of_pages), rows)


def _experts(result: InferenceMemory) -> Table:
    batch, tokens = result.workload.batch, result.workload.batch * result.workload.seq
    heads = columns(
        "layers: number", "experts: number", "active: number", f"touched by a decode step ({batch}): number",
        f"by the prefill ({tokens}): number",
    )  # fmt: skip
    rows = [tuple(entry.values()) for entry in _touched_experts(result)]
    return Table("routed experts per layer: T tokens touch E(1 - (1 - k/E)^T)", heads, rows)


def _touched_experts(result: InferenceMemory) -> Iterator[dict[str, Any]]:
    """Yield each expert layer with the expected number of experts used in a decode step and in prefill."""
    tokens = {"decode": result.workload.batch, "prefill": result.workload.batch * result.workload.seq}
    for entry in expert_layers(result.architecture):
        touched = {step: expected_active_experts(entry.n_experts, entry.top_k, n) for step, n in tokens.items()}
        yield entry._asdict() | {f"touched_by_{step}": number for step, number in touched.items()}


def _inference_json(result: InferenceMemory, ideal: StateSize | None) -> tuple[dict[str, Any], dict[str, Any]]:
    size = result.state_size
    inputs = {
        **workload_inputs(result.workload), "cache": size.cache.name if size.cache else size.dtype, "page": size.page,
        "prefill": result.prefill, "step_tokens": result.steps.limit,
        "beams": size.beams, "mesh": plain_data(result.mesh), "conventions": CONVENTIONS,
    }  # fmt: skip
    formats = {entry.format.name: entry.format for entry in result.stored}
    return inputs, {
        **result.to_dict(),
        "weights_by_format": [
            {"component": entry.component, "format": entry.format.name, "elements": entry.elements, "bits": entry.bits}
            for entry in result.stored
        ],
        "formats": [{"name": name, "source": one.source, "checked": one.checked} for name, one in formats.items()],
        "state_elements": size.elements,
        "state_without_blocks": ideal.bytes if ideal else None,
        "experts": [*_touched_experts(result)],
        "notes": [*unverified_formats(list(formats.values())), *result.architecture.notes],
    }


# --------------------------------------------------------------------- training


def _training(result: ParallelMemory) -> Document:
    worst = result.worst
    parts, peak = {"peak": worst.phase, **_training_parts(result)}, worst.largest
    return model_document(
        model_of(worst.architecture)[0],
        "memory",
        lambda: _training_json(result),
        workload=worst.workload,
        lines=(workload_line(worst.workload, SIZES), *training_lines(result), *_step_line(result)),
        facts=tuple(Fact(name, getattr(worst, name), BYTES, note) for name, note in parts.items()),
        tables=(parts_table(f"at the peak: {peak.phase}", sizes_at(peak)), _timeline(result), _stages(result)),
        pictures=lambda: [_phases(result)],
        derivation=derivation("memory", result),
        notes=(
            "allocated bytes; the allocator's reserve and kernel workspaces are extra",
            UNEVEN if len({stage.architecture.main.n_layers for stage in result.stages}) > 1 else "",
            *evidence_notes("memory", "peak", "training"),
        ),
    )


def _training_parts(result: ParallelMemory) -> dict[str, str]:
    recipe = result.worst.recipe
    master = f" and a master copy of {recipe.master_weight_bytes} bytes per parameter"
    trained = f"of rank-{recipe.adapters.rank} adapters only" if recipe.adapters else ""
    frozen = recipe.frozen_weights
    weights = f"in {frozen.name}, and adapters" if frozen else f"{recipe.weight_bytes} bytes per parameter"
    return {
        "weights": weights, "gradients": trained or f"{recipe.gradient_bytes} bytes per parameter",
        "optimizer": f"states{master if recipe.master_weight_bytes else ''}",
        "activations": "saved by the forward pass",
    }  # fmt: skip


def training_lines(result: ParallelMemory) -> tuple[str, ...]:
    """Return lines with the settings of a training step, such as its optimizer, and the mesh."""
    policy, recipe = result.worst.policy, result.worst.recipe
    words = [
        recipe.name, f"attention {policy.attention}", f"recompute {policy.recompute}",
        "dropout" if policy.dropout else "", f"loss {policy.loss}" if policy.loss != "eager" else "",
        f"lora rank {recipe.adapters.rank}" if recipe.adapters else "",
        f"weights {recipe.frozen_weights.name}" if recipe.frozen_weights else "",
        f"{recipe.offload} in host memory" if recipe.offload else "",
        "activations in host memory" if recipe.offload_activations else "",
        "optimizer in the backward pass" if recipe.in_backward else "",
        f"fp8 {fp8}" if (fp8 := fp8_text(result.worst)) else "",
        "fused activation" if policy.fused_activation else "",
    ]  # fmt: skip
    mesh, of_stage = mesh_line(result.mesh), " of the largest stage" if result.mesh.pp > 1 else ""
    where = f"; values per rank{of_stage}" if result.mesh.ranks > 1 else ""
    return (f"training: {' · '.join(filter(None, words))}", *([f"{mesh}{where}"] if mesh else []))


def fp8_text(memory: TrainingMemory) -> str:
    """Return the value of the setting ``fp8``, or an empty string."""
    return ("copies" if memory.recipe.fp8_copies else "weights") if memory.policy.fp8 else ""


def _step_line(result: ParallelMemory) -> tuple[str, ...]:
    """Return a line with the sequences of a whole step. ``batch`` counts only those of one micro-batch on one rank."""
    mesh, batch = result.mesh, result.worst.workload.batch
    if mesh.dp == mesh.batches == 1:
        return ()
    ranks = f" · {mesh.dp} data-parallel ranks" if mesh.dp > 1 else ""
    parts = f" · {mesh.batches} micro-batches" if mesh.batches > 1 else ""
    number = f"{batch * mesh.dp * mesh.batches:,}"
    return (f"a step: {number} sequences = batch {batch} per micro-batch and rank{ranks}{parts}",)


def sizes_at(moment: Moment) -> dict[str, int]:
    """Return the parts of the memory at a moment."""
    return {name: size for name in PARTS if (size := getattr(moment, name))}


def _largest(result: ParallelMemory) -> dict[str, Moment]:
    """Return the largest moment of each phase in chronological order."""
    largest: dict[str, Moment] = {}
    for moment in result.worst.schedule.largest_moments():
        largest[moment.phase] = max(largest.get(moment.phase, moment), moment, key=lambda one: one.total)
    return largest


def _timeline(result: ParallelMemory) -> Table:
    rows = [(phase, moment.total, moment.total / result.worst.peak) for phase, moment in _largest(result).items()]
    return Table("timeline", columns("phase: name", "bytes: bytes", "of the peak: share"), rows)


def _phases(result: ParallelMemory) -> Picture:
    """Plot the parts of the largest moment of each phase in chronological order."""
    from .pictures import Bar, Bars, parts_of

    bars = tuple(Bar(phase, parts_of(sizes_at(moment))) for phase, moment in _largest(result).items())
    return Bars(f"{title(result.worst.architecture)}: memory of a training step", BYTES, bars)


def _stages(result: ParallelMemory) -> Table:
    number = count()
    return table_of("pipeline stages", result.stages if len(result.stages) > 1 else (), {
        "stage: number": lambda _: next(number),
        "layers: number": lambda stage: sum(stack.n_layers for stack in stage.architecture.stacks),
        "weights: bytes 1": "weights", "activations: bytes 1": "activations", "peak: bytes": "peak",
        "of the largest: share": lambda stage: stage.peak / result.worst.peak,
    })  # fmt: skip


def fit_line(fit: Fit, load: str = "", each: str = "") -> str:
    """Return a verdict with its mark. There is none if it depends on what is not modelled.

    ``each`` follows the bytes, such as ``per GPU``.
    """
    mark = "" if fit.is_undecided else "✓ " if fit.fits else "✗ "
    return f"{mark}{verdict(fit, load, each)}"


def verdict(fit: Fit, load: str = "", each: str = "") -> str:
    """Return a verdict such as ``fits, 3.2 GiB to spare`` or ``does not fit: 3.2 GiB short``, for a load in words.

    If an effect is not modelled, both bounds are considered.
    """
    least = "" if fit.least is None else f"{binary(fit.least)} to "
    if fit.is_undecided:
        sizes = f"{'at least ' if fit.doubts.is_open else ''}{least}{binary(fit.needed)}{each}, of {binary(fit.usable)}"
        verb = "are" if len(fit.doubts.names) > 1 else "is"
        return f"undecided{load and f' for{load}'}: {sizes}; {', '.join(fit.doubts.names)} {verb} not modelled"
    if fit.fits:
        ending = f", even if {', '.join(fit.doubts.names)} saved nothing" if least else ""
        return f"fits{load}, {_bytes(fit.headroom)} to spare{each}{ending}"
    ending = ", even with full recomputation" if least else ""
    short = (fit.needed if fit.least is None else fit.least) - fit.usable
    return f"does not fit{load}: {_bytes(short)} short{each}{ending}"


def _bytes(size: int) -> str:
    return binary(size) or f"{size} bytes"


def mesh_line(mesh: Any, result: Any = None, count: int = 1) -> str:
    """Return a line such as ``8 ranks: dp 2 · tp 4``, or only other settings for one rank.

    For serving memory, the line also states the number of replicas on ``count`` GPUs and the sequences on each rank.
    """
    text, replicas = settings_text(mesh), count // mesh.ranks
    line = f"{mesh.ranks} ranks: {text}" if mesh.ranks > 1 else text
    if replicas > 1:
        line = f"{replicas} replicas of {line}" if line else f"{replicas} replicas on one GPU each"
    batch = result.workload.batch if isinstance(result, InferenceMemory) else 1
    if batch > 1 and replicas * mesh.dp > 1:
        line += f"; {result.state_size.workload.batch} of {batch} sequences on each"
    return line


def plain_data(value: Any) -> Any:
    """Convert a record and its nested records to plain data, preserving the original JSON keys of renamed fields."""
    if is_record(value):
        first = JSON_KEYS.get(type(value).__name__, {})
        return {first.get(field.name, field.name): plain_data(getattr(value, field.name)) for field in fields(value)}
    return [plain_data(item) for item in value] if isinstance(value, (list, tuple)) else value


def _training_json(result: ParallelMemory) -> tuple[dict[str, Any], dict[str, Any]]:
    worst = result.worst
    inputs = {**workload_inputs(worst.workload), **training_inputs(result), "conventions": CONVENTIONS}
    timeline = {phase: moment.total for phase, moment in _largest(result).items()}
    return inputs, {**result.to_dict(), "timeline": timeline, "notes": list(worst.architecture.notes)}


def training_inputs(result: ParallelMemory) -> dict[str, Any]:
    """Return the settings of a training step and the mesh as plain data."""
    return {
        "recipe": plain_data(result.worst.recipe), "policy": plain_data(result.worst.policy),
        "mesh": plain_data(result.mesh),
    }  # fmt: skip
