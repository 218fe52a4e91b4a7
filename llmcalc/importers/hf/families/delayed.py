"""Voxtral Realtime's language model, which knows how long it waits for what it hears."""

from __future__ import annotations

from ....core.architecture import Architecture, Block
from ....layers.conditioned_norm import ConditionedNorm
from ..config import Config
from ..rules import causal_lm, glu, repeated, rmsnorm, rope_attention, sublayer, window

RANK = 32  # hidden width of what makes scales of the delay


def voxtral_realtime(config: Config) -> Architecture:
    """Mistral's blocks, whose feed-forward layers stand behind norms that the delay scales."""
    width = config.size("hidden_size")
    feed = ConditionedNorm(width, RANK, config.number("rms_norm_eps") or 1e-6)
    attention, norm = rope_attention(config, bias=False, window=window(config)), rmsnorm(config, width)
    parts = (sublayer("attention", attention, pre=norm), sublayer("mlp", glu(config), pre=feed))
    return causal_lm(config, repeated(Block("block", parts), config.size("num_hidden_layers")), norm)
