"""CANINE: three encoders of BERT's blocks, each under a name of its own, and convolutions between them."""

from .bert import ENCODER

PREFIX = "canine."
_LAYER = "{m}.encoder.layer.{i}."
_BLOCKS = "\n".join(
    line.replace(_LAYER, "{m}.{block}.") for line in ENCODER.splitlines() if _LAYER in line and "cross" not in line
)
OUTER = """
{m}.char_embeddings.HashBucketCodepointEmbedder_{x}.weight <- token.w
{m}.char_embeddings.char_position_embeddings.weight <- position.w
{m}.char_embeddings.token_type_embeddings.weight <- segment.w
{m}.char_embeddings.LayerNorm.weight <- norm.w
{m}.char_embeddings.LayerNorm.bias <- norm.b
{m}.chars_to_molecules.conv.weight <- down/character_pooling.w
{m}.chars_to_molecules.conv.bias <- down/character_pooling.b
{m}.chars_to_molecules.LayerNorm.weight <- down/character_pooling.norm
{m}.chars_to_molecules.LayerNorm.bias <- down/character_pooling.norm_b
{m}.projection.conv.weight <- up/character_pooling.w
{m}.projection.conv.bias <- up/character_pooling.b
{m}.projection.LayerNorm.weight <- up/character_pooling.norm
{m}.projection.LayerNorm.bias <- up/character_pooling.norm_b
{m}.pooler.dense.weight <- pooler.w
{m}.pooler.dense.bias <- pooler.b
"""
_OTHER = _BLOCKS.replace("<- attention.", "<- character_attention.")
TEXT = f"{_BLOCKS}\n{_OTHER}\n{OUTER}".replace("{m}.", PREFIX)
