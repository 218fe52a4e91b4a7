"""GPT-1 and GPT-2: learned positions, LayerNorm, biases everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....core.architecture import Architecture, Block, Named, Sublayer
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.mlp import Mlp
from ..config import Config
from ..rules import causal_lm, group_runs, layernorm, repeat_block, sublayer

BIASED: dict[str, Any] = {"q_bias": True, "k_bias": True, "v_bias": True, "o_bias": True}


def gpt2(config: Config) -> Architecture:
    """GPT-2 [radford2019], pre-norm; with cross-attention where the config asks for it."""
    width = config.size("n_embd")
    norm = layernorm(config, width, "layer_norm_epsilon")
    mlp = Mlp(width, config.optional_size("n_inner") or 4 * width, config.activation("activation_function"), bias=True)
    more = [_unused_cross_attention(config, width, norm)] if config.flag("add_cross_attention") else []

    def block(name: str, scale: float | None) -> Block:
        own = sublayer("attention", Attention(width, config.size("n_head"), scale=scale, **BIASED), pre=norm)
        return Block(name, (own, *more, sublayer("mlp", mlp, pre=norm)))

    inputs = (_positions(config, width),)
    return causal_lm(config, group_runs(_scaled_blocks(config, width, block)), norm, inputs=inputs)


def _scaled_blocks(config: Config, width: int, block: Callable[[str, float | None], Block]) -> list[Block]:
    """The blocks; with ``scale_attn_by_inverse_layer_idx`` each divides its scores by its number."""
    layers = config.size("n_layer")
    usual = None if config.flag("scale_attn_weights", True) else 1.0
    if not config.flag("scale_attn_by_inverse_layer_idx"):
        return [block("block", usual)] * layers
    whole = usual or (width // config.size("n_head")) ** -0.5
    return [block(f"block{index}", whole / (index + 1)) for index in range(layers)]


def openai_gpt(config: Config) -> Architecture:
    """GPT-1 [radford2018], post-norm."""
    width = config.size("n_embd")
    norm = layernorm(config, width, "layer_norm_epsilon")
    mlp = Mlp(
        width,
        4 * width,
        config.activation_name({"gelu": "gelu_new"}.get(config.string("afn"), config.string("afn"))),
        bias=True,
    )
    attention = Attention(width, config.size("n_head"), **BIASED)
    block = Block("block", (sublayer("attention", attention, after=norm), sublayer("mlp", mlp, after=norm)))
    return causal_lm(config, repeat_block(block, config.size("n_layer")), None, inputs=(_positions(config, width),))


def _positions(config: Config, width: int) -> Named:
    return Named("position", Embedding(config.size("n_positions"), width, table="position"))


def _unused_cross_attention(config: Config, width: int, norm: object) -> Sublayer:
    """Cross-attention that is stored but, without an encoder, never run."""
    cross = Attention(width, config.size("n_head"), cross=True, causal=False, unused=True, **BIASED)
    return sublayer("cross_attention", cross, pre=norm)  # type: ignore[arg-type]
