"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Any

from ..report import format_names
from .spec import Argument, Option

MODEL = Argument(
    "model", "Preset name, preset YAML, config.json or its folder, .safetensors, .gguf, hf:org/name, or - for stdin.",
    complete="models",
)  # fmt: skip
SET = Option(
    "--set", "overrides", "Override a variable or key of the model, such as n_layers=12. Repeatable.",
    repeatable=True, metavar="PATH=VALUE",
)  # fmt: skip
AS = Option(
    "--as", "as_", "Read a config.json by the rules of this model_type (results carry a warning).",
    metavar="TYPE", complete="model_types",
)  # fmt: skip
ALLOW_UNKNOWN = Option(
    "--allow-unknown", "allow_unknown", "Ignore this unknown config.json key (results carry a warning). Repeatable.",
    repeatable=True, metavar="KEY",
)  # fmt: skip
READING = (SET, AS, ALLOW_UNKNOWN)  # named like the parameters of llmcalc.load
FORCE = Option("--force", "force", "Overwrite an existing file.", kind=bool, default=False)
FORMAT = Option(
    "--format", "form", f"Output format: {', '.join(format_names())} (default: table on a terminal, else plain).",
    choices=format_names(), metavar="NAME",
)  # fmt: skip
JSON = Option("--json", "as_json", "Print one JSON object (same as --format json).", kind=bool, default=False)
OUTPUT = (FORMAT, JSON)
BATCH = Option("--batch", "batch", "Number of sequences.", kind=int, default=1, metavar="N")
SEQ = Option(
    "--seq", "seq", "Sequence length in tokens (default: 2048, or the model's maximum if smaller).", kind=int,
    metavar="N",
)  # fmt: skip
TARGET_SEQ = Option(
    "--target-seq", "target_seq", "Decoder length of an encoder-decoder model, in tokens (default: --seq).", kind=int,
    metavar="N",
)  # fmt: skip
PATCHES = Option(
    "--patches", "patches", "Image patches per sequence, for a vision-language model.", kind=int, default=0, metavar="N"
)
FRAMES = Option(
    "--frames", "frames", "Audio frames per sequence (100 per second), for a speech model.", kind=int, default=0,
    metavar="N",
)  # fmt: skip
EXTEND = Option("--extend", "extend", "Allow sequences beyond the learned positions.", kind=bool, default=False)
SIZES = (BATCH, SEQ, TARGET_SEQ, EXTEND)
# a step whose FLOPs are counted
MODE = Option(
    "--mode", "mode", "Step: forward, train (forward and backward), or decode (after --context cached tokens).",
    default="forward", choices=("forward", "train", "decode"),
)  # fmt: skip
CONTEXT = Option("--context", "context", "Cached tokens before a decode step.", kind=int, metavar="N")
LOGITS = Option(
    "--logits", "logits", "Compute logits of all positions, or of the last one.", default="all", choices=("all", "last")
)
PAIRS = Option(
    "--pairs", "pairs", "FLOPs: count visible query-key pairs (causal) or all pairs (dense).", default="causal",
    choices=("causal", "dense"),
)  # fmt: skip
STEP = (MODE, CONTEXT, PAIRS, LOGITS)  # of commands whose --attention is the kernel
PAIRS_ALONE = Option(
    "--attention", "attention", "Count visible query-key pairs (causal) or all pairs (dense).", default="causal",
    choices=("causal", "dense"),
)  # fmt: skip


def reading(given: dict[str, Any]) -> dict[str, Any]:
    """The parameters of ``llmcalc.load`` among those of a command."""
    return {option.name: given[option.name] for option in READING}


def is_given(option: Option, given: dict[str, Any]) -> bool:
    """Whether an option differs from its default."""
    return bool(given[option.name] != ([] if option.repeatable else option.default))
