"""Building blocks shared by model families, such as sub-layers, blocks, runs and a standard decoder."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any, TypeVar

from ...core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from ...core.errors import UnknownNameError
from ...core.layer import Layer
from ...core.record import changed, fields
from ...layers import Attention, Embedding, Mla, Norm
from ...layers.parts.cross import Cross
from .config import BIASED, TOKENS, Config
from .config_keys import DECODER_HEADS

Extended = TypeVar("Extended", bound=Attention)
Kind = TypeVar("Kind", bound=Hashable)


def default_layernorm(width: int) -> Norm:
    """Return a LayerNorm with PyTorch's default settings."""
    return Norm(width, "layernorm", bias=True, eps=1e-5)


def sublayer(
    name: str,
    layer: Layer,
    *,
    pre: Layer | None = None,
    post: Layer | None = None,
    after: Layer | None = None,
    **settings: Any,
) -> Sublayer:
    """Return a sub-layer with a single branch. ``settings`` are further fields of the sub-layer."""
    return Sublayer(name, (Branch(name, layer),), pre, post, after, **settings)


def prenorm_block(name: str, norm: Layer, **layers: Layer) -> Block:
    """Return a block of pre-norm sub-layers."""
    return Block(name, tuple(sublayer(key, layer, pre=norm) for key, layer in layers.items()))


def postnorm_block(name: str, norm: Layer, **layers: Layer) -> Block:
    """Return a block of post-norm sub-layers."""
    return Block(name, tuple(sublayer(key, layer, after=norm) for key, layer in layers.items()))


def unused_cross_attention(config: Config, width: int, heads: int, norm: Layer) -> list[Sublayer]:
    """Return the cross-attention that a decoder stores but never runs without an encoder, if the config has any."""
    if not config.flag("add_cross_attention"):
        return []
    cross = Attention(width, heads, cross=Cross(), causal=False, unused=True, **BIASED)
    return [sublayer("cross_attention", cross, pre=norm)]


def group_runs(blocks: Iterable[Block]) -> tuple[Run, ...]:
    """Merge consecutive identical blocks into runs."""
    return tuple(Run(same[0], len(same)) for same in (list(same) for _, same in groupby(blocks, id)))


def runs_of(kinds: Iterable[Kind], build: Callable[[Kind], Block]) -> tuple[Run, ...]:
    """Return runs of the blocks that ``build`` makes, once for each different kind."""
    return group_runs(map(cache(build), kinds))


def map_sublayers(found: Architecture, change: Callable[[Sublayer], Sublayer]) -> Architecture:
    """Return the architecture with ``change`` applied to every sub-layer of the main stack."""
    blocks = {
        run.block: changed(run.block, sublayers=tuple(map(change, run.block.sublayers))) for run in found.main.runs
    }
    runs = tuple(changed(run, block=blocks[run.block]) for run in found.main.runs)
    return changed(found, stacks=(changed(found.main, runs=runs), *found.stacks[1:]))


def repeat_block(block: Block, count: int) -> tuple[Run, ...]:
    """Return a run of ``count`` identical blocks, or an empty tuple if ``count`` is 0."""
    return (Run(block, count),) if count else ()


def extend_attention(kind: type[Extended], layer: Attention, **more: Any) -> Extended:
    """Convert an attention layer to ``kind`` (a subclass of ``Attention``) with the additional fields ``more``."""
    return kind(**{entry.name: getattr(layer, entry.name) for entry in fields(layer)}, **more)


def runs_by_type(kinds: Mapping[str, Block], order: Iterable[str]) -> tuple[Run, ...]:
    """Return runs of blocks selected by the layer types in ``order``."""
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
    """Return a decoder-only language model. If ``tied`` is None, the config determines whether the head is tied."""
    config.ignore("max_position_embeddings tie_word_embeddings")
    kind = config.head_kind(*DECODER_HEADS)
    outputs = [Named("norm", norm)] if norm else []
    if kind == "causal":
        outputs.append(Named("head", head or config.lm_head(tied=tied)))
    token = Named("token", Embedding(config.vocab, config.d_model, share=TOKENS, scale=embedding_scale))
    return Architecture(config.model_type, (Stack("decoder", config.d_model, (token, *inputs), runs, tuple(outputs)),))


_PLACES = {"pre": ("pre",), "pre_normed": ("pre",), "post": ("post",), "sandwich": ("pre", "post"), "after": ("after",)}
_NAMES = {"full_attention": "global", "sliding_attention": "local", "linear_attention": "linear"}


def block(name: str, norm: Layer | None, mixer: Layer, mlp: Layer, place: str = "pre", scale: float = 1.0) -> Block:
    """Return a block consisting of a mixer and a feed-forward layer, with norms placed according to ``place``.

    ``pre`` normalises each layer input, and ``pre_normed`` also uses the normalised input as the residual (BLOOM).
    ``post`` normalises outputs (OLMo 2), ``sandwich`` normalises inputs and outputs (Gemma 2), and ``after``
    normalises residual sums. ``parallel`` runs both layers in parallel after one norm, and ``parallel_two`` runs
    them after separate norms. ``scale`` multiplies the output of each sub-layer.
    """
    layers = {"attention" if isinstance(mixer, (Attention, Mla)) else "linear": mixer, "mlp": mlp}
    if place == "parallel":
        branches = tuple(Branch(key, layer) for key, layer in layers.items())
        return Block(name, (Sublayer(name, branches, pre=norm, scale=scale),))
    if place == "parallel_two":
        branches = tuple(Branch(key, layer, pre=norm) for key, layer in layers.items())
        return Block(name, (Sublayer(name, branches, scale=scale),))
    settings: dict[str, Any] = {"scale": scale, "residual_normed": place == "pre_normed"}
    settings |= dict.fromkeys(_PLACES[place], norm)
    return Block(name, tuple(sublayer(key, layer, **settings) for key, layer in layers.items()))


def mixed_runs(
    mixers: Mapping[str, Layer],
    feeds: Mapping[str, Layer],
    order: Iterable[tuple[str, str]],
    build: Callable[[str, Layer, Layer], Block],
    words: Mapping[str, str] = _NAMES,
) -> tuple[Run, ...]:
    """Return runs of blocks built by ``build`` from the mixers and feed-forward layers named in ``order``.

    Block names omit the mixer or feed-forward name if there is only one. ``words`` shortens mixer names.
    """
    pairs, blocks = list(order), dict[tuple[str, str], Block]()
    for mixer, feed in dict.fromkeys(pairs):
        for name, known in ((mixer, mixers), (feed, feeds)):
            if name not in known:
                raise UnknownNameError("layer type", name, known)
        name = "_".join([words.get(mixer, mixer)] * (len(mixers) > 1) + [feed] * (len(feeds) > 1))
        blocks[mixer, feed] = build(name or "block", mixers[mixer], feeds[feed])
    return group_runs(blocks[pair] for pair in pairs)


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
    """Return a LLaMA-style decoder with the given changes.

    ``attention`` is a layer, or a mapping from type to layer if ``order`` lists the type of each block. ``mlp`` and
    ``feeds`` work the same way. If ``feeds`` is given with one layer, this layer is ``sparse``, and blocks may also be
    ``dense``. ``final_norm`` defaults to ``norm``. ``fields`` are passed to ``causal_lm``.
    """
    norm = norm or config.rmsnorm()
    attention, mlp = attention or config.attention(), mlp or config.gated_mlp()
    mixers = attention if isinstance(attention, Mapping) else {"": attention}
    if not isinstance(mlp, Mapping):
        mlp = {"": mlp} if feeds is None else {"dense": config.gated_mlp(), "sparse": mlp}
    order, feeds = ([""] * config.n_layers if types is None else types for types in (order, feeds))
    pairs = zip(order, feeds, strict=True)
    runs = mixed_runs(mixers, mlp, pairs, lambda name, mixer, feed: block(name, norm, mixer, feed, place, scale))
    return causal_lm(config, runs, (final_norm or norm) if final else None, **fields)
