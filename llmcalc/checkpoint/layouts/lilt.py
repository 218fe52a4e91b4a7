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
{LAYER}.attention.self.layout_query.weight <- lilt_attention.wql
{LAYER}.attention.self.layout_query.bias <- lilt_attention.bql
{LAYER}.attention.self.layout_key.weight <- lilt_attention.wkl
{LAYER}.attention.self.layout_key.bias <- lilt_attention.bkl
{LAYER}.attention.self.layout_value.weight <- lilt_attention.wvl
{LAYER}.attention.self.layout_value.bias <- lilt_attention.bvl
{LAYER}.attention.layout_output.dense.weight <- lilt_attention.wol
{LAYER}.attention.layout_output.dense.bias <- lilt_attention.bol
{LAYER}.attention.layout_output.LayerNorm.weight <- lilt_attention.norm
{LAYER}.attention.layout_output.LayerNorm.bias <- lilt_attention.norm_b
{LAYER}.layout_intermediate.dense.weight <- lilt_attention.wu
{LAYER}.layout_intermediate.dense.bias <- lilt_attention.bu
{LAYER}.layout_output.dense.weight <- lilt_attention.wd
{LAYER}.layout_output.dense.bias <- lilt_attention.bd
{LAYER}.layout_output.LayerNorm.weight <- lilt_attention.mlp_norm
{LAYER}.layout_output.LayerNorm.bias <- lilt_attention.mlp_norm_b
"""
PREFIX = "lilt."
TEXT = (ENCODER.replace("<- attention.", "<- lilt_attention.") + PLACES).replace("{m}.", PREFIX)
