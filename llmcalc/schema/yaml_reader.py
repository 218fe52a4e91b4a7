"""Strict YAML 1.2 reader (core schema) that rejects duplicate keys and reads ``no`` as a string.

The line and column of every value are recorded. File size, nesting depth and the number of values are limited.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml

from ..core.errors import DescriptionError, InputError, short_repr
from ..core.record import NamedTuple
from ..core.type_names import Any
from .plain_data import MAX_DEPTH, MAX_FILE_SIZE, MAX_VALUES, read_scalar

Path = tuple[Any, ...]
Mark = tuple[int, int]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Document(NamedTuple):
    """Plain data of a YAML document with the line and column of each key path."""

    data: Any
    marks: dict[Path, Mark]
    name: str
    text: str

    def where(self, path: Path) -> str:
        """Return ``file:line:column`` of a key path, or of its nearest parent in the document."""
        line, column = self._mark(path)
        return f"{self.name}:{line}:{column}"

    def excerpt(self, path: Path) -> str:
        """Return the source line of a key path, with a caret under its column."""
        line, column = self._mark(path)
        lines = self.text.splitlines()
        if not 1 <= line <= len(lines):
            return ""
        return f"  {lines[line - 1].rstrip()[:120]}\n  {' ' * min(column - 1, 120)}^"

    def depth(self, path: Path) -> int:
        """Return the number of leading keys of ``path`` that the document contains."""
        while path and path not in self.marks:
            path = path[:-1]
        return len(path)

    def _mark(self, path: Path) -> Mark:
        return self.marks.get(path[: self.depth(path)], (1, 1))


def locate_error(error: InputError, documents: Sequence[Document]) -> InputError:
    """Locate an error in the document that contains most of the error's key path."""
    if error.path is None or not documents:
        return error
    path = error.path
    best = max(documents, key=lambda document: document.depth(path))
    if not error.parameter:  # show the line of a layer instead of that of its kind
        error.where = best.where(path)
    return error.at(best.where(path), best.excerpt(path))


def read_yaml(text: str, name: str) -> Document:
    """Read the single YAML document in ``text``."""
    if len(text) > MAX_FILE_SIZE:
        raise DescriptionError(f"{len(text):,} characters exceed the limit of {MAX_FILE_SIZE:,}", where=name)
    marks: dict[Path, Mark] = {}
    try:
        data = _Builder(iter(yaml.parse(text, Loader=_LOADER)), marks, name, text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise DescriptionError(f"invalid YAML: {error.problem}", where=where) from None
    except yaml.YAMLError as error:  # a character that YAML forbids
        raise DescriptionError(f"invalid YAML: {error}", where=name) from None
    except UnicodeEncodeError as error:  # occurs only in a string that was not decoded
        raise DescriptionError(f"invalid YAML: unpaired surrogate at character {error.start}", where=name) from None
    return Document(data, marks, name, text)


class _Builder:
    """Builds plain data from parser events and limits the recursion depth to ``MAX_DEPTH``."""

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
                    raise self.error("a file must contain one YAML document, but a second one starts here", event)
            elif isinstance(event, yaml.NodeEvent):
                data = self.node(event, (), 0)
        return data

    def node(self, event: Any, path: Path, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise self.error(f"nested deeper than {MAX_DEPTH} levels", event)
        self.marks.setdefault(path, _place(event))
        before = self.nodes
        self.count(1, event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if event.tag not in (None, "!"):
            raise self.error(f"unsupported tag {short_repr(event.tag)}", event)
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
            raise self.error(f"alias *{event.anchor} has no preceding anchor", event)
        value, size = self.anchors[event.anchor]
        self.count(size, event)
        return value

    def sequence(self, path: Path, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, (*path, len(items)), depth + 1))
        return items

    def mapping(self, path: Path, depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.tag not in (None, "!"):
                raise self.error("a key must be a string", event)
            key = event.value
            if key in items:
                raise self.error(f"duplicate key {short_repr(key)}", event)
            here = (*path, key)
            self.marks[here] = _place(event)
            items[key] = self.node(next(self.events), here, depth + 1)
        return items

    def scalar(self, event: Any) -> Any:
        if not event.implicit[0]:  # a quoted string or a block of text
            return event.value
        try:
            return read_scalar(event.value) if event.value else None
        except DescriptionError as error:
            raise self.error(error.message, event) from None

    def count(self, size: int, event: Any) -> None:
        self.nodes += size
        if self.nodes > MAX_VALUES:
            raise self.error(f"more than {MAX_VALUES:,} values after alias expansion", event)

    def error(self, message: str, event: Any) -> DescriptionError:
        place = Document(None, {(): _place(event)}, self.name, self.text)
        return DescriptionError(message, where=place.where(()), excerpt=place.excerpt(()))


def _place(event: Any) -> Mark:
    return event.start_mark.line + 1, event.start_mark.column + 1
