"""Decoders with looped layers: Dory and the Hierarchical Reasoning Model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise

from ....core.architecture import Architecture, Block, Branch, Named, Sublayer
from ....core.errors import short_repr
from ....core.layer import Layer
from ....core.record import fields
from ....importers.hf.config import TOKENS, Config, Layers
from ....importers.hf.rules import causal_lm, group_runs
from ....layers import Embedding, Gate, Head, LogitScale, Norm, Scale, Sphere
from ....layers.parts.implementation import Implementation
from ..layers.injection import Injection
from ..layers.sphere_attention import SphereAttention

SECTIONS = ("n_input_layers", "n_recurrent_layers", "n_output_layers")
NAMES = {"full_attention": "global", "sliding_attention": "local"}
START = "start"  # norm epsilon of the loop
NORM_EPS = 1e-6
FAR = 10_000_000.0  # rotary base of layers without a window


def dory(config: Config) -> Architecture:
    """Read a Dory config. Dory is a normalised transformer [loshchilov2024] whose middle layers run several times."""
    config.ignore("layer_types")
    width, before, again, after = config.d_model, *_sections(config)
    loops, mode = config.size("n_recurrent_loops"), config.string("recurrent_kv_cache_mode", "per_loop")
    if mode not in ("per_loop", "last_loop"):
        raise config.invalid("recurrent_kv_cache_mode", "per_loop or last_loop", mode)
    if not again:
        config.add_unmodelled("the loop has no layers, only norms")
    init = config.positive_number("initializer_range")
    norm = Norm(width, "l2norm", scale=False, eps=NORM_EPS)
    step = Scale(width, "step", function="abs", gain=config.positive_number("ngpt_alpha_init") / init)
    mlp = replace(config.gated_mlp(bias=config.flag("mlp_bias")), sphere=Sphere(width**0.5))
    kinds = _kinds(config, before + again + after)
    mixers = {kind: _mixer(config, kind, init) for kind in kinds}
    config.check_layer_runs(before + again * loops + after)

    @cache
    def block(kind: str, looped: int | None, keeps: bool, enters: str) -> Block:
        mixer = (
            mixers[kind]
            if keeps
            else replace(mixers[kind], implementation=Implementation("none", softmax_in_fp32=True))
        )
        layers: Layers = {"attention": mixer, "mlp": mlp}
        parts = [
            Sublayer(
                name, (Branch(name, layer, post=norm),), norm, step, share=_share(name, looped), residual_normed=True
            )
            for name, layer in layers.items()
        ]
        if enters:
            begin = Injection(width, START if enters == "first" else "", START)
            parts.insert(0, Sublayer("begin", (Branch("begin", begin, norm),), residual=False))
        return Block(NAMES[kind] if looped is None else f"layer{looped}", tuple(parts))

    inner = range(before, before + again)
    order = [*range(before), *(list(inner) * loops), *range(before + again, len(kinds))]
    last = before + again * (loops - 1)  # layers after the loop run once
    runs = group_runs(
        block(
            kinds[index],
            index if index in inner and loops > 1 else None,
            mode == "per_loop" or place >= last or place < before,
            ("first" if place == before else "again") if index == before and index in inner else "",
        )
        for place, index in enumerate(order)
    )
    vocab, tied = config.vocab, config.flag("tie_word_embeddings")
    head = Head(vocab, width, share=TOKENS if tied else None, logit_scale=LogitScale(1.0 / init))
    return causal_lm(config, runs, norm, head=head, tied=tied)


def _share(name: str, looped: int | None) -> str:
    """Return the weight-sharing name of a looped sub-layer, or an empty string outside the loop."""
    return "" if looped is None else f"layer{looped}.{name}"


def _sections(config: Config) -> tuple[int, int, int]:
    """Return the layer counts before, inside and after the loop, halved if the config lists MLPs as layers."""
    half = 2 if "mlp" in (config.strings("layer_types") or []) else 1
    before, again, after = (config.get(key) for key in SECTIONS)
    sizes = [
        config.n_layers,
        *(
            config.integer(value, key, 0)
            for key, value in zip(SECTIONS, (before, again, after), strict=True)
            if value is not None
        ),
    ]
    if any(size % half for size in sizes):
        raise config.size_error("the layer counts must be even because each layer has two entries")
    whole, first, *middle, last = (size // half for size in sizes)
    inside = middle[0] if middle else whole - first - last
    if inside < 0 or first + inside + last != whole:
        raise config.size_error(f"{first} + {inside} + {last} layers must add up to {whole}")
    return first, inside, last


def _kinds(config: Config, layers: int) -> list[str]:
    given = config.strings("layer_types")
    if given is None:
        return ["sliding_attention" if (index + 1) % 4 else "full_attention" for index in range(layers)]
    found = [kind for kind in given if kind != "mlp"]
    if len(found) != layers:
        raise config.size_error(f"layer_types must have one entry per layer ({layers}), not {len(found)}")
    unknown = next((kind for kind in found if kind not in ("sliding_attention", "full_attention")), None)
    if unknown:
        raise config.error(f"unknown layer type {short_repr(unknown)} in layer_types")
    return found


def _mixer(config: Config, kind: str, init: float) -> SphereAttention:
    near = kind == "sliding_attention"
    plain = config.attention(
        layer_type=kind,
        window=config.sliding_window() if near else None,
        qk_norm={"function": "l2norm", "scale": False},
        gate=Gate(bias="none"),
    )
    if not near and config.get("rope_parameters") is None:
        plain = replace(plain, rope=config.rope(kind, theta=FAR))
    gains = {"q_gain": plain.d_head**0.5 / init, "gate_gain": plain.d_model**0.25 / init}  # type: ignore[operator]
    return SphereAttention(**{entry.name: getattr(plain, entry.name) for entry in fields(plain)}, **gains)


def hrm_text(config: Config) -> Architecture:
    """Read a text config of the Hierarchical Reasoning Model, with several low-level runs per high-level run."""
    config.ignore("L_bp_cycles prefix_lm num_key_value_heads")
    width, cycles, inner = config.d_model, config.size("H_cycles"), config.size("L_cycles")
    layers = config.optional_size("num_layers_per_stack") or config.n_layers
    config.ignore("num_hidden_layers")
    norm = replace(config.rmsnorm(), scale=False)
    attention = config.attention(n_kv_heads=config.n_heads, gate=Gate())
    config.check_layer_runs(cycles * (inner + 1) * layers)
    mlp = config.gated_mlp(bias=config.flag("mlp_bias"))
    level = {name: _level(name, layers, norm, attention, mlp) for name in ("low", "high")}
    order = [*(["low"] * inner), "high"] * cycles
    runs = group_runs(block for name, begin in _level_runs(width, order) for block in _level_blocks(level[name], begin))
    states = (
        Named("high_state", Injection(width, keeps="high")),
        Named("low_state", Embedding(1, width, "other", use="everywhere")),
    )
    scale = config.number("embedding_scale") or 1.0 / (config.number("initializer_range") or 0.02)
    model = causal_lm(config, runs, None, inputs=states, embedding_scale=scale)
    note = "training counts gradients of all cycles, but the published recipe uses only the last ones"
    return replace(model, notes=(*model.notes, note))


def _level_runs(width: int, levels: list[str]) -> Iterator[tuple[str, Injection | None]]:
    """Yield the level of each run and the injection that adds the other level's state.

    The first run has no injection, because the stack inputs already add the initial states.
    """
    yield levels[0], None
    for before, now in pairwise(levels):
        turned = before != now
        yield now, Injection(width, keeps=before if turned else "", adds=now if turned else "high")


def _level_blocks(blocks: list[Block], begin: Injection | None) -> list[Block]:
    """Return the blocks of a level, starting with the injection if there is one."""
    if begin is None:
        return blocks
    part = Sublayer("begin", (Branch("begin", begin),), residual=False)
    return [replace(blocks[0], sublayers=(part, *blocks[0].sublayers)), *blocks[1:]]


def _level(name: str, layers: int, norm: Norm, attention: Layer, mlp: Layer) -> list[Block]:
    """Return the blocks of one level. The last block ends with a norm."""
    blocks = []
    for index in range(layers):
        parts = [
            Sublayer(place, (Branch(place, layer),), norm, share=place)
            for place, layer in ((f"{name}_attention{index}", attention), (f"{name}_mlp{index}", mlp))
        ]
        if index == layers - 1:
            parts.append(Sublayer("final_norm", (Branch("final_norm", norm),), residual=False))
        blocks.append(Block(f"{name}{index}", tuple(parts)))
    return blocks
