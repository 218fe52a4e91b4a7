"""Memory, parallelism and GPU options, and their conversion to API arguments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..core.setting import CONVENTION as CONVENTION_SETTING
from ..core.setting import SIZES as SIZE_SETTINGS
from ..inputs.settings import MEMORY as MEMORY_SETTINGS
from .options import KERNELS, MODEL_OUTPUT, READING, SIZES, STEP, TOKENS, is_given, refuse
from .spec import Argument, Option, option_of

if TYPE_CHECKING:
    from ..analysis.quantity import Quantity
    from ..calc.sharding import Mesh
    from ..core.architecture import Architecture
    from ..estimate.cost import Machine

_SETTINGS = {setting.name: setting for setting in (*MEMORY_SETTINGS, CONVENTION_SETTING)}


def _option(name: str, help: str, metavar: str = "", flag: str = "", complete: str = "") -> Option:
    return option_of(_SETTINGS[name], help, metavar, flag, complete)


TRAINING = _option("training", "Compute the memory of a training step (default: serving).")
DTYPE = _option("dtype", "Number format used for computation.")
OPTIMIZER = _option("optimizer", "Training: optimizer (default: adamw).", "NAME")
RECOMPUTE = _option("recompute", "Training: activation recomputation (default: none).")
GRADIENTS = _option("gradients", "Training: gradient format (default: --dtype).")
CONVENTION = _option("convention", "Use the memory behaviour of transformers' eager PyTorch code.")
MESH = (
    _option("dp", "Number of data-parallel ranks."),
    _option("tp", "Number of tensor-parallel ranks."),
    _option("pp", "Number of pipeline stages."),
    _option("ep", "Number of expert-parallel ranks (a subset of the data- and tensor-parallel ranks)."),
    _option("etp", "Number of tensor-parallel ranks per expert (default: --tp, or the ranks left by --ep)."),
    _option("cp", "Training: number of context-parallel ranks."),
    _option("sp", "Training: use sequence parallelism (requires --tp)."),
    _option("zero", "Training: ZeRO stage (1, 2 or 3; 3 is FSDP).", "STAGE"),
    _option("micro_batches", "Training: number of micro-batches per step (default: --pp)."),
    _option("vocabulary_multiple", "Pad the vocabulary to a multiple of N times --tp (default: 128)."),
    _option("virtual_stages", "Training: number of model chunks per pipeline stage (interleaved schedule)."),
)
FORMATS = (
    DTYPE,
    _option("weights", "Weight format, such as fp8-block, q4_k_m or checkpoint (default: as published, or --dtype).",
            "FORMAT", complete="formats"),
    _option("only", "Apply --weights only to this component, such as 'routed experts'. Repeatable.", "COMPONENT"),
    _option("keep", "Keep this component in --dtype, in addition to embeddings, head, norms and routers. Repeatable.",
            "COMPONENT"),
    _option("cache", "Serving: KV cache format, such as fp8 (default: --dtype).", "FORMAT", complete="formats"),
)  # fmt: skip
ADAPTERS = (
    _option("lora_rank", "Training: train only LoRA adapters of this rank."),
    _option("lora_targets", "Training: matrix to adapt with LoRA (default: wq, wk, wv and wo). Repeatable.", "TENSOR",
            "--lora-target"),
)  # fmt: skip
MEMORY = (
    TRAINING,
    *FORMATS,
    _option("page", "Serving: block size of the paged KV cache, in tokens.", "TOKENS", flag="--paged"),
    _option("prefill", "Serving: tokens per prefill chunk of a sequence (default: up to --step-tokens).", "TOKENS"),
    _option("step_tokens", "Serving: maximum tokens per step over all sequences, or all (default: 8192; GGUF: 512).",
            "TOKENS"),
    _option("beams", "Serving: number of beams per sequence."),
    OPTIMIZER,
    _option("attention", "Training: attention kernel (default: flash)."),
    RECOMPUTE,
    _option("dropout", "Training: enable dropout."),
    _option("loss", "Training: cross-entropy as separate operations (eager, default) or one kernel (fused).",
            flag="--cross-entropy"),
    _option("scan", "Training: recurrences as separate operations (eager, default) or one kernel (fused)."),
    _option("expert_kernel", "With --convention torch: grouped experts, or a loop (default with --attention eager)."),
    GRADIENTS,
    _option("gradient_buffer", "Training: keep gradients in one contiguous buffer, as in Megatron-LM."),
    _option("gradient_placeholders", "With --gradient-buffer: add a gradient per matrix shape (Transformer Engine)."),
    Option("--no-master", "Training: do not keep an fp32 master copy of the weights.", kind=bool, also=("master",)),
    *ADAPTERS,
    *MESH,
    CONVENTION,
)  # fmt: skip
TABLE = (*SIZES, *MEMORY, *READING, *MODEL_OUTPUT)
# GPUs and their use
GPU = Option(
    "--gpu",
    "GPU name and optional count, such as h100 or h100:512.",
    "NAME[:N]",
    complete="gpus",
)
MFU = Option("--mfu", "Model FLOPs utilisation, such as 40% (default: estimated or published).", "SHARE")
PRECISION = Option(
    "--precision", "Number format of matrix products (default: 16-bit, or a format with published MFU).", "FORMAT"
)
PRICE = Option("--price", "Price in US dollars per GPU-hour (default: quoted prices).", "DOLLARS")
MACHINE = (GPU, MFU, PRECISION, PRICE)
ENGINE = Option("--engine", "Inference engine (default: vllm; llama.cpp for GGUF formats, Apple and Radeon).",
                choices=("vllm", "sglang", "tensorrt-llm", "torch-compile", "llama.cpp"))  # fmt: skip
# settings of all quantities
QUANTITY = (TOKENS, KERNELS, *STEP, *SIZES, *MEMORY, GPU, ENGINE)


def quantity_options(quantities: Iterable[Quantity], without: Iterable[Argument | Option] = ()) -> tuple[Option, ...]:
    """Return the options of the settings of some quantities, without the parameters that a command already has."""
    wanted = {setting.name for quantity in quantities for setting in quantity.settings}
    known = {parameter.name for parameter in without}
    return tuple(each for each in QUANTITY if {each.name, *each.also} & wanted and each.name not in known)


def settings(given: dict[str, Any], options: Iterable[Option] = (*SIZES, *STEP, *MEMORY)) -> dict[str, Any]:
    """Return the explicitly set options as API keyword arguments."""
    found = {option.name: given[option.name] for option in options if option.name in given and is_given(option, given)}
    if found.pop("no_master", False):
        found["master"] = False
    return found


def memory_arguments(given: dict[str, Any], architecture: Architecture) -> dict[str, Any]:
    """Convert the options of a command to arguments of ``llmcalc.memory``. Each option must have an effect."""
    from ..inputs.effects import check_effects
    from ..inputs.settings import memory_settings

    found = settings(given, (*SIZES, *MEMORY))
    arguments = memory_settings(found)
    check_effects((*SIZE_SETTINGS, *_SETTINGS.values()), found, architecture)
    return {**arguments, **{option.name: found[option.name] for option in SIZES if option.name in found}}


def training_mesh(given: dict[str, Any], architecture: Architecture) -> Mesh | None:
    """Return the mesh specified by the options for a training step, or None."""
    from ..inputs.effects import check_effects
    from ..inputs.settings import mesh_settings

    found = settings(given, MESH)
    check_effects(_SETTINGS.values(), {"training": True, **found}, architecture)
    return mesh_settings(found) if found else None


def machine(given: dict[str, Any], *, needs_mfu: bool = True) -> Machine | None:
    """Return the GPUs specified by the options, or None. ``needs_mfu``: an unpublished utilisation must be given."""
    from ..training.machine import read_machine

    if given["gpu"] is not None:
        return read_machine(given["gpu"], mfu=given["mfu"], precision=given["precision"], needs_mfu=needs_mfu)
    refuse(MACHINE[1:], given, "without a GPU", "add {gpu=h100:512}")
    return None


def price(given: dict[str, Any]) -> float | None:
    """Return the price in US dollars per GPU-hour, or None if not given."""
    from ..estimate.amounts import amount

    return None if given["price"] is None else amount(given["price"], "price", "2.50")
