"""LayoutLMv2: BERT with tables of places and of biases; queries, keys and values may be one matrix."""

from .layoutlmv3 import BLOCKS, PAGE

FAST = """
{m}.encoder.layer.{i}.attention.self.qkv_linear.weight <- layoutlm_attention.wq layoutlm_attention.wk layoutlm_attention.wv
{m}.encoder.layer.{i}.attention.self.q_bias <- layoutlm_attention.bq | row row
{m}.encoder.layer.{i}.attention.self.v_bias <- layoutlm_attention.bv | row row
"""
IMAGE = """
{m}.visual_proj.weight <- image_projection.w
{m}.visual_proj.bias <- image_projection.b
{m}.visual_segment_embedding <- image_segment.w | flat
{m}.visual_LayerNorm.weight <- image_norm.w
{m}.visual_LayerNorm.bias <- image_norm.b
"""
PREFIX = "layoutlmv2."
TEXT = (FAST + BLOCKS + PAGE + IMAGE).replace("{m}.", PREFIX)
