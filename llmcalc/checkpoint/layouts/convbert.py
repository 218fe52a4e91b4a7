"""ConvBERT: BERT's names with more in the attention, and ELECTRA's head."""

from .attention_of_kind import attention
from .bert import ENCODER
from .electra import HEAD, PROJECTION

SPANS = """
{m}.encoder.layer.{i}.attention.self.key_conv_attn_layer.depthwise.weight <- convbert_attention.span
{m}.encoder.layer.{i}.attention.self.key_conv_attn_layer.pointwise.weight <- convbert_attention.wspan | column
{m}.encoder.layer.{i}.attention.self.key_conv_attn_layer.bias <- convbert_attention.bspan | column
{m}.encoder.layer.{i}.attention.self.conv_kernel_layer.weight <- convbert_attention.wf
{m}.encoder.layer.{i}.attention.self.conv_kernel_layer.bias <- convbert_attention.bf
{m}.encoder.layer.{i}.attention.self.conv_out_layer.weight <- convbert_attention.wc
{m}.encoder.layer.{i}.attention.self.conv_out_layer.bias <- convbert_attention.bc
{m}.encoder.layer.{i}.intermediate.dense.weight <- grouped_mlp.up.w | transposed
{m}.encoder.layer.{i}.intermediate.dense.bias <- grouped_mlp.up.b
{m}.encoder.layer.{i}.output.dense.weight <- grouped_mlp.down.w | transposed
{m}.encoder.layer.{i}.output.dense.bias <- grouped_mlp.down.b
{m}.encoder.layer.{i}.output.LayerNorm.weight <- grouped_mlp.norm.w
{m}.encoder.layer.{i}.output.LayerNorm.bias <- grouped_mlp.norm.b
"""
PREFIX = "convbert."
TEXT = (SPANS + attention("convbert_attention") + ENCODER + PROJECTION).replace("{m}.", PREFIX) + HEAD
