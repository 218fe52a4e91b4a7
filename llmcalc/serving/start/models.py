"""Models as serving engines load them: names of repositories, sizes on one GPU, and groups of cached layers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction

from ...calc.kv_cache import LONG, ROLE_DTYPES, SHORT, element_bytes, state
from ...calc.memory.inference import InferenceMemory
from ...calc.memory.number_formats import BITS_A_BYTE
from ...calc.pipeline_stages import pipeline_stages
from ...calc.sharding import Mesh
from ...calc.touched_experts import expert_layers
from ...core.architecture import Architecture, declare, model_of
from ...core.errors import DescriptionError, InputError, nearest
from ...core.interval import Interval
from ...core.record import changed, remembered
from ...core.type_names import TYPE_CHECKING, Any
from ...data import tables
from ...engines.lengths import POSITIONS, served_length
from ...engines.profile import EngineProfile, read_profile
from ...fitting.memory import refusals, serving_stages
from ...inputs.defaults import LLAMA_CPP_STEP_TOKENS
from ...inputs.gguf_names import FILE_FORMAT, GgufName
from ...inputs.models import Source, read_model
from ...inputs.number_formats import CHECKPOINT, number_format
from ...inputs.repository_names import NamedModel, stored_name
from ...layers.parts.rope import Dynamic, Linear, Scaling, Yarn
from ...schema.preset_files import names as preset_names
from .cache import ALIGNED, ALL, INDEX, ROWS, CacheGroups, CacheLayer, cache_groups, cache_layers, flat_cache
from .encoders import encoder_memory, served_encoder
from .memory import PROFILED, ModelBytes
from .offload import offloaded_weights
from .packed_cache import compressed_workspace
from .states import NO_STATES, StatePool
from .weights import (
    allocator_rounding,
    expert_buffers,
    largest_matrix,
    layer_weights,
    padded_weights,
)

if TYPE_CHECKING:
    from .llama_cpp_models import LlamaCppModel

ADAPTERS = "LoRA"  # first word of the names of their buffers
FP8 = "fp8"
LONG_CHUNK = 2048  # tokens, of models whose layers have no chunks (config/model.py: get_mamba_chunk_size)
STATE_TITLES = {"recurrent": "recurrent", "conv": "convolution"}
SENT = 2  # tensors of a step that vLLM sends to the next pipeline stage: hidden states and the residual
DRAFT_BUFFERS = 2  # of a step in vLLM: hidden states and embeddings (v1/spec_decode/llm_base_proposer.py)


def load_served(model: Source, is_repository: bool = False) -> tuple[Architecture, str, str | None, tuple[str, ...]]:
    """Load a model under the name that an engine knows. Return its name, assumed weight format and notes."""
    if not isinstance(model, str) or not is_repository:
        architecture = read_model(model)
        return architecture, architecture.name if not isinstance(model, str) else model, None, ()
    name = model.removeprefix("hf:") if "/" in model else model
    file = stored_name(name)
    try:
        architecture = read_model(name)
        stored = architecture.inputs.get(FILE_FORMAT)
        return architecture, model, stored, file.notes(name, architecture) if stored and file else ()
    except DescriptionError as error:
        if file and (found := _first(file.models)):
            inputs = NamedModel("", file).inputs(found)
            architecture = changed(found, inputs={**found.inputs, **inputs})
            return architecture, model, inputs.get(FILE_FORMAT), file.notes(model, found)
        raise _unknown(model, file.model if isinstance(file, GgufName) else name) from error


def stored_format(assumed: str | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the assumed weight format of a repository, unless they state another format.

    A quantisation method of an engine, such as ``awq_marlin``, says how to compute with the format of the checkpoint.
    """
    is_method = settings.get("weights") in (None, CHECKPOINT)
    return {**settings, "weights": assumed} if assumed and is_method else dict(settings)


def _unknown(model: str, name: str) -> DescriptionError:
    """Return the error for an unknown model. It suggests similar presets, or the model's config."""
    own, known = name.rpartition("/")[2].lower(), preset_names()
    longer = [each for each in known if each.startswith(f"{own}-")]
    similar = [] if name.startswith((".", "/", "~")) else longer[:3] or nearest(own, known)
    is_repository = re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", name) and "gguf" not in model.lower()
    config = f"hf:{name} or the path of its config.json" if is_repository else "the path of its config.json"
    hint = f"did you mean {' or '.join(similar)}? Otherwise use {config}" if similar else f"use {config}"
    return DescriptionError(f"no preset has the architecture of {model}", parameter="model", hint=hint)


def _first(names: Iterable[str]) -> Architecture | None:
    """Return the first model that has one of the names."""
    for name in names:
        with suppress(InputError):
            return read_model(name)
    return None


def step_sizes(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, int]:
    """Return the tokens and sequences of a step. The defaults do not exceed what requests can fill."""
    tokens = settings.get("max_num_batched_tokens", LLAMA_CPP_STEP_TOKENS)
    sequences = settings["max_num_seqs"]
    if "max_num_batched_tokens" not in given:
        tokens = min(tokens, sequences * settings["max_model_len"])
        if settings.get("chunked_prefill") is False:
            tokens = max(tokens, settings["max_model_len"])
    if "max_num_seqs" not in given:
        sequences = min(sequences, tokens)
    return {"max_num_batched_tokens": tokens, "max_num_seqs": sequences}


def serving_mesh_of(architecture: Architecture, settings: Mapping[str, Any]) -> Mesh:
    """Return the mesh of one replica. Data-parallel ranks of a mixture of experts share the experts."""
    tp, pp, dp = (settings.get(name, 1) for name in ("tp", "pp", "dp"))
    has_experts = bool(expert_layers(architecture))
    if settings.get("expert_parallel") and not has_experts:
        message = f"has no effect on {architecture.name}, which has no routed experts"
        raise InputError(message, parameter="expert_parallel", hint="omit it")
    own = {"vocabulary_multiple": settings["vocabulary_multiple"]} if tp > 1 else {}
    if not has_experts:
        return Mesh(tp=tp, pp=pp, **own)
    if settings.get("expert_parallel") or settings.get("ep", 1) > 1:
        return Mesh(dp=dp, tp=tp, pp=pp, ep=dp * tp, **own)
    return Mesh(dp=dp, tp=tp, pp=pp, etp=dp * tp, **own) if dp > 1 else Mesh(tp=tp, pp=pp, **own)


def model_bytes(
    architecture: Architecture,
    profile: EngineProfile,
    settings: Mapping[str, Any],
    placed: LlamaCppModel | None = None,
    drafts: Sequence[tuple[str, Interval]] = (),
    number: int | None = None,
) -> ModelBytes:
    """Return the sizes of a model on a rank, beside what drafts tokens.

    The rank is that of the pipeline stage ``number`` (default: the one with the most weights, which also samples).
    """
    mesh, tokens = serving_mesh_of(architecture, settings), settings["max_num_batched_tokens"]
    stages = serving_stages(
        architecture, seq=settings["max_model_len"], batch=settings["max_num_seqs"] * mesh.dp,
        dtype=settings.get("dtype", "bf16"), weights=settings.get("weights"), cache=settings.get("cache"),
        step_tokens=tokens, mesh=mesh, extend=True,
    )  # fmt: skip
    width = number_format(settings.get("dtype", "bf16")).bits // BITS_A_BYTE
    weights = [padded_weights(stage, profile.padding) - stage.host for stage in stages]
    place = weights.index(max(weights)) if number is None else number
    largest: InferenceMemory = stages[place]
    samples, hidden = number in (None, mesh.pp - 1), tokens * architecture.main.d_model * width
    if placed:
        return ModelBytes(
            weights=placed.largest.weights,
            forward=largest.transient,
            hidden=hidden,
            logits=tokens * vocabulary(architecture),
            width=width,
            is_parallel=mesh.pp > 1,
            staged=placed.staged,
            extras=tuple(drafts),
        )
    rounding = allocator_rounding(largest) if profile.rule == PROFILED else 0
    n_layers = largest.architecture.main.n_layers
    encoder = encoder_memory(served_encoder(architecture, settings), settings)
    offloaded, buffers = offloaded_weights(settings, layer_weights(largest), n_layers, largest_matrix(largest))
    return ModelBytes(
        weights=weights[place] + rounding + _rotary_tables(architecture, settings, width) + buffers,
        forward=largest.transient,
        hidden=hidden,
        logits=settings["max_num_seqs"] * vocabulary(architecture) if samples else 0,
        experts=expert_buffers(architecture, mesh, tuple(profile.padding)) * tokens * width,
        width=width,
        is_parallel=mesh.tp * mesh.dp > 1,
        refusals=refusals(stages),
        offloaded=offloaded,
        extras=(*_adapters(largest, settings, width), *(drafts if samples else ())),
        encoder=encoder.weights,
        encoding=encoder.activations,
        images=encoder.inputs + encoder.outputs,
        received=SENT * hidden if number else 0,
        sampled=settings["max_num_seqs"] * architecture.main.d_model * width if samples else 0,
        layers=n_layers,
        **_compressed_workspace(architecture, settings),
        buffers=hidden * (bool(settings.get("keeps_embeddings") or encoder.weights) + DRAFT_BUFFERS * bool(drafts)),
    )


def _compressed_workspace(architecture: Architecture, settings: Mapping[str, Any]) -> dict[str, int]:
    """Return what an engine keeps for layers with compressed tokens, and the scores of an indexer."""
    rule = settings.get("compressed")
    if not rule:
        return {}
    states = state(architecture, seq=SHORT, extend=True)
    length, tokens = settings["max_model_len"], settings["max_num_batched_tokens"]
    own = compressed_workspace(states, rule, length, tokens)
    return {"workspace": own, "scores": int(rule["workspace"]["scores"])}


def _adapters(stage: InferenceMemory, settings: Mapping[str, Any], width: int) -> Iterator[tuple[str, Interval]]:
    """Yield the buffers of adapters on a rank."""
    if settings.get("enable_lora") or settings.get("lora_paths"):
        from .adapters import adapter_bytes  # needed only by engines with adapters

        name = f"{ADAPTERS}, {settings['max_loras']} × rank {settings['max_lora_rank']}"
        yield name, adapter_bytes(stage, settings, width)


def vocabulary(architecture: Architecture) -> int:
    """Return the number of logits per token."""
    axes = [declare(layer).axes for _, layer in architecture.main.outputs]
    return max((int(own["V"]) for own in axes if isinstance(own.get("V"), int)), default=0)


def _rotary_tables(architecture: Architecture, settings: Mapping[str, Any], width: int) -> int:
    """Return the bytes of the tables of sines and cosines, one for each distinct kind of rotary positions.

    They have a row for each position of the model, or of a request if the model states no length. With
    ``scaled_tables``, methods that scale all positions have rows for ``factor`` times this length, and YaRN for
    ``factor`` times the length before scaling.
    """
    layers = [layer for run in architecture.main.runs for part in run.block.sublayers for _, layer in part.layers()]
    ropes = {rope for layer in layers if (rope := getattr(layer, "rope", None)) is not None}
    length = settings["max_model_len"]
    with suppress(InputError):
        length = architecture.inputs.get(POSITIONS) or served_length(architecture)
    is_scaled = bool(settings.get("scaled_tables"))
    return sum(_table_rows(rope.scaling, length, is_scaled) * (rope.dim or 0) * width for rope in ropes)


def _table_rows(scaling: Scaling | None, length: int, is_scaled: bool) -> int:
    if is_scaled and isinstance(scaling, Yarn) and scaling.length:
        return round(scaling.length * scaling.factor)
    return round(length * scaling.factor) if is_scaled and isinstance(scaling, (Linear, Dynamic)) else length


def layers_of(stage: Architecture, settings: Mapping[str, Any]) -> tuple[CacheLayer, ...]:
    """Return the cached layers of a model or of a pipeline stage on one rank."""
    mesh, name = serving_mesh_of(stage, settings), settings.get("cache")
    cache, dtype = number_format(name, "cache") if name else None, settings.get("dtype", "bf16")
    own: dict[str, Any] = {"dtype": dtype, "cache": cache, "mesh": mesh, "extend": True}
    formats, kept = state_formats(stage, settings), settings.get("kept_drafts", 0)
    rows = settings.get("latent_rows", ROWS)
    records = tuple((role, *sizes) for role, sizes in settings.get("records", {}).items())

    def compute() -> tuple[CacheLayer, ...]:
        widths = {
            role: Fraction(number_format(kind, "state_dtype").bits, element_bytes(role, dtype) * BITS_A_BYTE)
            for role, kind in formats.items()
        }
        for role, size, count in records:  # bytes of a vector in a layout of the engine's kernels, and its values
            if role == INDEX or (cache and cache.name == FP8):
                stored = Fraction(cache.bits, cache.block) if cache else element_bytes(role, dtype) * BITS_A_BYTE
                widths[role] = Fraction(size * BITS_A_BYTE, count) / stored
        short, long = (state(stage, seq=tokens, **own) for tokens in (SHORT, LONG))
        return cache_layers(short, long, widths, kept, rows)

    return remembered(stage, "_cache_layers", (mesh, name, dtype, tuple(formats.items()), kept, rows, records), compute)


def state_formats(stage: Architecture, settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the number formats of recurrent and convolution states that differ from the usual ones, by role.

    With ``follows_activations``, recurrent states have the format of convolution states, unless a flag, or the config
    of a model with one of the layouts ``float_states``, sets another one.
    """
    conv, recurrent = settings.get("conv_dtype"), settings.get("state_dtype")
    layout = model_of(stage)[0].layout.rpartition(">")[2]
    if recurrent is None and settings.get("follows_activations") and layout not in settings["float_states"]:
        recurrent = conv or settings.get("dtype", "bf16")
    return {role: kind for role, kind in (("conv", conv), ("recurrent", recurrent)) if kind}


def model_kinds(architecture: Architecture) -> tuple[str, ...]:
    """Return what tells which part of an engine runs a model: its layout, and whether it is dense."""
    roles = {tensor.state.role for tensor in state(architecture, seq=1, extend=True).tensors}
    is_dense = not expert_layers(architecture) and not roles & {*STATE_TITLES}
    return (model_of(architecture)[0].layout.rpartition(">")[2], "any", *(("dense",) if is_dense else ()))


def default_state_format(architecture: Architecture, engine: str, dtype: str) -> tuple[str, str]:
    """Return the title of an engine and the number format in which it stores recurrent states by default."""
    profile = read_profile(engine, tables("engines")[engine])
    formats = state_formats(architecture, {**profile.settings, "dtype": dtype})
    return profile.title, formats.get("recurrent") or str(ROLE_DTYPES["recurrent"])


def groups_of(
    architecture: Architecture, settings: Mapping[str, Any], rule: str, drafts: Sequence[CacheLayer] = (),
    states: StatePool = NO_STATES,
) -> dict[int, CacheGroups]:  # fmt: skip
    """Return the groups of cached layers on one rank, by the number of the pipeline stage, if it caches anything.

    The last stage also caches the layers that draft tokens. The pool ``states`` is outside of blocks.
    """
    is_grouped = settings["cache_groups"] and not settings.get("disable_cache_groups")
    size, found = settings["block_size"], {}
    stages = pipeline_stages(architecture, settings.get("pp", 1), uneven=True)
    for number, stage in enumerate(stages):
        layers = (*layers_of(stage, settings), *(drafts if stage is stages[-1] else ()))
        if layers and rule == PROFILED:
            chunk = _chunk(architecture) if settings["kept_states"] == ALL else 0
            has_scratch = settings.get("has_scratch", False)
            found[number] = cache_groups(layers, size, settings["group_ratio"], is_grouped, has_scratch, chunk)
        elif layers:
            found[number] = flat_cache(layers, size, settings["sliding_ratio"] if is_grouped else 1.0, states)
    if not found:
        hint = "add {isl=512} for its throughput on sequences of 512 tokens; memory computes what it needs"
        text = f"missing for {architecture.name}, which has no cache"
        raise InputError(text, parameter="isl", hint=hint)
    return found


def kept_states(architecture: Architecture, settings: Mapping[str, Any]) -> str:
    """Return which recurrent states a request of vLLM keeps for later ones: ``all``, ``aligned`` or an empty string.

    It keeps none if it does not cache prefixes, and in versions that do not do so for the model.
    """
    if not settings.get("prefix_caching", settings["caches_states"]):
        return ""
    if model_of(architecture)[0].layout.rpartition(">")[2] in settings["all_states"]:
        return ALL
    return ALIGNED if settings["aligns_states"] else ""


def _chunk(architecture: Architecture) -> int:
    """Return the tokens of a chunk in which a model computes its recurrent states."""
    chunks = (getattr(layer, "chunk", None) for run in architecture.main.runs for _, layer in run.block.layers())
    return max((chunk for chunk in chunks if isinstance(chunk, int)), default=LONG_CHUNK)


def state_notes(architecture: Architecture, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a note with the number formats of recurrent and convolution states, if the model has them."""

    def roles() -> set[str]:
        return {tensor.state.role for tensor in state(architecture, seq=1, extend=True).tensors}

    found = remembered(architecture, "_state_roles", None, roles)
    formats, dtype = state_formats(architecture, settings), settings.get("dtype", "bf16")
    names = {
        title: number_format(formats.get(role) or ROLE_DTYPES[role] or dtype, "state_dtype").name
        for role, title in STATE_TITLES.items() if role in found
    }  # fmt: skip
    parts = [f"{title} states are stored in {name}" for title, name in names.items()]
    return (" and ".join(parts),) if "recurrent" in found else ()
