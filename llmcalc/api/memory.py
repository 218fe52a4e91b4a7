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
        prefill: inference: prompt tokens per sequence in a prefill chunk (default: what ``step_tokens`` allows).
        step_tokens: inference: most tokens of a step, or ``all`` (default: 8192; 512 for GGUF; ``all`` as in torch).
        beams: inference: number of beams per sequence (default: 1).
        image: inference: sizes of images in each sequence, such as ``["1024x768"]``, whose tokens are added to ``seq``.
        optimizer: training: the optimizer (default: ``adamw``).
        attention: training: attention kernel, ``flash`` (default) or ``eager``.
        recompute: training: ``none`` (default), ``full``, ``selective``, ``op``, ``layer:2`` … (docs/conventions.md).
        dropout: training: whether dropout is active. A config's rates of 0 turn dropout off.
        loss: training: ``eager`` (default), ``fused`` (one kernel turns logits into their gradient), ``shifted``
            (transformers before 4.49), ``chunked`` (few logits at a time, TRL) or ``parallel`` (Megatron-LM).
        scan: training: ``eager`` (default), or ``fused`` for kernels that recompute the steps of a recurrence.
        expert_kernel: training, with ``convention="torch"``: ``grouped`` for one kernel of all experts, or ``loop``.
        gradients: training: number format of the gradients (default: ``dtype``, or fp32 with LoRA).
        gradient_buffer: training: whether one contiguous buffer holds the gradients, as in Megatron-LM.
        gradient_placeholders: training: unused gradients of each matrix shape, as Transformer Engine keeps them.
        master: training: whether to keep an fp32 master copy of 16-bit weights, or what PEFT keeps in fp32.
        mesh: ranks of each kind of parallelism.
        convention: ``torch`` keeps everything in ``dtype`` without a master copy, like transformers' eager code.
        lora_rank: training: train only LoRA adapters of this rank (QLoRA: with ``weights="nf4"``).
        lora_targets: training: matrices such as ``wq``, ``q_proj`` or ``all-linear`` (default).
        lora_dropout: training: whether dropout is active in LoRA adapters, which then save their inputs and masks.
        offload: training: what is in host memory, ``optimizer`` states or also ZeRO-3 ``weights`` and gradients.
        offload_activations: training: whether what blocks save is in host memory until their backward pass.
        optimizer_in_backward: training: whether each weight is updated in the backward pass, which frees its gradient.
        fp8: training: products and their saved inputs in FP8, with FP8 ``copies`` of 16-bit weights or ``weights``.
        fused_activation: training: whether one kernel computes gated activations and saves its inputs only.
        extend: allow sequences longer than the learned positions.

    Raises:
        InputError: an unknown name, conflicting settings, or a setting that has no effect.
    """
    architecture, given = read_arguments(model, (*SETTINGS, IMAGE), locals())
    return memory_with_images(architecture, given.pop("image"), given)
