"""Pix2Struct: an encoder of patches, and its text decoder."""

from .pix2struct_text_model import TEXT as DECODER

SEEN = "encoder.encoder.layer.{i}"
ENCODER = f"""
encoder.embeddings.patch_projection.weight <- patch.w
encoder.embeddings.patch_projection.bias <- patch.b
encoder.embeddings.row_embedder.weight <- row.w
encoder.embeddings.column_embedder.weight <- column.w
{SEEN}.attention.query.weight <- attention.wq | encoder
{SEEN}.attention.key.weight <- attention.wk | encoder
{SEEN}.attention.value.weight <- attention.wv | encoder
{SEEN}.attention.output.weight <- attention.wo | encoder
{SEEN}.mlp.wi_0.weight <- mlp.wg | encoder
{SEEN}.mlp.wi_1.weight <- mlp.wu | encoder
{SEEN}.mlp.wo.weight <- mlp.wd | encoder
{SEEN}.pre_attention_layer_norm.weight <- attention.pre_norm.w | encoder
{SEEN}.pre_mlp_layer_norm.weight <- mlp.pre_norm.w | encoder
encoder.layernorm.weight <- norm.w | encoder
"""
PREFIX = ""
TEXT = ENCODER + DECODER
