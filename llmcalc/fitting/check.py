"""Check whether a model fits on GPUs."""

from __future__ import annotations

from collections.abc import Sequence

from ..calc.memory.fit import Doubts, Fit
from ..calc.memory.inference import InferenceMemory
from ..calc.memory.recomputation import FULL, UNKNOWN
from ..calc.memory.zero import SHARDS_WEIGHTS
from ..calc.sharding import MESH, Mesh
from ..core.architecture import Architecture
from ..core.errors import SizeError
from ..core.record import changed
from ..core.type_names import TYPE_CHECKING, Any
from ..estimate.hardware import NODE
from .layouts import Layout, best_layout
from .memory import memory_of, serving_stages, worst_stage

if TYPE_CHECKING:
    from ..calc.memory.training import TrainingMemory

# PyTorch's allocator holds a part beyond the tensors that come and go: 13 % of them in the row of
# docs/data/finetuning_peaks_fms.csv where nvidia-smi shows the least (Mixtral-8x7B, 8 sequences), after 1 GiB
ALLOCATOR_SHARE = 8
LEAST = {"recompute": FULL}  # with what is saved at most
RECOMPUTED = "what is recomputed"


def check_fit(
    architecture: Architecture,
    memory_bytes: int,
    reserve: int,
    count: int = 1,
    node: int = NODE,
    layout: Layout | None = None,
    is_trial: bool = False,
    shared: int | None = None,
    **arguments: Any,
) -> Fit:
    """Check whether a model fits on ``count`` GPUs. If it does not fit, a trial returns any layout.

    A program that trains adapters also needs what its allocator holds. Without a mesh, training uses ZeRO-3, and
    serving uses ``layout`` or the best layout. A mesh with fewer ranks is
    served by several replicas, which share the batch. ``shared`` are the bytes that a GPU shares with its host: the
    input table in host memory is outside of those of the GPU only as far as they leave room.
    """
    given, is_training = arguments.pop("mesh", None), arguments.get("mode") == "training"
    mesh = given or (Mesh(dp=count, zero=3) if count > 1 and is_training else Mesh())
    if count % mesh.ranks or (is_training and count != mesh.ranks):
        hint = "the product of {dp}, {tp}, {pp} and {cp} must divide the number of GPUs"
        others = [f"{{{each.name}}}" for each in MESH if not each.is_default(getattr(mesh, each.name))]
        if mesh.ranks == 1:
            hint = f"use {{dp={count}}}" + (f", or omit {', '.join(others)}" if others else "")
        raise SizeError(f"the mesh has {mesh.ranks} ranks, but there are {count} GPUs", parameter="gpu", hint=hint)

    if is_training:
        result = memory_of(architecture, mesh=mesh, **arguments)
        assert not isinstance(result, InferenceMemory)
        needed = result.peak + held_by_allocator(result.worst)
        doubts = _doubts(architecture, needed, mesh, arguments)
        return Fit(memory_bytes, reserve, needed, count, changed(result, doubts=doubts) if doubts.names else result)
    batch = arguments.get("batch", 1)
    own = {name: value for name, value in arguments.items() if name != "mode"}

    def stages_on(layout: Layout) -> Sequence[InferenceMemory]:
        return serving_stages(architecture, **{**own, "mesh": layout.mesh, "batch": -(-batch // layout.replicas)})

    def fit_on(layout: Layout, stages: Sequence[InferenceMemory]) -> Fit:
        result = worst_stage(architecture, stages)
        if layout.replicas > 1:
            result = changed(result, workload=changed(result.workload, batch=batch))
        result = with_room_on_host(result, memory_bytes, shared)
        return Fit(memory_bytes, reserve, result.peak - result.host, count, result)

    if layout is None and given is None and count > 1:
        return best_layout(architecture, count, node, memory_bytes - reserve, stages_on, fit_on, is_trial)
    layout = layout or Layout(count // mesh.ranks, mesh)
    return fit_on(layout, stages_on(layout))


def _doubts(architecture: Architecture, needed: int, mesh: Mesh, arguments: dict[str, Any]) -> Doubts:
    """Return what a training program's file asks for and is not modelled."""
    file = architecture.inputs.get("training_file", {})
    saving, others = (*file.get("saving", ()), *file.get("offloading", ())), tuple(file.get("not_computed", ()))
    if arguments.get("recompute") == UNKNOWN:
        saving = (*saving, RECOMPUTED)
    least = None
    if saving:
        at_most = {**LEAST, **({"loss": "chunked"} if others else {})}
        if file.get("offloading"):
            at_most["offload"] = "weights" if mesh.zero >= SHARDS_WEIGHTS else "optimizer"
        result = memory_of(architecture, mesh=mesh, **{**arguments, **at_most})
        assert not isinstance(result, InferenceMemory)
        least = min(needed, result.peak + held_by_allocator(result.worst))
    return Doubts(tuple(dict.fromkeys((*saving, *others))), least, not set(others) <= set(saving))


def held_by_allocator(memory: TrainingMemory) -> int:
    """Return the bytes that the allocator of a program that trains adapters holds beyond those in use."""
    return 0 if memory.recipe.adapters is None else allocator_part(memory)


def allocator_part(memory: TrainingMemory) -> int:
    """Return the bytes that PyTorch's allocator holds beyond those in use, a share of those that come and go."""
    return (memory.peak - memory.weights - memory.optimizer) // ALLOCATOR_SHARE


def has_room(memory: TrainingMemory, room: int) -> bool:
    """Return whether a step needs at most a number of bytes, with what the allocator holds."""
    if memory.recipe.adapters is None:
        return memory.fits(room)  # which ends at the first moment without room
    return memory.peak + held_by_allocator(memory) <= room


def with_room_on_host(result: InferenceMemory, memory_bytes: int, shared: int | None) -> InferenceMemory:
    """Return the memory with at most the bytes on the host that memory shared with the GPU has outside of its part."""
    room = result.host if shared is None else max(shared - memory_bytes, 0)
    return changed(result, host=room) if result.host > room else result


def layout_of(found: Fit, count: int | None = None) -> Layout:
    """Return the layout of a serving fit check, with as many replicas as ``count`` GPUs have."""
    return Layout((count or found.count) // found.result.mesh.ranks, found.result.mesh)
