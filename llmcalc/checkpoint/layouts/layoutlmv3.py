"""LayoutLMv3: BERT with tables of places and of biases, and what makes tokens of patches."""

from .bert import ENCODER

PAGE = """
{m}.embeddings.x_position_embeddings.weight <- box.across
{m}.embeddings.y_position_embeddings.weight <- box.down
{m}.embeddings.h_position_embeddings.weight <- box.heights
{m}.embeddings.w_position_embeddings.weight <- box.widths
{m}.encoder.rel_pos_bias.weight <- layoutlm_attention.distance_bias
{m}.encoder.rel_pos_x_bias.weight <- layoutlm_attention.across_bias
{m}.encoder.rel_pos_y_bias.weight <- layoutlm_attention.down_bias
"""
IMAGE = """
{m}.encoder.rel_pos_x_bias.weight <- idle_across.w
{m}.encoder.rel_pos_y_bias.weight <- idle_down.w
{m}.cls_token <- class.w | row
{m}.pos_embed <- patch_position.w | row
{m}.patch_embed.proj.weight <- patch.w
{m}.patch_embed.proj.bias <- patch.b
{m}.norm.weight <- patch_norm.w
{m}.norm.bias <- patch_norm.b
{m}.LayerNorm.weight <- joint_norm.w
{m}.LayerNorm.bias <- joint_norm.b
"""
BLOCKS = ENCODER.replace("<- attention.", "<- layoutlm_attention.")
PREFIX = "layoutlmv3."
TEXT = (BLOCKS + PAGE + IMAGE).replace("{m}.", PREFIX)
