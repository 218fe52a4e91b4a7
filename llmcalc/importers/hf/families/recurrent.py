"""Recurrent networks among attention: RecurrentGemma."""

from __future__ import annotations

from ....core.architecture import Architecture
from ....core.errors import DescriptionError
from ....core.layer import Layer
from ....layers.head import Head
from ....layers.mlp import Mlp
from ....layers.rg_lru import RgLru
from ..config import Config
from ..rules import TOKENS, causal_lm, mixed, rmsnorm, rope_attention, rotary, window


def recurrent_gemma(config: Config) -> Architecture:
    """RecurrentGemma [botev2024]: Griffin's recurrent blocks, every third layer attention with a window."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    norm = rmsnorm(config, width, unit_offset=True)
    config.ignore("w_init_variance_scale final_w_init_variance_scale")
    activation = config.activation("hidden_activation")
    lru = config.optional_size("lru_width") or width
    biased, share = config.flag("attention_bias"), TOKENS if config.flag("tie_word_embeddings", True) else None
    attention = rope_attention(
        config,
        bias=False,
        q_bias=biased,
        k_bias=biased,
        v_bias=biased,
        o_bias=True,
        window=window(config, "attention_window_size"),
        rotary_dim=rotary(config, 0.5),
    )
    mixers: dict[str, Layer] = {
        "attention": attention,
        "recurrent": RgLru(width, lru, config.size("num_attention_heads"), config.size("conv1d_width"), activation),
    }
    mlp = Mlp(width, config.size("intermediate_size") // 2, activation, gated=True, bias=True)
    cycle = config.texts("block_types")
    if not cycle:
        raise DescriptionError("block_types is empty", where=config.where)
    runs = mixed(norm, mixers, {"dense": mlp}, ((cycle[index % len(cycle)], "dense") for index in range(layers)))
    head = Head(config.size("vocab_size"), width, share, softcap=config.number("logits_soft_cap"))
    return causal_lm(config, runs, norm, head=head)
