"""T5 and Switch Transformers: relative position biases, RMSNorm, no biases; Switch with experts in some layers."""

from __future__ import annotations

from collections.abc import Callable

from ....core.architecture import Architecture, Block, Named, Run, Stack
from ....core.errors import DescriptionError
from ....core.layer import Layer
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.head import Head
from ....layers.mlp import Mlp
from ....layers.moe import Moe
from ..config import Config
from ..rules import TOKENS, grouped, rmsnorm, sublayer


def t5(config: Config) -> Architecture:
    """T5 and T5 v1.1 [raffel2020]. The class ties the head whatever ``tie_word_embeddings`` says."""
    gated, _, act = config.word("feed_forward_proj").rpartition("-")
    if gated not in ("", "gated"):
        raise DescriptionError(f"feed_forward_proj is {config.get('feed_forward_proj')!r}", where=config.where)
    act = config.word("dense_act_fn", "gelu_new" if (gated, act) == ("gated", "gelu") else act)
    config.ignore("tie_word_embeddings scale_decoder_outputs")
    is_gated = config.flag("is_gated_act", bool(gated))
    mlp = Mlp(config.size("d_model"), config.size("d_ff"), config.activation_named(act), gated=is_gated)
    return _seq2seq(config, lambda side, index: ("", mlp), tied=True)


def switch(config: Config) -> Architecture:
    """Switch Transformers [fedus2021]: every n-th layer has experts, one a token."""
    width, d_ff = config.size("d_model"), config.size("d_ff")
    activation = config.activation("dense_act_fn")
    dense = Mlp(width, d_ff, activation)
    config.get("expert_capacity")
    experts = Moe(width, d_ff, config.size("num_experts"), 1, activation, gated=False, router_bias=config.flag("router_bias"))
    steps = {}
    for side, layers in (("encoder", config.size("num_layers")), ("decoder", config.size("num_decoder_layers"))):
        sparse = config.count(f"num_sparse_{side}_layers")
        steps[side] = config.count(f"{side}_sparse_step", layers // sparse if sparse else layers)

    def feed(side: str, index: int) -> tuple[str, Layer]:
        step = steps[side]
        return ("sparse", experts) if step > 0 and (index % step == 1 or step == 1) else ("dense", dense)

    return _seq2seq(config, feed, tied=config.flag("tie_word_embeddings", True))


def _seq2seq(config: Config, feed: Callable[[str, int], tuple[str, Layer]], tied: bool) -> Architecture:
    """Both stacks; ``feed`` gives a layer's feed-forward part and what to call its block."""
    width, vocab = config.size("d_model"), config.size("vocab_size")
    norm = rmsnorm(config, width, "layer_norm_epsilon")
    kind = config.head() or "seq2seq"
    if kind not in ("seq2seq", "none"):
        raise DescriptionError(f"a head of kind {kind!r} is not understood", where=config.where)
    config.ignore("is_decoder is_encoder_decoder add_cross_attention")
    layers = config.size("num_layers")
    counts = {"encoder": layers, "decoder": config.optional_size("num_decoder_layers") or layers}
    stacks = []
    for side, count in counts.items():
        runs = _runs(config, side, count, feed, norm)
        table = Embedding(vocab, width, table="token" if side == "encoder" or tied else "other", share=TOKENS if tied else None)
        inputs = [Named("token", table)]
        if side == "encoder" and not tied:  # the untied class keeps the table that would be shared
            inputs = [Named("unused", Embedding(vocab, width, unused=True)), Named("token", Embedding(vocab, width, table="other"))]
        outputs = [Named("norm", norm)]
        if side == "decoder" and kind == "seq2seq":
            outputs.append(Named("head", Head(vocab, width, share=TOKENS if tied else None)))
        stacks.append(Stack(side, width, tuple(inputs), runs, tuple(outputs), side))
    return Architecture(config.model_type, tuple(stacks))


def _runs(config: Config, side: str, count: int, feed: Callable[[str, int], tuple[str, Layer]], norm: Layer) -> tuple[Run, ...]:
    width, heads, head = config.size("d_model"), config.size("num_heads"), config.size("d_kv")
    buckets = config.size("relative_attention_num_buckets")
    attention = Attention(width, heads, d_head=head, causal=side == "decoder", positions="relative", n_buckets=buckets)
    cross = Attention(width, heads, d_head=head, causal=False, cross=True)
    known: dict[str, Block] = {}
    order = []
    for index in range(count):
        name, layer = feed(side, index)
        if name not in known:
            parts = [sublayer("attention", attention, pre=norm)]
            parts += [sublayer("cross_attention", cross, pre=norm)] if side == "decoder" else []
            known[name] = Block(name or "block", (*parts, sublayer("mlp", layer, pre=norm)))
        order.append(known[name])
    return grouped(order)
