"""From a path of keys to ``file:line:column`` with the offending line; read only when something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import InputError
from . import catalogue
from .inherit import inherit
from .yaml_reader import Document, read_yaml


def located(error: InputError, file: Path) -> InputError:
    """The error with its place in the file, or in the base that the offending key comes from."""
    if error.path is None:
        return error
    documents = [document for candidate in (file, *_bases(file)) if (document := _read(candidate))]
    return located_in(error, documents)


def located_in(error: InputError, documents: Sequence[Document]) -> InputError:
    """The error with its place in whichever document knows its path best; the first one wins a tie."""
    if error.path is None or not documents:
        return error
    path = error.path
    best = max(documents, key=lambda document: document.depth(path))
    # a layer's own `where`, its kind, says less than a line does, unless it is a flag of the command line
    if not error.parameter:
        error.where = best.where(path)
    return error.at(best.where(path), best.excerpt(path))


def _read(file: Path) -> Document | None:
    try:
        return read_yaml(catalogue.read_text(file), str(file))
    except InputError:  # a pipe that can be read only once
        return None


def _bases(file: Path) -> tuple[Path, ...]:
    try:
        return inherit(catalogue.read_preset(file), file).bases
    except InputError:
        return ()
