"""ProphetNet: both stacks under ``prophetnet``, the decoder's self-attention with a projection of relative positions."""

from . import bart

_NAMES = {
    "model.": "prophetnet.",
    "q_proj": "query_proj",
    "k_proj": "key_proj",
    "v_proj": "value_proj",
    "encoder_attn": "cross_attn",
    "fc1": "feed_forward.intermediate",
    "fc2": "feed_forward.output",
    "final_layer_norm": "feed_forward_layer_norm",
}
_TABLES = """
prophetnet.word_embeddings.weight <- token.w | tied
prophetnet.{side}.word_embeddings.weight <- token.w | untied
prophetnet.word_embeddings.weight <- unused.w
prophetnet.{side}.position_embeddings.weight <- position.w
prophetnet.{side}.embeddings_layer_norm.weight <- norm.w
prophetnet.{side}.embeddings_layer_norm.bias <- norm.b
prophetnet.decoder.ngram_embeddings.weight <- ngram.w
prophetnet.decoder.layers.{i}.self_attn.relative_pos_embeddings.weight <- ngram_attention.wr
prophetnet.decoder.layers.{i}.self_attn.relative_pos_embeddings.bias <- ngram_attention.br
lm_head.weight <- head.w
"""
_BLOCKS = bart.ATTENTION + bart.ATTENTION.replace("<- ", "<- ngram_") + bart.CROSS + bart.MLP + bart.NORMS
for _old, _new in _NAMES.items():
    _BLOCKS = _BLOCKS.replace(_old, _new)
PREFIX = "prophetnet."
TEXT = _TABLES + _BLOCKS
