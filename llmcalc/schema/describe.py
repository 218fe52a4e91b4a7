"""Writes an architecture as the plain data of a preset, without variables and bases (``presets show``).

Reading the data again gives an equal architecture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .. import layers
from ..core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from ..core.errors import UnknownNameError
from ..core.layer import Layer
from ..core.layer_history import without_n_sums
from ..core.record import MISSING, fields
from .build import FLAGS, STACK_FLAGS, STACK_NUMBERS, SUBLAYER_KEYS, SUMS, TEXTS


def describe(architecture: Architecture) -> dict[str, Any]:
    """The plain data of a preset file of one size, without fields at their default."""
    about = {key: getattr(architecture, key) for key in ("name", "title", "family", "source", "status", "layout")}
    body: dict[str, Any] = {"stacks": {stack.name: _stack(stack) for stack in architecture.stacks}}
    if architecture.extras:
        body["extras"] = {
            extra.name.replace(" ", "_"): {"reason": extra.reason, "stack": _stack(extra.stack)}
            for extra in architecture.extras
        }
    data = {**{key: value for key, value in about.items() if value}, "architecture": body}
    if architecture.unmodelled:
        data["unmodelled"] = list(architecture.unmodelled)
    if architecture.notes:
        data["notes"] = {"all": list(architecture.notes)}
    return data


def _stack(built: Stack) -> dict[str, Any]:
    stack = without_n_sums(built)
    names = _block_names([run.block for run in stack.runs])
    return {
        "d_model": stack.d_model,
        "role": stack.role,
        **{key: getattr(stack, key) for key in (*STACK_NUMBERS, *STACK_FLAGS) if getattr(stack, key)},
        **({"tokens": stack.tokens} if stack.tokens else {}),
        "inputs": _named(stack.inputs, stack),
        "blocks": {name: _block(block, stack) for block, name in names},
        "order": block_order(stack.runs),
        "outputs": _named(stack.outputs, stack),
    }


def block_order(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The order of blocks as a list of runs."""
    names = _block_names([run.block for run in runs])
    return [{"shared" if run.shared else "block": _name(names, run.block), "times": run.count} for run in runs]


def _block_names(blocks: Iterable[Block]) -> list[tuple[Block, str]]:
    """Every distinct block with a unique name."""
    found: list[tuple[Block, str]] = []
    for block in blocks:
        if all(block != other for other, _ in found):
            taken = [name for _, name in found]
            name = block.name if block.name not in taken else f"{block.name}_{len(found)}"
            found.append((block, name))
    return found


def _name(names: list[tuple[Block, str]], block: Block) -> str:
    return next(name for other, name in names if other == block)


def _named(items: Iterable[Named], stack: Stack) -> dict[str, Any]:
    return {name: {layer.kind(): _fields(layer, stack)} for name, layer in items}


def _block(block: Block, stack: Stack) -> dict[str, Any]:
    return {sublayer.name: _sublayer(sublayer, stack) for sublayer in block.sublayers}


def _sublayer(sublayer: Sublayer, stack: Stack) -> dict[str, Any]:
    data: dict[str, Any] = {}
    first = sublayer.branches[0]
    places = {"pre": sublayer.pre, "post": sublayer.post, "after": sublayer.after}
    if _is_plain(sublayer):
        alone = len(sublayer.branches) == 1
        keys = [branch.layer.kind() if alone else branch.name for branch in sublayer.branches]
        data = {key: _fields(branch.layer, stack, key) for key, branch in zip(keys, sublayer.branches, strict=True)}
        places |= {"each": first.pre, "each_post": first.post}
    else:
        data["branches"] = {branch.name: _branch(branch, stack) for branch in sublayer.branches}
    norms = {place: {norm.kind(): _fields(norm, stack)} for place, norm in places.items() if norm}
    data |= {"norms": norms} if norms else {}
    usual = {**FLAGS, **dict.fromkeys(SUMS, 1.0), **dict.fromkeys(TEXTS, "")}
    return data | {key: getattr(sublayer, key) for key, value in usual.items() if getattr(sublayer, key) != value}


def _is_plain(sublayer: Sublayer) -> bool:
    """Whether layer kinds alone describe the branches, because names follow from kinds and all have the same norms."""
    first = sublayer.branches[0]
    if any(branch.name in SUBLAYER_KEYS or branch.layer.kind() in SUBLAYER_KEYS for branch in sublayer.branches):
        return False
    if len(sublayer.branches) == 1:
        return first.name == sublayer.name
    return all(
        _names_kind(branch.name, branch.layer)
        and (branch.pre, branch.post, branch.joins) == (first.pre, first.post, "")
        for branch in sublayer.branches
    )


def _branch(branch: Branch, stack: Stack) -> dict[str, Any]:
    norms = {"pre": branch.pre, "post": branch.post}
    around = {place: {norm.kind(): _fields(norm, stack)} for place, norm in norms.items() if norm}
    late = {"joins": branch.joins} if branch.joins else {}
    return {branch.layer.kind(): _fields(branch.layer, stack), **around, **late}


def _names_kind(name: str, layer: Layer) -> bool:
    """Whether a branch's name is the layer's kind or an alias of it."""
    try:
        return layers.find(name)[0] is type(layer)
    except UnknownNameError:
        return False


def _fields(layer: Layer, stack: Stack, key: str = "") -> dict[str, Any]:
    usual = {"d_model": stack.d_model, **(layers.find(key)[1] if key else {})}
    data = {}
    for entry in fields(layer):
        value = getattr(layer, entry.name)
        default = usual.get(entry.name, entry.default)
        if default is MISSING or value != default:
            data[entry.name] = list(value) if isinstance(value, tuple) else value
    return data
