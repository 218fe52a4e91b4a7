"""BERT, RoBERTa and ALBERT: post-norm encoders with learned positions and segments."""

from __future__ import annotations

from ....core.architecture import Architecture, Block, Named, Run, Stack
from ....core.errors import DescriptionError
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.head import Head
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ..config import Config
from ..rules import TOKENS, layernorm, repeated, sublayer
from .gpt import BIASED


def bert(config: Config) -> Architecture:
    """BERT [devlin2018]."""
    return _encoder(config)


def roberta(config: Config) -> Architecture:
    """RoBERTa [liu2019]; the class counts positions from the padding token on."""
    return _encoder(config)


def _encoder(config: Config) -> Architecture:
    width, vocab = config.size("hidden_size"), config.size("vocab_size")
    norm = layernorm(config, width)
    config.get("position_embedding_type")
    causal = config.flag("is_decoder")
    attention = Attention(width, config.size("num_attention_heads"), causal=causal, **BIASED)
    parts = [sublayer("attention", attention, after=norm)]
    if config.flag("add_cross_attention"):
        cross = Attention(width, config.size("num_attention_heads"), cross=True, causal=False, unused=True, **BIASED)
        parts.append(sublayer("cross_attention", cross, after=norm))
    mlp = Mlp(width, config.size("intermediate_size"), config.activation(), bias=True)
    parts.append(sublayer("mlp", mlp, after=norm))
    runs = repeated(Block("block", tuple(parts)), config.size("num_hidden_layers"))
    inputs = (*_tables(config, vocab, width), Named("norm", norm))
    role = "decoder" if causal else "encoder"
    return _with_head(config, Stack(role, width, inputs, runs, (), role), vocab, width)


def _tables(config: Config, vocab: int, width: int) -> tuple[Named, ...]:
    segments = config.optional_size("type_vocab_size", zero_is_none=True)
    tables = [
        Named("token", Embedding(vocab, width, share=TOKENS)),
        Named("position", Embedding(config.size("max_position_embeddings"), width, table="position")),
    ]
    return (*tables, *([Named("segment", Embedding(segments, width, table="segment"))] if segments else []))


def _with_head(config: Config, stack: Stack, vocab: int, embedding: int) -> Architecture:
    """The stack with a language-model head over a table of width ``embedding``, or with a pooler."""
    kind, width = config.head() or "mlm", stack.d_model
    tied = config.flag("tie_word_embeddings", True)
    outputs: list[Named] = []
    if kind in ("causal", "mlm"):
        # an untied class keeps the bias that the tied head would use beside the decoder's own
        head = Head(vocab, embedding, TOKENS if tied else None, bias=True, unused_biases=0 if tied else 1)
        transform = Linear(width, embedding, activation=config.activation(), positions="logits")
        outputs = [Named("transform", transform), Named("transform_norm", layernorm(config, embedding)), Named("head", head)]
    elif kind == "none":
        outputs = [Named("pooler", Linear(width, width, activation="tanh", positions="one"))]
    else:
        raise DescriptionError(f"a head of kind {kind!r} is not understood", where=config.where)
    complete = Stack(stack.name, width, stack.inputs, stack.runs, tuple(outputs), stack.role)
    return Architecture(config.model_type, (complete,))


def albert(config: Config) -> Architecture:
    """ALBERT [lan2019]: narrow tables, and groups of layers that are applied again and again."""
    width, vocab, narrow = config.size("hidden_size"), config.size("vocab_size"), config.size("embedding_size")
    norm = layernorm(config, width)
    attention = Attention(width, config.size("num_attention_heads"), causal=False, **BIASED)
    mlp = Mlp(width, config.size("intermediate_size"), config.activation(), bias=True)
    layer = (sublayer("attention", attention, after=norm), sublayer("mlp", mlp, after=norm))
    inner = config.size("inner_group_num")
    parts = [part for index in range(inner) for part in layer] if inner == 1 else _numbered(layer, inner)
    layers, groups = config.size("num_hidden_layers"), config.size("num_hidden_groups")
    applied = [sum(1 for index in range(layers) if int(index / (layers / groups)) == group) for group in range(groups)]
    runs = tuple(Run(Block(f"group{group}", tuple(parts)), count, shared=True) for group, count in enumerate(applied) if count)
    inputs = (*_tables(config, vocab, narrow), Named("norm", layernorm(config, narrow)), Named("projection", Linear(narrow, width)))
    return _with_head(config, Stack("encoder", width, inputs, runs, (), "encoder"), vocab, narrow)


def _numbered(layer: tuple[object, ...], count: int) -> list[object]:
    from dataclasses import replace

    return [replace(part, name=f"{part.name}{index}") for index in range(count) for part in layer]  # type: ignore[type-var, attr-defined]
