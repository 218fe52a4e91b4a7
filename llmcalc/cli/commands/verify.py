"""``llmcalc verify MODEL``: run a small NumPy model, or read a checkpoint's headers; compare with what is declared."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ..headers import has_headers_only, read_headers_only
from ..options import MODEL, OUTPUT, READING
from ..spec import Argument, Command

if TYPE_CHECKING:
    from ...core.architecture import Architecture
    from ...report.verify import Outcome

EVERY = "all"
WHICH = Argument("model", f"{MODEL.help} The word {EVERY}: every preset.", complete=MODEL.complete)
CLEAR = "\r\x1b[K"


def run(model: str, form: str | None, as_json: bool, **reading: Any) -> int:
    """Verify, and print; exit code 1 if anything differs or cannot be run."""
    from ...api.load import load
    from ...report.verify import all_document, outcome, verify_document
    from ..output import chosen_format, warn, write

    chosen = chosen_format(form, as_json)
    if model == EVERY:
        for option in READING:
            if reading[option.name]:
                raise InputError(
                    "concerns one model", parameter=option.name, hint=f"{EVERY} verifies presets as they are"
                )
        found = _everything()
        write(all_document(found), chosen)
        return 0 if all(each.ok for each in found) else 1
    if has_headers_only(model):
        from ...report.weights import headers_document

        write(headers_document(read_headers_only(model), "verify"), chosen)
        return 1
    architecture = load(model, **reading)
    if architecture.inputs.get("checkpoint"):
        return _headers(architecture, chosen)
    if os.path.isdir(model):
        warn(_unopened(model))
    one = outcome(architecture)
    write(verify_document(architecture, one), chosen)
    return 0 if one.ok else 1


def _unopened(model: str) -> list[str]:
    """Weights of a folder that are not compared, since they are pickled."""
    from pathlib import Path

    from ...checkpoint.headers.checkpoint_files import pickled_files

    return [
        f"{name} is pickled and was not opened: its tensors are not compared" for name in pickled_files(Path(model))[:3]
    ]


def _headers(architecture: Architecture, chosen: str) -> int:
    """Compare the headers of the weights that were given; exit code 1 if anything differs."""
    from ...importers.weights import headers_of
    from ...report.weights import comparison_document
    from ...verification.weights import verify_weights
    from ..output import write

    headers = headers_of(architecture)
    assert headers is not None
    found = verify_weights(architecture, headers)
    write(comparison_document(found), chosen)
    return 0 if found.ok else 1


def _everything() -> list[Outcome]:
    """The outcome of every model, with a line on a terminal that says how far it is."""
    from ...report.verify import models, outcome_of

    wanted, found = models(), []
    watched = sys.stderr.isatty()
    for number, (family, size) in enumerate(wanted, 1):
        if watched:
            print(f"{CLEAR}{number}/{len(wanted)} {family}", end="", file=sys.stderr, flush=True)
        found.append(outcome_of(family, size))
    if watched:
        print(CLEAR, end="", file=sys.stderr, flush=True)
    return found


COMMAND = Command(
    "verify",
    "Run a small NumPy model, or read a checkpoint's headers; compare with what is declared.",
    (WHICH, *READING, *OUTPUT),
    run,
    "llmcalc verify mixtral",
)
