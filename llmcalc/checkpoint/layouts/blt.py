"""Byte Latent Transformer: four lists of LLaMA's layers, attention between bytes and patches, hashed n-grams."""

PREFIX = "model."
CROSS = """
model.{side}.cross_attn_layers.{i}.q_norm.weight <- patch_attention.q_norm
model.{side}.cross_attn_layers.{i}.k_norm.weight <- patch_attention.k_norm
model.{side}.cross_attn_layers.{i}.q_proj.weight <- patch_attention.wq
model.{side}.cross_attn_layers.{i}.k_proj.weight <- patch_attention.wk
model.{side}.cross_attn_layers.{i}.v_proj.weight <- patch_attention.wv
model.{side}.cross_attn_layers.{i}.o_proj.weight <- patch_attention.wo
model.local_encoder.patch_embedding_projection.weight <- patch_attention.wp
"""
LAYERS = """
model.{side}.layers.{i}.self_attn.q_proj.weight <- attention.wq
model.{side}.layers.{i}.self_attn.k_proj.weight <- attention.wk
model.{side}.layers.{i}.self_attn.v_proj.weight <- attention.wv
model.{side}.layers.{i}.self_attn.o_proj.weight <- attention.wo
model.{side}.layers.{i}.mlp.gate_proj.weight <- mlp.wg
model.{side}.layers.{i}.mlp.up_proj.weight <- mlp.wu
model.{side}.layers.{i}.mlp.down_proj.weight <- mlp.wd
model.{side}.layers.{i}.input_layernorm.weight <- attention.pre_norm.w
model.{side}.layers.{i}.post_attention_layernorm.weight <- mlp.pre_norm.w
"""
OUTER = """
model.local_encoder.embed_tokens.weight <- token.w
model.encoder_hash_tok_embedding.weight <- hashed.w
model.global_transformer.token_embedding_projection.weight <- vectors_in.w
model.local_decoder.patch_embedding_projection.weight <- vectors_out.w
model.patcher.embed_tokens.weight <- patcher_token.w
model.patcher.norm.weight <- patcher_norm.w
model.patcher.lm_head.weight <- patcher_head.w
model.local_decoder.norm.weight <- norm.w
lm_head.weight <- head.w
"""
BEHIND = "\n".join(line.replace("{i}", "0").replace("patch_attention.", "patches.") for line in CROSS.splitlines())
TEXT = LAYERS + CROSS + BEHIND + OUTER
