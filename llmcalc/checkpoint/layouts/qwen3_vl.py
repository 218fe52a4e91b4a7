"""Qwen3-VL and Qwen3.5: the language model under ``model.language_model``, the tower under ``model.visual``."""

from .qwen3_5 import TEXT as LANGUAGE

VISUAL = "model.visual"
MERGER = """
{m}.norm.weight <- {n}_norm.w
{m}.norm.bias <- {n}_norm.b
{m}.linear_fc1.weight <- {n}_in.w
{m}.linear_fc1.bias <- {n}_in.b
{m}.linear_fc2.weight <- {n}_out.w
{m}.linear_fc2.bias <- {n}_out.b
"""
MOST_DEEPSTACK = 8
TOWER = f"""
{VISUAL}.patch_embed.proj.weight <- patch.w
{VISUAL}.patch_embed.proj.bias <- patch.b
{VISUAL}.pos_embed.weight <- position.w
{VISUAL}.blocks.{{i}}.norm1.weight <- sublayer0.pre_norm.w | tower
{VISUAL}.blocks.{{i}}.norm1.bias <- sublayer0.pre_norm.b | tower
{VISUAL}.blocks.{{i}}.norm2.weight <- sublayer1.pre_norm.w | tower
{VISUAL}.blocks.{{i}}.norm2.bias <- sublayer1.pre_norm.b | tower
{VISUAL}.blocks.{{i}}.attn.qkv.weight <- attention.wq attention.wk attention.wv | tower
{VISUAL}.blocks.{{i}}.attn.qkv.bias <- attention.bq attention.bk attention.bv | tower
{VISUAL}.blocks.{{i}}.attn.proj.weight <- attention.wo | tower
{VISUAL}.blocks.{{i}}.attn.proj.bias <- attention.bo | tower
{VISUAL}.blocks.{{i}}.mlp.linear_fc1.weight <- mlp.wu | tower
{VISUAL}.blocks.{{i}}.mlp.linear_fc1.bias <- mlp.bu | tower
{VISUAL}.blocks.{{i}}.mlp.linear_fc2.weight <- mlp.wd | tower
{VISUAL}.blocks.{{i}}.mlp.linear_fc2.bias <- mlp.bd | tower
"""
MERGERS = MERGER.replace("{m}", f"{VISUAL}.merger").replace("{n}", "merger") + "".join(
    MERGER.replace("{m}", f"{VISUAL}.deepstack_merger_list.{number}").replace("{n}", f"deepstack{number}")
    for number in range(MOST_DEEPSTACK)
)
TEXT = TOWER + MERGERS + LANGUAGE.replace("model.", "model.language_model.")
