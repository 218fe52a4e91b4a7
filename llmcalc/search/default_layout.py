"""Default layout of all GPUs for requests: the usual one on which all of them run, or one with more tokens per second.

A layout on which all requests run comes before one on which some wait. Requests of ``serve`` arrive as others end, so
that the layout with the most tokens per second also has the shortest mean time of a request. ``latency`` measures the
speed by the time of its batch. A layout has as many replicas as there are GPUs for, but no more than requests. The
layouts of fewer GPUs are among those of more GPUs, so that more GPUs are not slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..core.errors import LlmcalcError
from ..core.record import NamedTuple, changed, remembered
from ..engines.settings import has_flag
from ..serving.memory import holds_weights, usual_start
from ..serving.replicas import SIZES, Replica, replica_on, sizes_of
from ..serving.service import Service
from ..serving.start.usual_layout import layout_text
from ..serving.step.step_models import check_layout, engine_step
from ..serving.under_load import ServingLayout
from .space import DISTINCT_GAIN, Space, meshes, powers

if TYPE_CHECKING:
    from ..serving.start.start import Start

EQUAL = 1.01  # ratio of tokens per second of layouts between which the number of used GPUs decides
WORSE = 2  # powers of two in a row without a faster replica, after which the search ends
MOST_RANKS, MOST_DIVISOR = 512, 64  # of a replica: the largest power of two, and the largest other divisor of all GPUs


class Candidate(NamedTuple):
    """A layout with a number of replicas, whether all requests run on it, and how fast it is."""

    mesh: Mesh
    replicas: int
    runs: bool
    speed: float

    @property
    def used(self) -> int:
        """Number of GPUs."""
        return self.mesh.ranks * self.replicas

    @property
    def rank(self) -> tuple[bool, float]:
        """Key that orders layouts: those on which all requests run, then the faster ones."""
        return self.runs, self.speed


def default_layout(space: Space, concurrency: float, speed: Callable[[Mesh], float] | None = None) -> ServingLayout:
    """Return the layout of all GPUs that is assumed for a number of requests.

    It is the first usual one on which all of them run, or else the one on which the engine starts, unless another
    layout is faster by more than the error of the estimates, or half of the GPUs are. ``speed`` returns that of one
    engine that computes all requests, whose replicas are data-parallel ranks or do not exist. By default, it is the
    number of requests per second.
    """
    count, tried = space.service.count, _Candidates(space, concurrency, speed)
    found, usual, tensor = tried.of(count), tried.usual, tried.tensor(count)
    if not found and usual is None:
        return ServingLayout(tried.usual_mesh)
    is_kept = usual is not None and _is_kept(usual, found, tried.of(count // 2))
    best = usual if usual and is_kept else _most_used([*found, *([usual] if usual else [])])
    if best.mesh == tensor:
        return ServingLayout(tensor)
    divides = count > space.service.card.node or any(one.mesh == tensor for one in found)
    why = "" if divides else f"{count} tensor-parallel ranks do not divide the model: "
    if is_kept:
        what = f"the usual layout, on which {'all requests run' if best.runs else 'the engine starts'}, is assumed"
    else:
        instead = f" in place of the usual {layout_text(sizes_of(tried.usual_mesh))}" if tried.start else ""
        what = f"the layout with the most tokens per second is assumed{instead}"
    mesh, replicas = tried.joined(best.mesh, best.replicas)
    return ServingLayout(mesh, replicas, (f"{why}{what}: {{tp}} sets another",), is_usual=False)


def _is_kept(usual: Candidate, found: list[Candidate], half: list[Candidate]) -> bool:
    """Return whether the usual layout is kept although another one, or one of half of the GPUs, is faster."""
    runs, most = usual.rank
    return all(
        max((one.rank for one in others), default=(False, 0.0)) <= (runs, factor * most)
        for others, factor in ((found, DISTINCT_GAIN), (half, EQUAL))
    )


def _most_used(found: list[Candidate]) -> Candidate:
    """Return the layout that uses the most GPUs among those that are as fast as the fastest."""
    runs, most = max(one.rank for one in found)
    equal = [one for one in found if one.runs == runs and one.speed * EQUAL >= most]
    return max(equal, key=lambda one: (one.used, one.speed))


class _Candidates:
    """Layouts of some GPUs for a number of requests."""

    def __init__(self, space: Space, concurrency: float, speed: Callable[[Mesh], float] | None) -> None:
        self.space, self.service = changed(space, only=concurrency), space.service
        self.concurrency, self.speed = concurrency, speed
        self.has_experts = any(True for _ in expert_layers(self.service.architecture))
        self.has_replicas = speed is None or self.joins_replicas

    @property
    def joins_replicas(self) -> bool:
        """Whether replicas are data-parallel ranks of one engine, which share no experts."""
        return not self.has_experts and has_flag(self.service.engine, "dp")

    def joined(self, mesh: Mesh, replicas: int) -> tuple[Mesh, int]:
        """Return a layout whose replicas are data-parallel ranks of one engine if they can be."""
        joins = replicas > 1 and self.joins_replicas
        return (changed(mesh, dp=replicas, etp=mesh.tp * replicas), 1) if joins else (mesh, replicas)

    @cached_property
    def start(self) -> Start | None:
        """How the engine starts where no layout is given and all requests are to run, or None if that is not known."""

        def runs(start: Start) -> bool:
            found = self._usual_on(self._mesh_of(start.settings)) if start.starts else None
            return found is not None and found.runs

        return usual_start(self.service, runs)

    @property
    def usual_mesh(self) -> Mesh:
        """Usual layout of ``start``, or tensor-parallel ranks if its memory is not known."""
        return self._mesh_of(self.start.settings if self.start else {"tp": self.service.count})

    @cached_property
    def usual(self) -> Candidate | None:
        """The usual layout, or None if no request fits."""
        return self._usual_on(self.usual_mesh)

    def _mesh_of(self, own: Mapping[str, Any]) -> Mesh:
        """Return the layout of settings of the engine."""
        sizes = {name: own.get(name, 1) for name in SIZES}
        if own.get("expert_parallel"):
            sizes["ep"] = sizes["tp"] * sizes["dp"]
        return self.service.mesh_of(sizes)

    def _usual_on(self, mesh: Mesh) -> Candidate | None:
        """Return a usual layout, or None if no request fits. Replicas may share experts."""
        replicas = 1
        if mesh.dp > 1 and not self.has_experts:
            mesh, replicas = changed(mesh, dp=1, etp=mesh.tp), mesh.dp
        replica = self._replica(mesh)
        return self._candidate(replica, replicas) if replica else None

    def _candidate(self, replica: Replica, most: int) -> Candidate:
        """Return a layout with ``most`` replicas, but no more than requests."""
        replicas = max(min(most, int(self.concurrency)), 1) if self.has_replicas else 1
        point = self.space.together(replica, replicas=replicas).points[0]
        own = self.speed(self.joined(replica.mesh, replicas)[0]) if self.speed else point.requests_per_s
        return Candidate(replica.mesh, replicas, point.runs, own)

    def tensor(self, size: int) -> Mesh:
        """Return the layout with tensor-parallel ranks only."""
        return Mesh(tp=size, etp=size)

    def of(self, count: int) -> list[Candidate]:
        """Return all layouts on ``count`` GPUs, with as many replicas as there are GPUs and requests for.

        Of more than ``MOST_RANKS`` GPUs, the largest replicas are left out: those of more than two nodes whose size is
        no power of two, and those after two powers of two without a faster one.
        """
        node, is_many = self.service.card.node, count > MOST_RANKS
        divisors = range(1, min(count, 2 * node if is_many else MOST_DIVISOR) + 1)
        sizes = {*powers(min(count, MOST_RANKS)), *(size for size in divisors if count % size == 0)}
        found, ranks = list[Candidate](), list[tuple[bool, float]]()  # best rank of each power of two
        for size in sorted(sizes):
            if is_many and len(ranks) > WORSE:
                runs, most = max(ranks[:-WORSE])
                if max(ranks[-WORSE:]) <= (runs, EQUAL * most):
                    break
            for mesh in self._meshes(size, is_enough=any(one.runs for one in found)):
                replica = self._replica(mesh)
                if replica is not None:
                    found.append(self._candidate(replica, count // size))
            of_size = [one.rank for one in found if one.mesh.ranks == size]
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
            if not holds_weights(service, mesh, self.space.formats[0]):
                return None
            found = replica_on(service, mesh, self.space.formats[0])
        except LlmcalcError:  # ranks that do not divide the model, or a format that it does not allow
            return None
        is_known = found.memory.start is not None or found.steps.stage_batches == 1
        if mesh.pp > 1 and (not is_known or found.drafting):
            return None
        return found if found.has_cache and not found.is_refused else None


def layout_of_batch(service: Service, batch: int, speed: Callable[[Mesh], float]) -> ServingLayout:
    """Return the layout that ``latency`` assumes for a batch of sequences on one engine, with its own speed."""
    return default_layout(Space(service), batch, speed)
