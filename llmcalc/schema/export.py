"""An architecture as the text of a preset file that loads to the same architecture."""

from __future__ import annotations

from typing import Any

from ..core.architecture import Architecture
from ..core.errors import LlmcalcError
from .concise import concise
from .describe import describe
from .facts import written
from .preset import load_text
from .write import write

_SAME = ("stacks", "extras", "family", "source", "status", "layout", "expect")


def preset_text(architecture: Architecture, name: str, comment: tuple[str, ...] = ()) -> str:
    """A preset of one model, called ``name``, with lines of comment at its head.

    What warns of the model becomes notes of the preset; published figures go with it.

    Raises:
        LlmcalcError: the text would not load to the same architecture; this is a bug.
    """
    data = concise(describe(architecture))
    family, figures = str(data.pop("family", "")), [written(figure) for figure in architecture.expect]
    told = [*architecture.warnings, *architecture.notes]
    about = {
        "name": name,
        "title": architecture.title or architecture.name,
        **({"family": family} if family != name else {}),
    }
    rest = {key: value for key, value in data.items() if key not in ("name", "title", "notes")}
    if figures:
        size = architecture.name.removeprefix(f"{family}-")
        rest = _as_size(rest, size) | {"expect": {size: figures}}
    text = write({**about, **rest, **({"notes": {"all": told}} if told else {})}, comment)
    _check(architecture, load_text(text, f"{name}.yaml"))
    return text


def _as_size(data: dict[str, Any], size: str) -> dict[str, Any]:
    """The variables as those of a size: published figures are those of a size."""
    data = dict(data)
    return {"sizes": {size: data.pop("variables", {})}, **data}


def _check(wanted: Architecture, found: Architecture) -> None:
    different = [name for name in _SAME if getattr(wanted, name) != getattr(found, name)]
    if different:
        raise LlmcalcError(f"a preset of {wanted.name} would differ in {' and '.join(different)}; please report this")
