"""Names that were replaced do not come back: tests/renamed.csv lists them, with their successors."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmcalc

PACKAGE = Path(llmcalc.__file__).parent
LISTED = Path(__file__).with_name("renamed.csv")


def rows() -> list[dict[str, str]]:
    lines = [line for line in LISTED.read_text("utf-8").splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def names_in(tree: ast.Module) -> Iterator[str]:
    """Classes, functions and parameters by name; fields and methods also as ``Class.name``."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            yield from (f"{node.name}({one.arg})" for one in every if one)
            yield from (one.arg for one in every if one)
        if isinstance(node, ast.ClassDef):
            yield node.name
            for entry in node.body:
                if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name):
                    yield from (entry.target.id, f"{node.name}.{entry.target.id}")
                if isinstance(entry, ast.FunctionDef):
                    yield f"{node.name}.{entry.name}"


def used() -> dict[str, list[str]]:
    """Every name of the package, with the files that define it; a module also by its file name and path."""
    found: dict[str, list[str]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        path = file.relative_to(PACKAGE).as_posix()
        for name in {*names_in(ast.parse(file.read_text("utf-8"))), file.name, path}:
            found.setdefault(name, []).append(path)
    return found


@pytest.fixture(scope="module")
def names() -> dict[str, list[str]]:
    return used()


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["old"])
def test_a_replaced_name_is_not_used(row: dict[str, str], names: dict[str, list[str]]) -> None:
    if row["reason"]:
        assert names.get(row["old"]), f"{row['old']} is not used any more: drop the reason"
    else:
        assert not names.get(row["old"]), f"{row['old']} became {row['new']}: {names[row['old']]}"


def test_the_check_sees_every_kind_of_name() -> None:
    source = "class A:\n    b: int\n    def c(self, d, *, e=1): ...\ndef f(*g): ...\n"
    assert {"A", "b", "A.b", "c", "A.c", "c(d)", "d", "e", "f", "g"} <= set(names_in(ast.parse(source)))
