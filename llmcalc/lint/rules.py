"""Finds rules, and applies them."""

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
from .finding import Case, Finding

_CODE = re.compile(r"[a-z]{2}\d{3}")
Check = Callable[[Case], Iterator[Finding]]


@record
class Rule:
    """A rule: its code, a title, why it is there, who says so, and whether that was read there."""

    code: str
    title: str
    reason: str
    source: str
    checked: str
    check: Check

    def to_dict(self) -> dict[str, str]:
        """Plain data."""
        return {name: getattr(self, name) for name in ("code", "title", "reason", "source", "checked")}


@cache
def _rules() -> dict[str, Rule]:
    """Every rule by its code, in their order."""
    about = table("rules")
    found = {}
    for file in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        module = import_module(f".{file.stem}", __package__)
        for name, check in vars(module).items():
            if _CODE.fullmatch(name):
                entry = about[name.upper()]
                found[name.upper()] = Rule(name.upper(), check=check, **{key: str(entry[key]) for key in _KEYS})
    return dict(sorted(found.items()))


_KEYS = ("title", "reason", "source", "checked")


def codes() -> list[str]:
    """The codes of all rules."""
    return list(_rules())


def rule(code: str) -> Rule:
    """The rule of a code.

    Raises:
        UnknownNameError: there is none.
    """
    if code.upper() not in _rules():
        raise UnknownNameError("rule", code, codes(), hint="(llmcalc rule lists all)")
    return _rules()[code.upper()]


def lint(
    architecture: Architecture, mesh: Mesh | None = None, select: Iterable[str] = (), ignore: Iterable[str] = ()
) -> list[Finding]:
    """What the rules find.

    Args:
        architecture: what ``load`` returned.
        mesh: ranks that it is meant for; rules about ranks are silent without.
        select: codes, or beginnings of codes, that alone are applied; none: all.
        ignore: codes, or beginnings of codes, that are not.

    Raises:
        UnknownNameError: a code that no rule begins with.
    """
    chosen = _matching(select) if select else set(codes())
    case = Case(architecture, mesh or Mesh())
    return [
        finding
        for code, found in _rules().items()
        if code in chosen - _matching(ignore)
        for finding in found.check(case)
    ]


def _matching(beginnings: Iterable[str]) -> set[str]:
    found = set()
    for beginning in beginnings:
        own = {code for code in codes() if code.startswith(beginning.upper())}
        if not own or not beginning:
            raise UnknownNameError("rule", beginning, codes(), hint="(llmcalc rule lists all)")
        found |= own
    return found
