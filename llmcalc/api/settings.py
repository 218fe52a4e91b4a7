"""Settings of the public functions, and how ``explain``, ``sweep``, ``compare`` and ``fit`` combine them.

The settings of these functions are the parameters of ``llmcalc.flops`` and ``llmcalc.memory``, with three
differences. ``pairs`` is another name of ``count``, the query-key pairs that are counted.
``training=True`` replaces ``mode="training"`` of ``memory``. Mesh fields such as ``tp=8`` can replace
``mesh=Mesh(tp=8)``. A value of None means that the setting is not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..calc.kernels import KERNELS as KERNEL_CHOICES
from ..calc.sharding import MESH, Mesh
from ..core.aliases import SETTINGS, renamed
from ..core.architecture import Architecture
from ..core.errors import InputError, SizeError
from ..core.record import changed
from ..core.setting import CONTEXT, COUNT, LIMIT, LOGITS, MODE, SIZES, TEXTS, Setting, check_values, read_lengths
from .defaults import cached_tokens, default_seq

PLAIN = ("fp32", "bf16", "fp16")
MEMORY_MODE = Setting("mode", str, "inference", choices=("inference", "training"))
STEP = (MODE, CONTEXT, COUNT, LOGITS)
DTYPE = Setting("dtype", str, "bf16", choices=PLAIN)
CACHE_DTYPE = changed(DTYPE, choices=(*PLAIN, "fp8"))
FORMATS = (DTYPE, Setting("weights"), Setting("only", TEXTS, ()), Setting("keep", TEXTS, ()))
KERNELS = Setting("kernels", str, "fused", choices=tuple(KERNEL_CHOICES))
CACHE_FORMAT = Setting("cache", step="serving")
CACHE = (
    Setting("page", int, least=1, step="serving"),
    Setting("beams", int, least=1, step="serving"),
)
SERVING = (
    CACHE_FORMAT,
    *CACHE,
    Setting("prefill", int, least=1, step="serving"),
    Setting("step_tokens", LIMIT, least=1, step="serving"),
)
OPTIMIZER = Setting("optimizer", step="training")
GRADIENTS = Setting("gradients", choices=PLAIN, step="training")
RECOMPUTE = Setting("recompute", choices=("none", "selective", "full"), step="training")
TRAINING = (
    OPTIMIZER,
    Setting("attention", choices=("flash", "eager"), step="training"),
    RECOMPUTE,
    Setting("dropout", bool, False, step="training"),
    Setting("loss", choices=("eager", "fused"), step="training"),
    Setting("scan", choices=("eager", "fused"), step="training"),
    Setting("expert_kernel", choices=("grouped", "loop"), step="training"),
    GRADIENTS,
    Setting("gradient_buffer", bool, False, step="training"),
    Setting("master", bool, True, step="training"),
    Setting("lora_rank", int, least=1, step="training"),
    Setting("lora_targets", TEXTS, step="training"),
)
WHOLE_MESH = Setting("mesh", Mesh)
MEMORY = (Setting("training", bool, False), *FORMATS, *SERVING, *TRAINING, WHOLE_MESH, *MESH)


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
            from .quantity import setting_names

            if name in setting_names():
                raise InputError(f"has no effect on {what}", parameter=name, hint="omit it")
            raise TypeError(f"unexpected keyword argument {name!r}")
    found = read_lengths(found)
    check_values(settings, found)
    return found


def split_settings(settings: Mapping[str, Any], *models: Architecture) -> Settings:
    """Group settings by purpose. If models are given, ``seq`` defaults to a length that all models support."""
    sizes = {setting.name: settings.get(setting.name, setting.default) for setting in SIZES}
    mode = settings.get("mode", "forward")
    context = cached_tokens(mode, settings.get("context"))
    if models and sizes["seq"] is None:
        sizes["seq"] = default_seq(*models, mode=mode)
    step = {
        "mode": mode, "context": context, "attention": settings.get("count", "causal"),
        "logits": settings.get("logits", "all"),
    }  # fmt: skip
    return Settings(sizes, step, memory_settings(settings), settings.get("convention"))


def memory_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``memory``, excluding sizes."""
    training = bool(settings.get("training"))
    found: dict[str, Any] = {"mode": "training" if training else "inference", "dtype": settings.get("dtype", "bf16")}
    found |= {"dropout": False, "master": True, "gradient_buffer": False} if training else {}
    others = (*FORMATS[1:], *SERVING, *TRAINING)
    found |= {each.name: settings[each.name] for each in others if is_given(each, settings.get(each.name))}
    mesh = mesh_settings(settings)
    check_memory_settings(**found, mesh=mesh)
    return {**found, "mesh": mesh, "convention": settings.get("convention")}


def mesh_settings(settings: Mapping[str, Any]) -> Mesh:
    """Return the mesh specified by ``mesh`` or by individual mesh fields."""
    own = {each.name: settings[each.name] for each in MESH if settings.get(each.name) is not None}
    whole: Mesh | None = settings.get("mesh")
    if whole is not None and own:
        raise InputError("cannot be combined with mesh", parameter=next(iter(own)), hint="set it in the Mesh instead")
    mesh = whole or Mesh(**own)
    if mesh.sp and mesh.tp == 1:
        raise InputError("sequence parallelism requires tensor parallelism", parameter="sp", hint="add {tp=N}")
    return mesh


def check_memory_settings(mode: str, mesh: Mesh | None = None, **given: Any) -> None:
    """Reject settings that conflict or do not apply to the mode."""
    step, hint = ("training", "omit it") if mode == "training" else ("serving", "add {mode=training}")
    others = [each.name for each in (*SERVING, *TRAINING) if each.step != step and is_given(each, given.get(each.name))]
    if mesh is not None:
        others += [
            each.name for each in MESH
            if each.step not in ("", step) and getattr(mesh, each.name) != getattr(Mesh(), each.name)
        ]  # fmt: skip
        if mode == "training" and mesh.etp is None and mesh.dp % mesh.ep:
            text, hint = f"ep ({mesh.ep}) does not divide dp ({mesh.dp})", "add {etp=1} for experts on single ranks"
            raise SizeError(text, parameter="ep", hint=hint)
    if others:
        raise InputError(f"does not apply to {step}", parameter=others[0], hint=hint)
    if given.get("lora_targets") and given.get("lora_rank") is None:
        raise InputError("requires a LoRA rank", parameter="lora_targets", hint="add {lora_rank=N}")
    for name in ("only", "keep"):
        if given.get(name) and not given.get("weights"):
            raise InputError("requires a weight format", parameter=name, hint="add {weights=FORMAT}")


def is_given(setting: Setting, value: object) -> bool:
    """Return whether a setting has a value other than the default."""
    return value is not None and value != setting.default and value not in ((), [])
