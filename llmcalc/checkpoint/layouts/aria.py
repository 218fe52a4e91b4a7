"""Aria: SigLIP's tower, and queries that look at its result."""

from .clip import ENCODER, PROJECTOR

ATTENTION = f"{PROJECTOR}.cross_attn"
TEXT = (
    f"""
{PROJECTOR}.query <- queries.w
{ATTENTION}.layer_norm.weight <- query_norm.w
{ATTENTION}.layer_norm.bias <- query_norm.b
{ATTENTION}.layer_norm_kv.weight <- source_norm.w
{ATTENTION}.layer_norm_kv.bias <- source_norm.b
{ATTENTION}.q_proj.weight <- query.w
{ATTENTION}.k_proj.weight <- key.w
{ATTENTION}.v_proj.weight <- value.w
{ATTENTION}.multihead_attn.in_proj_weight <- resampler.wq resampler.wk resampler.wv
{ATTENTION}.multihead_attn.in_proj_bias <- resampler.bq resampler.bk resampler.bv
{ATTENTION}.multihead_attn.out_proj.weight <- resampler.wo
{ATTENTION}.multihead_attn.out_proj.bias <- resampler.bo
{ATTENTION}.linear.weight <- mixer.w
{ATTENTION}.linear.bias <- mixer.b
{PROJECTOR}.layer_norm.weight <- resampled_norm.w
{PROJECTOR}.layer_norm.bias <- resampled_norm.b
{PROJECTOR}.feed_forward.linear_in.weight <- projector_in.w
{PROJECTOR}.feed_forward.linear_out.weight <- projector_out.w
"""
    + ENCODER
)
