"""Reports for ``presets kinds``: the layer kinds of presets, and the fields, equations, axes and state of one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, groupby
from typing import Any

from ..core.architecture import declare
from ..core.axes import WORKLOAD
from ..core.declaration import Declaration
from ..core.description.structure import word
from ..core.equation import read
from ..core.errors import spelled
from ..core.functions import FUNCTIONS
from ..core.layer import Layer
from ..core.ledger import entries
from ..core.part import Part, nested_fields
from ..core.record import MISSING, fields
from ..core.traits import glossary
from ..layers import ALIASES, find, kinds
from ..schema.field_descriptions import field_descriptions, summary
from ..schema.json_schema import parts_of
from ..schema.preset import load_file
from ..schema.preset_files import files_in, read_text, shipped_folder
from .document import Document, Fact, Table, columns
from .json_envelope import envelope

FIELDS = columns("field: name", "type or default", "meaning")
AXES = columns("axis: name", "name: name", "size", "divided by", "meaning")
RANKS = {  # that divide an axis, by the attribute of ``Parallel`` that lists it
    "tensor": "tp", "replicated": "tp, or whole", "vocabulary": "tp, padded", "expert": "ep", "null_experts": "ep",
}  # fmt: skip
RANKS_OF_TOKENS = {"b": "dp", "q": "cp"}
_RANKS = "equations and sizes of {}; pp divides blocks, and 'tp, or whole' is whole if it is shorter than the tp ranks"


def kinds_document() -> Document:
    """Build a report that lists all layer kinds, their common names, and the functions of equations."""
    described = {kind: _short(find(kind)[0]) for kind in kinds()}
    aliases = {name: {"kind": kind, "fields": fixed} for name, (kind, fixed) in ALIASES.items()}
    functions = {name: function.meaning for name, function in FUNCTIONS.items()}
    names = [
        (name, kind, ", ".join(f"{field} {value}" for field, value in fixed.items()))
        for name, (kind, fixed) in ALIASES.items()
    ]
    return Document(
        f"{len(described)} layer kinds",
        lambda: envelope("presets kinds", {}, {"kinds": described, "aliases": aliases, "functions": functions}),
        tables=(
            Table("", columns("kind: name", "description"), list(described.items())),
            Table("common names", columns("name: name", "kind: name", "with"), names),
            Table("functions of equations", columns("function: name", "definition"), list(functions.items())),
        ),
        notes=(spelled("llmcalc presets kinds KIND shows the fields, equations, axes and state of a kind"),),
    )


def kind_document(name: str) -> Document:
    """Build a report on one layer kind, with the fields of the kind and of its parts."""
    found, fixed = find(name)
    parts, (model, declared) = parts_of(found), _example(found, fixed)
    set_fields = "".join(f", {field} {value}" for field, value in fixed.items())
    data = {
        "kind": found.kind(), "description": _plain(summary(found)), "fixed": fixed, "fields": _described(found),
        "parts": {part.kind(): {"description": _plain(summary(part)), "fields": _described(part)} for part in parts},
        "example": model, "declarations": {name: _declared(each) for name, each in declared.items()},
    }  # fmt: skip
    return Document(
        f"{name}: {_short(found)}",
        lambda: envelope("presets kinds", {"kind": name}, data),
        facts=() if name == found.kind() else (Fact("same as", f"{found.kind()}{set_fields}"),),
        tables=(
            Table("fields", FIELDS, _rows(found)),
            *(table for name, each in declared.items() for table in _declaration_tables(name, _declared(each))),
            *(Table(f"{part.kind()}: {_short(part)}", FIELDS, _rows(part)) for part in parts),
        ),
        notes=(_RANKS.format(model),) if model else (),
    )


def _example(found: type[Layer], fixed: dict[str, Any]) -> tuple[str, dict[str, Declaration]]:
    """Return a shipped model with a kind, and the declarations of this layer and its inner layers by name.

    Of several layers, it is the one with the fewest inner layers, and with a state.
    """
    names = [found.kind(), *(alias for alias, (kind, _) in ALIASES.items() if kind == found.kind())]
    pattern = re.compile(rf"\b({'|'.join(names)}):")
    models = [load_file(file) for file in files_in(shipped_folder()).values() if pattern.search(read_text(file))]
    examples = (
        (model.name, {".".join(path): each for path, each in declare(entry.layer).walk()})
        for model in models
        for entry in entries(model)
        if type(entry.layer) is found and all(getattr(entry.layer, name) == fixed[name] for name in fixed)
    )
    return min(examples, key=lambda example: (len(example[1]), not example[1][""].states), default=("", {}))


def _declared(declaration: Declaration) -> dict[str, Any]:
    """Return the equations, axes and state of a declaration, without those of transformers' eager code only."""
    equations = [equation for equation in map(read, declaration.lines) if "torch" not in equation.tags]
    states = [state for state in declaration.states if "torch" not in state.tags]
    named = [operand.axes for equation in equations for operand in (equation.out, *equation.operands)]
    named += [tensor.axes for tensor in declaration.tensors]
    named += [state.axes for state in states]
    return {
        "equations": [equation.text for equation in equations],
        "axes": {axis: _axis(declaration, axis) for axis in dict.fromkeys(chain.from_iterable(named))},
        "state": [{"tensor": f"{state.name}[{' '.join(state.axes)}]", "role": state.role} for state in states],
    }


def _axis(declaration: Declaration, axis: str) -> dict[str, Any]:
    name, meaning = glossary(type(declaration.layer)).get(axis, ("", WORKLOAD.get(axis, "")))  # type: ignore[arg-type]
    ranks = RANKS.get(declaration.division(axis), RANKS_OF_TOKENS.get(axis, ""))
    return {"name": name, "size": declaration.axes.get(axis), "ranks": ranks, "meaning": meaning}


def _declaration_tables(part: str, declared: dict[str, Any]) -> Iterator[Table]:
    """Yield tables of the equations, the axes and the state of a layer, or of an inner layer named ``part``."""
    of_part = f" of {part}" if part else ""
    axes = [
        (axis, each["name"], str(each["size"] or ""), each["ranks"], each["meaning"])
        for axis, each in declared["axes"].items()
    ]
    states = [(state["tensor"], state["role"]) for state in declared["state"]]
    if declared["equations"]:
        yield Table("", columns(f"equations{of_part}: name"), [(line,) for line in declared["equations"]])
    yield Table(f"axes{of_part}", AXES, axes)
    if states:
        yield Table(f"state between decode steps{of_part}", columns("tensor", "role"), states)


def _described(found: type[Part]) -> dict[str, dict[str, Any]]:
    meaning = field_descriptions(found)
    return {
        entry.name: {
            "type": str(entry.type),
            "default": None if entry.default is MISSING else str(entry.default),
            "required": entry.default is MISSING,
            "meaning": _plain(meaning.get(entry.name, "")).removesuffix("."),
        }
        for entry in fields(found)
    }


def _rows(found: type[Part]) -> list[tuple[str, str, str]]:
    """Return the cells of one row per field, or per fields that follow each other and have the same meaning."""
    defaults = {entry.name: entry.default for entry in fields(found)}

    def usual(name: str, entry: dict[str, Any]) -> str:
        if entry["required"]:
            return f"{entry['type']}, required"
        default = defaults[name]
        if isinstance(default, Part):
            given = [(path, value) for path, value, *_ in nested_fields(default) if value is not None]
            return ", ".join(f"{path} {word(value)}" for path, value in given if word(value) not in ("", "no", "none"))
        return str(entry["type"] if entry["default"] in (None, "None") else entry["default"])

    rows = [(name, usual(name, entry), entry["meaning"]) for name, entry in _described(found).items()]
    alike = (list(same) for _, same in groupby(rows, key=lambda row: row[1:] if row[2] else row))
    return [(", ".join(row[0] for row in same), *same[0][1:]) for same in alike]


def _short(found: type[Part]) -> str:
    return _plain(" ".join(summary(found).partition("\n\n")[0].split())).removesuffix(".")


def _plain(text: str) -> str:
    return text.replace("``", "")
