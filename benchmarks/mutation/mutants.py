"""Generate small mistakes that a programmer could make in a source file, one at a time.

Some code is never mutated because no test should depend on it: docstrings, annotations, ``raise`` statements (the
wording of errors), ``assert`` statements that only inform the type checker, imports, and glossaries.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
SKIPPED = (ast.Raise, ast.Assert, ast.Import, ast.ImportFrom)
SKIPPED_FIELDS = frozenset({"annotation", "returns", "decorator_list", "bases", "type_params", "ctx"})
EXPLAINING = frozenset({"WORKLOAD", "GLOSSARY", "AXES", "EXTERNAL_TENSORS", "__all__", "__slots__"})  # text for readers
EXPLAINING_ARGUMENTS = frozenset({"hint", "where"})  # of errors
MEANING = 2  # position of a function's description in its arguments (core/functions.py)
BRACKET = re.compile(r"\[([^\[\]]*)\]")


class Mutant(NamedTuple):
    """A mistake and its location; ``step`` identifies the node in a newly parsed tree of the file."""

    path: Path
    line: int
    what: str
    step: int
    variant: int


def mutants(path: Path) -> list[Mutant]:
    """List all mutants of a file."""
    found: list[Mutant] = []
    for step, (parent, _, _, node) in enumerate(_places(ast.parse(path.read_text("utf-8")))):
        line = getattr(node, "lineno", getattr(parent, "lineno", 0))  # an operator has the line of its expression
        found += [Mutant(path, line, what, step, variant) for variant, (what, _) in enumerate(_mistakes(node))]
    return found


def mutated(mutant: Mutant) -> ast.Module:
    """Return the syntax tree of the file with the mistake applied."""
    tree = ast.parse(mutant.path.read_text("utf-8"))
    for step, (parent, field, index, node) in enumerate(_places(tree)):
        if step == mutant.step:
            _, replacement = list(_mistakes(node))[mutant.variant]
            if index is None:
                setattr(parent, field, replacement)
            else:
                getattr(parent, field)[index] = replacement
            return ast.fix_missing_locations(tree)
    raise LookupError(f"{mutant} does not fit its file")


def _places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Yield (parent, field, index, node) for every node that can be mutated, in a fixed order."""
    for field, value in ast.iter_fields(tree):
        if field in SKIPPED_FIELDS:
            continue
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            named = isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "Function"
            meaning = named and field == "args" and index == MEANING
            if isinstance(node, ast.AST) and not (meaning or _explains(node)):
                yield tree, field, index, node
                yield from _places(node)


def _explains(node: ast.AST) -> bool:
    """Return whether a node exists only for readers or the type checker."""
    if isinstance(node, SKIPPED):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.keyword):
        return node.arg in EXPLAINING_ARGUMENTS
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name):
        return node.test.id == "TYPE_CHECKING"
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    return any(isinstance(target, ast.Name) and target.id in EXPLAINING for target in targets)


def _mistakes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield a description and a replacement for each possible mistake in a node."""
    if type(node) in SWAPS:
        wrong = SWAPS[type(node)]
        yield f"{type(node).__name__} -> {wrong.__name__}", wrong()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield f"{type(node.op).__name__} removed", node.operand
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        wrong_if = copy.deepcopy(node)
        wrong_if.test = ast.UnaryOp(ast.Not(), node.test)
        yield "condition negated", wrong_if
    elif isinstance(node, ast.comprehension) and node.ifs:
        kept = copy.deepcopy(node)
        kept.ifs = []
        yield "filter removed", kept
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "returns None", ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "call removed", ast.Pass()
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield f"{node.id} -> {NAMES[node.id]}", ast.Name(NAMES[node.id], ast.Load())


def _constants(node: ast.Constant) -> Iterator[tuple[str, ast.AST]]:
    value = node.value
    if isinstance(value, bool):
        yield f"{value} -> {not value}", ast.Constant(not value)
    elif isinstance(value, (int, float)):
        yield f"{value} -> {value + 1}", ast.Constant(value + 1)
    elif isinstance(value, str) and value:
        brackets = [match for match in BRACKET.finditer(value) if match[1].strip(" |;")]
        for match in brackets:  # an equation or a tensor: remove the last axis of each bracket
            fewer = " ".join(match[1].split()[:-1])
            yield (
                f"{value!r}: an axis of {match[0]} removed",
                ast.Constant(f"{value[: match.start(1)]}{fewer}{value[match.end(1) :]}"),
            )
        if brackets and "|" in value[brackets[-1].end() :]:
            yield f"{value!r}: tags removed", ast.Constant(value[: value.rindex("|")])
        if not brackets:
            yield f"{value!r} -> a different string", ast.Constant(f"XX{value}")
