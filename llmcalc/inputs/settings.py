"""Settings of the public functions, and how ``explain``, ``sweep``, ``compare`` and ``fit`` combine them.

The settings of these functions are the parameters of ``llmcalc.flops`` and ``llmcalc.memory``, with three
differences. ``pairs`` is another name of ``count``, the query-key pairs that are counted.
``training=True`` replaces ``mode="training"`` of ``memory``. Mesh fields such as ``tp=8`` can replace
``mesh=Mesh(tp=8)``. A value of None means that the setting is not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ..calc.sharding import MESH, Mesh
from ..core.aliases import SETTINGS, renamed
from ..core.architecture import Architecture
from ..core.errors import InputError, SizeError
from ..core.record import NamedTuple, changed
from ..core.setting import (
    AMOUNT,
    CONTEXT,
    CONVENTION,
    COUNT,
    LIMIT,
    LOGITS,
    MODE,
    SIZE,
    SIZES,
    TEXTS,
    Setting,
    check_values,
    read_lengths,
)
from ..core.setting import KERNELS as KERNEL_CHOICES
from ..core.type_names import Any
from .defaults import cached_tokens, default_seq

RANKS = ("tp", "pp", "dp", "ep")  # sizes of a layout, which is chosen without them
TRAINING_SIZES = ("cp", "zero")  # further ones of training
PLAIN = ("fp32", "bf16", "fp16")
MEMORY_MODE = Setting("mode", str, "inference", choices=("inference", "training"))
STEP = (MODE, CONTEXT, COUNT, LOGITS)
DTYPE = Setting("dtype", str, "bf16", choices=PLAIN, help="Number format used for computation (default: bf16).")
CACHE_DTYPE = changed(DTYPE, choices=(*PLAIN, "fp8"))
WEIGHTS = Setting(
    "weights", metavar="FORMAT", complete="formats",
    help="Weight format, such as fp8-block, q4_k_m or checkpoint (default: as published, or {dtype}).",
)  # fmt: skip
FORMATS = (
    DTYPE,
    WEIGHTS,
    Setting("only", TEXTS, (), needs=("weights",), metavar="COMPONENT",
            help="Apply {weights} only to this component, such as 'routed experts'. Repeatable."),
    Setting("keep", TEXTS, (), needs=("weights",), metavar="COMPONENT",
            help="Keep this component in {dtype}, in addition to embeddings, head, norms and routers. Repeatable."),
)  # fmt: skip
KERNELS = Setting(
    "kernels", str, "fused", choices=tuple(KERNEL_CHOICES),
    help="Traffic: count reads and writes per kernel (fused, default) or per equation (unfused).",
)  # fmt: skip
CACHE_FORMAT = Setting(
    "cache", like="dtype", needs=("serving", "kv_cache"), metavar="FORMAT", complete="formats",
    help="Serving: KV cache format, such as fp8 (default: {dtype}).",
)  # fmt: skip
CACHE = (
    Setting("page", int, least=1, needs=("serving", "kv_cache"), metavar="TOKENS", option="paged",
            help="Serving: block size of the paged KV cache, in tokens."),
    Setting("beams", int, least=1, usual=1, needs=("serving", "state"), help="Serving: number of beams per sequence."),
)  # fmt: skip
SERVING = (
    CACHE_FORMAT,
    *CACHE,
    Setting("prefill", int, least=1, needs=("serving",), metavar="TOKENS",
            help="Serving: tokens per prefill chunk of a sequence (default: up to {step-tokens})."),
    Setting("step_tokens", LIMIT, least=1, needs=("serving",), metavar="TOKENS",
            help="Serving: maximum tokens per step over all sequences, or all (default: 8192; GGUF: 512)."),
)  # fmt: skip
OPTIMIZER = Setting(
    "optimizer", usual="adamw", needs=("training",), metavar="NAME", help="Training: optimizer (default: adamw)."
)  # fmt: skip
GRADIENTS = Setting(
    "gradients", choices=PLAIN, like="dtype", needs=("training", "gradient_format"),
    help="Training: gradient format (default: {dtype}).",
)  # fmt: skip
RECOMPUTE = Setting(
    "recompute", usual="none", needs=("training", "recomputed"), metavar="HOW", complete="recomputations",
    help="Training: activation recomputation, such as full, selective, op or layer:2 (default: none).",
)  # fmt: skip
ADAPTERS = (
    Setting("lora_rank", int, least=1, needs=("training",), help="Training: train only LoRA adapters of this rank."),
    Setting("lora_targets", TEXTS, needs=("training", "lora_rank"), metavar="TENSOR", option="lora-target",
            help="Training: matrix to adapt with LoRA, such as wq or q_proj (default: all-linear). Repeatable."),
)  # fmt: skip
OFFLOAD = Setting(
    "offload", choices=("optimizer", "weights"), needs=("training",), option="cpu-offload",
    help="Training: keep the optimizer, or also ZeRO-3 weights and gradients, in host memory.",
)  # fmt: skip
TRAINING = (
    OPTIMIZER,
    Setting("attention", choices=("flash", "eager"), usual="flash", needs=("training",),
            help="Training: attention kernel (default: flash)."),
    RECOMPUTE,
    Setting("dropout", bool, False, needs=("training",), help="Training: enable dropout."),
    Setting("loss", choices=("eager", "shifted", "fused", "chunked", "parallel"), usual="eager",
            needs=("training", "logits"), option="cross-entropy",
            help="Training: cross-entropy eager (default), shifted, fused, chunked or parallel (Megatron-LM)."),
    Setting("scan", choices=("eager", "fused"), usual="eager", needs=("training", "scan"),
            help="Training: recurrences as separate operations (eager, default) or one kernel (fused)."),
    Setting("expert_kernel", choices=("grouped", "loop"), needs=("training", "torch", "experts"),
            help="With {convention} torch: grouped experts, or a loop (default with {attention} eager)."),
    GRADIENTS,
    Setting("gradient_buffer", bool, False, needs=("training",),
            help="Training: keep gradients in one contiguous buffer, as in Megatron-LM."),
    Setting("gradient_placeholders", bool, False, needs=("training", "gradient_buffer"),
            help="With {gradient-buffer}: add a gradient per matrix shape (Transformer Engine)."),
    Setting("master", bool, True, needs=("training", "master_copy"), option="no-master",
            help="Training: no fp32 copy of the weights; with LoRA, keep nothing in fp32."),
    Setting("fp8", choices=("copies", "weights"), needs=("training",),
            help="Training: products in FP8 (Transformer Engine), with FP8 copies of weights or FP8 weights."),
    Setting("fused_activation", bool, False, needs=("training", "gated"),
            help="Training: gated activations in one kernel that saves its inputs (Megatron-LM, Liger)."),
    *ADAPTERS,
    Setting("lora_dropout", bool, False, needs=("training", "lora_rank"), help="Training: dropout in LoRA adapters."),
    OFFLOAD,
    Setting("offload_activations", bool, False, needs=("training",),
            help="Training: keep what blocks save in host memory until their backward pass."),
    Setting("optimizer_in_backward", bool, False, needs=("training",),
            help="Training: update each weight in the backward pass and free its gradient."),
)  # fmt: skip
WHOLE_MESH = Setting("mesh", Mesh)
IS_TRAINING = Setting(
    "training", bool, False, help="Compute the memory of a training step (default: serving)."
)  # fmt: skip
MEMORY = (IS_TRAINING, *FORMATS, *SERVING, *TRAINING, WHOLE_MESH, *MESH)
GPU = Setting(
    "gpu", SIZE, needs=("serving",), metavar="NAME[:N]", complete="gpus",
    help="GPU name and optional count, such as h100 or h100:512.",
)  # fmt: skip
ENGINE = Setting(
    "engine", choices=("vllm", "sglang", "tensorrt-llm", "torch-compile", "llama.cpp"), needs=("gpu",),
    help="Inference engine (default: vllm; llama.cpp for GGUF formats, Apple and Radeon).",
)  # fmt: skip
TOKENS = Setting("tokens", AMOUNT, least=1, metavar="AMOUNT",
                 help="Number of training tokens, such as 15T (default: as published).")  # fmt: skip
# of all settings that affect a quantity
NAMES = {each.name for each in (*SIZES, *STEP, CONVENTION, KERNELS, *MEMORY, GPU, ENGINE, TOKENS)}


class Settings(NamedTuple):
    """Settings grouped by purpose.

    Attributes:
        sizes: ``batch``, ``seq`` (None if not given), ``target_seq`` and ``extend``.
        step: other arguments of ``flops``.
        memory: other arguments of ``memory``.
        convention: None or ``torch``.
    """

    sizes: dict[str, Any]
    step: dict[str, Any]
    memory: dict[str, Any]
    convention: str | None


def read_settings(what: str, settings: tuple[Setting, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given values. Raise an error if a setting is unknown, has an invalid value or has no effect."""
    values = renamed(values, SETTINGS)
    found = {name: value for name, value in values.items() if value is not None}
    known = {setting.name: setting for setting in settings}
    for name in values:
        if name not in known:
            if name in NAMES:
                raise InputError(f"has no effect on {what}", parameter=name, hint="omit it")
            raise TypeError(f"unexpected keyword argument {name!r}")
    found = read_lengths(found)
    check_values(settings, found)
    return found


def split_settings(settings: Mapping[str, Any], *models: Architecture) -> Settings:
    """Group settings by purpose. If models are given, ``seq`` defaults to a length that all models support."""
    sizes = {setting.name: settings.get(setting.name, setting.default) for setting in SIZES}
    mode = settings.get("mode", "forward")
    context = cached_tokens(mode, settings.get("context")) if mode == "decode" else 0
    if models and sizes["seq"] is None:
        sizes["seq"] = default_seq(*models, mode=mode)
    step = {
        "mode": mode, "context": context, "attention": settings.get("count", "causal"),
        "logits": settings.get("logits", "all"),
    }  # fmt: skip
    return Settings(sizes, step, memory_settings(settings), settings.get("convention"))


def memory_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``memory`` for the kind of step, excluding sizes."""
    training = bool(settings.get("training"))
    found: dict[str, Any] = {"mode": "training" if training else "inference", "dtype": settings.get("dtype", "bf16")}
    found |= {each.name: each.default for each in TRAINING if each.kind is bool} if training else {}
    others = (*FORMATS[1:], *(TRAINING if training else SERVING))
    found |= {
        each.name: settings[each.name] for each in others if settings.get(each.name) not in (None, each.default, (), [])
    }
    mesh = given_mesh(settings)
    if training and mesh:
        check_expert_ranks(mesh)
    return {**found, "mesh": mesh, "convention": settings.get("convention")}


def mesh_settings(settings: Mapping[str, Any]) -> Mesh:
    """Return the mesh specified by ``mesh`` or by individual mesh fields. By default, it has one rank."""
    return given_mesh(settings) or Mesh()


def given_mesh(settings: Mapping[str, Any]) -> Mesh | None:
    """Return the mesh that is given, also if it has one rank, or None.

    A field with a constant default gives a mesh only if it has another value.
    """
    own = {each.name: settings[each.name] for each in MESH if settings.get(each.name) is not None}
    whole: Mesh | None = settings.get("mesh")
    if whole is not None and own:
        raise InputError("cannot be combined with mesh", parameter=next(iter(own)), hint="set it in the Mesh instead")
    is_training = settings.get("training") or settings.get("mode") == "training"
    sizes = (*RANKS, *TRAINING_SIZES) if is_training else RANKS
    is_given = whole is not None or any(
        each.name in own and (each.name in sizes or not each.is_default(own[each.name])) for each in MESH
    )
    if own.get("pp", 1) == 1:  # without a pipeline, virtual stages have no effect
        own.pop("virtual_stages", None)
    return (whole or Mesh(**own)) if is_given else None


def whole_layout(sizes: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the sizes of a serving layout on GPUs. Those that are not given have their default: all other GPUs are
    tensor-parallel ranks.

    >>> whole_layout({"dp": 2}, 8), whole_layout({"tp": 2}, 8)
    ({'dp': 2, 'tp': 4}, {'tp': 2})
    """
    divided = (sizes.get("dp") or 1) * (sizes.get("pp") or 1)
    return {**sizes, "tp": sizes.get("tp") or max(count // divided, 1)}


def mesh_on(settings: Mapping[str, Any], count: int) -> Mesh:
    """Return the mesh specified by individual fields. By default, data parallelism uses all remaining GPUs.

    Experts that do not fit in data-parallel ranks alone are on single ranks.
    """
    others = prod(settings.get(name) or 1 for name in ("tp", "pp", "cp"))
    dp = settings.get("dp") or max(count // others, 1)
    etp = settings.get("etp") or (1 if dp % (settings.get("ep") or 1) else None)
    mesh = mesh_settings({**settings, "dp": dp, "etp": etp})
    if mesh.ranks != count:
        given = settings.get("dp")
        names, product = ("dp · tp · pp · cp", mesh.ranks) if given else ("tp · pp · cp", others)
        text = f"{names} is {product:,}, but there are {count:,} GPUs"
        hint = "set {tp}, {pp} and {cp} so that their product divides the GPUs"
        raise InputError(text, parameter="dp" if given else "gpu", hint=hint)
    return mesh


def serving_mesh(mesh: Mesh) -> Mesh:
    """Return a mesh without the fields that have no effect in serving."""
    return changed(mesh, **{each.name: each.usual for each in MESH if "training" in each.needs})


def check_expert_ranks(mesh: Mesh) -> None:
    """Check that the experts of a training step span data-parallel ranks only, unless ``etp`` is given."""
    if mesh.etp is None and mesh.dp % mesh.ep:
        text, hint = f"ep ({mesh.ep}) does not divide dp ({mesh.dp})", "add {etp=1} for experts on single ranks"
        raise SizeError(text, parameter="ep", hint=hint)
