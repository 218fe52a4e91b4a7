"""What the card, the comparison and the tables show of a state, which depends on the task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...core.record import NamedTuple
from .case import Case


class View(NamedTuple):
    """What depends on the task: titles of the parts of the memory, and functions of a case.

    The functions return its numbers, helpful changes, the end of its sentence, its notes and its command lines.
    """

    parts: Mapping[str, str]
    facts: Callable[[Any], Iterator[dict[str, Any]]]
    changes: Callable[[Any], Iterator[dict[str, Any]]]
    outcome: Callable[[Any], Iterator[str]]
    notes: Callable[[Any], Iterator[str]]
    command_lines: Callable[..., list[dict[str, str]]]


VIEWS: dict[str, View] = {}  # by task


def view_of(case: Case) -> View:
    """Return the view of the task of a case."""
    return VIEWS[case.state.task]
