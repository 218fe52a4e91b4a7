"""pydantic models of all preset keys except the architecture, such as sizes, published figures and notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import ConfigDict, Field

from ...core.traits import Parallel
from ..facts import DTYPES, STATUSES, TRAINING_UNITS
from ..plain_validation import PERCENTAGE
from .validation import Model

if TYPE_CHECKING:
    Status: TypeAlias = str
    Dtype: TypeAlias = str
    Measured: TypeAlias = str
    Described: TypeAlias = str
    Division: TypeAlias = str
else:
    Status = Literal[STATUSES]
    Dtype = Literal[DTYPES]
    Measured = Literal[tuple(quantity for quantity, unit in TRAINING_UNITS.items() if unit)]
    Described = Literal[tuple(quantity for quantity, unit in TRAINING_UNITS.items() if not unit)]
    Division = Literal[tuple(vars(Parallel()))]

Name = str | int  # a size or a model may be called 13, which YAML reads as a number unless quoted
Text = str | int | float
Variables = dict[str, Any]
Value = TypeVar("Value")
BySize = dict[str, Value | None] | None


def of_sizes(text: str) -> Any:
    """Return a field with values for all sizes or for one size, and what it describes."""
    return Field(None, description=f"{text}, for `all` sizes or for one size.")


class Figure(Model):
    """A published figure that the model must reproduce."""

    quantity: Text
    value: float
    tolerance: Annotated[float, Field(ge=0)] | Annotated[str, Field(pattern=PERCENTAGE)] = 0.0
    source: Text
    printed: Text | None = None
    note: Text | None = None


class _Fact(Model):
    source: Text
    printed: Text | None = None
    note: Text | None = None
    confirmed: bool = True


class MeasuredFact(_Fact):
    """A published numeric fact about a training run."""

    quantity: Measured
    value: Annotated[float, Field(gt=0)]


class DescribedFact(_Fact):
    """A published non-numeric fact about a training run."""

    quantity: Described
    value: str


Fact = Annotated[MeasuredFact | DescribedFact, Field(discriminator="quantity")]


class Checkpoint(Model):
    """Number formats of the published checkpoint, as in its ``config.json``."""

    source: Text
    dtype: Dtype = Field("bfloat16", description="Type of unquantised tensors.")
    quantization_config: dict[str, Any] = Field(description="The `quantization_config` of the published config.json.")


class Encoder(Model):
    """The image encoder that a published checkpoint adds to the language model, as in its ``config.json``."""

    source: Text
    config: dict[str, Any] = Field(
        description="The `model_type`, the `vision_config` and the keys of the projector and of the image processor."
    )


class KindAxis(Model):
    """An axis of a layer kind."""

    size: Text = Field(description="An expression over fields, or over axes and the workload.")
    name: str | None = Field(None, description="The name of the axis in formulas.")
    meaning: str | None = Field(None, description="What the axis counts.")
    shard: Division | None = Field(None, description="How parallelism divides the axis; `whole` if it never does.")


class KindTensor(Model):
    """A stored tensor of a layer kind, with its options."""

    tensor: str = Field(description="Name and axes, such as `wq[d | h e]`, with the inputs of a matrix before the bar.")
    share: str | None = Field(None, description="Tensors with the same key are stored once.")
    active: list[str] | None = Field(None, description="A pair of axes: all entries, and those used per token.")
    table: Literal["token", "position", "segment", "other"] | None = Field(None, description="Type of look-up table.")
    buffer: bool | None = Field(None, description="Whether the tensor is no parameter.")


class KindState(Model):
    """A tensor of a layer kind that persists between decode steps."""

    tensor: str = Field(description="Name and axes, such as `k[b t g e]`.")
    role: Literal["kv", "recurrent", "conv", "index"] | None = Field(None, description="Role of the state.")


class Kind(Model):
    """A layer kind that a preset defines by equations."""

    description: str | None = Field(None, description="What the layer computes.")
    source: Text | None = Field(None, description="Where the equations are published.")
    fields: dict[str, Text] | None = Field(None, description="Fields with their type (int, float) or default.")
    axes: dict[str, Text | KindAxis] | None = Field(None, description="Length of each axis.")
    tensors: list[str | KindTensor] | None = Field(None, description="Stored tensors, such as `wq[d | h e]`.")
    equations: list[str] | None = Field(None, description="Equations in execution order. The last result is y.")
    state: list[str | KindState] | None = Field(None, description="Tensors that persist between decode steps.")
    mask: str | dict[str, Text] | None = Field(None, description="`causal`, `{window: size}` or `{chunk: size}`.")


class Preset(Model):
    """A model family with one architecture and the variables of each size."""

    model_config = ConfigDict(title="llmcalc preset")

    name: Annotated[str, Field(min_length=1)] | int
    title: Name | None = None
    family: Name | None = None
    year: int | None = None
    source: Name | None = None
    status: Status | None = None
    base: Name | None = None
    default: Name | None = None
    aliases: dict[str, Any] | None = Field(None, description="Other names, each with the size it refers to.")
    variables: Variables | None = Field(None, description="Values that the architecture uses as $name.")
    kinds: dict[str, Kind | None] | None = Field(None, description="Layer kinds that the architecture uses.")
    architecture: dict[str, Any] | None = Field(None, description="Stacks and extras.")
    sizes: dict[str, Variables | None] | None = Field(None, description="The variables of each size.")
    expect: BySize[list[Figure]] = Field(None, description="Published figures of each size.")
    notes: BySize[str | list[str]] = of_sizes("Assumptions and omissions, shown with every result")
    remarks: BySize[str | list[str]] = of_sizes("Explanations of the structure or of published figures")
    facts: BySize[list[Fact]] = of_sizes("Published training facts")
    checkpoint: BySize[Checkpoint] = of_sizes("Formats of the published weights if they are quantised")
    encoder: BySize[Encoder] = of_sizes("Image encoders of multimodal checkpoints")
    prediction: BySize[Annotated[int, Field(ge=1)]] = of_sizes(
        "Layers for multi-token prediction in published checkpoints that the architecture does not describe"
    )
    layout: Name | None = None
    unmodelled: list[str] | None = Field(
        None, description="Unmodelled features that change the model's output but no count; the model cannot be run."
    )
