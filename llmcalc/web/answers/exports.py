"""A state as command lines, as JSON results of these commands, and as CSV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...cli.commands import fit as fit_command
from ...cli.commands import serve as serve_command
from ...report.document import Document, Table, columns
from ...report.encoder_serving import encoder_document
from ...report.fit import fit_document
from ...report.formats.csv import render
from ...report.latency import latency_document
from ...report.serving import serving_document
from .case import Case
from .view import view_of


def commands(case: Case, _: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the command lines that give the same numbers, with what each of them answers."""
    return view_of(case).command_lines(case)


def command_lines(case: Case) -> list[dict[str, str]]:
    """Return the command lines that give the same memory and times, with what each of them answers."""
    state = case.state
    own = {"model": case.model_name, **case.formats}
    gpu = f"{state.gpu}:{state.n}" if state.n > 1 else state.gpu
    sizes: dict[str, Any] = {"seq": case.context, "batch": case.fit.result.workload.batch}
    memory = {**own, "gpu": gpu if case.fit.count > 1 else state.gpu, **sizes}
    found = [{"title": "memory", "line": fit_command.COMMANDS[0].line(memory)}]
    if case.time_error or not case.runs:
        return found
    step: dict[str, Any] = {name: size for name, size in case.step_settings.items() if size not in (1, None)}
    step["gpu"] = step["gpu"].removesuffix(":1")
    if case.only_reads:
        own.pop("cache", None)
        step = {"gpu": gpu, **case.reading_layout}
        load: dict[str, Any] = {"isl": case.context, "concurrency": state.users}
    else:
        load = {**case.load, **case.sequences, "concurrency": case.users}
    return [*found, {"title": "speed and cost", "line": serve_command.COMMANDS[0].line({**own, **step, **load})}]


def documents(case: Case) -> dict[str, Document]:
    """Return the reports of the times of serving, by command."""
    served = encoder_document(case.reading) if case.only_reads else serving_document(case.serving)
    return {"latency": latency_document(case.latency), "serve": served}


def json_results(case: Case, _: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON results of the command lines, and the state."""
    found = {"fit": fit_document(case.fit), **({} if case.time_error else view_of(case).documents(case))}
    return {"state": case.state.to_dict(), **{name: document.data() for name, document in found.items()}}


def table_text(case: Case, _: Mapping[str, Any]) -> str:
    """Return the numbers beside the verdict as CSV."""
    rows = [
        (one["label"], one.get("value"), one.get("unit", ""), one.get("low"), one.get("high"), one["evidence"])
        for one in view_of(case).facts(case)
    ]
    heads = columns("quantity: name", "value: number", "unit: name", "low: number", "high: number", "evidence: name")
    return render(Document(case.title, dict, tables=(Table("", heads, rows),)))
