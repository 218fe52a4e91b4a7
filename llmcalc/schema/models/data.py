"""pydantic models of the package's data files. ``TABLES`` maps each file to a model."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ...core.errors import DescriptionError
from ..plain_data import changed_errors
from ..plain_validation import RESULT_KEY, validate
from ..yaml_reader import locate_error, read_yaml
from .engines import Engine
from .fields import Checked, Count, Fraction, Range, Rate, Size, Sourced, Text
from .hardware import Accelerator, Instance
from .times import Acceptance, EngineSteps, Kernels, KernelTable, ProgramFacts, ProgramLaunch, TimeSpread, TrainingTimes
from .training_files import TrainingProgram
from .validation import Model, json_schema


class NumberFormat(Sourced):
    """A number format with the number of bits per block and additional bits per row, column and tensor."""

    bits: Size
    block: Size = 1
    rows: Size = 1
    payload: Count = 0
    flat: bool = False
    outer: Count = 0
    outer_bits: Count = 0
    row_bits: Count = 0
    column_bits: Count = 0
    tensor_bits: Count = 0
    fallback: Text | None = None
    generations: list[Text] = Field([])
    ggml: Count | None = None
    aliases: list[Text] = Field([])


class MixtureRule(Model):
    """A number format for selected tensors of selected layers."""

    of: Text
    format: Text
    layers: Annotated[str, Field(pattern=r"^(all|more|middle|first [0-9]+(/[0-9]+)?)$")] = "all"
    when: Literal["grouped", "8 experts", "80 layers"] | None = None


class Mixture(Model):
    """A file type that stores different tensors in different number formats, or those of another one and own rules."""

    main: Text | None = None
    like: Text | None = None
    rules: list[MixtureRule] = Field([])
    published: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    perplexity: Annotated[float, Field(ge=0)] | None = None


class OptimizerState(Model):
    """An optimizer state with its size in bytes per parameter."""

    bytes: Size
    of: Literal["matrices", "others"] | None = None
    factored: bool = False
    block: Size | None = None


class Optimizer(Sourced):
    """An optimizer with its states and the size of its master copy in bytes per parameter."""

    states: list[OptimizerState]
    master: Count


class ScalingLaw(Sourced):
    """A published scaling law."""

    title: Text
    form: Text
    constants: dict[str, float]
    uncertainty: dict[str, Text] = Field({})
    counts: Literal[
        "total", "active", "stored", "stored-non-embedding", "non-embedding", "with-head", "flops-per-token"
    ]
    tokens: Literal["trained", "repeated", "fixed"]
    compute: Literal["6nd", "all-flops", "minimum", "flops-per-token", "routing", "unstated"]
    range: dict[str, Range] = Field({})
    unit: Rate = 1.0
    checked: Checked  # a required key
    example: Text | None = None
    gap: Text | None = None


class EnergyConvention(Sourced):
    """A published method for converting accelerator-hours to energy and emissions."""

    title: Text
    power: Literal["rated", "measured"]
    pue: Annotated[float, Field(ge=1)]
    kg_per_kwh: Rate


class ServingPower(Sourced):
    """Power of an accelerator that serves requests, as shares of its rated power, and its relative error."""

    idle: Fraction
    memory: Fraction
    compute: Fraction
    prefill: Fraction
    error: Fraction


class Utilisation(Sourced):
    """Published model FLOPs utilisation (MFU) of training runs."""

    count: Literal["causal", "dense", "6nd"]
    low: Fraction | None = None
    mid: Fraction
    high: Fraction | None = None
    experts: bool = False
    of: Text


class Measured(Model):
    """A table of measured and predicted values, or the figures of a script."""

    quantity: Text
    value: Text
    mode: Literal["serving", "training", "requests", ""]
    source: Text
    in_fit: bool = False
    bounds: bool = False
    settings: str = ""
    compared: str = ""
    remark: str = ""
    unit: str = ""
    rows: list[Annotated[list[Any], Field(min_length=3, max_length=4)]] = Field([])
    cases: Count = 0
    failures: Count = 0
    failure: str = ""
    deviation: str = ""


class LintRule(Sourced):
    """A lint rule of ``llmcalc check``."""

    title: Text
    reason: Text


class ConfigKeys(Model):
    """Key aliases and default values for one ``model_type`` in config.json."""

    aliases: dict[str, str]
    defaults: dict[str, Any]
    nullable: list[Text] = Field([])


class Variant(Model):
    """A model type whose configs are read as another type if a key has a value."""

    key: Text
    value: bool | int | Text
    like: Text


class ConfigKeyTables(Model):
    """Tables of known config.json keys for every ``model_type``."""

    irrelevant: dict[str, list[Text]]
    irrelevant_if_off: list[Text]
    irrelevant_if_foreign: list[Text]
    values: dict[str, list[Text]]
    ignored: dict[str, list[Text] | dict[str, bool]]
    multi_token_prediction: list[Text]
    draft_models: dict[str, list[Text]]
    original_formats: dict[str, list[Text]]
    activations: dict[str, Text]
    poolings: list[Text]
    heads: dict[str, Text]
    class_families: dict[str, Text]
    variants: dict[str, Variant]
    adapted_classes: dict[str, Text]
    router_noise: list[Text]
    dropout: dict[str, list[Text]]


class TaskHead(Model):
    """Layers that classes for a task add to the base models of some families."""

    families: Text
    layers: list[Text]
    without_pooler: bool = False


class ModelfileTable(Sourced):
    """Parameters and instructions of Ollama's Modelfiles, as flags of llama-server."""

    parameters: dict[str, Text]
    defaults: dict[str, int]
    contexts: dict[str, Size]
    ignored: Text
    instructions: dict[str, str]
    variables: dict[str, Text]
    latest: dict[str, Text]
    tags: dict[str, Text]


class UnknownKeys(Model):
    """Phrases in the names of unknown config.json keys, by their effect on sizes."""

    synonyms: dict[str, list[Text]]
    stated: dict[str, dict[str, bool | int | float | Text]]
    released: list[Text]
    sizes: list[Text]
    no_effect: dict[str, list[Text]]
    arithmetic: list[Text]
    arithmetic_unless_integer: list[Text]
    structural: list[Text]


class Modality(Model):
    """Model types that belong to a modality other than language."""

    models: list[Text] = Field([])
    parts: list[Text] = Field([])
    suffixes: list[Text] = Field([])


class GgufGroup(Model):
    """GGUF metadata keys to add or remove for a group of architectures."""

    keys: dict[str, Text] = Field({})
    equal: dict[str, Count] = Field({})
    sizes: dict[str, Text] = Field({})
    without: list[Text] = Field([])


class GgufArchitecture(GgufGroup):
    """A mapping from a GGUF architecture to the corresponding Hugging Face ``model_type`` and config keys."""

    model_type: Text
    include: list[Text] = Field([])
    values: dict[str, Any] = Field({})
    optional: dict[str, Text] = Field({})
    rows: dict[str, Text] = Field({})
    tensors: dict[str, Text] = Field({})
    sliding_period: Size | None = None
    rule: Text | None = None


class GgufTable(Model):
    """A mapping from GGUF metadata to Hugging Face config keys."""

    common: dict[str, Text]
    required: list[Text]
    groups: dict[str, GgufGroup]
    architectures: dict[str, GgufArchitecture]
    irrelevant: list[Text]


RuleValue = int | Text | list[int | float | Text]


class ImageRule(Sourced):
    """Rule of an image processor. A list names the places of a value, followed by its default."""

    aliases: list[Text] = Field([])
    split: dict[
        Literal["square", "multiples", "budget", "padded", "fit", "canvas", "tiles", "slices"], dict[str, RuleValue]
    ]
    patch: RuleValue
    merge: RuleValue = 1
    queries: RuleValue | None = None
    image: Count = 0
    tile: Count = 0
    tile_row: Count = 0
    row: Count = 0


class LengthScaling(Model):
    """A method of rotary positions that multiplies the positions of a config, or has own factors up to ``short``."""

    type: Literal["linear", "dynamic", "yarn", "longrope"]
    factor: Annotated[float, Field(ge=1)] = 1.0
    original: Size | None = None
    short: Size | None = None


class ContextLength(Model):
    """Most tokens that a model accepts, or why it has no such limit."""

    length: Size | None = None
    scaling: LengthScaling | None = None
    none: Text | None = None
    source: Text


class UnexecutedParts(Model):
    """Tensors of modules that a text-only forward pass never executes."""

    keys: dict[str, Text] = Field({})
    choices: dict[str, list[Text]] = Field({})
    words: Text | None = None
    ignored: Text | None = None
    functions: dict[str, Text] = Field({})
    values: dict[str, Text | int] = Field({})
    checks: list[dict[Literal["require", "error"], Text]] = Field([])
    include: Text | None = None
    modules: dict[str, dict[str, Any]] = Field({})
    parts: dict[str, Text | dict[str, Any]] = Field({})


class QuestionTexts(Model):
    """What a command asks, in words."""

    help: Text
    examples: list[Text]
    unlisted: Text = "Options"
    panels: dict[str, Text] = Field({})


class Questions(Model):
    """Help of the program, of groups of commands and of commands."""

    headings: dict[str, list[Text]]
    groups: dict[str, Text]
    panels: dict[str, Text]
    commands: dict[str, QuestionTexts]


ResultKey = Annotated[str, Field(pattern=RESULT_KEY)]
EncoderTraits = dict[str, str | int | float | bool | None]
Reader = Annotated[str, Field(pattern=r"^\w+\.\w+( [\w-]+)?$")]  # module.function and a layout

TABLES: dict[str, Any] = {
    "data/config_keys": ConfigKeyTables,
    "data/eager": dict[str, dict[str, Text]],
    "data/evidence": dict[str, Measured],
    "data/context_lengths": dict[str, ContextLength],
    "data/release_lengths": dict[str, ContextLength],
    "data/repository_suffixes": dict[str, Text],
    "data/efficiency/*": KernelTable,
    "data/energy": dict[str, EnergyConvention],
    "data/engine_steps": EngineSteps,
    "data/engines/*": dict[str, Engine],
    "data/formats/*": dict[str, NumberFormat],
    "data/gguf": GgufTable,
    "data/image_rules": dict[str, ImageRule],
    "data/hardware/*": dict[str, Accelerator],
    "data/hf/*": ConfigKeys,
    "data/instances/*": dict[str, Instance],
    "data/kernels": Kernels,
    "data/launches": dict[str, ProgramLaunch],
    "data/mixtures": dict[str, Mixture],
    "data/modelfile": ModelfileTable,
    "data/optimizers": dict[str, Optimizer],
    "data/other_models": dict[str, Modality],
    "data/questions": Questions,
    "data/results": dict[str, dict[str, ResultKey]],
    "data/repositories": dict[str, Text],
    "data/rules": dict[str, LintRule],
    "data/scaling/*": dict[str, ScalingLaw],
    "data/serving_power": ServingPower,
    "data/sources": dict[str, Text],
    "data/speculation": dict[str, Acceptance],
    "data/text_models": dict[str, Text],
    "data/training_files/*": dict[str, TrainingProgram],
    "data/task_heads": dict[str, list[TaskHead]],
    "data/training_plan": dict[Literal["ratio_error"], Rate],
    "data/training_programs": dict[str, ProgramFacts],
    "data/training_time": TrainingTimes,
    "data/time_errors": dict[str, TimeSpread],
    "data/unknown_keys": UnknownKeys,
    "data/utilisation": dict[str, dict[str, Utilisation]],
    "*/composite_models": dict[str, dict[str, Text | bool | dict[str, Any] | None]],
    "*/encoders": dict[str, Text | EncoderTraits],
    "*/families": dict[str, Reader],
    "zoo/*/unexecuted_parts/*": UnexecutedParts,
}


def check_data_file(file: Path, package: Path) -> None:
    """Validate a data file of the package."""
    name = file.relative_to(package).with_suffix("").as_posix()
    expected = next((model for pattern, model in TABLES.items() if fnmatch(name, pattern)), None)
    if expected is None:
        raise DescriptionError("no model describes this file; add one to TABLES in schema/models/data.py", where=name)
    document = read_yaml(file.read_text("utf-8"), str(file))
    with changed_errors(lambda error: locate_error(error, [document])):
        validate(json_schema(expected), document.data)
