"""Reports on findings and limits (``check``) and on lint rules (``rule``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..analysis.check import Checked, Limit
from ..core.errors import spelled
from ..core.evidence import merged
from ..lint import Rule, rule
from .document import Cell, Document, Fact, Table, columns, table_of
from .heading import model_inputs, warnings
from .json_envelope import envelope
from .numbers import BYTES, NANOSECONDS, exact, short
from .published_figures import cite

YES, NO = "✓", "✗"


def check_document(found: Sequence[Checked]) -> Document:
    """Build the check report with a table of findings and a table of limits."""
    skip = 0 if len(found) > 1 else 1  # the model column
    findings = [
        (checked.architecture.name, one.code, one.place, one.message, one.advice)[skip:]
        for checked in found for one in checked.findings
    ]  # fmt: skip
    finding_heads = columns("model: group", "rule: name", "where", "finding", "suggestion")[skip:]
    limit_heads = columns("model: group", "limit: name", "ours: name", "at most: name", "verdict")[skip:]
    limits = [(checked.architecture.name, *_limit(limit))[skip:] for checked in found for limit in checked.limits]
    why = spelled("llmcalc rule CODE explains a rule; {ignore=CODE} skips it")
    return Document(
        _verdict(found),
        lambda: _json(found),
        subtitle=(", ".join(checked.architecture.name for checked in found),),
        warnings=tuple(line for checked in found for line in warnings(checked.architecture)),
        tables=(Table("", finding_heads, findings), Table("limits", limit_heads, limits)),
        notes=(why if findings else "",),
    )


def _limit(limit: Limit) -> tuple[Cell, ...]:
    verdict = YES if limit.kept else f"{NO} exceeds by {_size(limit.ours - limit.most, limit.unit)}"
    name = f"{limit.name} of a {limit.step}" if limit.step else limit.name
    return name, _size(limit.ours, limit.unit), _size(limit.most, limit.unit), verdict


def _size(value: int, unit: str) -> str:
    text = short(value, unit) or exact(value)
    return text if unit in (BYTES, NANOSECONDS) else f"{text} {unit.removesuffix('s') if value == 1 else unit}"


def _verdict(found: Sequence[Checked]) -> str:
    findings = sum(len(checked.findings) for checked in found)
    broken = sum(not limit.kept for checked in found for limit in checked.limits)
    parts = [f"{findings} finding{'s' * (findings != 1)}"] if findings else []
    parts += [f"{broken} limit{'s' * (broken != 1)} exceeded"] if broken else []
    if parts:
        return f"{NO} {', '.join(parts)}"
    limits = sum(len(checked.limits) for checked in found)
    return f"{YES} no findings" + (f", {limits} limit{'s' * (limits != 1)} kept" if limits else "")


def _json(found: Sequence[Checked]) -> dict[str, Any]:
    inputs = {"models": [model_inputs(checked.architecture) for checked in found]}
    answer = {"ok": all(checked.ok for checked in found), "models": [checked.to_dict() for checked in found]}
    return envelope("check", inputs, {**answer, "evidence": merged(*(checked.evidence for checked in found))})


def rule_document(code: str) -> Document:
    """Build a report on a lint rule with its reason and source."""
    found = rule(code)
    doubt = "" if found.checked in ("true", "logic") else " (not fully verified)"
    source = "follows from the equations" if found.source == "logic" else f"{cite(found.source)}{doubt}"
    return Document(
        f"{found.code}: {found.title}",
        lambda: envelope("rule", {"code": code}, found.to_dict()),
        facts=(Fact("reason", found.reason), Fact("source", source)),
    )


def rules_document(found: Sequence[Rule]) -> Document:
    """Build a report that lists all lint rules."""
    return Document(
        f"{len(found)} rules",
        lambda: envelope("rule", {}, {"rules": [one.to_dict() for one in found]}),
        subtitle=("HW: shapes that waste hardware · TP: shapes not divisible by ranks · CF: rarely intended",),
        tables=(table_of("", found, {"rule: name": "code", "finds": "title", "source: text 1": "source"}),),
    )
