"""Times of requests on every layout of some GPUs, for many numbers of requests at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..core.architecture import Architecture
from ..core.errors import LlmcalcError
from ..core.record import record, remembered
from ..data import table, tables
from ..engines.lengths import known_length
from ..engines.settings import setting_flags
from ..estimate.hardware import Accelerator
from ..inputs.grid import numpy_module
from ..kernels.arrays import namespace
from ..serving.factors import Factors
from ..serving.money import decode_power
from ..serving.points import Point, between, column, joined, points_of, rows_of
from ..serving.pool_times import Decodes, Prefills, decodes, pools_time, prefills
from ..serving.replicas import Formats, Replica, read_replica
from ..serving.requests import Requests
from ..serving.step.step_models import engine_step
from ..serving.times import Load, ServingTime, serving_time

LENGTH = "max_model_len"
MOST, STEPS = 4096, 97  # requests of a data-parallel rank: the largest number, and how many are tried
FEWEST = tuple(2.0**-power for power in range(6, 0, -1))  # while other requests are in the pool of prefills
NUMBERS = sorted({float(round(MOST ** (step / (STEPS - 1)))) for step in range(STEPS)})
MOST_BUSY = 0.95  # share of the time in which a pool of prefills computes
MOST_VALUES = 2**18  # of an array, so that it stays small
MOST_SPLITS = 16  # divisions of the GPUs between two pools
DISTINCT_GAIN = 1.1  # above which the faster layout on one node is the estimated one (benchmarks/time/layouts.py)


class Placement(NamedTuple):
    """GPUs that serve a model: replicas of one layout, or two pools of replicas.

    Attributes:
        replica: a replica that decodes, and computes prefills unless there is a pool for them.
        replicas: number of these replicas.
        prefill: a replica of the pool that computes prefills, or None.
        prefill_replicas: number of replicas of this pool.
    """

    replica: Replica
    replicas: int
    prefill: Replica | None = None
    prefill_replicas: int = 0

    @property
    def gpus(self) -> int:
        """Number of GPUs."""
        return self.replica.ranks * self.replicas + self.first_gpus

    @property
    def formats(self) -> dict[str, str]:
        """Number formats by setting, where they are not those of the checkpoint or of 16 bits."""
        return {name: own for name, own in self.replica.formats.items() if own}

    @property
    def first_gpus(self) -> int:
        """Number of GPUs of the pool that computes prefills."""
        return self.prefill.ranks * self.prefill_replicas if self.prefill else 0


class Times(NamedTuple):
    """Times on a layout for several numbers of requests, fewest first."""

    placement: Placement
    points: Sequence[Point]


@record
class LayoutSearch:
    """All layouts of some GPUs.

    Attributes:
        architecture: the model.
        card: the GPU.
        count: number of GPUs.
        requests: lengths of the requests.
        engine: serving engine.
        formats: number formats that are tried.
        factors: factors of a measured deployment.
        only: number of requests on all GPUs, or None for all numbers.
        chunk: largest number of tokens of prefill in a step (default: the usual one of the engine).
        given: further settings of the engine.
        acceptance: accepted tokens per step of speculative decoding, or their share of the drafted ones, if given.
        assumed: notes on the engine, if it was chosen.
        is_command: whether a command line states the settings, so that their defaults limit the running requests.
    """

    architecture: Architecture
    card: Accelerator
    count: int
    requests: Requests
    engine: str
    formats: tuple[Formats, ...]
    factors: Factors | None = None
    only: float | None = None
    chunk: int | None = None
    given: Mapping[str, Any] = {}
    acceptance: tuple[float | None, float | None] = (None, None)
    assumed: tuple[str, ...] = ()
    is_command: bool = False

    @cached_property
    def load(self) -> Load:
        """Requests without their number."""
        return self.requests.load(chunk=self.chunk)

    @cached_property
    def longest(self) -> int | None:
        """Largest number of tokens of a request that the model or the settings allow, or None if unknown."""
        allowed = known_length(self.architecture, self.engine), self.given.get(LENGTH)
        return min((size for size in allowed if isinstance(size, int)), default=None)

    @property
    def length_flag(self) -> str:
        """Setting of ``longest``, with the engine's name if a command line states it, or empty if it is the model's."""
        if self.longest is None or self.given.get(LENGTH) != self.longest:
            return ""
        flags = tables("engines").get(self.engine, {}).get("flags")
        return setting_flags(flags).get(LENGTH, LENGTH) if flags and self.is_command else f"{{{LENGTH}}}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Assumptions about the requests, their drafted tokens, and the overlap of two batches."""
        own = self.single
        return (*self.assumed, *self.requests.notes, *(own.drafting.notes if own.drafting else ()), *own.notes)

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
        gpu = f"{self.card.name}:{mesh.ranks}"
        own = self.architecture, self.card, gpu, mesh, self.engine, formats
        return read_replica(*own, self.given, self.acceptance, is_most_free=not self.is_command)

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
        yield from product(self.formats, powers(self.count))

    def _replicas_of(self, formats: Formats, size: int) -> list[Replica]:
        """Return the replicas with ``size`` GPUs, which are computed once."""
        return remembered(self, "_known_replicas", (*formats.items(), size), lambda: [*self._sized(size, formats)])

    def _sized(self, size: int, formats: Formats) -> Iterator[Replica]:
        """Yield the replicas with ``size`` GPUs. Data-parallel ranks need more memory than tensor-parallel ones."""
        one_way = [Mesh(pp=size)] if engine_step(self.engine).divides_layers else None
        for mesh in one_way or meshes(self.architecture, size, self.card.node):
            replica = self.replica(mesh, formats)
            is_known = replica is not None and (replica.memory.result is not None or replica.steps.stage_batches == 1)
            if mesh.pp > 1 and (replica is None or not is_known or replica.drafting):
                continue
            if replica is None or (replica.free is not None and replica.free <= 0):
                if mesh.ep == 1 and replica is not None:
                    return
                continue
            yield replica

    @property
    def can_disaggregate(self) -> bool:
        """Whether the engine has two pools, and there are GPUs for both."""
        known = bool(tables("engines").get(self.engine, {}).get("pools"))
        return known and self.count > 1 and self.requests.mean("osl") > 1

    def times(self) -> Iterator[Times]:
        """Yield the times on all layouts, or nothing if a request is too long."""
        yield from filter(None, self.steps())

    def steps(self) -> Iterator[Times | None]:
        """Yield what ``times`` yields, and None between other pieces of work, where a caller can pause."""
        if self.longest is not None and self.requests.longest > self.longest:
            return
        for group in self._groups():
            self._replicas_of(*group)
            yield None
        for replica in self.replicas:
            found: list[Point] = []
            for points in self._blocks(replica):
                found += points
                yield None
            yield self._times(replica, found)
        if self.can_disaggregate:
            yield from self.disaggregated()

    def together(self, replica: Replica, numbers: Sequence[float] = ()) -> Times:
        """Return the times of a layout whose replicas compute prefills and decode steps together.

        ``numbers`` are the numbers of requests that are tried, if they are not the usual ones.
        """
        return self._times(replica, [point for points in self._blocks(replica, numbers) for point in points])

    def _times(self, replica: Replica, points: Sequence[Point]) -> Times:
        return Times(Placement(replica, self.count // replica.ranks), tuple(points))

    def _blocks(self, replica: Replica, numbers: Sequence[float] = ()) -> Iterator[Iterator[Point]]:
        """Yield the times of blocks of numbers of requests on a layout without pools."""
        load, count, groups = self.load, self.count // replica.ranks, replica.steps.n_batches
        each = numbers or ([self.only] if self.only else ())
        for number in blocks([one / count / groups for one in each] or NUMBERS):
            requests = groups * number
            own = load._replace(
                concurrency=load.across_classes(requests), chunk=load.chunk or replica.chunk, most=replica.most
            )
            time = serving_time(replica.steps, own, replica.free, self.factors, replica.speculation)
            runs = (time.capacity >= 1) & (time.waiting <= 0)
            yield points_of(
                requests * count, time.batch, runs, time.tpot_s, time.ttft_s, time.requests_per_s * count,
                prefill_share(time, self.requests.mean("osl"), groups),
                decode_power(time.step, table("serving_power")), time.step.seconds,
            )  # fmt: skip

    def disaggregated(self) -> Iterator[Times]:
        """Yield the times of all layouts with two pools."""
        smaller = [one for one in self.replicas if one.ranks < self.count and one.mesh.pp == 1]
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
        most = (self.count - second) // first
        numbers = range(1, most + 1) if most <= MOST_SPLITS else sorted({
            max(round(most ** (at / MOST_SPLITS)), 1) for at in range(MOST_SPLITS + 1)
        })  # fmt: skip
        for number in numbers:
            others, rest = divmod(self.count - number * first, second)
            if others >= 1 and not rest:
                yield number, others

    def pools(self, second: Replica, placed: Sequence[tuple[Replica, Prefills, tuple[int, int]]]) -> Iterator[Times]:
        """Yield the times of replicas that decode beside pools of prefills, with the numbers of replicas of both."""
        steps = self._decodes(second)
        n_rows = min(len(placed), MOST_VALUES // len(NUMBERS)) if len(steps) == 1 else 1  # one by one without NumPy
        for start in range(0, len(placed), max(n_rows, 1)):
            part = placed[start : start + n_rows]
            placements = [Placement(second, others, first, number) for first, _, (number, others) in part]
            found = self._pool_points(placements, joined([own for _, own, _ in part]), steps)
            for placement, points in zip(placements, found, strict=True):
                yield Times(placement, (between(points, self.only),) if self.only else points)

    def _pool_points(
        self, placements: Sequence[Placement], own: Prefills, steps: Sequence[Decodes]
    ) -> Sequence[Sequence[Point]]:
        """Return the points of each placement."""
        node, most = self.card.node, placements[0].replica.most
        counts = column([one.prefill_replicas for one in placements]), column([one.replicas for one in placements])
        same_node = column([one.gpus <= node for one in placements])
        share = column([one.first_gpus / one.gpus for one in placements])
        found: list[Point] = []
        for step in steps:
            time = pools_time(own, step, counts, self.load, same_node=same_node)
            runs = (step.batch <= step.capacity) & (step.batch <= most) & (time.busy <= MOST_BUSY)
            power, seconds = decode_power(step.step, table("serving_power")), step.step.seconds
            values = (
                time.concurrency, step.batch, runs, time.tpot_s, time.ttft_s, time.requests_per_s, share, power,
                seconds, time.busy, time.wait_s, time.transfer_s,
            )  # fmt: skip
            if len(steps) == 1:
                return rows_of(len(placements), *values)
            found += points_of(*values)
        return [found]

    @cached_property
    def decode_load(self) -> Load:
        """Requests of a pool that only decodes, without cached prefixes if the engine has none there."""
        caches = tables("engines").get(self.engine, {}).get("pools", {}).get("decode_cache", True)
        return self.load if caches else self.load._replace(cached=0 * self.load.cached, shared=0 * self.load.shared)

    def prefills(self, first: Replica) -> Prefills | None:
        """Return the prefills of a replica, or None if a prompt does not fit."""
        load = self.load._replace(chunk=self.chunk or first.chunk)
        return prefills(first.steps, load, first.free, first.speculation, self.decode_load.cached)

    def _decodes(self, second: Replica) -> list[Decodes]:
        """Return the decode steps of a replica, which are the same beside every pool of prefills."""

        def compute() -> list[Decodes]:
            steps, load, drafts = second.steps, self.decode_load, second.speculation
            numbers = blocks([*FEWEST, *NUMBERS])
            return [decodes(steps, load, number, second.free, self.factors, drafts) for number in numbers]

        return remembered(second, "_decodes", (self.requests.classes, self.factors), compute)


def prefill_share(time: ServingTime, osl: Any, groups: int) -> Any:
    """Return the share of the GPUs' time that prefills take, where replicas compute both."""
    decoding = (osl - 1) * time.step.seconds / time.accepted * time.requests_per_s / (groups * time.decoding)
    return namespace(decoding).clip(1 - decoding, 0.0, 1.0)


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
    yield Mesh(tp=size)
    if size > node and size % node == 0:
        yield Mesh(tp=node, pp=size // node)
    if size > 1 and any(True for _ in expert_layers(architecture)):
        for tp in powers(size):
            if size % tp == 0:
                yield Mesh(tp=tp, dp=size // tp, ep=size, etp=1)
