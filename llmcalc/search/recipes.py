"""Search for a way to train a model on GPUs: full fine-tuning, LoRA or QLoRA, with less and less memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, ClassVar

from ..core.architecture import Architecture
from ..core.record import NamedTuple, record
from ..core.setting import SIZES, check_values
from ..estimate.hardware import NODE
from ..fitting.check import check_fit
from ..fitting.fit import FIT, resources
from ..fitting.fit_changes import LORA_RANK, QUANTISED, SMALL_OPTIMIZER
from ..fitting.sizes import solve_size
from ..inputs.defaults import default_seq
from ..inputs.effects import check_effects
from ..inputs.models import Source, read_model
from ..inputs.settings import DTYPE, IS_TRAINING, TRAINING, memory_settings, read_settings
from .gpu_plan import GpuPlan

OFFLOADED = "full, optimizer on the CPU"
# methods in the order of what they train and cost, as a name and settings of ``memory``
METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("full fine-tuning", {}),
    ("full, 8-bit optimizer", {"optimizer": SMALL_OPTIMIZER}),
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
class RecipeSearch(GpuPlan):
    """The recipes with which a model can be trained on GPUs, best first, and those that do not fit."""

    architecture: Architecture
    recipes: tuple[Recipe, ...]

    EVIDENCE: ClassVar[dict[str, str]] = {"memory": "measured", "reserve": "assumed", "recipes": "assumed"}

    @property
    def best(self) -> Recipe | None:
        """First recipe that fits, or None."""
        return next((recipe for recipe in self.recipes if recipe.fits), None)

    @property
    def summary(self) -> str:
        """One-line summary of the best recipe."""
        answer = f"{self.best.name}, batch {self.best.batch}" if self.best else "no recipe fits"
        return f"{self.architecture.name} on {self.gpus}: {answer}"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        best, recipes = self.best, [{"name": one.name, **one._asdict()} for one in self.recipes]
        own = {"best": best.name if best else None, "recipes": recipes, "evidence": self.evidence}
        return {**super().to_dict(), **own}


def search_recipes(
    model: Source,
    gpu: str | int | None,
    count: int | None,
    gpu_memory: str | int | None,
    reserve: str | int,
    settings: dict[str, Any],
) -> RecipeSearch:
    """Try all recipes that apply to a model."""
    check_values(FIT, {"gpu": gpu, "count": count, "gpu_memory": gpu_memory, "reserve": reserve})
    settings = read_settings("a search for recipes", SETTINGS, settings)
    architecture = read_model(model)
    check_effects((*SETTINGS, IS_TRAINING), {"lora_rank": LORA_RANK, **settings, "training": True}, architecture)
    card, number, total, of_runtime = resources(gpu, count, gpu_memory, reserve)
    budget = {
        "memory_bytes": total, "reserve": of_runtime, "count": number or 1, "node": card.node if card else NODE,
    }  # fmt: skip
    sizes = {setting.name: settings.pop(setting.name) for setting in SIZES if setting.name in settings}
    sizes = {"batch": 1, "seq": default_seq(architecture), **sizes}
    shared = card.shared_bytes if card else None
    recipes = tuple(_recipes(architecture, budget, settings, sizes, shared))
    return RecipeSearch(card, number or 1, total, of_runtime, {**sizes, **settings}, architecture, recipes)


def _recipes(
    architecture: Architecture,
    budget: dict[str, Any],
    settings: dict[str, Any],
    sizes: dict[str, Any],
    shared: int | None,
) -> Iterator[Recipe]:
    """Yield all recipes that apply to a model, best first."""
    adapters = {name: value for name, value in settings.items() if name in ("lora_rank", "lora_targets")}
    common = {name: value for name, value in settings.items() if name not in adapters}
    for (method, chosen), (saving, saved) in product(METHODS, SAVINGS):
        own = {**chosen, **(adapters if "lora_rank" in chosen else {}), **saved}
        arguments = {**memory_settings({"training": True, **common, **own}), **sizes}
        del arguments["mesh"]
        first = check_fit(architecture, **budget, **arguments)
        host = int(first.result.optimizer) if method == OFFLOADED else 0
        most = _usable(budget["memory_bytes"], host, shared)
        fits, batch = first.needed <= most - first.reserve, None
        if fits:
            batch, _ = solve_size("batch", architecture, {**budget, "memory_bytes": most}, arguments)
        yield Recipe(method, saving, own, fits, first.needed - host, host, batch or 0)


def _usable(memory_bytes: int, host: int, shared: int | None) -> int:
    """Return the bytes of a GPU and of its host with ``host`` bytes of optimizer states in host memory.

    The states do not depend on the batch, and leave as much of the GPU to everything else, unless both are one memory
    of ``shared`` bytes.
    """
    return memory_bytes + host if shared is None or not host else min(memory_bytes + host, shared)
