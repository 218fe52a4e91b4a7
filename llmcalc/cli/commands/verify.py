"""The ``llmcalc verify`` command for comparing a model with a NumPy model or with checkpoint headers."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ..files import has_headers_only, read_headers_only
from ..options import MODEL, OUTPUT, READING, load_model, values
from ..output import Answer, printed, warn
from ..spec import Argument, Command

if TYPE_CHECKING:
    from ...report.verify import Outcome

EVERY = "all"
WHICH = Argument("model", f"Model to verify, or {EVERY} for every preset.", complete=MODEL.complete)


@printed
def run(model: str, **given: Any) -> Answer:
    """Print the results of the checks. The exit code is 1 if any check fails or cannot be run."""
    from ...report.verify import all_document, outcome, verify_document

    if model == EVERY:
        for name, value in values(READING, given).items():
            if value:
                raise InputError(f"cannot be combined with {EVERY}", parameter=name, hint="pass a single model")
        outcomes = _verify_all()
        return all_document(outcomes), all(each.ok for each in outcomes)
    if has_headers_only(model):
        from ...report.weights import headers_document

        return headers_document(read_headers_only(model), "verify"), False
    architecture = load_model(model, given)
    from ...importers.weights import headers_of

    headers = headers_of(architecture)
    if headers is not None:
        from ...report.weights import comparison_document
        from ...verification.weights import verify_weights

        comparison = verify_weights(architecture, headers)
        return comparison_document(comparison), comparison.ok
    if os.path.isdir(model):
        from pathlib import Path

        from ...checkpoint.headers.checkpoint_files import pickled_files

        names = pickled_files(Path(model))[:3]
        warn([f"{name} is a pickle file and was not opened; its tensors are not compared" for name in names])
    one = outcome(architecture)
    return verify_document(architecture, one), one.ok


def _verify_all() -> list[Outcome]:
    """Verify every model. On a terminal, show a progress bar."""
    from ...report.verify import outcome_of
    from ...schema.preset_files import sized_files

    sizes, outcomes = [*sized_files()], []
    if not sys.stderr.isatty():
        return [outcome_of(file, size) for file, size in sizes]
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress

    shown = (MofNCompleteColumn(), BarColumn(), "{task.description}")
    with Progress(*shown, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(sizes))
        for file, size in sizes:
            progress.update(task, description=os.path.basename(file))
            outcomes.append(outcome_of(file, size))
            progress.advance(task)
    return outcomes


COMMANDS = (Command("verify", (WHICH, *READING, *OUTPUT), run),)
