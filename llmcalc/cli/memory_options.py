"""Memory, parallelism and GPU options, and their conversion to API arguments."""

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

TRAINING = Option("--training", "Compute the memory of a training step (default: serving).", kind=bool)
DTYPE = Option("--dtype", "Number format used for computation.", default="bf16", choices=PLAIN)
OPTIMIZER = Option("--optimizer", "Training: optimizer (default: adamw).", "NAME")
RECOMPUTE = Option("--recompute", "Training: activation recomputation (default: none).", choices=RECOMPUTATION)
CONVENTION = Option("--convention", "Use the memory behaviour of transformers' eager PyTorch code.", choices=("torch",))
MESH = (
    Option("--dp", "Number of data-parallel ranks.", kind=int),
    Option("--tp", "Number of tensor-parallel ranks.", kind=int),
    Option("--pp", "Training: number of pipeline stages.", kind=int),
    Option("--ep", "Number of expert-parallel ranks (a subset of the data-parallel ranks).", kind=int),
    Option("--etp", "Number of tensor-parallel ranks per expert (default: --tp).", kind=int),
    Option("--cp", "Training: number of context-parallel ranks.", kind=int),
    Option("--sp", "Training: use sequence parallelism (requires --tp).", kind=bool),
    Option("--zero", "Training: ZeRO stage (1, 2 or 3; 3 is FSDP).", "STAGE", kind=int),
    Option("--micro-batches", "Training: number of micro-batches per step (default: --pp).", kind=int),
    Option("--vocabulary-multiple", "Pad the vocabulary to a multiple of N times --tp (default: 128).", kind=int),
    Option("--virtual-stages", "Training: number of model chunks per pipeline stage (interleaved schedule).", kind=int),
)
FORMATS = (
    DTYPE,
    Option("--weights", "Weight format, such as fp8-block, mxfp4 or q4_k_m (default: --dtype).", "FORMAT",
           complete="formats"),
    Option("--only", "Apply --weights only to this component, such as 'routed experts'. Repeatable.", "COMPONENT",
           repeatable=True),
    Option("--keep", "Keep this component in --dtype, in addition to embeddings, head, norms and routers. Repeatable.",
           "COMPONENT", repeatable=True),
    Option("--cache", "Serving: KV cache format, such as fp8 (default: --dtype).", "FORMAT", complete="formats"),
)  # fmt: skip
MEMORY = (
    TRAINING,
    *FORMATS,
    Option("--paged", "Serving: block size of the paged KV cache, in tokens.", "TOKENS", "page", kind=int),
    Option("--prefill", "Serving: prompt tokens per prefill chunk (default: the whole prompt).", "TOKENS", kind=int),
    Option("--beams", "Serving: number of beams per sequence.", kind=int),
    OPTIMIZER,
    Option("--attention", "Training: attention kernel (default: flash).", choices=("flash", "eager")),
    RECOMPUTE,
    Option("--dropout", "Training: enable dropout.", kind=bool),
    Option("--loss", "Training: cross-entropy as separate operations (eager, default) or as one fused kernel (fused).",
           choices=("eager", "fused")),
    Option("--gradients", "Training: gradient format (default: --dtype).", choices=PLAIN),
    Option("--gradient-buffer", "Training: keep gradients in one contiguous buffer, as in Megatron-LM.", kind=bool),
    Option("--no-master", "Training: do not keep an fp32 master copy of the weights.", kind=bool, also=("master",)),
    Option("--lora-rank", "Training: train only LoRA adapters of this rank.", kind=int),
    Option("--lora-target", "Training: matrix to adapt with LoRA (default: wq, wk, wv and wo). Repeatable.", "TENSOR",
           "lora_targets", repeatable=True),
    *MESH,
    CONVENTION,
)  # fmt: skip
TABLE = (*SIZES, *MEMORY, *READING, *OUTPUT)
# GPUs and their use
GPU = Option(
    "--gpu",
    "GPU name and optional count, such as h100 or h100:512.",
    "NAME[:N]",
    complete="accelerators",
    also=("machine", "count"),
)
MFU = Option("--mfu", "Model FLOPs utilisation, such as 40% (default: the published range).", "SHARE")
PRECISION = Option("--precision", "Number format of matrix products (default: 16-bit).", "FORMAT")
PRICE = Option("--price", "Price in US dollars per GPU-hour (default: quoted prices).", "DOLLARS")
MACHINE = (GPU, MFU, PRECISION, PRICE)


def settings(given: dict[str, Any], options: Iterable[Option] = (*SIZES, *STEP, *MEMORY)) -> dict[str, Any]:
    """Return the explicitly set options as API keyword arguments."""
    found = {option.name: given[option.name] for option in options if option.name in given and is_given(option, given)}
    if found.pop("no_master", False):
        found["master"] = False
    return found


def memory_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``llmcalc.memory`` from the command's options."""
    from ..api.settings import memory_settings

    found = settings(given, (*SIZES, *MEMORY))
    sizes = {option.name: found.pop(option.name) for option in SIZES if option.name in found}
    return {**memory_settings(found), **sizes}


def mesh(given: dict[str, Any]) -> Mesh | None:
    """Return the mesh specified by the options, or None."""
    from ..api.settings import mesh_settings

    found = settings(given, MESH)
    return mesh_settings(found) if found else None


def machine(given: dict[str, Any]) -> Machine | None:
    """Return the GPUs specified by the options, or None."""
    from ..api.train import machine as make
    from ..core.errors import InputError

    if given["gpu"] is not None:
        return make(given["gpu"], mfu=given["mfu"], precision=given["precision"])
    for option in MACHINE[1:]:
        if given[option.name] is not None:
            raise InputError("requires a GPU", parameter=option.name, hint="add {gpu=h100:512}")
    return None


def price(given: dict[str, Any]) -> float | None:
    """Return the price in US dollars per GPU-hour, or None if not given."""
    from ..estimate.amounts import amount

    return None if given["price"] is None else amount(given["price"], "price", "2.50")
