"""Voxtral Realtime's text model."""

from __future__ import annotations

from ....core.architecture import Architecture, Block, Branch, Sublayer
from ....importers.hf.config import Config
from ....importers.hf.rules import causal_lm, gated_mlp, repeat_block, rmsnorm, rope_attention, sliding_window, sublayer
from ..layers.modulation import Modulation

MODULATED = 32  # hidden width of the network that embeds the delay


def voxtral_realtime(config: Config) -> Architecture:
    """Mistral's blocks with delay-dependent factors before each feed-forward layer."""
    config.add_unmodelled("the delay that determines its factors is only in the config of the whole model")
    width, norm = config.size("hidden_size"), rmsnorm(config, config.size("hidden_size"))
    attention = rope_attention(config, bias=False, window=sliding_window(config))
    branch = Branch("mlp", gated_mlp(config), pre=Modulation(width, MODULATED))
    parts = (sublayer("attention", attention, pre=norm), Sublayer("mlp", (branch,), pre=norm))
    return causal_lm(config, repeat_block(Block("block", parts), config.size("num_hidden_layers")), norm)
