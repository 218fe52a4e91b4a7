"""Hunyuan-Large: norms named query and key, a shared MLP."""

from .deepseek_v3 import SHARED
from .llama import ATTENTION, NORMS, OUTER
from .mixtral import EXPERTS

TEXT = (
    OUTER
    + NORMS
    + ATTENTION.replace("q_norm.weight", "query_layernorm.weight").replace("k_norm.weight", "key_layernorm.weight")
    + EXPERTS.replace("mlp.gate.weight", "mlp.gate.wg.weight")
    + SHARED.replace("mlp.shared_experts", "mlp.shared_mlp")
)
