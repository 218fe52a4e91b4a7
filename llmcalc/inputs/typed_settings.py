"""Types of the settings that public functions take by name, for type checkers alone.

No module imports this one when it runs. A test compares the names with those of the declared settings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from ..calc.sharding import Mesh


class _Main(TypedDict, total=False):
    batch: int
    seq: int | str | None


class _Other(TypedDict, total=False):
    target_seq: int | str | None
    extend: bool


class _Formats(TypedDict, total=False):
    dtype: str
    weights: str | None


class _Serving(TypedDict, total=False):
    cache: str | None
    page: int | str | None
    beams: int | None
    prefill: int | str | None
    step_tokens: str | int | None


class _Training(TypedDict, total=False):
    optimizer: str | None
    attention: str | None
    recompute: str | None
    dropout: bool
    loss: str | None
    scan: str | None
    expert_kernel: str | None
    gradients: str | None
    gradient_buffer: bool
    gradient_placeholders: bool
    master: bool
    lora_rank: int | None
    lora_targets: Iterable[str] | None
    lora_dropout: bool
    offload: str | None
    offload_activations: bool
    optimizer_in_backward: bool
    fp8: str | None
    fused_activation: bool


class _Memory(_Other, _Formats, _Serving, _Training, total=False):
    only: Iterable[str]
    keep: Iterable[str]
    convention: str | None


class _Mode(TypedDict, total=False):
    mode: str


class _Kind(_Mode, total=False):
    training: bool


class _Mesh(TypedDict, total=False):
    mesh: Mesh | None


class _Ranks(_Mesh, total=False):
    dp: int | None
    etp: int | None
    cp: int | None
    sp: bool | None
    zero: int | None
    micro_batches: int | None
    virtual_stages: int | None
    vocabulary_multiple: int | None


class _Division(TypedDict, total=False):
    pp: int | None
    ep: int | None


class _TensorRanks(TypedDict, total=False):
    tp: int | None


class MemorySettings(_Main, _Memory, _Mesh, total=False):
    """Settings of ``memory`` other than its mode."""

    image: Iterable[str]


class MemoryFormSettings(_Main, _Memory, _Mode, _Mesh, total=False):
    """Settings of ``memory_form``."""


class FitSettings(_Main, _Memory, _Kind, _Ranks, _Division, _TensorRanks, total=False):
    """Settings of ``fit``."""


class GpuSearchSettings(_Main, _Memory, _Kind, total=False):
    """Settings of ``find_gpus``."""


class ModelSearchSettings(_Main, _Formats, _Serving, total=False):
    """Settings of ``find_models``."""


class _Quantities(_Memory, _Kind, _Ranks, total=False):
    context: int | str | None
    count: str
    logits: str
    kernels: str
    gpu: str | int | None
    engine: str | None


class QuantitySettings(_Main, _Quantities, _Division, _TensorRanks, total=False):
    """Settings of ``compare``, ``explain`` and ``sweep``."""

    tokens: float | str | None


class CheckSettings(_Quantities, total=False):
    """Settings of ``check`` other than its named parameters."""

    max_communication: int | str | None
    max_flops: float | str | None
    max_latency: float | str | None
    max_state: int | str | None
    max_traffic: int | str | None


class DesignSettings(_Quantities, _Division, total=False):
    """Settings of ``design`` other than its named parameters."""

    communication: int | str | None
    latency: float | str | None
    state: int | str | None
    traffic: int | str | None
