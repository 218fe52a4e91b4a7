"""Names in, answers out: number formats, optimizers and recipes by name, then the calculators."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..calc.kv_cache import state
from ..calc.memory.inference import InferenceMemory, inference_memory
from ..calc.memory.number_formats import BITS_A_BYTE
from ..calc.memory.optimizer import Adapters, Recipe, StateRule
from ..calc.memory.pipeline import ParallelMemory, parallel_memory
from ..calc.memory.saved_tensors import ActivationPolicy
from ..calc.memory.weight_formats import RequestedFormats
from ..calc.sharding import Mesh
from ..checkpoint.published_weights import PublishedWeights
from ..core.architecture import Architecture
from ..core.errors import InputError, SizeError, UnknownNameError, short_repr
from ..core.ledger import rows
from ..core.workload import Workload
from ..data import table
from .names import number_format, published_weights, weight_formats

ATTENTION = ("flash", "eager")
RECOMPUTE = ("none", "selective", "full")
LOSS = ("eager", "fused")
CHECKPOINT = "checkpoint"
_PLAIN = ("fp32", "bf16", "fp16")


def memory(
    architecture: Architecture,
    *,
    mode: str = "inference",
    batch: int = 1,
    seq: int = 2048,
    target_seq: int | None = None,
    dtype: str = "bf16",
    weights: str | None = None,
    only: Iterable[str] = (),
    keep: Iterable[str] = (),
    cache: str | None = None,
    page: int | None = None,
    prefill: int | None = None,
    beams: int = 1,
    optimizer: str = "adamw",
    attention: str = "flash",
    recompute: str = "none",
    dropout: bool = False,
    loss: str = "eager",
    gradients: str | None = None,
    gradient_buffer: bool = False,
    master: bool = True,
    mesh: Mesh | None = None,
    convention: str | None = None,
    lora_rank: int | None = None,
    lora_targets: Iterable[str] = ("wq", "wk", "wv", "wo"),
    extend: bool = False,
) -> ParallelMemory | InferenceMemory:
    """The memory of a training step, or of serving.

    Args:
        architecture: what ``load`` returned.
        mode: ``inference`` or ``training``.
        batch: sequences (in training: of one micro-batch on one rank).
        seq: tokens of a sequence; in inference those that are cached.
        target_seq: the decoder's length in an encoder-decoder model.
        dtype: number format of the computation.
        weights: inference: format of the matrices, a mixture such as ``q4_k_m``, or ``checkpoint``: as the file or the
            config says that they are stored (default: that if they are quantised, else ``dtype``).
        only: components that alone are in that format.
        keep: components that are not.
        cache: inference: format of keys and values (default: ``dtype``).
        page: inference: tokens of a block of a paged cache (default: no blocks).
        prefill: inference: tokens of a prompt that are computed at once (default: all of them).
        beams: inference: continuations of each sequence that are kept (beam search).
        optimizer: training: the optimizer, by name.
        gradients: training: format of the gradients (default: ``dtype``).
        master: training: whether an fp32 copy of weights in fewer bits is kept.
        gradient_buffer: training: gradients stand in one buffer throughout the step, as Megatron-LM keeps them.
        attention: ``flash`` or ``eager``.
        recompute: ``none``, ``selective`` or ``full``.
        dropout: whether dropout is active.
        loss: ``eager``, or ``fused``: one kernel turns the logits into their gradient.
        mesh: how ranks share the work.
        convention: ``torch``: everything in ``dtype``, no master copy, as transformers' eager code runs in torch.
        lora_rank: training: adapters of this rank are trained, and nothing else; the weights beside them are stored as
            ``weights`` says (QLoRA: ``nf4``).
        lora_targets: training: matrices that get an adapter, by their names in the equations.
        extend: count sequences beyond a learned table of positions.

    Raises:
        UnknownNameError: a format, optimizer, mode or policy that is not known.
    """
    _known("mode", mode, ("inference", "training"))
    if mode == "inference":
        _known("dtype", dtype, _PLAIN)
        plain = number_format(dtype)
        chosen = _weights(architecture, weights, dtype, only, keep)
        workload = Workload(batch=batch, seq=seq, target_seq=target_seq, logits="last", extend=extend)
        kept = state(
            architecture, batch=batch, seq=seq, target_seq=target_seq, dtype=dtype, convention=convention,
            cache=number_format(cache, "cache") if cache else None, page=page, extend=extend, mesh=mesh,
            beams=beams,
        )  # fmt: skip
        width = plain.bits // BITS_A_BYTE
        return inference_memory(architecture, workload, chosen, kept, width, mesh, prefill, convention)
    _known("attention", attention, ATTENTION)
    _known("recompute", recompute, RECOMPUTE)
    _known("loss", loss, LOSS)
    _known("dtype", dtype, _PLAIN)
    workload = Workload(batch=batch, seq=seq, target_seq=target_seq, mode="train", convention=convention, extend=extend)
    width = number_format(dtype).bits // BITS_A_BYTE
    adapters = _adapters(architecture, lora_rank, lora_targets)
    if weights and adapters is None:
        raise InputError("trained weights cannot be quantised", parameter="weights", hint="add {lora_rank=N}")
    frozen = weight_formats(weights, number_format(dtype), only, keep) if weights else None
    recipe = _recipe(width, optimizer, gradients or dtype, master and not adapters, convention)
    recipe = replace(recipe, adapters=adapters, frozen_weights=frozen, contiguous_gradient_buffer=gradient_buffer)
    policy = ActivationPolicy(attention, recompute, dropout, width, recipe.gradient_bytes, convention, adapters, loss)
    return parallel_memory(architecture, workload, policy, recipe, mesh or Mesh())


def _weights(
    architecture: Architecture, weights: str | None, dtype: str, only: Iterable[str], keep: Iterable[str]
) -> RequestedFormats | PublishedWeights:
    """How weights are stored: as asked for, else as a quantised checkpoint says, else in ``dtype``."""
    told = architecture.inputs
    if weights != CHECKPOINT and (weights or not (told.get("types") or told.get("quantization"))):
        return weight_formats(weights or dtype, number_format(dtype), only, keep)
    if tuple(only) or tuple(keep):
        raise InputError("has no effect on weights stored as published", parameter="only", hint="omit it")
    return published_weights(architecture)


def _recipe(width: int, optimizer: str, gradients: str, master: bool, convention: str | None) -> Recipe:
    optimizers = table("optimizers")
    _known("optimizer", optimizer, tuple(optimizers))
    entry: dict[str, Any] = optimizers[optimizer]
    states = tuple(StateRule(**state) for state in entry["states"])
    if convention == "torch":  # states in the parameters' format; a step makes two copies of the tensor at hand
        return Recipe(f"torch {optimizer}", width, width, 0, tuple(replace(rule, bytes=width) for rule in states), 2)
    _known("gradients", gradients, _PLAIN)
    copy = entry["master"] if master and width < entry["master"] else 0
    return Recipe(optimizer, width, number_format(gradients).bits // BITS_A_BYTE, copy, states)


def _adapters(architecture: Architecture, rank: int | None, targets: Iterable[str]) -> Adapters | None:
    if rank is None:
        return None
    if type(rank) is not int or rank < 1:
        raise SizeError(f"must be a positive integer, not {short_repr(rank)}", parameter="lora_rank")
    matrices = {row.tensor.name for row in rows(architecture.stacks) if row.tensor.linear and not row.tensor.active}
    for name in (chosen := tuple(targets)):
        if name not in matrices:
            hint = f"matrices of {architecture.name}: {', '.join(sorted(matrices))}"
            raise UnknownNameError("matrix", name, matrices, parameter="lora_targets", hint=hint)
    return Adapters(rank, chosen)


def _known(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UnknownNameError(what, value, choices, parameter=what, hint=f"one of {', '.join(choices)}")
