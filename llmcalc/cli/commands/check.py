"""The ``llmcalc check`` command for checking shapes and limits, and ``llmcalc rule`` for explaining lint rules."""

from __future__ import annotations

from typing import Any

from ...analysis.quantity import targets
from ..memory_options import quantity_options, settings
from ..options import BATCH, OUTPUT, READING, SEQ, example, load_models, metavar, values
from ..output import Answer, printed
from ..spec import Argument, Command, Option

MODELS = Argument("models", "One or more models: preset names, preset files or configs.", 1, True, "models")
SETTINGS = (
    Option("--select", "Apply only these rules, such as HW or CF002. Repeatable.", "CODE", repeatable=True,
           complete="rules"),
    Option("--ignore", "Skip these rules. Repeatable.", "CODE", repeatable=True, complete="rules"),
    Option("--tp", "Intended number of tensor-parallel ranks.", kind=int),
    Option("--pp", "Intended number of pipeline stages.", kind=int),
    Option("--ep", "Intended number of expert-parallel ranks.", kind=int),
    *(Option(f"--max-{each.name}", f"Maximum {each.phrase or each.title}, such as {example(each)}.", metavar(each))
      for each in targets().values()),
    Option("--max-compute", "Maximum training FLOPs for --tokens, such as 1e24 or 3640PF-days.", "AMOUNT", "budget"),
    Option("--tokens", "Number of training tokens, such as 15T.", "AMOUNT"),
    BATCH,
    SEQ,
)  # fmt: skip
OF_QUANTITY = quantity_options(targets().values(), without=SETTINGS)
CODE = Argument("code", "Rule code, such as HW005 (default: list all rules).", least=0, complete="rules")


@printed
def run_check(models: list[str], **given: Any) -> Answer:
    """Print the findings. The exit code is 1 if there are findings or a limit is exceeded."""
    from ...analysis.check import check_all
    from ...report.lint_report import check_document

    found = check_all(load_models(models, given), **values(SETTINGS, given), **settings(given, OF_QUANTITY))
    return check_document(found), all(checked.ok for checked in found)


@printed
def run_rule(code: str | None) -> Answer:
    """Explain one rule, or list all rules."""
    from ...lint import codes, rule
    from ...report.lint_report import rule_document, rules_document

    return rule_document(code) if code else rules_document([rule(each) for each in codes()])


COMMANDS = (
    Command("check", (MODELS, *SETTINGS, *OF_QUANTITY, *READING, *OUTPUT), run_check),
    Command("rule", (CODE, *OUTPUT), run_rule),
)
