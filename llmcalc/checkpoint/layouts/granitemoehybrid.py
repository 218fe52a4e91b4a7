"""Granite 4: Granite's mixtures of experts with Mamba-2 layers; without experts the shared layer is alone."""

from .granitemoe import TEXT as GRANITE
from .mamba2 import MIXER

PREFIX = "model."

TEXT = (
    GRANITE
    + MIXER.replace("{p}", "model.layers.{i}.mamba")
    + """
model.layers.{i}.shared_mlp.input_linear.weight <- mlp.wg mlp.wu
model.layers.{i}.shared_mlp.output_linear.weight <- mlp.wd
"""
)
