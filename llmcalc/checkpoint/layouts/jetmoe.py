"""JetMoE: experts in attention and feed-forward layers, each kind in two tensors."""

from .llama import NORMS, OUTER

ATTENTION, FEED = "model.layers.{i}.self_attention", "model.layers.{i}.mlp"
TEXT = (
    OUTER
    + NORMS
    + f"""
{ATTENTION}.experts.router.layer.weight <- routed_attention.router
{ATTENTION}.experts.input_linear.weight <- routed_attention.wq
{ATTENTION}.experts.output_linear.weight <- routed_attention.wo
{ATTENTION}.experts.bias <- routed_attention.bo
{ATTENTION}.kv_proj.weight <- routed_attention.wk routed_attention.wv
{FEED}.router.layer.weight <- moe.router
{FEED}.input_linear.weight <- moe.wg moe.wu
{FEED}.output_linear.weight <- moe.wd
{FEED}.bias <- moe.bo
"""
)
