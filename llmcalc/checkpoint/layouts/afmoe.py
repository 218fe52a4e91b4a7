"""Trinity: four norms a layer, gated attention, a correction bias beside the router."""

from .deepseek_v3 import SHARED
from .llama import ATTENTION, MLP, OUTER
from .mixtral import EXPERTS

TEXT = (
    OUTER
    + ATTENTION
    + MLP
    + EXPERTS.replace("mlp.gate.weight", "mlp.router.gate.weight").replace(
        "mlp.gate.e_score_correction_bias", "mlp.expert_bias"
    )
    + SHARED
    + """
model.layers.{i}.self_attn.gate_proj.weight <- attention.wgate
model.layers.{i}.input_layernorm.weight <- sublayer0.pre_norm.w
model.layers.{i}.post_attention_layernorm.weight <- sublayer0.post_norm.w
model.layers.{i}.pre_mlp_layernorm.weight <- sublayer1.pre_norm.w
model.layers.{i}.post_mlp_layernorm.weight <- sublayer1.post_norm.w
"""
)
