"""``llmcalc compare A B [C ...]``: models side by side."""

from __future__ import annotations

from typing import Any

from ..options import BATCH, EXTEND, OUTPUT, READING, SEQ
from ..spec import Argument, Command

MODELS = Argument("models", "Two or more models; the first is what the others are measured by.", 2, True, "models")


def run(
    models: list[str],
    batch: int,
    seq: int | None,
    extend: bool,
    form: str | None,
    as_json: bool,
    **reading: Any,
) -> int:
    """Count all of them, and print."""
    from ...calc.params import params
    from ...loading import load_all
    from ...report.compare import compare_document, costs
    from ...report.workload import usual_seq
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    architectures = load_all(models, **reading)
    length = seq if seq is not None else min(map(usual_seq, architectures))
    counted = [params(architecture) for architecture in architectures]
    write(compare_document(counted, costs(architectures, batch, length, extend)), chosen)
    return 0


COMMAND = Command(
    "compare",
    "Set models side by side: structure and every quantity.",
    (MODELS, BATCH, SEQ, EXTEND, *READING, *OUTPUT),
    run,
    "llmcalc compare bert palm",
)
