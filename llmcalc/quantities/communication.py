"""Bytes that the ranks of a mesh exchange in a step.

sent: bytes that one rank sends with ring algorithms
    omits: recomputation, and the latency of messages
    like: narayanan2021 (Section 3.2)
volume: full size of the tensor of each collective
    omits: the factor of the ring algorithm, such as 2(n - 1)/n of an all-reduce
    like: korthikanti2022 (Section 4.2.2)
"""

from __future__ import annotations

from typing import Any

from ..analysis.quantity import STEPS, Quantity, step_workload
from ..calc.communication import Communication, communication
from ..calc.explain import communication_tree
from ..calc.sharding import MESH
from ..core.architecture import Architecture
from ..core.record import changed
from ..core.setting import CONTEXT, LOGITS, MODE, SIZES
from ..inputs.number_formats import number_format
from ..inputs.settings import DTYPE, GRADIENTS, WHOLE_MESH, check_expert_ranks, mesh_settings, serving_mesh

UNIT = "bytes"
STEP = (*SIZES, CONTEXT, LOGITS)
SETTINGS = (MODE, *STEP, DTYPE, changed(GRADIENTS, needs=("training",)), WHOLE_MESH, *MESH)


def measure(architecture: Architecture, settings: dict[str, Any]) -> Communication:
    """Count the bytes with valid settings, which may have no effect, as at one point of a sweep."""
    mesh, workload = mesh_settings(settings), step_workload(architecture, settings, STEP)
    if workload.mode == "train":
        check_expert_ranks(mesh)
    else:
        mesh = serving_mesh(mesh)
    dtype = settings.get("dtype") or DTYPE.default
    bits, gradients = number_format(dtype).bits, number_format(settings.get("gradients") or dtype).bits
    return communication(architecture, workload, mesh, bits, gradients)


def _compared(result: Communication) -> tuple[str, tuple[str, ...]]:
    """Return the bytes sent, or no value for a single rank."""
    return f"bytes that a rank sends in a {STEPS[result.workload.mode]}", ("sent",) * (result.mesh.ranks > 1)


QUANTITY = Quantity(
    "communication", "bytes sent", UNIT, measure, communication_tree,
    settings=SETTINGS,
    parts={"sent": UNIT, "volume": UNIT},
    target=lambda result: result.sent,
    compared=_compared,
    needs_ranks=True,
    results=(Communication,),
    evidence={"": Communication.EVIDENCE},
)  # fmt: skip
