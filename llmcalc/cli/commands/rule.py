"""``llmcalc rule [CODE]``: why a rule of ``check`` is there."""

from __future__ import annotations

from ..options import OUTPUT
from ..spec import Argument, Command

CODE = Argument("code", "A rule's code, such as HW005; without it, all rules.", least=0, complete="rules")


def run(code: str | None, form: str | None, as_json: bool) -> int:
    """Look up, and print."""
    from ...lint import codes, rule
    from ...report.lint_report import rule_document, rules_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    write(rule_document(code) if code else rules_document([rule(each) for each in codes()]), chosen)
    return 0


COMMAND = Command("rule", "Say why a rule of check is there.", (CODE, *OUTPUT), run, "llmcalc rule HW005")
