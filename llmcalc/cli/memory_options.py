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

TRAINING = Option("--training", "training", "Memory of a training step (default: serving).", kind=bool, default=False)
DTYPE = Option("--dtype", "dtype", "Number format of the computation.", default="bf16", choices=PLAIN)
WEIGHTS = Option(
    "--weights", "weights", "Weight format, such as fp8-block, mxfp4 or q4_k_m (default: --dtype).",
    metavar="FORMAT", complete="formats",
)  # fmt: skip
ONLY = Option(
    "--only", "only", "Quantise only this component to --weights, such as 'routed experts'. Repeatable.",
    repeatable=True, metavar="COMPONENT",
)  # fmt: skip
KEEP = Option(
    "--keep", "keep", "Keep this component in --dtype, besides embeddings, head, norms and routers. Repeatable.",
    repeatable=True, metavar="COMPONENT",
)  # fmt: skip
CACHE = Option(
    "--cache", "cache", "Serving: KV cache format, such as fp8 (default: --dtype).", metavar="FORMAT",
    complete="formats",
)  # fmt: skip
PAGED = Option("--paged", "page", "Serving: block size of the paged KV cache, in tokens.", kind=int, metavar="TOKENS")
PREFILL = Option(
    "--prefill", "prefill", "Serving: prompt tokens per prefill chunk (default: the whole prompt).", kind=int,
    metavar="TOKENS",
)  # fmt: skip
BEAMS = Option("--beams", "beams", "Serving: beams per sequence.", kind=int, metavar="N")
LORA_RANK = Option(
    "--lora-rank", "lora_rank", "Training: train only LoRA adapters of this rank.", kind=int, metavar="N"
)
LORA_TARGETS = Option(
    "--lora-target", "lora_targets", "Training: matrix with an adapter (default: wq, wk, wv and wo). Repeatable.",
    repeatable=True, metavar="TENSOR",
)  # fmt: skip
OPTIMIZER = Option("--optimizer", "optimizer", "Training: optimizer (default: adamw).", metavar="NAME")
ATTENTION = Option(
    "--attention", "attention", "Training: attention kernel (default: flash).", choices=("flash", "eager")
)
RECOMPUTE = Option(
    "--recompute", "recompute", "Training: activation recomputation (default: none).",
    choices=("none", "selective", "full"),
)  # fmt: skip
DROPOUT = Option("--dropout", "dropout", "Training: dropout is active.", kind=bool, default=False)
LOSS = Option(
    "--loss", "loss", "Training: cross-entropy as separate operations or one fused kernel (default: eager).",
    choices=("eager", "fused"),
)  # fmt: skip
GRADIENTS = Option("--gradients", "gradients", "Training: gradient format (default: --dtype).", choices=PLAIN)
BUFFER = Option(
    "--gradient-buffer", "gradient_buffer", "Training: one contiguous gradient buffer, as in Megatron-LM.",
    kind=bool, default=False,
)  # fmt: skip
NO_MASTER = Option(
    "--no-master", "no_master", "Training: no fp32 master copy of the weights.", kind=bool, default=False,
    also=("master",),
)  # fmt: skip
CONVENTION = Option(
    "--convention", "convention", "Use the memory behaviour of transformers' eager PyTorch code.", choices=("torch",)
)
MESH = (
    Option("--dp", "dp", "Data-parallel ranks.", kind=int, metavar="N"),
    Option("--tp", "tp", "Tensor-parallel ranks.", kind=int, metavar="N"),
    Option("--pp", "pp", "Training: pipeline stages.", kind=int, metavar="N"),
    Option("--ep", "ep", "Expert-parallel ranks, a subset of the data-parallel ranks.", kind=int, metavar="N"),
    Option("--etp", "etp", "Tensor-parallel ranks of each expert (default: --tp).", kind=int, metavar="N"),
    Option("--cp", "cp", "Training: context-parallel ranks.", kind=int, metavar="N"),
    Option("--sp", "sp", "Training: sequence parallelism, with --tp.", kind=bool, default=False),
    Option("--zero", "zero", "Training: ZeRO stage: 1, 2 or 3 (FSDP).", kind=int, metavar="STAGE"),
    Option(
        "--micro-batches", "micro_batches", "Training: micro-batches per step (default: --pp).", kind=int, metavar="N"
    ),
    Option(
        "--vocabulary-multiple", "vocabulary_multiple", "Pad the vocabulary to a multiple of this times --tp "
        "(default: 128).", kind=int, metavar="N",
    ),
    Option(
        "--virtual-stages", "virtual_stages", "Training: model chunks per pipeline stage (interleaved).", kind=int,
        metavar="N",
    ),
)  # fmt: skip
MEMORY = (
    TRAINING, DTYPE, WEIGHTS, ONLY, KEEP, CACHE, PAGED, PREFILL, BEAMS, OPTIMIZER, ATTENTION, RECOMPUTE, DROPOUT, LOSS,
    GRADIENTS, BUFFER, NO_MASTER, LORA_RANK, LORA_TARGETS, *MESH, CONVENTION,
)  # fmt: skip
TABLE = (*SIZES, *MEMORY, *READING, *OUTPUT)
# GPUs at work
GPU = Option(
    "--gpu", "gpu", "GPU and count, such as h100 or h100:512.", metavar="NAME[:N]", complete="accelerators",
    also=("machine", "count"),
)  # fmt: skip
MFU = Option("--mfu", "mfu", "Model FLOPs utilisation, such as 40% (default: the published range).", metavar="SHARE")
PRECISION = Option(
    "--precision", "precision", "Number format of the matrix products (default: 16 bits).", metavar="FORMAT"
)
PRICE = Option("--price", "price", "US dollars per GPU-hour (default: quoted prices).", metavar="DOLLARS")
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
    """The GPUs that were given, if any.

    Raises:
        InputError: options that need a GPU without one.
    """
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
    from ..estimate.amounts import read_amount

    return None if given["price"] is None else read_amount(given["price"], "price", "2.50")
