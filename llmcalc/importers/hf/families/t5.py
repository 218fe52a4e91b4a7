"""The T5, mT5, UMT5 and Switch Transformers model families."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ....core.architecture import Architecture, Named, Run, Stack
from ....core.errors import short_repr
from ....core.layer import Layer
from ....layers import Attention, Capacity, Head, Mlp, Moe, Routing
from ....layers.parts.cross import Cross
from ....layers.score_biases.relative import Relative
from ..config import TOKENS, Config, Layers
from ..rules import prenorm_block, runs_of
from .seq2seq import SIDES, tied_tokens, untied_tokens

Feed = Callable[[str, int], tuple[str, Layer]]


def t5(config: Config) -> Architecture:
    """Read a T5 or T5 v1.1 config [raffel2019]. The head is tied regardless of ``tie_word_embeddings``."""
    return seq2seq(config, feed_forward(config), tied=True)


def mt5(config: Config) -> Architecture:
    """Read an mT5 config [xue2020] as T5 v1.1 with an unscaled head input."""
    return seq2seq(config, feed_forward(config), tied=True, scaled=False)


def umt5(config: Config) -> Architecture:
    """Read a UMT5 config [chung2023] with a separate position bias table in every layer."""
    return seq2seq(config, feed_forward(config), tied=True, relative_shared=False)


def switch(config: Config) -> Architecture:
    """Read a Switch Transformers config [fedus2021]. Expert layers use top-1 routing and occur at regular
    intervals.
    """
    width, d_ff = config.size("d_model"), config.size("d_ff")
    activation = config.activation("dense_act_fn")
    dense = Mlp(width, d_ff, activation)
    tokens = config.optional_size("expert_capacity")
    routing = Routing(bias=config.flag("router_bias"))
    capacity = Capacity(tokens) if tokens else None
    sizes = (width, d_ff, config.size("num_experts"))
    experts = Moe(*sizes, 1, activation, False, routing=routing, expert_capacity=capacity)
    steps = {}
    for side, layers in (("encoder", config.size("num_layers")), ("decoder", config.size("num_decoder_layers"))):
        sparse = config.count(f"num_sparse_{side}_layers")
        steps[side] = config.count(f"{side}_sparse_step", layers // sparse if sparse else layers)

    def feed(side: str, index: int) -> tuple[str, Layer]:
        step = steps[side]
        return ("sparse", experts) if step > 0 and (index % step == 1 or step == 1) else ("dense", dense)

    return seq2seq(config, dense, tied=config.flag("tie_word_embeddings", True), feed=feed)


def seq2seq(
    config: Config,
    mlp: Layer,
    *,
    tied: bool,
    feed: Feed | None = None,
    encoder: Mapping[str, Layer] | None = None,
    relative_shared: bool = True,
    scaled: bool | None = None,
    head_tied: bool | None = None,
) -> Architecture:
    """Return the full model. ``feed`` returns each block's name and MLP, by default ``mlp`` in all blocks. ``encoder``
    overrides encoder attention.
    """
    vocab, width, kind = config.vocab, config.size("d_model"), _kind(config)
    norm = Named("norm", config.rmsnorm("layer_norm_epsilon", width=width))
    tokens = tied_tokens(vocab, width) if tied else untied_tokens(vocab, width)
    own = tied if head_tied is None else head_tied
    layers = config.size("num_layers")
    counts = {"encoder": layers, "decoder": config.optional_size("num_decoder_layers") or layers}
    stacks = []
    for side in SIDES[: 1 if kind == "encoder" else 2]:
        mixers = encoder if encoder and side == "encoder" else _mixers(config, side, relative_shared)
        kinds = [feed(side, index) if feed else ("block", mlp) for index in range(counts[side])]
        runs = _runs(kinds, mixers, norm.layer)
        outputs = [norm, *([_head(config, own, scaled)] if side == "decoder" and kind == "seq2seq" else [])]
        stacks.append(Stack(side, width, tuple(tokens[side]), runs, tuple(outputs), side))
    return Architecture(config.model_type, tuple(stacks))


def _runs(kinds: Iterable[tuple[str, Layer]], mixers: Mapping[str, Layer], norm: Layer) -> tuple[Run, ...]:
    return runs_of(kinds, lambda kind: prenorm_block(kind[0], norm, **mixers, mlp=kind[1]))


def _kind(config: Config) -> str:
    config.ignore("is_decoder is_encoder_decoder add_cross_attention num_decoder_layers")
    if config.class_name().endswith(("EncoderModel", "ForTokenClassification")):
        return "encoder"
    return config.head_kind("seq2seq", "none")


def _head(config: Config, tied: bool, scaled: bool | None) -> Named:
    """Return the head. By default, the head input is scaled only if the embeddings are tied."""
    vocab, width = config.vocab, config.size("d_model")
    if scaled is None:
        scaled = config.flag("scale_decoder_outputs", config.flag("tie_word_embeddings", True))
    return Named("head", Head(vocab, width, share=TOKENS if tied else None, input_scale=width**-0.5 if scaled else 1.0))


def _mixers(config: Config, side: str, shared: bool) -> Layers:
    width, heads, head = config.size("d_model"), config.size("num_heads"), config.size("d_kv")
    farthest = config.size("relative_attention_max_distance", 128)
    bias = Relative(config.size("relative_attention_num_buckets"), farthest, shared)
    own = Attention(width, heads, d_head=head, scale=1.0, causal=side == "decoder", score_bias=bias)
    mixers: Layers = {"attention": own}
    if side == "decoder":
        mixers["cross_attention"] = Attention(width, heads, d_head=head, scale=1.0, causal=False, cross=Cross())
    return mixers


def feed_forward(config: Config, gated_gelu: str = "gelu_new") -> Mlp:
    """Return the MLP that ``feed_forward_proj`` describes. ``gated_gelu`` is the activation of ``gated-gelu``."""
    gated, _, act = config.string("feed_forward_proj").rpartition("-")
    if gated not in ("", "gated"):
        raise config.error(f"unknown feed_forward_proj {short_repr(config.get('feed_forward_proj'))}")
    act = config.string("dense_act_fn", gated_gelu if (gated, act) == ("gated", "gelu") else act)
    config.ignore("tie_word_embeddings scale_decoder_outputs")
    is_gated = config.flag("is_gated_act", bool(gated))
    return Mlp(config.size("d_model"), config.size("d_ff"), config.activation_name(act), gated=is_gated)
