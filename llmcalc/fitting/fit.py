"""Memory fit checks for models on GPUs, and searches for a workload, weight format or GPU count that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from ..calc.memory.fit import LARGEST, Fit, largest_fitting, largest_within, read_size, smallest_fitting
from ..calc.memory.inference import InferenceMemory
from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.description.compiled import CompiledFunction
from ..core.errors import InputError, SizeError
from ..core.notebook_display import NotebookDisplay
from ..core.record import changed, fields, record
from ..core.setting import CONVENTION, SIZE, SIZES, Setting, check_values
from ..core.workload import positions
from ..engines.hardware import is_reachable
from ..engines.lengths import known_length
from ..estimate.hardware import NODE, Accelerator
from ..inputs.defaults import RESERVE, default_seq
from ..inputs.effects import check_effects
from ..inputs.gpus import Gpus, gpu_name, read_gpus
from ..inputs.models import Source, load
from ..inputs.settings import MEMORY, MEMORY_MODE, memory_settings, read_settings
from .layouts import Layout, best_layout
from .memory import memory_of, serving_stages, worst_stage
from .offload import OFFLOADS, solve_offload
from .solution import Solution

if TYPE_CHECKING:
    from ..search.fit_changes import Change

MOST_COUNT, MOST_GPUS, MOST_SERVING_GPUS = 10**6, 2**14, 128
MOST_CHECKED = 10  # sizes that are checked before tracing takes less time
TRAY = 4  # GPUs by which part of a large node grows
GIB = 2**30
SOLVE = ("seq", "batch", "quant", "gpus", *OFFLOADS)
FIT = (
    Setting("gpu", SIZE, least=1), Setting("count", int, least=1), Setting("gpu_memory", SIZE, least=1),
    Setting("reserve", SIZE, RESERVE, least=0), Setting("solve", choices=SOLVE),
)  # fmt: skip
SETTINGS = (*SIZES, MEMORY_MODE, *MEMORY, CONVENTION)


@record
class FitResult(NotebookDisplay, Fit):
    """Result of a fit check, with the required and usable bytes per GPU.

    Attributes:
        architecture: model that was checked.
        accelerator: named GPU, or None if only a memory size was given.
        solution: result of ``solve``, or None if ``solve`` was not given.
        find_changes: function that searches for ``changes``.
    """

    architecture: Architecture
    accelerator: Accelerator | None = None
    solution: Solution | None = None
    find_changes: Callable[[], Iterable[Change]] = tuple

    EVIDENCE: ClassVar[dict[str, str]] = {
        "fits": "assumed", "headroom": "assumed", "needed": "assumed", "memory": "measured", "reserve": "assumed",
        "usable": "assumed",
    }  # fmt: skip

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value. What the model needs has the evidence of ``memory``, and specifications
        that were not verified in their source are assumed.
        """
        is_known = self.accelerator and self.accelerator.checked != "false"
        memory = {} if is_known else {"memory": "assumed"}
        return {**super().evidence, "needed": self.result.evidence["peak"], **memory}

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """The three cheapest changes with which the model fits, empty if it fits already.

        >>> import llmcalc
        >>> [change.settings for change in llmcalc.fit("llama3-70b", "h100").changes]
        [{'weights': 'fp8'}, {'gpu': 'h100-sxm', 'count': 2}]
        """
        return () if self.fits else tuple(self.find_changes())

    @property
    def summary(self) -> str:
        """One-line summary of the result."""
        size = f"{abs(self.headroom) / GIB:.1f} GiB"
        verdict = f"fits, {size} to spare" if self.fits else f"does not fit: {size} short"
        solved = f"{self.solution.asked} {self.solution.value}, " if self.solution else ""
        gpu = self.accelerator.title if self.accelerator else "GPU"
        return f"{self.architecture.name} on {self.count} × {gpu}: {solved}{verdict}"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        solved = {"solve": self.solution.asked, "value": self.solution.value} if self.solution else {}
        if self.solution and self.solution.in_memory:
            solved["in_memory"] = self.solution.in_memory
        if self.solution and self.solution.is_unlimited:
            solved["unlimited"] = True
        if self.solution and self.solution.asked in OFFLOADS:
            solved |= {"host_weights": self.result.host, "host_state": self.result.host_state}
        return {**super().to_dict(), **solved, "evidence": self.evidence}


def fit(
    model: Source,
    gpu: str | int | None = None,
    *,
    count: int | None = None,
    gpu_memory: str | int | None = None,
    reserve: str | int = RESERVE,
    solve: str | None = None,
    **settings: Any,
) -> FitResult:
    """Check whether a model fits on GPUs, or solve for a workload, weight format or GPU count that fits.

    >>> import llmcalc
    >>> llmcalc.fit("llama3-8b", "h100", seq=8192).fits
    True
    >>> llmcalc.fit("llama3-8b", "h100", solve="seq").solution.value  # of 511,457 in memory
    8192

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count, such as ``"h100"`` or ``"h100:8"``; or the memory of one GPU, such as
            ``"24GB"`` or a number of bytes.
        count: number of GPUs. Without a mesh, serving uses the best layout and training uses ZeRO-3.
        gpu_memory: memory of one GPU, such as ``"79.6GiB"`` (overrides the specification).
        reserve: memory per GPU for the runtime: bytes, ``"2GiB"`` or ``"10%"``.
        solve: ``seq`` (the largest, also of the model unless ``extend``), ``batch`` (the largest), ``quant`` (the best
            format), ``gpus`` (the fewest), or what llama.cpp keeps in host memory: ``gpu-layers`` (the most on the
            GPU) or ``cpu-experts`` (the fewest layers).
        settings: parameters of ``memory``, ``training=True`` for training, or fields of ``Mesh`` such as ``tp=8``.

    Raises:
        InputError: an unknown GPU, or conflicting settings.
    """
    check_values(FIT, locals())
    if solve in settings:
        raise InputError("cannot be set because it is being solved for", parameter=str(solve), hint="omit it")
    settings = read_settings("a fit", SETTINGS, settings)
    sizes = {setting.name: settings.pop(setting.name) for setting in SIZES if setting.name in settings}
    training = settings.pop("mode", "inference") == "training"
    arguments = {**memory_settings({"training": training, **settings}), **sizes}
    architecture = load(model)
    several = {"dp": max(2, settings.get("dp") or 1)} if solve == "gpus" and "mesh" not in settings else {}
    check_effects(SETTINGS, {"training": training, **settings, **sizes, **several}, architecture)
    if arguments.get("seq") is None:
        arguments["seq"] = default_seq(architecture)
    card, number, total, of_runtime = resources(gpu, count, gpu_memory, reserve)
    if solve == "gpus" and number is not None:
        text = "cannot include a count when solving for the number of GPUs"
        raise InputError(text, parameter="gpu", hint="omit the count")
    number = arguments["mesh"].ranks if number is None else number
    node = card.node if card else NODE
    shared = card.shared_bytes if card else None
    budget = {"memory_bytes": total, "reserve": of_runtime, "count": number, "node": node, "shared": shared}
    result, solution = _solve(architecture, budget, arguments, solve, card)
    own = {field.name: getattr(result, field.name) for field in fields(Fit)}
    changes = (
        partial(_changes, architecture, gpu_name(card, total), card, budget, arguments) if solve is None else tuple
    )
    return FitResult(**own, architecture=architecture, accelerator=card, solution=solution, find_changes=changes)


def _changes(
    architecture: Architecture, gpu: str, card: Accelerator | None, budget: dict[str, Any], arguments: dict[str, Any]
) -> Iterable[Change]:
    from ..search.fit_changes import MOST, Search  # needed only by checks that fail

    return islice(Search(architecture, gpu, card, budget, arguments).changes(), MOST)


def resources(
    gpu: str | int | None, count: int | None, gpu_memory: str | int | None, reserve: str | int
) -> tuple[Accelerator | None, int | None, int, int]:
    """Return the GPU, the number of GPUs (if given), and the total and reserved bytes per GPU."""
    gpus = read_gpus(gpu, count) if isinstance(gpu, str) else Gpus(None, gpu, count)
    if gpus.count is not None and gpus.count > MOST_COUNT:
        raise SizeError(f"the GPU count must be at most {MOST_COUNT:,}, not {gpus.count:,}", parameter="count")
    card = gpus.accelerator
    given = gpus.memory_bytes if gpu_memory is None else gpu_memory
    if gpus.memory_bytes is not None and gpu_memory is not None:
        text, hint = "cannot be combined with a memory size as the GPU", "omit it, or name a GPU such as {gpu=h100}"
        raise InputError(text, parameter="gpu_memory", hint=hint)
    if card is None and given is None:
        hint = "use a name such as {gpu=h100}, or a memory size such as {gpu=24GiB}"
        raise InputError("missing GPU", parameter="gpu", hint=hint)
    total = card.usable_bytes if card else 0
    total = total if given is None else read_size(given, "gpu_memory") if isinstance(given, str) else given
    of_runtime = read_size(reserve, "reserve", total) if isinstance(reserve, str) else reserve
    if of_runtime >= total:
        raise InputError("must be less than the GPU memory", parameter="reserve")
    return card, gpus.count, total, of_runtime


def _solve(
    architecture: Architecture,
    budget: dict[str, Any],
    args: dict[str, Any],
    solve: str | None,
    card: Accelerator | None,
) -> tuple[Fit, Solution | None]:
    """Return the fit check and the solution, which is None unless ``solve`` is given."""
    if solve is None:
        return check_fit(architecture, **budget, **args), None
    if solve in ("seq", "batch"):
        size, found = solve_size(solve, architecture, budget, args)
        is_bounded = solve == "seq" and args["mode"] != "training" and not args.get("extend")
        most = known_length(architecture) if is_bounded else None
        is_unlimited = size == LARGEST
        if size and most and size > most:
            own = Solution(solve, most, in_memory=None if is_unlimited else size, is_unlimited=is_unlimited)
            return check_fit(architecture, **budget, **{**args, solve: most}), own
        if is_unlimited:
            return check_fit(architecture, **budget, **args), Solution(solve, None, is_unlimited=True)
        return found, Solution(solve, size)
    if solve == "quant":
        if args["mode"] == "training" or args.get("weights"):
            hint = "omit {weights=FORMAT} and {mode=training}"
            text = "'quant' applies only to serving without a fixed weight format"
            raise InputError(text, parameter="solve", hint=hint)
        from .formats import solve_quant

        tried = solve_quant(architecture, budget, args, card)
        best = next((one for one in tried if one.fit.fits), None)
        return (best or tried[-1]).fit, Solution(solve, best.name if best else None, tuple(tried))
    if solve in OFFLOADS:
        found, number = solve_offload(solve, architecture, budget, args, card)
        return found, Solution(solve, number)
    fewest = solve_gpus(architecture, budget, args)
    if fewest is None or not is_reachable(card, fewest[0]):
        return check_fit(architecture, **{**budget, "count": args["mesh"].ranks}, **args), Solution(solve, None)
    return fewest[1], Solution(solve, fewest[0])


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

    Without a mesh, training uses ZeRO-3, and serving uses ``layout`` or the best layout. A mesh with fewer ranks is
    served by several replicas, which share the batch. ``shared`` are the bytes that a GPU shares with its host: the
    input table in host memory is outside of those of the GPU only as far as they leave room.
    """
    mesh = arguments.pop("mesh", None) or Mesh()
    is_training = arguments.get("mode") == "training"
    if mesh == Mesh() and count > 1 and is_training:
        mesh = Mesh(dp=count, zero=3)
    if count % mesh.ranks or (is_training and count != mesh.ranks):
        hint = "the product of {dp}, {tp}, {pp} and {cp} must divide the number of GPUs"
        raise SizeError(f"the mesh has {mesh.ranks} ranks, but there are {count} GPUs", parameter="gpu", hint=hint)

    if is_training:
        result = memory_of(architecture, mesh=mesh, **arguments)
        return Fit(memory_bytes, reserve, result.peak, count, result)
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

    if layout is None and mesh == Mesh() and count > 1:
        return best_layout(architecture, count, node, memory_bytes - reserve, stages_on, fit_on, is_trial)
    layout = layout or Layout(count // mesh.ranks, mesh)
    return fit_on(layout, stages_on(layout))


def with_room_on_host(result: InferenceMemory, memory_bytes: int, shared: int | None) -> InferenceMemory:
    """Return the memory with at most the bytes on the host that memory shared with the GPU has outside of its part."""
    room = result.host if shared is None else max(shared - memory_bytes, 0)
    return changed(result, host=room) if result.host > room else result


def solve_size(
    name: str, architecture: Architecture, budget: dict[str, Any], arguments: dict[str, Any]
) -> tuple[int | None, Fit]:
    """Return the largest ``seq`` or ``batch`` that fits, or None if a size of 1 does not fit, and the fit check.

    If no layout is given, it is the largest one with any layout.
    """
    first = check_fit(architecture, **budget, **{**arguments, name: 1})
    if not first.fits:
        return None, first
    is_bounded = name == "seq" and not arguments.get("extend")
    limit = (positions(architecture) if is_bounded else None) or LARGEST
    if arguments.get("mode") == "training" or first.count == 1 or arguments.get("layout"):
        return _solve_on(name, architecture, budget, arguments, limit)
    size, found = 1, first
    while True:
        own = {**arguments, "layout": layout_of(found)}
        size, best = _solve_on(name, architecture, budget, own, limit, size)
        if size == limit:
            return size, best
        found = check_fit(architecture, **budget, **{**arguments, name: size + 1}, is_trial=True)
        if not found.fits or found.result.refusals:
            return size, best
        size += 1


def _solve_on(
    name: str, architecture: Architecture, budget: dict[str, Any], arguments: dict[str, Any], limit: int, start: int = 1
) -> tuple[int, Fit]:
    """Return the largest size that fits on one layout, and the fit check. A size of ``start`` fits.

    Memory increases with either size, so bisection finds the exact maximum. Memory is almost linear in the batch, so
    that few steps along the secant suffice. Most lengths are checked by a compiled form.
    """
    found = dict[int, Fit]()

    def computed(size: int, model: Architecture) -> Fit:
        return check_fit(model, **budget, **{**arguments, name: size}, is_trial=True)

    def check(size: int) -> Fit:
        if size not in found:
            found[size] = computed(size, architecture)
        return found[size]

    form = CompiledFunction(lambda size: computed(size, changed(architecture)).needed, {"size": 1})

    def fits(size: int) -> bool:
        if size in found or len(found) < MOST_CHECKED:
            return check(size).fits
        return bool(form(size=size) <= check(start).usable)

    if name == "batch":
        usable = check(start).usable
        size = largest_within(lambda size: check(size).needed, usable, limit, start)
    else:
        size = largest_fitting(fits, limit, start) or start
    return size, check(size)


def layout_of(found: Fit) -> Layout:
    """Return the layout of a serving fit check."""
    return Layout(found.count // found.result.mesh.ranks, found.result.mesh)


def solve_gpus(architecture: Architecture, budget: dict[str, Any], arguments: dict[str, Any]) -> tuple[int, Fit] | None:
    """Return the minimum number of GPUs and the fit check for this number, or None if the model never fits.

    In training, only the number of data-parallel ranks varies, and with a serving mesh, only the number of replicas. In
    serving without a mesh, each number of GPUs uses its best layout.
    """
    given = arguments.get("mesh") or Mesh()
    rest = {name: value for name, value in arguments.items() if name != "mesh"}
    per_gpu = {name: value for name, value in budget.items() if name != "count"}
    if given == Mesh() and arguments.get("mode") != "training":
        return _first_serving(architecture, per_gpu, rest)

    def fit_on(count: int) -> Fit:
        if rest.get("mode") != "training":
            return check_fit(architecture, **per_gpu, count=given.ranks * count, mesh=given, **rest)
        mesh = changed(given, dp=given.dp * count, zero=given.zero if given != Mesh() else 3)
        return check_fit(architecture, **per_gpu, count=mesh.ranks, mesh=mesh, **rest)

    count = smallest_fitting(lambda count: fit_on(count).headroom, MOST_GPUS)
    if count is None:
        return None
    found = fit_on(count)
    return found.count, found


def _first_serving(architecture: Architecture, budget: dict[str, Any], rest: dict[str, Any]) -> tuple[int, Fit] | None:
    """Return the smallest number of GPUs with a layout that fits: part of a node, or a number of nodes."""
    (whole,) = serving_stages(architecture, **{name: value for name, value in rest.items() if name != "mode"})
    least = (whole.weights + whole.state) // (budget["memory_bytes"] - budget["reserve"])
    node = budget.get("node", NODE)
    of_node = (*range(1, min(node, NODE)), *range(NODE, node, TRAY))
    for count in (*of_node, *range(node, max(MOST_SERVING_GPUS, 2 * node) + 1, node)):
        if count < least:
            continue
        with suppress(SizeError):  # no layout of this number of GPUs
            tried = check_fit(architecture, **budget, count=count, is_trial=True, **rest)
            if tried.fits and not tried.result.refusals:
                return count, tried
    return None
