"""X-MOD: RoBERTa with an adapter for each language."""

from .bert import ENCODER
from .roberta import HEAD, PREFIX

ADAPTERS = """
{m}.encoder.layer.{i}.output.adapter_modules.{n}.dense1.weight <- adapter/mlp.wu
{m}.encoder.layer.{i}.output.adapter_modules.{n}.dense1.bias <- adapter/mlp.bu
{m}.encoder.layer.{i}.output.adapter_modules.{n}.dense2.weight <- adapter/mlp.wd
{m}.encoder.layer.{i}.output.adapter_modules.{n}.dense2.bias <- adapter/mlp.bd
{m}.encoder.layer.{i}.output.adapter_layer_norm.weight <- adapter/pre_norm.w
{m}.encoder.layer.{i}.output.adapter_layer_norm.bias <- adapter/pre_norm.b
{m}.encoder.layer.{i}.output.LayerNorm.weight <- adapter/norm.w
{m}.encoder.layer.{i}.output.LayerNorm.bias <- adapter/norm.b
{m}.encoder.layer.{i}.output.LayerNorm.weight <- mlp/pre_norm.w
{m}.encoder.layer.{i}.output.LayerNorm.bias <- mlp/pre_norm.b
{m}.encoder.layer.{i}.attention.output.LayerNorm.weight <- attention.pre_norm.w
{m}.encoder.layer.{i}.attention.output.LayerNorm.bias <- attention.pre_norm.b
{m}.encoder.layer.{i}.crossattention.output.LayerNorm.weight <- cross_attention.pre_norm.w
{m}.encoder.layer.{i}.crossattention.output.LayerNorm.bias <- cross_attention.pre_norm.b
{m}.encoder.LayerNorm.weight <- final_norm.w
{m}.encoder.LayerNorm.bias <- final_norm.b
"""
TEXT = (ADAPTERS + ENCODER).replace("{m}.", PREFIX) + HEAD
__all__ = ["PREFIX", "TEXT"]
