"""Variables for the sizes of a description: what ``--set`` can change, and what else would stand in many places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from .. import layers
from .build import ROLES

_ALWAYS = (
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
_ROWS = {"token": "vocab", "position": "n_positions", "segment": "n_segments"}
_ORDER_KEYS = ("times", "length")
_JOINING = ("d_in", "d_out")
_OFTEN = 2

Place = tuple[dict[str, Any], str]


class _Size:
    """A number that may become a variable: what it is called, in which stack and kind, and where it stands."""

    def __init__(self, name: str, stack: str, kind: str, place: Place, before: int = 0) -> None:
        self.name, self.stack, self.kind, self.place, self.before = name, stack, kind, place, before
        self.value: int = place[0][place[1]] + before


def replaced_by_variables(stacks: dict[str, Any]) -> dict[str, int]:
    """Variables for the sizes of ``stacks``, in which they are put in place of the numbers.

    A size is called by its field; where stacks, or kinds within one, disagree, the stack's or kind's name goes before,
    but for the first stack's. What differs even within a kind stays a number.
    """
    groups: dict[str, list[_Size]] = defaultdict(list)
    first = next((name for name, stack in stacks.items() if stack.get("role", ROLES.get(name)) == "decoder"), None)
    for name, stack in sorted(stacks.items(), key=lambda item: item[0] != first):
        for size in _sizes(name, stack):
            groups[size.name].append(size)
    variables: dict[str, int] = {}
    for name, group in groups.items():
        for title, sizes in _called(name, group).items():
            usual = name in _ALWAYS or len(sizes) >= _OFTEN
            if usual and title not in variables and len({size.value for size in sizes}) == 1:
                variables[title] = sizes[0].value
                for size in sizes:
                    holder, key = size.place
                    holder[key] = f"${title} - {size.before}" if size.before else f"${title}"
    ranked = sorted(variables, key=lambda name: _ALWAYS.index(name) if name in _ALWAYS else len(_ALWAYS))
    return {name: variables[name] for name in ranked}


def _called(name: str, group: list[_Size]) -> dict[str, list[_Size]]:
    """The sizes of one name by the name of their variable."""
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


def _sizes(name: str, stack: dict[str, Any]) -> Iterator[_Size]:
    width = stack["d_model"]
    yield _Size("d_model", name, "", (stack, "d_model"))
    yield from _lengths(name, stack.get("order"))
    parts = (stack.get("inputs", {}), stack.get("blocks", {}), stack.get("outputs", {}))
    for part in parts:
        yield from _fields(name, part, width)


def _lengths(name: str, order: Any) -> Iterator[_Size]:
    """The number of layers, where an order ends with it; what stands before it is subtracted."""
    items = order if isinstance(order, list) else [order]
    last = items[-1] if items else None
    if isinstance(last, dict) and not any(isinstance(item, dict) for item in items[:-1]):
        before = sum(int(str(item).partition(" * ")[2] or 1) for item in items[:-1])
        for key in _ORDER_KEYS:
            if key in last:
                yield _Size("n_layers", name, "", (last, key), before)


def _fields(stack: str, data: Any, width: int) -> Iterator[_Size]:
    """The whole numbers of all layers below, each ``{kind: {fields}}``; what joins the stream is as wide as it."""
    for key, value in data.items():
        if not isinstance(value, dict):
            continue
        if not value or any(isinstance(item, dict) for item in value.values()):
            yield from _fields(stack, value, width)
            continue
        kind = layers.find(key)[0].__module__.rpartition(".")[2]
        for field, size in value.items():
            if type(size) is int and field != "d_model":
                joins = field in _JOINING and size == width
                title = "d_model" if joins else _title(kind, field, value)
                yield _Size(title, stack, "" if joins else kind, (value, field))


def _title(kind: str, field: str, values: dict[str, Any]) -> str:
    if kind == "embedding" and field == "rows":
        return _ROWS.get(values.get("table", "token"), "rows")
    return field
