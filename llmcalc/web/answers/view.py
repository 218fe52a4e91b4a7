"""What the card, the comparison and the tables show of a state, which depends on the task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ...core.record import NamedTuple
from .case import Case


class View(NamedTuple):
    """Functions of a case that return its sentence, its numbers, its memory, helpful changes and command lines."""

    sentence: Callable[..., tuple[str, str]]
    facts: Callable[[Any], Iterator[dict[str, Any]]]
    memory: Callable[[Any], dict[str, Any]]
    changes: Callable[[Any], Iterator[dict[str, Any]]]
    command_lines: Callable[..., list[dict[str, str]]]


VIEWS: dict[str, View] = {}  # by task


def view_of(case: Case) -> View:
    """Return the view of the task of a case."""
    return VIEWS[case.state.task]
