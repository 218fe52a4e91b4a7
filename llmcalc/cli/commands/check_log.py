"""The ``llmcalc check-log`` command for comparing the start-up log of a serving engine with its prediction."""

from __future__ import annotations

from typing import Any

from ..options import NOTES, OUTPUT
from ..output import Answer, printed
from ..spec import Argument, Command, Option

FILE = Argument("path", "Log file of vLLM, SGLang, TensorRT-LLM or llama.cpp, or - for standard input.", metavar="FILE")
OPTIONS = (
    Option("--gpu", "GPU name (default: as in the log).", "NAME", complete="accelerators"),
    Option("--gpu-memory", "Memory per GPU, such as 79.19GiB (default: as in the log).", "SIZE"),
    Option("--model", "Name of the model, if that in the log is a path.", "MODEL", complete="models"),
    Option("--engine-version", "Version of the engine (default: as in the log).", "VERSION"),
)


@printed
def run(path: str, **given: Any) -> Answer:
    """Print each figure of the log beside its prediction. The exit code is 1 if one is outside, or the start failed."""
    from ...api.check_log import check_log
    from ...report.check_log import check_log_document

    checked = check_log(path, **{name: value for name, value in given.items() if value is not None})
    return check_log_document(checked), checked.ok


COMMANDS = (Command("check-log", (FILE, *OPTIONS, *OUTPUT, NOTES), run),)
