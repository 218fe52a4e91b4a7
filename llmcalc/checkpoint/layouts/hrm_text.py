"""The hierarchical reasoning model: two stacks, each under its name, and the state that the lower begins with."""

from .llama import ATTENTION, MLP, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

LAYER = (
    ATTENTION
    + MLP
    + """
model.layers.{i}.self_attn.gate_proj.weight <- attention.wgate
model.layers.{i}.self_attn.gate_proj.bias <- attention.bgate
"""
)


def _of(module: str, side: str) -> str:
    """The rules of one stack, whose sub-layers are called by its side and number."""
    named = LAYER.replace("model.layers.{i}", f"model.{module}.layers.{{t}}")
    return named.replace("<- attention.", f"<- {side}_attention/attention.").replace("<- mlp.", f"<- {side}_mlp/mlp.")


TEXT = OUTER + "model.z_L_init <- low_state.w | flat\n" + _of("L_module", "low") + _of("H_module", "high")
