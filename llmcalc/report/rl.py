"""Report for ``rl`` with the memory of each phase of a step of reinforcement learning."""

from __future__ import annotations

from ..api.rl import RlMemory
from .document import Document, Fact, Table, columns
from .heading import model_document, named_values
from .memory import BYTES

COLUMNS = {  # and the parts of a phase that they add up
    "trainer": ("weights", "optimizer"),
    "models": ("reference model", "reward model", "critic"),
    "engine": ("rollout engine",),
    "step": ("forward pass", "training step"),
}


def rl_document(result: RlMemory) -> Document:
    """Build the report of a step of reinforcement learning. The title is the answer."""
    own, engine = result.settings, result.engine
    shown = {name: value for name, value in own.items() if value not in (None, False)}
    is_separate = own["rollout"] == "separate"
    return model_document(
        result.architecture,
        "rl",
        lambda: (dict(result.settings), result.to_dict()),
        answer=f"{'✓' if result.fits else '✗'} {result.summary}",
        lines=(named_values(shown),),
        facts=(
            Fact("peak", result.peak, BYTES, f"phase {result.largest.name}"),
            Fact("GPU memory", result.gpu_memory, BYTES),
            *([Fact("host", result.host, BYTES, "per GPU: offloaded states and weights")] if result.host else []),
            Fact("engine", engine.memory.budget, BYTES, "on GPUs of its own" if is_separate else "while it is awake"),
            Fact(
                "KV cache", max(int(engine.memory.available.best), 0), BYTES, f"{result.at_once:,} completions at once"
            ),
        ),
        tables=(_phases(result),),
        notes=_notes(result),
    )


def _phases(result: RlMemory) -> Table:
    rows = []
    for phase in result.phases:
        sizes = dict.fromkeys(COLUMNS, 0)
        for name, size in phase.parts:
            sizes[next(column for column, names in COLUMNS.items() if name in names)] += size
        rows.append((phase.name, *sizes.values(), phase.total, phase.total / result.gpu_memory))
    heads = columns("phase: name", *(f"{name}: about bytes" for name in COLUMNS), "total: about bytes", "of GPU: share")
    return Table("phases, per GPU", heads, rows)


def _notes(result: RlMemory) -> tuple[str, ...]:
    own = result.settings
    found = ["log-probabilities: a forward pass over a micro-batch that keeps the logits of all its tokens"]
    if own["reference"] and result.training.recipe.adapters:
        found.append("the reference model is the policy without its adapters, and takes no memory")
    if own["sleep"]:
        found.append("an engine that sleeps is assumed to keep nothing on the GPU")
    return tuple(found)
