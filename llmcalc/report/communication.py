"""Report for ``communication`` with the collectives of a step and the bytes that each rank sends."""

from __future__ import annotations

from collections import Counter

from ..calc.communication import Communication
from .document import Document, Fact, Table, columns, shares_table
from .heading import derivation, formula_note, model_document, workload_inputs, workload_line
from .memory import mesh_line, plain_data
from .numbers import BYTES


def communication_document(result: Communication) -> Document:
    """Build the communication report for a step."""
    groups = {"group": result.by_group, "phase": result.by_phase, "component": result.by_component}
    mesh, stages = mesh_line(result.mesh), list(enumerate(result.sent_by_stage))
    of = " of the stage that sends the most" if result.mesh.pp > 1 else ""
    return model_document(
        result.architecture,
        "communication",
        lambda: ({**workload_inputs(result.workload), "mesh": plain_data(result.mesh)}, result.to_dict()),
        workload=result.workload,
        lines=(
            workload_line(result.workload, ("batch", "seq", "mode", "logits")),
            f"{mesh}; values per rank{of}" if mesh else "1 rank",
        ),
        facts=(
            Fact("sent", result.sent, BYTES, "ring algorithms"),
            Fact("volume", result.volume, BYTES, "tensors of all collectives"),
        ),
        tables=(
            _collectives(result),
            *(shares_table(f"by {name}", name, sizes) for name, sizes in groups.items()),
            Table("pipeline stages", columns("stage: number", "sent: bytes"), stages if len(stages) > 1 else []),
        ),
        derivation=derivation("communication", result),
        notes=(formula_note("bytes sent", result.form), *result.notes),
    )


def _collectives(result: Communication) -> Table:
    """Build a table of collectives, with equal collectives of all layers combined."""
    found: dict[tuple[str, str, int, str], Counter[str]] = {}
    for each, volume, sent in result.sizes:
        sizes = found.setdefault((each.kind, each.group, each.ranks, each.phase), Counter())
        sizes.update(times=each.times, volume=volume, sent=sent)
    rows = [(*key, sizes["times"], sizes["volume"], sizes["sent"]) for key, sizes in found.items()]
    heads = columns(
        "collective: name", "group: name", "ranks: number", "phase: name", "times: number", "volume: bytes",
        "sent: bytes",
    )  # fmt: skip
    return Table("collectives", heads, sorted(rows, key=lambda row: -row[-1]))
