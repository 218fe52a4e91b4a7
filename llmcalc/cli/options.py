"""Arguments and options shared by several commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..core import setting
from ..core.errors import InputError
from ..core.type_names import TYPE_CHECKING, Any
from ..report import PARTIAL, format_names, terminal
from .spec import Argument, Option, option_of

if TYPE_CHECKING:
    from ..analysis.quantity import Quantity
    from ..core.architecture import Architecture

MODEL = Argument(
    "model", "Model name, preset YAML, config.json or its folder, .safetensors, .gguf, hf:org/name, or - for stdin.",
    complete="models",
)  # fmt: skip
SET = Option(
    "--set", "Override a model variable or key, such as n_layers=12. Repeatable.", "PATH=VALUE", "overrides",
    repeatable=True,
)  # fmt: skip
AS = Option(
    "--as", "Read a config.json as this model_type (results carry a warning).", "TYPE", "as_", complete="model_types"
)
ALLOW_UNKNOWN = Option(
    "--allow-unknown", "Ignore this unknown config.json key (results carry a warning). Repeatable.", "KEY",
    repeatable=True,
)  # fmt: skip
STRICT = Option("--strict", "Treat every unknown config.json key as an error, even one without effect.", kind=bool)
WITH = option_of(setting.EXTRAS)
LOADING = (SET, AS, ALLOW_UNKNOWN, STRICT)  # without extras, which draft tokens in an engine
READING = (*LOADING, WITH)  # named like the parameters of llmcalc.load
FORCE = Option("--force", "Overwrite an existing file.", kind=bool)
JSON = Option("--json", "Print one JSON object (same as --format json).", name="as_json", kind=bool)
COLOR = Option(
    "--color", "Print in colour (default: auto, on a terminal).", default=terminal.COLOR[0], choices=terminal.COLOR
)


def output(*partial: str) -> tuple[Option, ...]:
    """Return the output options of a command. ``partial`` names the formats that not every report has."""
    names = [name for name in format_names() if name in partial or name not in PARTIAL]
    text = f"Output format: {', '.join(names)} (default: table; plain has all digits)."
    return Option("--format", text, "NAME", "form", choices=tuple(names)), JSON, COLOR


OUTPUT = output()
CHART_OUTPUT, TREE_OUTPUT, FULL_OUTPUT = output("svg"), output("tree"), output(*PARTIAL)
NOTES = Option("--notes", "Also print notes that explain the model but do not change the result.", kind=bool)
ALL = Option("--all", "Print the model, every table and every note.", name="whole", kind=bool)
MODEL_OUTPUT = (*FULL_OUTPUT, NOTES)  # of commands that compute a quantity of a model
BATCH, SEQ, TARGET_SEQ, EXTEND = SIZES = tuple(map(option_of, setting.SIZES))
PATCHES, FRAMES = option_of(setting.PATCHES), option_of(setting.FRAMES)
# the step whose FLOPs are counted
MODE, CONTEXT, COUNT, LOGITS = map(option_of, (setting.MODE, setting.CONTEXT, setting.COUNT, setting.LOGITS))
STEP = (MODE, CONTEXT, COUNT, LOGITS)


def metavar(quantity: Quantity) -> str:
    """Return the placeholder for an amount of a quantity in help texts."""
    return {"bytes": "SIZE", "ns": "TIME"}.get(quantity.unit, "N")


def example(quantity: Quantity) -> str:
    """Return an example amount for a quantity."""
    return {"bytes": "24GiB", "FLOPs": "1e10", "ns": "20ms"}.get(quantity.unit, "13B")


def load_model(model: str, given: dict[str, Any]) -> Architecture:
    """Load a model with the input options of a command."""
    from ..inputs.models import read_model

    return read_model(model, **values(READING if WITH.name in given else LOADING, given))


def load_models(models: list[str], given: dict[str, Any]) -> list[Architecture]:
    """Load several models with the input options of a command."""
    from ..inputs.models import load_all

    return load_all(models, **values(READING, given))


def values(options: tuple[Option, ...], given: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the selected options, by option name."""
    return {option.name: given[option.name] for option in options}


def refuse(options: Iterable[Option], given: Mapping[str, Any], reason: str, hint: str = "omit it") -> None:
    """Raise an error for the first of the options that is given, because it has no effect."""
    for option in options:
        if option.name in given and is_given(option, given):
            raise InputError(f"has no effect {reason}", parameter=option.name, hint=hint)


def is_given(option: Option, given: Mapping[str, Any]) -> bool:
    """Return whether the value of an option differs from the default."""
    return bool(given[option.name] != ([] if option.repeatable else option.default))
