"""YAML 1.2 (core schema), strictly: duplicate keys are errors, ``no`` is a text, ``1e-5`` a number, and every value
remembers its line and column. Input is bounded in size, depth and expanded nodes before anything is built.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from ..core.errors import DescriptionError, shown
from .plain_data import DEEPEST, LARGEST_FILE, MOST_NODES, read_scalar

Path = tuple[Any, ...]
Mark = tuple[int, int]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Document(NamedTuple):
    """Plain data and where each path of keys stands."""

    data: Any
    marks: dict[Path, Mark]
    name: str
    text: str

    def where(self, path: Path) -> str:
        """``file:line:column`` of a path of keys, or of the nearest one above it."""
        line, column = self._mark(path)
        return f"{self.name}:{line}:{column}"

    def excerpt(self, path: Path) -> str:
        """The line that a path stands on, with a caret below."""
        line, column = self._mark(path)
        lines = self.text.splitlines()
        if not 1 <= line <= len(lines):
            return ""
        content = lines[line - 1].rstrip()
        return f"  {content[:120]}\n  {' ' * min(column - 1, 120)}^"

    def depth(self, path: Path) -> int:
        """How many keys of ``path`` the document has."""
        while path and path not in self.marks:
            path = path[:-1]
        return len(path)

    def _mark(self, path: Path) -> Mark:
        return self.marks.get(path[: self.depth(path)], (1, 1))


def read_yaml(text: str, name: str) -> Document:
    """The one document of ``text``.

    Raises:
        DescriptionError: no valid YAML, a duplicate key, several documents, or beyond the bounds.
    """
    if len(text) > LARGEST_FILE:
        raise DescriptionError(f"a description of {len(text):,} characters is longer than {LARGEST_FILE:,}", where=name)
    marks: dict[Path, Mark] = {}
    try:
        data = _Builder(iter(yaml.parse(text, Loader=_LOADER)), marks, name, text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise DescriptionError(f"no valid YAML: {error.problem}", where=where) from None
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise DescriptionError(f"no valid YAML: {error}", where=name) from None
    except UnicodeEncodeError as error:  # half a surrogate pair, which no file holds but a text in memory may
        raise DescriptionError(f"no valid YAML: half a character at {error.start}", where=name) from None
    return Document(data, marks, name, text)


class _Builder:
    """Plain data from a stream of events; recursion is bounded by DEEPEST."""

    def __init__(self, events: Iterator[Any], marks: dict[Path, Mark], name: str, text: str) -> None:
        self.events, self.marks, self.name, self.text = events, marks, name, text
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = 0

    def document(self) -> Any:
        data, documents = None, 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self.error("a description is one YAML document, here is a second one", event)
            elif isinstance(event, yaml.NodeEvent):
                data = self.node(event, (), 0)
        return data

    def node(self, event: Any, path: Path, depth: int) -> Any:
        if depth > DEEPEST:
            raise self.error(f"nested deeper than {DEEPEST} levels", event)
        self.marks.setdefault(path, _place(event))
        before = self.nodes
        self.count(1, event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if event.tag not in (None, "!"):
            raise self.error(f"the tag {shown(event.tag)} is not used in descriptions", event)
        if isinstance(event, yaml.ScalarEvent):
            value: Any = self.scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self.sequence(path, depth)
        else:
            value = self.mapping(path, depth)
        if event.anchor:
            self.anchors[event.anchor] = (value, self.nodes - before)
        return value

    def alias(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            raise self.error(f"the alias *{event.anchor} has no anchor before it", event)
        value, size = self.anchors[event.anchor]
        self.count(size, event)
        return value

    def sequence(self, path: Path, depth: int) -> list[Any]:
        items: list[Any] = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self.node(event, (*path, len(items)), depth + 1))
        return items

    def mapping(self, path: Path, depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent) or event.tag not in (None, "!"):
                raise self.error("a key is a plain text", event)
            key = event.value
            if key in items:
                raise self.error(f"the key {shown(key)} stands here a second time", event)
            here = (*path, key)
            self.marks[here] = _place(event)
            items[key] = self.node(next(self.events), here, depth + 1)
        return items

    def scalar(self, event: Any) -> Any:
        if not event.implicit[0]:  # quoted, or a block of text
            return event.value
        try:
            return read_scalar(event.value) if event.value else None
        except DescriptionError as error:
            raise self.error(error.message, event) from None

    def count(self, size: int, event: Any) -> None:
        self.nodes += size
        if self.nodes > MOST_NODES:
            raise self.error(f"more than {MOST_NODES:,} values, aliases expanded", event)

    def error(self, message: str, event: Any) -> DescriptionError:
        line, column = _place(event)
        lines = self.text.splitlines()
        excerpt = f"  {lines[line - 1][:120]}\n  {' ' * min(column - 1, 120)}^" if line <= len(lines) else ""
        return DescriptionError(message, where=f"{self.name}:{line}:{column}", excerpt=excerpt)


def _place(event: Any) -> Mark:
    return event.start_mark.line + 1, event.start_mark.column + 1
