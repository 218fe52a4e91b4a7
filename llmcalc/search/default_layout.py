"""Default layout of all GPUs for requests: the first usual one, or one with more tokens per second.

Requests of ``serve`` arrive as others end, and those that do not run at once wait. By Little's law, the layout with the
most tokens per second then has the shortest mean time of a request, its wait included, so that a layout on which a few
requests wait comes before a slower one on which all of them run. One request more is thus not slower. The sequences of
``latency`` are one batch, which has no speed on a layout that does not hold all of them.

A layout has as many replicas as there are GPUs for, but no more than requests. The layouts of fewer GPUs are among
those of more GPUs, so that more GPUs are not slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..core.errors import LlmcalcError
from ..core.record import NamedTuple, changed, remembered
from ..core.type_names import TYPE_CHECKING, Any
from ..engines.settings import has_flag
from ..fitting.layouts import divisors
from ..serving.memory import holds_weights, usual_start
from ..serving.replicas import SIZES, Replica, replica_on, sizes_of
from ..serving.request_times import cache_space, plain_pool
from ..serving.service import Service
from ..serving.start.usual_layout import layout_text
from ..serving.step.step_models import check_layout, engine_step
from ..serving.under_load import ServingLayout
from .space import DISTINCT_GAIN, Space, meshes, powers

if TYPE_CHECKING:
    from ..serving.start.start import Start

EQUAL = 1.01  # ratio of tokens per second of layouts between which the number of used GPUs decides
WORSE = 2  # powers of two in a row without a faster replica, after which the search ends
ROUNDING = 1e-9  # of numbers of requests
MOST_RANKS, MOST_DIVISOR = 512, 64  # of a replica: the largest power of two, and the largest other divisor of all GPUs


class Candidate(NamedTuple):
    """A layout with a number of replicas, how many requests run on it at once, whether these are all, and its speed."""

    mesh: Mesh
    replicas: int
    running: int
    runs: bool
    speed: float

    @property
    def used(self) -> int:
        """Number of GPUs."""
        return self.mesh.ranks * self.replicas


def default_layout(space: Space, concurrency: float, speed: Callable[[Mesh], float] | None = None) -> ServingLayout:
    """Return the layout of all GPUs that is assumed for a number of requests.

    It is the first usual one on which the engine starts, unless another layout is faster by more than the error of the
    estimates, or one of half of the GPUs is. ``speed`` returns that of one engine that computes all requests, or 0 if
    it does not hold them. Its replicas are data-parallel ranks or do not exist. By default, it is the number of
    requests per second.
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
        what = "the usual layout, on which the engine starts, is assumed"
    else:
        instead = f" in place of the usual {layout_text(sizes_of(tried.usual_mesh))}" if tried.start else ""
        if usual and not usual.runs:
            few = usual.running < concurrency
            held = (
                f"runs {usual.running:,} of {concurrency:,.10g} requests at once" if few else "does not hold the batch"
            )
            instead += f", which {held}"
        what = f"the layout with the most tokens per second is assumed{instead}"
    mesh, replicas = tried.joined(best.mesh, best.replicas)
    return ServingLayout(mesh, replicas, (f"{why}{what}: {{tp}} sets another",), is_usual=False)


def _is_kept(usual: Candidate, found: list[Candidate], half: list[Candidate]) -> bool:
    """Return whether the usual layout is kept although another one, or one of half of the GPUs, is faster."""
    return all(
        max((one.speed for one in others), default=0.0) <= factor * usual.speed
        for others, factor in ((found, DISTINCT_GAIN), (half, EQUAL))
    )


def _most_used(found: list[Candidate]) -> Candidate:
    """Return the layout that uses the most GPUs among those that are as fast as the fastest."""
    most = max(one.speed for one in found)
    return max((one for one in found if one.speed * EQUAL >= most), key=lambda one: (one.used, one.speed))


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
        """How the engine starts where no layout is given, or None if that is not known."""
        return usual_start(self.service)

    @property
    def usual_mesh(self) -> Mesh:
        """Usual layout of ``start``, or tensor-parallel ranks if its memory is not known."""
        return self._mesh_of(self.start.settings if self.start else {"tp": self.service.count})

    @cached_property
    def usual(self) -> Candidate | None:
        """The usual layout, or None if no request fits. Its replicas may share experts."""
        mesh, replicas = self.usual_mesh, 1
        if mesh.dp > 1 and not self.has_experts:
            mesh, replicas = changed(mesh, dp=1, etp=mesh.tp), mesh.dp
        replica = self._replica(mesh)
        return self._candidate(replica, replicas) if replica else None

    def _mesh_of(self, own: Mapping[str, Any]) -> Mesh:
        """Return the layout of settings of the engine."""
        sizes = {name: own.get(name, 1) for name in SIZES}
        if own.get("expert_parallel"):
            sizes["ep"] = sizes["tp"] * sizes["dp"]
        return self.service.mesh_of(sizes)

    def _candidate(self, replica: Replica, most: int) -> Candidate:
        """Return a layout with ``most`` replicas, but no more than requests."""
        replicas = max(min(most, int(self.concurrency)), 1) if self.has_replicas else 1
        key = replica.mesh, replicas
        return remembered(self, "_candidates", key, lambda: self._timed(replica, replicas))

    def _timed(self, replica: Replica, replicas: int) -> Candidate:
        """Return a layout with the time of its requests."""
        point = self.space.together(replica, replicas=replicas).points[0]
        running = int(point.batch * replica.steps.n_batches * replicas + ROUNDING)
        if self.speed is None:
            return Candidate(replica.mesh, replicas, running, point.runs, point.requests_per_s)
        own = self.speed(self.joined(replica.mesh, replicas)[0])
        return Candidate(replica.mesh, replicas, running, own > 0, own)

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
        found, speeds = list[Candidate](), list[float]()  # of each power of two
        for size in sorted(sizes):
            if is_many and len(speeds) > WORSE and max(speeds[-WORSE:]) <= EQUAL * max(speeds[:-WORSE]):
                break
            for mesh in self._meshes(size, found):
                replica = self._replica(mesh)
                if replica is not None:
                    found.append(self._candidate(replica, count // size))
            of_size = [one.speed for one in found if one.mesh.ranks == size]
            if of_size and size & (size - 1) == 0:
                speeds.append(max(of_size))
        return found

    def _meshes(self, size: int, found: list[Candidate]) -> Iterator[Mesh]:
        """Yield the layouts of a replica: those in one stage, and unless all requests run on one of the layouts
        ``found`` by then, those in several stages.
        """
        node, joins = self.service.card.node, engine_step(self.service.engine).has_data_parallel
        usual = [mesh for mesh in meshes(self.service.architecture, size, node) if mesh.dp == 1 or joins]
        yield from usual
        if not any(one.runs for one in found):
            stages = (Mesh(tp=tp, pp=size // tp, etp=tp) for tp in divisors(size) if tp <= node)
            yield from (mesh for mesh in stages if mesh not in usual)

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
        pool = found.pool or plain_pool(found.steps, cache_space(found.steps))
        holds_longest = bool(pool.requests(service.requests.longest) >= 1)
        return found if holds_longest and found.starts else None


def layout_of_batch(service: Service, batch: int, speed: Callable[[Mesh], float]) -> ServingLayout:
    """Return the layout that ``latency`` assumes for a batch of sequences on one engine, with its own speed."""
    return default_layout(Space(service), batch, speed)
