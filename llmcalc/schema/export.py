"""Writes an architecture as a preset file that loads to the same architecture."""

from __future__ import annotations

from pathlib import PurePath

from ..core.architecture import Architecture
from ..core.errors import LlmcalcError
from ..core.record import fields
from .concise import concise
from .facts import to_entry
from .preset import load_text
from .yaml_writer import write

_OWN = ("name", "title", "notes", "warnings", "inputs")  # fields that differ between an architecture and its preset
_ORDER = (
    "name", "title", "family", "source", "status", "layout", "variables", "architecture", "sizes", "expect", "facts",
    "unmodelled", "notes",
)  # fmt: skip


def preset_text(architecture: Architecture, name: str, comment: tuple[str, ...] = ()) -> str:
    """The preset of one model, called ``name``, with comment lines at the top.

    Warnings become notes of the preset; published figures and facts are kept.
    """
    data = concise(architecture)
    family = data.get("family")
    notes = [*architecture.warnings, *architecture.notes]
    data |= {
        "name": name,
        "title": architecture.title or architecture.name,
        "family": family if family != name else None,
        "notes": {"all": notes},
        "facts": {"all": [to_entry(fact) for fact in architecture.facts]},
    }
    if architecture.expect:
        stem = PurePath(str(architecture.inputs.get("file", ""))).stem
        size = architecture.name.removeprefix(f"{stem}-")
        data |= {"sizes": {size: data.pop("variables", {})}}
        data["expect"] = {size: [to_entry(figure) for figure in architecture.expect]}
    kept = {key: data[key] for key in _ORDER if data.get(key) and data[key] != {"all": []}}
    text = write(kept, comment)
    _check(architecture, load_text(text, f"{name}.yaml"))
    return text


def _check(wanted: Architecture, found: Architecture) -> None:
    compared: list[str] = [field.name for field in fields(wanted) if field.name not in _OWN]
    different = [name for name in compared if getattr(wanted, name) != getattr(found, name)]
    if different:
        raise LlmcalcError(
            f"the preset of {wanted.name} would differ in {' and '.join(different)}; please report this bug"
        )
