"""``llmcalc check`` finds suspicious shapes and tests limits; ``llmcalc rule`` explains the rules."""

from __future__ import annotations

from typing import Any

from ..options import BATCH, OUTPUT, READING, SEQ, reading
from ..spec import Argument, Command, Option

MODELS = Argument("models", "One or more models: preset names, preset files or configs.", 1, True, "models")
SELECT = Option(
    "--select", "select", "Apply only these rules, such as HW or CF002. Repeatable.", repeatable=True, metavar="CODE",
    complete="rules",
)  # fmt: skip
IGNORE = Option(
    "--ignore", "ignore", "Skip these rules. Repeatable.", repeatable=True, metavar="CODE", complete="rules"
)
LIMITS = (
    Option("--tp", "tp", "Intended tensor-parallel ranks.", kind=int, metavar="N"),
    Option("--pp", "pp", "Intended pipeline stages.", kind=int, metavar="N"),
    Option("--ep", "ep", "Intended expert-parallel ranks.", kind=int, metavar="N"),
    Option("--max-params", "max_params", "Most parameters, such as 8B.", metavar="N"),
    Option("--max-active", "max_active", "Most active parameters.", metavar="N"),
    Option(
        "--max-memory", "max_memory", "Most memory of serving in bf16 at --batch and --seq, such as 24GiB.",
        metavar="SIZE",
    ),
    Option("--budget", "budget", "Most training FLOPs for --tokens, such as 1e24 or 3640PF-days.", metavar="FLOPS"),
    Option("--tokens", "tokens", "Training tokens, such as 15T.", metavar="N"),
    BATCH,
    SEQ,
)  # fmt: skip
CODE = Argument("code", "Code of a rule, such as HW005 (default: list all rules).", least=0, complete="rules")
OK, NO = 0, 1


def run_check(
    models: list[str], select: list[str], ignore: list[str], form: str | None, as_json: bool, **given: Any
) -> int:
    """Exit code 1 if there is a finding or an exceeded limit."""
    from ...api.check import check
    from ...api.load import load_all
    from ...report.lint_report import check_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    settings = {option.name: given[option.name] for option in LIMITS}
    found = [check(each, select=select, ignore=ignore, **settings) for each in load_all(models, **reading(given))]
    write(check_document(found), chosen)
    return OK if all(checked.ok for checked in found) else NO


def run_rule(code: str | None, form: str | None, as_json: bool) -> int:
    """Explain one rule, or list all."""
    from ...lint import codes, rule
    from ...report.lint_report import rule_document, rules_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    write(rule_document(code) if code else rules_document([rule(each) for each in codes()]), chosen)
    return OK


COMMANDS = (
    Command(
        "check",
        (MODELS, SELECT, IGNORE, *LIMITS, *READING, *OUTPUT),
        run_check,
        "llmcalc check gpt2 --max-params 200M",
    ),
    Command("rule", (CODE, *OUTPUT), run_rule, "llmcalc rule HW005"),
)
