"""The ``llmcalc check-log``, ``calibrate`` and ``evidence`` commands: what was measured, and what was predicted."""

from __future__ import annotations

from typing import Any

from ...core.setting import Setting
from ...inputs.serving_settings import CHECK_LOG
from ...inputs.training_settings import TIMED_STEP
from ..memory_options import settings
from ..options import FORCE, NOTES, OUTPUT, refuse
from ..output import Answer, printed
from ..question import question
from ..spec import Argument, Command, Option, option_of

LOG = Argument("path", "Log file of vLLM, SGLang, TensorRT-LLM or llama.cpp, or - for standard input.", metavar="FILE")
ROWS = Argument("rows", "CSV file of measurements, or a log of Megatron-LM or torchtitan.", metavar="FILE")
TRAINED = Setting("model", metavar="MODEL", complete="models", help="Training: model of the steps.")
STEP = tuple(map(option_of, (TRAINED, *TIMED_STEP)))
TO = Option(
    "--output", "File for the factors, such as own.yaml or own.json (default: print them only).", "FILE", short="-o"
)
QUANTITY = Argument("quantity", "Quantity, such as memory or train (default: all).", 0, complete="measured")


@printed
def run_calibrate(rows: str, output: str | None, force: bool, **given: Any) -> Answer:
    """Print the factors of each deployment, and write them to a file."""
    from pathlib import Path

    from ...api.calibrate import calibrate
    from ...report.calibration import calibration_document
    from ..files import write_file

    if output is None:
        refuse((FORCE,), {"force": force}, "without a file", hint="add {output=own.yaml}")
    result = calibrate(rows, settings(given, STEP))
    if output is not None:
        write_file(Path(output), result.text(is_json=output.lower().endswith(".json")), force=force)
    return calibration_document(result, rows, output)


COMMANDS = (
    question("check-log", LOG, map(option_of, CHECK_LOG), (*OUTPUT, NOTES)),
    Command("calibrate", (ROWS, TO, FORCE, *STEP, *OUTPUT, NOTES), run_calibrate),
    question("evidence", QUANTITY, (), OUTPUT),
)
