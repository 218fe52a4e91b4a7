"""Encoder-decoder models whose sides are configs of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Branch, Named, Run, Stack
from ....core.errors import DescriptionError, UnknownNameError, shown
from ....core.layer import Layer
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.head import Head
from ....layers.linear import Linear
from ..config import Config
from ..rules import gated_mlp, group_runs, layer_types, rmsnorm, rope_attention, sliding_window, sublayer

Change = Callable[[Layer], Layer]
DECODER_TABLE = "decoder_embedding"


def encoder_decoder(config: Config) -> Architecture:
    """Any encoder before any decoder that has cross-attention [rothe2019]."""
    config.ignore("is_encoder_decoder tie_word_embeddings")
    encoder, first = _side(config, "encoder", bare=True)
    decoder, second = _side(config, "decoder", bare=False)
    tokens, source = encoder.main, decoder.main
    outputs = tokens.outputs
    if tokens.d_model != source.d_model and not _inner(config, "decoder").get("cross_attention_hidden_size"):
        outputs = (*outputs, Named("enc_to_dec_proj", Linear(tokens.d_model, source.d_model, recomputed_per_step=True)))
    tokens = _changed(replace(tokens, name="encoder", role="encoder", outputs=outputs), _as_encoder)
    source = _changed(replace(source, name="decoder", role="decoder"), _as_decoder)
    return Architecture(config.model_type, (tokens, source), layout=f"{first}.bare+{second}")


def _side(config: Config, key: str, bare: bool) -> tuple[Architecture, str]:
    from . import find, names

    data = dict(_inner(config, key))
    entry = find(str(data.get("model_type")))
    if entry is None:
        raise UnknownNameError(f"model_type of {key}", str(data.get("model_type")), names(), where=config.where)
    data["architectures"] = ["Model" if bare else "ForCausalLM"]
    part = config.nested(key, data, entry.model_type)
    architecture = entry.read(part)
    part.ignore("cross_attention_hidden_size")
    part.check_all_read()
    if len(architecture.stacks) > 1:
        raise DescriptionError(f"the {key} is a model of {len(architecture.stacks)} stacks", where=config.where)
    return architecture, architecture.layout or entry.layout


def _inner(config: Config, key: str) -> dict[str, Any]:
    value = config.get(key)
    if value is None:
        value = {"model_type": "bert"}
        value |= {"is_decoder": True, "add_cross_attention": True} if key == "decoder" else {}
    if not isinstance(value, dict):
        raise DescriptionError(f"{key} is {shown(value)}; it is an object", where=config.where)
    return value


def _as_encoder(layer: Layer) -> Layer:
    """Tables of its own, and a pooler whose result nobody asks for."""
    if isinstance(layer, (Embedding, Head)) and layer.share:
        return replace(layer, share=f"encoder_{layer.share}")
    return replace(layer, dropped=True) if isinstance(layer, Linear) and layer.positions == "one" else layer


def _as_decoder(layer: Layer) -> Layer:
    """Cross-attention that runs, and a token table that is not the model's input."""
    if isinstance(layer, Embedding) and layer.table == "token":
        return replace(layer, table="other")
    return replace(layer, unused=False) if isinstance(layer, Attention) and layer.cross else layer


def _changed(stack: Stack, change: Change) -> Stack:
    """A stack with every layer changed."""

    def named(entries: tuple[Named, ...]) -> tuple[Named, ...]:
        return tuple(Named(name, change(layer)) for name, layer in entries)

    def block(old: Block) -> Block:
        parts = [
            replace(part, branches=tuple(Branch(b.name, change(b.layer), b.pre, b.post) for b in part.branches))
            for part in old.sublayers
        ]
        return Block(old.name, tuple(parts))

    runs = tuple(Run(block(run.block), run.count, run.shared) for run in stack.runs)
    return replace(stack, inputs=named(stack.inputs), runs=runs, outputs=named(stack.outputs))


def t5gemma(config: Config) -> Architecture:
    """T5Gemma [zhang2025]: Gemma 2's layers in an encoder and, with cross-attention, in a decoder."""
    config.ignore("is_encoder_decoder vocab_size initializer_range")
    kind, tied = config.head_kind() or "seq2seq", config.flag("tie_word_embeddings", True)
    if kind not in ("seq2seq", "none") or config.class_name().endswith("EncoderModel"):
        raise DescriptionError(f"the class {shown(config.class_name())} is not understood", where=config.where)
    sides = {key: config.nested(key, _plain(config, key), "t5_gemma_module") for key in ("encoder", "decoder")}
    stacks = []
    for side, part in sides.items():
        source = None if side == "encoder" else sides["encoder"].size("hidden_size")
        share = DECODER_TABLE if source and tied and kind == "seq2seq" else None
        table = Embedding(
            part.size("vocab_size"),
            part.size("hidden_size"),
            "other" if source else "token",
            share,
            scale=part.size("hidden_size") ** 0.5,
        )
        outputs = [Named("norm", rmsnorm(part, part.size("hidden_size"), unit_offset=True))]
        if source and kind == "seq2seq":
            cap = part.number("final_logit_softcapping")
            outputs.append(Named("head", Head(part.size("vocab_size"), part.size("hidden_size"), share, softcap=cap)))
        blocks = group_runs(_gemma_blocks(part, source))
        stacks.append(Stack(side, part.size("hidden_size"), (Named("token", table),), blocks, tuple(outputs), side))
        part.ignore("is_decoder is_encoder_decoder tie_word_embeddings final_logit_softcapping max_position_embeddings")
        part.ignore("cross_attention_hidden_size")
        part.check_all_read()
    return Architecture(config.model_type, tuple(stacks))


def _plain(config: Config, key: str) -> dict[str, Any]:
    value = config.get(key)
    if not isinstance(value, dict | None):
        raise DescriptionError(f"{key} is {shown(value)}; it is an object", where=config.where)
    return value or {}


def _gemma_blocks(config: Config, source: int | None) -> list[Block]:
    """Gemma 2's blocks; ``source`` is the width of the encoder, in a decoder."""
    norm = rmsnorm(config, config.size("hidden_size"), unit_offset=True)
    fields: dict[str, Any] = {
        "logit_softcap": config.number("attn_logit_softcapping"),
        "scale": (config.number("query_pre_attn_scalar") or 256.0) ** -0.5,
        "causal": source is not None,
    }
    layers = config.size("num_hidden_layers")
    pattern = ["full_attention" if index % 2 else "sliding_attention" for index in range(layers)]
    kinds: dict[str, Block] = {}
    for kind, name, span in (
        ("sliding_attention", "local", sliding_window(config)),
        ("full_attention", "global", None),
    ):
        parts = {
            "attention": rope_attention(
                config, layer_type=kind, **{**fields, "window": span if source or not span else span + 1}
            )
        }
        if source:
            across = {**fields, "causal": False, "cross": True, "d_source": source, "positions": "none"}
            parts["cross_attention"] = rope_attention(config, **across)
        mlp = gated_mlp(config, activation="hidden_activation")
        everything: dict[str, Layer] = {**parts, "mlp": mlp}
        kinds[kind] = Block(name, tuple(sublayer(key, part, pre=norm, post=norm) for key, part in everything.items()))
    return [kinds[kind] for kind in layer_types(config, layers, pattern)]
