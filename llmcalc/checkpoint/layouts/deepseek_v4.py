"""DeepSeek-V4: one key for all heads, summaries, grouped output, streams."""

from .deepseek_v3 import SHARED
from .hy_v4 import STREAMS
from .llama import OUTER
from .mixtral import EXPERTS

ATTENTION, SUMMARY = "model.layers.{i}.self_attn", "compressed_attention"
TEXT = (
    OUTER
    + EXPERTS
    + SHARED
    + STREAMS
    + f"""
{ATTENTION}.q_a_proj.weight <- {SUMMARY}.wqa
{ATTENTION}.q_a_norm.weight <- {SUMMARY}.q_norm
{ATTENTION}.q_b_proj.weight <- {SUMMARY}.wqb
{ATTENTION}.kv_proj.weight <- {SUMMARY}.wkv
{ATTENTION}.kv_norm.weight <- {SUMMARY}.kv_norm
{ATTENTION}.sinks <- {SUMMARY}.sinks
{ATTENTION}.o_a_proj.weight <- {SUMMARY}.woa | folded
{ATTENTION}.o_b_proj.weight <- {SUMMARY}.wob
{ATTENTION}.compressor.kv_proj.weight <- {SUMMARY}.wckv
{ATTENTION}.compressor.gate_proj.weight <- {SUMMARY}.wcgate
{ATTENTION}.compressor.position_bias <- {SUMMARY}.position_bias
{ATTENTION}.compressor.kv_norm.weight <- {SUMMARY}.c_norm
{ATTENTION}.compressor.indexer.kv_proj.weight <- {SUMMARY}.indexer.wckv
{ATTENTION}.compressor.indexer.gate_proj.weight <- {SUMMARY}.indexer.wcgate
{ATTENTION}.compressor.indexer.position_bias <- {SUMMARY}.indexer.position_bias
{ATTENTION}.compressor.indexer.kv_norm.weight <- {SUMMARY}.indexer.c_norm
{ATTENTION}.compressor.indexer.q_b_proj.weight <- {SUMMARY}.indexer.wq
{ATTENTION}.compressor.indexer.scorer.weights_proj.weight <- {SUMMARY}.indexer.ww
"""
)
