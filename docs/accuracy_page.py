"""The text of docs/accuracy.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmcalc.analysis.evidence import evidence_of
from llmcalc.core.evidence import CLASSES
from llmcalc.inputs.measurements import Measurements, error_text, read_measurements
from llmcalc.report.evidence import summary_rows

INTRODUCTION = (
    "Parameters, contraction FLOPs and state are exact, and the tests check that they match the values computed "
    "with transformers and PyTorch. Training memory is modelled from the tensors that each equation saves. Saved "
    "activations agree with torch's memory tracker to within 1.4%, and peaks to within 0.3%. This comparison "
    "covers GPT-2, LLaMA, Mixtral (with grouped experts) and BERT with fused or eager attention and with or "
    "without recomputation. The tables below compare predictions with published measurements of other software."
)


def page(found: Mapping[str, Any], times: Mapping[str, Any], doors: Mapping[str, Any]) -> str:
    """Return the text of the page. ``times`` holds the errors of estimated times, and ``doors`` counts of answers."""
    measured = read_measurements(found)
    return "\n".join(
        (
            "# Accuracy\n",
            "<!-- written by docs/accuracy.py -->\n",
            f"{INTRODUCTION}\n",
            *_classes(),
            *_summary(measured),
            *(line for one in measured if one.rows for line in _table(one)),
            *(line for one in times.values() for line in _times(one)),
            *_doors(doors),
            *_scripts([one for one in measured if not one.rows]),
        )
    )


def _classes() -> Iterator[str]:
    yield "## Classes of evidence\n"
    yield (
        "Every result names the class of each value (`result.evidence` in Python, `evidence` in `--json`). Values that "
        "combine several have the weakest class, and every value of a model whose sizes are doubtful is *assumed*.\n"
    )
    yield "| class | meaning |\n|---|---|"
    yield from (f"| *{name}* | {meaning} |" for name, meaning in CLASSES.items())
    yield ""


def _summary(measured: tuple[Measurements, ...]) -> Iterator[str]:
    yield "## Summary\n"
    yield "`llmcalc evidence` prints this table, and `llmcalc evidence memory` lists the measurements of memory.\n"
    yield "| quantity | values | class | cases | error | measured by |\n|---|---|---|---:|---|---|"
    for row in summary_rows(evidence_of(measured)):
        yield f"| {' | '.join('' if cell is None else str(cell) for cell in row)} |"
    yield ""


def _table(one: Measurements) -> Iterator[str]:
    yield f"## {one.title}\n"
    yield f"{one.source}. {one.settings}\n"
    yield "| case | measured | predicted | error |\n|---|---:|---:|---:|"
    for row in one.rows:
        figures = f"{row.measured:,.1f} {one.unit} | {row.predicted:,.1f} {one.unit} | {100 * row.error:+.1f} %"
        yield f"| {row.case} | {figures} |"
    errors = error_text(one.errors)
    yield f"\n{f'Error: {errors}. ' if errors else ''}{one.remark}\n"


def _times(one: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {one['title']}\n"
    yield f"{one['source']}. {one['text']} `{one['script']}` prints these figures.\n"
    yield "| case | measurements | mean error | median error |\n|---|---:|---:|---:|"
    yield from (f"| {case} | {count:,} | {mean:.1f} % | {median:.1f} % |" for case, count, mean, median in one["rows"])
    yield ""


def _doors(one: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {one['title']}\n"
    yield f"{one['text']}\n"
    yield "| question | asked | agree | differ by a rule of the engine | differ |\n|---|---:|---:|---:|---:|"
    yield from (f"| {question} | {' | '.join(f'{count:,}' for count in counts)} |" for question, *counts in one["rows"])
    yield ""


def _scripts(found: list[Measurements]) -> Iterator[str]:
    yield "## Scripts\n"
    yield (
        "These scripts count wrong outcomes on inputs that no test contains. The figures are those of the last run.\n"
    )
    yield "| script | input | result |\n|---|---|---:|"
    for one in found:
        yield f"| `{one.title}` | {one.settings} | {one.failures:,} of {one.cases:,} {one.failure} |"
    yield ""
    yield from (f"`{one.title}`: {one.remark}\n" for one in found if one.remark)
