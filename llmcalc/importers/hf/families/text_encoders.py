"""Text encoders of models that compare text with images, audio or video: CLIP, SigLIP and others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Named, Stack
from ....core.errors import DescriptionError
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ....layers.norm import Norm
from ..config import Config
from ..rules import gated_mlp, layernorm, prenorm_block, repeat_block, rmsnorm
from .bert import behind_padding, bert_attention, bert_mlp, encoder, finish, only, pooler
from .gpt import BIASED

OLD_END = 2  # wrong id in the first CLIP configs, whose end-of-text token has the highest id
CLVP_LEAST = 32  # minimum number of rotated channels per head


def clip(config: Config) -> Architecture:
    """CLIP's text encoder: causal; the class may project the end-of-text token."""
    return _clip(config, "highest" if config.count("eos_token_id") == OLD_END else "of_id")


def metaclip_2(config: Config) -> Architecture:
    """MetaCLIP 2's text encoder: CLIP's, with the right end-of-text id in all configs."""
    return _clip(config, "of_id")


def _clip(config: Config, pooled: str) -> Architecture:
    width, end = config.size("hidden_size"), config.count("eos_token_id") if pooled == "of_id" else 0
    out = config.size("projection_dim", width)
    head = Linear(width, out, False, positions="one", pooled=pooled, pooled_id=end)
    return _text_tower(config, causal=True, head=("projection", head))


def siglip(config: Config) -> Architecture:
    """SigLIP's text encoder: bidirectional, with a head on the last token."""
    width = config.size("hidden_size")
    out = config.optional_size("projection_size") or width
    head = Linear(width, out, positions="one", pooled="last")
    return _text_tower(config, causal=False, head=("head", head), always=True)


def _text_tower(config: Config, *, causal: bool, head: tuple[str, Linear], always: bool = False) -> Architecture:
    width, projected = config.size("hidden_size"), config.head_kind() == "projection"
    attention = Attention(width, config.size("num_attention_heads"), causal=causal, **BIASED)
    norm = layernorm(config, width)
    block = prenorm_block("block", norm, attention=attention, mlp=bert_mlp(config))
    inputs = (
        Named("token", Embedding(config.size("vocab_size"), width)),
        Named("position", Embedding(config.size("max_position_embeddings"), width, table="position")),
    )
    outputs = [Named("final_norm", norm)]
    outputs += [Named(*head)] if always or projected else []
    config.ignore("projection_dim projection_size tie_word_embeddings")
    role = "decoder" if causal else "encoder"
    stack = Stack(role, width, inputs, repeat_block(block, config.size("num_hidden_layers")), tuple(outputs), role)
    return Architecture(config.model_type, (stack,))


def flava(config: Config) -> Architecture:
    """FLAVA's text encoder [singh2021]: pre-norm BERT with a pooler."""
    only(config, "none")
    biased = config.flag("qkv_bias", True)
    attention = bert_attention(config, q_bias=biased, k_bias=biased, v_bias=biased)
    stack = encoder(config, post=False, attention=attention)
    return finish(config, stack, [pooler(stack.d_model)])


def altclip(config: Config) -> Architecture:
    """AltCLIP's text encoder [chen2022]: XLM-R, then a norm and a projection of every token."""
    only(config, "none")
    stack = behind_padding(config, encoder(config))
    width = stack.d_model
    projection = Linear(width, config.size("project_dim"))
    return finish(config, stack, [Named("pre_norm", layernorm(config, width)), Named("projection", projection)])


def clap(config: Config) -> Architecture:
    """CLAP's text encoder [wu2022]: RoBERTa with its pooler; the class may add a two-layer projection."""
    stack = behind_padding(config, encoder(config))
    outputs = [pooler(stack.d_model)]
    if only(config, "none", "projection") == "projection":
        out, activation = config.size("projection_dim"), config.activation("projection_hidden_act")
        first = Linear(stack.d_model, out, activation=activation, positions="one")
        outputs += [Named("projection_in", first), Named("projection_out", Linear(out, out, positions="one"))]
    config.ignore("projection_dim projection_hidden_act")
    return finish(config, stack, outputs)


def bridgetower(config: Config) -> Architecture:
    """BridgeTower's text encoder [xu2022]: RoBERTa with its pooler."""
    only(config, "none")
    stack = behind_padding(config, encoder(config))
    return finish(config, stack, [pooler(stack.d_model)])


def aimv2(config: Config) -> Architecture:
    """AIMv2's text encoder [fini2024]: causal, RMSNorm, gated layers, learned positions."""
    only(config, "none")
    width, bias = config.size("hidden_size"), config.flag("qkv_bias")
    biases: dict[str, Any] = dict.fromkeys(BIASED, bias)
    attention = Attention(width, config.size("num_attention_heads"), **biases)
    norm = rmsnorm(config, width)
    block = prenorm_block("block", norm, attention=attention, mlp=gated_mlp(config, bias=config.flag("mlp_bias")))
    position = Embedding(config.size("max_position_embeddings"), width, table="position")
    inputs = (_token(config), Named("position", position))
    runs = repeat_block(block, config.size("num_hidden_layers"))
    stack = Stack("decoder", width, inputs, runs, (Named("final_norm", norm),))
    return finish(config, stack, [])


def tipsv2(config: Config) -> Architecture:
    """TIPSv2's text encoder: scaled tokens, computed positions, bidirectional."""
    only(config, "none")
    width = config.size("hidden_size")
    config.ignore("pooling_epsilon")  # mean pooling over all tokens
    scale = width**0.5 if config.flag("scale_sqrt_depth", True) else 1.0
    attention, norm = bert_attention(config), layernorm(config, width)
    block = prenorm_block("block", norm, attention=attention, mlp=bert_mlp(config))
    inputs = (_token(config, scale), _waves(config, "fairseq"))
    runs = repeat_block(block, config.size("num_hidden_layers"))
    return finish(config, Stack("encoder", width, inputs, runs, (Named("final_norm", norm),), "encoder"), [])


def videoprism(config: Config) -> Architecture:
    """VideoPrism's text encoder [zhao2024]: scaled tokens, computed positions, capped scores, a learned last token."""
    only(config, "none")
    config.ignore("apply_l2norm")
    width, biased = config.size("hidden_size"), config.flag("qkv_bias", True)
    biases = {**dict.fromkeys(BIASED, biased), "o_bias": True}
    cap = config.number("attn_logit_softcapping")
    attention = bert_attention(config, causal=False, prompt=1, logit_softcap=cap, **biases)
    eps = config.number("layer_norm_eps") or 1e-6
    norm = Norm(width, "layernorm", bias=True, eps=eps, unit_offset=True, prompt=1)
    block = prenorm_block("block", norm, attention=attention, mlp=replace(bert_mlp(config), prompt=1))
    scale = width**0.5
    last = Embedding(1, width, table="other", use="suffix", scale=scale)
    inputs = (_token(config, scale), _waves(config, "halves"), Named("class", last))
    runs = repeat_block(block, config.size("num_hidden_layers"))
    return finish(config, Stack("encoder", width, inputs, runs, (Named("final_norm", norm),), "encoder"), [])


def _token(config: Config, scale: float = 1.0) -> Named:
    return Named("token", Embedding(config.size("vocab_size"), config.size("hidden_size"), scale=scale))


def _waves(config: Config, kind: str) -> Named:
    """A table of sines and cosines, which is not a parameter."""
    rows, width = config.size("max_position_embeddings"), config.size("hidden_size")
    return Named("position", Embedding(rows, width, table="position", learned=False, sinusoids=kind))


def clvp(config: Config) -> Architecture:
    """CLVP's encoders [betker2023], for text and for speech: values are rotated too; the mean is projected."""
    config.override("architectures", ["Model"])  # the only class
    config.add_unmodelled("the projection is applied to the mean of all tokens")
    width, heads, out = (config.size(key) for key in ("hidden_size", "num_attention_heads", "projection_dim"))
    if config.one_of("summary_type", "mean", "first", "last") != "mean":
        raise DescriptionError("summary_type must be mean", where=config.where)
    turns: dict[str, Any] = {}
    if config.flag("use_rotary_embedding", True):
        turns = {"positions": "rope", "v_rope": True, "rotary_dim": max(out // (2 * heads), CLVP_LEAST)}
    biases: dict[str, Any] = {**dict.fromkeys(BIASED, config.flag("use_attention_bias")), "o_bias": True}
    norm, last = rmsnorm(config, width, "layer_norm_eps"), layernorm(config, width)
    attention = Attention(width, heads, causal=False, **turns, **biases)
    block = prenorm_block("block", norm, attention=attention, mlp=gated_mlp(config, bias=True))
    runs, projection = repeat_block(block, config.size("num_hidden_layers")), Linear(width, out, False, positions="one")
    outputs = (Named("final_norm", last), Named("projection", projection))
    return finish(config, Stack("encoder", width, (_token(config),), runs, outputs, "encoder"), [])
