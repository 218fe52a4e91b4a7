"""Report for ``communication`` with the collectives of a step and the bytes that each rank sends."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..calc.communication import Communication
from .document import Document, Fact, Table, columns
from .heading import derivation, formula_note, model_document, workload_inputs, workload_line
from .memory import mesh_line, plain_data
from .numbers import BYTES
from .traffic import shares_table


def communication_document(result: Communication) -> Document:
    """Build the communication report for a step."""
    mesh = mesh_line(result.mesh)
    of = " of the stage that sends the most" if result.mesh.pp > 1 else ""
    return model_document(
        result.architecture,
        "communication",
        lambda: _json(result),
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
            shares_table("by group", "group", result.by_group),
            shares_table("by phase", "phase", result.by_phase),
            shares_table("by component", "component", result.by_component),
            _stages(result),
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


def _stages(result: Communication) -> Table:
    rows = list(enumerate(result.sent_by_stage))
    return Table("pipeline stages", columns("stage: number", "sent: bytes"), rows if len(rows) > 1 else [])


def _json(result: Communication) -> tuple[dict[str, Any], dict[str, Any]]:
    inputs = {**workload_inputs(result.workload), "mesh": plain_data(result.mesh)}
    return inputs, result.to_dict()
