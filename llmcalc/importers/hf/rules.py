"""Building blocks shared by families: norms, attention, MLPs, experts, blocks, runs, and the whole decoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ...core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from ...core.errors import UnknownNameError
from ...core.layer import Layer
from ...core.record import fields
from ...layers import Attention, Embedding, Head, Mlp, Moe, Norm
from .config import Config
from .rope import rope_fields

TOKENS = "token_embedding"
BIASED: dict[str, Any] = {"q_bias": True, "k_bias": True, "v_bias": True, "o_bias": True}
Extended = TypeVar("Extended", bound=Attention)


def qk_layernorm(config: Config, kind: str = "per_head", bias: bool = False) -> dict[str, Any]:
    """Attention fields for a LayerNorm on queries and keys, with ``layer_norm_eps``."""
    eps = config.number("layer_norm_eps") or 1e-5
    return {"qk_norm": kind, "qk_norm_function": "layernorm", "qk_norm_bias": bias, "qk_norm_eps": eps}


def rmsnorm(config: Config, width: int, key: str = "rms_norm_eps", unit_offset: bool = False) -> Norm:
    """RMSNorm with a weight."""
    return Norm(width, "rmsnorm", eps=config.number(key) or 1e-6, unit_offset=unit_offset)


def layernorm(config: Config, width: int, key: str = "layer_norm_eps", bias: bool = True) -> Norm:
    """LayerNorm with a weight and, usually, a bias."""
    return Norm(width, "layernorm", bias=bias, eps=config.number(key) or 1e-5)


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


def repeat_block(block: Block, count: int) -> tuple[Run, ...]:
    """A run of ``count`` equal blocks; empty if ``count`` is 0."""
    return (Run(block, count),) if count else ()


def rope_attention(
    config: Config, *, bias: bool | None = None, layer_type: str | None = None, **changes: object
) -> Attention:
    """Grouped-query attention with rotary positions, in the keys that most families use.

    ``bias`` None means that ``attention_bias`` applies to all four projections.
    """
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    biased = config.flag("attention_bias") if bias is None else bias
    fields: dict[str, object] = {
        "d_model": width,
        "n_heads": heads,
        "n_kv_heads": config.optional_size("num_key_value_heads") or heads,
        "d_head": config.optional_size("head_dim") or changes.get("d_head") or divide_by_heads(config, width, heads),
        "q_bias": biased,
        "k_bias": biased,
        "v_bias": biased,
        "o_bias": biased,
        "positions": "rope",
        "rope_theta": config.rope_theta(layer_type),
        "qk_norm_eps": config.number("rms_norm_eps") or 1e-6,
        **rope_fields(config, layer_type),
        "softmax_in_fp32": True,
    }
    fields |= changes
    if fields.get("rope_scaling") == "proportional" and "rotary_dim" not in changes:
        pairs = int(config.partial_rotary(layer_type=layer_type) * fields["d_head"] // 2)  # type: ignore[operator]
        fields["rotary_dim"] = max(1, 2 * pairs)
    return Attention(**fields)  # type: ignore[arg-type]


def extend_attention(kind: type[Extended], layer: Attention, **more: Any) -> Extended:
    """An attention layer converted to ``kind``, a subclass of Attention with ``more`` fields."""
    return kind(**{entry.name: getattr(layer, entry.name) for entry in fields(layer)}, **more)


def divide_by_heads(config: Config, whole: int, parts: int) -> int:
    """``whole / parts``; raises if there is a remainder."""
    if whole % parts:
        raise config.size_error(
            f"hidden_size ({whole}) is not a multiple of the number of heads ({parts}), and head_dim is not set"
        )
    return whole // parts


def gated_mlp(
    config: Config, *, key: str = "intermediate_size", bias: bool = False, activation: str = "hidden_act"
) -> Mlp:
    """A gated feed-forward layer."""
    return Mlp(config.size("hidden_size"), config.size(key), config.activation(activation), gated=True, bias=bias)


def experts(
    config: Config, n_experts: str = "num_experts", width: str = "moe_intermediate_size", **changes: object
) -> Moe:
    """A mixture of experts; ``n_experts`` and ``width`` are the keys of the number of experts and their width."""
    fields: dict[str, object] = {
        "d_model": config.size("hidden_size"),
        "d_ff": config.size(width),
        "n_experts": config.size(n_experts),
        "top_k": changes.get("top_k") or config.size("num_experts_per_tok"),
        "activation": changes.get("activation") or config.activation("hidden_act"),
        "renormalise": config.flag("norm_topk_prob", True),
        "routed_scale": config.number("routed_scaling_factor", 1.0),
    }
    return Moe(**{**fields, **changes})  # type: ignore[arg-type]


def hybrid_runs(
    norm: Layer | None,
    mixers: Mapping[str, Layer],
    feeds: Mapping[str, Layer],
    order: Iterable[tuple[str, str]],
    *,
    scale: float = 1.0,
) -> tuple[Run, ...]:
    """Pre-norm blocks; ``order`` names the mixer and the feed-forward layer of each.

    ``scale`` multiplies the output of each sub-layer.
    """
    kinds: dict[tuple[str, str], Block] = {}
    found = []
    for mixer, feed in order:
        for name, known in ((mixer, mixers), (feed, feeds)):
            if name not in known:
                raise UnknownNameError("layer type", name, known)
        if (mixer, feed) not in kinds:
            place = "attention" if mixers[mixer].kind() in ("attention", "mla") else "linear"
            parts = tuple(
                sublayer(name, layer, pre=norm, scale=scale)
                for name, layer in ((place, mixers[mixer]), ("mlp", feeds[feed]))
            )
            kinds[mixer, feed] = Block(_block_name(mixer, feed, mixers, feeds), parts)
        found.append(kinds[mixer, feed])
    return group_runs(found)


_SHORT = {"sliding_attention": "local", "full_attention": "global", "linear_attention": "linear"}


def _block_name(mixer: str, feed: str, mixers: Mapping[str, Layer], feeds: Mapping[str, Layer]) -> str:
    """A name that distinguishes a block from the other blocks of its model."""
    parts = [_SHORT.get(mixer, mixer)] * (len(mixers) > 1) + [feed] * (len(feeds) > 1)
    return "_".join(parts) or "block"


def mlp_types(config: Config, count: int, dense: int) -> list[str]:
    """``dense`` or ``sparse`` per layer, from ``mlp_layer_types``; otherwise the first ``dense`` layers are dense."""
    return config.strings("mlp_layer_types", count) or [
        "dense" if index < dense else "sparse" for index in range(count)
    ]


def every_nth(config: Config, key: str, count: int, rare: str, usual: str, default: int) -> list[str]:
    """Layer types in which every n-th layer is ``rare``; n is the value of ``key``."""
    period = config.size(key, default)
    return [usual if (index + 1) % period else rare for index in range(count)]


def rotary_width(config: Config, share: float = 1.0, layer_type: str | None = None) -> int:
    """The number of rotated channels per head, for one layer type if it differs by type."""
    heads = config.size("num_attention_heads")
    head = config.optional_size("head_dim") or divide_by_heads(config, config.size("hidden_size"), heads)
    return max(1, int(head * config.partial_rotary(share, layer_type)))


def local_global_attention(config: Config, limit: int | None, **changes: object) -> dict[str, Layer]:
    """Attention with a sliding window and without, by layer type."""
    return {
        "full_attention": rope_attention(config, **changes),  # type: ignore[arg-type]
        "sliding_attention": rope_attention(config, **{**changes, "window": limit}),  # type: ignore[arg-type]
    }


def layer_types(config: Config, count: int, default: Sequence[str], key: str = "layer_types") -> list[str]:
    """The type of each layer, from ``layer_types`` (older names are converted) or the family's default pattern."""
    return [_OLD_WORDS.get(kind, kind) for kind in config.strings(key, count) or default]


_OLD_WORDS = {"mamba": "linear_attention", "attention": "full_attention"}


def runs_by_type(kinds: Mapping[str, Block], order: Iterable[str]) -> tuple[Run, ...]:
    """The blocks of all layers, each selected by its layer type."""
    found = []
    for kind in order:
        if kind not in kinds:
            raise UnknownNameError("layer type", kind, kinds)
        found.append(kinds[kind])
    return group_runs(found)


def sliding_window(config: Config, key: str = "sliding_window") -> int | None:
    """The size of the sliding window, or None."""
    return config.optional_size(key, zero_is_none=True)


def lm_head(config: Config, *, tied: bool | None = None, **fields: Any) -> Head:
    """The language-model head; ``tied`` None means as the config says."""
    tied = config.flag("tie_word_embeddings", True) if tied is None else tied
    return Head(config.size("vocab_size"), config.size("hidden_size"), share=TOKENS if tied else None, **fields)


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
    width, vocab = config.size("hidden_size"), config.size("vocab_size")
    config.ignore("max_position_embeddings tie_word_embeddings")
    kind = config.head_kind("causal", "none")
    outputs = [Named("norm", norm)] if norm else []
    if kind == "causal":
        outputs.append(Named("head", head or lm_head(config, tied=tied)))
    token = Named("token", Embedding(vocab, width, share=TOKENS, scale=embedding_scale))
    stack = Stack("decoder", width, (token, *inputs), runs, tuple(outputs))
    return Architecture(config.model_type, (stack,))
