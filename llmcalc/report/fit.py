"""Report for ``fit`` with the memory per accelerator and the largest workload that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..calc.kv_cache import CACHED, ROLE_DTYPES
from ..calc.memory.fit import Fit
from ..calc.memory.inference import InferenceMemory
from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import spelled
from ..core.record import fields
from ..core.tree import Node
from ..core.workload import positions
from ..engines.hardware import checkpoint_format, default_engine, has_reader, refuses_dtype
from ..engines.lengths import length_limit
from ..estimate.hardware import SYSTEM_BYTES, Accelerator
from ..fitting.fit import FIT, SETTINGS, FitResult
from ..fitting.memory import targets_text
from ..fitting.solution import OFFLOADS, Solution
from ..inputs.defaults import RESERVE
from ..inputs.number_formats import CHECKPOINT
from ..inputs.settings import PLAIN
from .document import Document, Fact, Table, assumed_settings, columns, next_table, summary_table, table_of
from .engine_fit import engine_parts
from .file_formats import sixteen_bit_line
from .fit_answer import ASKED, WHAT, fit_answer
from .heading import SIZES, derivation, excess_of, gpus_text, model_document, title, workload_inputs, workload_line
from .memory import (
    fp8_text,
    mesh_line,
    plain_data,
    refusals,
    serving_line,
    sizes_at,
    unverified_formats,
    verdict,
    weights_line,
)
from .numbers import BYTES, binary, readable
from .points import settings_text, unused_alert
from .provenance import evidence_notes
from .serve import REQUESTS

if TYPE_CHECKING:
    from ..fitting.advice import Change
    from .pictures import Picture

RECURRENT = "recurrent"  # role of states


def fit_document(
    fit: FitResult, reserve: str = RESERVE, given: str | None = None, spell: Callable[[Change], str] | None = None
) -> Document:
    """Build the fit report. The title is the answer.

    ``given`` is a memory size that overrides the GPU's specified memory. ``spell`` returns the command line of a change
    with which the model fits.
    """
    spell = spell or _option
    solution = fit.solution
    parts = engine_parts(fit, fit.start) if fit.start else _plain_parts(fit, given, reserve)
    needed = Fact("needed", fit.needed, BYTES, parts.pop("needs", "per GPU"))
    budget = memory_facts(fit, given, f"{{reserve={reserve}}}")
    if fit.start:
        budget = budget[0], Fact("usable", fit.usable, BYTES, "the share that the engine uses")
    facts = needed, *budget, Fact("headroom", fit.headroom, BYTES)
    has_candidates = solution is not None and bool(solution.candidates)
    commands = [(spell(change), change.result) for change in fit.changes]
    commands += parts.pop("starting", ())
    cells: dict[str, Callable[[Any], Any]] = {"headroom: about bytes": lambda one: one.headroom}
    if fit.start:
        own = fit.start.placed  # llama.cpp is started for the requests that are asked for
        cells = {f"{REQUESTS}: number": lambda one: f"{one.batch if own else one.requests:,}"}
        if fit.surer_starts:
            cells = {"starts: text": lambda one: "probably" if one is fit else "surely", **cells}
    alerts = [*parts.pop("alerts")]
    alerts += _unverified(fit.accelerator, "false", "the specifications of {} are unverified ({})")
    return model_document(
        fit.architecture,
        "fit",
        lambda: _json(fit, reserve, spell),
        answer=fit_answer(fit),
        excess=_excess(fit),
        alerts=alerts,
        facts=facts,
        tables=(*parts.pop("tables", ()), *([_candidates(solution)] if solution else [])),
        assumed=assumed_settings((*FIT, *SETTINGS), {**_assumed(fit), **parts.pop("assumed")}),
        next=next_table(commands, cells),
        pictures=lambda: [_chart(fit)],
        derivation=lambda: (needed_tree(fit),) if fit.start else derivation("memory", fit.result)(),
        main=-1,
        listing=None if has_candidates else lambda: _listing(fit, facts),
        **parts,
    )


def _plain_parts(fit: FitResult, given: str | None, reserve: str) -> dict[str, Any]:
    """Return the parts of the report that are those of plain memory."""
    accelerator, solution = fit.accelerator, fit.solution
    worst = fit.result if isinstance(fit.result, InferenceMemory) else fit.result.worst
    run, alerts, usual = [workload_line(worst.workload, SIZES)], list[str](), ""
    if isinstance(worst, InferenceMemory):
        usual = _format_line(worst, accelerator)
        run = [serving_line(worst), weights_line(worst)]
        plain = f"no engine answers: {fit.plain}" if fit.plain else ""
        unused = unused_alert(fit.count % fit.result.mesh.ranks, fit.count)
        alerts = [plain, *unused, *refusals(worst), *_unread(worst, accelerator)]
    longest = solution.in_memory if solution else None  # beyond the model's own
    beyond = [spelled(f"{longest:,} tokens fit in memory: {{extend=True}}")] if longest is not None else []
    partly = _unverified(accelerator, "partly", "{}: some specifications are unverified ({})")
    return {
        "subject": f" on {gpus_text(fit)}",
        "lines": (*run, mesh_line(fit.result.mesh, fit.result, fit.count)),
        "alerts": alerts,
        "needs": f"per accelerator, peak phase: {worst.phase}",
        "assumed": {"reserve": reserve, "engine": "none" if fit.plain else ""},
        "summary": _summary(fit),
        "notes": (usual, *beyond, *_limit(fit.architecture, solution), *_notes(fit), *_shared(fit), *partly),
    }


def _assumed(fit: FitResult) -> dict[str, Any]:
    """Return the values of settings that the memory depends on. A serving engine has a layout of its own."""
    worst = fit.result if isinstance(fit.result, InferenceMemory) else fit.result.worst
    solved = fit.solution.asked if fit.solution else ""
    found = {name: getattr(worst.workload, name) for name in SIZES if name != solved}
    if not fit.start:
        ranks = {field.name: getattr(fit.result.mesh, field.name) for field in fields(Mesh)}
        found |= {name: size for name, size in ranks.items() if size != getattr(Mesh(), name)}
    if not isinstance(worst, InferenceMemory):
        recipe, policy, adapters = worst.recipe, worst.policy, worst.recipe.adapters
        found |= {"optimizer": recipe.name, "attention": policy.attention, "recompute": policy.recompute}
        stated = {
            "offload": recipe.offload, "offload_activations": recipe.offload_activations,
            "optimizer_in_backward": recipe.in_backward, "fp8": fp8_text(worst),
            "fused_activation": policy.fused_activation,
        }  # fmt: skip
        found |= {name: value for name, value in stated.items() if value}
        if adapters:
            found |= {"lora_targets": targets_text(fit.architecture, adapters.targets), "loss": policy.loss}
        return found
    size, limit = worst.state_size, worst.steps.limit
    steps = {} if fit.start else {"step_tokens": limit or "all"}
    start, dtype = fit.start, size.dtype
    if start and "dtype" not in start.settings and refuses_dtype(start.engine, fit.accelerator, dtype):
        dtype = "fp16"  # in which it computes by itself
    formats: dict[str, Any] = {"dtype": dtype, "cache": size.cache.name if size.cache else None}
    if start and "dtype" not in start.profile.flags["read"].values():
        del formats["dtype"]  # which the engine chooses
    if worst.published and any(entry.format.name not in PLAIN for entry in worst.stored):
        formats = {
            "weights": CHECKPOINT,
            "cache": formats["cache"] or dtype,
        }  # which alone has the format of computation
    return {**found, **steps, **formats}


def _summary(fit: FitResult) -> Table:
    """Return the division of the memory of a GPU, without an engine."""
    evidence, names = {**fit.result.evidence, "reserve": "for the runtime"}, dict[str, str]()
    if isinstance(fit.result, InferenceMemory):
        evidence["transient"] = evidence["activations"]
        names = {
            "state": "KV cache" if CACHED & fit.result.state_size.by_role.keys() else "states",
            "transient": "activations",
        }
    parts = memory_parts(fit).items()
    sizes = [Fact(names.get(name, name), size, BYTES, evidence.get(name, "")) for name, size in parts if size]
    left = Fact("not used" if fit.fits else "missing", abs(fit.headroom), BYTES)
    return summary_table([*sizes, left, *_host(fit)], "per GPU", fit.memory)


def memory_facts(found: Any, given: str | None, how: str) -> tuple[Fact, Fact]:
    """Return the memory of a GPU, which may be given, and what is kept free, with ``how`` it is set."""
    usable = found.accelerator.usable_text if found.accelerator and not given else "as given"
    reserve = spelled(f"assumed for the runtime: {how}")
    return Fact("memory", found.memory, BYTES, usable), Fact("reserve", found.reserve, BYTES, reserve)


def _excess(fit: FitResult) -> str:
    """Return that a sequence is longer than the model accepts, if the engine accepts it, or an empty text."""
    if fit.start:
        return fit.start.excess
    workload = fit.result.workload
    if not fit.is_serving:
        return excess_of(fit.architecture, workload)
    return "" if workload.extend else length_limit(fit.architecture).excess(workload.seq)


def _host(fit: FitResult) -> Iterator[Fact]:
    """Yield the host memory that a part of the model needs."""
    if fit.solution is None or fit.solution.asked not in OFFLOADS:
        return
    size, state = fit.result.host + fit.result.host_state, binary(fit.result.host_state)
    from ..fitting.offload import flag_of

    parts = f"weights and {state} of state" if state else "weights"
    note = f"{parts}, with {flag_of(fit.solution.asked)} of llama.cpp"
    yield Fact("host memory", size or None, BYTES, note)  # none if nothing fits


def _shared(fit: FitResult) -> Iterator[str]:
    """Yield a note on a memory that GPU and host share, if a part of the model may be in host memory."""
    card, is_asked = fit.accelerator, fit.solution is not None and fit.solution.asked in OFFLOADS
    if card and card.shared_bytes is not None and is_asked:
        size, system = binary(card.shared_bytes), binary(SYSTEM_BYTES)
        yield f"GPU and host share one memory: {size} without the {system} that are assumed for the system"


def _option(change: Change) -> str:
    """Return the changed settings, spelled as options on the command line and as arguments elsewhere."""
    settings = {name: value for name, value in change.settings.items() if name not in ("count", "mesh")}
    count, mesh = change.settings.get("count"), change.settings.get("mesh")
    settings |= {"gpu": f"{settings['gpu']}:{count}"} if count else {}
    return settings_text(settings | ({"dp": mesh.dp} if mesh else {}))


def memory_parts(fit: Fit) -> dict[str, int]:
    """Return the bytes of each part of the memory that is needed, including the reserve."""
    result, start = fit.result, fit.start if isinstance(fit, FitResult) else None
    if start:
        weights = int(start.memory.weights.best + sum(size.best for _, size in start.memory.extras))
        cache = int(fit.needed - start.memory.budget + start.memory.available.best)
        rest = fit.needed - weights - cache
        return {"weights": weights, "state": cache, "transient": rest, "reserve": fit.reserve}
    if isinstance(result, InferenceMemory):
        sizes = {"weights": result.weights - result.host, "state": result.state, "transient": result.activations}
    else:
        sizes = sizes_at(result.worst.largest)
    allocator = 0 if isinstance(result, InferenceMemory) else fit.needed - result.peak
    return sizes | ({"allocator": allocator} if allocator else {}) | {"reserve": fit.reserve}


def needed_tree(fit: FitResult) -> Node:
    """Return the memory that an engine needs as the sum of its parts."""
    parts = memory_parts(fit)
    parts.pop("reserve")
    children = tuple(Node(name, size, BYTES) for name, size in parts.items())
    return Node("needed", fit.needed, BYTES, " + ".join(parts), children=children)


def _chart(fit: FitResult) -> Picture:
    """Plot the memory needed per accelerator as requested and after each change, with the usable memory as a limit."""
    from .pictures import Bar, Bars, parts_of

    named = (("as requested", fit), *((_option(change), change.result) for change in fit.changes))
    bars = tuple(Bar(label, parts_of(memory_parts(one))) for label, one in named)
    return Bars(f"{title(fit.architecture)}: memory per accelerator", BYTES, bars, memory_limit(fit))


def memory_limit(found: Fit) -> tuple[str, float]:
    """Return the label and the bytes of the memory of a GPU, as a line in a plot."""
    return f"memory: {readable(found.memory, BYTES)}", float(found.memory)


def _listing(fit: FitResult, facts: Sequence[Fact]) -> Table:
    """Return the verdict and all sizes as rows of a file."""
    solution, rows = fit.solution, list[tuple[Any, ...]]()
    rows.append(("fits", "yes" if fit.fits else "no", ""))
    if solution:
        rows.append((ASKED[solution.asked], solution.value, WHAT.get(solution.asked, "")))
        rows += [("in memory", f"{solution.in_memory:,}", "tokens")] if solution.in_memory is not None else []
    rows += [(one.label, one.value, one.unit) for one in facts if one.is_known]
    rows += [(name, size, BYTES) for name, size in memory_parts(fit).items() if name != "reserve"]
    return Table("", columns("quantity: name", "value", "unit: name"), rows)


def _candidates(solution: Solution) -> Table:
    return table_of("formats, most bits first", solution.candidates, {
        "format: name": "name", "bits each: number": "bits", "weights: bytes": "fit.result.weights",
        "needed: bytes": "fit.needed", "fits: name": lambda tried: "yes" if tried.fit.fits else "no",
    })  # fmt: skip


def _unread(result: InferenceMemory, accelerator: Accelerator | None) -> Sequence[str]:
    """Return a warning if no engine on an accelerator reads the weights."""
    if accelerator is None or (result.published and checkpoint_format(accelerator, result.architecture)):
        return []
    names = dict.fromkeys(entry.format.name for entry in result.stored)
    unread = [name for name in names if name not in PLAIN and (result.published or not has_reader(accelerator, name))]
    return [f"no supported engine on {accelerator.title} reads weights in {' or '.join(unread)}"] if unread else []


def _unverified(accelerator: Accelerator | None, checked: str, text: str) -> Sequence[str]:
    is_meant = accelerator is not None and accelerator.checked == checked
    return [text.format(accelerator.title, accelerator.source)] if accelerator and is_meant else []


def _format_line(result: InferenceMemory, accelerator: Accelerator | None) -> str:
    """Return a line about weights in 16 bits where llama.cpp is the usual engine."""
    name = ", ".join(dict.fromkeys(entry.format.name for entry in result.stored))
    architecture = result.architecture
    return sixteen_bit_line(architecture, default_engine(architecture, accelerator, None).name, name)


def _limit(architecture: Architecture, solution: Solution | None) -> Sequence[str]:
    limit = positions(architecture)
    if solution is None or solution.asked != "seq" or limit is None or solution.value != limit:
        return []
    return [spelled(f"{architecture.name} has {limit} learned positions; {{extend=True}} also tries longer sequences")]


def _state_notes(fit: Fit, result: InferenceMemory) -> Sequence[str]:
    """Return a note on the number format of recurrent states, in which the default engine may differ."""
    size = result.state_size
    if all(tensor.state.role != RECURRENT for tensor in size.tensors):
        return []
    counted = f"recurrent states are in {ROLE_DTYPES[RECURRENT]}, as in reference code"
    weights = None if result.published else next((entry.format.name for entry in result.stored), None)
    engine = default_engine(size.architecture, fit.accelerator if isinstance(fit, FitResult) else None, weights).name
    from ..serving.start.models import default_state_format

    engine, stored = default_state_format(size.architecture, engine, size.dtype)
    if stored == ROLE_DTYPES[RECURRENT]:
        return [f"{counted} and in {engine}"]
    return [f"{counted}; {engine} stores them in {stored}, as serve counts"]


def _notes(fit: Fit) -> Sequence[str]:
    if not isinstance(fit.result, InferenceMemory):
        held = "" if fit.result.recipe.adapters else "the allocator's reserve and "
        extra = f"allocated bytes; {held}kernel workspaces are extra"
        return [extra, *evidence_notes("memory", "peak", "training")]
    host = f"the input table ({binary(fit.result.host)}) stays in host memory, as in llama.cpp"
    formats = unverified_formats(list(dict.fromkeys(entry.format for entry in fit.result.stored)))
    errors = evidence_notes("memory", "peak", "serving")
    states = _state_notes(fit, fit.result)
    is_table = fit.result.host and not (isinstance(fit, FitResult) and fit.solution and fit.solution.asked in OFFLOADS)
    return [*([host] if is_table else []), *states, *formats, *errors]


def _json(fit: FitResult, reserve: str, spell: Callable[[Change], str]) -> tuple[dict[str, Any], dict[str, Any]]:
    architecture, accelerator, solution = fit.architecture, fit.accelerator, fit.solution
    worst = fit.result if isinstance(fit.result, InferenceMemory) else fit.result.worst
    inputs = {**workload_inputs(worst.workload), "reserve": reserve}
    inputs |= {"mesh": plain_data(fit.result.mesh), "replicas": fit.count // fit.result.mesh.ranks}
    inputs["accelerator"] = accelerator.to_dict() if accelerator else None
    data: dict[str, Any] = {**fit.to_dict(), "verdict": verdict(fit), "parts": fit.result.to_dict()}
    if fit.changes:
        data["fits_with"] = [
            {"change": _option(one), "command": spell(one), **one.result.to_dict()} for one in fit.changes
        ]
    if solution:
        data["candidates"] = [
            {"format": tried.name, "bits": tried.bits, "weights": tried.fit.result.weights, **tried.fit.to_dict()}
            for tried in solution.candidates
        ]
    return inputs, {**data, "notes": [*_notes(fit), *architecture.notes]}
