"""Report for ``traffic`` with the bytes that a step reads and writes, and its arithmetic intensity."""

from __future__ import annotations

from ..calc.traffic import Traffic
from .document import Document, Fact, shares_table
from .heading import derivation, formula_note, model_document, workload_inputs, workload_line
from .numbers import BYTES

KERNELS = {
    "fused": "fused kernels: weights, cache, states, and what enters and leaves each kernel",
    "unfused": "unfused: every equation reads its operands and writes its result",
}


def traffic_document(result: Traffic) -> Document:
    """Build the memory traffic report for a step."""
    return model_document(
        result.architecture,
        "traffic",
        lambda: (
            workload_inputs(result.workload),
            {**result.to_dict(), "flops": result.flops.total, "notes": list(result.architecture.notes)},
        ),
        workload=result.workload,
        lines=(workload_line(result.workload, ("batch", "seq", "mode", "logits")), KERNELS[result.kernels]),
        facts=(
            *(Fact(name, getattr(result, name), BYTES) for name in ("total", "read", "written")),
            Fact("FLOPs", result.flops.total, "FLOPs"),
            intensity_fact(result),
        ),
        tables=(
            shares_table("by tensor", "tensors", result.by_kind),
            shares_table("by component", "component", result.by_component),
        ),
        derivation=derivation("traffic", result),
        notes=(formula_note("bytes", result.form),),
    )


def intensity_fact(result: Traffic) -> Fact:
    """Return a fact with the arithmetic intensity of a step."""
    return Fact("intensity", f"{result.intensity:.4g}", "FLOPs per byte")
