"""Reports for ``verify`` with declared and observed values for one model or all presets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..core.architecture import Architecture
from ..core.errors import InputError, UnsupportedError
from ..core.evidence import merged
from ..core.record import record
from ..schema.preset import load_file
from ..verification import Check, Verification, verify
from .document import Cell, Document, Table, columns
from .heading import model_document, structure
from .json_envelope import envelope

YES, NO, UNKNOWN = "✓", "✗", "!"
GENERATED = (
    "the NumPy model was generated from the same equations, so it checks shapes, counts, state and causality, but "
    "it is not an independent implementation"
)
CHECKS = columns("quantity: name", "declared: digits", "observed: digits", "verdict")
FIGURES = columns("quantity: name", "declared: digits", "published: digits", "verdict")


@record
class Outcome:
    """Verification result for a model, or the reason why the model could not be verified."""

    family: str
    name: str
    verification: Verification | None = None
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the model was run and passed every check."""
        return self.verification is not None and self.verification.ok

    @property
    def wrong(self) -> list[Check]:
        """Failed checks."""
        return [check for check in self.verification.checks if not check.ok] if self.verification else []

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data. ``not_verified`` is empty if the model was run."""
        missing = {"ok": False, "model": self.name, "checks": [], "evidence": {}}
        return {**(self.verification.to_dict() if self.verification else missing), "not_verified": self.reason}


def outcome(architecture: Architecture, family: str = "") -> Outcome:
    """Verify an architecture. If there is no NumPy model, the outcome contains the reason."""
    try:
        return Outcome(family or architecture.name, architecture.name, verify(architecture))
    except UnsupportedError as error:
        return Outcome(family or architecture.name, architecture.name, reason=str(error))


def outcome_of(file: str, size: str | None) -> Outcome:
    """Load and verify a model of a preset file. If the file cannot be loaded, the outcome contains the reason."""
    family = Path(file).stem
    try:
        architecture = load_file(file, size)
    except InputError as error:
        return Outcome(family, f"{family}-{size}" if size else family, reason=str(error))
    return outcome(architecture, family)


def verify_document(architecture: Architecture, found: Outcome) -> Document:
    """Build the verification report for one model, with one row per check."""
    done = found.verification
    if done is None:
        verdict, tables = f"{UNKNOWN} not verified: {_line(found.reason)}", []
        notes = ["the model cannot be run; nothing was compared"]
    else:
        n_checks = len(done.checks)
        verdict = f"{_sign(done.ok)} {n_checks - len(found.wrong)} of {n_checks} checks hold"
        executed = [check_row(check) for check in done.checks if not check.source]
        figures = [check_row(check) for check in done.checks if check.source]
        tables = [
            Table("a small model of the same structure (executed)", CHECKS, executed),
            Table("the model itself (published figures)", FIGURES, figures),
        ]
        notes = [f"executed: {line}" for line in structure(done.small, is_full=True)]
        notes += [f"{kind}: {GENERATED}" for kind in done.generated]
        run = [stack.name for stack in done.small.stacks]
        left_out = [stack.name for stack in architecture.stacks if stack.name not in run]
        notes += [f"not run: {name}, whose input is not text" for name in left_out]
    return model_document(
        architecture,
        "verify",
        lambda: ({}, found.to_dict()),
        is_full=True,
        answer=verdict,
        tables=tuple(tables),
        notes=notes,
    )


def all_document(found: Sequence[Outcome]) -> Document:
    """Build the verification report for all families, with failed checks and models that could not be run."""
    missing = [(each.name, _line(each.reason)) for each in found if not each.verification]
    wrong = [(each.name, *check_row(check)) for each in found for check in each.wrong]
    good = sum(each.ok for each in found)
    models = [each.to_dict() for each in found]
    evidence = merged(*(model.get("evidence", {}) for model in models))
    result = {"ok": good == len(found), "models": models, "evidence": evidence}
    return Document(
        f"{_sign(good == len(found))} {good} of {len(found)} models verified",
        lambda: envelope("verify", {"model": "all"}, result),
        tables=(
            Table("", columns("family: name", "models: number", "checks: number", "verdict"), list(_families(found))),
            Table("what differs", (*columns("model: name"), *CHECKS), wrong),
            Table("not verified", columns("model: name", "why"), missing),
        ),
    )


def _families(found: Sequence[Outcome]) -> Iterator[tuple[Cell, ...]]:
    for family in dict.fromkeys(each.family for each in found):
        own = [each for each in found if each.family == family]
        checks = sum(len(each.verification.checks) for each in own if each.verification)
        wrong, missing = sum(len(each.wrong) for each in own), sum(each.verification is None for each in own)
        parts = [f"{wrong} differ"] * bool(wrong) + [f"{missing} not verified"] * bool(missing)
        yield family, len(own), checks, " ".join([_sign(not parts), ", ".join(parts)]).rstrip()


def check_row(check: Check) -> tuple[Cell, ...]:
    """Build a table row for a check."""
    return check.quantity, check.declared, check.observed, f"{_sign(check.ok)} {_verdict(check)}".rstrip()


def _verdict(check: Check) -> str:
    """Describe what was compared, or how the values differ if the check failed."""
    if not check.ok:
        by = f"observed {check.difference:+,} {check.unit}" if check.difference else ""
        return "; ".join(filter(None, (by, check.detail, check.source)))
    if check.explained:
        return f"known difference from {check.source}: {check.explained}"
    if check.source:
        return f"within ±{100 * check.tolerance:.3g} % of {check.source}" if check.difference else check.source
    return check.note


def _sign(ok: bool) -> str:
    return YES if ok else NO


def _line(text: str) -> str:
    """Join the lines of a message with semicolons."""
    return "; ".join(line.strip() for line in text.splitlines())
