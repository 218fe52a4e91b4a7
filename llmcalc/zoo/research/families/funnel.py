"""The Funnel Transformer encoder, with sequence pooling between blocks."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Run, Stack
from ....core.errors import short_repr
from ....importers.hf.config import Config
from ....importers.hf.families.bert import embedding_share, encoder_model, norm_sublayer, tied_head
from ....layers import Embedding, Linear, Mlp, SequenceRows
from ..layers.funnel_attention import FunnelAttention

HALVED = 2  # number of tokens pooled into one between blocks
WITHOUT_DECODER = ("FunnelBaseModel", "FunnelForSequenceClassification", "FunnelForMultipleChoice")


def funnel(config: Config) -> Architecture:
    """Read a Funnel Transformer config [dai2020]."""
    config.ignore("num_blocks initializer_std")
    config.check_equal("num_hidden_layers", sum(_counts(config, "block_sizes")))
    width, vocab, kind = config.size("d_model"), config.vocab, config.head_kind() or "mlm"
    inputs = (
        Named("token", Embedding(vocab, width, share=None if kind == "pretraining" else embedding_share(config))),
        Named("norm", config.layernorm(width=width)),
    )
    config.get("tie_word_embeddings")
    runs = _blocks(config)
    decoder = config.size("num_decoder_layers")
    if config.class_name() not in WITHOUT_DECODER:
        times = HALVED ** (len(_counts(config, "block_sizes")) - 1)
        layers = [
            _layer(config, f"decoder.layers.{index}", restores=None if index else times) for index in range(decoder)
        ]
        runs += [Run(layer, 1) for layer in layers]
    stack = Stack("encoder", width, inputs, tuple(runs), (), "encoder")
    if kind == "none":
        return encoder_model(config, stack, [])
    if kind == "pretraining":
        dense = Linear(width, width, activation=config.activation())
        return encoder_model(
            config, stack, [Named("discriminator_dense", dense), Named("discriminator", Linear(width, 1))]
        )
    if kind != "mlm":
        raise config.error(f"{short_repr(kind)} heads are not supported")
    return encoder_model(config, stack, [Named("head", tied_head(config, width, spare_bias=False))])


def _blocks(config: Config) -> list[Run]:
    sizes = _counts(config, "block_sizes")
    repeats = _counts(config, "block_repeats") if config.get("block_repeats") is not None else [1] * len(sizes)
    if len(repeats) != len(sizes):
        raise config.size_error(f"block_repeats must have one entry per block ({len(sizes)}), not {len(repeats)}")
    if any(count > 1 for count in repeats[1:]):
        raise config.error("repeating pooling layers (block_repeats) is not supported")
    config.check_layer_runs(sum(sizes))
    runs = []
    for number, (size, times) in enumerate(zip(sizes, repeats, strict=True)):
        for layer in range(size):
            block = _layer(config, f"encoder.blocks.{number}.{layer}", HALVED**number, number > 0 and layer == 0)
            runs.append(Run(block, times, shared=True))
    return runs


def _counts(config: Config, key: str) -> list[int]:
    value = config.get(key)
    if not isinstance(value, list) or not value or not all(type(item) is int and item > 0 for item in value):
        raise config.size_error(f"{key} must be a list of positive integers")
    return [config.integer(item, key, 1) for item in value]


def _layer(config: Config, name: str, merge: int = 1, pools: bool = False, restores: int | None = None) -> Block:
    width, norm = config.size("d_model"), config.layernorm(width=config.size("d_model"))
    kind = config.string("attention_type")
    if kind not in ("relative_shift", "factorized"):
        raise config.invalid("attention_type", "relative_shift or factorized", kind)
    apart, pooling = config.flag("separate_cls"), config.string("pooling_type")
    if pooling not in FunnelAttention.CHOICES["pooling"]:
        raise config.invalid("pooling_type", "mean or max", pooling)
    extra = not config.flag("truncate_seq") and apart
    attention = FunnelAttention(
        width,
        config.size("n_head"),
        config.size("d_head"),
        merge,
        pools,
        not config.flag("pool_q_only"),
        extra,
        kind == "factorized",
        apart,
        pooling,
        restores,
    )
    rows = SequenceRows(merge_extra=True) if extra else None
    mlp = Mlp(width, config.size("d_inner"), config.activation(), bias=True, merge=merge, sequence=rows)
    norm = replace(norm, merge=merge, sequence=rows)
    return Block(name, (norm_sublayer("attention", attention, norm, True), norm_sublayer("mlp", mlp, norm, True)))
