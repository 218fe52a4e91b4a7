"""Where llama.cpp places a model by itself that does not fit: a shorter context, experts or layers in host memory.

The rules are those of ggml-org/llama.cpp: common/fit.cpp and common/common.h of b8000. Experts move before layers, and
an option that places layers or tensors keeps all of them where it says. Ollama moves whole layers, also of mixtures of
experts (ollama/ollama, pull request 16688).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...calc.memory.fit import largest_fitting
from ...calc.touched_experts import expert_layers
from ...core.type_names import TYPE_CHECKING, Any
from ...engines.profile import version_number
from ...engines.settings import LENGTH

if TYPE_CHECKING:
    from .start import Start

AUTOMATIC = 7_410  # about the first build that places a model that doesn't fit by itself: pull request 16653
MARGIN = 2**30  # bytes of each GPU that stay free
SHORTEST, STEP = 4096, 256  # tokens per sequence: the shortest context, and what contexts are a multiple of
PLACED = ("gpu_layers", "cpu_experts", "cpu_all_experts", "cpu_dense", "tensor_overrides")
Predict = Callable[[Mapping[str, Any]], "Start"]
Fits = Callable[[Mapping[str, Any]], bool]


def fitted_settings(result: Start, predict: Predict, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that llama.cpp chooses so that each GPU keeps its margin, or nothing if it changes none.

    Args:
        result: the model without these settings.
        predict: returns the model with further settings, as they are.
        given: settings that were given.
    """
    build = version_number(result.profile.version)[0]
    if result.placed is None or build < AUTOMATIC or given.get("auto_fit") is False or result.refusals:
        return {}
    if keeps_margin(result):
        return {}
    chosen: dict[str, Any] = {}
    if given.get(LENGTH) is None:
        chosen = _shorter(result, lambda change: keeps_margin(predict(change)))
        if chosen and keeps_margin(predict(chosen)):
            return chosen
    if any(given.get(name) for name in PLACED):
        return chosen
    return chosen | next(placements(result, lambda change: keeps_margin(predict({**chosen, **change}))), {})


def capped_notes(result: Start) -> tuple[str, ...]:
    """Return a note if llama.cpp allocates a longer cache for a sequence than the positions that it lets it use."""
    known, own = result.deployment.limit.tokens, result.longest_sequence
    if not result.placed or known is None or own <= known:
        return ()
    text = f"llama.cpp lets a sequence use the {known:,} positions of the model, of {own:,} in the cache"
    return (f"{text}, unless the file or flags of rotary positions state more",)


def keeps_margin(result: Start) -> bool:
    """Return whether the GPU that stores the most keeps its margin."""
    return result.memory.available.best - float(result.groups.block_bytes) >= MARGIN


def placements(result: Start, fits: Fits) -> Iterator[dict[str, Any]]:
    """Yield the fewest experts, and then the most layers on the GPUs, with which a model fits."""
    placed, settings = result.placed, result.settings
    if placed is None or settings.get("cpu_all_experts") or settings.get("tensor_overrides"):
        return
    n_layers, fewest = placed.offloaded[1], settings.get("cpu_experts") or 0
    moved: dict[str, Any] = {}
    if expert_layers(result.architecture) and not result.deployment.is_ollama:  # which moves whole layers
        moved = {"cpu_all_experts": True}
        if fits({"cpu_experts": n_layers - 1}):
            kept = largest_fitting(lambda kept: fits({"cpu_experts": n_layers - 1 - kept}), n_layers - 1 - fewest, 0)
            yield {"cpu_experts": n_layers - 1 - (kept or 0)}
            moved = {}
    most = largest_fitting(lambda number: fits({**moved, "gpu_layers": number}), placed.offloaded[0] - 1, 0)
    if most is not None:
        yield {**moved, "gpu_layers": most}


def longest_context(most: int, fits: Fits, least: int = STEP) -> int:
    """Return the longest context of up to ``most`` tokens with which a model fits, or 0."""
    steps = largest_fitting(lambda steps: fits({LENGTH: steps * STEP}), most // STEP, least // STEP)
    return (steps or 0) * STEP


def _shorter(result: Start, fits: Fits) -> dict[str, Any]:
    """Return a context without which the model does not fit. It is the shortest one if that is not enough either."""
    settings = result.settings
    least = SHORTEST * (1 if settings.get("unified") else settings["max_num_seqs"])
    if result.max_model_len <= least:
        return {}
    return {LENGTH: longest_context(result.max_model_len, fits, least) or least}
