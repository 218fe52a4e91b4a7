"""Memory of serving or a training step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, overload

from ..calc.memory.inference import InferenceMemory
from ..calc.memory.pipeline import ParallelMemory
from ..calc.sharding import Mesh
from ..fitting.memory import IMAGE, SETTINGS, memory_with_images
from ..inputs.arguments import read_arguments
from ..inputs.models import Source

if TYPE_CHECKING:
    from typing import Literal, Unpack

    from ..inputs.typed_settings import MemorySettings


@overload
def memory(
    model: Source, *, mode: Literal["inference"] = "inference", **settings: Unpack[MemorySettings]
) -> InferenceMemory: ...
@overload
def memory(model: Source, *, mode: Literal["training"], **settings: Unpack[MemorySettings]) -> ParallelMemory: ...
@overload
def memory(model: Source, *, mode: str, **settings: Unpack[MemorySettings]) -> ParallelMemory | InferenceMemory: ...
def memory(
    model: Source,
    *,
    mode: str = "inference",
    batch: int = 1,
    seq: int | str | None = None,
    target_seq: int | str | None = None,
    dtype: str = "bf16",
    weights: str | None = None,
    only: Iterable[str] = (),
    keep: Iterable[str] = (),
    cache: str | None = None,
    page: int | str | None = None,
    prefill: int | str | None = None,
    step_tokens: str | int | None = None,
    beams: int | None = None,
    image: Iterable[str] = (),
    optimizer: str | None = None,
    attention: str | None = None,
    recompute: str | None = None,
    dropout: bool = False,
    loss: str | None = None,
    scan: str | None = None,
    expert_kernel: str | None = None,
    gradients: str | None = None,
    gradient_buffer: bool = False,
    gradient_placeholders: bool = False,
    master: bool = True,
    mesh: Mesh | None = None,
    convention: str | None = None,
    lora_rank: int | None = None,
    lora_targets: Iterable[str] | None = None,
    lora_dropout: bool = False,
    offload: str | None = None,
    offload_activations: bool = False,
    optimizer_in_backward: bool = False,
    fp8: str | None = None,
    fused_activation: bool = False,
    extend: bool = False,
) -> ParallelMemory | InferenceMemory:
    """Compute the memory required for serving or a training step, in bytes per rank.

    >>> import llmcalc
    >>> llmcalc.memory("llama3-8b", seq=8192, weights="q4_k_m").weights
    4912898048
    >>> llmcalc.memory("gpt2", mode="training", batch=8, recompute="full").optimizer
    1493277696

    Args:
        model: an architecture, or anything ``load`` reads.
        mode: ``inference`` or ``training``.
        batch: number of sequences; in inference, over all ranks, and in training, per micro-batch and rank.
        seq: tokens per sequence, cached in inference (default: 2048, or the number of learned positions if smaller).
        target_seq: number of decoder tokens of an encoder-decoder model (default: ``seq``).
        dtype: number format used for computation: ``bf16``, ``fp16`` or ``fp32``.
        weights: weight format, a mixture such as ``q4_k_m``, or ``checkpoint`` for the published formats (default:
            ``checkpoint`` if the published checkpoint is quantised, else ``dtype``). Training requires ``lora_rank``.
        only: components to store in ``weights``; other components stay in ``dtype``.
        keep: components to keep in ``dtype``.
        cache: inference: number format of keys and values (default: ``dtype``).
        page: inference: block size of a paged KV cache, in tokens.
        prefill: inference: number of prompt tokens per sequence in a prefill chunk (default: as many as
            ``step_tokens`` allows).
        step_tokens: inference: maximum number of tokens in a step over all sequences, or ``all`` (default: 8192;
            512 for GGUF mixtures, which llama.cpp runs; ``all`` for ``convention="torch"``).
        beams: inference: number of beams per sequence (default: 1).
        image: inference: sizes in pixels of the images in each sequence, such as ``["1024x768"]``. Their tokens are
            added to ``seq``, and the image encoder to the memory.
        optimizer: training: the optimizer (default: ``adamw``).
        attention: training: attention kernel, ``flash`` (default) or ``eager``.
        recompute: training: activation recomputation, such as ``none`` (default), ``full``, ``selective``, ``op``,
            ``layer:2``, ``blocks:8`` or modules such as ``moe_act,layernorm`` (docs/conventions.md).
        dropout: training: whether dropout is active. A config's rates of 0 turn dropout off.
        loss: training: ``eager`` (default), ``fused`` for one kernel that turns logits into their gradient, ``shifted``
            for transformers before 4.49, ``chunked`` for few logits at a time, as in TRL, or ``parallel`` for
            probabilities that become their gradient, as in Megatron-LM.
        scan: training: ``eager`` (default), or ``fused`` for kernels that recompute the steps of a recurrence.
        expert_kernel: training, with ``convention="torch"``: ``grouped`` runs all experts in one kernel, as
            transformers does by default, and ``loop`` runs one expert after another, as with
            ``experts_implementation="eager"`` (default: as in the config, or as transformers has a kernel).
        gradients: training: number format of the gradients (default: ``dtype``, or fp32 with LoRA).
        gradient_buffer: training: whether one contiguous buffer holds the gradients, as in Megatron-LM.
        gradient_placeholders: training, with ``gradient_buffer``: whether kernels keep an unused gradient of each
            matrix shape, as Transformer Engine does.
        master: training: whether to keep an fp32 master copy of 16-bit weights, or what PEFT keeps in fp32.
        mesh: number of ranks of each kind of parallelism.
        convention: ``torch`` keeps everything in ``dtype`` without a master copy, like transformers' eager code.
        lora_rank: training: train only LoRA adapters of this rank (QLoRA: with ``weights="nf4"``).
        lora_targets: training: matrices such as ``wq``, ``q_proj`` or ``all-linear`` (default).
        lora_dropout: training: whether dropout is active in LoRA adapters, which then save their inputs and masks.
        offload: training: what is in host memory, ``optimizer`` states or also ZeRO-3 ``weights`` and gradients.
        offload_activations: training: whether what blocks save is in host memory until their backward pass.
        optimizer_in_backward: training: whether each weight is updated in the backward pass, which frees its gradient.
        fp8: training: Transformer Engine computes products in FP8 and saves their inputs in FP8, with FP8 ``copies``
            of 16-bit weights or with FP8 ``weights``.
        fused_activation: training: whether one kernel computes gated activations and saves its inputs only.
        extend: allow sequences longer than the learned positions.

    Raises:
        UnknownNameError: an unknown format, optimizer, mode or policy.
        InputError: conflicting settings, or a setting that has no effect.
    """
    architecture, given = read_arguments(model, (*SETTINGS, IMAGE), locals())
    return memory_with_images(architecture, given.pop("image"), given)
