"""Times of requests on every layout of some GPUs, for many numbers of requests at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from math import ceil
from typing import Any, NamedTuple

from ..calc.collectives import SEND
from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..core.architecture import Architecture
from ..core.errors import LlmcalcError
from ..core.record import changed, record, remembered
from ..data import table, tables
from ..estimate.hardware import Accelerator
from ..estimate.serving_money import decode_power
from ..estimate.time.arrays import namespace
from ..estimate.time.calibration import Factors
from ..estimate.time.kernels import collective
from ..estimate.time.pools import Decodes, Prefills, decodes, pools_time, prefills
from ..estimate.time.serving import Load, ServingTime, serving_time
from ..estimate.time.step import ACTIVATION_BYTES, StepModel
from .engine_result import ServeResult
from .names import number_format
from .serving_memory import free_memory
from .step_models import step_model, weight_bits

MOST, STEPS = 4096, 97  # requests of a data-parallel rank: the largest number, and how many are tried
FEWEST = tuple(2.0**-power for power in range(6, 0, -1))  # while other requests are in the pool of prefills
NUMBERS = sorted({float(round(MOST ** (step / (STEPS - 1)))) for step in range(STEPS)})
MOST_BUSY = 0.95  # share of the time in which a pool of prefills computes
MOST_SPLITS = 16  # divisions of the GPUs between two pools
LENGTH_STEP = 1024  # multiple of the longest request in a command line
SIZES = ("tp", "pp", "dp", "ep")  # of a layout
Formats = Mapping[str, str | None]


@record
class Replica:
    """One replica of a layout: its steps, and how the engine divides the memory of a GPU.

    Attributes:
        mesh: layout.
        formats: number formats of weights, experts, attention and cache, by the name of their setting.
        steps: model of its steps.
        memory: division of the memory, or None if the rule of the engine is unknown.
        free: bytes for keys and values on one rank.
        chunk: usual tokens of prefill in a step.
    """

    mesh: Mesh
    formats: Formats
    steps: StepModel
    memory: ServeResult | None
    free: float | None
    chunk: int

    @property
    def ranks(self) -> int:
        """Number of GPUs."""
        return self.mesh.tp * self.mesh.dp * self.mesh.pp

    def hop_s(self, tokens: Any) -> Any:
        """Return the time to send the residual streams of ``tokens`` tokens through all pipeline stages."""
        if self.mesh.pp == 1:
            return 0.0
        own, device = self.steps.coefficients("collectives", "all-gather"), self.steps.device
        width = max(stack.d_model for stack in self.steps.architecture.stacks)
        moved = tokens * width * ACTIVATION_BYTES
        return (self.mesh.pp - 1) * collective(SEND, 2, moved, changed(device, link=device.network), own)

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the layout that differ from 1."""
        return {name: size for name in SIZES if (size := getattr(self.mesh, name)) > 1}

    def command(self, load: Load, batch: float, role: str = "") -> str | None:
        """Return the engine's command line, or None if the rule of the engine is unknown.

        Args:
            load: requests.
            batch: sequences that run at once on a data-parallel rank.
            role: ``prefill`` or ``decode``, for a pool that computes nothing else.
        """
        memory = self.memory
        words = tables("engines").get(self.steps.engine.name, {}).get("pools", {}).get(role) if role else ""
        if memory is None or words is None:
            return None
        settings, change = memory.settings, dict[str, Any]()
        if not memory.starts or memory.max_model_len < load.isl + load.osl:
            change["max_model_len"] = LENGTH_STEP * ceil((load.isl + load.osl) / LENGTH_STEP)
        if batch > settings.get("max_num_seqs", batch):
            change["max_num_seqs"] = ceil(batch)
        if load.chunk not in (None, self.chunk):
            change["max_num_batched_tokens"] = load.chunk
        return " ".join(filter(None, (memory.line(change), words)))


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
        first = self.prefill.ranks * self.prefill_replicas if self.prefill else 0
        return self.replica.ranks * self.replicas + first


class Point(NamedTuple):
    """Times of a number of requests.

    Attributes:
        concurrency: requests at any time, on all GPUs.
        batch: sequences that are decoded at once on a data-parallel rank.
        runs: whether all of them run at once.
        tpot_s: time per output token.
        ttft_s: time to the first token.
        requests_per_s: requests per second of all GPUs.
        prefill_share: share of the GPUs' time that prefills take.
        decode_power: power of a GPU in decode steps, as a share of its rated power.
        busy: share of the time in which the GPUs for prefills compute.
        wait_s: time that a prompt waits for that pool.
        transfer_s: time to send keys and values from one pool to the other.
    """

    concurrency: float
    batch: float
    runs: bool
    tpot_s: float
    ttft_s: float
    requests_per_s: float
    prefill_share: float
    decode_power: float
    busy: float = 1.0
    wait_s: float = 0.0
    transfer_s: float = 0.0


class Times(NamedTuple):
    """Times on a layout for several numbers of requests, fewest first."""

    placement: Placement
    points: tuple[Point, ...]


@record
class LayoutSearch:
    """All layouts of some GPUs.

    Attributes:
        architecture: the model.
        card: the GPU.
        count: number of GPUs.
        load: requests. The number of requests is not used.
        engine: serving engine.
        formats: number formats that are tried.
        factors: factors of a measured deployment.
        only: number of requests on all GPUs, or None for all numbers.
    """

    architecture: Architecture
    card: Accelerator
    count: int
    load: Load
    engine: str
    formats: tuple[Formats, ...]
    factors: Factors | None = None
    only: float | None = None

    def replica(self, mesh: Mesh, formats: Formats) -> Replica | None:
        """Return a replica, or None if the model does not allow the layout or the formats."""
        try:
            steps = step_model(self.architecture, self.card, mesh, self.engine, **dict[str, Any](formats))
            gpu = f"{self.card.name}:{mesh.tp * mesh.dp * mesh.pp}"
            memory = free_memory(self.architecture, steps, gpu, tuple(formats.values()))
        except LlmcalcError:  # ranks that do not divide the model, or a format that it does not allow
            return None
        chunk = memory.chunk or steps.engine.chunk
        return Replica(mesh, formats, steps, memory.result, memory.free, chunk)

    @cached_property
    def replicas(self) -> tuple[Replica, ...]:
        """Replicas of all layouts on which a request fits."""
        return tuple(
            replica for formats in self.formats for size in powers(self.count) for replica in self._sized(size, formats)
        )

    def _sized(self, size: int, formats: Formats) -> Iterator[Replica]:
        """Yield the replicas with ``size`` GPUs. Data-parallel ranks need more memory than tensor-parallel ones."""
        for mesh in meshes(self.architecture, size, self.card.node):
            replica = self.replica(mesh, formats)
            if mesh.pp > 1 and (replica is None or replica.memory is None):
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
        return known and self.count > 1 and self.load.osl > 1

    def times(self) -> Iterator[Times]:
        """Yield the times on all layouts."""
        for replica in self.replicas:
            yield self.together(replica)
        if self.can_disaggregate:
            yield from self.disaggregated()

    def together(self, replica: Replica) -> Times:
        """Return the times of a layout whose replicas compute prefills and decode steps together."""
        load, count, dp = self.load, self.count // replica.ranks, replica.mesh.dp
        stages = replica.mesh.pp  # each computes one of as many batches, as if it were a replica
        found: list[Point] = []
        for number in blocks([self.only / count / dp / stages] if self.only else NUMBERS):
            requests = dp * number
            own = load._replace(concurrency=requests, chunk=load.chunk or replica.chunk)
            time = serving_time(replica.steps, own, replica.free, self.factors)
            runs = (time.capacity >= 1) & (time.waiting <= 0)
            found += points_of(
                requests * count * stages, time.batch, runs, time.tpot_s + replica.hop_s(time.batch),
                time.ttft_s + replica.hop_s(load.isl), time.requests_per_s * count * stages,
                prefill_share(time, load.osl, dp),
                decode_power(time.step, table("serving_power")),
            )  # fmt: skip
        return Times(Placement(replica, count), tuple(found))

    def disaggregated(self) -> Iterator[Times]:
        """Yield the times of all layouts with two pools."""
        smaller = [one for one in self.replicas if one.ranks < self.count and one.mesh.pp == 1]
        load = self.load
        firsts = [
            (replica, prefills(replica.steps, load._replace(chunk=load.chunk or replica.chunk), replica.free))
            for replica in smaller
        ]
        for second in smaller:
            for first, own in firsts:
                if own is not None and first.formats is second.formats:
                    yield from self.pools(first, own, second, self.splits(first.ranks, second.ranks))

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

    def pools(
        self, first: Replica, own: Prefills, second: Replica, splits: Iterable[tuple[int, int]]
    ) -> Iterator[Times]:
        """Yield the times of two pools with these numbers of replicas."""
        steps = self._decodes(second)
        for counts in splits:
            placement = Placement(second, counts[1], first, counts[0])
            same_node, share = placement.gpus <= self.card.node, first.ranks * counts[0] / placement.gpus
            found: list[Point] = []
            for step in steps:
                time = pools_time(own, step, counts, self.load.osl, same_node=same_node)
                runs = (step.batch <= step.capacity) & (time.busy <= MOST_BUSY)
                found += points_of(
                    time.concurrency, step.batch, runs, time.tpot_s, time.ttft_s, time.requests_per_s, share,
                    decode_power(step.step, table("serving_power")), time.busy, time.wait_s, time.transfer_s,
                )  # fmt: skip
            yield Times(placement, (between(found, self.only),) if self.only else tuple(found))

    def _decodes(self, second: Replica) -> list[Decodes]:
        """Return the decode steps of a replica, which are the same beside every pool of prefills."""

        def compute() -> list[Decodes]:
            own = second.steps, self.load
            return [decodes(*own, number, second.free, self.factors) for number in blocks([*FEWEST, *NUMBERS])]

        return remembered(second, "_decodes", (self.load, self.factors), compute)


def prefill_share(time: ServingTime, osl: Any, dp: int) -> Any:
    """Return the share of the GPUs' time that prefills take, where replicas compute both."""
    decoding = (osl - 1) * time.step.seconds / time.accepted * time.requests_per_s / (dp * time.batch)
    return namespace(decoding).clip(1 - decoding, 0.0, 1.0)


def blocks(numbers: Sequence[float]) -> Sequence[Any]:
    """Return numbers of requests that are computed at once: an array of all, or each one where NumPy is missing."""
    try:
        import numpy as np
    except ImportError:
        return numbers
    return [np.array(numbers, dtype=float)]


def points_of(*values: Any) -> Iterator[Point]:
    """Yield a point for each element of arrays, or one point of numbers."""
    lists = [value.tolist() if hasattr(value, "tolist") else value for value in values]
    size = max((len(own) for own in lists if isinstance(own, list)), default=1)
    return map(Point, *(own if isinstance(own, list) else [own] * size for own in lists))


def between(points: Sequence[Point], concurrency: float) -> Point:
    """Return a point with this number of requests, interpolated. Outside of those that run, it does not run."""
    place = min(max(bisect_right([one.concurrency for one in points], concurrency), 1), len(points) - 1)
    low, high = points[place - 1], points[place]
    share = min(max((concurrency - low.concurrency) / (high.concurrency - low.concurrency), 0.0), 1.0)
    found = Point._make(one + share * (other - one) for one, other in zip(low, high, strict=True))
    inside = [one.concurrency for one in points if one.runs]
    runs = bool(inside) and inside[0] <= concurrency <= inside[-1]
    return found._replace(concurrency=concurrency, runs=runs)


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
            yield Mesh(tp=tp, dp=size // tp, ep=size, etp=1)


def check_formats(architecture: Architecture, given: Formats) -> None:
    """Check that the model allows the given number formats."""
    for name, text in given.items():
        if text and name == "cache":
            number_format(text, name)
        elif text:
            weight_bits(architecture, text)


def format_choices(architecture: Architecture, card: Accelerator, given: Formats) -> tuple[Formats, ...]:
    """Return the number formats that are tried: those given, and fp8 for the others if the GPU computes in it."""
    found: list[Formats] = [given]
    if "fp8" not in card.peak:
        return (given,)
    is_free = not any(given[name] for name in ("weights", "experts", "attention_weights"))
    if is_free and not (architecture.inputs.get("types") or architecture.inputs.get("quantization")):
        found.append({**given, "weights": "fp8"})
    if not given["cache"]:
        found += [{**each, "cache": "fp8"} for each in tuple(found)]
    return tuple(found)
