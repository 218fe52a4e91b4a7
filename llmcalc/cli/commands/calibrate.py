"""The ``llmcalc calibrate`` command for fitting the times of serving to own measurements."""

from __future__ import annotations

from ..options import FORCE, NOTES, OUTPUT, refuse
from ..output import Answer, printed
from ..spec import Argument, Command, Option

FILE = Argument("rows", "CSV file of measurements, such as rows.csv.", metavar="FILE")
TO = Option(
    "--output", "File for the factors, such as own.yaml or own.json (default: print them only).", "FILE", short="-o"
)


@printed
def run(rows: str, output: str | None, force: bool) -> Answer:
    """Print the factors of each deployment, and write them to a file."""
    from pathlib import Path

    from ...api.calibrate import calibrate
    from ...report.calibration import calibration_document
    from ..files import write_file

    if output is None:
        refuse((FORCE,), {"force": force}, "without a file", hint="add {output=own.yaml}")
    result = calibrate(rows)
    if output is not None:
        write_file(Path(output), result.text(is_json=output.lower().endswith(".json")), force=force)
    return calibration_document(result, rows, output)


COMMANDS = (Command("calibrate", (FILE, TO, FORCE, *OUTPUT, NOTES), run),)
