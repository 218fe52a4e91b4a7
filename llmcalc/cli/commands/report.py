"""``llmcalc report MODEL ... -o FILE``: a self-contained HTML page about models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...core.errors import InputError
from ..options import BATCH, FORCE, READING
from ..spec import Argument, Command, Option

STDOUT = "-"
MODELS = Argument("models", "One or more models; several are compared.", 1, True, "models")
TO = Option(
    "--output", "output", f"HTML file to write ({STDOUT} for standard output).", metavar="FILE", short="-o"
)  # fmt: skip
GPU = Option(
    "--gpu", "gpu", "Also draw the memory of this GPU.", metavar="NAME", complete="accelerators"
)  # fmt: skip
CONTEXT = Option(
    "--context", "context", "Sequence lengths of the charts: 1k..128k:x2 or 1k,8k,64k (k is 1024).",
    default="1k..256k:x2", metavar="VALUES",
)  # fmt: skip


def run(
    models: list[str],
    output: str | None,
    gpu: str | None,
    context: str,
    batch: int,
    force: bool,
    **reading: Any,
) -> int:
    """Write the page."""
    from ...api.defaults import default_seq
    from ...api.load import load_all
    from ...report.page import report_page
    from ..files import write_file
    from ..output import write_text

    if output is None:
        raise InputError("missing", parameter="output", hint="add a file name, such as -o report.html")
    if batch < 1:
        raise InputError(f"must be at least 1, not {batch}", parameter="batch")
    lengths = sorted(set(_lengths(context)))
    architectures = load_all(models, **reading)
    text = report_page(architectures, lengths, batch, default_seq(*architectures), _card(gpu))
    if output == STDOUT:
        write_text(text)
        return 0
    write_file(Path(output), text, force=force)
    write_text(f"wrote {output}")
    return 0


def _lengths(text: str) -> tuple[int, ...]:
    from ...api.sweep import read_axis

    try:
        return read_axis(f"seq={text}").values
    except InputError:
        hint = "use lengths such as 1k..128k:x2 or 1k,8k,64k"
        raise InputError(f"invalid lengths {text!r}", parameter="context", hint=hint) from None


def _card(gpu: str | None) -> tuple[str, int] | None:
    from ...api import names as lookup

    if gpu is None:
        return None
    found = lookup.accelerator(gpu)
    return found.title, found.memory_bytes


COMMANDS = (
    Command(
        "report",
        (MODELS, TO, GPU, CONTEXT, BATCH, FORCE, *READING),
        run,
        "llmcalc report llama3-8b mamba2 --gpu h100 -o report.html",
    ),
)
