"""The dense decoder that most families are: one kind of block, or one per attention type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...core.architecture import Architecture, Block, Branch, Named, Sublayer
from ...core.errors import UnknownNameError
from ...core.layer import Layer
from .config import Config
from .rules import causal_lm, group_runs, sublayer

_PLACES = {"pre": ("pre",), "pre_normed": ("pre",), "post": ("post",), "sandwich": ("pre", "post"), "after": ("after",)}
_NAMES = {"full_attention": "global", "sliding_attention": "local"}


def block(name: str, norm: Layer, attention: Layer, mlp: Layer, place: str = "pre", scale: float = 1.0) -> Block:
    """Attention and a feed-forward layer; ``place`` says where the norms are.

    ``pre``: before each; ``pre_normed``: before each, and the residual is the normalised input (an option of BLOOM);
    ``post``: on each output (OLMo 2); ``sandwich``: both (Gemma 2); ``after``: on the residual sum (post-norm);
    ``parallel``: one norm before both, which run in parallel; ``parallel_two``: a norm before each, in parallel.
    ``scale`` multiplies the output of each sub-layer.
    """
    layers = {"attention": attention, "mlp": mlp}
    if place == "parallel":
        branches = tuple(Branch(key, layer) for key, layer in layers.items())
        return Block(name, (Sublayer(name, branches, pre=norm, scale=scale),))
    if place == "parallel_two":
        branches = tuple(Branch(key, layer, pre=norm) for key, layer in layers.items())
        return Block(name, (Sublayer(name, branches, scale=scale),))
    norms = dict.fromkeys(_PLACES[place], norm)
    parts = (sublayer(key, layer, scale=scale, **norms) for key, layer in layers.items())
    return Block(name, tuple(replace(part, residual_normed=place == "pre_normed") for part in parts))


def decoder(
    config: Config,
    *,
    norm: Layer | None = None,
    attention: Layer | Mapping[str, Layer] | None = None,
    mlp: Layer | None = None,
    place: str = "pre",
    order: Sequence[str] | None = None,
    head: Layer | None = None,
    inputs: tuple[Named, ...] = (),
    tied: bool | None = None,
    final: bool = True,
    final_norm: Layer | None = None,
    scale: float = 1.0,
    embedding_scale: float = 1.0,
) -> Architecture:
    """A decoder of dense blocks: LLaMA with the given changes.

    ``final_norm``: the norm after the last block, if it differs from ``norm``. ``attention``: one layer, or one per
    attention type, with ``order`` giving the type of each block.
    """
    norm = norm or config.rmsnorm()
    mlp = mlp or config.gated_mlp()
    attention = attention or config.attention()
    kinds = attention if isinstance(attention, Mapping) else {"": attention}
    order = order if order is not None else [""] * config.n_layers
    blocks = {
        kind: block(_NAMES.get(kind, kind) or "block", norm, layer, mlp, place, scale) for kind, layer in kinds.items()
    }
    unknown = next((kind for kind in order if kind not in blocks), None)
    if unknown is not None:
        raise UnknownNameError("layer type", unknown, blocks, where=config.where)
    runs = group_runs(blocks[kind] for kind in order)
    fields: dict[str, Any] = {"head": head, "inputs": inputs, "tied": tied, "embedding_scale": embedding_scale}
    return causal_lm(config, runs, (final_norm or norm) if final else None, **fields)
