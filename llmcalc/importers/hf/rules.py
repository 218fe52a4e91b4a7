"""Building blocks shared by families: sub-layers, blocks, runs, and the whole decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ...core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from ...core.errors import UnknownNameError
from ...core.layer import Layer
from ...core.record import fields
from ...layers import Attention, Embedding, Norm
from .config import TOKENS, Config

Extended = TypeVar("Extended", bound=Attention)


def default_layernorm(width: int) -> Norm:
    """LayerNorm with PyTorch's defaults, whatever the config says."""
    return Norm(width, "layernorm", bias=True, eps=1e-5)


def sublayer(
    name: str,
    layer: Layer,
    *,
    pre: Layer | None = None,
    post: Layer | None = None,
    after: Layer | None = None,
    scale: float = 1.0,
) -> Sublayer:
    """A sub-layer with a single branch."""
    return Sublayer(name, (Branch(name, layer),), pre, post, after, scale=scale)


def prenorm_block(name: str, norm: Layer, **layers: Layer) -> Block:
    """A block of pre-norm sub-layers."""
    return Block(name, tuple(sublayer(key, layer, pre=norm) for key, layer in layers.items()))


def postnorm_block(name: str, norm: Layer, **layers: Layer) -> Block:
    """A block of sub-layers with the norm after the residual sum."""
    return Block(name, tuple(sublayer(key, layer, after=norm) for key, layer in layers.items()))


def group_runs(blocks: Iterable[Block]) -> tuple[Run, ...]:
    """Blocks in order, with equal neighbours merged into runs."""
    runs: list[Run] = []
    for block in blocks:
        if runs and runs[-1].block is block:
            runs[-1] = Run(block, runs[-1].count + 1)
        else:
            runs.append(Run(block, 1))
    return tuple(runs)


def map_sublayers(found: Architecture, change: Callable[[Sublayer], Sublayer]) -> Architecture:
    """An architecture of one stack with every sub-layer changed."""
    blocks = {
        run.block: replace(run.block, sublayers=tuple(map(change, run.block.sublayers))) for run in found.main.runs
    }
    runs = tuple(replace(run, block=blocks[run.block]) for run in found.main.runs)
    return replace(found, stacks=(replace(found.main, runs=runs), *found.stacks[1:]))


def repeat_block(block: Block, count: int) -> tuple[Run, ...]:
    """A run of ``count`` equal blocks; empty if ``count`` is 0."""
    return (Run(block, count),) if count else ()


def extend_attention(kind: type[Extended], layer: Attention, **more: Any) -> Extended:
    """An attention layer converted to ``kind``, a subclass of Attention with ``more`` fields."""
    return kind(**{entry.name: getattr(layer, entry.name) for entry in fields(layer)}, **more)


def runs_by_type(kinds: Mapping[str, Block], order: Iterable[str]) -> tuple[Run, ...]:
    """The blocks of all layers, each selected by its layer type."""
    found = []
    for kind in order:
        if kind not in kinds:
            raise UnknownNameError("layer type", kind, kinds)
        found.append(kinds[kind])
    return group_runs(found)


def causal_lm(
    config: Config,
    runs: tuple[Run, ...],
    norm: Layer | None,
    *,
    head: Layer | None = None,
    inputs: tuple[Named, ...] = (),
    tied: bool | None = None,
    embedding_scale: float = 1.0,
) -> Architecture:
    """A decoder-only language model: embedding, blocks, final norm, head. ``tied`` None means as the config says."""
    config.ignore("max_position_embeddings tie_word_embeddings")
    kind = config.head_kind("causal", "none")
    outputs = [Named("norm", norm)] if norm else []
    if kind == "causal":
        outputs.append(Named("head", head or config.lm_head(tied=tied)))
    token = Named("token", Embedding(config.vocab, config.d_model, share=TOKENS, scale=embedding_scale))
    stack = Stack("decoder", config.d_model, (token, *inputs), runs, tuple(outputs))
    return Architecture(config.model_type, (stack,))
