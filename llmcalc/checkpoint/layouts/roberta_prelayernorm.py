"""RoBERTa with its norms before the sub-layers."""

from .bert import ENCODER
from .roberta import HEAD

NORMS = """
{m}.encoder.layer.{i}.attention.LayerNorm.weight <- attention.pre_norm.w
{m}.encoder.layer.{i}.attention.LayerNorm.bias <- attention.pre_norm.b
{m}.encoder.layer.{i}.crossattention.LayerNorm.weight <- cross_attention.pre_norm.w
{m}.encoder.layer.{i}.crossattention.LayerNorm.bias <- cross_attention.pre_norm.b
{m}.encoder.layer.{i}.intermediate.LayerNorm.weight <- mlp.pre_norm.w
{m}.encoder.layer.{i}.intermediate.LayerNorm.bias <- mlp.pre_norm.b
{m}.LayerNorm.weight <- final_norm.w
{m}.LayerNorm.bias <- final_norm.b
"""
PREFIX = "roberta_prelayernorm."
TEXT = (ENCODER + NORMS).replace("{m}.", PREFIX) + HEAD
