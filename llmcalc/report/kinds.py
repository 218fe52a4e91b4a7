"""Reports for ``presets kinds``: the layer kinds of presets, and the fields of one."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from ..core.description.structure import word
from ..core.errors import spelled
from ..core.functions import FUNCTIONS
from ..core.part import Part, nested_fields
from ..core.record import MISSING, fields
from ..layers import ALIASES, find, kinds
from ..schema.field_descriptions import field_descriptions, summary
from ..schema.json_schema import parts_of
from .document import Document, Fact, Table, columns
from .json_envelope import envelope

FIELDS = columns("field: name", "type or default", "meaning")


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
        notes=(spelled("llmcalc presets kinds KIND lists the fields of a kind"),),
    )


def kind_document(name: str) -> Document:
    """Build a report on one layer kind, with the fields of the kind and of its parts."""
    found, fixed = find(name)
    parts = parts_of(found)
    set_fields = "".join(f", {field} {value}" for field, value in fixed.items())
    data = {
        "kind": found.kind(), "description": _plain(summary(found)), "fixed": fixed, "fields": _described(found),
        "parts": {part.kind(): {"description": _plain(summary(part)), "fields": _described(part)} for part in parts},
    }  # fmt: skip
    return Document(
        f"{name}: {_short(found)}",
        lambda: envelope("presets kinds", {"kind": name}, data),
        facts=() if name == found.kind() else (Fact("same as", f"{found.kind()}{set_fields}"),),
        tables=(
            Table("fields", FIELDS, _rows(found)),
            *(Table(f"{part.kind()}: {_short(part)}", FIELDS, _rows(part)) for part in parts),
        ),
    )


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
