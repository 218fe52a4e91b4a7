"""Memory that a serving engine leaves for the keys and values of its requests, and the settings of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import ceil, inf

from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import NOTHING, NamedTuple, changed, remembered
from ..core.type_names import TYPE_CHECKING, Any
from ..data import tables
from ..engines.settings import divided_experts
from ..inputs.gguf_names import FILE_FORMAT
from ..kernels.cost import ACTIVATIONS
from .request_times import weight_bytes
from .start.pool import CachePool
from .start.start import Start
from .start.usual_layout import has_room
from .step.step import StepModel

if TYPE_CHECKING:
    from .deployment import Deployment
    from .replicas import Formats
    from .service import Service

LAYOUT = ("engine_version", "tp", "dp", "pp", "ep", "expert_parallel", "attention_dp", "auto_fit")


class EngineMemory(NamedTuple):
    """Memory of a rank.

    Attributes:
        start: how the engine starts, or None if its rule is unknown, or its weights are others.
        pool: cache of one rank, or None if no rule of the engine is known.
        settings: settings of the engine, with its defaults. Empty if the engine is unknown.
    """

    start: Start | None
    pool: CachePool | None
    settings: Mapping[str, Any]

    @property
    def chunk(self) -> int | None:
        """Largest number of tokens of prefill in a step, or None if the engine is unknown."""
        return self.settings.get("max_num_batched_tokens")

    def most_requests(self, dp: int) -> float:
        """Return the largest number of running requests on each of the data-parallel ranks."""
        found = float(self.settings.get("max_num_seqs", inf))
        return found / (dp if self.settings.get("divides_sequences") else 1)


def free_memory(service: Service, steps: StepModel, formats: Formats) -> EngineMemory:
    """Return how the engine divides the memory of a GPU.

    The engine's own rule gives what it needs beside the weights.

    Args:
        service: the model in an engine on GPUs.
        steps: steps of one rank.
        formats: number formats of weights, experts, attention and cache, by the name of their setting.
    """
    mesh, deployment = steps.mesh, service.deployment
    own = _beside_layout(service.given)
    if deployment is None:
        return EngineMemory(None, None, service.given)
    rule = tables("engines")[service.engine]
    settings = {
        "weights": _weights(service.architecture, steps, formats["weights"]), "cache": formats["cache"],
        **engine_layout(mesh, rule), **own,
    }  # fmt: skip
    divides_layers = rule["rule"] == "sum"  # its number of sequences is one unless a flag sets it
    free = {"max_num_seqs": inf, **own} if divides_layers else {}
    has_own_length = service.command or service.too_long
    if divides_layers or service.excess or not has_own_length:  # buffers are those of the longest request
        settings = {"max_model_len": ceil(service.requests.longest), **settings}

    def compute() -> EngineMemory:
        try:
            found = _start(deployment, mesh.ranks, settings)
            if found.most_sequences < found.settings["max_num_seqs"] and "max_num_seqs" not in own:
                found = _start(deployment, mesh.ranks, {**settings, "max_num_seqs": found.most_sequences})
        except InputError:
            if own or "engine_version" in service.given:  # a setting may be wrong
                raise
            return EngineMemory(None, None, {**deployment.profile.settings, **free})
        known = {**found.settings, **free}
        has_others = formats["experts"] or formats["attention_weights"]
        if has_others or settings["tp"] not in (mesh.tp, None):  # other weights on a rank than in this call
            other = found.memory.budget - found.memory.available.best - found.memory.weights.best
            space = found.memory.budget - other - weight_bytes(steps)
            return EngineMemory(None, found.pool._replace(space=space), known)
        pool, used = found.pool, found.memory.budget - found.memory.available.best
        if (shared := steps.accelerator.shared_bytes) and (on_host := dict(found.host.parts).get("weights")):
            pool = pool._replace(space=min(pool.space, shared - on_host.best - used))  # GPU and host share one memory
        return EngineMemory(None if divides_layers else found, pool, known)

    given = (service.limit, *sorted(service.given.items()))
    key = (service.card.name, service.engine, mesh, settings.get("max_model_len"), *formats.values(), given)
    return remembered(service.architecture, "_serving_memory", key, compute, most=64)


def holds_weights(service: Service, mesh: Mesh, formats: Formats) -> bool:
    """Return whether the weights leave memory for requests, as far as known before the start of the engine."""
    deployment = service.deployment
    if deployment is None or deployment.profile.rule == "sum" or formats["experts"] or formats["attention_weights"]:
        return True
    own = {**_beside_layout(service.given), "weights": formats["weights"]}
    given = {name: value for name, value in own.items() if value is not None}
    return has_room(deployment.on(deployment.gpus, given), {"tp": mesh.tp, "pp": mesh.pp, "dp": mesh.dp})


def placed_on_host(service: Service, steps: StepModel) -> Start | None:
    """Return how an engine starts for the longest request with a part of the model in host memory, or None."""
    if not steps.engine.divides_layers:
        return None
    weights = _weights(service.architecture, steps, service.formats["weights"])
    found = _longest_start(service, steps.mesh.ranks, weights)
    return found if found and found.starts and found.placement else None


def batch_start(service: Service, steps: StepModel, length: int, batch: int) -> Start | None:
    """Return how an engine that divides the layers starts for a batch of sequences, or None if that is not known.

    It may move layers to host memory, so that a part of the GPUs stays free.
    """
    if not steps.engine.divides_layers or service.formats["experts"] or service.formats["attention_weights"]:
        return None
    weights = _weights(service.architecture, steps, service.formats["weights"])
    sizes = {"max_model_len": length * batch, "max_num_seqs": batch}  # the context is that of all sequences
    return _longest_start(service, steps.mesh.ranks, weights, sizes)


def usual_start(service: Service) -> Start | None:
    """Return how an engine starts for the longest request on the first usual layout on which it does, or None if that
    is not known.
    """
    return _longest_start(service, service.count, service.formats["weights"])


def _longest_start(
    service: Service,
    count: int,
    weights: str | None,
    sizes: Mapping[str, Any] = NOTHING,
) -> Start | None:
    """Return how an engine starts on ``count`` GPUs for the longest request or other ``sizes``, or None if unknown."""
    own = {"weights": weights, "cache": service.formats["cache"], "max_model_len": ceil(service.requests.longest)}
    own |= {**_beside_layout(service.given), **sizes}
    with suppress(InputError):  # no layout divides the model, a setting is invalid, or the version is not described
        return _start(service.deployment, count, own) if service.deployment else None
    return None


def _start(deployment: Deployment, count: int, settings: Mapping[str, Any]) -> Start:
    """Return how the engine starts on ``count`` GPUs with other settings."""
    own = {name: value for name, value in settings.items() if value is not None}
    return deployment.on(changed(deployment.gpus, count=count), own).start()


def _beside_layout(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in LAYOUT}


def _weights(architecture: Architecture, steps: StepModel, weights: str | None) -> str | None:
    """Return the format of the weights, which are 16 bits as in the steps where an engine would take smaller files."""
    told = architecture.inputs
    is_free = weights is None and not (told.get("quantization") or told.get("types") or told.get(FILE_FORMAT))
    return ACTIVATIONS if is_free and steps.engine.divides_layers else weights


def engine_layout(mesh: Mesh, rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an engine with a layout. An engine that divides the layers has a stage on each GPU."""
    read = rule["flags"]["read"].values()
    if rule["rule"] == "sum":
        return {"tp": None, "auto_fit": False}  # what the GPUs store
    found: dict[str, Any] = {"tp": mesh.tp, "dp": mesh.dp if mesh.dp > 1 else None}
    if mesh.dp > 1 and "dp" not in read:
        found = {"tp": mesh.tp * mesh.dp, "dp": None}
    elif mesh.dp > 1 and "attention_dp" in read:
        found |= {"tp": mesh.tp * mesh.dp, "attention_dp": True}
    if mesh.pp > 1:
        found["pp"] = mesh.pp
    return found | (divided_experts(rule["flags"], mesh.ep) if mesh.ep > 1 else {})


def engine_title(name: str) -> str:
    """Return the name of an engine as its authors write it."""
    return str(tables("engines").get(name, {}).get("title", name))
