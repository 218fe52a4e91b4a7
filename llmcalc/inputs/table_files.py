"""Rows of CSV and JSON Lines files, with their places for errors."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.errors import InputError, short_repr
from ..schema.preset_files import read_text

JSON_LINES = (".jsonl", ".ndjson")


def file_rows(path: str, most_bytes: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a file as mappings, with their lines. The name of the file decides on its format."""
    text = read_text(path, most_bytes)
    return _json_lines(path, text) if path.lower().endswith(JSON_LINES) else _csv_rows(path, text)


def _csv_rows(path: str, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a CSV file. Lines that start with # are comments."""
    reader = csv.reader(("" if line.startswith("#") else line for line in text.splitlines()), strict=True)
    try:
        heads = next((row for row in reader if row), [])
        twice = [head for place, head in enumerate(heads) if head in heads[:place]]
        if twice:
            raise InputError(f"two columns {short_repr(twice[0])}", where=f"{path}:{reader.line_num}")
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(heads):
                raise InputError(f"{len(row)} values in {len(heads)} columns", where=f"{path}:{reader.line_num}")
            yield reader.line_num, dict(zip(heads, row, strict=True))
    except csv.Error as error:
        raise InputError(f"invalid CSV: {error}", where=f"{path}:{reader.line_num}") from None


def _json_lines(path: str, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise InputError("is not a JSON object", where=f"{path}:{number}")
        yield number, row
