"""Inkling 2 decoders with attention over the outputs of earlier layer groups and an optional layer loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ....core.architecture import Architecture, Block, Branch, Named, Sublayer
from ....importers.hf.config import Config, Fields
from ....importers.hf.rules import group_runs
from ....layers import Bounds, Head
from ..layers.depth_attention import DepthAttention
from ..layers.relative_profile_attention import RelativeProfileAttention
from ..layers.residual_conv import ResidualConv
from .inkling import FULL, LOCAL, attention_layer, expert_layer, layer_kinds, text_model


class Place(NamedTuple):
    """Position of a layer execution in the decoder, with the layer number, group size and loop state."""

    number: int
    group: int
    looped: bool = False
    again: bool = False

    @property
    def opens(self) -> bool:
        """Whether the layer starts a group. If so, the layer's input stream is stored for later layers."""
        return self.number % self.group == 0

    @property
    def before(self) -> int:
        """Number of group sums that earlier layers have stored."""
        return -(-self.number // self.group)


def inkling2(config: Config) -> Architecture:
    """Read an Inkling 2 config [tml2026]. Attention and expert layers read a mix of earlier layer group outputs."""
    layers, group = config.n_layers, config.size("n_layers_per_attn_res_block")
    return _stack(config, [Place(number, group) for number in range(layers)], ())


def inkling2_loop(config: Config) -> Architecture:
    """Read a looped Inkling 2 config. Some layers run several times and receive messages from the previous pass."""
    layers, group = config.n_layers, config.size("n_layers_per_attn_res_block")
    given = config.get("loop_config")
    if isinstance(given, dict):
        names = {
            "core_start": "index_start",
            "core_end": "index_end",
            "num_passes": "num_passes",
            "gate_rank": "gate_rank",
        }
        for old, new in names.items():
            if old in given:
                config.override(f"loop_{'layer_' if 'index' in new else ''}{new}", given[old])
    first, end = config.size("loop_layer_index_start"), config.size("loop_layer_index_end")
    if first % group or end % group or end <= first:
        text = f"loop bounds {first} and {end} must be multiples of n_layers_per_attn_res_block ({group})"
        raise config.size_error(text)
    passes, last = config.size("loop_num_passes"), min(end, layers)
    config.check_layer_runs(layers + max(0, last - first) * (passes - 1))
    loop = [Place(number, group, looped=True) for number in range(first, last)]
    places = [
        *(Place(number, group) for number in range(min(first, layers))),
        *loop,
        *([place._replace(again=True) for place in loop] * (passes - 1)),
        *(Place(number, group) for number in range(last, layers)),
    ]
    config.add_unmodelled("the NumPy model does not support loops that pass messages between iterations")
    width, groups = config.d_model, max(1, -(-(last - first) // group))
    asked = DepthAttention(width, groups, len(("q", "k", "v", "mlp")), n_layers=end - first)
    stored = DepthAttention(width, groups, asked.n_reads, n_layers=end - first, unused=True)
    messages = Sublayer("messages", (Branch("messages", asked),), residual=False)
    return _stack(config, places, (Named("messages", stored),), messages)


def _stack(
    config: Config, places: list[Place], before: tuple[Named, ...], messages: Sublayer | None = None
) -> Architecture:
    """Return the decoder with its layers in execution order."""
    config.ignore("hidden_act number_of_conv_states")
    if config.string("scoring_func") != "sigmoid":
        config.add_unmodelled("scoring_func must be 'sigmoid'")
    layers = config.n_layers
    kinds, attention = layer_kinds(config, layers), {kind: _gated_attention(config, kind) for kind in (FULL, LOCAL)}
    known: dict[Block, Block] = {}  # equal blocks are shared, so that neighbours form a run
    order = []
    for place in places:
        block = _block(config, place, kinds[place.number], attention, messages)
        order.append(known.setdefault(block, block))
    softcap = config.positive_number("final_logit_softcapping")
    head = Head(config.size("unpadded_vocab_size"), config.d_model, softcap=softcap)
    return text_model(config, group_runs(order), before, head, -(-layers // places[0].group) + 1)


def _gated_attention(config: Config, kind: str) -> RelativeProfileAttention:
    """Return gated attention with sinks and clipping. Full attention also has dynamic convolution kernels."""
    bounds = {
        "clip": config.positive_number("qk_l2_clip_threshold"),
        "profile_clip": config.positive_number("rel_l2_clip_threshold"),
    }
    full = kind == FULL
    return attention_layer(config, kind, norm="clip", dynamic=full, own_inputs=full, gated=True, sinks=True, **bounds)


def _block(
    config: Config, place: Place, kind: str, attention: dict[str, RelativeProfileAttention], messages: Sublayer | None
) -> Block:
    """Return a block of attention and experts, each preceded by depth attention and followed by a convolution."""
    parts = list(_sublayers(config, place, attention[kind]))
    if messages and place.again:
        parts.insert(0, messages)
    return Block("global" if kind == FULL else "local", tuple(parts))


def _sublayers(config: Config, place: Place, attention: RelativeProfileAttention) -> Iterator[Sublayer]:
    from dataclasses import replace  # imported here because the import is slow

    width, full = config.d_model, attention.own_inputs
    norm, conv = config.rmsnorm(), ResidualConv(width, config.size("conv_kernel_size"), scaled=True)
    gates = {"gate_rank": config.size("loop_gate_rank"), "gates_run": place.again} if place.looped else {}

    def depth(states: int, reads: int = 1, uses: int = 1, closes: bool = False) -> DepthAttention:
        given: Fields = {**gates, "n_gates": uses} if gates else {}
        return DepthAttention(width, states, reads, closes=closes, **given)

    bounds = Bounds(
        gate_softcap=config.positive_number("mlp_gate_softcap"), up_softcap=config.positive_number("mlp_up_softcap")
    )
    experts = expert_layer(config, config.size("moe_intermediate_size"), activation="situ", bounds=bounds)
    if full and place.number:
        attention = replace(attention, separate=True)
    share = f"layer{place.number}." if place.looped else ""
    yield Sublayer(
        "attention",
        (Branch("attention", attention, pre=None if full else norm),),
        pre=depth(place.before + 1, 3 if full else 1, 3) if place.number else None,
        post=conv,
        residual=not place.opens,
        share=share and f"{share}attention",
    )
    yield Sublayer(
        "mlp",
        (Branch("mlp", experts, pre=norm),),
        pre=depth(place.number // place.group + 2, closes=place.opens),
        post=conv,
        share=share and f"{share}mlp",
    )
