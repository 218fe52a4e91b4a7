"""BERT: post-norm encoder with a transform before the language-model head."""

ENCODER = """
{m}.embeddings.word_embeddings.weight <- token.w
{m}.embeddings.position_embeddings.weight <- position.w
{m}.embeddings.token_type_embeddings.weight <- segment.w
{m}.embeddings.task_type_embeddings.weight <- task.w
{m}.embeddings.LayerNorm.weight <- norm.w
{m}.embeddings.LayerNorm.bias <- norm.b
{m}.encoder.layer.{i}.attention.self.query.weight <- attention.wq
{m}.encoder.layer.{i}.attention.self.key.weight <- attention.wk
{m}.encoder.layer.{i}.attention.self.value.weight <- attention.wv
{m}.encoder.layer.{i}.attention.output.dense.weight <- attention.wo
{m}.encoder.layer.{i}.attention.self.query.bias <- attention.bq
{m}.encoder.layer.{i}.attention.self.key.bias <- attention.bk
{m}.encoder.layer.{i}.attention.self.value.bias <- attention.bv
{m}.encoder.layer.{i}.attention.output.dense.bias <- attention.bo
{m}.encoder.layer.{i}.attention.output.LayerNorm.weight <- attention.norm.w
{m}.encoder.layer.{i}.attention.output.LayerNorm.bias <- attention.norm.b
{m}.encoder.layer.{i}.crossattention.self.query.weight <- cross_attention.wq
{m}.encoder.layer.{i}.crossattention.self.key.weight <- cross_attention.wk
{m}.encoder.layer.{i}.crossattention.self.value.weight <- cross_attention.wv
{m}.encoder.layer.{i}.crossattention.output.dense.weight <- cross_attention.wo
{m}.encoder.layer.{i}.crossattention.self.query.bias <- cross_attention.bq
{m}.encoder.layer.{i}.crossattention.self.key.bias <- cross_attention.bk
{m}.encoder.layer.{i}.crossattention.self.value.bias <- cross_attention.bv
{m}.encoder.layer.{i}.crossattention.output.dense.bias <- cross_attention.bo
{m}.encoder.layer.{i}.crossattention.output.LayerNorm.weight <- cross_attention.norm.w
{m}.encoder.layer.{i}.crossattention.output.LayerNorm.bias <- cross_attention.norm.b
{m}.encoder.layer.{i}.intermediate.dense.weight <- mlp.wu
{m}.encoder.layer.{i}.intermediate.dense.bias <- mlp.bu
{m}.encoder.layer.{i}.output.dense.weight <- mlp.wd
{m}.encoder.layer.{i}.output.dense.bias <- mlp.bd
{m}.encoder.layer.{i}.output.LayerNorm.weight <- mlp.norm.w
{m}.encoder.layer.{i}.output.LayerNorm.bias <- mlp.norm.b
{m}.pooler.dense.weight <- pooler.w
{m}.pooler.dense.bias <- pooler.b
"""
HEAD = """
cls.predictions.bias <- head.unused_b0
cls.predictions.transform.dense.weight <- transform.w
cls.predictions.transform.dense.bias <- transform.b
cls.predictions.transform.LayerNorm.weight <- transform_norm.w
cls.predictions.transform.LayerNorm.bias <- transform_norm.b
cls.predictions.decoder.weight <- head.w
cls.predictions.bias <- head.b | tied
cls.predictions.decoder.bias <- head.b | untied
cls.seq_relationship.weight <- next_sentence.w
cls.seq_relationship.bias <- next_sentence.b
"""
PREFIX = "bert."
TEXT = ENCODER.replace("{m}.", PREFIX) + HEAD


def pre_norms(stack: str, norm: str, attention_norm: str) -> str:
    """The rules of norms before the sub-layers, and of the last one, in a stack that calls them so."""
    return f"""
{stack}.layer.{{i}}.attention.{attention_norm}.weight <- attention.pre_norm.w
{stack}.layer.{{i}}.attention.{attention_norm}.bias <- attention.pre_norm.b
{stack}.layer.{{i}}.crossattention.{attention_norm}.weight <- cross_attention.pre_norm.w
{stack}.layer.{{i}}.crossattention.{attention_norm}.bias <- cross_attention.pre_norm.b
{stack}.layer.{{i}}.{norm}.weight <- mlp.pre_norm.w
{stack}.layer.{{i}}.{norm}.bias <- mlp.pre_norm.b
{stack}.{norm}.weight <- final_norm.w
{stack}.{norm}.bias <- final_norm.b
"""
