"""One file per equation. A kind is found by the name of its file; names that people know are aliases of it."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from ..core.errors import UnknownNameError
from ..core.layer import Layer

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


@cache
def kinds() -> tuple[str, ...]:
    """The names of all kinds, found as files of this folder."""
    return tuple(sorted(file.stem for file in Path(__file__).parent.glob("[a-z]*.py")))


@cache
def find(name: str) -> tuple[type[Layer], dict[str, Any]]:
    """The class of a kind (or of an alias), with the fields that the alias fixes.

    Raises:
        UnknownNameError: no such kind.
    """
    kind, fixed = ALIASES.get(name, (name, {}))
    if not (kind.isidentifier() and kind[0] != "_" and (Path(__file__).parent / f"{kind}.py").is_file()):
        raise UnknownNameError("layer kind", name, [*kinds(), *ALIASES])
    module = import_module(f".{kind}", __name__)
    return next(value for value in vars(module).values() if _is_kind(value, module.__name__)), fixed


def _is_kind(value: object, module: str) -> bool:
    return isinstance(value, type) and issubclass(value, Layer) and value.__module__ == module
