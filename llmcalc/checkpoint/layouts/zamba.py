"""Zamba: Mamba layers, and shared transformer layers stored at their first place."""

from .llama import ATTENTION, OUTER
from .mamba import MIXER

PREFIX = "model."

SHARED = (
    OUTER.replace("model.norm", "model.final_layernorm")
    + ATTENTION.replace("{i}.", "{i}.{shared}.")
    + """
model.layers.{i}.{shared}.input_layernorm.weight <- shared_attention/pre_norm.w
model.layers.{i}.{shared}.pre_ff_layernorm.weight <- shared_mlp/pre_norm.w
model.layers.{i}.linear.weight <- linear.w
model.layers.{i}.mamba_decoder.input_layernorm.weight <- decoder/pre_norm.w
model.layers.{i}.input_layernorm.weight <- mamba/pre_norm.w
"""
)


def behind_shared(mixer: str, kind: str) -> str:
    """The names of a Mamba mixer in plain layers, and behind a shared one, where its sub-layer is called decoder."""
    plain = mixer.replace("{p}", "model.layers.{i}.mamba")
    inner = mixer.replace("{p}", "model.layers.{i}.mamba_decoder.mamba")
    pairs = (line.partition("<-") for line in inner.strip().splitlines())
    return plain + "".join(f"{name}<-{of.replace(f' {kind}.', f' decoder/{kind}.')}\n" for name, _, of in pairs)


_ALTERNATING = MIXER.replace("mamba.wz", "mamba.wz | entries").replace("mamba.bz", "mamba.bz | entries")
TEXT = (
    SHARED.replace("{shared}", "shared_transf")
    + behind_shared(_ALTERNATING, "mamba")
    .replace("x_proj.weight", "x_proj_weight")
    .replace("dt_proj.weight", "dt_proj_weight")
    .replace("dt_proj.bias", "dt_proj_bias")
    + """
model.layers.{i}.shared_transf.feed_forward.gate_proj.weight <- mlp.wg
model.layers.{i}.shared_transf.feed_forward.up_proj.weight <- mlp.wu
model.layers.{i}.shared_transf.feed_forward.down_proj.weight <- mlp.wd
"""
)
