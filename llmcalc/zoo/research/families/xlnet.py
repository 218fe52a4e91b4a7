"""XLNet models with relative positions."""

from __future__ import annotations

from ....core.architecture import Architecture, Block, Named, Stack
from ....importers.hf.config import Config
from ....importers.hf.families.bert import embedding_share, norm_sublayer
from ....importers.hf.families.bert_variants import with_causal_head
from ....importers.hf.rules import repeat_block
from ....layers import Embedding, Mlp
from ..layers.relative_attention import RelativeAttention

SEGMENT_PAIRS = 2  # same segment or different segments


def xlnet(config: Config) -> Architecture:
    """Read an XLNet config [yang2019]. Only the content stream runs, and the vector for masked tokens is unused."""
    width, vocab, heads = config.size("d_model"), config.vocab, config.size("n_head")
    if (config.optional_size("d_head") or width // heads) * heads != width:
        raise config.error("d_head · n_head must equal d_model")
    kind = config.string("attn_type")
    if kind not in ("bi", "uni"):
        raise config.invalid("attn_type", "bi or uni", kind)
    config.ignore("bi_data same_length reuse_len use_mems_eval use_mems_train untie_r start_n_top end_n_top")
    config.ignore("summary_last_dropout")
    memory = config.count("mem_len") or None
    bound = config.get("clamp_len")
    attention = RelativeAttention(
        width, heads, kind == "uni", memory, SEGMENT_PAIRS, (bound if type(bound) is int and bound > 0 else None)
    )
    mlp = Mlp(width, config.size("d_inner"), config.activation("ff_activation"), bias=True)
    norm = config.layernorm(width=width)
    parts = (norm_sublayer("attention", attention, norm, True), norm_sublayer("mlp", mlp, norm, True))
    token = Named("token", Embedding(vocab, width, share=embedding_share(config)))
    masked = Named("masked", Embedding(1, width, table="other", unused=True))
    runs = repeat_block(Block("block", parts), config.size("n_layer"))
    return with_causal_head(config, Stack("decoder", width, (token, masked), runs, ()))
