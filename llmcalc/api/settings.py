"""Workload, step and memory settings of ``explain``, ``sweep``, ``compare`` and ``fit``.

The settings are the parameters of ``llmcalc.flops`` and ``llmcalc.memory``, with three differences. ``pairs``
replaces ``attention`` of ``flops`` (``causal`` or ``dense``), ``training=True`` replaces ``mode="training"`` of
``memory``, and mesh fields such as ``tp=8`` can replace ``mesh=Mesh(tp=8)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..calc.sharding import Mesh
from ..core.errors import InputError, SizeError, UnknownNameError
from ..core.record import fields
from .defaults import cached_tokens

SIZES = ("batch", "seq", "target_seq", "extend")
STEP = ("mode", "context", "pairs", "logits")
MESH = tuple(field.name for field in fields(Mesh))
FORMATS = ("dtype", "weights", "only", "keep")
SERVING = ("cache", "page", "prefill", "beams")
TRAINING = (
    "optimizer", "attention", "recompute", "dropout", "loss", "gradients", "gradient_buffer", "master", "lora_rank",
    "lora_targets",
)  # fmt: skip
TRAINING_MESH = ("pp", "cp", "sp", "zero", "micro_batches", "virtual_stages")
MEMORY = ("training", *FORMATS, *SERVING, *TRAINING, "mesh", *MESH)
# settings that each quantity depends on
DEPENDS: dict[str, tuple[str, ...]] = {
    "params": (),
    "active": (),
    "flops": (*SIZES, *STEP, "convention"),
    "state": (*SIZES, "dtype", "cache", "page", "beams", "convention"),
    "memory": (*SIZES, *MEMORY, "convention"),
}
KNOWN = (*SIZES, *STEP, *MEMORY, "convention")


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


def check_dependence(what: str, names: Iterable[str], settings: Mapping[str, Any]) -> None:
    """Reject settings that do not affect a quantity."""
    allowed = set(names)
    for name in settings:
        if name in KNOWN and name not in allowed:
            raise InputError(f"has no effect on {what}", parameter=name, hint="omit it")


def split_settings(settings: Mapping[str, Any], *, varied: Iterable[str] = ()) -> Settings:
    """Group settings by purpose. ``varied`` lists the sizes that a sweep supplies."""
    unknown = [name for name in settings if name not in KNOWN]
    if unknown:
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    sizes = {"batch": 1, "seq": None, "target_seq": None, "extend": False}
    sizes |= {name: settings[name] for name in SIZES if name in settings}
    mode = settings.get("mode", "forward")
    context = cached_tokens(mode, 0 if "context" in varied else settings.get("context"))
    step = {
        "mode": mode, "context": context, "attention": settings.get("pairs", "causal"),
        "logits": settings.get("logits", "all"),
    }  # fmt: skip
    convention = settings.get("convention")
    return Settings(sizes, step, memory_settings(settings), convention)


def memory_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``memory``, excluding sizes."""
    training = bool(settings.get("training"))
    found: dict[str, Any] = {"mode": "training" if training else "inference", "dtype": settings.get("dtype", "bf16")}
    found |= {"dropout": False, "master": True, "gradient_buffer": False} if training else {}
    names = ("weights", "only", "keep", *SERVING, *TRAINING)
    found |= {name: settings[name] for name in names if is_given(settings.get(name), name)}
    mesh = mesh_settings(settings)
    check_memory_settings(**found, mesh=mesh)
    return {**found, "mesh": mesh, "convention": settings.get("convention")}


def mesh_settings(settings: Mapping[str, Any]) -> Mesh:
    """Return the mesh specified by ``mesh`` or by individual mesh fields."""
    own = {name: settings[name] for name in MESH if settings.get(name) is not None}
    whole: Mesh | None = settings.get("mesh")
    if whole is not None and own:
        raise InputError("cannot be combined with mesh", parameter=next(iter(own)), hint="set it in the Mesh instead")
    mesh = whole or Mesh(**own)
    if mesh.sp and mesh.tp == 1:
        raise InputError("sequence parallelism requires tensor parallelism", parameter="sp", hint="add {tp=N}")
    return mesh


def check_memory_settings(mode: str, mesh: Mesh | None = None, **given: Any) -> None:
    """Reject settings that conflict or do not apply to the mode."""
    known_choice("mode", mode, ("inference", "training"))
    training = mode == "training"
    others = [name for name in (SERVING if training else TRAINING) if is_given(given.get(name), name)]
    if not training and mesh is not None:
        others += [name for name in TRAINING_MESH if getattr(mesh, name) != getattr(Mesh(), name)]
    if others:
        message, hint = ("training", "omit it") if training else ("serving", "add {mode=training}")
        raise InputError(f"does not apply to {message}", parameter=others[0], hint=hint)
    for name in ("page", "prefill", "beams"):
        if given.get(name) is not None and given[name] < 1:
            raise SizeError(f"must be at least 1, not {given[name]}", parameter=name)
    if given.get("lora_targets") and given.get("lora_rank") is None:
        raise InputError("requires a LoRA rank", parameter="lora_targets", hint="add {lora_rank=N}")
    for name in ("only", "keep"):
        if given.get(name) and not given.get("weights"):
            raise InputError("requires a weight format", parameter=name, hint="add {weights=FORMAT}")


def is_given(value: object, name: str = "") -> bool:
    """Return whether a setting differs from its default. The default is True for ``master`` and empty otherwise."""
    return value is False if name == "master" else value is not None and value is not False and value not in ((), [])


def known_choice(what: str, value: str, choices: tuple[str, ...]) -> str:
    """Return ``value`` if it is a valid choice, or raise an error."""
    if value not in choices:
        raise UnknownNameError(what, value, choices, parameter=what, hint=f"use one of {', '.join(choices)}")
    return value
