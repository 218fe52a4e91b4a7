"""Inkling: attention with a bias of learned profiles, short convolutions, experts; and attention over depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ....core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from ....core.errors import DescriptionError, SizeError, UnknownNameError
from ....layers.depth_attention import DepthAttention
from ....layers.embedding import Embedding
from ....layers.head import Head
from ....layers.mlp import Mlp
from ....layers.moe import Moe
from ....layers.profile_attention import ProfileAttention
from ....layers.residual_conv import ResidualConv
from ..config import Config
from ..rules import grouped, mixed, rmsnorm

PERIOD = 6  # of layers without a window, and with the first Inkling of nothing else
FULL, LOCAL = "hybrid", "hybrid_sliding"
BEHIND = "mtp_hidden_states_first mtp_local_layer_ids num_mtp_layers chain_hidden_post_norm"  # it is never built


def inkling(config: Config) -> Architecture:
    """Inkling [tml2026]: a convolution behind attention and experts, of which the shared ones are weighed too."""
    layers, width = config.size("num_hidden_layers"), config.size("hidden_size")
    config.ignore(f"{BEHIND} shared_expert_sink rms_norm_eps_moe_gate number_of_conv_states")
    attention = {kind: _attention(config, kind, norm="rmsnorm") for kind in (FULL, LOCAL)}
    hidden, wide = config.size("moe_intermediate_size"), config.size("intermediate_size")
    if config.optional_size("dense_intermediate_size"):  # in checkpoints the other one is that of the experts
        hidden, wide = wide, config.size("dense_intermediate_size")
    shared = config.size("n_shared_experts")
    feeds = {
        "dense": Mlp(width, wide, config.activation(), gated=True, scaled=True),
        "sparse": _experts(config, hidden, n_shared=shared, shares_scaled=True, activation=config.activation()),
    }
    dense = config.count("dense_mlp_idx")
    usual = ["dense" if index < dense else "sparse" for index in range(layers)]
    order = zip(_kinds(config, layers), config.texts("mlp_layer_types", layers) or usual, strict=True)
    runs = tuple(_convolved(run, width, config) for run in mixed(rmsnorm(config, width), attention, feeds, order))
    divisor = config.positive("logits_mup_width_multiplier")
    vocab, real = config.size("vocab_size"), config.optional_size("unpadded_vocab_size")
    if real is not None and real < vocab:
        config.not_run(f"the class drops the logits behind the first {real}")
    return _text(config, runs, (), Head(vocab, width, input_scale=1 / divisor))


def _text(config: Config, runs: tuple[Run, ...], before: tuple[Named, ...], head: Head, depth: int = 0) -> Architecture:
    """A table whose entries have a norm, blocks, and what is behind them; the head has a table of its own."""
    width = config.size("hidden_size")
    config.ignore("tie_word_embeddings max_position_embeddings")
    token = Embedding(config.size("vocab_size"), width, normed=True, norm_eps=config.number("rms_norm_eps") or 1e-6)
    outputs = [Named("depth", DepthAttention(width, depth))] if depth else []
    outputs.append(Named("norm", rmsnorm(config, width)))
    if (config.head() or "causal") == "causal":
        outputs.append(Named("head", head))
    elif config.head() != "none":
        raise DescriptionError("only the language model and its bare form are understood", where=config.where)
    stack = Stack("decoder", width, (Named("token", token), *before), runs, tuple(outputs))
    return Architecture(config.model_type, (stack,))


def _kinds(config: Config, layers: int) -> list[str]:
    """Which layers have a window."""
    local = config.get("local_layer_ids")
    chosen = set(config.indices("local_layer_ids")) if local is not None else None
    usual = [
        (LOCAL if index in chosen else FULL) if chosen is not None else (LOCAL if (index + 1) % PERIOD else FULL)
        for index in range(layers)
    ]
    found = config.texts("layer_types", layers) or usual
    strange = next((kind for kind in found if kind not in (FULL, LOCAL)), None)
    if strange is not None:
        raise UnknownNameError("layer type", strange, (FULL, LOCAL), where=config.where)
    return found


def _attention(config: Config, kind: str, **changes: Any) -> ProfileAttention:
    """Attention of one kind of layer, which has sizes of its own."""
    prefix, span = ("swa_", config.size("sliding_window_size")) if kind == LOCAL else ("", None)
    head = config.size(f"{prefix}head_dim")
    fields: dict[str, Any] = {
        "d_head": head,
        "d_profile": config.size("d_rel"),
        "reach": span or config.size("rel_extent"),
        "d_conv": config.size("conv_kernel_size"),
        "window": span,
        "norm_eps": config.number("rms_norm_eps") or 1e-6,
        "scale": 1 / head if changes.get("norm") == "rmsnorm" else None,
    }
    start = config.optional_size("log_scaling_n_floor")
    strength = config.number("log_scaling_alpha") or 0.0
    if kind == FULL and start:
        fields |= {"stretch": strength, "stretch_from": start}
    heads = (config.size(f"{prefix}num_attention_heads"), config.size(f"{prefix}num_key_value_heads"))
    return ProfileAttention(config.size("hidden_size"), *heads, **{**fields, **changes})


def _experts(config: Config, hidden: int, **changes: Any) -> Moe:
    """Experts that a sigmoid scores, with offsets that only decide which are chosen."""
    sizes = (config.size("hidden_size"), hidden, config.size("n_routed_experts"), config.size("num_experts_per_tok"))
    scale = config.number("route_scale")
    usual: dict[str, Any] = {"router": "sigmoid", "renormalise": True, "correction_bias": "buffer"}
    return Moe(*sizes, **usual, routed_scale=1.0 if scale is None else scale, **changes)


def _convolved(run: Run, width: int, config: Config) -> Run:
    """A run whose sub-layers give their results to a convolution first."""
    from dataclasses import replace

    conv = ResidualConv(width, config.size("conv_kernel_size"))
    parts = tuple(
        replace(part, name=name, branches=(replace(part.branches[0], name=name),), post=conv)
        for name, part in zip(("attention", "mlp"), run.block.sublayers, strict=True)
    )
    return replace(run, block=Block(run.block.name, parts))


class Place(NamedTuple):
    """A layer of Inkling 2 where it is applied: its number, how many layers make a group, and the loop around it."""

    number: int
    group: int
    looped: bool = False
    again: bool = False

    @property
    def opens(self) -> bool:
        """Whether it is the first of a group: the stream before it is one that later layers look back at."""
        return self.number % self.group == 0

    @property
    def before(self) -> int:
        """The groups before it, its own included once it has begun."""
        return -(-self.number // self.group)


def inkling2(config: Config) -> Architecture:
    """Inkling 2 [tml2026]: what attention and experts read is a mix of what groups of earlier layers gave."""
    layers, group = config.size("num_hidden_layers"), config.size("n_layers_per_attn_res_block")
    places = [Place(number, group) for number in range(layers)]
    return _deep(config, places, ())


def inkling2_loop(config: Config) -> Architecture:
    """Inkling 2 with a loop: some layers are passed several times, and hear what the pass before has found."""
    layers, group = config.size("num_hidden_layers"), config.size("n_layers_per_attn_res_block")
    given = config.get("loop_config")
    if isinstance(given, dict):
        names = {"core_start": "index_start", "core_end": "index_end", "num_passes": "num_passes", "gate_rank": "gate_rank"}
        for old, new in names.items():
            if old in given:
                config.fix(f"loop_{'layer_' if 'index' in new else ''}{new}", given[old])
    first, end = config.size("loop_layer_index_start"), config.size("loop_layer_index_end")
    if first % group or end % group or end <= first:
        text = f"the loop goes from layer {first} to {end}; both are multiples of n_layers_per_attn_res_block ({group})"
        raise SizeError(text, where=config.where)
    passes, last = config.size("loop_num_passes"), min(end, layers)
    loop = [Place(number, group, looped=True) for number in range(first, last)]
    again = [place._replace(again=True) for place in loop] * (passes - 1)
    places = [
        *(Place(number, group) for number in range(min(first, layers))),
        *loop,
        *again,
        *(Place(number, group) for number in range(last, layers)),
    ]
    config.not_run("a loop hands messages from pass to pass, which has no NumPy model")
    width, groups = config.size("hidden_size"), max(1, -(-(last - first) // group))
    asked = DepthAttention(width, groups, len(("q", "k", "v", "mlp")), n_layers=end - first)
    stored = DepthAttention(width, groups, asked.n_reads, n_layers=end - first, unused=True)
    messages = Sublayer("messages", (Branch("messages", asked),), residual=False)
    return _deep(config, places, (Named("messages", stored),), messages)


def _deep(
    config: Config, places: list[Place], before: tuple[Named, ...], messages: Sublayer | None = None
) -> Architecture:
    """Layers in the order in which they are applied, and the parts around them."""
    config.ignore("hidden_act number_of_conv_states")
    if config.word("scoring_func") != "sigmoid":
        config.not_run("scoring_func is another than sigmoid")
    layers = config.size("num_hidden_layers")
    kinds, attention = _kinds(config, layers), {kind: _gated(config, kind) for kind in (FULL, LOCAL)}
    blocks: dict[Place | tuple[str, Place], Block] = {}
    order = []
    for place in places:
        alike = place if place.looped else place._replace(number=place.number - place.number % place.group + (not place.opens))
        key = (kinds[place.number], alike if place.number else place)
        if key not in blocks:
            blocks[key] = _block(config, place, kinds[place.number], attention, messages)
        order.append(blocks[key])
    softcap = config.positive("final_logit_softcapping")
    head = Head(config.size("unpadded_vocab_size"), config.size("hidden_size"), softcap=softcap)
    group = places[0].group
    return _text(config, grouped(order), before, head, -(-layers // group) + 1)


def _gated(config: Config, kind: str) -> ProfileAttention:
    """Attention with gates, sinks and bounds; in layers without a window, with taps of each token's own."""
    bounds = {"clip": config.positive("qk_l2_clip_threshold"), "profile_clip": config.positive("rel_l2_clip_threshold")}
    full = kind == FULL
    return _attention(config, kind, norm="clip", dynamic=full, own_inputs=full, gated=True, sinks=True, **bounds)


def _block(
    config: Config, place: Place, kind: str, attention: dict[str, ProfileAttention], messages: Sublayer | None
) -> Block:
    """One layer: attention and experts, each behind attention over depth and in front of a convolution."""
    parts = list(_sublayers(config, place, attention[kind]))
    if messages and place.again:
        parts.insert(0, messages)
    return Block("global" if kind == FULL else "local", tuple(parts))


def _sublayers(config: Config, place: Place, attention: ProfileAttention) -> Iterator[Sublayer]:
    from dataclasses import replace  # slow to import, and needed by few

    width, full = config.size("hidden_size"), attention.own_inputs
    norm, conv = rmsnorm(config, width), ResidualConv(width, config.size("conv_kernel_size"), scaled=True)
    gates = {"gate_rank": config.size("loop_gate_rank"), "gates_run": place.again} if place.looped else {}

    def depth(states: int, reads: int = 1, uses: int = 1, closes: bool = False) -> DepthAttention:
        given: dict[str, Any] = {**gates, "n_gates": uses} if gates else {}
        return DepthAttention(width, states, reads, closes=closes, **given)

    softcaps = {"gate_softcap": config.positive("mlp_gate_softcap"), "up_softcap": config.positive("mlp_up_softcap")}
    experts = _experts(config, config.size("moe_intermediate_size"), **softcaps)
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
