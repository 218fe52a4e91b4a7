"""mkdocs hook that generates a page for every layer kind, and tables of axes, functions and constants."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
if (ROOT / "llmcalc").is_dir():
    sys.path.insert(0, str(ROOT))

from llmcalc import layers  # noqa: E402
from llmcalc.analysis.quantity import values  # noqa: E402
from llmcalc.core.architecture import declare  # noqa: E402
from llmcalc.core.axes import GLOSSARY, WORKLOAD, read_axes  # noqa: E402
from llmcalc.core.declaration import Declaration  # noqa: E402
from llmcalc.core.functions import FUNCTIONS  # noqa: E402
from llmcalc.data import table as data  # noqa: E402
from llmcalc.estimate.scaling.law import COMPUTE, COUNTS, LETTERS, TOKENS  # noqa: E402
from llmcalc.inputs.scaling_laws import laws  # noqa: E402
from llmcalc.report.catalogues import FORMULAS, LAW_CHECKED  # noqa: E402
from llmcalc.report.published_figures import cite  # noqa: E402
from llmcalc.schema.field_descriptions import field_descriptions, summary  # noqa: E402
from llmcalc.schema.json_schema import parts_of  # noqa: E402
from llmcalc.testing import is_required, smallest  # noqa: E402

FOLDER = "kinds"
DIVISIONS = {
    "tensor": "tensor-parallel ranks divide {}",
    "replicated": "tensor-parallel ranks divide {}, or replicate it if it is shorter than the number of ranks",
    "vocabulary": "tensor-parallel ranks divide {}, padded to a multiple of the number of ranks",
    "expert": "expert-parallel ranks divide {}",
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add every kind to the navigation."""
    pages = [{kind.replace("_", " "): f"{FOLDER}/{kind}.md"} for kind in layers.kinds()]
    assert config.nav is not None
    config.nav.append({"Layer reference": [{"all": f"{FOLDER}/index.md"}, *pages]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Generate the pages."""
    for kind in layers.kinds():
        files.append(File.generated(config, f"{FOLDER}/{kind}.md", content=page(kind)))
    files.append(File.generated(config, f"{FOLDER}/index.md", content=index()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace placeholders such as ``<!-- axes -->`` with tables."""
    for name, made in TABLES.items():
        markdown = markdown.replace(f"<!-- {name} -->", made()) if f"<!-- {name} -->" in markdown else markdown
    return markdown


def table(head: list[str], rows: list[list[str]]) -> str:
    """Render a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def axes() -> str:
    """Render the glossary of axes."""
    rows = [[f"`{symbol}`", "", meaning, ""] for symbol, meaning in WORKLOAD.items()]
    rows += [[f"`{symbol}`", f"`{name}`", meaning, ""] for symbol, (name, meaning) in GLOSSARY.items()]
    for kind in layers.kinds():
        own = read_axes(vars(layers.find(kind)[0]).get("AXES", "").splitlines())
        rows += [[f"`{symbol}`", f"`{name}`", meaning, f"`{kind}`"] for symbol, (name, meaning) in own.items()]
    return table(["axis", "name", "meaning", "only in"], rows)


def quantities() -> str:
    """Render the definition of every value of a quantity."""
    rows = [[f"`{value.name}`", value.unit, *value.definition] for value in values()]
    return table(["name", "unit", "counts", "leaves out", "counted so by", "counted otherwise by"], rows)


def functions() -> str:
    """Render the costs of elementwise functions."""
    rows = [[f"`{name}`", str(item.flops), item.meaning, item.saves] for name, item in FUNCTIONS.items()]
    return table(["function", "FLOPs per element", "definition", "saved for the backward pass"], rows)


def forms() -> str:
    """Render the functional forms of scaling laws."""
    return table(["form", "formula"], [[f"`{name}`", f"`{formula}`"] for name, formula in FORMULAS.items()])


def scaling_laws() -> str:
    """Render every scaling law with its constants."""
    rows = []
    for one in laws().values():
        constants = ", ".join(f"{symbol} {value:.10g}" for symbol, value in one.constants.items())
        fitted = ", ".join(f"{LETTERS[name]} {_end(low)}–{_end(high)}" for name, (low, high) in one.range.items())
        rows.append([f"`{one.name}`", f"`{one.form}`", constants, fitted, cite(one.source), one.note])
    return table(["law", "form", "constants", "fitted on", "source", "note"], rows)


def law_meanings() -> str:
    """Render what the symbols of scaling laws mean, by key."""
    groups = (("N", COUNTS), ("D", TOKENS), ("C", COMPUTE))
    rows = [[symbol, f"`{key}`", text] for symbol, meanings in groups for key, text in meanings.items()]
    return table(["symbol", "key", "meaning"], rows)


def law_checks() -> str:
    """Render what each scaling law counts, and which published figures it reproduces."""
    rows = [
        [f"`{one.name}`", one.counts, one.tokens, one.compute, LAW_CHECKED[one.checked], one.example, one.gap]
        for one in laws().values()
    ]
    return table(["law", "N", "D", "C", "constants read in", "reproduces", "not reproduced"], rows)


def utilisations() -> str:
    """Render the published utilisation of accelerators."""
    rows = [
        [
            key,
            number_format,
            entry["count"],
            *(_share(entry.get(end)) for end in ("low", "mid", "high")),
            entry["of"],
            entry["source"],
        ]
        for key, formats in data("utilisation").items()
        for number_format, entry in formats.items()
    ]
    return table(["accelerator", "format", "count", "low", "mid", "high", "of", "source"], rows)


def energies() -> str:
    """Render the conventions for energy and emissions."""
    rows = [
        [
            f"`{name}`",
            entry["power"],
            str(entry["pue"]),
            str(entry["kg_per_kwh"]),
            entry["source"],
            entry.get("note", ""),
        ]
        for name, entry in data("energy").items()
    ]
    return table(["convention", "power", "PUE", "kg CO2e per kWh", "source", "note"], rows)


def _end(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.3g} %"


TABLES = {
    "quantities": quantities, "axes": axes, "functions": functions, "forms": forms, "laws": scaling_laws,
    "law meanings": law_meanings, "law checks": law_checks, "utilisation": utilisations,
    "energy": energies,
}  # fmt: skip


def index() -> str:
    """Render the list of kinds and their aliases."""
    kinds = [[f"[{kind}]({kind}.md)", _description(kind)] for kind in layers.kinds()]
    aliases = [
        [f"`{alias}`", f"[{kind}]({kind}.md)", ", ".join(f"`{key}: {value}`" for key, value in fixed.items())]
        for alias, (kind, fixed) in layers.ALIASES.items()
    ]
    parts = ["# Layer reference", table(["kind", "description"], kinds)]
    parts += ["Common names are aliases for a kind with some fields fixed:"]
    return "\n\n".join([*parts, table(["name", "kind", "fields"], aliases)]) + "\n"


def page(kind: str) -> str:
    """Render the page of a kind: its equation, its fields, and its declaration with default values."""
    found, _ = layers.find(kind)
    first, rest = _about(kind)
    layer = found(**smallest(kind))
    parts = [f"# {kind.replace('_', ' ')}", first, rest, _code(summary(found)), "## Fields", _fields(found)]
    for part in parts_of(found):
        parts += [f"### {part.kind()}", _code(summary(part)), _fields(part)]
    parts += ["## Declaration", f"With all optional fields at their defaults: `{layer}`."]
    for path, declaration in declare(layer).walk():
        parts += [f"### Part: {'.'.join(path)}"] if path else []
        parts += list(_declared(declaration))
    return "\n\n".join(filter(None, parts)) + "\n"


def _about(kind: str) -> tuple[str, str]:
    """Return the first and the remaining paragraphs of a kind's module docstring, with brackets escaped."""
    found, _ = layers.find(kind)
    first, _, rest = (inspect.getdoc(sys.modules[found.__module__]) or "").partition("\n\n")
    return _plain(first), _plain(rest)


def _description(kind: str) -> str:
    """Return a short description of a kind, from its class if the module docstring describes several kinds."""
    found, _ = layers.find(kind)
    return _code(summary(found).partition("\n\n")[0]) if found.KIND else _about(kind)[0]


def _plain(text: str) -> str:
    return text.replace("[", "\\[").replace("``", "`")


def _code(text: str) -> str:
    return text.replace("``", "`")


def _fields(found: type[Any]) -> str:
    meaning = {name: text.replace("``", "`") for name, text in field_descriptions(found).items()}
    rows = []
    for entry in fields(found):
        default = "" if is_required(entry) else f"`{entry.default}`"
        choices = ", ".join(f"`{choice}`" for choice in found.CHOICES.get(entry.name, ()))
        kind = str(entry.type).replace(" | ", " or ")
        rows.append([f"`{entry.name}`", kind, default, meaning.get(entry.name, ""), choices])
    return table(["field", "type", "default", "meaning", "one of"], rows)


def _declared(declaration: Declaration) -> Iterator[str]:
    if declaration.tensors:
        rows = [
            [f"`{item.name}`", " · ".join(map(declaration.name_of, item.axes)), _marks(declaration, item)]
            for item in declaration.tensors
        ]
        yield table(["tensor", "axes", ""], rows)
    if divided := list(_divided(declaration)):
        yield f"Parallelism: {'; '.join(divided)}."
    yield "```text\n" + "\n".join(declaration.lines) + "\n```"
    lengths = {axis: size for axis, size in declaration.axes.items() if isinstance(size, str)}
    if lengths:
        yield "Lengths derived from the workload: " + ", ".join(f"`{a} = {t}`" for a, t in lengths.items()) + "."
    if declaration.states:
        states = (f"`{state.name}[{' '.join(state.axes)}]` ({state.role})" for state in declaration.states)
        yield "State between decode steps: " + ", ".join(states) + "."


def _divided(declaration: Declaration) -> Iterator[str]:
    """Yield the axes of weights that parallelism divides, such as ``tensor ranks divide n_heads``."""
    for division, text in DIVISIONS.items():
        axes = {
            axis for tensor in declaration.tensors for axis in tensor.axes if declaration.division(axis) == division
        }
        if axes:
            yield text.format(
                " and ".join(f"`{declaration.name_of(axis)}`" for axis in declaration.axes if axis in axes)
            )


def _marks(declaration: Declaration, item: Any) -> str:
    marks = [f"shared: {item.share}"] if item.share else []
    whole, used = map(declaration.name_of, item.active or ("", ""))
    marks += [f"{used} of {whole} are used per token"] if item.active else []
    marks += [word for word, present in {"buffer": item.buffer, "unused": item.unused}.items() if present]
    return "; ".join(marks + ([f"{item.table} table"] if item.table else []))
