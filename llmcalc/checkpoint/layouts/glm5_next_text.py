"""GLM-5.3: KDA and latent attention under one name, streams, an indexer of groups of tokens."""

from .hy_v4 import TEXT as STREAMED
from .kimi_linear import KDA, LOW_RANK

PREFIX = "model."
INDEXER = """
model.layers.{i}.self_attn.indexer.index_kpool_compress_ape <- mla.indexer.places
model.layers.{i}.self_attn.indexer.index_kpool_compress_gate <- mla.indexer.gate
"""
TEXT = (
    STREAMED + INDEXER + (KDA + LOW_RANK.replace(" | row row column", "")).replace("{p}", "model.layers.{i}.self_attn")
)
