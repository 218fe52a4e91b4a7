"""MPT."""

PREFIX = "transformer."
TEXT = """
transformer.wte.weight <- token.w
transformer.blocks.{i}.norm_1.weight <- sublayer0.pre_norm.w
transformer.blocks.{i}.norm_2.weight <- sublayer1.pre_norm.w
transformer.blocks.{i}.attn.Wqkv.weight <- attention.wq attention.wk attention.wv
transformer.blocks.{i}.attn.out_proj.weight <- attention.wo
transformer.blocks.{i}.ffn.up_proj.weight <- mlp.wu
transformer.blocks.{i}.ffn.down_proj.weight <- mlp.wd
transformer.norm_f.weight <- norm.w
lm_head.weight <- head.w
"""
