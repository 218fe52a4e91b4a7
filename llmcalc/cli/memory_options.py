"""Options about memory, parallelism and GPUs, and the settings they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .options import OUTPUT, READING, SIZES, STEP, is_given
from .spec import Option

if TYPE_CHECKING:
    from ..calc.sharding import Mesh
    from ..estimate.cost import Machine

PLAIN = ("fp32", "bf16", "fp16")
RECOMPUTATION = ("none", "selective", "full")

TRAINING = Option("--training", "Memory of a training step (default: serving).", kind=bool)
DTYPE = Option("--dtype", "Number format of the computation.", default="bf16", choices=PLAIN)
OPTIMIZER = Option("--optimizer", "Training: optimizer (default: adamw).", "NAME")
RECOMPUTE = Option("--recompute", "Training: activation recomputation (default: none).", choices=RECOMPUTATION)
CONVENTION = Option("--convention", "Use the memory behaviour of transformers' eager PyTorch code.", choices=("torch",))
MESH = (
    Option("--dp", "Data-parallel ranks.", kind=int),
    Option("--tp", "Tensor-parallel ranks.", kind=int),
    Option("--pp", "Training: pipeline stages.", kind=int),
    Option("--ep", "Expert-parallel ranks, a subset of the data-parallel ranks.", kind=int),
    Option("--etp", "Tensor-parallel ranks of each expert (default: --tp).", kind=int),
    Option("--cp", "Training: context-parallel ranks.", kind=int),
    Option("--sp", "Training: sequence parallelism, with --tp.", kind=bool),
    Option("--zero", "Training: ZeRO stage: 1, 2 or 3 (FSDP).", "STAGE", kind=int),
    Option("--micro-batches", "Training: micro-batches per step (default: --pp).", kind=int),
    Option("--vocabulary-multiple", "Pad the vocabulary to a multiple of this times --tp (default: 128).", kind=int),
    Option("--virtual-stages", "Training: model chunks per pipeline stage (interleaved).", kind=int),
)
MEMORY = (
    TRAINING,
    DTYPE,
    Option("--weights", "Weight format, such as fp8-block, mxfp4 or q4_k_m (default: --dtype).", "FORMAT",
           complete="formats"),
    Option("--only", "Quantise only this component to --weights, such as 'routed experts'. Repeatable.", "COMPONENT",
           repeatable=True),
    Option("--keep", "Keep this component in --dtype, besides embeddings, head, norms and routers. Repeatable.",
           "COMPONENT", repeatable=True),
    Option("--cache", "Serving: KV cache format, such as fp8 (default: --dtype).", "FORMAT", complete="formats"),
    Option("--paged", "Serving: block size of the paged KV cache, in tokens.", "TOKENS", "page", kind=int),
    Option("--prefill", "Serving: prompt tokens per prefill chunk (default: the whole prompt).", "TOKENS", kind=int),
    Option("--beams", "Serving: beams per sequence.", kind=int),
    OPTIMIZER,
    Option("--attention", "Training: attention kernel (default: flash).", choices=("flash", "eager")),
    RECOMPUTE,
    Option("--dropout", "Training: dropout is active.", kind=bool),
    Option("--loss", "Training: cross-entropy as separate operations or one fused kernel (default: eager).",
           choices=("eager", "fused")),
    Option("--gradients", "Training: gradient format (default: --dtype).", choices=PLAIN),
    Option("--gradient-buffer", "Training: one contiguous gradient buffer, as in Megatron-LM.", kind=bool),
    Option("--no-master", "Training: no fp32 master copy of the weights.", kind=bool, also=("master",)),
    Option("--lora-rank", "Training: train only LoRA adapters of this rank.", kind=int),
    Option("--lora-target", "Training: matrix with an adapter (default: wq, wk, wv and wo). Repeatable.", "TENSOR",
           "lora_targets", repeatable=True),
    *MESH,
    CONVENTION,
)  # fmt: skip
TABLE = (*SIZES, *MEMORY, *READING, *OUTPUT)
# GPUs at work
GPU = Option(
    "--gpu", "GPU and count, such as h100 or h100:512.", "NAME[:N]", complete="accelerators", also=("machine", "count")
)
MFU = Option("--mfu", "Model FLOPs utilisation, such as 40% (default: the published range).", "SHARE")
PRECISION = Option("--precision", "Number format of the matrix products (default: 16 bits).", "FORMAT")
PRICE = Option("--price", "US dollars per GPU-hour (default: quoted prices).", "DOLLARS")
MACHINE = (GPU, MFU, PRECISION, PRICE)


def settings(given: dict[str, Any], options: Iterable[Option] = (*SIZES, *STEP, *MEMORY)) -> dict[str, Any]:
    """The settings that were given, by the names of the API's parameters."""
    found = {option.name: given[option.name] for option in options if option.name in given and is_given(option, given)}
    if found.pop("no_master", False):
        found["master"] = False
    return found


def memory_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``llmcalc.memory``."""
    from ..api.settings import memory_settings

    found = settings(given, (*SIZES, *MEMORY))
    sizes = {option.name: found.pop(option.name) for option in SIZES if option.name in found}
    return {**memory_settings(found), **sizes}


def mesh(given: dict[str, Any]) -> Mesh | None:
    """The mesh that was given, if any."""
    from ..api.settings import mesh_settings

    found = settings(given, MESH)
    return mesh_settings(found) if found else None


def machine(given: dict[str, Any]) -> Machine | None:
    """The GPUs that were given, if any."""
    from ..api.train import machine as make
    from ..core.errors import InputError

    if given["gpu"] is not None:
        return make(given["gpu"], mfu=given["mfu"], precision=given["precision"])
    for option in MACHINE[1:]:
        if given[option.name] is not None:
            raise InputError("requires a GPU", parameter=option.name, hint="add {gpu=h100:512}")
    return None


def price(given: dict[str, Any]) -> float | None:
    """US dollars per GPU-hour, if given."""
    from ..estimate.amounts import amount

    return None if given["price"] is None else amount(given["price"], "price", "2.50")
