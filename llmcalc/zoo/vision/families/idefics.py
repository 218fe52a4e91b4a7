"""IDEFICS [laurencon2023] with gated cross-attention to images between LLaMA blocks, as in Flamingo."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Named, Stack
from ....importers.hf.composite_models import Part, encoder_stacks
from ....importers.hf.config import Config, Fields
from ....importers.hf.rules import causal_lm, default_layernorm, prenorm_block, repeat_block, sublayer
from ....layers import Attention, Embedding, Head, Mlp, Norm, Scale
from ....layers.parts.cross import Cross
from ....layers.parts.qk_norm import QkNorm

WIDER = 4  # hidden width of the resampler's feed-forward layers, relative to the encoder width
_NOTE = "not counted in FLOPs: the cross-attention to images and the resampler, because the tokens are text"
_IGNORED = """
    alpha_initializer alphas_initializer_range freeze_text_layers freeze_text_module_exceptions freeze_lm_head
    freeze_vision_layers freeze_vision_module_exceptions use_resampler perceiver_config vision_config
"""


def idefics(config: Config) -> Architecture:
    """Read an IDEFICS config with gated cross-attention layers, a CLIP encoder, and an optional resampler."""
    config.ignore(_IGNORED)
    bare = config.class_name().endswith("Model")
    config.override("architectures", ["Model"] if bare else None)
    width, norm = config.d_model, config.rmsnorm()
    own, mlp = config.attention(bias=False), config.gated_mlp()
    text = causal_lm(config, repeat_block(prenorm_block("block", norm, attention=own, mlp=mlp), config.n_layers), norm)
    text = replace(text, stacks=(_with_more_tokens(config, text.main, bare),))
    config.override("vision_config", {**config.mapping("vision_config"), "model_type": "idefics_vision"})
    (tower,) = encoder_stacks(config, Part("vision_config", "idefics_vision"), width)
    count = config.n_layers // config.size("cross_layer_interval")
    gated = repeat_block(_gated(config, norm, own.n_heads, mlp, tower.d_model), count)
    stacks = [text.main, Stack("gated_cross_attn", width, (), gated, (), "tower")]
    if config.flag("use_resampler"):
        stacks.append(_resampler(config, tower.d_model))
    return replace(text, stacks=(*stacks, tower), notes=(*text.notes, _NOTE))


def _with_more_tokens(config: Config, stack: Stack, bare: bool) -> Stack:
    """Return the stack with an additional table and head for tokens outside the base vocabulary."""
    more = config.count("additional_vocab_size")
    if not more:
        return stack
    share = "additional_tokens" if config.flag("tie_word_embeddings") else None
    inputs = (*stack.inputs, Named("additional", Embedding(more, stack.d_model, share=share)))
    heads = () if bare else (Named("additional_head", Head(more, stack.d_model, share)),)
    return replace(stack, inputs=inputs, outputs=(*stack.outputs, *heads))


def _gated(config: Config, norm: Norm, heads: int, mlp: Mlp, source: int) -> Any:
    """Return a block with cross-attention to an image. A learned gate scales each sub-layer output."""
    is_scalar, width = config.one_of("alpha_type", "float", "vector") == "float", norm.d_model
    unused_norm, gate = replace(norm, unused=True), Scale(width, scalar=is_scalar, function="tanh", unused=True)
    qk_norm = QkNorm() if config.flag("qk_layer_norms") else None
    cross = Attention(width, heads, causal=False, cross=Cross(source), qk_norm=qk_norm, unused=True)
    kind = "lone" if is_scalar else "wide"
    parts = {f"{kind}_cross_attention": cross, f"{kind}_mlp": replace(mlp, unused=True)}
    block = prenorm_block("gated", unused_norm, **parts)
    return replace(
        block, sublayers=tuple(sublayer(name, layer, pre=unused_norm, post=gate) for name, layer in parts.items())
    )


def _resampler(config: Config, width: int) -> Stack:
    """Return a resampler stack with learned vectors that attend to the vision encoder output."""
    part = config.nested("perceiver_config", config.mapping("perceiver_config"), "idefics_perciever")
    part.ignore("use_resampler")
    heads, head = part.size("resampler_n_heads"), part.size("resampler_head_dim")
    norms: Fields = {"qk_norm": QkNorm(function="layernorm", bias=True)}
    fields = norms if part.flag("qk_layer_norms_perceiver") else {}
    norm = replace(default_layernorm(width), unused=True)
    attention = Attention(width, heads, d_head=head, causal=False, cross=Cross(), unused=True, **fields)
    mlp = Mlp(width, WIDER * width, "relu", unused=True)
    parts = (
        sublayer("attention", attention, pre=norm, post=norm),  # the second norm applies to the source
        sublayer("resampled", mlp, pre=norm),
    )
    block = replace(prenorm_block("block", norm), sublayers=parts)
    latents = Embedding(part.size("resampler_n_latents"), width, table="other", unused=True)
    blocks = repeat_block(block, part.repeats("resampler_depth"))
    part.check_all_read()
    return Stack("resampler", width, (Named("latents", latents),), blocks, (Named("resampled_norm", norm),), "tower")
