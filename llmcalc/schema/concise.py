"""Shortens the output of ``describe`` to a preset as a person would write it: aliases, shared norms and variables.

The short preset loads to the same architecture.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from .. import layers
from ..core.errors import InputError
from ..core.layer import Layer
from ..core.record import fields
from .build import BRANCH_KEYS, BRANCH_NORMS, ROLES, STACK_FLAGS, STACK_NUMBERS, SUBLAYER_KEYS, SUM_KEYS
from .facts import STATUSES
from .order import shortest_order

_ALIASES: dict[str, tuple[str, ...]] = {
    "attention": ("cross_attention", "mqa", "mha", "gqa"),
    "mlp": ("swiglu", "geglu", "reglu"),
    "norm": ("layernorm", "rmsnorm"),
}
_MIN_USES = 2
PUBLISHED = STATUSES[0]
_STANDARD_VARIABLES = (
    "n_layers",
    "d_model",
    "n_heads",
    "n_kv_heads",
    "d_head",
    "d_ff",
    "n_experts",
    "top_k",
    "vocab",
    "n_positions",
)
_ROW_VARIABLES = {"token": "vocab", "position": "n_positions", "segment": "n_segments"}
_ORDER_KEYS = ("times", "length")
_STREAM_FIELDS = ("d_in", "d_out")

Place = tuple[dict[str, Any], str]


def concise(data: dict[str, Any]) -> dict[str, Any]:
    """The data of a preset with aliases, shared norms, patterns of blocks and variables."""
    body = data["architecture"]
    stacks = {name: _stack(name, stack) for name, stack in body["stacks"].items()}
    extras = {name: {**extra, "stack": _stack(name, extra["stack"])} for name, extra in body.get("extras", {}).items()}
    variables = extract_variables(stacks)
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
    norms = _common_norms(blocks)
    for block in blocks.values():
        for part in block.values():
            _omit_norms(part, norms)
    short = {
        "d_model": width,
        "role": data["role"] if ROLES.get(name, "decoder") != data["role"] else None,
        **{key: data[key] for key in (*STACK_NUMBERS, *STACK_FLAGS) if key in data},
        "tokens": data.get("tokens"),
        "norms": norms,
        "inputs": _short_layers(data["inputs"], width),
        "blocks": blocks,
        "order": shortest_order(data["order"]),
        "outputs": _short_layers(data["outputs"], width),
    }
    return {key: value for key, value in short.items() if value}


def _short_layers(data: dict[str, Any], width: int) -> dict[str, Any]:
    return {name: _short_layer(value, width) for name, value in data.items()}


def _sublayer(data: dict[str, Any], width: int) -> dict[str, Any]:
    kinds = [key for key in data if key not in SUBLAYER_KEYS]
    if len(kinds) == 1:
        found = _short_layer({kinds[0]: data[kinds[0]]}, width)
    else:  # each kind names its branch
        found = {key: _fields(key, _layer(key, data[key], width), width) for key in kinds}
    if "branches" in data:
        found["branches"] = {name: _short_branch(branch, width) for name, branch in data["branches"].items()}
    if "norms" in data:
        found["norms"] = _short_layers(data["norms"], width)
    return {**found, **{key: data[key] for key in SUM_KEYS if key in data}}


def _short_branch(branch: dict[str, Any], width: int) -> dict[str, Any]:
    """A branch: its layer kind and norms."""
    norms = {key: _short_layer(branch[key], width) for key in BRANCH_NORMS if key in branch}
    (kind,) = (key for key in branch if key not in BRANCH_KEYS)
    others = {key: branch[key] for key in BRANCH_KEYS if key in branch}
    return {**_short_layer({kind: branch[kind]}, width), **others, **norms}


def _common_norms(blocks: dict[str, Any]) -> dict[str, Any]:
    """The norms of most sub-layers, if several share them."""
    found = [part.get("norms", {}) for block in blocks.values() for part in block.values()]
    if not found:
        return {}
    best = max(found, key=found.count)
    return best if found.count(best) >= _MIN_USES else {}


def _omit_norms(part: dict[str, Any], usual: dict[str, Any]) -> None:
    """Remove the norms of a sub-layer if they are the common ones."""
    own = part.pop("norms", {})
    if own != usual:
        part["norms"] = own


def _layer(kind: str, values: dict[str, Any], width: int) -> Layer:
    found, fixed = layers.find(kind)
    usual = {"d_model": width} if any(entry.name == "d_model" for entry in fields(found)) else {}
    return found(**{**usual, **fixed, **values})


def _short_layer(data: dict[str, Any], width: int) -> dict[str, Any]:
    """``{kind: fields}`` under its most specific alias, without redundant fields."""
    ((kind, values),) = data.items()
    name, explicit = name_and_fields(_layer(kind, values, width), width)
    return {name: explicit}


def name_and_fields(layer: Layer, width: int) -> tuple[str, dict[str, Any]]:
    """A layer's most specific alias, and the fields to write in a stack of this width."""
    kind = layer.kind()
    name = next((alias for alias in _ALIASES.get(kind, ()) if _has_alias(alias, layer)), kind)
    return name, _fields(name, layer, width)


def explicit_fields(layer: Layer, width: int) -> dict[str, Any]:
    """The fields of a layer that do not follow from its kind, its other fields and the stack's width."""
    return _fields(layer.kind(), layer, width)


def _has_alias(alias: str, layer: Layer) -> bool:
    """Whether an alias describes a layer."""
    if layer.kind() == "norm":
        return getattr(layer, "function", "") == alias
    if alias == "mha" and getattr(layer, "n_kv_heads", 0) != getattr(layer, "n_heads", 0):
        return False
    return all(getattr(layer, name) == value for name, value in layers.find(alias)[1].items())


def _fields(kind: str, layer: Layer, width: int) -> dict[str, Any]:
    """The fields that neither are defaults nor follow from other fields."""
    found, fixed = layers.find(kind)
    usual = {entry.name: entry.default for entry in fields(found)} | {"d_model": width} | fixed
    explicit = {entry.name: getattr(layer, entry.name) for entry in fields(found)}
    explicit = {name: value for name, value in explicit.items() if usual[name] is not value and usual[name] != value}
    for entry in fields(found):
        if entry.name in explicit and entry.default is None:
            rest = {name: value for name, value in explicit.items() if name != entry.name}
            if _is_derived(kind, rest, width, layer):
                explicit = rest
    return {name: list(value) if isinstance(value, tuple) else value for name, value in explicit.items()}


def _is_derived(kind: str, values: dict[str, Any], width: int, layer: Layer) -> bool:
    try:
        return _layer(kind, values, width) == layer
    except InputError:
        return False


class _Size:
    """A number that may become a variable: its name, stack, layer kind and position."""

    def __init__(self, name: str, stack: str, kind: str, place: Place, before: int = 0) -> None:
        self.name, self.stack, self.kind, self.place, self.before = name, stack, kind, place, before
        self.value: int = place[0][place[1]] + before


def extract_variables(stacks: dict[str, Any]) -> dict[str, int]:
    """Replace sizes in ``stacks`` by variables, and return the variables.

    A variable has the name of its field. If stacks or kinds disagree, the name of the stack or kind is prefixed, except
    in the first stack. Sizes that differ within a kind stay numbers.
    """
    groups: dict[str, list[_Size]] = defaultdict(list)
    first = next((name for name, stack in stacks.items() if stack.get("role", ROLES.get(name)) == "decoder"), None)
    for name, stack in sorted(stacks.items(), key=lambda item: item[0] != first):
        for size in _stack_sizes(name, stack):
            groups[size.name].append(size)
    variables: dict[str, int] = {}
    for name, group in groups.items():
        for title, sizes in _group_by_variable(name, group).items():
            usual = name in _STANDARD_VARIABLES or len(sizes) >= _MIN_USES
            if usual and title not in variables and len({size.value for size in sizes}) == 1:
                variables[title] = sizes[0].value
                for size in sizes:
                    holder, key = size.place
                    holder[key] = f"${title} - {size.before}" if size.before else f"${title}"
    ranked = sorted(
        variables,
        key=lambda name: _STANDARD_VARIABLES.index(name) if name in _STANDARD_VARIABLES else len(_STANDARD_VARIABLES),
    )
    return {name: variables[name] for name in ranked}


def _group_by_variable(name: str, group: list[_Size]) -> dict[str, list[_Size]]:
    """The sizes of one field by the name of their variable."""
    if len({size.value for size in group}) == 1:
        return {name: group}
    found: dict[str, list[_Size]] = defaultdict(list)
    for stack in dict.fromkeys(size.stack for size in group):
        own = [size for size in group if size.stack == stack]
        alike = len({size.value for size in own}) == 1
        second = stack != group[0].stack
        for size in own:
            parts = [stack] * second + [size.kind] * (not alike and bool(size.kind)) + [name]
            found["_".join(parts)].append(size)
    return {title: sizes for title, sizes in found.items() if title.isidentifier()}


def _stack_sizes(name: str, stack: dict[str, Any]) -> Iterator[_Size]:
    width = stack["d_model"]
    yield _Size("d_model", name, "", (stack, "d_model"))
    yield from _lengths(name, stack.get("order"))
    parts = (stack.get("inputs", {}), stack.get("blocks", {}), stack.get("outputs", {}))
    for part in parts:
        yield from _layer_sizes(name, part, width)


def _lengths(name: str, order: Any) -> Iterator[_Size]:
    """The number of layers if an order ends with it, less the blocks before."""
    items = order if isinstance(order, list) else [order]
    last = items[-1] if items else None
    if isinstance(last, dict) and not any(isinstance(item, dict) for item in items[:-1]):
        before = sum(int(str(item).partition(" * ")[2] or 1) for item in items[:-1])
        for key in _ORDER_KEYS:
            if key in last:
                yield _Size("n_layers", name, "", (last, key), before)


def _layer_sizes(stack: str, data: Any, width: int) -> Iterator[_Size]:
    """The integer fields of all layers in ``data``; inputs and outputs of the stream's width count as d_model."""
    for key, value in data.items():
        if not isinstance(value, dict):
            continue
        if not value or any(isinstance(item, dict) for item in value.values()):
            yield from _layer_sizes(stack, value, width)
            continue
        kind = layers.find(key)[0].__module__.rpartition(".")[2]
        for field, size in value.items():
            if type(size) is int and field != "d_model":
                joins = field in _STREAM_FIELDS and size == width
                title = "d_model" if joins else _variable_name(kind, field, value)
                yield _Size(title, stack, "" if joins else kind, (value, field))


def _variable_name(kind: str, field: str, values: dict[str, Any]) -> str:
    if kind == "embedding" and field == "rows":
        return _ROW_VARIABLES.get(values.get("table", "token"), "rows")
    return field
