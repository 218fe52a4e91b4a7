"""Models of the data files about times: kernels, engines, drafts and errors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .fields import Rate, RatesByFormat, Size, Sourced, Text
from .validation import Model


class KernelFormat(Model):
    """Kernels that compute with weights of some number formats."""

    of: list[Text]
    peak: list[Text]
    activation_bits: Rate
    variants: list[Text] = Field([])
    nearest: list[Text] = Field([])


class KernelFamily(Model):
    """Accelerators that run the same kernels."""

    of: list[Text]
    sms: Size
    l2_mib: Size
    lanes: Size = 128
    nearest: Text | None = None
    peaks: RatesByFormat = Field({})


class Kernels(Sourced):
    """Kernels of number formats, and families of accelerators."""

    formats: dict[str, KernelFormat]
    families: dict[str, KernelFamily]


class KernelTable(Sourced):
    """Coefficients of a kind of kernel by accelerator and format, with their errors in percent."""

    errors: dict[str, list[Rate]]
    coefficients: dict[str, dict[str, dict[str, float | list[Rate]]]]


class StepTime(Model):
    """Time of a step of an engine outside the kernels, in microseconds."""

    step_us: float
    sequence_us: float
    rank_us: Rate = 0
    separate_heads: list[Text] = Field([])


class EarlierEngine(Sourced, StepTime):
    """Time of a step of earlier versions of an engine."""

    since: Text
    before: Text


class HostRates(Sourced):
    """Rates of a host that computes with the weights in its memory."""

    memory: Text
    memory_gb: dict[str, Rate]
    reading: Rate
    crossing_us: Rate
    gflops: Rate
    link_gb: dict[str, Rate]


class EngineAdmission(Sourced):
    """Share of the output still to come that a running request reserves, and the largest number of these tokens."""

    reserved: Annotated[float, Field(ge=0, le=1)]
    most_reserved: Size | None = None


class EngineTime(StepTime):
    """Time of a step of an engine, and what the engine does in a step."""

    names: list[Text] = Field([])
    earlier: list[EarlierEngine] = Field([])
    wait: Rate | None = None
    server_us: Rate | None = None
    kernels: float = 1
    eager: bool = False
    static_us: Rate | None = None
    scheduler: bool = False
    data_parallel: bool = False
    divides_layers: bool = False
    libraries: dict[str, Text] = Field({})
    unified_attention: list[Text] = Field([])
    overlap_tokens: Size = 2
    collective_us: Rate | None = None
    reading: dict[str, Rate] = Field({})
    gap_us: dict[str, Rate] = Field({})
    host: HostRates | None = None
    computing: dict[str, dict[str, Rate]] = Field({})
    admission: EngineAdmission | None = None
    shares_tokens: bool = False
    source: Text | None = None


class UnknownEngine(Model):
    """Values of engines that state none."""

    wait: Rate
    server_us: Rate
    max_num_batched_tokens: Size
    memory_share: Rate
    other_gb: Rate


class SourcedRange(Sourced):
    """A value with its range, such as the microseconds in which a host launches a kernel."""

    low: Rate
    best: Rate
    high: Rate


class Acceptance(SourcedRange):
    """Probability that a drafted token is accepted, and the drafted tokens of a step if none are given."""

    tokens: Size
    others: Text


class EngineSteps(Sourced):
    """Time of a step outside the kernels, in microseconds."""

    launches: dict[str, Rate]
    kernel_us: Rate
    collective_us: Rate
    eager_us: Rate
    launch_us: SourcedRange
    prefill_share: Rate
    stage_wait: Rate
    draft_step_us: float
    draft_pass_us: float
    unknown: UnknownEngine
    engines: dict[str, EngineTime]


class Spread(Model):
    """Logarithmic standard deviations of estimated times, between deployments and inside one."""

    between: Rate
    inside: Rate


class TimeSpread(Sourced, Spread):
    """Deviations with their source."""


class TrainingProgramTime(Model):
    """Time of the steps of a program relative to that of any program, of its launches and of the rest."""

    factor: Rate
    host: Rate
    rest: Rate
    factors: dict[str, Rate]
    spread: Rate


class TrainingTimes(Sourced):
    """Fitted coefficients of training steps, and their errors."""

    coefficients: dict[str, float]
    flash: dict[int, dict[str, Rate]]
    programs: dict[str, TrainingProgramTime]
    known: Spread
    unknown: Spread
    left_out: dict[str, dict[str, float]]


class ProgramFacts(Sourced):
    """What a training program runs at the same time as kernels, and its attention."""

    title: Text
    hides: list[Literal["tp", "cp", "ep", "sends", "replicas"]]
    flash: int
    dispatcher: Text | None = None
    gradient_bits: Size | None = None
    lora_targets: list[Text] | None = None


class ProgramLaunch(Sourced):
    """How a training program is started: its command, and its option for each part of a layout.

    A text is an option, with ``{value}`` for the value, and a mapping has a text for each value.
    """

    title: Text
    command: Text
    options: dict[str, Text | dict[str, Text]]
    refused: dict[str, list[bool | int | Text]] = Field({})
