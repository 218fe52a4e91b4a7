"""``llmcalc presets``: find and read the models that are known by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..options import JSON, OUTPUT, SET
from ..spec import Argument, Command, Option

if TYPE_CHECKING:
    from ...core.architecture import Architecture

NAME = Argument("name", "Name or alias of a preset.", complete="models")
WORDS = Argument(
    "words", "Parts of names, kinds (moe, mamba, encoder), years (2024, '>=2023') and sizes ('>10b', 1b-8b).", 1, True
)
RESOLVED = Option(
    "--resolved", "resolved", "Print one model, with bases, variables and defaults filled in.", kind=bool, default=False
)


def list_presets(form: str | None, as_json: bool) -> int:
    """List all presets."""
    from ...report.presets import list_document, summaries
    from ..output import chosen_format, warn, write

    chosen = chosen_format(form, as_json)
    presets, broken = summaries()
    warn(broken)
    write(list_document(presets), chosen)
    return 0


def search_presets(words: list[str], form: str | None, as_json: bool) -> int:
    """Exit code 1 if nothing matches."""
    from ...report.presets import search_document, summaries
    from ...report.search import search
    from ..output import chosen_format, warn, write

    chosen = chosen_format(form, as_json)
    presets, broken = summaries()
    warn(broken)
    found = list(search(words, presets))
    write(search_document(words, found), chosen)
    return 0 if found else 1


def show_preset(name: str, resolved: bool, overrides: list[str], as_json: bool) -> int:
    """Print a preset file, or the resolved model."""
    from ...core.errors import InputError
    from ...schema.catalogue import find, read_preset, read_text
    from ..output import write_text

    if overrides and not resolved:
        raise InputError("applies to a resolved model, not to its file", parameter="overrides", hint="add {resolved}")
    if resolved:
        from ...api.load import load

        architecture = load(name, overrides=overrides)
        write_text(_as_json(architecture) if as_json else _as_yaml(architecture))
        return 0
    file = find(name).file
    write_text(_file_as_json(name, read_preset(file), str(file)) if as_json else read_text(file))
    return 0


def locate_preset(name: str, form: str | None, as_json: bool) -> int:
    """Print the file of a preset."""
    from ...report.presets import where_document
    from ...schema.catalogue import find
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    write(where_document(name, find(name)), chosen)
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


COMMANDS = (
    Command("presets list", OUTPUT, list_presets, "llmcalc presets list"),
    Command("presets search", (WORDS, *OUTPUT), search_presets, "llmcalc presets search moe '>100b'"),
    Command("presets show", (NAME, RESOLVED, SET, JSON), show_preset, "llmcalc presets show gpt3 --resolved"),
    Command("presets where", (NAME, *OUTPUT), locate_preset, "llmcalc presets where gpt3"),
)
