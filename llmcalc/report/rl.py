"""Report for ``rl`` with the memory of each phase of a step of reinforcement learning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..training.rl import RlMemory, RlPhase
from .document import Document, Fact, Table, columns, table_of
from .heading import gpus_text, model_document, named_values
from .memory import BYTES, training_inputs, training_lines
from .points import settings_text

COLUMNS = {  # and the parts of a phase that they add up
    "trainer": ("weights", "optimizer"),
    "models": ("reference model", "reward model", "critic"),
    "engine": ("rollout engine",),
    "step": ("forward pass", "training step"),
}


def rl_document(result: RlMemory, spell: Callable[[Mapping[str, Any]], str] | None = None) -> Document:
    """Build the report of a step of reinforcement learning. The title is the answer.

    ``spell`` returns the command line with changed settings.
    """
    spell = spell or settings_text
    changes = [(spell(change.settings), change.result.headroom) for change in result.changes]
    own, engine = result.settings, result.engine
    shown = {name: value for name, value in own.items() if value not in (None, False)}
    number = result.engine_gpus
    apart = f" and {number} for the engine" if number else ""
    of_its_own = f"on {number} GPU{'s' * (number > 1)} of its own"
    shown["share"] = f"{own['share']:.4g}"
    return model_document(
        result.architecture,
        "rl",
        lambda: _json(result, spell),
        f" on {gpus_text(result)}{apart}, with rollouts in {engine.profile.title}",
        answer=f"{'✓' if result.fits else '✗'} {result.summary}",
        lines=(named_values(shown), *training_lines(result.training)),
        facts=(
            Fact("peak", result.peak, BYTES, f"phase {result.largest.name}"),
            Fact("GPU memory", result.gpu_memory, BYTES),
            Fact("host", result.host or None, BYTES, "per GPU: offloaded states and weights"),
            Fact("engine", engine.memory.budget, BYTES, of_its_own if number else "while it is awake"),
            Fact(
                "KV cache", max(int(engine.memory.available.best), 0), BYTES, f"{result.at_once:,} completions at once"
            ),
        ),
        tables=(Table("fits with", columns("change: text", "headroom: bytes"), changes), _phases(result)),
        main=-1,
        notes=_notes(result),
    )


def _json(result: RlMemory, spell: Callable[[Mapping[str, Any]], str]) -> tuple[dict[str, Any], dict[str, Any]]:
    gpu = result.accelerator.to_dict() if result.accelerator else None
    inputs = {**result.settings, "accelerator": gpu, "count": result.count, **training_inputs(result.training)}
    data = result.to_dict()
    if result.changes:
        data["fits_with"] = [
            {"change": dict(one.settings), "command": spell(one.settings), "headroom": one.result.headroom}
            for one in result.changes
        ]
    return inputs, data


def _phases(result: RlMemory) -> Table:
    def size_of(names: Sequence[str]) -> Callable[[RlPhase], int]:
        return lambda phase: sum(size for name, size in phase.parts if name in names)

    return table_of("phases, per GPU", result.phases, {
        "phase: name": "name", **{f"{name}: about bytes": size_of(parts) for name, parts in COLUMNS.items()},
        "total: about bytes": "total", "of GPU: share": lambda phase: phase.total / result.gpu_memory,
    })  # fmt: skip


def _notes(result: RlMemory) -> Iterator[str]:
    own = result.settings
    yield "log-probabilities: a forward pass over a micro-batch that keeps the logits of all its tokens"
    if own["reference"] and result.training.recipe.adapters:
        yield "the reference model is the policy without its adapters, and takes no memory"
    if own["sleep"]:
        yield "an engine that sleeps is assumed to keep nothing on the GPU"
