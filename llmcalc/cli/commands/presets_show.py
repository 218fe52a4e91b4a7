"""``llmcalc presets show NAME``: a preset as it is written, or with everything resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..options import JSON, SET
from ..spec import Command, Option
from .presets_where import NAME

if TYPE_CHECKING:
    from ...core.architecture import Architecture

RESOLVED = Option(
    "--resolved",
    "resolved",
    "Print the one model that is meant, with bases, variables and defaults filled in.",
    kind=bool,
    default=False,
)


def run(name: str, resolved: bool, overrides: list[str], as_json: bool) -> int:
    """Read, and print."""
    from ...core.errors import InputError
    from ...schema.catalogue import find, read_preset, read_text
    from ..output import write_text

    if overrides and not resolved:
        raise InputError("--set changes a model, not its file", hint="add --resolved to see the changed model")
    if resolved:
        from ...api.load import load

        architecture = load(name, overrides=overrides)
        write_text(_as_json(architecture) if as_json else _as_yaml(architecture))
        return 0
    file = find(name).file
    write_text(_file_as_json(name, read_preset(file), str(file)) if as_json else read_text(file))
    return 0


def _as_yaml(architecture: Architecture) -> str:
    import yaml

    from ...schema.describe import describe

    text = yaml.safe_dump(describe(architecture), sort_keys=False, allow_unicode=True, width=110)
    assert isinstance(text, str)
    return text


def _as_json(architecture: Architecture) -> str:
    import json

    from ...report.json_envelope import envelope, model_inputs
    from ...schema.describe import describe

    inputs = {**model_inputs(architecture), "resolved": True}
    return json.dumps(envelope("presets show", inputs, describe(architecture)), indent=2, ensure_ascii=False)


def _file_as_json(name: str, data: dict[str, Any], file: str) -> str:
    import json

    from ...report.json_envelope import envelope

    inputs = {"model": name, "file": file, "resolved": False}
    return json.dumps(envelope("presets show", inputs, data), indent=2, ensure_ascii=False)


COMMAND = Command(
    "presets show",
    "Print a preset, as written or resolved.",
    (NAME, RESOLVED, SET, JSON),
    run,
    "llmcalc presets show gpt3 --resolved",
)
