"""Perceiver: one layer that reads, a list of layers that think, one that writes."""

PREFIX = "perceiver."
PLACES = {
    "read": "encoder.cross_attention",
    "think": "encoder.self_attends.{t}",
    "write": "decoder.decoding_cross_attention",
}
TABLES = """
perceiver.input_preprocessor.embeddings.weight <- token.w
perceiver.input_preprocessor.position_embeddings.weight <- position.w
perceiver.embeddings.latents <- latents.w
perceiver.decoder.output_position_encodings.position_embeddings <- output_position.w
embedding_decoder.bias <- head.b
"""
LAYER = """
perceiver.{place}.attention.self.layernorm1.weight <- {kind}/latent_attention.norm
perceiver.{place}.attention.self.layernorm1.bias <- {kind}/latent_attention.norm_b
perceiver.{place}.attention.self.layernorm2.weight <- {kind}/latent_attention.source_norm
perceiver.{place}.attention.self.layernorm2.bias <- {kind}/latent_attention.source_norm_b
perceiver.{place}.attention.self.query.weight <- {kind}/latent_attention.wq
perceiver.{place}.attention.self.query.bias <- {kind}/latent_attention.bq
perceiver.{place}.attention.self.key.weight <- {kind}/latent_attention.wk
perceiver.{place}.attention.self.key.bias <- {kind}/latent_attention.bk
perceiver.{place}.attention.self.value.weight <- {kind}/latent_attention.wv
perceiver.{place}.attention.self.value.bias <- {kind}/latent_attention.bv
perceiver.{place}.attention.output.dense.weight <- {kind}/latent_attention.wo
perceiver.{place}.attention.output.dense.bias <- {kind}/latent_attention.bo
perceiver.{place}.layernorm.weight <- {kind}_mlp/pre_norm.w
perceiver.{place}.layernorm.bias <- {kind}_mlp/pre_norm.b
perceiver.{place}.mlp.dense1.weight <- {kind}_mlp/mlp.wu
perceiver.{place}.mlp.dense1.bias <- {kind}_mlp/mlp.bu
perceiver.{place}.mlp.dense2.weight <- {kind}_mlp/mlp.wd
perceiver.{place}.mlp.dense2.bias <- {kind}_mlp/mlp.bd
"""
LAYERS = (LAYER.replace("{kind}", kind).replace("{place}", place) for kind, place in PLACES.items())
TEXT = TABLES + "".join(LAYERS)
