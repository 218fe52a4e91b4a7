"""BERT's attention for kinds of other names."""

ATTENTION = """
{m}.encoder.layer.{i}.attention.self.query.weight <- {kind}.wq
{m}.encoder.layer.{i}.attention.self.query.bias <- {kind}.bq
{m}.encoder.layer.{i}.attention.self.key.weight <- {kind}.wk
{m}.encoder.layer.{i}.attention.self.key.bias <- {kind}.bk
{m}.encoder.layer.{i}.attention.self.value.weight <- {kind}.wv
{m}.encoder.layer.{i}.attention.self.value.bias <- {kind}.bv
{m}.encoder.layer.{i}.attention.output.dense.weight <- {kind}.wo
{m}.encoder.layer.{i}.attention.output.dense.bias <- {kind}.bo
{m}.encoder.layer.{i}.attention.output.LayerNorm.weight <- {kind}.norm.w
{m}.encoder.layer.{i}.attention.output.LayerNorm.bias <- {kind}.norm.b
"""


def attention(kind: str) -> str:
    """The lines of an attention of this kind."""
    return ATTENTION.replace("{kind}", kind)


TEXT = attention("attention")
