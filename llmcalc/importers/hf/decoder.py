"""The decoder that most families are: one kind of block, or one per type of attention and feed-forward layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...core.architecture import Architecture, Block, Branch, Run, Sublayer
from ...core.errors import UnknownNameError
from ...core.layer import Layer
from ...layers import Attention, Mla
from .config import Config
from .rules import causal_lm, group_runs, sublayer

_PLACES = {"pre": ("pre",), "pre_normed": ("pre",), "post": ("post",), "sandwich": ("pre", "post"), "after": ("after",)}
_NAMES = {"full_attention": "global", "sliding_attention": "local", "linear_attention": "linear"}


def block(name: str, norm: Layer | None, mixer: Layer, mlp: Layer, place: str = "pre", scale: float = 1.0) -> Block:
    """A mixer and a feed-forward layer; ``place`` says where the norms are.

    ``pre``: before each; ``pre_normed``: before each, and the residual is the normalised input (an option of BLOOM);
    ``post``: on each output (OLMo 2); ``sandwich``: both (Gemma 2); ``after``: on the residual sum (post-norm);
    ``parallel``: one norm before both, which run in parallel; ``parallel_two``: a norm before each, in parallel.
    ``scale`` multiplies the output of each sub-layer.
    """
    layers = {"attention" if isinstance(mixer, (Attention, Mla)) else "linear": mixer, "mlp": mlp}
    if place == "parallel":
        branches = tuple(Branch(key, layer) for key, layer in layers.items())
        return Block(name, (Sublayer(name, branches, pre=norm, scale=scale),))
    if place == "parallel_two":
        branches = tuple(Branch(key, layer, pre=norm) for key, layer in layers.items())
        return Block(name, (Sublayer(name, branches, scale=scale),))
    norms = dict.fromkeys(_PLACES[place], norm)
    parts = (sublayer(key, layer, scale=scale, **norms) for key, layer in layers.items())
    return Block(name, tuple(replace(part, residual_normed=place == "pre_normed") for part in parts))


def mixed_runs(
    mixers: Mapping[str, Layer],
    feeds: Mapping[str, Layer],
    order: Iterable[tuple[str, str]],
    build: Callable[[str, Layer, Layer], Block],
    words: Mapping[str, str] = _NAMES,
) -> tuple[Run, ...]:
    """Runs of blocks; ``order`` names the mixer and the feed-forward layer of each, ``build`` makes a block of them.

    A block's name has the words that distinguish it from the other blocks; ``words``: shorter ones for mixers.
    """
    blocks: dict[tuple[str, str], Block] = {}
    found = []
    for mixer, feed in order:
        for name, known in ((mixer, mixers), (feed, feeds)):
            if name not in known:
                raise UnknownNameError("layer type", name, known)
        if (mixer, feed) not in blocks:
            name = "_".join([words.get(mixer, mixer)] * (len(mixers) > 1) + [feed] * (len(feeds) > 1))
            blocks[mixer, feed] = build(name or "block", mixers[mixer], feeds[feed])
        found.append(blocks[mixer, feed])
    return group_runs(found)


def decoder(
    config: Config,
    attention: Layer | Mapping[str, Layer] | None = None,
    mlp: Layer | Mapping[str, Layer] | None = None,
    order: Sequence[str] | None = None,
    feeds: Sequence[str] | None = None,
    *,
    norm: Layer | None = None,
    place: str = "pre",
    final: bool = True,
    final_norm: Layer | None = None,
    scale: float = 1.0,
    **fields: Any,
) -> Architecture:
    """A decoder: LLaMA with the given changes.

    ``attention``: one layer, or one per type, with ``order`` giving the type of each block; ``mlp`` and ``feeds``
    likewise. ``final_norm``: the norm after the last block, if it differs from ``norm``. ``fields``: of ``causal_lm``.
    """
    norm = norm or config.rmsnorm()
    attention, mlp = attention or config.attention(), mlp or config.gated_mlp()
    mixers = attention if isinstance(attention, Mapping) else {"": attention}
    layers = mlp if isinstance(mlp, Mapping) else {"": mlp}
    order, feeds = ([""] * config.n_layers if types is None else types for types in (order, feeds))
    pairs = zip(order, feeds, strict=True)
    runs = mixed_runs(mixers, layers, pairs, lambda name, mixer, feed: block(name, norm, mixer, feed, place, scale))
    return causal_lm(config, runs, (final_norm or norm) if final else None, **fields)
