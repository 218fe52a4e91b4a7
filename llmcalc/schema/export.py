"""Export of architectures as readable preset files.

The preset uses layer aliases, shared norms, block patterns and variables, and loads to the same architecture.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from .. import layers
from ..core.architecture import PREDICTION_LAYERS, Architecture
from ..core.errors import InputError, LlmcalcError
from ..core.layer import Layer
from ..core.record import fields
from .build import ROLES, STACK_FLAGS, STACK_NUMBERS
from .describe import describe, write_layer
from .facts import DTYPES, STATUSES, to_entry
from .order import shortest_order
from .preset import load_text
from .yaml_writer import write

_OWN = ("name", "title", "notes", "warnings", "inputs")  # fields that may differ between an architecture and its preset
_ORDER = (
    "name", "title", "family", "source", "status", "layout", "variables", "kinds", "architecture", "sizes", "expect",
    "facts", "checkpoint", "encoder", "prediction", "unmodelled", "notes", "remarks",
)  # fmt: skip
_ALIASES: dict[str, tuple[str, ...]] = {
    "attention": ("cross_attention", "mqa", "mha", "gqa"),
    "mlp": ("swiglu", "geglu", "reglu"),
    "norm": ("layernorm", "rmsnorm"),
}
_MIN_USES = 2
PUBLISHED = STATUSES[0]
_STANDARD_VARIABLES = (
    "n_layers", "d_model", "n_heads", "n_kv_heads", "d_head", "d_ff", "n_experts", "top_k", "vocab", "n_positions",
)  # fmt: skip
_ROW_VARIABLES = {"token": "vocab", "position": "n_positions", "segment": "n_segments"}
_ORDER_KEYS = ("times", "length")
_STREAM_FIELDS = ("d_in", "d_out")

Place = tuple[dict[str, Any], str]


def preset_text(architecture: Architecture, name: str, comment: tuple[str, ...] = ()) -> str:
    """Return the text of a preset called ``name`` for one model, with comment lines at the top.

    Warnings become notes of the preset. Published figures, facts and formats are preserved.
    """
    data = concise(architecture)
    family = data.get("family")
    notes = [*architecture.warnings, *(note for note in architecture.notes if note not in architecture.remarks)]
    data |= {
        "name": name,
        "title": architecture.title or architecture.name,
        "family": family if family != name else None,
        "notes": {"all": notes},
        "remarks": {"all": list(architecture.remarks)},
        "facts": {"all": [to_entry(fact) for fact in architecture.facts]},
        "checkpoint": _checkpoint(architecture.inputs),
        "encoder": _encoder(architecture.inputs),
        "prediction": {"all": found} if (found := architecture.inputs.get(PREDICTION_LAYERS)) else {},
    }
    if architecture.expect:
        stem = PurePath(str(architecture.inputs.get("file", ""))).stem
        size = architecture.name.removeprefix(f"{stem}-")
        data |= {"sizes": {size: data.pop("variables", {})}}
        data["expect"] = {size: [to_entry(figure) for figure in architecture.expect]}
    kept = {key: data[key] for key in _ORDER if data.get(key) and data[key] != {"all": []}}
    text = write(kept, comment)
    found = load_text(text, f"{name}.yaml")
    compared: list[str] = [field.name for field in fields(found) if field.name not in _OWN]
    wrong = [one for one in compared if getattr(architecture, one) != getattr(found, one)]
    if wrong:
        message = f"the preset of {architecture.name} would differ in {' and '.join(wrong)}; please report this bug"
        raise LlmcalcError(message)
    return text


def _checkpoint(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the formats of a quantised checkpoint, or nothing for other models and for parts of multimodal models."""
    method, dtype = inputs.get("quantization"), inputs.get("dtype")
    if not method or inputs.get("quantization_within"):
        return {}
    known = {"dtype": dtype} if dtype in DTYPES else {}
    return {"all": {"source": str(inputs.get("file") or "config.json"), **known, "quantization_config": dict(method)}}


def _encoder(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the config of the image encoder, or nothing for other models."""
    config = inputs.get("encoder")
    return {"all": {"source": str(inputs.get("file") or "config.json"), "config": config}} if config else {}


def concise(architecture: Architecture) -> dict[str, Any]:
    """Return preset data that uses aliases, shared norms, block patterns and variables."""
    data = describe(architecture, name_and_fields)
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
    parts = [part for block in data["blocks"].values() for part in block.values()]
    around = [part.pop("norms", {}) for part in parts]
    norms: dict[str, Any] = max(around, key=around.count, default={})
    norms = norms if around.count(norms) >= _MIN_USES else {}  # the norms of most sub-layers
    for part, own in zip(parts, around, strict=True):
        part |= {"norms": own} if own != norms else {}
    short = {
        "d_model": data["d_model"],
        "role": data["role"] if ROLES.get(name, "decoder") != data["role"] else None,
        **{key: data[key] for key in (*STACK_NUMBERS, *STACK_FLAGS) if key in data},
        "tokens": data.get("tokens"),
        "norms": norms,
        "inputs": data["inputs"],
        "blocks": data["blocks"],
        "order": shortest_order(data["order"]),
        "outputs": data["outputs"],
    }
    return {key: value for key, value in short.items() if value}


def name_and_fields(layer: Layer, width: int, alias: str = "") -> tuple[str, dict[str, Any]]:
    """Return the alias or kind of a layer, and the fields to write in a stack of the given width."""
    kind = layer.kind()
    name = alias or next((other for other in _ALIASES.get(kind, ()) if _has_alias(other, layer)), kind)
    return name, _fields(name, layer, width)


def explicit_fields(layer: Layer, width: int) -> dict[str, Any]:
    """Return the layer fields that cannot be derived from the kind, the other fields or the stack width."""
    return _fields(layer.kind(), layer, width)


def _has_alias(alias: str, layer: Layer) -> bool:
    """Return whether a layer matches an alias."""
    if layer.kind() == "norm":
        return getattr(layer, "function", "") == alias
    if alias == "mha" and getattr(layer, "n_kv_heads", 0) != getattr(layer, "n_heads", 0):
        return False
    return all(getattr(layer, name) == value for name, value in layers.resolve_alias(alias)[1].items())


def _fields(kind: str, layer: Layer, width: int) -> dict[str, Any]:
    """Return the non-default fields that cannot be derived from other fields."""
    _, explicit = write_layer(layer, width, kind)
    for entry in fields(layer):
        if entry.name in explicit and entry.default is None:
            rest = {name: value for name, value in explicit.items() if name != entry.name}
            if _is_derived(kind, rest, width, layer):
                explicit = rest
    for name in layer.PARTS:
        for key in [*explicit[name]] if isinstance(explicit.get(name), dict) else ():
            inner = {other: value for other, value in explicit[name].items() if other != key}
            if _is_derived(kind, {**explicit, name: inner}, width, layer):
                explicit[name] = inner or True
    return explicit


def _is_derived(kind: str, values: dict[str, Any], width: int, layer: Layer) -> bool:
    fixed = layers.resolve_alias(kind)[1]
    usual = {"d_model": width} if any(entry.name == "d_model" for entry in fields(layer)) else {}
    try:
        return type(layer)(**{**usual, **fixed, **values}) == layer
    except InputError:
        return False


class _Size:
    """A number that may become a variable, with its name, stack, layer kind and position."""

    def __init__(self, name: str, stack: str, kind: str, place: Place, before: int = 0) -> None:
        self.name, self.stack, self.kind, self.place, self.before = name, stack, kind, place, before
        self.value: int = place[0][place[1]] + before


def extract_variables(stacks: dict[str, Any]) -> dict[str, int]:
    """Replace sizes in ``stacks`` with variables, and return the variables.

    A variable is named after its field. If the values differ, the stack name (except for the first stack) and the
    layer kind are added as prefixes. Sizes that differ within a kind remain numbers.
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
    ranked = sorted(variables, key=lambda name: [*_STANDARD_VARIABLES, name].index(name))
    return {name: variables[name] for name in ranked}


def _group_by_variable(name: str, group: list[_Size]) -> dict[str, list[_Size]]:
    """Group the sizes of one field by variable name."""
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
    for part in ("inputs", "blocks", "outputs"):
        yield from _layer_sizes(name, stack.get(part, {}), width)


def _lengths(name: str, order: Any) -> Iterator[_Size]:
    """Yield the total layer count if the last count of a block order can become a variable."""
    items = order if isinstance(order, list) else [order]
    last = items[-1] if items else None
    if isinstance(last, dict) and not any(isinstance(item, dict) for item in items[:-1]):
        before = sum(int(str(item).partition(" * ")[2] or 1) for item in items[:-1])
        for key in _ORDER_KEYS:
            if key in last:
                yield _Size("n_layers", name, "", (last, key), before)


def _layer_sizes(stack: str, data: Any, width: int) -> Iterator[_Size]:
    """Yield the integer fields of all layers. Input and output widths equal to the stream width are named d_model."""
    for key, value in data.items():
        if not isinstance(value, dict):
            continue
        if not _has_fields(key, value):
            yield from _layer_sizes(stack, value, width)
            continue
        kind = layers.resolve_alias(key)[0]
        for field, size in value.items():
            if type(size) is int and field != "d_model":
                joins = field in _STREAM_FIELDS and size == width
                title = "d_model" if joins else field
                if kind == "embedding" and field == "rows":
                    title = _ROW_VARIABLES.get(value.get("table", "token"), "rows")
                yield _Size(title, stack, "" if joins else kind, (value, field))


def _has_fields(name: str, data: dict[str, Any]) -> bool:
    """Return whether the data contains the fields of a layer kind, rather than named layers."""
    if any(isinstance(value, dict) for value in data.values()):
        known = layers.ALIASES.get(name, (name,))[0] in layers.kinds()
        return known and data.keys() <= {entry.name for entry in fields(layers.find(name)[0])}
    return bool(data)
