"""MiniMax-M3: gate and up projections in one matrix everywhere, an indexer beside the attention."""

from .llama import ATTENTION, NORMS, OUTER
from .mixtral import EXPERTS

LAYER = "model.layers.{i}"
TEXT = (
    OUTER
    + NORMS
    + ATTENTION
    + EXPERTS
    + f"""
{LAYER}.mlp.gate_up_proj.weight <- mlp.wg mlp.wu
{LAYER}.mlp.down_proj.weight <- mlp.wd
{LAYER}.mlp.shared_experts.gate_up_proj.weight <- moe.shared.wg moe.shared.wu
{LAYER}.mlp.shared_experts.down_proj.weight <- moe.shared.wd
{LAYER}.self_attn.indexer.q_proj.weight <- attention.indexer.wq
{LAYER}.self_attn.indexer.k_proj.weight <- attention.indexer.wk
{LAYER}.self_attn.indexer.q_norm.weight <- attention.indexer.q_norm
{LAYER}.self_attn.indexer.k_norm.weight <- attention.indexer.k_norm
"""
)
