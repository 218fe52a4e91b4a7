"""An architecture as the text of a preset file that loads to the same architecture."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from ..core.architecture import Architecture
from ..core.errors import LlmcalcError
from ..core.record import fields
from .concise import concise
from .describe import describe
from .facts import to_entry
from .preset import load_text
from .yaml_writer import write

_OWN = ("name", "title", "notes", "warnings", "inputs")  # what a copy has of its own
_ORDER = (
    "name",
    "title",
    "family",
    "source",
    "status",
    "layout",
    "variables",
    "architecture",
    "sizes",
    "expect",
    "facts",
)


def preset_text(architecture: Architecture, name: str, comment: tuple[str, ...] = ()) -> str:
    """A preset of one model, called ``name``, with lines of comment at its head.

    What warns of the model becomes notes of the preset; what is published of it goes with it.

    Raises:
        LlmcalcError: the text would not load to the same architecture; this is a bug.
    """
    data = concise(describe(architecture))
    family = data.get("family")
    told = [*architecture.warnings, *architecture.notes]
    data |= {
        "name": name,
        "title": architecture.title or architecture.name,
        "family": family if family != name else None,
        "notes": {"all": told},
        "facts": {"all": [to_entry(fact) for fact in architecture.facts]},
    }
    if architecture.expect:
        size = _size(architecture)
        data |= {"sizes": {size: data.pop("variables", {})}}
        data["expect"] = {size: [to_entry(figure) for figure in architecture.expect]}
    kept = {key: data[key] for key in (*_ORDER, "unmodelled", "notes") if data.get(key) and data[key] != {"all": []}}
    text = write(kept, comment)
    _check(architecture, load_text(text, f"{name}.yaml"))
    return text


def _size(architecture: Architecture) -> str:
    """What its preset calls the size of a model: its name without the file's."""
    stem = PurePath(str(architecture.inputs.get("file", ""))).stem
    return architecture.name.removeprefix(f"{stem}-")


def _check(wanted: Architecture, found: Architecture) -> None:
    compared: list[str] = [field.name for field in fields(wanted) if field.name not in _OWN]
    values: list[tuple[Any, Any]] = [(getattr(wanted, name), getattr(found, name)) for name in compared]
    different = [name for name, (own, other) in zip(compared, values, strict=True) if own != other]
    if different:
        raise LlmcalcError(f"a preset of {wanted.name} would differ in {' and '.join(different)}; please report this")
