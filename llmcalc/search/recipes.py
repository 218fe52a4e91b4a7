"""Search for a way to train a model on GPUs: full fine-tuning, LoRA or QLoRA, with less and less memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from ..calc.memory.fit import Fit
from ..core.architecture import Architecture
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..core.setting import SIZES, check_values
from ..estimate.hardware import NODE, Accelerator
from ..fitting.check import check_fit
from ..fitting.fit import FIT, resources
from ..fitting.memory import LORA_TARGETS, adaptable_matrices
from ..fitting.sizes import solve_size
from ..inputs.defaults import RESERVE, default_seq
from ..inputs.effects import check_effects
from ..inputs.models import Source, read_model
from ..inputs.settings import DTYPE, IS_TRAINING, TRAINING, memory_settings, read_settings

LORA_RANK, QUANTISED = 16, "nf4"
OFFLOADED = "full, optimizer on the CPU"
# methods in the order of what they train and cost, as a name and settings of ``memory``
METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("full fine-tuning", {}),
    ("full, 8-bit optimizer", {"optimizer": "adam-8bit"}),
    (OFFLOADED, {}),
    ("LoRA", {"lora_rank": LORA_RANK}),
    ("QLoRA", {"lora_rank": LORA_RANK, "weights": QUANTISED}),
)
# settings that save memory and cost time
SAVINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("", {}),
    ("recomputation", {"recompute": "full"}),
    ("recomputation, fused loss", {"recompute": "full", "loss": "fused"}),
)
CHOSEN = ("optimizer", "recompute", "loss", "master", "gradient_buffer", "expert_kernel", "gradients")
SETTINGS = (*SIZES, DTYPE, *(setting for setting in TRAINING if setting.name not in CHOSEN))


class Recipe(NamedTuple):
    """A way to train a model.

    Attributes:
        method: what is trained, such as ``LoRA``.
        saving: what saves memory, such as ``recomputation``, or empty.
        settings: settings of ``memory``.
        fits: whether the smallest batch fits.
        needed: bytes that each GPU needs for the smallest batch.
        host: bytes of optimizer states and master weights in host memory, for each GPU.
        batch: largest micro-batch on each GPU, or 0.
    """

    method: str
    saving: str
    settings: dict[str, Any]
    fits: bool
    needed: int
    host: int
    batch: int

    @property
    def name(self) -> str:
        """Method and saving, such as ``LoRA, recomputation``."""
        return ", ".join(filter(None, (self.method, self.saving)))


@record
class RecipeSearch(NotebookDisplay):
    """The recipes with which a model can be trained on GPUs, best first, and those that do not fit.

    ``memory`` and ``reserve`` are the bytes of one GPU. ``settings`` are the settings of the workload.
    """

    architecture: Architecture
    accelerator: Accelerator | None
    count: int
    memory: int
    reserve: int
    settings: dict[str, Any]
    recipes: tuple[Recipe, ...]

    EVIDENCE: ClassVar[dict[str, str]] = {"memory": "measured", "reserve": "assumed", "recipes": "assumed"}

    @property
    def best(self) -> Recipe | None:
        """First recipe that fits, or None."""
        return next((recipe for recipe in self.recipes if recipe.fits), None)

    @property
    def summary(self) -> str:
        """One-line summary of the best recipe."""
        gpu = self.accelerator.title if self.accelerator else "GPU"
        answer = f"{self.best.name}, batch {self.best.batch}" if self.best else "no recipe fits"
        return f"{self.architecture.name} on {self.count} × {gpu}: {answer}"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        own = {"memory": self.memory, "reserve": self.reserve, "count": self.count}
        best, recipes = self.best, [{"name": one.name, **one._asdict()} for one in self.recipes]
        return {**own, "best": best.name if best else None, "recipes": recipes, "evidence": self.evidence}


def find_recipes(
    model: Source,
    gpu: str | int | None = None,
    *,
    count: int | None = None,
    gpu_memory: str | int | None = None,
    reserve: str | int = RESERVE,
    **settings: Any,
) -> RecipeSearch:
    """Find the ways to train a model on GPUs: full fine-tuning, with an 8-bit optimizer or the optimizer in host
    memory, LoRA, and QLoRA, each without and with recomputation and a fused loss.

    Several GPUs use ZeRO-3.

    >>> import llmcalc
    >>> best = llmcalc.find_recipes("llama3-8b", "rtx4090").best
    >>> best.name, best.batch
    ('LoRA, recomputation', 2)

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count, such as ``"rtx4090"`` or ``"h100:8"``; or the memory of one GPU.
        count: number of GPUs.
        gpu_memory: memory of one GPU, such as ``"79.6GiB"`` (overrides the specification).
        reserve: memory per GPU for the runtime: bytes, ``"2GiB"`` or ``"10%"``.
        settings: ``batch`` (the smallest micro-batch, by default 1), ``seq``, ``lora_rank`` (by default 16),
            ``lora_targets`` (by default ``wq``, ``wk``, ``wv`` and ``wo``, or every matrix of a model without these),
            ``dtype``, ``attention``, ``dropout``, ``scan``, ``target_seq`` or ``extend`` of ``memory``.

    Raises:
        InputError: an unknown GPU, or conflicting settings.
    """
    check_values(FIT, {"gpu": gpu, "count": count, "gpu_memory": gpu_memory, "reserve": reserve})
    settings = read_settings("a search for recipes", SETTINGS, settings)
    architecture = read_model(model)
    check_effects((*SETTINGS, IS_TRAINING), {"lora_rank": LORA_RANK, **settings, "training": True}, architecture)
    card, number, total, of_runtime = resources(gpu, count, gpu_memory, reserve)
    shared = card.shared_bytes if card else None
    budget = {
        "memory_bytes": total, "reserve": of_runtime, "count": number or 1, "node": card.node if card else NODE,
    }  # fmt: skip
    sizes = {setting.name: settings.pop(setting.name) for setting in SIZES if setting.name in settings}
    sizes = {"batch": 1, "seq": default_seq(architecture), **sizes}
    recipes = tuple(_recipes(architecture, budget, settings, sizes, shared))
    return RecipeSearch(architecture, card, number or 1, total, of_runtime, {**sizes, **settings}, recipes)


def _recipes(
    architecture: Architecture,
    budget: dict[str, Any],
    settings: dict[str, Any],
    sizes: dict[str, Any],
    shared: int | None = None,
) -> Iterator[Recipe]:
    """Yield all recipes that apply to a model, best first."""
    adapters = {name: value for name, value in settings.items() if name in ("lora_rank", "lora_targets")}
    common = {name: value for name, value in settings.items() if name not in adapters}
    matrices = adaptable_matrices(architecture)
    if not matrices.issuperset(LORA_TARGETS):
        adapters.setdefault("lora_targets", tuple(sorted(matrices)))
    for method, chosen in METHODS:
        for saving, saved in SAVINGS:
            own = {**chosen, **(adapters if "lora_rank" in chosen else {}), **saved}
            arguments = {**memory_settings({"training": True, **common, **own}), **sizes}
            del arguments["mesh"]
            found = _fit(architecture, budget, arguments, shared, is_offloaded=method == OFFLOADED)
            yield Recipe(method, saving, own, *found)


def _fit(
    architecture: Architecture,
    budget: dict[str, Any],
    arguments: dict[str, Any],
    shared: int | None,
    *,
    is_offloaded: bool,
) -> tuple[bool, int, int, int]:
    """Return whether the smallest batch fits, its bytes on a GPU and in host memory, and the largest batch.

    The optimizer states do not depend on the batch. In host memory, they leave as much of the GPU to everything else,
    unless both are one memory of ``shared`` bytes.
    """
    first: Fit = check_fit(architecture, **budget, **arguments)
    host = int(first.result.optimizer) if is_offloaded else 0
    most = budget["memory_bytes"] + host
    if host and shared is not None:
        most = min(most, shared)
    fits, needed = first.needed <= most - first.reserve, first.needed - host
    if not fits:
        return False, needed, host, 0
    batch, _ = solve_size("batch", architecture, {**budget, "memory_bytes": most}, arguments)
    return True, needed, host, batch or 0
