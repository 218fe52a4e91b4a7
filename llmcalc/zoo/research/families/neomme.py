"""The NeoMME encoder for text and image patches."""

from __future__ import annotations

from ....core.architecture import Architecture, Block, Branch, Named, Stack, Sublayer
from ....importers.hf.config import Config
from ....importers.hf.families.bert import embedding_share
from ....importers.hf.rules import group_runs, sublayer
from ....layers import Attention, Embedding, Gate, Head, Linear, Mlp, Norm
from ....layers.parts.kv import Kv
from ..layers.blend import Blend

LONG_WINDOW = 1024  # window size of every second layer
COLOURS = 3  # number of channels per pixel
STEM = 2  # ratio of the stem's width to its input width
PROJECTION = "embedding_projection"
ROTATED = {"full_attention": 0.25, "sliding_attention": 1.0}


def neomme(config: Config) -> Architecture:
    """Read a NeoMME config for text input. The stem for image patches is stored but unused."""
    width, vocab, rank = (config.size(key) for key in ("hidden_size", "vocab_size", "embedding_rank"))
    config.ignore("is_encoder_decoder max_position_embeddings embedding_dim document_token_id")
    config.ignore("residual_multiplier")
    kind = config.head_kind("mlm", "none")
    share = embedding_share(config)
    projection = PROJECTION if share else None
    norm = Norm(width, scale=False)
    attention = _attention(config, "full_attention", None)
    values = attention.n_kv_heads * (attention.d_head or 0)  # type: ignore[operator]
    inputs = (
        Named("token", Embedding(vocab, rank, share=share)),
        Named("projection", Linear(rank, width, bias=False, share=projection)),
        *_stem(config, width),
        Named("values", Embedding(vocab, values, table="other")),
        Named("norm", norm),
    )
    outputs = [Named("final_norm", norm)]
    if kind == "mlm":
        unembed = Linear(width, rank, bias=False, positions="logits", share=projection)
        outputs += [Named("unprojection", unembed), Named("head", Head(vocab, rank, share))]
    stack = Stack("encoder", width, inputs, group_runs(_blocks(config, norm)), tuple(outputs), "encoder")
    return Architecture(config.model_type, (stack,))


def _stem(config: Config, width: int) -> tuple[Named, ...]:
    patch = COLOURS * config.size("patch_size") ** 2
    return (
        Named("patch_norm", Norm(patch, "layernorm", bias=True, unused=True)),
        Named("patch_up", Linear(patch, STEM * width, bias=False, unused=True)),
        Named("patch_down", Linear(STEM * width, width, unused=True)),
    )


def _blocks(config: Config, norm: Norm) -> list[Block]:
    default = [
        "full_attention" if (index + 1) % 6 == 0 or index == config.n_layers - 1 else "sliding_attention"
        for index in range(config.n_layers)
    ]
    order = config.layer_types(default)
    mlp = Mlp(norm.d_model, config.size("intermediate_size"), config.activation(), bias=config.flag("mlp_bias"))
    known: dict[tuple[str, int | None], Block] = {}
    found = []
    for kind, window in zip(order, _windows(config, order), strict=True):
        if (kind, window) not in known:
            parts = (
                Sublayer("blend", (Branch("blend", Blend(norm.d_model)),), residual=False),
                sublayer("attention", _attention(config, kind, window), pre=norm),
                sublayer("mlp", mlp, pre=norm),
            )
            known[kind, window] = Block(kind, parts)
        found.append(known[kind, window])
    return found


def _windows(config: Config, order: list[str]) -> list[int | None]:
    layers = config.layer_overrides(len(order), "sliding_window")
    usual, sliding = config.optional_size("sliding_window"), 0
    windows: list[int | None] = []
    for index, kind in enumerate(order):
        if kind not in ROTATED:
            raise config.invalid("layer_types", f"one of {', '.join(ROTATED)}", kind)
        window = usual
        if layers is not None:
            window = layers.get(index, {}).get("sliding_window", usual)
            window = window if window is None else config.integer(window, "sliding_window", 1)
        elif kind == "sliding_attention":
            window, sliding = (LONG_WINDOW if sliding % 2 else usual), sliding + 1
        windows.append(window if kind == "sliding_attention" else None)
    return windows


def _attention(config: Config, kind: str, window: int | None) -> Attention:
    parameters = config.get("rope_parameters")
    own = parameters.get(kind) if isinstance(parameters, dict) else None
    share = own.get("partial_rotary_factor", ROTATED[kind]) if isinstance(own, dict) else ROTATED[kind]
    return config.attention(
        layer_type=kind,
        causal=False,
        window=window + 1 if window else None,
        qk_norm={"scale": False},
        gate=Gate(bias="none"),
        kv=Kv(exclusive=True),
        rope={"dim": int(config.size("head_dim") * share)},
    )
