"""The answer of ``fit``: whether a model fits on GPUs, and the workload, weight format or GPU count that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

from ..calc.memory.fit import LARGEST, Fit, read_size
from ..calc.memory.inference import InferenceMemory
from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError, SizeError
from ..core.evidence import FITTED
from ..core.notebook_display import NotebookDisplay
from ..core.record import changed, fields, record
from ..core.setting import CONVENTION, SIZE, SIZES, Setting
from ..engines.lengths import known_length
from ..estimate.hardware import NODE, Accelerator
from ..inputs.defaults import RESERVE, default_seq
from ..inputs.effects import check_effects
from ..inputs.gpus import Gpus, gpu_name, read_gpus
from ..inputs.models import Source, read_model
from ..inputs.serving_settings import ENGINES
from ..inputs.settings import MEMORY, MEMORY_MODE, RANKS, memory_settings, whole_layout
from .advice import Change
from .question import Question
from .solution import OFFLOADS, Solution

if TYPE_CHECKING:
    from ..serving.start.start import Start
    from .advice import Settings

MOST_COUNT = 10**6
GIB = 2**30
SOLVE = ("seq", "batch", "quant", "gpus", *OFFLOADS)
FIT = (
    Setting("gpu", SIZE, least=1, metavar="NAME[:N]", complete="gpus",
            help="GPU, cloud instance or memory, with an optional count: 8xh100, p5.48xlarge, 24GB:2; or all."),
    Setting("gpu_memory", SIZE, least=1, metavar="SIZE",
            help="Memory per GPU, such as 79.6GiB (overrides the specification)."),
    Setting("reserve", SIZE, least=0, metavar="SIZE",
            help=f"Plain memory: memory to reserve per GPU, such as 2GiB, 10% or 0 (default: {RESERVE})."),
    Setting("engine", choices=(*ENGINES, "none"), metavar="NAME",
            help="Serving engine, or none: plain memory (default: vllm; llama.cpp for GGUF formats, Apple, Radeon)."),
    Setting("solve", choices=SOLVE,
            help="Solve for the largest seq or batch, best quant, fewest gpus, most gpu-layers, fewest cpu-experts, or "
                 "a training recipe."),
    Setting("count", int, least=1),
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
        start: how the serving engine starts that was asked, or None for plain memory.
        requests: most requests of this length that the engine holds at once on all GPUs, or None.
        batch: requests that are asked for.
        plain: why plain memory answers, or an empty text.
    """

    architecture: Architecture
    accelerator: Accelerator | None = None
    solution: Solution | None = None
    find_changes: Callable[[], Iterable[Change]] = tuple
    start: Start | None = None
    requests: int | None = None
    batch: int = 1
    plain: str = ""

    EVIDENCE: ClassVar[dict[str, str]] = {
        "fits": "assumed", "headroom": "assumed", "needed": "assumed", "memory": "measured", "reserve": "assumed",
        "usable": "assumed",
    }  # fmt: skip

    @property
    def fits(self) -> bool:
        """Whether the engine starts with the whole model on the GPUs and holds all requests, or the model fits."""
        if self.start is None or self.requests is None:
            return self.headroom >= 0
        return self.start.starts and not self.start.automatic and self.requests >= self.batch

    @property
    def is_serving(self) -> bool:
        """Whether the model serves requests, and is not trained."""
        return isinstance(self.result, InferenceMemory)

    @property
    def change(self) -> dict[str, Any]:
        """The settings of the engine that the requests need, in place of its defaults."""
        return dict(self.start.deployment.change) if self.start else {}

    @property
    def replicas(self) -> int:
        """Number of engines, each on its own part of the GPUs."""
        return self.count // (self.start.deployment.gpus.count or self.count) if self.start else 1

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value. What the model needs has the evidence of ``memory``, and specifications
        that were not verified in their source are assumed.
        """
        is_known = self.accelerator and self.accelerator.checked != "false"
        memory = {} if is_known else {"memory": "assumed"}
        if self.start:
            return {**super().evidence, **dict.fromkeys(("fits", "headroom", "needed"), FITTED), **memory}
        return {**super().evidence, "needed": self.result.evidence["peak"], **memory}

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """The three cheapest changes with which the model fits, empty if it fits already.

        >>> import llmcalc
        >>> [change.settings for change in llmcalc.fit("llama3-70b", "h100").changes]
        [{'weights': 'fp8'}, {'gpu': 'h100-sxm', 'count': 2}]
        """
        return () if self.fits else tuple(self.find_changes())

    @cached_property
    def surer_starts(self) -> tuple[Change, ...]:
        """Changed settings of the engine with which it starts for sure and holds all requests.

        They are empty unless the engine only probably starts.
        """
        seq, found = self.result.workload.seq, list[Change]()
        if self.start is None or not self.fits or self.start.is_whole:
            return ()
        deployed = self.start.deployment.on_layout(self.change)  # with the length of the requests as if it were given
        for settings, start in deployed.with_change({}).start().changes:
            held = int(start.pool.requests(seq)) * int(start.settings.get("dp", 1)) * self.replicas
            if held >= self.batch and start.max_model_len >= seq:
                found.append(Change(settings, changed(self, start=start, requests=held)))
        return tuple(found)

    @property
    def summary(self) -> str:
        """One-line summary of the result."""
        size = f"{abs(self.headroom) / GIB:.1f} GiB"
        short = f"{size} short" if self.headroom < 0 else self.start.reason if self.start else ""
        verdict = (
            "undecided" if self.is_undecided else f"fits, {size} to spare" if self.fits else f"does not fit: {short}"
        )
        solved = f"{self.solution.asked} {self.solution.value}, " if self.solution else ""
        gpu = self.accelerator.title if self.accelerator else "GPU"
        return f"{self.architecture.name} on {self.count} × {gpu}: {solved}{verdict}"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        solved: dict[str, Any] = {"solve": self.solution.asked, "value": self.solution.value} if self.solution else {}
        if self.solution and self.solution.in_memory:
            solved["in_memory"] = self.solution.in_memory
        if self.solution and self.solution.is_unlimited:
            solved["unlimited"] = True
        if self.solution and self.solution.asked in OFFLOADS:
            solved |= {"host_weights": self.result.host, "host_state": self.result.host_state}
        if start := self.start:
            own = {
                "engine": start.engine, "version": start.profile.version, "verdict": start.verdict,
                "reason": start.reason, "settings": dict(start.settings), "command": start.line(self.change),
            }  # fmt: skip
            running = min(self.requests or 0, self.batch) if start.starts else 0
            solved |= {
                "requests": self.requests, "start": own, "gpus_used": start.ranks * self.replicas,
                "requests_running": running, "requests_waiting": self.batch - running,
            }  # fmt: skip
        elif self.plain:
            solved["plain"] = self.plain
        return {**super().to_dict(), **solved, "evidence": self.evidence}


def read_question(
    model: Source,
    gpu: str | int | None,
    count: int | None,
    gpu_memory: str | int | None,
    reserve: str | int | None,
    solve: str | None,
    settings: Settings,
) -> Question:
    """Return the question of ``fit``. Each of the settings has an effect on its answer."""
    card, number, total, of_runtime = resources(gpu, count, gpu_memory, RESERVE if reserve is None else reserve)
    settings = dict(settings)
    sizes = {setting.name: settings.pop(setting.name) for setting in SIZES if setting.name in settings}
    training = settings.pop("mode", "inference") == "training" or bool(settings.get("training"))
    if number and not training and settings.keys() & set(RANKS):
        settings = whole_layout(settings, number)
    arguments = {**memory_settings({"training": training, **settings}), **sizes}
    architecture = read_model(model)
    several = {"dp": max(2, settings.get("dp") or 1)} if solve == "gpus" and "mesh" not in settings else {}
    check_effects(SETTINGS, {"training": training, **settings, **sizes, **several}, architecture)
    if arguments.get("seq") is None:
        arguments["seq"] = default_seq(architecture)
    if solve == "gpus" and number is not None:
        text = "cannot include a count when solving for the number of GPUs"
        raise InputError(text, parameter="gpu", hint="omit the count")
    number = (arguments["mesh"] or Mesh()).ranks if number is None else number
    budget = {
        "memory_bytes": total, "reserve": of_runtime, "count": number, "node": card.node if card else NODE,
        "shared": card.shared_bytes if card else None,
    }  # fmt: skip
    return Question(architecture, gpu_name(card, total), card, budget, arguments)


def answer(question: Question, solve: str | None, find_changes: Callable[[Question], Iterable[Change]]) -> FitResult:
    """Return the answer of a question. ``find_changes`` searches for changes with which the model fits."""
    found, solution = _solve(question, solve)
    own = {field.name: getattr(found, field.name) for field in fields(type(found))}
    own |= {"architecture": question.architecture, "accelerator": question.card, "solution": solution}
    return FitResult(**{**own, "find_changes": partial(find_changes, question) if solve is None else tuple})


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


def _solve(question: Question, solve: str | None) -> tuple[Fit, Solution | None]:
    """Return the fit check and the solution, which is None unless ``solve`` is given."""
    if solve is None:
        return question.ask(), None
    if solve in ("seq", "batch"):
        size, found = question.largest(solve)
        most = known_length(question.architecture) if solve == "seq" and question.is_bounded else None
        is_unlimited = size == LARGEST
        if size and most and size > most:
            own = Solution(solve, most, in_memory=None if is_unlimited else size, is_unlimited=is_unlimited)
            return question.ask({solve: most}), own
        if is_unlimited:
            return question.ask(), Solution(solve, None, is_unlimited=True)
        return found, Solution(solve, size, is_unlimited=size is not None and size == most)
    architecture, card, arguments = question.architecture, question.card, question.arguments
    if solve == "quant":
        if question.is_training or arguments.get("weights"):
            hint = "omit {weights=FORMAT} and {mode=training}"
            text = "'quant' applies only to serving without a fixed weight format"
            raise InputError(text, parameter="solve", hint=hint)
        from .formats import format_candidates  # a check alone is fast without the searches

        tried = question.try_formats(format_candidates(architecture, arguments.get("dtype", "bf16"), card))
        best = next((one for one in tried if one.fit.fits), None)
        return (best or tried[-1]).fit, Solution(solve, best.name if best else None, tuple(tried))
    if solve in OFFLOADS:
        from .offload import solve_offload

        found, number = solve_offload(solve, architecture, question.budget, arguments, card)
        return found, Solution(solve, number)
    fewest = question.fewest()
    if fewest is None:
        return question.ask({"count": (arguments["mesh"] or Mesh()).ranks}), Solution(solve, None)
    return fewest[1], Solution(solve, fewest[0])
