"""The ``llmcalc evidence`` command for showing what results rest on."""

from __future__ import annotations

from ..options import OUTPUT
from ..output import Answer, printed
from ..spec import Argument, Command

QUANTITY = Argument("quantity", "Quantity, such as memory or train (default: all).", 0, complete="measured")


@printed
def run(quantity: str | None) -> Answer:
    """Print the class of every value, or the measurements that a quantity was compared with."""
    from ...api.evidence import evidence
    from ...report.evidence import evidence_document

    return evidence_document(evidence(quantity))


COMMANDS = (Command("evidence", (QUANTITY, *OUTPUT), run),)
