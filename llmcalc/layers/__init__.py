"""One file per layer kind, named as in presets. Kinds of the zoo are found by name too; common names are aliases."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from ..core.errors import UnknownNameError
from ..core.layer import Layer
from ..core.search_path import find_module, module_names

ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "mha": ("attention", {}),
    "gqa": ("attention", {}),
    "mqa": ("attention", {"n_kv_heads": 1}),
    "cross_attention": ("attention", {"cross": True, "causal": False, "positions": "none"}),
    "ffn": ("mlp", {}),
    "swiglu": ("mlp", {"activation": "silu", "gated": True}),
    "geglu": ("mlp", {"activation": "gelu_tanh", "gated": True}),
    "reglu": ("mlp", {"activation": "relu", "gated": True}),
    "mamba1": ("mamba", {}),
    "ssd": ("mamba2", {}),
    "gated_deltanet": ("gated_delta_net", {}),
    "rmsnorm": ("norm", {"function": "rmsnorm"}),
    "layernorm": ("norm", {"function": "layernorm", "bias": True}),
}


def kinds() -> tuple[str, ...]:
    """The names of all kinds, those of the zoo included."""
    return module_names("layers")


@cache
def find(name: str) -> tuple[type[Layer], dict[str, Any]]:
    """The class of a kind (or of an alias), with the fields that the alias fixes.

    Raises:
        UnknownNameError: no such kind.
    """
    kind, fixed = ALIASES.get(name, (name, {}))
    place = find_module("layers", kind)
    if place is None:
        raise UnknownNameError("layer kind", name, [*kinds(), *ALIASES])
    module = import_module(place)
    return next(value for value in vars(module).values() if _is_kind(value, module.__name__)), fixed


def _is_kind(value: object, module: str) -> bool:
    return isinstance(value, type) and issubclass(value, Layer) and value.__module__ == module
