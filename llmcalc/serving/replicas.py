"""A replica of a layout: its steps, the memory that the engine leaves for requests, and its speculative decoding."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, inf

from ..calc.collectives import ALL_TO_ALL
from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..core.record import record
from ..core.type_names import TYPE_CHECKING, Any
from ..data import tables
from ..engines.profile import version_number
from ..engines.settings import has_flag, states_all
from .memory import EngineMemory, free_memory
from .speculation import Drafting, find_drafting
from .start.llama_cpp_fit import PLACED
from .start.pool import CachePool
from .step.draft_steps import Speculation
from .step.step import StepModel
from .step.step_models import step_model

if TYPE_CHECKING:
    from ..engines.llama_cpp_weights import Placement
    from .service import Service

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
        memory: division of the memory by the engine.
        drafting: speculative decoding, or None.
        most: largest number of running requests on each data-parallel rank and in each pipeline stage that the settings
            allow.
    """

    mesh: Mesh
    formats: Formats
    steps: StepModel
    memory: EngineMemory
    drafting: Drafting | None
    most: float

    @property
    def ranks(self) -> int:
        """Number of GPUs."""
        return self.mesh.ranks

    @property
    def pool(self) -> CachePool | None:
        """Cache of one rank, or None if the rule of the engine is unknown."""
        return self.memory.pool

    @property
    def is_refused(self) -> bool:
        """Whether the engine does not start on this layout, for reasons other than memory."""
        return bool(self.memory.start and self.memory.start.refusals)

    @property
    def starts(self) -> bool:
        """Whether the engine starts on this layout, which is unknown and thus true without a rule of the engine."""
        start = self.memory.start
        return start.starts if start else self.pool is None or self.pool.space > 0

    @property
    def chunk(self) -> int:
        """Usual tokens of prefill in a step."""
        return self.memory.chunk or self.steps.engine.chunk

    @property
    def speculation(self) -> Speculation | None:
        """Drafted and accepted tokens of a step, or None without speculative decoding."""
        return self.drafting.speculation if self.drafting else None

    @property
    def exchanges(self) -> bool:
        """Whether ranks exchange tokens of experts."""
        found = (each for exchange in self.steps.exchanges for each, _ in exchange.phases.values())
        return any(each.kind == ALL_TO_ALL for each in found)

    @property
    def crosses_nodes(self) -> bool:
        """Whether ranks of several nodes exchange tokens of experts."""
        return self.exchanges and self.mesh.ep > self.steps.accelerator.node

    @property
    def notes(self) -> tuple[str, ...]:
        """What is assumed about the overlap of two batches, and about the host."""
        overlap = "two-batch overlap needs the kernels of DeepEP, which have a flag of their own"
        return (overlap,) * self.steps.overlaps + self.steps.notes

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the layout that differ from 1."""
        return sizes_of(self.mesh)

    @property
    def takes_replicas(self) -> bool:
        """Whether one process of the engine starts several independent replicas, which share no experts."""
        steps = self.steps
        return self.mesh.dp == 1 and has_flag(steps.engine.name, "dp") and not expert_layers(steps.architecture)

    def command(
        self, longest: float, batch: float, chunk: float | None = None, role: str = "", replicas: int = 1
    ) -> str | None:
        """Return the engine's command line, or None if the rule of the engine is unknown.

        Args:
            longest: tokens of the longest request.
            batch: sequences that run at once on a data-parallel rank.
            chunk: largest number of tokens of prefill in a step, if it is not the usual one.
            role: ``prefill`` or ``decode``, for a pool that computes nothing else.
            replicas: number of replicas that the process starts.
        """
        start = self.memory.start
        words = tables("engines").get(self.steps.engine.name, {}).get("pools", {}).get(role) if role else ""
        if start is None or words is None or not states_all(start):
            return None
        settings, change = start.settings, dict[str, Any]()
        if start.max_model_len == ceil(longest):
            usual = start.deployment.with_default_length().start()
            if usual.request_fits and usual.pool == start.pool:
                start = usual
            else:
                rounded = LENGTH_STEP * ceil(longest / LENGTH_STEP)
                change["max_model_len"] = min(rounded, start.deployment.limit.allowed or rounded)
        if replicas > 1:
            change["dp"] = replicas
            batch *= replicas if settings.get("divides_sequences") else 1
        if batch > settings.get("max_num_seqs", batch):
            change["max_num_seqs"] = ceil(batch)
        if chunk not in (None, self.chunk):
            change["max_num_batched_tokens"] = chunk
        exchange = tables("engines")[self.steps.engine.name].get("exchange", {}) if self.crosses_nodes else {}
        return " ".join(filter(None, (start.line(change), exchange.get(role or "serve"), words)))


def sizes_of(mesh: Mesh) -> dict[str, int]:
    """Return the sizes of a layout that differ from 1."""
    return {name: size for name in SIZES if (size := getattr(mesh, name)) > 1}


def llama_cpp_placement(engine: str, given: Mapping[str, Any], devices: int) -> Placement | None:
    """Return where llama.cpp stores layers and tensors, if settings state it, or None."""
    entry = tables("engines").get(engine, {})
    if entry.get("rule") != "sum" or not any(given.get(name) is not None for name in PLACED):
        return None
    from ..engines.llama_cpp_weights import read_placement  # needed only by layers in host memory

    build = version_number(given.get("engine_version") or entry["newest"])[0]
    return read_placement(given, build, devices)


def replica_on(service: Service, mesh: Mesh, formats: Formats, *, is_most_free: bool = False) -> Replica:
    """Return a replica with a layout.

    Args:
        service: the model in an engine on GPUs.
        mesh: layout.
        formats: number formats by the name of their setting.
        is_most_free: whether the number of sequences has no limit unless it is given, as in a search, which sets it.

    Raises:
        InputError: if the model does not allow the layout or the formats, or a setting is invalid.
    """
    engine, given = service.engine, service.given
    states = {name: given.get(name) for name in ("engine_version", "state_dtype", "conv_dtype")}
    steps = step_model(
        service.architecture, service.card, mesh, engine, two_batch_overlap=bool(given.get("two_batch_overlap")),
        placement=llama_cpp_placement(engine, given, mesh.pp), enforce_eager=bool(given.get("enforce_eager")),
        **dict[str, Any]({**states, **formats}),
    )  # fmt: skip
    memory = free_memory(service, steps, formats)
    drafting = find_drafting(steps, {**memory.settings, **formats}, *service.acceptance)
    most, is_given = memory.most_requests(mesh.dp) / steps.stage_batches, "max_num_seqs" in given
    trees = tables("engines").get(engine, {}).get("draft_trees")
    if drafting and trees and not is_given:
        most = min(most, trees["max_num_seqs"] / mesh.dp)
    most = inf if is_most_free and not is_given else most
    return Replica(mesh, formats, steps, memory, drafting, most)
