"""The ``llmcalc report`` command for writing a self-contained HTML page about models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...core.errors import InputError, SizeError, short_repr
from ..options import BATCH, FORCE, READING, load_models, refuse
from ..output import write_text
from ..spec import Argument, Command, Option

STDOUT = "-"
MOST_LENGTHS = 100
MODELS = Argument("models", "One or more models (two or more are compared).", 1, True, "models")
TO = Option("--output", f"HTML output file ({STDOUT} for standard output).", "FILE", short="-o")
GPU = Option("--gpu", "GPUs on which the models are served, such as h100:4.", "NAME[:N]", complete="gpus")
WEIGHTS = Option(
    "--weights",
    "Weight format, such as fp8-block or q4_k_m (default: as published).",
    "FORMAT",
    complete="formats",
)
LENGTHS = Option(
    "--lengths", "Sequence lengths for the charts, such as 1k..128k:x2 or 1k,8k,64k (k is 1024).", "VALUES",
    default="1k..256k:x2",
)  # fmt: skip


def run(
    models: list[str],
    output: str | None,
    gpu: str | None,
    weights: str | None,
    lengths: str,
    batch: int,
    force: bool,
    **given: Any,
) -> int:
    """Write the HTML page."""
    from ...inputs.defaults import default_seq
    from ...report.page import report_page
    from ..files import write_file

    if output is None:
        raise InputError("missing", parameter="output", hint="specify an output file, for example with -o report.html")
    if batch < 1:
        raise InputError(f"must be at least 1, not {batch}", parameter="batch")
    if output == STDOUT:
        refuse((FORCE,), {"force": force}, "on standard output")
    sizes = sorted(set(_lengths(lengths)))
    architectures = load_models(models, given)
    text = report_page(architectures, sizes, batch, default_seq(*architectures), gpu, weights)
    if output != STDOUT:
        write_file(Path(output), text, force=force)
        text = f"wrote {output}"
    write_text(text)
    return 0


def _lengths(text: str) -> tuple[int, ...]:
    from ...analysis.axes import read_axis

    try:
        found: tuple[int, ...] = read_axis(f"seq={text}").values
    except SizeError as error:
        raise SizeError(error.message, parameter="lengths", hint=error.hint) from None
    except InputError:
        hint = "use lengths such as 1k..128k:x2 or 1k,8k,64k"
        raise InputError(f"invalid sequence lengths {short_repr(text)}", parameter="lengths", hint=hint) from None
    if len(found) > MOST_LENGTHS:
        raise SizeError(f"more than {MOST_LENGTHS} sequence lengths", parameter="lengths", hint="use a larger step")
    return found


COMMANDS = (Command("report", (MODELS, TO, GPU, WEIGHTS, LENGTHS, BATCH, FORCE, *READING), run),)
