"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Any

from ..report import format_names
from .spec import Argument, Option

MODEL = Argument(
    "model",
    "A preset's name, a preset YAML file, a config.json or its folder, a .safetensors or .gguf, hf:org/name, or - for "
    "standard input.",
    complete="models",
)
SET = Option(
    "--set",
    "overrides",
    "Change a variable or key of the model first, such as n_layers=12. May be repeated.",
    repeatable=True,
    metavar="PATH=VALUE",
)
AS = Option(
    "--as",
    "as_",
    "Read a config.json by the rules of this model_type, in place of its own; every result says so.",
    metavar="TYPE",
    complete="model_types",
)
ALLOW_UNKNOWN = Option(
    "--allow-unknown",
    "allow_unknown",
    "Pass over this key of a config.json where nothing is known of it; every result says so. May be repeated.",
    repeatable=True,
    metavar="KEY",
)
READING = (SET, AS, ALLOW_UNKNOWN)  # named like the keywords of llmcalc.load
FORCE = Option("--force", "force", "Write over a file that exists.", kind=bool, default=False)
FORMAT = Option(
    "--format",
    "form",
    f"How to print: {', '.join(format_names())}. The default is a table on a terminal, plain text elsewhere.",
    choices=format_names(),
    metavar="NAME",
)
JSON = Option("--json", "as_json", "Print one JSON object (the same as --format json).", kind=bool, default=False)
OUTPUT = (FORMAT, JSON)
BATCH = Option("--batch", "batch", "Sequences.", kind=int, default=1, metavar="N")
SEQ = Option(
    "--seq",
    "seq",
    "Tokens of a sequence; those of the encoder in an encoder-decoder model. "
    "The default is 2048, or as many positions as the model has learned if those are fewer.",
    kind=int,
    metavar="N",
)
TARGET_SEQ = Option(
    "--target-seq", "target_seq", "The decoder's length in an encoder-decoder model.", kind=int, metavar="N"
)
PATCHES = Option(
    "--patches", "patches", "Patches of a sequence's images, for a model that sees.", kind=int, default=0, metavar="N"
)
FRAMES = Option(
    "--frames", "frames", "Frames of a sequence's sound (100 a second), for a model that hears.", kind=int, default=0,
    metavar="N",
)  # fmt: skip
EXTEND = Option("--extend", "extend", "Allow sequences beyond a learned table of positions.", kind=bool, default=False)


def reading(given: dict[str, Any]) -> dict[str, Any]:
    """The keywords of ``llmcalc.load`` among those of a command."""
    return {option.name: given[option.name] for option in READING}
