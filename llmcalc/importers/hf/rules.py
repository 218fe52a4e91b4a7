"""Rules that families share: sub-layers, runs, embeddings, heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from ...core.errors import DescriptionError, SizeError
from ...core.layer import Layer
from ...layers.attention import Attention
from ...layers.embedding import Embedding
from ...layers.head import Head
from ...layers.mlp import Mlp
from ...layers.norm import Norm
from .config import Config

TOKENS = "token_embedding"


def rmsnorm(config: Config, width: int, key: str = "rms_norm_eps", unit_offset: bool = False) -> Norm:
    """RMSNorm with a weight."""
    return Norm(width, "rmsnorm", eps=config.number(key) or 1e-6, unit_offset=unit_offset)


def layernorm(config: Config, width: int, key: str = "layer_norm_eps", bias: bool = True) -> Norm:
    """LayerNorm with a weight and, usually, a bias."""
    return Norm(width, "layernorm", bias=bias, eps=config.number(key) or 1e-5)


def sublayer(name: str, layer: Layer, *, pre: Layer | None = None, post: Layer | None = None, after: Layer | None = None) -> Sublayer:
    """A sub-layer of one layer."""
    return Sublayer(name, (Branch(name, layer),), pre, post, after)


def prenorm_block(name: str, norm: Layer, **layers: Layer) -> Block:
    """A block of pre-norm sub-layers."""
    return Block(name, tuple(sublayer(key, layer, pre=norm) for key, layer in layers.items()))


def postnorm_block(name: str, norm: Layer, **layers: Layer) -> Block:
    """A block of sub-layers with the norm after the residual sum."""
    return Block(name, tuple(sublayer(key, layer, after=norm) for key, layer in layers.items()))


def grouped(blocks: Iterable[Block]) -> tuple[Run, ...]:
    """Blocks in their order as runs of equal neighbours."""
    runs: list[Run] = []
    for block in blocks:
        if runs and runs[-1].block is block:
            runs[-1] = Run(block, runs[-1].count + 1)
        else:
            runs.append(Run(block, 1))
    return tuple(runs)


def repeated(block: Block, count: int) -> tuple[Run, ...]:
    """``count`` equal blocks."""
    return (Run(block, count),) if count else ()


def rope_attention(config: Config, *, bias: bool | None = None, layer_type: str | None = None, **changes: object) -> Attention:
    """Grouped-query attention with rotary positions, in the keys that most families use.

    ``bias`` None reads ``attention_bias`` for all four projections.
    """
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    biased = config.flag("attention_bias") if bias is None else bias
    fields: dict[str, object] = {
        "d_model": width,
        "n_heads": heads,
        "n_kv_heads": config.optional_size("num_key_value_heads") or heads,
        "d_head": config.optional_size("head_dim") or divided(config, width, heads),
        "q_bias": biased,
        "k_bias": biased,
        "v_bias": biased,
        "o_bias": biased,
        "positions": "rope",
        "rope_theta": config.rope_theta(layer_type),
    }
    return Attention(**{**fields, **changes})  # type: ignore[arg-type]


def divided(config: Config, whole: int, parts: int) -> int:
    """``whole / parts``, which must leave no remainder."""
    if whole % parts:
        raise SizeError(f"hidden_size ({whole}) is no multiple of the heads ({parts}) and head_dim is not given", where=config.where)
    return whole // parts


def glu(config: Config, *, key: str = "intermediate_size", bias: bool = False, activation: str = "hidden_act") -> Mlp:
    """A gated feed-forward layer."""
    return Mlp(config.size("hidden_size"), config.size(key), config.activation(activation), gated=True, bias=bias)


def layer_types(config: Config, count: int, default: Sequence[str]) -> list[str]:
    """The kind of each layer, from ``layer_types`` or the family's default pattern."""
    return config.texts("layer_types", count) or list(default)


def window(config: Config, key: str = "sliding_window") -> int | None:
    """The sliding window, or None."""
    return config.optional_size(key, zero_is_none=True)


def causal_lm(config: Config, runs: tuple[Run, ...], norm: Layer | None, *, head: Layer | None = None, inputs: tuple[Named, ...] = (), tied: bool | None = None) -> Architecture:
    """A decoder-only language model: token table, blocks, final norm, head. ``tied`` None: as the config says."""
    width, vocab = config.size("hidden_size"), config.size("vocab_size")
    config.get("max_position_embeddings")
    kind = config.head() or "causal"
    if kind not in ("causal", "none"):
        raise DescriptionError(f"a {config.model_type} model with a head of kind {kind!r} is not understood", where=config.where)
    tied = config.flag("tie_word_embeddings", True) if tied is None else tied
    outputs = [Named("norm", norm)] if norm else []
    if kind == "causal":
        outputs.append(Named("head", head or Head(vocab, width, share=TOKENS if tied else None)))
    token = Named("token", Embedding(vocab, width, share=TOKENS))
    stack = Stack("decoder", width, (token, *inputs), runs, tuple(outputs))
    return Architecture(config.model_type, (stack,))
