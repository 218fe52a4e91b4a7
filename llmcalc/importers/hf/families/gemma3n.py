"""Gemma 3n, with four residual streams, low-rank residuals, per-layer inputs and shared keys and values."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from ....core.architecture import Architecture, Block, Branch, Named, Sublayer
from ....core.record import NamedTuple
from ....layers import AltUp, Laurel, Linear, Mlp, Norm, PerLayerGate, PerLayerTable, ResidualStream, Scale
from ....layers.parts.kv import Kv
from ..config import Config
from ..rules import causal_lm, runs_of, sublayer
from .gemma4 import reused_layers

HALF_THE_POWER = 0.5**0.5  # scale of the sum of two streams
_PERIOD = 5
_SPARSE_LAYERS, _SPARSITY = 10, 0.95


class Kind(NamedTuple):
    """Properties that vary between the layers of a model."""

    layer_type: str
    d_ff: int
    sparsity: float
    reuses: bool


def gemma3n(config: Config) -> Architecture:
    """Return the language model of Gemma 3n."""
    width, layers = config.d_model, config.n_layers
    streams, own = config.repeats("altup_num_inputs"), config.size("hidden_size_per_layer_input")
    config.ignore("altup_coef_clip")
    norm = config.rmsnorm()
    number = count()
    runs = runs_of(_kinds(config, layers), lambda kind: _block(config, kind, norm, own, f"block{next(number)}"))
    table = PerLayerTable(config.size("vocab_size_per_layer_input"), width, layers, own, norm.eps)
    created = [ResidualStream(number) for number in range(1, streams)]
    projections = [Linear(width, width, bias=False, residual_stream=stream) for stream in created]
    inputs = [Named("per_layer", table)]
    inputs += [Named(f"altup_projection{number}", layer) for number, layer in enumerate(projections)]
    head = config.lm_head(softcap=config.number("final_logit_softcapping"))
    found = causal_lm(config, runs, norm, head=head, inputs=tuple(inputs), embedding_scale=width**0.5)
    stack = found.main
    outputs = [
        Named(f"altup_unembed{number}", replace(layer, residual_stream=replace(stream, restores=True)))
        for number, (layer, stream) in enumerate(zip(projections, created, strict=True))
    ]
    return replace(found, stacks=(replace(stack, outputs=(*outputs, *stack.outputs)),))


def _kinds(config: Config, layers: int) -> list[Kind]:
    types = config.layer_types(config.periodic_types(_PERIOD, first=_PERIOD - 1))
    reused = reused_layers(config, types, all_allowed=False)
    usual = [_SPARSITY if layers > _SPARSE_LAYERS and index < _SPARSE_LAYERS else 0.0 for index in range(layers)]
    sparsity = config.per_layer("activation_sparsity_pattern", usual)
    widths = [config.integer(width, "intermediate_size", 1) for width in config.per_layer("intermediate_size")]
    return [
        Kind(kind, widths[index], float(sparsity[index]), index >= layers - reused) for index, kind in enumerate(types)
    ]


def _block(config: Config, kind: Kind, norm: Norm, own: int, name: str) -> Block:
    width, activation = norm.d_model, config.activation("hidden_activation")
    window = config.sliding_window() if kind.layer_type == "sliding_attention" else None
    kv = Kv(reused=kind.reuses, norm=True, norm_eps=config.eps)
    attention = config.attention(layer_type=kind.layer_type, window=window, kv=kv, qk_norm="head", scale=1.0)
    laurel = Laurel(width, config.size("laurel_rank"), norm.eps)
    mixers = (Branch("attention", attention, post=norm), Branch("laurel", laurel))
    scaled, active = config.flag("altup_correct_scale", True), config.count("altup_active_idx")
    altup = AltUp(width, config.repeats("altup_num_inputs"), scaled, active, norm.eps)
    parts = (
        sublayer("altup", altup),
        Sublayer("attention", mixers, pre=norm, after=Scale(width, factor=HALF_THE_POWER)),
        sublayer("mlp", Mlp(width, kind.d_ff, activation, gated=True, sparsity=kind.sparsity), pre=norm, post=norm),
        sublayer("per_layer_input", PerLayerGate(width, own, activation), post=norm),
    )
    return Block(name, parts)
