"""pydantic models of the profiles of serving engines."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .fields import Count, Size, Sourced, Text
from .validation import Model


class EngineConstant(Model):
    """A quantity that an engine's source leaves open, with its range and the source of both."""

    low: float
    best: float
    high: float
    unit: Text
    source: Text
    note: Text | None = None


class EngineDevices(Sourced):
    """Accelerators on which an engine runs, or is the default, its files, and whether it runs on several computers.

    It does not run on the generations ``without``.
    """

    vendors: list[Text]
    usual: list[Text] = Field([])
    files: Literal["gguf", "safetensors"]
    several_computers: bool
    checks_dtype: bool = False
    without: list[Text] = Field([])


class EngineFormats(Sourced):
    """Formats of weights with which an engine does not compute on some generations of accelerators, and what they need.

    ``names`` are words of number formats and of quantisation methods.
    """

    names: Text
    without: list[Text]
    needs: Text


class EngineModels(Sourced):
    """Models that an engine cannot load: encoder-decoders of text, models without attention, and kinds of layers."""

    encoder_decoder: bool = False
    attention_free: bool = False
    kinds: Text | None = None


class EngineVersion(Model):
    """Settings and constants of an engine from a version on."""

    since: Text
    settings: dict[str, Any] = Field({})
    constants: dict[str, EngineConstant] = Field({})


class EngineRunner(EngineVersion):
    """Settings and constants of the models that a part of an engine runs, from a version on."""

    models: list[Text]


class EngineGpus(Model):
    """Defaults of an engine for GPUs with at least this memory in GiB."""

    at_least: Count
    since: Text | None = None
    until: Text | None = None
    without: list[Text] = Field([])
    settings: dict[str, Any]


class EngineCards(Model):
    """Constants for GPUs by prefixes of their names, and for GPUs without a name below a memory in GiB."""

    gpus: list[Text]
    below: Count
    since: Text
    constants: dict[str, EngineConstant]


class EnginePadding(Sourced):
    """Multiples to which kernels pad the inputs and outputs of expert matrices in a format on some GPUs."""

    format: Text
    gpus: list[str]
    input: Size
    output: Size
    scales: bool


class EngineFlags(Model):
    """Command-line flags of an engine. Lists of flags without dashes are separated by spaces."""

    read: dict[str, Text] = Field({})
    switches_read: list[Text] = Field([])
    lists_read: list[Text] = Field([])
    short: dict[str, Text] = Field({})
    written: dict[str, Text] = Field({})
    unmodelled: Text | None = None
    values: Text | None = None
    switches: Text | None = None
    lists: Text | None = None
    optional: Text | None = None
    repeated: Text | None = None
    even: Text | None = None
    prompt: bool = False
    abbreviations: bool = False
    keys: bool = False
    underscores: bool = False


class EnginePools(Sourced):
    """Flags of a pool that computes prefills alone and of a pool that only decodes, if flags are enough.

    ``decode_cache`` is whether the pool that decodes caches prefixes.
    """

    prefill: Text | None = None
    decode: Text | None = None
    decode_cache: bool = True


class EngineExchange(Sourced):
    """Flags of the exchange of tokens between experts on several nodes, of a replica or of one in a pool."""

    serve: Text
    prefill: Text
    decode: Text


class EngineDrafts(Model):
    """Passes of a draft, tokens of a pass, and verified tokens of a step."""

    steps: Size
    width: Size
    verified: Size


class EngineDraftTrees(Sourced):
    """Defaults of an engine that drafts trees of tokens: of MTP layers, of others, and the running requests."""

    mtp: EngineDrafts
    others: EngineDrafts
    max_num_seqs: Size


class EngineAssumedLength(Sourced):
    """Length of a request that an engine assumes for a model that states none."""

    tokens: Size


class EngineLengths(Sourced):
    """What allows requests longer than the positions of a model: a variable, or flags that scale the positions.

    A flag states a key of the config, or, with an empty name, several keys.
    """

    variable: Text
    flags: dict[str, str]


class EnginePositions(Sourced):
    """How methods of rotary scaling change the positions of a config.

    The factor of methods in ``unscaled`` does not multiply them, and that of methods in ``from_original`` multiplies
    those before scaling. ``keeps_extended`` is whether a config that states both is not scaled, and ``families`` are
    prefixes of model types that are not.
    """

    unscaled: Text
    from_original: Text | None = None
    keeps_extended: bool = False
    families: Text | None = None


class Engine(Sourced):
    """A serving engine: how it divides the memory of a GPU, and its command line."""

    title: Text
    rule: Literal["profiled", "static", "free", "sum"]
    newest: Text
    measured: tuple[Text, Text] | None = None
    devices: EngineDevices
    unserved: EngineModels | None = None
    formats: list[EngineFormats] = Field([])
    programs: list[Text]
    images: list[Text] = Field([])
    command: Text
    share: Text
    log: list[Text]
    versions: list[EngineVersion]
    runners: list[EngineRunner] = Field([])
    gpus: list[EngineGpus] = Field([])
    cards: list[EngineCards] = Field([])
    program_flags: dict[str, EngineFlags] = Field({})
    environment: dict[str, Text] = Field({})
    values: dict[str, dict[str, str]] = Field({})
    methods: dict[str, Text] = Field({})
    smaller: dict[str, Text] = Field({})
    published: dict[str, Text] = Field({})
    padding: list[EnginePadding] = Field([])
    draft_trees: EngineDraftTrees | None = None
    flags: EngineFlags
    pools: EnginePools | None = None
    exchange: EngineExchange | None = None
    positions: EnginePositions | None = None
    longer: EngineLengths | None = None
    assumed_length: EngineAssumedLength | None = None
