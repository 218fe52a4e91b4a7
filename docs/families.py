"""mkdocs hook that generates a page for every model family, with its sizes, published figures and preset file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
if (ROOT / "llmcalc").is_dir():
    sys.path.insert(0, str(ROOT))

from llmcalc import load, params  # noqa: E402
from llmcalc.core.architecture import Architecture  # noqa: E402
from llmcalc.report import render  # noqa: E402
from llmcalc.report.document import Document, Table  # noqa: E402
from llmcalc.report.heading import structure, warnings  # noqa: E402
from llmcalc.report.numbers import exact, human  # noqa: E402
from llmcalc.report.published_figures import (  # noqa: E402
    cite,
    comparisons,
    published_table,
    training_table,
)
from llmcalc.report.search import kind_of  # noqa: E402
from llmcalc.schema import preset_files  # noqa: E402

FOLDER = "families"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add every family to the navigation."""
    pages = [{data["title"]: f"{FOLDER}/{file.stem}.md"} for file, data in presets()]
    assert config.nav is not None
    config.nav.append({"Models": [{"all": f"{FOLDER}/index.md"}, *pages]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Generate the pages."""
    for file, data in presets():
        files.append(File.generated(config, f"{FOLDER}/{file.stem}.md", content=page(file, data)))
    files.append(File.generated(config, f"{FOLDER}/index.md", content=index()))
    return files


def presets() -> list[tuple[Path, dict[str, Any]]]:
    """Return every shipped preset file with its contents, sorted by title."""
    files = sorted(Path(preset_files.shipped_folder()).glob("*.yaml"))
    return sorted(
        ((file, preset_files.read_preset(file)) for file in files), key=lambda item: str(item[1]["title"]).lower()
    )


def models(file: Path, data: dict[str, Any]) -> list[Architecture]:
    """Load every size of a family."""
    return [load(f"{file.stem}-{size}") for size in data["sizes"]]


def index() -> str:
    """Render the table of all models."""
    lines = ["# Models", "", "| model | year | kind | parameters | active |", "| --- | --- | --- | ---: | ---: |"]
    for file, data in presets():
        for model in models(file, data):
            count = params(model)
            active = human(count.active) if count.active != count.total else ""
            rumoured = "" if model.status == "published" else f" ({model.status})"
            cells = (f"[{model.name}]({file.stem}.md){rumoured}", data.get("year", ""), kind_of(model))
            lines.append(f"| {' | '.join(map(str, cells))} | {human(count.total)} | {active} |")
    return "\n".join([*lines, ""])


def page(file: Path, data: dict[str, Any]) -> str:
    """Render the page of a family: its source, sizes, published figures, notes and preset file."""
    found = models(file, data)
    parts = [f"# {data['title']}", *(f"**Warning:** {line}." for line in warnings(found[0]))]
    parts += [f"Source: {cite(found[0].source)}."] if found[0].source else []
    parts += ["## Sizes", _sizes(found), f"The name `{file.stem}` refers to `{load(file.stem).name}`."]
    parts += _figures(found)
    parts += _training(found)
    notes = dict.fromkeys(note for model in found for note in model.notes)
    parts += ["## Notes", "\n".join(f"- {note}" for note in notes)] if notes else []
    parts += ["## The preset", f"```yaml\n{file.read_text('utf-8')}```"]
    return "\n\n".join(parts) + "\n"


def _sizes(found: list[Architecture]) -> str:
    lines = ["| model | structure | parameters | active |", "| --- | --- | ---: | ---: |"]
    for model in found:
        count = params(model)
        active = exact(count.active) if count.active != count.total else ""
        lines.append(f"| `{model.name}` | {'<br>'.join(structure(model))} | {exact(count.total)} | {active} |")
    return "\n".join(lines)


def _figures(found: list[Architecture]) -> Iterator[str]:
    """Compare the published figures of each size with ours."""
    compared = [(model, comparisons(params(model), model.expect)) for model in found]
    if any(figures for _, figures in compared):
        yield "## Published figures"
    for model, figures in compared:
        if figures:
            yield f"### {model.name}"
            yield _markdown(published_table(figures))


def _training(found: list[Architecture]) -> Iterator[str]:
    """Render the published training facts of each size."""
    tables = {model.name: training_table(model) for model in found}
    if any(tables.values()):
        yield "## Training, as published"
    for name, table in tables.items():
        if table:
            yield f"### {name}: training"
            yield _markdown(table)


def _markdown(table: Table) -> str:
    """Render only the rows of a table."""
    lines = render(Document("", dict, tables=(table,)), "markdown").splitlines()
    return "\n".join(line for line in lines if line.startswith("|"))
