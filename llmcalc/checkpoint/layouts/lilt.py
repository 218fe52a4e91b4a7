"""LiLT: RoBERTa beside a stream of places."""

from .bert import ENCODER

LAYER = "{m}.encoder.layer.{i}"
PLACES = f"""
{{m}}.layout_embeddings.x_position_embeddings.weight <- box.across
{{m}}.layout_embeddings.y_position_embeddings.weight <- box.down
{{m}}.layout_embeddings.h_position_embeddings.weight <- box.heights
{{m}}.layout_embeddings.w_position_embeddings.weight <- box.widths
{{m}}.layout_embeddings.box_position_embeddings.weight <- box.positions
{{m}}.layout_embeddings.box_linear_embeddings.weight <- box.w
{{m}}.layout_embeddings.box_linear_embeddings.bias <- box.b
{{m}}.layout_embeddings.LayerNorm.weight <- box.norm
{{m}}.layout_embeddings.LayerNorm.bias <- box.norm_b
{LAYER}.attention.self.layout_query.weight <- complementary_attention.wql
{LAYER}.attention.self.layout_query.bias <- complementary_attention.bql
{LAYER}.attention.self.layout_key.weight <- complementary_attention.wkl
{LAYER}.attention.self.layout_key.bias <- complementary_attention.bkl
{LAYER}.attention.self.layout_value.weight <- complementary_attention.wvl
{LAYER}.attention.self.layout_value.bias <- complementary_attention.bvl
{LAYER}.attention.layout_output.dense.weight <- complementary_attention.wol
{LAYER}.attention.layout_output.dense.bias <- complementary_attention.bol
{LAYER}.attention.layout_output.LayerNorm.weight <- complementary_attention.norm
{LAYER}.attention.layout_output.LayerNorm.bias <- complementary_attention.norm_b
{LAYER}.layout_intermediate.dense.weight <- complementary_attention.wu
{LAYER}.layout_intermediate.dense.bias <- complementary_attention.bu
{LAYER}.layout_output.dense.weight <- complementary_attention.wd
{LAYER}.layout_output.dense.bias <- complementary_attention.bd
{LAYER}.layout_output.LayerNorm.weight <- complementary_attention.mlp_norm
{LAYER}.layout_output.LayerNorm.bias <- complementary_attention.mlp_norm_b
"""
PREFIX = "lilt."
TEXT = (ENCODER.replace("<- attention.", "<- complementary_attention.") + PLACES).replace("{m}.", PREFIX)
