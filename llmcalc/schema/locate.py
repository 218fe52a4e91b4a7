"""Turns the path of keys of an error into ``file:line:column`` and the offending line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import InputError
from . import catalogue
from .inherit import inherit
from .yaml_reader import Document, read_yaml


def locate_error(error: InputError, file: Path) -> InputError:
    """The error with its position in the file, or in the base that contains the key."""
    if error.path is None:
        return error
    documents = [document for candidate in (file, *_bases(file)) if (document := _read(candidate))]
    return locate_error_in(error, documents)


def locate_error_in(error: InputError, documents: Sequence[Document]) -> InputError:
    """The error with its position in the document that contains most of its path, the first one of several."""
    if error.path is None or not documents:
        return error
    path = error.path
    best = max(documents, key=lambda document: document.depth(path))
    # replace the kind of a layer by its line, but keep a parameter
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
