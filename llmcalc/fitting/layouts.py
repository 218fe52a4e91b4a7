"""Parallel layouts that serving engines support, and the choice of a layout for a number of GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from math import isqrt

from ..calc.kv_cache import CACHED, ranks_of_states
from ..calc.memory.fit import Fit
from ..calc.memory.inference import InferenceMemory
from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..core.architecture import Architecture
from ..core.errors import InputError, SizeError
from ..core.record import NamedTuple, remembered
from ..estimate.hardware import NODE
from .memory import refusals


class Layout(NamedTuple):
    """A number of independent replicas, and the mesh of each replica."""

    replicas: int
    mesh: Mesh


def layouts(architecture: Architecture, count: int, node: int = NODE) -> list[Layout]:
    """Return the layouts on ``count`` GPUs in nodes of ``node`` GPUs, best first.

    - Tensor parallelism stays within a node, and pipeline or expert parallelism connects nodes.
    - Fewer pipeline stages are better, because they compute one after the other.
    - A KV cache whose heads or latents are replicated across tensor-parallel ranks wastes memory. Data-parallel
      attention, with experts over all ranks of the replica, avoids this.
    - Otherwise, more tensor-parallel ranks are better, because they reduce the latency.
    """
    experts = {layer.n_experts for layer in expert_layers(architecture)}
    found: list[tuple[tuple[int, ...], Layout]] = []
    for tp in divisors(min(count, node)):
        if count % tp or (is_replicated := _has_replicated_cache(architecture, tp)) is None:
            continue
        for pp in divisors(count // tp) if len(architecture.stacks) == 1 else [1]:
            if pp > architecture.main.n_layers:
                continue
            rest = count // (tp * pp)
            for dp in divisors(rest) if experts else [1]:
                for ep in _expert_ranks(experts, tp, dp):
                    key = (pp, is_replicated, -tp, dp, ep)
                    found.append((key, Layout(rest // dp, Mesh(dp=dp, tp=tp, pp=pp, ep=ep))))
    return [layout for _, layout in sorted(found, key=lambda entry: entry[0])]


def best_layout(
    architecture: Architecture,
    count: int,
    node: int,
    usable: int,
    stages_on: Callable[[Layout], Sequence[InferenceMemory]],
    fit_on: Callable[[Layout, Sequence[InferenceMemory]], Fit],
    is_trial: bool = False,
) -> Fit:
    """Return the fit check of the first layout that fits and that kernels accept, or of the layout that needs least.

    A layout's stages are only computed if its ranks have room for one copy of the weights, and its activations only if
    its weights and state fit in the ``usable`` bytes, or if the layout can still be the one that needs least. A trial
    only has to know whether a layout fits.
    """
    ordered: Sequence[Layout] = remembered(
        architecture, "_layouts", (count, node), lambda: layouts(architecture, count, node)
    )
    (whole,) = stages_on(Layout(1, Mesh()))
    shares = [share_of_weights(whole, layout) for layout in ordered]
    queue, errors = list[tuple[int, int, int, Sequence[InferenceMemory]]](), dict[int, SizeError]()
    with_room = [number for number, share in enumerate(shares) if share <= usable]
    if is_trial and not with_room:
        with_room = [max(range(len(ordered)), key=lambda number: ordered[number].mesh.ranks)]
    for number in with_room:
        try:
            stages = stages_on(ordered[number])
            least = _least(stages)
            found = fit_on(ordered[number], stages) if least <= usable else None
        except SizeError as error:  # the mesh does not divide the model
            errors[number] = error
            continue
        if found and found.fits and not found.result.refusals:
            return found
        queue.append((len(refusals(stages)), least, number, stages))
    if not is_trial:
        queue += [(0, share, number, ()) for number, share in enumerate(shares) if share > usable]
    heapify(queue)
    best: tuple[int, int, int, Fit] | None = None
    while queue and not (best and (is_trial or queue[0][:2] > best[:2])):
        n_refusals, least, number, stages = heappop(queue)
        try:
            if stages:
                found = fit_on(ordered[number], stages)
                own = n_refusals, found.needed, number, found
                best = own if best is None or own[:3] < best[:3] else best
            else:
                stages = stages_on(ordered[number])
                heappush(queue, (len(refusals(stages)), _least(stages), number, stages))
        except SizeError as error:
            errors[number] = error
    if best is None:
        raise errors[min(errors)]
    return best[3]


def share_of_weights(whole: InferenceMemory, layout: Layout) -> int:
    """Return the bytes of weights that a rank of a layout stores at least, given the memory on one rank."""
    return whole.weights // layout.mesh.ranks - whole.host


def _least(stages: Sequence[InferenceMemory]) -> int:
    """Return the bytes of weights and state on the rank that stores the most."""
    return max(stage.weights + stage.state for stage in stages) - max(stage.host for stage in stages)


def divisors(number: int) -> list[int]:
    """Return the divisors of a number in ascending order.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    small = [each for each in range(1, isqrt(number) + 1) if number % each == 0]
    return small + [number // each for each in reversed(small) if each * each < number]


def _expert_ranks(experts: set[int], tp: int, dp: int) -> Iterator[int]:
    """Yield 1 (without data-parallel attention), and the largest number of expert-parallel ranks of a replica."""
    if dp == 1:
        yield 1
    spread = [ep for ep in divisors(dp * tp) if ep % dp == 0 and not any(count % ep for count in experts)]
    if experts and spread and spread[-1] > 1:
        yield spread[-1]


def _has_replicated_cache(architecture: Architecture, tp: int) -> bool | None:
    """Return whether tensor-parallel ranks store the same keys and values, or None if they cannot divide the model."""
    try:
        found = list(ranks_of_states(architecture, Mesh(tp=tp)))
    except InputError:
        return None
    return any(ranks < tp for state, ranks in found if state.role in CACHED)
