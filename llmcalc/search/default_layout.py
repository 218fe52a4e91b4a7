"""Default layout of all GPUs for requests: the one on which the engine starts, or one with more tokens per second.

Requests arrive as others end, so that the layout with the most tokens per second also has the shortest mean time of a
request. A layout has as many replicas as there are GPUs for, but no more than requests. The layouts of fewer GPUs are
among those of more GPUs, so that more GPUs are not slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..core.errors import LlmcalcError
from ..core.record import changed, remembered
from ..data import tables
from ..serving.memory import usual_start
from ..serving.replicas import SIZES, Replica, replica_on, sizes_of
from ..serving.service import Service
from ..serving.start.usual_layout import layout_text
from ..serving.step.step_models import check_layout, engine_step
from ..serving.under_load import ServingLayout
from .space import DISTINCT_GAIN, Space, Times, meshes, powers

if TYPE_CHECKING:
    from ..serving.start.start import Start

EQUAL = 1.01  # ratio of tokens per second of layouts between which the number of used GPUs decides
WORSE = 2  # powers of two in a row without a faster replica, after which the search ends
MOST_RANKS, MOST_DIVISOR = 512, 64  # of a replica: the largest power of two, and the largest other divisor of all GPUs


def default_layout(space: Space, concurrency: float, *, in_one: bool = False) -> ServingLayout:
    """Return the layout of all GPUs that is assumed for a number of requests.

    It is the usual one, on which the engine starts, unless another layout is faster by more than the error of the
    estimates, or half of the GPUs are. ``in_one`` is whether one engine computes all requests, so that replicas are
    data-parallel ranks or do not exist.
    """
    count, tried = space.service.count, _Candidates(space, concurrency, in_one=in_one)
    found, usual, tensor = tried.of(count), tried.usual, tried.tensor(count)
    if not found and usual is None:
        return ServingLayout(tried.usual_mesh)
    is_kept = usual is not None and _is_kept(usual, found, tried.of(count // 2))
    best = usual if usual and is_kept else _most_used([*found, *([usual] if usual else [])])
    mesh, replicas = best.placement.mesh, best.placement.replicas
    if mesh == tensor:
        return ServingLayout(tensor)
    divides = count > space.service.card.node or any(one.placement.replica.mesh == tensor for one in found)
    why = "" if divides else f"{count} tensor-parallel ranks do not divide the model: "
    if is_kept:
        what = "the usual layout, on which the engine starts, is assumed"
    else:
        instead = f" in place of the usual {layout_text(sizes_of(tried.usual_mesh))}" if tried.start else ""
        what = f"the layout with the most tokens per second is assumed{instead}"
    if replicas > 1 and tried.joins_replicas:
        mesh, replicas = changed(mesh, dp=replicas, etp=mesh.tp * replicas), 1
    return ServingLayout(mesh, replicas, (f"{why}{what}: {{tp}} sets another",), is_usual=False)


def _rank(one: Times) -> tuple[bool, float]:
    """Return the key that orders layouts: those on which all requests run, then those with more requests per second."""
    return one.points[0].runs, one.points[0].requests_per_s


def _is_kept(usual: Times, found: list[Times], half: list[Times]) -> bool:
    """Return whether the usual layout is kept although another one, or one of half of the GPUs, is faster."""
    runs, most = _rank(usual)
    return all(
        max(map(_rank, others), default=(False, 0.0)) <= (runs, factor * most)
        for others, factor in ((found, DISTINCT_GAIN), (half, EQUAL))
    )


def _most_used(found: list[Times]) -> Times:
    """Return the layout that uses the most GPUs among those that are as fast as the fastest."""
    runs, most = max(map(_rank, found))
    equal = [one for one in found if one.points[0].runs == runs and one.points[0].requests_per_s * EQUAL >= most]
    return max(equal, key=lambda one: (one.placement.gpus, one.points[0].requests_per_s))


class _Candidates:
    """Layouts of some GPUs for a number of requests."""

    def __init__(self, space: Space, concurrency: float, *, in_one: bool) -> None:
        self.space, self.service = changed(space, only=concurrency), space.service
        self.concurrency = concurrency
        self.has_experts = any(True for _ in expert_layers(self.service.architecture))
        self.has_replicas = not in_one or self.joins_replicas

    @property
    def joins_replicas(self) -> bool:
        """Whether replicas are data-parallel ranks of one engine, which share no experts."""
        entry = tables("engines").get(self.service.engine)
        return not self.has_experts and entry is not None and "dp" in entry["flags"]["read"].values()

    @cached_property
    def start(self) -> Start | None:
        """How the engine starts where no layout is given, or None if that is not known."""
        return usual_start(self.service)

    @property
    def usual_mesh(self) -> Mesh:
        """Layout on which the engine starts, or tensor-parallel ranks if its memory is not known."""
        own = self.start.settings if self.start else {"tp": self.service.count}
        sizes = {name: own.get(name, 1) for name in SIZES}
        if own.get("expert_parallel"):
            sizes["ep"] = sizes["tp"] * sizes["dp"]
        return self.service.mesh_of(sizes)

    @cached_property
    def usual(self) -> Times | None:
        """The layout on which the engine starts, or None if no request fits. Replicas may share experts."""
        mesh, replicas = self.usual_mesh, 1
        if mesh.dp > 1 and not self.has_experts:
            mesh, replicas = changed(mesh, dp=1, etp=mesh.tp), mesh.dp
        replica = self._replica(mesh)
        return self._times(replica, replicas) if replica else None

    def _times(self, replica: Replica, most: int) -> Times:
        """Return the times of a layout with ``most`` replicas, but no more than requests."""
        replicas = max(min(most, int(self.concurrency)), 1) if self.has_replicas else 1
        return self.space.together(replica, replicas=replicas)

    def tensor(self, size: int) -> Mesh:
        """Return the layout with tensor-parallel ranks only."""
        return Mesh(tp=size, etp=size)

    def of(self, count: int) -> list[Times]:
        """Return all layouts on ``count`` GPUs, with as many replicas as there are GPUs and requests for.

        Of more than ``MOST_RANKS`` GPUs, the largest replicas are left out: those of more than two nodes whose size is
        no power of two, and those after two powers of two without a faster one.
        """
        node, is_many = self.service.card.node, count > MOST_RANKS
        divisors = range(1, min(count, 2 * node if is_many else MOST_DIVISOR) + 1)
        sizes = {*powers(min(count, MOST_RANKS)), *(size for size in divisors if count % size == 0)}
        found, ranks = list[Times](), list[tuple[bool, float]]()  # best rank of each power of two
        for size in sorted(sizes):
            if is_many and len(ranks) > WORSE:
                runs, most = max(ranks[:-WORSE])
                if max(ranks[-WORSE:]) <= (runs, EQUAL * most):
                    break
            for mesh in self._meshes(size, is_enough=any(one.points[0].runs for one in found)):
                replica = self._replica(mesh)
                if replica is not None:
                    found.append(self._times(replica, count // size))
            of_size = [_rank(one) for one in found if one.placement.replica.ranks == size]
            if of_size and size & (size - 1) == 0:
                ranks.append(max(of_size))
        return found

    def _meshes(self, size: int, *, is_enough: bool) -> Iterator[Mesh]:
        """Yield the layouts of a replica.

        Unless fewer GPUs are enough for all requests, sizes that are not a power of two are also divided into stages.
        """
        node, joins = self.service.card.node, engine_step(self.service.engine).has_data_parallel
        seen = set()
        stages = (
            Mesh(tp=tp, pp=size // tp, etp=tp)
            for tp in range(1, min(size, node) + 1) if not is_enough and size & (size - 1) and size % tp == 0
        )  # fmt: skip
        for mesh in (*meshes(self.service.architecture, size, node), *stages):
            if mesh not in seen and (mesh.dp == 1 or joins):
                seen.add(mesh)
                yield mesh

    def _replica(self, mesh: Mesh) -> Replica | None:
        """Return a replica, or None if the model does not allow the layout or no request fits."""
        return remembered(self, "_replicas", mesh, lambda: self._read(mesh))

    def _read(self, mesh: Mesh) -> Replica | None:
        service = self.service
        try:
            check_layout(service.architecture, service.card, mesh, mesh.ranks)
            found = replica_on(self.service, mesh, self.space.formats[0])
        except LlmcalcError:  # ranks that do not divide the model, or a format that it does not allow
            return None
        is_known = found.memory.start is not None or found.steps.stage_batches == 1
        if mesh.pp > 1 and (not is_known or found.drafting):
            return None
        return found if found.has_cache and not found.is_refused else None


def layout_of_batch(service: Service, batch: int) -> ServingLayout:
    """Return the layout that ``serve`` takes for as many requests as the batch has sequences, on one engine."""
    found = default_layout(Space(service), batch, in_one=True)
    lengths = " and ".join(f"{service.requests.mean(name):,.0f}" for name in ("isl", "osl"))
    number = f"{batch:,} request{'s' * (batch > 1)} of {lengths} tokens on one engine"
    notes = (*found.notes, f"this is the layout of serve for {number}") if found.notes else ()
    return found._replace(notes=notes)
