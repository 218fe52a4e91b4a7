"""Memory of a step of reinforcement learning: rollout engine, log-probabilities, training and weight update."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar

from ..calc.kv_cache import state
from ..calc.memory.inference import Steps, inference_memory
from ..calc.memory.number_formats import BITS_A_BYTE
from ..calc.memory.pipeline import ParallelMemory
from ..calc.sharding import MESH, Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.evidence import ASSUMED, of_architecture
from ..core.notebook_display import NotebookDisplay
from ..core.record import changed, record
from ..core.setting import check_values, read_lengths
from ..core.workload import Workload
from ..engines.hardware import engine_titles
from ..estimate.amounts import share as read_share
from ..estimate.hardware import Accelerator
from ..fitting.advice import Change
from ..fitting.check import check_fit
from ..fitting.memory import SETTINGS as MEMORY_SETTINGS
from ..inputs.effects import check_effects
from ..inputs.gpus import read_gpus
from ..inputs.number_formats import number_format, weight_formats
from ..inputs.serving_settings import ENGINES
from ..inputs.settings import MEMORY_MODE, memory_settings, read_settings
from ..inputs.training_settings import RL, RL_GPU
from ..serving.reading import read_deployment
from ..serving.start.start import Start

COMPLETIONS, PROMPT, COMPLETION, SHARE = 8, 512, 256, 0.3  # defaults of GRPOConfig in huggingface/trl; prompts: assumed
DISCARDED = 2  # sleep level of vLLM that discards weights, which level 1 moves to host memory
TRAINED = (
    "dtype", "weights", "optimizer", "attention", "recompute", "loss", "scan", "gradients", "master", "lora_rank",
    "lora_targets", "mesh", "convention",
)  # fmt: skip
OPTIONAL = ("micro_batch", "share", "reference", "engine_tp")
MESHED = ("dp", "tp", "pp", "cp", "ep", "etp", "sp", "zero", "micro_batches", "virtual_stages", "vocabulary_multiple")


@record
class RlPhase:
    """A phase of a step, with the bytes of its parts on one GPU."""

    name: str
    parts: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(size for _, size in self.parts)


@record
class RlMemory(NotebookDisplay):
    """Memory of a step of reinforcement learning on one GPU, in bytes.

    Attributes:
        phases: phases of the step on a GPU of the trainer, in chronological order.
        training: memory of the training step.
        engine: what the rollout engine does with its share of a GPU.
        settings: settings of the algorithm.
        gpu_memory: bytes of one GPU.
        host: bytes in host memory per GPU.
        accelerator: named GPU, or None if only a memory size was given.
        count: number of GPUs of the trainer.
        refusal: why the rollout engine does not run on the GPU, or an empty string.
        find_changes: function that searches for ``changes``.
    """

    architecture: Architecture
    phases: tuple[RlPhase, ...]
    training: ParallelMemory
    engine: Start
    settings: Mapping[str, Any]
    gpu_memory: int
    host: int
    accelerator: Accelerator | None = None
    count: int = 1
    refusal: str = ""
    find_changes: Callable[[RlMemory], tuple[Change, ...]] = lambda result: ()

    EVIDENCE: ClassVar[dict[str, str]] = dict.fromkeys(("peak", "phases", "host", "headroom"), ASSUMED)

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value."""
        return of_architecture(self.EVIDENCE, self.architecture)

    @property
    def largest(self) -> RlPhase:
        """Phase with the largest total."""
        return max(self.phases, key=lambda phase: phase.total)

    @property
    def peak(self) -> int:
        """Largest total of a phase."""
        return self.largest.total

    @property
    def headroom(self) -> int:
        """Free bytes of a GPU in the phase with the largest total, or missing bytes as a negative number.

        If GPU and host share one memory, what is in host memory must fit beside the phase.
        """
        shared = self.accelerator.shared_bytes if self.accelerator else None
        free = self.gpu_memory - self.peak
        return free if shared is None else min(free, shared - self.peak - self.host)

    @property
    def fits(self) -> bool:
        """Whether every phase fits on a GPU, and the rollout engine starts."""
        return not self.refusal and self.headroom >= 0 and self.engine.starts

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """At most three changed settings with which the step fits, cheapest first. Empty if it fits already.

        >>> import llmcalc
        >>> llmcalc.rl("qwen2.5-1.5b", "h100", completion=1024).changes[0].settings
        {'sleep': 2}
        """
        return () if self.fits or self.refusal else self.find_changes(self)

    @property
    def engine_gpus(self) -> int:
        """Number of GPUs of the rollout engine that the trainer does not use."""
        return self.engine.ranks if self.settings["rollout"] == "separate" else 0

    @property
    def at_once(self) -> int:
        """Number of completions whose KV cache the engine holds at the same time."""
        return int(self.engine.concurrency.best) if self.engine.starts else 0

    @property
    def summary(self) -> str:
        """One-line summary of the result."""
        if self.refusal:
            return self.refusal
        if not self.engine.starts:
            return f"the rollout engine will not start: {self.engine.reason}"
        size, each = f"{abs(self.headroom) / 2**30:.2f} GiB", f" on each of {self.count}" if self.count > 1 else ""
        if self.headroom < 0:
            return f"does not fit: {size} short{each} in the phase {self.largest.name}"
        more = f", and the engine on {_more_gpus(self.engine_gpus)}" if self.engine_gpus else ""
        return f"fits, {size} to spare{each}{more}; peak: {self.largest.name}"

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        return {
            "fits": self.fits, "peak": self.peak, "phase": self.largest.name, "headroom": self.headroom,
            "gpu_memory": self.gpu_memory, "count": self.count, "engine_gpus": self.engine_gpus,
            "phases": [{"name": phase.name, "total": phase.total, **dict(phase.parts)} for phase in self.phases],
            "host": self.host, "completions_at_once": self.at_once, "settings": dict(self.settings),
            "training": self.training.to_dict(), "engine": self.engine.to_dict(), "evidence": self.evidence,
        }  # fmt: skip


def read_rl(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the algorithm among arguments of ``rl``, with their defaults for a model."""
    for setting in RL:
        if asked[setting.name] is None and setting.name not in OPTIONAL:
            raise InputError("must not be None", parameter=setting.name, hint="omit it")
    share = asked["share"]
    own = read_lengths({
        **{setting.name: asked[setting.name] for setting in RL},
        "share": None if share is None else read_share(share, "share"),
    })  # fmt: skip
    is_shared, is_ppo = own["rollout"] == "colocate", own["algorithm"] == "ppo"
    if share is None and is_shared:
        own["share"] = SHARE
    check_values((*RL, changed(RL_GPU, default="")), {**own, "gpu": asked["gpu"]})
    if own["sleep"] > DISCARDED:
        raise InputError(f"must be 0, 1 or 2, not {own['sleep']}", parameter="sleep")
    if not is_shared and (own["sleep"] or own["offload"]):
        name = "sleep" if own["sleep"] else "offload"
        raise InputError("has no effect with separate GPUs", parameter=name, hint="use {rollout=colocate}")
    if own["reference"] and is_ppo:
        raise InputError("has no effect on ppo, which always keeps one", parameter="reference", hint="omit it")
    own["micro_batch"], own["engine_tp"] = own["micro_batch"] or own["completions"], own["engine_tp"] or 1
    own["reference"] = is_ppo if own["reference"] is None else own["reference"]
    return own


def rl_memory(architecture: Architecture, gpu: str, own: Mapping[str, Any], settings: Mapping[str, Any]) -> RlMemory:
    """Return the memory of each phase of a step.

    Args:
        architecture: the model.
        gpu: accelerator with an optional count, or the memory of one GPU.
        own: settings of the algorithm, as ``read_rl`` returns them.
        settings: settings of a training step of ``memory``.
    """
    tokens, machine = own["prompt"] + own["completion"], read_gpus(gpu)
    total = machine.usable_bytes
    training = _training(architecture, own["micro_batch"], tokens, settings, total, machine.count)
    of_engine = {
        "gpu_memory_utilization": own["share"], "tp": own["engine_tp"], "max_model_len": tokens,
        "max_num_seqs": own["completions"] * own["micro_batch"], "dtype": settings.get("dtype", "bf16"),
    }  # fmt: skip
    engine = read_deployment(architecture, None, engine=ENGINES[0], gpu_memory=total, settings=of_engine).start()
    own = {**own, "share": engine.settings["share"]}
    card, profile = machine.accelerator, engine.profile
    refusal = ""
    if card and profile.title not in engine_titles(card):
        refusal = f"{profile.title} generates the completions, and it does not run on {card.vendor} GPUs"
    weights = int(engine.memory.weights.best)
    phases = _phases(architecture, training, engine.memory.budget, weights, own, settings)
    states = training.weights + training.optimizer
    host = (weights if own["sleep"] == 1 else 0) + (states if own["offload"] else 0)
    return RlMemory(
        architecture, phases, training, engine, own, total, host, card, training.mesh.ranks, refusal
    )  # fmt: skip


def _more_gpus(number: int) -> str:
    return f"{number} more GPU{'s' * (number > 1)}"


def _training(
    architecture: Architecture,
    batch: int,
    tokens: int,
    settings: Mapping[str, Any],
    memory_bytes: int,
    count: int | None,
) -> ParallelMemory:
    """Return the memory of a backward pass over a micro-batch of prompts with their completions, as ``fit`` does."""
    known = tuple(setting for setting in (*MEMORY_SETTINGS, *MESH) if setting.name in (*TRAINED, *MESHED))
    own = read_settings("training", known, settings)
    check_effects((*known, MEMORY_MODE), {**own, "mode": "training"}, architecture)
    given = memory_settings({**own, "training": True})
    count = (given["mesh"] or Mesh()).ranks if count is None else count
    found = check_fit(architecture, memory_bytes, 0, count, **{**given, "batch": batch, "seq": tokens}).result
    assert isinstance(found, ParallelMemory)
    return found


def _phases(
    architecture: Architecture,
    training: ParallelMemory,
    budget: int,
    weights: int,
    own: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> tuple[RlPhase, ...]:
    is_shared, is_ppo = own["rollout"] == "colocate", own["algorithm"] == "ppo"
    states = {"weights": training.weights, "optimizer": training.optimizer}
    frozen: dict[str, int] = {}
    if own["reference"] and settings.get("lora_rank") is None:
        frozen["reference model"] = training.weights
    if is_ppo:
        frozen |= {"reward model": training.weights, "critic": training.weights + training.optimizer}
    asleep = {"rollout engine": budget} if is_shared and not own["sleep"] else {}
    forward = _forward_bytes(architecture, training, own["micro_batch"], own["prompt"] + own["completion"], settings)
    step = {"training step": training.peak - sum(states.values())}
    rollout = {**({} if own["offload"] else states), **frozen, "rollout engine": budget}
    woken = {**states, **frozen, "rollout engine": weights if own["sleep"] else budget}
    found = {
        **({"rollout": rollout} if is_shared else {}),
        "log-probabilities": {**states, **frozen, **asleep, "forward pass": forward},
        "training": {**states, **frozen, **asleep, **step},
        **({"critic training": {**states, **frozen, **asleep, **step}} if is_ppo else {}),
        **({"weight update": woken} if is_shared else {}),
    }
    return tuple(RlPhase(name, tuple(parts.items())) for name, parts in found.items())


def _forward_bytes(
    architecture: Architecture, training: ParallelMemory, batch: int, tokens: int, settings: Mapping[str, Any]
) -> int:
    """Return the live activations of a forward pass with the logits of all tokens."""
    dtype = settings.get("dtype", "bf16")
    form, mesh = number_format(dtype), Mesh(tp=training.mesh.tp)
    workload = Workload(batch=batch, seq=tokens, logits="all")
    none = state(architecture, seq=1, dtype=dtype, mesh=mesh)
    width = form.bits // BITS_A_BYTE
    formats = weight_formats(dtype, form)
    return inference_memory(architecture, workload, formats, none, width, mesh, Steps()).transient
