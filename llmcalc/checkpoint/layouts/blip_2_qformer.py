"""Q-Formers: BERT's blocks with feed-forward layers of their own for queries and for a text."""

from .bert import ENCODER

PREFIX = "qformer."
_LAYER = "{m}.encoder.layer.{i}"
_BLOCKS = (
    "\n".join(line for line in ENCODER.splitlines() if _LAYER in line)
    .replace("attention.self.", "attention.attention.")
    .replace("<- mlp", "<- text_mlp/mlp")
    .replace("text_mlp/mlp.norm", "text_mlp/norm")
)
_QUERIES = "\n".join(
    line.replace(".intermediate.", ".intermediate_query.")
    .replace("}.output.", "}.output_query.")
    .replace("<- text_mlp", "<- query_mlp")
    for line in _BLOCKS.splitlines()
    if "text_mlp" in line
)
TABLES = """
{m}.embeddings.word_embeddings.weight <- token.w
{m}.embeddings.position_embeddings.weight <- position.w
{m}.embeddings.layernorm.weight <- norm.w
{m}.embeddings.layernorm.bias <- norm.b
"""
TEXT = f"{_BLOCKS}\n{_QUERIES}\n{TABLES}".replace("{m}.", PREFIX)
