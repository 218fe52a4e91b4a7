"""What the card, the comparison and the tables show of a state, which depends on the task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...core.record import NamedTuple
from ...report.document import Document
from ...report.pictures import Picture
from .case import Case


class View(NamedTuple):
    """What depends on the task.

    Attributes:
        parts: titles of the parts of the memory.
        facts: returns the numbers beside the verdict.
        changes: returns the changes of the state that help.
        outcome: returns the end of the sentence of the verdict.
        notes: returns what the user must know beside the numbers.
        command_lines: returns the command lines that give the same numbers.
        documents: returns the reports of the times, by command.
        charts: functions that make the charts, by name.
        derivations: functions that derive the numbers, by name.
    """

    parts: Mapping[str, str]
    facts: Callable[[Any], Iterator[dict[str, Any]]]
    changes: Callable[[Any], Iterator[dict[str, Any]]]
    outcome: Callable[[Any], Iterator[str]]
    notes: Callable[[Any], Iterator[str]]
    command_lines: Callable[[Any], list[dict[str, str]]]
    documents: Callable[[Any], dict[str, Document]]
    charts: Mapping[str, Callable[[Any], Picture]]
    derivations: Mapping[str, Callable[[Any], dict[str, Any]]]


VIEWS: dict[str, View] = {}  # by task


def view_of(case: Case) -> View:
    """Return the view of the task of a case."""
    return VIEWS[case.state.task]
