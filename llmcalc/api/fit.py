"""Models on accelerators: does it fit, and the inverse: the largest context or batch, the best format, fewest GPUs."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..calc.memory.fit import LARGEST, Fit, largest_fitting, smallest_fitting
from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import SizeError
from ..core.record import fields
from ..core.workload import positions
from .memory import memory

RESERVE = "1GiB"
MOST_GPUS = 2**14
# what weights are commonly stored in, most bits first
FORMATS = (
    "bf16", "int8-channel", "q8_0", "mxfp8", "fp8", "fp8-block", "q6_k", "q5_k_m", "q5_k_s", "q4_k_m", "q4_k_s",
    "nvfp4", "nf4", "mxfp4", "gptq-int4-g128", "awq-int4-g128", "nf4-double", "iq4_xs", "q3_k_m", "iq3_m", "q2_k",
    "iq2_m", "iq2_xxs", "iq1_s",
)  # fmt: skip


class Tried(NamedTuple):
    """A candidate and what comes of it."""

    name: str
    fit: Fit
    bits: float


def fit(architecture: Architecture, memory_bytes: int, reserve: int, count: int = 1, **arguments: Any) -> Fit:
    """Whether a model fits on each of ``count`` accelerators.

    Args:
        architecture: what ``load`` returned.
        memory_bytes: memory of one accelerator.
        reserve: bytes of it that the runtime takes for itself.
        count: accelerators; without a ``mesh`` they share the weights (tensor parallelism in serving, ZeRO-3 over
            data-parallel ranks in training).
        arguments: those of ``llmcalc.memory``.

    Raises:
        SizeError: a mesh of another number of ranks, or one that does not divide what it shares.
    """
    mesh = arguments.pop("mesh", None) or Mesh()
    if mesh == Mesh() and count > 1:
        mesh = usual_mesh(count, arguments.get("mode", "inference"))
    if mesh.ranks != count:
        hint = "the product of {dp}, {tp}, {pp} and {cp} must be the number of GPUs"
        raise SizeError(f"the mesh has {mesh.ranks} ranks, but there are {count} GPUs", parameter="gpu", hint=hint)
    result = memory(architecture, mesh=mesh, **arguments)
    return Fit(memory_bytes, reserve, result.peak, count, result)


def usual_mesh(count: int, mode: str) -> Mesh:
    """How ``count`` GPUs share a model where nothing is said."""
    return Mesh(dp=count, zero=3) if mode == "training" else Mesh(tp=count)


def solve_size(name: str, architecture: Architecture, budget: dict[str, Any], arguments: dict[str, Any]) -> int | None:
    """The largest ``seq`` or ``batch`` that fits; None: not even 1.

    Longer sequences and larger batches never take less memory, so that halving the range finds it exactly.
    """
    limit = LARGEST
    if name == "seq" and not arguments.get("extend"):
        limit = positions(architecture) or LARGEST
    return largest_fitting(lambda size: fit(architecture, **budget, **{**arguments, name: size}).fits, limit)


def solve_quant(architecture: Architecture, budget: dict[str, Any], arguments: dict[str, Any]) -> list[Tried]:
    """Common formats of weights, from the most bits to the fewest, each with whether it fits."""
    found = []
    for name in FORMATS:
        tried = fit(architecture, **budget, **{**arguments, "weights": name})
        stored = tried.result.stored
        found.append(Tried(name, tried, sum(one.bits for one in stored) / sum(one.elements for one in stored)))
    return sorted(found, key=lambda tried: -tried.bits)


def solve_gpus(architecture: Architecture, budget: dict[str, Any], arguments: dict[str, Any]) -> tuple[int, Fit] | None:
    """The fewest accelerators that hold the model, and how; None: no number does.

    A mesh that is given keeps its other dimensions; data-parallel ranks are added. In serving without a mesh,
    tensor-parallel ranks that do not divide the model are passed over.
    """
    given = arguments.get("mesh") or Mesh()
    rest = {name: value for name, value in arguments.items() if name != "mesh"}
    per_gpu = {name: value for name, value in budget.items() if name != "count"}
    if given == Mesh() and arguments.get("mode") != "training":
        return _first_dividing(architecture, per_gpu, rest)

    def tried(count: int) -> Fit:
        zero = given.zero if given != Mesh() else 3
        words = {field.name: getattr(given, field.name) for field in fields(given)}
        mesh = Mesh(**{**words, "dp": given.dp * count, "zero": zero})
        return fit(architecture, **per_gpu, count=mesh.ranks, mesh=mesh, **rest)

    found = smallest_fitting(lambda count: tried(count).fits, MOST_GPUS)
    return None if found is None else (tried(found).count, tried(found))


def _first_dividing(architecture: Architecture, budget: dict[str, Any], rest: dict[str, Any]) -> tuple[int, Fit] | None:
    most = max((head for stack in architecture.stacks for head in _heads(stack)), default=1)
    for count in range(1, most + 1):
        try:
            tried = fit(architecture, **budget, count=count, **rest)
        except SizeError:
            if count == 1:
                raise
            continue
        if tried.fits:
            return count, tried
    return None


def _heads(stack: Any) -> list[int]:
    layers = [branch.layer for run in stack.runs for sub in run.block.sublayers for branch in sub.branches]
    return [int(getattr(layer, "n_heads", None) or 1) for layer in layers]
