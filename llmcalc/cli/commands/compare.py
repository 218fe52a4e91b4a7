"""``llmcalc compare A B [C ...]``: models side by side."""

from __future__ import annotations

from typing import Any

from ...core.errors import InputError
from ..memory_options import ALL, SIZES, arguments
from ..options import OUTPUT, READING, reading
from ..spec import Argument, Command
from ..step_options import STEP, step

MODELS = Argument("models", "Two or more models; the first is what the others are measured by.", 2, True, "models")


def run(models: list[str], form: str | None, as_json: bool, **given: Any) -> int:
    """Count all of them, and print."""
    from ...api.load import load_all
    from ...calc.params import params
    from ...report.compare import compare_document, costs
    from ...report.workload import usual_seq
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    words, chosen_step = arguments(given), _step(given)
    architectures = load_all(models, **reading(given))
    usual = 1 if chosen_step["mode"] == "decode" else min(map(usual_seq, architectures))
    sizes = {option.name: given[option.name] for option in SIZES}
    sizes["seq"] = usual if given["seq"] is None else given["seq"]
    computed = {**sizes, **chosen_step, "convention": given["convention"]}
    held = {**words, **sizes, "seq": sizes["seq"] + chosen_step["context"]}
    counted = [params(architecture) for architecture in architectures]
    write(compare_document(counted, costs(architectures, computed, held)), chosen)
    return 0


def _step(given: dict[str, Any]) -> dict[str, Any]:
    """What is computed: a training step where the memory of one is asked for."""
    if given["training"] and given["mode"] == "decode":
        raise InputError("a decode step and a training step contradict each other", parameter="mode", hint="drop one")
    return {**step(given), **({"mode": "train"} if given["training"] else {})}


COMMAND = Command(
    "compare",
    "Set models side by side: structure and every quantity.",
    (MODELS, *STEP, *SIZES, *ALL, *READING, *OUTPUT),
    run,
    "llmcalc compare bert palm",
)
