"""BERT variants with different blocks or outputs: MobileBERT, ConvBERT, SqueezeBERT, Splinter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ....core.architecture import Architecture, Block, Branch, Named, Stack, Sublayer
from ....core.errors import short_repr
from ....core.layer import Layer
from ....importers.hf.config import BIASED, Config, Fields
from ....importers.hf.families.bert import (
    SEGMENTS_COMPARED,
    embeddings,
    encoder,
    encoder_model,
    pooler,
    tied_head,
    transform,
    with_head,
)
from ....importers.hf.families.bert_variants import generator
from ....importers.hf.rules import repeat_block, sublayer
from ....layers import Attention, InputRows, Linear, Mlp
from ....layers.parts.inputs import Inputs
from ..layers.affine import Affine
from ..layers.convbert_attention import ConvBertAttention
from ..layers.grouped import GroupedAttention, GroupedMlp
from ..layers.span_selection import SpanSelection

USUAL_EPS = 1e-5  # epsilon of MobileBERT's norms that ignore layer_norm_eps
BLOCK_EPS = 1e-12  # epsilon of the norms in SqueezeBERT's blocks, which ignore layer_norm_eps
SPLINTER = ("SplinterModel", "SplinterForPreTraining", "SplinterForQuestionAnswering")


def mobilebert(config: Config) -> Architecture:
    """Build MobileBERT [sun2020] with token trigrams and bottleneck blocks that have several feed-forward layers."""
    width, vocab, narrow = config.d_model, config.vocab, config.size("embedding_size")
    kind = config.string("normalization_type")
    if kind not in ("no_norm", "layer_norm"):
        raise config.invalid("normalization_type", "no_norm or layer_norm", kind)

    def norm(size: int, eps: float | None = None) -> Layer:
        plain = config.layernorm(width=size)
        return Affine(size, scale_first=True) if kind == "no_norm" else replace(plain, eps=eps or plain.eps)

    trigram = 3 if config.flag("trigram_input") else 1
    rows = InputRows(neighbours=trigram)
    joined = Linear(trigram * narrow, width, sequence=rows, unused=trigram == 1 and narrow == width)
    token, *others = embeddings(config, vocab, width)
    inputs = (Named("token", replace(token.layer, d_model=narrow)), Named("join", joined), *others)  # type: ignore[type-var]
    runs = repeat_block(Block("block", _bottleneck_block(config, norm)), config.n_layers)
    stack = Stack("encoder", width, (*inputs, Named("norm", norm(width, USUAL_EPS))), runs, (), "encoder")
    head, pooled = config.head_kind() or "mlm", [pooler(width)] if config.flag("classifier_activation") else []
    if head == "none":
        return encoder_model(config, stack, pooled)
    table = replace(tied_head(config, narrow), d_rest=width - narrow if width > narrow else None)
    outputs = [*(pooled if head == "pretraining" else []), *transform(config, width), Named("head", table)]
    if head == "pretraining":
        outputs.append(Named("next_sentence", Linear(width, SEGMENTS_COMPARED, positions="one")))
    return encoder_model(config, stack, outputs)


def _bottleneck_block(config: Config, norm: Callable[..., Layer]) -> tuple[Sublayer, ...]:
    """Return the sub-layers of a bottleneck block, optionally with a separate bottleneck for queries and keys."""
    width, within = config.d_model, config.flag("use_bottleneck")
    inner = config.size("intra_bottleneck_size") if within else width
    config.ignore("intra_bottleneck_size")
    config.check_equal("true_hidden_size", inner)
    narrow_values, shared = config.flag("use_bottleneck_attention"), config.flag("key_query_shared_bottleneck")
    enter, again, heads = "bottleneck_input", "bottleneck_attention", config.n_heads
    first = Sublayer(enter, (Branch("linear", Linear(width, inner)),), post=norm(inner), residual=False)
    second = Linear(width, inner, unused=narrow_values)
    apart = within and shared and not narrow_values  # values are computed from the wide stream
    fields: Fields = {"inputs": Inputs(value_width=width, values_of=enter)} if apart else {}
    mixer = sublayer("attention", Attention(inner, heads, causal=False, **fields, **BIASED), after=norm(inner))
    parts = [first] if within else []
    if within and shared:
        parts.append(replace(first, name=again, branches=(Branch("linear", second),), input_from=enter))
    if apart:
        mixer = replace(mixer, residual_from=again)
    elif within and not narrow_values:
        mixer = replace(mixer, input_from=enter)
    mlp = Mlp(inner, config.size("intermediate_size"), config.activation(), bias=True)
    parts.append(mixer)
    for index in range(config.repeats("num_feedforward_networks") - 1):
        parts.append(sublayer(f"ffn{index}", mlp, after=norm(inner)))
    parts.append(sublayer("mlp", mlp, after=norm(inner, USUAL_EPS)))
    if within:
        behind = sublayer("bottleneck_output", Linear(inner, width), after=norm(width))
        parts.append(replace(behind, residual_from=enter))
    return tuple(parts)


def convbert(config: Config) -> Architecture:
    """Build ConvBERT [jiang2020], in which convolutions replace some heads. Feed-forward layers may be grouped."""
    width, narrow = config.d_model, config.size("embedding_size")
    if config.flag("add_cross_attention"):
        raise config.error("add_cross_attention is not supported")
    heads = max(config.n_heads // config.size("head_ratio"), 1)
    attention = ConvBertAttention(width, heads, config.size("conv_kernel_size"))
    groups, d_ff = config.size("num_groups"), config.size("intermediate_size")
    mlp = GroupedMlp(width, d_ff, config.activation(), groups, groups) if groups > 1 else None
    stack = encoder(config, attention=attention, mlp=mlp, narrow=narrow)
    return generator(config, replace(stack, role="encoder"), narrow)


def squeezebert(config: Config) -> Architecture:
    """Build SqueezeBERT [iandola2020] with grouped projections and a pooler that runs alongside the head."""
    if config.size("embedding_size") != config.d_model:
        raise config.error("embedding_size must equal hidden_size")
    keys = ("q_groups", "k_groups", "v_groups", "post_attention_groups")
    config.divide_by_heads(config.d_model, config.n_heads)
    attention = GroupedAttention(config.d_model, config.n_heads, *(config.size(key) for key in keys))
    groups = (config.size("intermediate_groups"), config.size("output_groups"))
    mlp = GroupedMlp(config.d_model, config.size("intermediate_size"), config.activation(), *groups)
    stack = encoder(config, attention=attention, mlp=mlp)
    (run,) = stack.runs
    norm = replace(config.layernorm(), eps=BLOCK_EPS)
    parts = tuple(replace(part, after=norm) for part in run.block.sublayers)
    stack = replace(stack, runs=(replace(run, block=replace(run.block, sublayers=parts)),))
    return with_head(config, stack, pooled=True)


def splinter(config: Config) -> Architecture:
    """Build Splinter [ram2021], a BERT encoder with a head that selects an answer span for the question token."""
    name, asks = config.class_name() or SPLINTER[1], config.count("question_token_id")
    if name not in SPLINTER:
        known = ", ".join(SPLINTER)
        raise config.error(f"unknown Splinter class {short_repr(name)}; expected one of {known}")
    config.override("architectures", [name if name == SPLINTER[0] else SPLINTER[1]])
    stack = encoder(config)
    if name == SPLINTER[0]:
        return encoder_model(config, stack, [])
    return encoder_model(config, stack, [Named("spans", SpanSelection(stack.d_model, asks))])
