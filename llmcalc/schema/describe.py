"""Conversion of architectures to plain preset data without variables or bases (``presets show``).

Loading the data yields an equal architecture. A ``write`` function takes a layer, the width of its stack and an
alias to preserve, and returns the name and fields of the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .. import layers
from ..core.architecture import Architecture, Block, Run, Stack, Sublayer
from ..core.layer import Layer
from ..core.layer_history import without_n_sums
from ..core.part import Part
from ..core.record import MISSING, fields
from .build import FLAGS, STACK_FLAGS, STACK_NUMBERS, SUBLAYER_KEYS, SUMS, TEXTS
from .plain_kinds import write_kinds

Write = Callable[[Layer, int, str], tuple[str, dict[str, Any]]]


def write_layer(layer: Layer, width: int, alias: str = "") -> tuple[str, dict[str, Any]]:
    """Return the kind or alias of a layer, and the fields that differ from their defaults."""
    usual = {"d_model": width, **layers.resolve_alias(alias)[1]}
    data = {}
    for entry in fields(layer):
        value, default = getattr(layer, entry.name), usual.get(entry.name, entry.default)
        if default is MISSING or value != default:
            data[entry.name] = plain_field(layer, entry.name, value, default)
    return alias or layer.kind(), data


def plain_field(owner: Part, name: str, value: Any, usual: object) -> Any:
    """Return a field value as plain data. A part becomes a mapping of its fields that differ from ``usual``."""
    if name not in owner.PARTS:
        return list(value) if isinstance(value, tuple) else value
    if value is None:
        return None if usual is None else False
    several, same = len(owner.PARTS[name]) > 1, type(usual) is type(value)
    defaults = ((entry.name, getattr(usual, entry.name) if same else entry.default) for entry in fields(value))
    data = {
        key: plain_field(value, key, getattr(value, key), default)
        for key, default in defaults
        if getattr(value, key) != default
    }
    return {value.kind(): data} if several else data or True


def describe(architecture: Architecture, write: Write = write_layer) -> dict[str, Any]:
    """Return an architecture as plain data for a preset file with one size."""
    about = {key: getattr(architecture, key) for key in ("name", "title", "family", "source", "status", "layout")}
    body: dict[str, Any] = {"stacks": {stack.name: _stack(stack, write) for stack in architecture.stacks}}
    if architecture.extras:
        body["extras"] = {
            extra.name.replace(" ", "_"): {
                "reason": extra.reason,
                "stack": _stack(extra.stack, write),
                **({"count": extra.count} if extra.count > 1 else {}),
            }
            for extra in architecture.extras
        }
    unmodelled = list(architecture.unmodelled)
    data = {**about, "kinds": write_kinds(architecture), "architecture": body, "unmodelled": unmodelled}
    notes = [note for note in architecture.notes if note not in architecture.remarks]
    lines = {"notes": notes, "remarks": list(architecture.remarks)}
    data |= {key: {"all": found} for key, found in lines.items() if found}
    return {key: value for key, value in data.items() if value}


def _stack(built: Stack, write: Write) -> dict[str, Any]:
    stack = without_n_sums(built)

    def layer(found: Layer, alias: str = "") -> dict[str, Any]:
        return dict([write(found, stack.d_model, alias)])

    names = _block_names(run.block for run in stack.runs).items()
    return {
        "d_model": stack.d_model,
        "role": stack.role,
        **{key: getattr(stack, key) for key in (*STACK_NUMBERS, *STACK_FLAGS) if getattr(stack, key)},
        **({"tokens": stack.tokens} if stack.tokens else {}),
        "inputs": {name: layer(found) for name, found in stack.inputs},
        "blocks": {name: {part.name: _sublayer(part, layer) for part in block.sublayers} for block, name in names},
        "order": block_order(stack.runs),
        "outputs": {name: layer(found) for name, found in stack.outputs},
    }


def block_order(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the block order as a list of runs."""
    names = _block_names(run.block for run in runs)
    return [{"shared" if run.shared else "block": names[run.block], "times": run.count} for run in runs]


def _block_names(blocks: Iterable[Block]) -> dict[Block, str]:
    """Return all distinct blocks with unique names."""
    found: dict[Block, str] = {}
    for block in blocks:
        if block not in found:
            found[block] = f"{block.name}_{len(found)}" if block.name in found.values() else block.name
    return found


def _sublayer(sublayer: Sublayer, layer: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    first = sublayer.branches[0]
    places = {"pre": sublayer.pre, "post": sublayer.post, "after": sublayer.after}
    if _is_plain(sublayer):
        for branch in sublayer.branches:
            data |= layer(branch.layer, "" if len(sublayer.branches) == 1 else branch.name)
        places |= {"each": first.pre, "each_post": first.post}
    else:
        data["branches"] = {}
        for branch in sublayer.branches:
            norms = {place: layer(norm) for place, norm in (("pre", branch.pre), ("post", branch.post)) if norm}
            late = {"joins": branch.joins} if branch.joins else {}
            data["branches"][branch.name] = {**layer(branch.layer), **norms, **late}
    norms = {place: layer(norm) for place, norm in places.items() if norm}
    data |= {"norms": norms} if norms else {}
    usual = {**FLAGS, **dict.fromkeys(SUMS, 1.0), **dict.fromkeys(TEXTS, "")}
    return data | {key: getattr(sublayer, key) for key, value in usual.items() if getattr(sublayer, key) != value}


def _is_plain(sublayer: Sublayer) -> bool:
    """Return whether the branch names can be derived from the layer kinds and all branches have equal norms."""
    first = sublayer.branches[0]
    if any(branch.name in SUBLAYER_KEYS or branch.layer.kind() in SUBLAYER_KEYS for branch in sublayer.branches):
        return False
    if len(sublayer.branches) == 1:
        return first.name == sublayer.name
    return all(
        layers.resolve_alias(branch.name)[0] == branch.layer.kind()
        and (branch.pre, branch.post, branch.joins) == (first.pre, first.post, "")
        for branch in sublayer.branches
    )
