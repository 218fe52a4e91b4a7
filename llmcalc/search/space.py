"""Times of requests on every layout of some GPUs, for many numbers of requests at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product

from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..core.architecture import Architecture
from ..core.errors import LlmcalcError
from ..core.record import NamedTuple, record, remembered
from ..core.type_names import Any
from ..data import tables
from ..inputs.grid import numpy_module
from ..serving.point import Placement, Point, point_at
from ..serving.points import LoadTimes, between, column, load_times, points_of, rows_of
from ..serving.pool_times import Decodes, Prefills, decodes, joined, pools_time, prefills
from ..serving.replicas import Formats, Replica, replica_on
from ..serving.request_times import Load, serving_time
from ..serving.requests import Requests
from ..serving.service import Service
from ..serving.step.step_models import engine_step

MOST, STEPS = 4096, 97  # requests of a data-parallel rank: the largest number, and how many are tried
FEWEST = tuple(2.0**-power for power in range(6, 0, -1))  # while other requests are in the pool of prefills
NUMBERS = sorted({float(round(MOST ** (step / (STEPS - 1)))) for step in range(STEPS)})
MOST_VALUES = 2**18  # of an array, so that it stays small
MOST_SPLITS = 16  # divisions of the GPUs between two pools
DISTINCT_GAIN = 1.1  # above which the faster layout on one node is the estimated one (benchmarks/time/layouts.py)
Placed = tuple[Replica, Prefills, tuple[int, int]]  # a replica, its prefills, and the numbers of replicas of two pools


class Times(NamedTuple):
    """Times on a layout for several numbers of requests, fewest first."""

    placement: Placement
    points: Sequence[LoadTimes]


@record
class Space:
    """A service on all layouts of its GPUs, in several number formats, with a given number of requests or any.

    Attributes:
        service: the model in an engine on GPUs with requests.
        formats: number formats that are tried (default: those of the service).
        only: number of requests on all GPUs, or None for all numbers.
    """

    service: Service
    formats: tuple[Formats, ...] = ()
    only: float | None = None

    def __post_init__(self) -> None:
        self.__dict__["formats"] = self.formats or (self.service.formats,)

    @property
    def limits(self) -> Mapping[str, float]:
        """Longest times of requests in seconds, by name."""
        return self.service.limits or {}

    @property
    def requests(self) -> Requests:
        """Lengths of the requests."""
        return self.service.requests

    @property
    def notes(self) -> tuple[str, ...]:
        """Assumptions about the requests, their drafted tokens, and the overlap of two batches."""
        own = self.single
        drafts = own.drafting.notes if own.drafting else ()
        return (*self.service.assumed, *self.requests.notes, *drafts, *own.notes)

    @property
    def fewest(self) -> float:
        """Smallest number of requests that counts."""
        return min(self.only or 1, 1)

    @cached_property
    def single(self) -> Replica:
        """A replica on one GPU.

        Raises:
            InputError: if a setting of the engine or a format is invalid.
        """
        return self.read(Mesh(), self.formats[0])

    def read(self, mesh: Mesh, formats: Formats) -> Replica:
        """Return a replica. The number of its running requests is free unless it is given."""
        return replica_on(self.service, mesh, formats, is_most_free=self.service.command is None)

    def replica(self, mesh: Mesh, formats: Formats) -> Replica | None:
        """Return a replica, or None if the model does not allow the layout or the formats."""
        try:
            return self.read(mesh, formats)
        except LlmcalcError:  # ranks that do not divide the model, or a format that it does not allow
            return None

    @cached_property
    def replicas(self) -> tuple[Replica, ...]:
        """Replicas of all layouts on which a request fits."""
        return tuple(replica for formats, size in self._groups() for replica in self._replicas_of(formats, size))

    def _groups(self) -> Iterator[tuple[Formats, int]]:
        """Yield the formats and the numbers of GPUs of replicas."""
        yield from product(self.formats, powers(self.service.count))

    def _replicas_of(self, formats: Formats, size: int) -> list[Replica]:
        """Return the replicas with ``size`` GPUs, which are computed once."""
        return remembered(self, "_known_replicas", (*formats.items(), size), lambda: [*self._sized(size, formats)])

    def _sized(self, size: int, formats: Formats) -> Iterator[Replica]:
        """Yield the replicas with ``size`` GPUs. Data-parallel ranks need more memory than tensor-parallel ones."""
        for mesh in self._meshes(size):
            replica = self.replica(mesh, formats)
            is_known = replica is not None and (replica.memory.start is not None or replica.steps.stage_batches == 1)
            if mesh.pp > 1 and (replica is None or not is_known or replica.drafting):
                continue
            if replica is None or not replica.starts:
                if replica is not None and mesh.ep == 1 and not replica.is_refused:
                    return  # for lack of memory
                continue
            yield replica

    def _meshes(self, size: int) -> Iterable[Mesh]:
        if engine_step(self.service.engine).divides_layers:
            return (Mesh(pp=size),)
        return meshes(self.service.architecture, size, self.service.card.node)

    @property
    def refusal(self) -> str:
        """Why the engine does not start on the first layout of all GPUs on which it does not, or an empty text."""
        count = self.service.count
        tried = (self.replica(mesh, self.formats[0]) for mesh in (*self._meshes(count), Mesh(pp=count)))
        starts = (replica.memory.start for replica in tried if replica)
        return next((start.reason for start in starts if start and not start.starts), "")

    @property
    def can_disaggregate(self) -> bool:
        """Whether the engine has two pools, and there are GPUs for both."""
        known = bool(tables("engines").get(self.service.engine, {}).get("pools"))
        return known and self.service.count > 1 and self.requests.mean("osl") > 1

    def best(self, tried: Iterable[Times], key: Callable[[LoadTimes], float], *, is_kept: bool = True) -> Point | None:
        """Return the point with the least ``key`` of those whose requests all run, or None if there is none."""
        running = [(times.placement, point) for times in tried for point in times.points if point.runs]
        found = min(running, key=lambda pair: key(pair[1]), default=None)
        return point_at(*found, self.service, is_kept=is_kept) if found else None

    def times(self) -> Iterator[Times]:
        """Yield the times on all layouts, or nothing if a request is too long."""
        yield from filter(None, self.steps())

    def steps(self) -> Iterator[Times | None]:
        """Yield what ``times`` yields, and None between other pieces of work, where a caller can pause."""
        if self.service.too_long:
            return
        for group in self._groups():
            self._replicas_of(*group)
            yield None
        for replica in self.replicas:
            count, found = self.service.count // replica.ranks, list[LoadTimes]()
            for points in self._blocks(replica, count):
                found += points
                yield None
            yield Times(Placement(replica, count), tuple(found))
        if self.can_disaggregate:
            yield from self.disaggregated()

    def together(self, replica: Replica, numbers: Sequence[float] = (), replicas: int = 0) -> Times:
        """Return the times of a layout whose replicas compute prefills and decode steps together.

        Args:
            replica: a replica.
            numbers: numbers of requests that are tried, if they are not the usual ones.
            replicas: number of replicas (default: as many as there are GPUs for).
        """
        count = replicas or self.service.count // replica.ranks
        found = tuple(point for points in self._blocks(replica, count, numbers) for point in points)
        return Times(Placement(replica, count), found)

    def _blocks(self, replica: Replica, count: int, numbers: Sequence[float] = ()) -> Iterator[Iterator[LoadTimes]]:
        """Yield the times of blocks of numbers of requests on ``count`` replicas without pools."""
        load, groups = self.service.load, replica.steps.n_batches
        each = numbers or ([self.only] if self.only else ())
        for number in blocks([one / count / groups for one in each] or NUMBERS):
            requests = groups * number
            own = load._replace(
                concurrency=load.across_classes(requests), chunk=load.chunk or replica.chunk, most=replica.most
            )
            time = serving_time(replica.steps, own, replica.pool, self.service.factors, replica.speculation)
            yield points_of(load_times(time, requests * count, self.requests.mean("osl"), count))

    def disaggregated(self) -> Iterator[Times]:
        """Yield the times of all layouts with two pools."""
        smaller = [one for one in self.replicas if one.ranks < self.service.count and one.mesh.pp == 1]
        firsts = [(replica, own) for replica in smaller if (own := self.prefills(replica)) is not None]
        for second in smaller:
            placed = [
                (first, own, counts)
                for first, own in firsts
                if first.formats is second.formats
                for counts in self.splits(first.ranks, second.ranks)
            ]
            yield from self.pools(second, placed)

    def splits(self, first: int, second: int) -> Iterator[tuple[int, int]]:
        """Yield numbers of replicas of two pools that use all GPUs."""
        most = (self.service.count - second) // first
        numbers = range(1, most + 1) if most <= MOST_SPLITS else sorted({
            max(round(most ** (at / MOST_SPLITS)), 1) for at in range(MOST_SPLITS + 1)
        })  # fmt: skip
        for number in numbers:
            others, rest = divmod(self.service.count - number * first, second)
            if others >= 1 and not rest:
                yield number, others

    def pools(self, second: Replica, placed: Sequence[Placed]) -> Iterator[Times]:
        """Yield the times of replicas that decode beside pools of prefills, with the numbers of replicas of both."""
        steps = self._decodes(second)
        n_rows = min(len(placed), MOST_VALUES // len(NUMBERS)) if len(steps) == 1 else 1  # one by one without NumPy
        for start in range(0, len(placed), max(n_rows, 1)):
            part = placed[start : start + n_rows]
            placements = [Placement(second, others, Placement(first, number)) for first, _, (number, others) in part]
            found = self._pool_points(placements, part, steps)
            for placement, points in zip(placements, found, strict=True):
                yield Times(placement, (between(points, self.only),) if self.only else points)

    def _pool_points(
        self, placements: Sequence[Placement], placed: Sequence[Placed], steps: Sequence[Decodes]
    ) -> Sequence[Sequence[LoadTimes]]:
        """Return the points of each placement."""
        own = joined([prefills for _, prefills, _ in placed])
        numbers, others = (column(each) for each in zip(*(counts for *_, counts in placed), strict=True))
        places: dict[str, Any] = {
            "same_node": column([one.gpus <= self.service.card.node for one in placements]),
            "prefill_share": column([one.prefill.gpus / one.gpus for one in placements if one.prefill]),
        }
        times = [pools_time(own, step, (numbers, others), self.service.load, **places) for step in steps]
        if len(times) == 1:
            return rows_of(len(placements), times[0])
        return [[point for own in times for point in points_of(own)]]

    @cached_property
    def decode_load(self) -> Load:
        """Requests of a pool that only decodes, without cached prefixes if the engine has none there."""
        load, pools = self.service.load, tables("engines").get(self.service.engine, {}).get("pools", {})
        return (
            load if pools.get("decode_cache", True) else load._replace(cached=0 * load.cached, shared=0 * load.shared)
        )

    def prefills(self, first: Replica) -> Prefills | None:
        """Return the prefills of a replica, or None if a prompt does not fit."""
        load = self.service.load._replace(chunk=self.service.chunk or first.chunk)
        return prefills(first.steps, load, first.pool, first.speculation, self.decode_load.cached)

    def _decodes(self, second: Replica) -> list[Decodes]:
        """Return the decode steps of a replica, which are the same beside every pool of prefills."""

        def compute() -> list[Decodes]:
            steps, load, drafts = second.steps, self.decode_load, second.speculation
            numbers = blocks([*FEWEST, *NUMBERS])
            factors = self.service.factors
            return [decodes(steps, load, number, second.pool, factors, drafts, second.most) for number in numbers]

        return remembered(second, "_decodes", (self.requests.classes, self.service.factors), compute)


def blocks(numbers: Sequence[float]) -> Sequence[Any]:
    """Return numbers of requests that are computed at once: an array of all, or each one where NumPy is missing."""
    numpy = numpy_module() if len(numbers) > 1 else None
    return numbers if numpy is None else [numpy.array(numbers, dtype=float)]


def powers(most: int) -> Iterator[int]:
    """Yield the powers of two up to ``most``."""
    size = 1
    while size <= most:
        yield size
        size *= 2


def meshes(architecture: Architecture, size: int, node: int) -> Iterator[Mesh]:
    """Yield the layouts of a replica with ``size`` GPUs.

    Experts are also divided by expert parallelism. Several nodes of ``node`` GPUs may be pipeline stages.
    """
    yield Mesh(tp=size, etp=size)
    if size > node and size % node == 0:
        yield Mesh(tp=node, pp=size // node, etp=node)
    if size > 1 and any(True for _ in expert_layers(architecture)):
        for tp in powers(size):
            if size % tp == 0:
                yield Mesh(tp=tp, dp=size // tp, ep=size, etp=1)
