"""Switch Transformers: T5's names, each expert stored on its own."""

from .t5 import ATTENTION

TEXT = (
    ATTENTION
    + """
shared.weight <- token.w | tied
{side}.embed_tokens.weight <- token.w | untied
shared.weight <- unused.w
lm_head.weight <- head.w
{side}.block.{i}.layer.{s}.mlp.wi.weight <- mlp.wu
{side}.block.{i}.layer.{s}.mlp.wo.weight <- mlp.wd
{side}.block.{i}.layer.{s}.mlp.router.classifier.weight <- moe.router
{side}.block.{i}.layer.{s}.mlp.router.classifier.bias <- moe.router_b
{side}.block.{i}.layer.{s}.mlp.experts.expert_{x}.wi.weight <- moe.wu
{side}.block.{i}.layer.{s}.mlp.experts.expert_{x}.wo.weight <- moe.wd
"""
)
