"""Text descriptions of an architecture's structure, based on the fields of its layers.

A *feature* is a field of a layer kind, such as ``n_heads`` of attention, and a count of blocks for each value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ..architecture import Architecture, Stack, declare, layer_glossary
from ..layer import Layer
from ..part import nested_fields
from ..printable import plural
from ..record import MISSING, NamedTuple, fields, record, remembered
from ..traits import role_fields
from ..type_names import Any

MOST_VALUES = 3
MAIN_ROLES = (  # of sizes, most important first
    "heads", "experts", "active_experts", "hidden", "vocabulary", "state_heads", "kv_heads", "head_widths", "windows",
)  # fmt: skip
MORE = "..."
NOTHING = "–"


class Key(NamedTuple):
    """A field of a layer kind."""

    kind: str
    field: str


@record
class Feature:
    """Values of a field and their block counts. ``usual`` marks defaults and sizes implied by other sizes. ``role`` is
    an attribute of ``Roles``, or empty.
    """

    values: dict[Any, int]
    size: bool
    usual: bool
    role: str = ""


Features = dict[Key, Feature]


def structure_line(stack: Stack, longest: int | None = None) -> str:
    """Describe a stack in one line, such as ``decoder: 96 layers · d_model 12288 · n_heads 96 · ...``.

    If the line would exceed ``longest`` characters, it has only sizes with a role in ``MAIN_ROLES``, as many as fit.
    """
    sizes = {key: feature for key, feature in features(stack, only_sizes=True).items() if not feature.usual}
    role = "encoder" if stack.role == "tower" else f"({stack.role})"
    name = stack.name if role.strip("()") in stack.name else f"{stack.name} {role}"
    first = f"{name}: {plural(stack.n_layers, 'layer')} · d_model {stack.d_model}"
    line = " · ".join([first, *_size_texts(sizes, stack)])
    if longest is None or len(line) <= longest:
        return line
    for n_roles in range(len(MAIN_ROLES), -1, -1):
        main = {key: size for key, size in sizes.items() if size.role in MAIN_ROLES[:n_roles]}
        line = " · ".join([first, *_size_texts(main, stack), MORE])
        if len(line) <= longest:
            break
    return line


def _size_texts(sizes: Features, stack: Stack) -> list[str]:
    return [f"{name} {text}" for name, text in label([sizes], [stack])[0].items()]


def side_by_side(models: Sequence[Architecture]) -> list[tuple[str, list[str]]]:
    """Return rows (feature, one text per model). There is one row for every size, and one for every other field that
    differs between models.
    """
    names = dict.fromkeys(_stack_name(model, stack) for model in models for stack in model.stacks)
    rows = []
    for name in sorted(names, key=bool):
        stacks = [next((s for s in model.stacks if _stack_name(model, s) == name), None) for model in models]
        prefix = f"{name} " if name else ""
        rows.append((f"{prefix}role" if name else "stack", [stack.role if stack else NOTHING for stack in stacks]))
        rows.extend((prefix + title, cells) for title, cells in _rows(stacks))
    return rows


def _stack_name(model: Architecture, stack: Stack) -> str:
    return "" if stack is model.main else stack.name


def _rows(stacks: Sequence[Stack | None]) -> Iterator[tuple[str, list[str]]]:
    yield "n_layers", [str(stack.n_layers) if stack else NOTHING for stack in stacks]
    yield "d_model", [str(stack.d_model) if stack else NOTHING for stack in stacks]
    found = [features(stack) if stack else {} for stack in stacks]
    telling = {key for own in found for key, feature in own.items() if feature.size and not feature.usual}
    for wanted in (True, False):
        chosen = [{key: feature for key, feature in own.items() if feature.size == wanted} for own in found]
        kept = telling if wanted else _different(chosen)
        chosen = [{key: feature for key, feature in own.items() if key in kept} for own in chosen]
        named = label(chosen, stacks, always_kind=not wanted)
        for title in dict.fromkeys(title for texts in named for title in texts):
            yield title, [texts.get(title, NOTHING) for texts in named]


def _different(found: Sequence[Features]) -> set[Key]:
    """Return the fields whose sets of values differ between models, regardless of block counts."""
    keys = {key for own in found for key in own}
    return {key for key in keys if len({frozenset(own[key].values) for own in found if key in own}) > 1}


def features(stack: Stack, *, only_sizes: bool = False) -> Features:
    """Return the features of a stack, or its sizes alone, starting with block features."""
    found: Features = {}
    known: dict[Layer, list[tuple[Key, Any, Feature]]] = {}
    for index, (_, applied) in stack.distinct_runs.items():
        seen = set()
        for _, layer in stack.runs[index].block.layers():
            if layer not in known:
                known[layer] = list(_fields(layer, only_sizes))
            for key, value, feature in known[layer]:
                if key.field == "d_model" and value == stack.d_model:
                    continue
                values = found.setdefault(key, feature).values
                if (key, value) not in seen:
                    seen.add((key, value))
                    values[value] = values.get(value, 0) + applied
    for _, layer in (*stack.inputs, *stack.outputs):
        for key, value, feature in _fields(layer, only_sizes):
            if not (key.field.startswith("d_") and value == stack.d_model):  # widths equal to the stream's are implied
                found.setdefault(key, feature).values.setdefault(value, 0)
    return found


def _fields(layer: Layer, only_sizes: bool) -> Iterator[tuple[Key, Any, Feature]]:
    sizes, kind = dict[str, int](), layer.kind()
    roles = {field: role for role, names in role_fields(type(layer)).items() for field in names}  # type: ignore[arg-type]
    for path, value, default, size in nested_fields(layer):
        if (only_sizes and not size) or (size and value is None):
            continue
        is_derived = default is None or (default is MISSING and "." in path)  # or required by a part
        usual = value == default or (
            is_derived and any(value == other and _sort(name) == _sort(path) for name, other in sizes.items())
        )
        if size:
            sizes[path] = value
        name = paper_name(layer, path, value) if size else path
        name = " ".join(name.split(".")[-2:])
        yield Key(kind, name), value, Feature({}, size, size and usual, roles.get(path, ""))


def _sort(name: str) -> str:
    """Return the category of a field (``width`` or ``number``), or the field name if neither category applies."""
    name = name.rpartition(".")[2]
    is_width = name.startswith("d_") or name == "dim" or name.endswith("_dim")
    return "number" if name.startswith("n_") else "width" if is_width else name


def paper_name(layer: Layer, field: str, value: int) -> str:
    """Return the name of the axis of length ``value`` if exactly one exists, or the field name otherwise."""
    names, lengths = remembered(layer, "_named_axes", None, lambda: _named_axes(layer))
    if field in names or field == "n_blocks":  # n_blocks shares its axis with state-space heads
        return field
    named = lengths.get(value, ())
    taken = {entry.name for entry in fields(layer)}
    return named[0] if len(named) == 1 and named[0] not in taken else field


def _named_axes(layer: Layer) -> tuple[frozenset[str], dict[int | str, list[str]]]:
    """Return the names of all axes of a layer, and the names of its own axes by length."""
    names = {axis: name for axis, (name, _) in layer_glossary(layer).items()}
    lengths: dict[int | str, list[str]] = {}
    for axis, length in declare(layer).axes.items():
        if axis in names:
            lengths.setdefault(length, []).append(names[axis])
    return frozenset(names.values()), lengths


def label(found: Sequence[Features], stacks: Sequence[Stack | None], always_kind: bool = False) -> list[dict[str, str]]:
    """Return a mapping from titles to texts for each feature set. A title includes the kind if the field is
    ambiguous.
    """
    unclear = {"d_model"}  # without a kind, d_model is the width of the stack
    for own in found:
        values: dict[str, Mapping[Any, int]] = {}
        for key, feature in own.items():
            if set(values.setdefault(key.field, feature.values)) != set(feature.values):
                unclear.add(key.field)
    named = []
    for own, stack in zip(found, stacks, strict=True):
        merged: dict[str, Counter[Any]] = {}
        for key, feature in own.items():
            title = f"{key.kind} {key.field}" if always_kind or key.field in unclear else key.field
            merged.setdefault(title, Counter()).update(feature.values)
        named.append({title: _text(counts, stack.n_layers if stack else 0) for title, counts in merged.items()})
    return named


def _text(values: Mapping[Any, int], n_layers: int) -> str:
    if len(values) > MOST_VALUES:
        try:
            return f"{min(values)}…{max(values)} ({len(values)} values)"
        except TypeError:
            return f"{len(values)} values"
    shown = (f"{word(value)} ×{count}" if 0 < count < n_layers else word(value) for value, count in values.items())
    return ", ".join(shown)


def word(value: Any) -> str:
    """Format a field value as text."""
    return {True: "yes", False: "no", None: "none"}[value] if value is None or type(value) is bool else str(value)
