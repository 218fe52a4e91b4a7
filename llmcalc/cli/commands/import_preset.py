"""The ``llmcalc import`` command for writing a model to a preset file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..options import FORCE, MODEL, READING, load_model, refuse
from ..output import warn, write_text
from ..spec import Command, Option

if TYPE_CHECKING:
    from ...core.architecture import Architecture

STDOUT = "-"
TO = Option(
    "--output", f"Output file, such as mine.yaml (default: {STDOUT}, standard output).", "FILE", default=STDOUT,
    short="-o",
)  # fmt: skip


def run(model: str, output: str, force: bool, **given: Any) -> int:
    """Write the preset."""
    from ...report.heading import structure, warnings
    from ...schema.export import preset_text
    from ..files import write_file

    if output == STDOUT:
        refuse((FORCE,), {"force": force}, "on standard output")
    architecture = load_model(model, given)
    file = Path(output)
    name = _name(architecture.name if output == STDOUT else file.stem)
    text = preset_text(architecture, name, tuple(_comment(architecture, model)))
    warn(list(warnings(architecture)))
    if output == STDOUT:
        write_text(text)
        return 0
    write_file(file, text, force=force)
    write_text("\n".join((f"wrote {file}", *structure(architecture, is_full=True))))
    return 0


def _name(text: str) -> str:
    """Convert text to a valid preset name with letters, digits, periods and dashes.

    >>> _name("Qwen/Qwen3-8B (base)")
    'qwen-qwen3-8b-base'
    """
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "model"


def _comment(architecture: Architecture, model: str) -> list[str]:
    from ... import __version__
    from ...calc.params import params
    from ...core.description.fingerprint import fingerprint

    overrides = architecture.inputs.get("overrides", ())
    changed = f" with {', '.join(overrides)}" if overrides else ""
    source = "standard input" if model == STDOUT else model
    return [
        f"Imported from {source}{changed} by llmcalc {__version__}.",
        f"{params(architecture).total:,} parameters; {fingerprint(architecture)}",
    ]


COMMANDS = (Command("import", (MODEL, TO, FORCE, *READING), run),)
