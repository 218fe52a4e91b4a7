"""MobileBERT: BERT with bottlenecks and several feed-forward layers in a block."""

from .bert import ENCODER, HEAD

BLOCKS = """
{m}.embeddings.embedding_transformation.weight <- join.w
{m}.embeddings.embedding_transformation.bias <- join.b
{m}.encoder.layer.{i}.bottleneck.input.dense.weight <- bottleneck_input/linear.w
{m}.encoder.layer.{i}.bottleneck.input.dense.bias <- bottleneck_input/linear.b
{m}.encoder.layer.{i}.bottleneck.input.LayerNorm.weight <- bottleneck_input/post_norm.w
{m}.encoder.layer.{i}.bottleneck.input.LayerNorm.bias <- bottleneck_input/post_norm.b
{m}.encoder.layer.{i}.bottleneck.attention.dense.weight <- bottleneck_attention/linear.w
{m}.encoder.layer.{i}.bottleneck.attention.dense.bias <- bottleneck_attention/linear.b
{m}.encoder.layer.{i}.bottleneck.attention.LayerNorm.weight <- bottleneck_attention/post_norm.w
{m}.encoder.layer.{i}.bottleneck.attention.LayerNorm.bias <- bottleneck_attention/post_norm.b
{m}.encoder.layer.{i}.ffn.{t}.intermediate.dense.weight <- ffn/mlp.wu
{m}.encoder.layer.{i}.ffn.{t}.intermediate.dense.bias <- ffn/mlp.bu
{m}.encoder.layer.{i}.ffn.{t}.output.dense.weight <- ffn/mlp.wd
{m}.encoder.layer.{i}.ffn.{t}.output.dense.bias <- ffn/mlp.bd
{m}.encoder.layer.{i}.ffn.{t}.output.LayerNorm.weight <- ffn/norm.w
{m}.encoder.layer.{i}.ffn.{t}.output.LayerNorm.bias <- ffn/norm.b
{m}.encoder.layer.{i}.output.LayerNorm.weight <- mlp/norm.w
{m}.encoder.layer.{i}.output.LayerNorm.bias <- mlp/norm.b
{m}.encoder.layer.{i}.output.bottleneck.dense.weight <- bottleneck_output/linear.w
{m}.encoder.layer.{i}.output.bottleneck.dense.bias <- bottleneck_output/linear.b
{m}.encoder.layer.{i}.output.bottleneck.LayerNorm.weight <- bottleneck_output/norm.w
{m}.encoder.layer.{i}.output.bottleneck.LayerNorm.bias <- bottleneck_output/norm.b
cls.predictions.dense.weight <- head.rest | transposed
"""
NORMS = "".join(line + "\n" for line in (BLOCKS + ENCODER).splitlines() if "norm." in line and "{i}" in line)
AFFINE = (
    NORMS.replace("attention.norm.", "attention/affine.")
    .replace("/post_norm.", "/affine.")
    .replace("/norm.", "/affine.")
)
PREFIX = "mobilebert."
TEXT = (BLOCKS + ENCODER + AFFINE).replace("{m}.", PREFIX) + HEAD
