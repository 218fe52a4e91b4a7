"""The ``llmcalc presets`` commands for finding presets, and ``llmcalc timeline`` for listing models by year."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import InputError
from ..options import CHART_OUTPUT, COLOR, JSON, OUTPUT, SET, refuse
from ..output import Answer, printed, warn, write_text, write_yaml
from ..spec import Argument, Command, Option

NAME = Argument("name", "Preset name or alias.", complete="models")
KIND = Argument("kind", "Layer kind, such as mamba2 or gqa (default: list all).", least=0, complete="kinds")
WORDS = Argument(
    "words",
    "Search terms: name parts, kinds (moe, mamba, encoder), years (2024, '>=2023') or sizes ('>10b', 1b-8b).",
    1,
    True,
)
FILTER = Argument("words", "Search terms (see llmcalc presets search), such as llama or '>=2023'.", 0, True)
RESOLVED = Option("--resolved", "Print one model with bases, variables and defaults resolved.", kind=bool)
ALL = Option("--all", "Show every size (default: the largest of each family).", name="everything", kind=bool)


@printed
def list_presets() -> Answer:
    """List all presets."""
    from ...report.presets import list_document

    return list_document(_summaries())


@printed
def search_presets(words: list[str]) -> Answer:
    """Print the matching models. The exit code is 1 if no model matches."""
    from ...report.presets import search_document
    from ...report.search import search

    models = list(search(words, _summaries()))
    return search_document(words, models), bool(models)


@printed
def locate_preset(name: str) -> Answer:
    """Print the path of a preset file."""
    from ...report.presets import where_document
    from ...schema.preset_files import find

    return where_document(name, find(name))


@printed
def show_kinds(kind: str | None) -> Answer:
    """Describe one layer kind, or list all."""
    from ...report.kinds import kind_document, kinds_document

    return kind_document(kind) if kind else kinds_document()


@printed
def show_timeline(words: list[str], everything: bool) -> Answer:
    """Print the matching models by year. The exit code is 1 if no model matches."""
    from ...report.search import search
    from ...report.timeline import points, timeline_document

    if words:
        refuse((ALL,), {"everything": everything}, "on a search, which shows every size")
    presets, everything = _summaries(), everything or bool(words)
    models = list(points(presets, everything))
    if words:
        matching = {model.name for model in search(words, presets)}
        models = [model for model in models if model.name in matching]
    return timeline_document(models, everything), bool(models)


def _summaries() -> list[dict[str, Any]]:
    """Return summaries of all presets, and print a warning for each unreadable file."""
    from ...report.preset_summaries import summaries

    presets, errors = summaries()
    warn(errors)
    return presets


def show_preset(name: str, resolved: bool, overrides: list[str], as_json: bool, color: str) -> int:
    """Print a preset file or a resolved model."""
    from ...report.heading import model_inputs
    from ...report.json_envelope import envelope
    from ...schema.preset_files import find, read_preset, read_text

    if overrides and not resolved:
        raise InputError("applies only to resolved models", parameter="overrides", hint="add {resolved}")
    if resolved:
        from ...inputs.models import read_model
        from ...schema.describe import describe

        architecture = read_model(name, overrides=overrides)
        data, inputs = describe(architecture), {**model_inputs(architecture), "resolved": True}
    else:
        file = find(name).file
        data, inputs = read_preset(file), {"model": name, "file": file, "resolved": False}
    if as_json:
        import json

        from ...core.printable import escaped_json

        write_text(escaped_json(json.dumps(envelope("presets show", inputs, data), indent=2, ensure_ascii=False)))
    elif resolved:
        import yaml

        write_yaml(str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)), color)
    else:
        write_yaml(read_text(file).rstrip("\n") + _where_the_blocks_are(name, data), color)
    return 0


def _where_the_blocks_are(name: str, data: Mapping[str, Any]) -> str:
    """Return a comment on where the blocks of a preset are described that inherits them from its base."""
    if "architecture" in data or "base" not in data:
        return ""
    return (
        f"\n# the blocks are those of its base: llmcalc presets show {data['base']}"
        f"\n# this model in one file: llmcalc import {name}"
    )


COMMANDS = (
    Command("presets list", OUTPUT, list_presets),
    Command("presets search", (WORDS, *CHART_OUTPUT), search_presets),
    Command("presets show", (NAME, RESOLVED, SET, JSON, COLOR), show_preset),
    Command("presets kinds", (KIND, *OUTPUT), show_kinds),
    Command("presets where", (NAME, *OUTPUT), locate_preset),
    Command("timeline", (FILTER, ALL, *CHART_OUTPUT), show_timeline),
)
