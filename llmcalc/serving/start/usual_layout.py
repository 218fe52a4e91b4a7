"""Layout that is assumed if none is given: the first of the usual ones with which the engine starts.

Tensor-parallel ranks divide a model within a node. Several nodes have replicas, or pipeline stages where the memory of
one is too small. GPUs may stay unused: the layouts of fewer GPUs are among those of more GPUs, so that more GPUs are
enough wherever fewer are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

from ...calc.touched_experts import expert_layers
from ...core.architecture import Architecture
from ...core.errors import InputError
from ...core.record import changed, remembered
from ...core.type_names import TYPE_CHECKING, Any
from ...engines.settings import divided_experts
from ...estimate.hardware import NODE, parts_of_node
from ...fitting.layouts import divisors
from ...fitting.memory import serving_stages

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..deployment import Deployment
    from .start import Start

Sizes = dict[str, Any]  # of a layout


def starts(found: Start) -> bool:
    """Return whether the engine starts and holds its longest request, which is enough unless more is asked."""
    return found.starts and bool(found.pool.requests(found.max_model_len) >= 1)


def start_on_usual_layout(
    deployment: Deployment, start: Callable[[Deployment], Start], is_enough: Callable[[Start], bool] = starts
) -> Start:
    """Return how a deployment starts on the first usual layout on which this is enough. If it is on none, return the
    first start, or else the first refusal on all GPUs that is not one of the layout.

    Raises:
        InputError: no layout divides the model.
    """
    started, refused, errors, reasons = None, None, list[InputError](), list[str]()
    for sizes in usual_layouts(deployment):
        if refused and not has_room(deployment, sizes):
            continue
        try:
            found = start(deployment.on_layout(sizes))
        except InputError as error:  # the ranks do not divide the model, or a stage has no experts
            errors.append(error)
            reasons.append(error.message)
            continue
        if found.starts:
            note = f"{layout_text(sizes)} is assumed: {reasons[0]}" if reasons and reasons[0] else ""
            found = changed(found, notes=(note, *found.notes)) if note else found
            if is_enough(found):
                return found
            started = started or found
        reasons.append(found.reason or f"{layout_text(sizes)} holds fewer requests")
        if refused is None or (refused.refusals and not found.refusals and found.ranks == refused.ranks):
            refused = found
    if refused is None:
        raise errors[0]
    return started or refused


def usual_layouts(deployment: Deployment) -> Iterator[Sizes]:
    """Yield the layouts of the GPUs of a deployment, best first: those that use the most GPUs, in the fewest stages."""
    card, count = deployment.accelerator, deployment.gpus.count or 1
    if deployment.profile.rule == "sum":  # llama.cpp divides the layers among all GPUs
        yield {"pp": count}
        return
    for size in usual_sizes(deployment.architecture, count, card.node if card else NODE):
        yield from layouts_of(deployment, size)


def layouts_of(deployment: Deployment, size: int) -> Iterator[Sizes]:
    """Yield the layouts of a deployment that use ``size`` GPUs, those in the fewest stages first."""
    card, architecture = deployment.accelerator, deployment.architecture
    node = card.node if card else NODE
    has_replicas = "dp" in deployment.profile.flags["read"].values()
    has_experts = bool(expert_layers(architecture))
    for pp in divisors(size) if len(architecture.stacks) == 1 else [1]:
        for tp in reversed(divisors(size // pp)):
            sizes: Sizes = {name: n for name, n in (("tp", tp), ("pp", pp), ("dp", size // (pp * tp))) if n > 1}
            if tp > node or pp > architecture.main.n_layers or ("dp" in sizes and not has_replicas):
                continue
            yield sizes
            experts = divided_experts(deployment.profile.flags, size // pp)
            if has_experts and size > 1 and experts:
                yield {**sizes, **experts}


def has_room(deployment: Deployment, sizes: Sizes) -> bool:
    """Return whether the GPUs of a layout have more memory than the weights that they store together.

    Data-parallel ranks divide the experts of a mixture, and store all other weights each. If weights are moved to host
    memory, every layout may have room.
    """
    own, architecture = deployment.settings, deployment.architecture
    if own.get("cpu_offload_gb") or own.get("offload_group_size"):
        return True

    def compute() -> int:
        (whole,) = serving_stages(architecture, seq=1, weights=own.get("weights"), dtype=own.get("dtype", "bf16"))
        return whole.weights - whole.host

    weights = remembered(architecture, "_whole_weights", (own.get("weights"), own.get("dtype")), compute)
    shared = prod(sizes.get(name, 1) for name in ("tp", "pp", *(("dp",) if expert_layers(architecture) else ())))
    return bool(weights < deployment.memory_bytes * shared)


def usual_sizes(architecture: Architecture, count: int, node: int = NODE) -> list[int]:
    """Return the numbers of GPUs, at most ``count``, that layouts use, in descending order.

    They are parts of a node, or whole nodes up to one for each layer.

    >>> import llmcalc
    >>> usual_sizes(llmcalc.load("llama3-8b"), 19), usual_sizes(llmcalc.load("llama3-8b"), 19, node=72)
    ([16, 8, 7, 6, 5, 4, 3, 2, 1], [16, 12, 8, 7, 6, 5, 4, 3, 2, 1])
    """
    nodes = range(node, min(count, node * architecture.main.n_layers) + 1, node)
    return sorted((size for size in (*parts_of_node(node), *nodes) if size <= count), reverse=True)


def layout_text(sizes: Mapping[str, Any]) -> str:
    """Return a layout in words, such as ``tp 8, pp 2``."""
    parts = (name.replace("_", " ") if size is True else f"{name} {size}" for name, size in sizes.items())
    return ", ".join(parts) or "one GPU"
