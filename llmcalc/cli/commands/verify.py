"""``llmcalc verify MODEL``: compare the declared numbers with a NumPy model, or with a checkpoint's headers."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ..files import has_headers_only, read_headers_only
from ..options import MODEL, OUTPUT, READING
from ..spec import Argument, Command

if TYPE_CHECKING:
    from ...core.architecture import Architecture
    from ...report.verify import Outcome

EVERY = "all"
WHICH = Argument("model", f"A model, or {EVERY} for every preset.", complete=MODEL.complete)
CLEAR = "\r\x1b[K"


def run(model: str, form: str | None, as_json: bool, **reading: Any) -> int:
    """Exit code 1 if anything differs or cannot be run."""
    from ...api.load import load
    from ...report.verify import all_document, outcome, verify_document
    from ..output import chosen_format, warn, write

    chosen = chosen_format(form, as_json)
    if model == EVERY:
        for option in READING:
            if reading[option.name]:
                raise InputError(f"cannot be combined with {EVERY}", parameter=option.name, hint="name one model")
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
    """A warning for each pickled file of weights in a folder, which is not opened."""
    from pathlib import Path

    from ...checkpoint.headers.checkpoint_files import pickled_files

    return [
        f"{name} is pickled and was not opened; its tensors are not compared" for name in pickled_files(Path(model))[:3]
    ]


def _headers(architecture: Architecture, chosen: str) -> int:
    """Compare a checkpoint's headers; exit code 1 if anything differs."""
    from ...api.verify import verify_checkpoint
    from ...report.weights import comparison_document
    from ..output import write

    found = verify_checkpoint(architecture)
    write(comparison_document(found), chosen)
    return 0 if found.ok else 1


def _everything() -> list[Outcome]:
    """The outcome of every model, with a progress line on a terminal."""
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


COMMANDS = (Command("verify", (WHICH, *READING, *OUTPUT), run, "llmcalc verify mixtral"),)
