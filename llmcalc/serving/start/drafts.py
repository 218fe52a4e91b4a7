"""Draft models, EAGLE heads and multi-token-prediction layers that engines load for speculative decoding."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from ...calc.memory.number_formats import BITS_A_BYTE
from ...calc.params import params
from ...calc.sharding import Mesh
from ...core.architecture import Architecture, PipelineStage, Run, Stack
from ...core.errors import InputError
from ...core.interval import Interval
from ...core.ledger import rows
from ...core.record import NamedTuple, changed
from ...data import table
from ...engines.profile import EngineProfile
from ...fitting.memory import serving_stages, serving_weights
from ...inputs.extras import ASSUMED, like_last_layer, prediction_of
from ...inputs.models import read_model
from ...inputs.number_formats import number_format, plain
from ...schema.config_files import read_config
from .asked_drafts import EAGLE, EAGLE3, LLAMA_CPP, MODEL, MTP, Asked, stated_method
from .cache import STATE, CacheLayer
from .draft_stacks import eagle_stack, outside_blocks, part_of
from .llama_cpp_models import LlamaCppModel, llama_cpp_layer, llama_cpp_model
from .memory import STATIC  # rule of SGLang, whose drafts share vocabulary tables after the cache is sized
from .models import layers_of, load_served, serving_mesh_of, vocabulary
from .weights import length_on_rank, padded_weights

TITLES = {MODEL: "draft model", MTP: "MTP layer", EAGLE: "EAGLE head", EAGLE3: "EAGLE-3 head"}
LOGIT_BYTES = 4
# whose checkpoints leave these layers in 16 bits (vllm-project/vllm#38832 and #25987: NVIDIA Model-Optimizer)
UNQUANTISED = ("nvfp4",)
DRAFT_VOCABULARY = 32_000  # usual number of tokens of an EAGLE-3 head


class Draft(NamedTuple):
    """What drafts tokens, on one rank.

    Attributes:
        method: how tokens are drafted.
        title: name in reports.
        weights: bytes of the weights.
        layers: cached layers.
        tables: bytes of vocabulary tables that SGLang loads until it shares those of the target.
        notes: assumptions.
        architecture: draft model, or None for a part of the target or a head.
        settings: settings of the draft model.
        compute: bytes of the compute buffer that llama.cpp allocates for a draft model.
        stage: layers after the last one of the target, or None for a draft model.
        steps: everything that a pass of the draft computes.
    """

    method: str
    title: str
    weights: Interval
    layers: tuple[CacheLayer, ...]
    tables: int = 0
    notes: tuple[str, ...] = ()
    architecture: Architecture | None = None
    settings: Mapping[str, Any] = {}
    compute: Interval = Interval(0, 0, 0)
    stage: Architecture | None = None
    steps: Architecture | None = None

    def placed(self, target: Architecture, settings: Mapping[str, Any], build: int) -> LlamaCppModel:
        """Return the sizes of the draft on each device in llama.cpp."""
        if self.architecture:
            return llama_cpp_model(self.architecture, self.settings, build)
        return llama_cpp_layer(
            target, self.stage or target, int(self.weights.best), {**settings, **self.settings}, build
        )

    def loaded(self, placed: LlamaCppModel | None, profile: EngineProfile) -> tuple[tuple[str, Interval], ...]:
        """Return what is loaded on the GPU that stores the most, by name."""
        if placed:
            weights = Interval.exact(placed.drafts.get(placed.largest_gpu, 0))
            return (self.title, weights), ("draft compute buffer", self.compute)
        tables = self.tables if profile.rule == STATIC else 0
        return ((self.title, self.weights + Interval.exact(tables)),)

    def cached(self, target: Sequence[CacheLayer], profile: EngineProfile) -> tuple[CacheLayer, ...]:
        """Return the layers for which an engine sizes its cache. SGLang takes them to be like those of the target."""
        if profile.rule != STATIC:
            return self.layers
        n_own, n_target = (sum(each.n_layers for each in own if each.kind != STATE) for own in (self.layers, target))
        share = Fraction(n_own, n_target or 1)
        return tuple(each._replace(bytes=each.bytes * share) for each in target if each.kind != STATE)

    @property
    def row_bytes(self) -> Fraction:
        """Bytes per token of the cache."""
        return sum((each.bytes * each.n_layers for each in self.layers if each.kind != STATE), Fraction())


def read_draft(asked: Asked, architecture: Architecture, profile: EngineProfile, settings: Mapping[str, Any]) -> Draft:
    """Return what drafts tokens for a model."""
    is_file = profile.rule == LLAMA_CPP and asked.name and asked.method != EAGLE3
    if asked.method == MODEL or is_file:
        return _model(asked, profile, settings)
    width = number_format(settings.get("dtype", "bf16")).bits // BITS_A_BYTE
    draft = (_prediction if asked.method == MTP else _head)(asked, architecture, settings, width)
    if profile.rule != LLAMA_CPP:
        return draft
    own = {name: settings.get(f"draft_{name}") for name in ("cache", "cache_v")} | _draft_context(settings)
    return draft._replace(settings=own, compute=_compute(architecture, profile, settings))


def _model(asked: Asked, profile: EngineProfile, settings: Mapping[str, Any]) -> Draft:
    """Return a draft model, which has weights and a cache of its own."""
    if not asked.name:
        raise InputError("missing draft model", parameter="draft", hint="add {draft=MODEL}")
    is_source = asked.name.startswith("hf:") or os.path.exists(asked.name)
    model, _, weights, notes = load_served(asked.name, is_repository=not is_source)
    own = {**settings, "weights": asked.weights or weights, "pp": 1, "tp": asked.tp or settings.get("tp", 1), "dp": 1}
    own |= {"expert_parallel": False, "ep": 1}
    if profile.rule == LLAMA_CPP:
        own |= {name: settings.get(f"draft_{name}") for name in ("gpu_layers", "cpu_experts", "cache", "cache_v")}
        own |= {"cpu_all_experts": False, "cpu_dense": 0, "tensor_overrides": None, "pp": settings.get("pp", 1)}
        own |= _draft_context(settings)
    stage = _served(model, own)
    size, title = padded_weights(stage, profile.padding) - stage.host, f"{TITLES[MODEL]} {model.name}"
    compute = _compute(model, profile, own) if profile.rule == LLAMA_CPP else Interval(0, 0, 0)
    return Draft(MODEL, title, Interval.exact(size), layers_of(model, own), 0, notes, model, own, compute, steps=model)


def _draft_context(settings: Mapping[str, Any]) -> dict[str, int]:
    """Return the context of all sequences of a draft in llama.cpp, if it differs. A sequence has one of its own."""
    own = settings.get("draft_context")
    return {"max_model_len": own * settings["max_num_seqs"]} if own else {}


def _served(model: Architecture, settings: Mapping[str, Any]) -> Any:
    (stage,) = serving_stages(
        model, seq=settings["max_model_len"], batch=1, dtype=settings.get("dtype", "bf16"),
        weights=settings.get("weights"), mesh=_mesh(model, settings), step_tokens=settings["max_num_batched_tokens"],
        extend=True,
    )  # fmt: skip
    return stage


def _compute(model: Architecture, profile: EngineProfile, settings: Mapping[str, Any]) -> Interval:
    """Return the bytes of the compute buffer that llama.cpp allocates for a draft.

    Its largest part is the logits of a micro-batch. Newer builds only store those of a few tokens.
    """
    forward = profile.constant("forward").scaled(_served(model, settings).transient)
    logits = Interval.exact(LOGIT_BYTES * vocabulary(model) * settings["max_num_batched_tokens"])
    return Interval(forward.low, max(forward.best, logits.best), max(forward.high, logits.high + forward.low)).rounded()


def _prediction(asked: Asked, architecture: Architecture, settings: Mapping[str, Any], width: int) -> Draft:
    """Return the model's own layer for multi-token prediction, which shares the vocabulary tables.

    Raises:
        InputError: if the model has no such layer, and no other checkpoint with one is named. Of an EAGLE head without
            a name, only the size is assumed to be that of such a layer.
    """
    stated = prediction_of(architecture)
    if stated_method(settings) == MTP and not asked.name and not stated:
        text = f"{architecture.name} has no layer for multi-token prediction"
        hint = "use a draft model, as in {draft=MODEL}, or the config.json of a checkpoint that states such layers"
        raise InputError(text, parameter="draft_method", hint=hint)
    module, first = stated or like_last_layer(architecture), architecture.main.n_layers
    stage = _layers(architecture, module.stack.runs, first)
    assumed = f"the MTP layer of {architecture.name} is assumed to be like its last layer, with a projection"
    size = _bytes(stage, architecture, settings, _prediction_format(settings))
    size += _bytes(outside_blocks(architecture, module.stack), architecture, settings, settings.get("dtype", "bf16"))
    return Draft(
        MTP, TITLES[MTP], Interval.exact(size), layers_of(stage, settings), _tables(architecture, settings, width),
        (assumed,) if module.reason == ASSUMED else (), stage=stage,
        steps=part_of(architecture, module.stack, first),
    )  # fmt: skip


def _prediction_format(settings: Mapping[str, Any]) -> str | None:
    """Return the format of layers for multi-token prediction, which a checkpoint in NVFP4 stores in 16 bits."""
    weights = settings.get("weights")
    return str(settings.get("dtype", "bf16")) if weights and plain(weights) in UNQUANTISED else weights


def _head(asked: Asked, architecture: Architecture, settings: Mapping[str, Any], width: int) -> Draft:
    """Return an EAGLE head: layers and a projection of their input. The tables of inputs are those of the target.

    Without a config, it has a layer like the last one of the target, without experts. The first layer of an EAGLE-3
    head reads two vectors, and its projection three. It has an output table, of 32,000 tokens in most releases.
    """
    found = _head_config(asked.name)
    model, tokens = found or (architecture, DRAFT_VOCABULARY)
    stage = _layers(model, model.main.runs) if found else _layer(architecture, architecture.main.runs[-1])
    counts, dtype = params(stage), settings.get("dtype", "bf16")
    size = _bytes(stage, model, settings, dtype) * counts.active // counts.total
    third: dict[str, Any] = {}
    if asked.method == EAGLE3:
        third = {"features": 3, "second_inputs": _first_inputs(stage, _mesh(model, settings))}

    def stack(output_tokens: int) -> Stack:
        own = third and {**third, "own_vocabulary": output_tokens}
        return eagle_stack(architecture, stage.main.runs, model.main.d_model, vocabulary(model), **own)

    most = tokens if found else max(vocabulary(architecture), tokens)
    best, high = (
        size + _bytes(outside_blocks(architecture, stack(own)), architecture, settings, dtype) for own in (tokens, most)
    )
    note = f"the {TITLES[asked.method]} is assumed to have one layer like the last one of {architecture.name}"
    note += f" and an output table of {tokens:,} tokens" if third else ""
    return Draft(
        asked.method, TITLES[asked.method], Interval(best, best, high), layers_of(stage, settings),
        _tables(architecture, settings, width), () if found else (note,), stage=stage,
        steps=part_of(architecture, stack(tokens)),
    )  # fmt: skip


def _head_config(name: str) -> tuple[Architecture, int] | None:
    """Return the layers of a head and the tokens of its output table by its config, or None if no config is named."""
    if name.startswith("hf:"):
        from ...importers.hub import config  # needed only by models of the Hub

        data = read_config(config(name))
    elif os.path.exists(name):
        data = read_config(os.path.join(name, "config.json") if os.path.isdir(name) else name)
    else:
        return None
    keys = (*table("config_keys")["draft_models"]["keys"], "architectures")
    layers = data.get("transformer_layer_config") or {key: value for key, value in data.items() if key not in keys}
    model = read_model(layers)
    return model, int(data.get("draft_vocab_size") or vocabulary(model))


def _first_inputs(stage: Architecture, mesh: Mesh) -> int:
    """Return the outputs on one rank of the matrices that read the stream in the first sub-layer."""
    stack = stage.stacks[0]
    first = stack.runs[0].block.sublayers[0].name
    return sum(
        length_on_rank(row, mesh, row.tensor.groups[-1])
        for row in rows((changed(stack, runs=(Run(stack.runs[0].block, 1),)),))
        if row.entry.sublayer == first and row.tensor.linear and row.tensor.groups[-2] == ("d",)
    )


def _layer(architecture: Architecture, run: Run) -> PipelineStage:
    """Return one block as a part of a model after its last layer."""
    return _layers(architecture, (Run(run.block, 1),), architecture.main.n_layers)


def _layers(architecture: Architecture, runs: tuple[Run, ...], first: int = 0) -> PipelineStage:
    """Return blocks as a part of a model, without its inputs and outputs."""
    main = architecture.main
    return part_of(architecture, Stack(main.name, main.d_model, (), runs, (), main.role), first)


def _mesh(architecture: Architecture, settings: Mapping[str, Any]) -> Mesh:
    return serving_mesh_of(architecture, {**settings, "pp": 1})


def _bytes(stage: Architecture, model: Architecture, settings: Mapping[str, Any], weights: str | None) -> int:
    """Return the bytes of a part of a model on one rank."""
    formats = serving_weights(model, weights, settings.get("dtype", "bf16"), (), ())
    bits = sum(stored.bits for stored in formats.stored(stage, _mesh(model, settings)))
    return -(-bits // BITS_A_BYTE)


def _tables(architecture: Architecture, settings: Mapping[str, Any], width: int) -> int:
    """Return the bytes of the tables of inputs and outputs on one rank."""
    return 2 * vocabulary(architecture) * architecture.main.d_model * width // int(settings.get("tp", 1))
