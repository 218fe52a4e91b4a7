"""MarkupLM: BERT's encoder with tables of paths."""

from .bert import ENCODER

PREFIX = "markuplm."
PATHS = """
{m}.embeddings.xpath_embeddings.xpath_tag_sub_embeddings.{x}.weight <- path.tags
{m}.embeddings.xpath_embeddings.xpath_subs_sub_embeddings.{x}.weight <- path.numbers
{m}.embeddings.xpath_embeddings.xpath_unitseq2_inner.weight <- path.w1
{m}.embeddings.xpath_embeddings.xpath_unitseq2_inner.bias <- path.b1
{m}.embeddings.xpath_embeddings.inner2emb.weight <- path.w2
{m}.embeddings.xpath_embeddings.inner2emb.bias <- path.b2
{m}.embeddings.xpath_embeddings.xpath_unitseq2_embeddings.weight <- idle_path.w
{m}.embeddings.xpath_embeddings.xpath_unitseq2_embeddings.bias <- idle_path.b
"""
TEXT = (ENCODER + PATHS).replace("{m}.", PREFIX)
