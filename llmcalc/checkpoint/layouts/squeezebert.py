"""SqueezeBERT: every projection of a block as a convolution of one tap."""

from .bert import ENCODER, HEAD

BLOCKS = """
{m}.encoder.layers.{i}.attention.query.weight <- grouped_attention.q.w | folded column
{m}.encoder.layers.{i}.attention.query.bias <- grouped_attention.q.b
{m}.encoder.layers.{i}.attention.key.weight <- grouped_attention.k.w | folded column
{m}.encoder.layers.{i}.attention.key.bias <- grouped_attention.k.b
{m}.encoder.layers.{i}.attention.value.weight <- grouped_attention.v.w | folded column
{m}.encoder.layers.{i}.attention.value.bias <- grouped_attention.v.b
{m}.encoder.layers.{i}.post_attention.conv1d.weight <- grouped_attention.o.w | folded column
{m}.encoder.layers.{i}.post_attention.conv1d.bias <- grouped_attention.o.b
{m}.encoder.layers.{i}.post_attention.layernorm.weight <- grouped_attention.norm.w
{m}.encoder.layers.{i}.post_attention.layernorm.bias <- grouped_attention.norm.b
{m}.encoder.layers.{i}.intermediate.conv1d.weight <- grouped_mlp.up.w | folded column
{m}.encoder.layers.{i}.intermediate.conv1d.bias <- grouped_mlp.up.b
{m}.encoder.layers.{i}.output.conv1d.weight <- grouped_mlp.down.w | folded column
{m}.encoder.layers.{i}.output.conv1d.bias <- grouped_mlp.down.b
{m}.encoder.layers.{i}.output.layernorm.weight <- grouped_mlp.norm.w
{m}.encoder.layers.{i}.output.layernorm.bias <- grouped_mlp.norm.b
"""
PREFIX = "transformer."
TEXT = (BLOCKS + ENCODER).replace("{m}.", PREFIX) + HEAD
