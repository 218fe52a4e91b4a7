"""Models of the time of a step, for settings that are given by name."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

from ...calc.kv_cache import element_bytes
from ...calc.memory.number_formats import BITS_A_BYTE
from ...calc.memory.weight_formats import RequestedFormats
from ...calc.operand_formats import WeightBits
from ...calc.sharding import Mesh
from ...core.architecture import Architecture
from ...core.errors import InputError
from ...core.record import changed, remembered
from ...core.type_names import TYPE_CHECKING, Any
from ...data import table, tables
from ...engines.profile import read_profile
from ...estimate.cost import SIXTEEN_BIT
from ...estimate.hardware import Accelerator
from ...fitting.memory import serving_weights
from ...inputs.number_formats import number_format
from ...kernels.cost import ACTIVATIONS, ClassFormats
from ...kernels.efficiencies import efficiencies
from ...kernels.operations import CONVOLVED, RECURRENT
from ...kernels.step_operations import check_division
from ..start.models import state_formats
from .engine_step import EngineStep, read_engine
from .step import StepModel

if TYPE_CHECKING:
    from ...checkpoint.published_weights import PublishedWeights
    from ...engines.llama_cpp_weights import Placement


def step_model(
    architecture: Architecture,
    accelerator: Accelerator,
    mesh: Mesh,
    engine: str,
    *,
    engine_version: str | None = None,
    weights: str | None = None,
    experts: str | None = None,
    attention_weights: str | None = None,
    cache: str | None = None,
    state_dtype: str | None = None,
    conv_dtype: str | None = None,
    without: frozenset[str] = frozenset(),
    two_batch_overlap: bool = False,
    enforce_eager: bool = False,
    placement: Placement | None = None,
) -> StepModel:
    """Return the model of a step. It is kept with the architecture.

    Args:
        architecture: the model.
        accelerator: the GPU.
        mesh: layout.
        engine: inference engine.
        engine_version: its version (default: the newest one).
        weights: number format of the weights (default: as published).
        experts: number format of routed experts (default: ``weights``).
        attention_weights: number format of layers that mix tokens (default: ``weights``).
        cache: number format of keys and values (default: 16 bits).
        state_dtype: number format of recurrent states (default: that of the engine).
        conv_dtype: number format of convolution states (default: that of the engine).
        without: accelerators whose measurements are left out.
        two_batch_overlap: whether the exchange between expert-parallel ranks overlaps with the computation of another
            half of the batch.
        enforce_eager: whether nothing is captured in CUDA graphs.
        placement: devices of layers and tensors, if the engine may store a part of them in host memory.
    """
    names = (weights, experts or weights, attention_weights or weights)
    states = state_dtype, conv_dtype
    key = (accelerator.name, mesh, engine, engine_version, names, cache, states, without, two_batch_overlap,
           enforce_eager, placement)  # fmt: skip

    def compute() -> StepModel:
        check_division(architecture, mesh)
        formats = ClassFormats(*(weight_bits(architecture, name) for name in names))
        stored = number_format(cache or "bf16", "cache")
        own = engine_step(engine, engine_version)
        own = changed(own, is_eager=True) if enforce_eager else own
        kept = state_bytes(architecture, own.name, engine_version, *states)
        sizes = architecture, accelerator, mesh, formats, stored, kept, own, efficiencies(), without
        if placement:
            from ...engines.llama_cpp_weights import host_shares  # needed only by layers in host memory
            from .host_steps import HostSteps, read_host

            if shares := host_shares(architecture, _weights(architecture, weights), placement):
                return HostSteps(shares, read_host(own.host, accelerator), *sizes)
        if two_batch_overlap:
            from .overlap import TwoBatchSteps  # needed only by two batches

            return TwoBatchSteps(*sizes)
        return StepModel(*sizes)

    return remembered(architecture, "_step_models", key, compute, most=64)


def state_bytes(
    architecture: Architecture,
    engine: str,
    version: str | None = None,
    state_dtype: str | None = None,
    conv_dtype: str | None = None,
) -> dict[str, float]:
    """Return the bytes per element of recurrent and convolution states in an engine, by role.

    >>> import llmcalc
    >>> model = llmcalc.load("mamba2-2.7b")
    >>> state_bytes(model, "vllm"), state_bytes(model, "sglang")
    ({'recurrent': 2.0, 'conv': 2}, {'recurrent': 4, 'conv': 2})
    """

    def compute() -> dict[str, float]:
        settings: dict[str, Any] = {}
        if entry := tables("engines").get(engine):
            with suppress(InputError):  # versions whose memory is not described
                settings |= read_profile(engine, entry, version).settings
        settings |= {name: kind for name, kind in (("state_dtype", state_dtype), ("conv_dtype", conv_dtype)) if kind}
        formats = state_formats(architecture, settings)
        return {
            role: number_format(formats[role], "state_dtype").bits / BITS_A_BYTE if role in formats
            else element_bytes(role, ACTIVATIONS)
            for role in (RECURRENT, CONVOLVED)
        }  # fmt: skip

    return remembered(architecture, "_state_bytes", (engine, version, state_dtype, conv_dtype), compute)


@lru_cache(maxsize=64)
def engine_step(name: str, version: str | None = None) -> EngineStep:
    """Return the time of a step of an engine outside the kernels.

    >>> engine_step("trtllm").name, engine_step("my-engine").is_known
    ('tensorrt-llm', False)
    """
    return read_engine(name, table("engine_steps"), version)


def weight_bits(architecture: Architecture, name: str | None) -> WeightBits:
    """Return the number formats of all weights."""

    def compute() -> WeightBits:
        return WeightBits(architecture, _weights(architecture, name))

    return remembered(architecture, "_step_weight_bits", name, compute, most=64)


def _weights(architecture: Architecture, name: str | None) -> RequestedFormats | PublishedWeights:
    dtype = name if name in SIXTEEN_BIT else SIXTEEN_BIT[0]
    return serving_weights(architecture, name, dtype, (), ())


def check_layout(architecture: Architecture, accelerator: Accelerator, mesh: Mesh, count: int) -> None:
    """Check that a layout does not need more GPUs than there are, and that its pipeline stages divide the model."""
    if mesh.ranks > count:
        first, *others = [name for name in ("tp", "pp", "dp") if getattr(mesh, name) > 1]
        hint = f"use {{gpu={accelerator.name}:{mesh.ranks}}}"
        if others:
            hint += f", or change {', '.join(f'{{{name}}}' for name in others)}"
        raise InputError(f"the layout needs {mesh.ranks} GPUs, and there are {count}", parameter=first, hint=hint)
    most = architecture.main.n_layers if len(architecture.stacks) == 1 else 1
    if mesh.pp > most:
        text = f"{architecture.name} can be divided into at most {most} pipeline stage{'s' * (most > 1)}"
        raise InputError(text, parameter="pp", hint=f"use {{pp={most}}}")
