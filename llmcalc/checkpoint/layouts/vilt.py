"""ViLT: BERT with its norms before the sub-layers, and patches beside its tokens."""

from .bert import ENCODER, pre_norms

PREFIX = "vilt."
_NORMS = (
    pre_norms(f"{PREFIX}encoder", "layernorm_after", "layernorm_before")
    .replace("attention.layernorm_before", "layernorm_before")
    .replace(f"{PREFIX}encoder.layernorm_after", f"{PREFIX}layernorm")
)
TABLES = """
{m}.embeddings.token_type_embeddings.weight <- modality.w
{m}.embeddings.cls_token <- class.w | row
{m}.embeddings.position_embeddings <- patch_position.w | row
{m}.embeddings.patch_embeddings.projection.weight <- patch.w
{m}.embeddings.patch_embeddings.projection.bias <- patch.b
"""
HEAD = """
mlm_score.transform.dense.weight <- transform.w
mlm_score.transform.dense.bias <- transform.b
mlm_score.transform.LayerNorm.weight <- transform_norm.w
mlm_score.transform.LayerNorm.bias <- transform_norm.b
mlm_score.decoder.weight <- head.w
mlm_score.decoder.bias <- head.b
"""
BLOCKS = ENCODER.replace("attention.self.", "attention.attention.").replace(
    "{m}.embeddings.", "{m}.embeddings.text_embeddings."
)
TEXT = _NORMS + (TABLES + BLOCKS).replace("{m}.", PREFIX) + HEAD
