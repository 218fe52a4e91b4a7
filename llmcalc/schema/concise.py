"""A description as a person would write it: the names that people use, and nothing that says itself.

``describe`` writes an architecture out; ``concise`` makes it short again. Both read back as the same architecture.
"""

from __future__ import annotations

from typing import Any

from .. import layers
from ..core.errors import InputError
from ..core.layer import Layer
from ..core.record import fields
from .build import BRANCH_KEYS, BRANCH_NORMS, ROLES, STACK_FLAGS, STACK_NUMBERS, SUBLAYER_KEYS, SUM_KEYS
from .envelope import STATUSES
from .order_text import spelled
from .variables import replaced_by_variables

_ALIASES: dict[str, tuple[str, ...]] = {
    "attention": ("cross_attention", "mqa", "mha", "gqa"),
    "mlp": ("swiglu", "geglu", "reglu"),
    "norm": ("layernorm", "rmsnorm"),
}
_OFTEN = 2
PUBLISHED = STATUSES[0]


def concise(data: dict[str, Any]) -> dict[str, Any]:
    """The plain data of a preset, short: aliases, shared norms, patterns of blocks, variables for its sizes."""
    body = data["architecture"]
    stacks = {name: _stack(name, stack) for name, stack in body["stacks"].items()}
    extras = {name: {**extra, "stack": _stack(name, extra["stack"])} for name, extra in body.get("extras", {}).items()}
    variables = replaced_by_variables(stacks)
    short = {
        **data,
        "status": data["status"] if data.get("status", PUBLISHED) != PUBLISHED else None,
        "variables": variables,
        "architecture": {"stacks": stacks, **({"extras": extras} if extras else {})},
    }
    return {key: value for key, value in short.items() if value}


def _stack(name: str, data: dict[str, Any]) -> dict[str, Any]:
    width = data["d_model"]
    blocks = {
        key: {part: _sublayer(value, width) for part, value in block.items()} for key, block in data["blocks"].items()
    }
    norms = _usual_norms(blocks)
    for block in blocks.values():
        for part in block.values():
            _leave_out(part, norms)
    short = {
        "d_model": width,
        "role": data["role"] if ROLES.get(name, "decoder") != data["role"] else None,
        **{key: data[key] for key in (*STACK_NUMBERS, *STACK_FLAGS) if key in data},
        "norms": norms,
        "inputs": _named(data["inputs"], width),
        "blocks": blocks,
        "order": spelled(data["order"]),
        "outputs": _named(data["outputs"], width),
    }
    return {key: value for key, value in short.items() if value}


def _named(data: dict[str, Any], width: int) -> dict[str, Any]:
    return {name: _one(value, width) for name, value in data.items()}


def _sublayer(data: dict[str, Any], width: int) -> dict[str, Any]:
    kinds = [key for key in data if key not in SUBLAYER_KEYS]
    if len(kinds) == 1:
        found = _one({kinds[0]: data[kinds[0]]}, width)
    else:  # the key is the branch's name
        found = {key: _fields(key, _layer(key, data[key], width), width) for key in kinds}
    if "branches" in data:
        found["branches"] = {name: _named_parts(branch, width) for name, branch in data["branches"].items()}
    if "norms" in data:
        found["norms"] = _named(data["norms"], width)
    return {**found, **{key: data[key] for key in SUM_KEYS if key in data}}


def _named_parts(branch: dict[str, Any], width: int) -> dict[str, Any]:
    """A branch: its kind, and norms that stand beside it."""
    norms = {key: _one(branch[key], width) for key in BRANCH_NORMS if key in branch}
    (kind,) = (key for key in branch if key not in BRANCH_KEYS)
    others = {key: branch[key] for key in BRANCH_KEYS if key in branch}
    return {**_one({kind: branch[kind]}, width), **others, **norms}


def _usual_norms(blocks: dict[str, Any]) -> dict[str, Any]:
    """The norms that most sub-layers have, if that saves anything."""
    found = [part.get("norms", {}) for block in blocks.values() for part in block.values()]
    if not found:
        return {}
    best = max(found, key=found.count)
    return best if found.count(best) >= _OFTEN else {}


def _leave_out(part: dict[str, Any], usual: dict[str, Any]) -> None:
    """Leave the usual norms of a sub-layer out, and say where it has none."""
    own = part.pop("norms", {})
    if own != usual:
        part["norms"] = own


def _layer(kind: str, values: dict[str, Any], width: int) -> Layer:
    found, fixed = layers.find(kind)
    usual = {"d_model": width} if any(entry.name == "d_model" for entry in fields(found)) else {}
    return found(**{**usual, **fixed, **values})


def _one(data: dict[str, Any], width: int) -> dict[str, Any]:
    """``{kind: fields}`` under the name that says most, with what is left to say."""
    ((kind, values),) = data.items()
    name, said = name_and_fields(_layer(kind, values, width), width)
    return {name: said}


def name_and_fields(layer: Layer, width: int) -> tuple[str, dict[str, Any]]:
    """What people call a layer, and the fields that have to be said in a stack of a width."""
    kind = layer.kind()
    name = next((alias for alias in _ALIASES.get(kind, ()) if _fits(alias, layer)), kind)
    return name, _fields(name, layer, width)


def said(layer: Layer, width: int) -> dict[str, Any]:
    """The fields of a layer that follow neither from its kind nor from the others, nor from the stack's width."""
    return _fields(layer.kind(), layer, width)


def _fits(alias: str, layer: Layer) -> bool:
    """Whether people call a layer so."""
    if layer.kind() == "norm":
        return getattr(layer, "function", "") == alias
    if alias == "mha" and getattr(layer, "n_kv_heads", 0) != getattr(layer, "n_heads", 0):
        return False
    return all(getattr(layer, name) == value for name, value in layers.find(alias)[1].items())


def _fields(kind: str, layer: Layer, width: int) -> dict[str, Any]:
    """The fields that have to be said: neither the kind's own, nor what follows from the others."""
    found, fixed = layers.find(kind)
    usual = {entry.name: entry.default for entry in fields(found)} | {"d_model": width} | fixed
    said = {entry.name: getattr(layer, entry.name) for entry in fields(found)}
    said = {name: value for name, value in said.items() if usual[name] is not value and usual[name] != value}
    for entry in fields(found):
        if entry.name in said and entry.default is None:
            rest = {name: value for name, value in said.items() if name != entry.name}
            if _gives(kind, rest, width, layer):
                said = rest
    return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}


def _gives(kind: str, values: dict[str, Any], width: int, layer: Layer) -> bool:
    try:
        return _layer(kind, values, width) == layer
    except InputError:
        return False
