"""Discovery and execution of lint rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import UnknownNameError
from ..core.record import record
from ..data import table
from .finding import Case, Finding, Problem

_CODE = re.compile(r"[a-z]{2}\d{3}")
Check = Callable[[Case], Iterator[Problem]]


@record
class Rule:
    """A lint rule. The fields are described in ``data/rules.yaml``."""

    code: str
    title: str
    reason: str
    source: str
    checked: str
    check: Check

    def to_dict(self) -> dict[str, str]:
        """Return the rule as plain data."""
        return {name: getattr(self, name) for name in ("code", "title", "reason", "source", "checked")}


@cache
def _rules() -> dict[str, Rule]:
    """Return a mapping from rule codes to rules, sorted by code."""
    modules = (import_module(f".{file.stem}", __package__) for file in Path(__file__).parent.glob("[a-z]*.py"))
    checks = {
        name.upper(): check for module in modules for name, check in vars(module).items() if _CODE.fullmatch(name)
    }
    return {
        code: Rule(code, check=checks[code], **{key: str(table("rules")[code][key]) for key in _KEYS})
        for code in sorted(checks)
    }


_KEYS = ("title", "reason", "source", "checked")


def codes() -> list[str]:
    """Return the codes of all rules."""
    return list(_rules())


def rule(code: str) -> Rule:
    """Return the rule with the given code."""
    if code.upper() not in _rules():
        raise UnknownNameError("rule", code, codes(), hint="run llmcalc rule to list all rules")
    return _rules()[code.upper()]


def lint(
    architecture: Architecture, mesh: Mesh | None = None, select: Iterable[str] = (), ignore: Iterable[str] = ()
) -> list[Finding]:
    """Return the findings of the selected rules. ``select`` and ``ignore`` contain rule codes or code prefixes."""
    selected = (_matching(select) if select else set(codes())) - _matching(ignore)
    case = Case(architecture, mesh or Mesh())
    return [Finding(code, *found) for code in _rules() if code in selected for found in _rules()[code].check(case)]


def _matching(prefixes: Iterable[str]) -> set[str]:
    """Return the codes that start with any of the given prefixes."""
    matching = set()
    for prefix in prefixes:
        selected = {code for code in codes() if prefix and code.startswith(prefix.upper())}
        if not selected:
            raise UnknownNameError("rule", prefix, codes(), hint="run llmcalc rule to list all rules")
        matching |= selected
    return matching
