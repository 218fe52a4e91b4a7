"""XLNet, XLM and FlauBERT."""

from __future__ import annotations

from ....core.architecture import Architecture, Block, Named, Stack
from ....core.errors import DescriptionError, shown
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.mlp import Mlp
from ....zoo.research.layers.relative_attention import RelativeAttention
from ..config import Config
from ..rules import layernorm, repeat_block
from .bert import finish, normed, shared_table, tied_head
from .gpt import BIASED

SEGMENT_PAIRS = 2  # within one segment, or between two


def xlnet(config: Config) -> Architecture:
    """XLNet [yang2019] with one stream, as it predicts; its vector for masked tokens rests."""
    width, vocab, heads = config.size("d_model"), config.size("vocab_size"), config.size("n_head")
    if (config.optional_size("d_head") or width // heads) * heads != width:
        raise DescriptionError("d_head times n_head is not d_model", where=config.where)
    kind = config.string("attn_type")
    if kind not in ("bi", "uni"):
        raise DescriptionError(f"attn_type is {shown(kind)}; it is bi or uni", where=config.where)
    config.ignore("bi_data same_length reuse_len use_mems_eval use_mems_train untie_r start_n_top end_n_top")
    config.ignore("summary_last_dropout")
    memory = config.count("mem_len") or None
    attention = RelativeAttention(width, heads, kind == "uni", memory, SEGMENT_PAIRS, _clamped(config))
    mlp = Mlp(width, config.size("d_inner"), config.activation("ff_activation"), bias=True)
    norm = layernorm(config, width)
    parts = (normed("attention", attention, norm, True), normed("mlp", mlp, norm, True))
    token = Named("token", Embedding(vocab, width, share=shared_table(config)))
    masked = Named("masked", Embedding(1, width, table="other", unused=True))
    runs = repeat_block(Block("block", parts), config.size("n_layer"))
    return _headed(config, Stack("decoder", width, (token, masked), runs, ()))


def _clamped(config: Config) -> int | None:
    """Where distances end; nothing or a number that is not positive: nowhere."""
    bound = config.get("clamp_len")
    return bound if type(bound) is int and bound > 0 else None


def xlm(config: Config) -> Architecture:
    """XLM [lample2019] and FlauBERT [le2019], which may put its norms before the sub-layers."""
    adaptive = config.flag("asm") and config.head_kind() != "none"
    if adaptive or not config.flag("is_encoder", True):
        raise DescriptionError("an adaptive softmax (asm) and a decoder (is_encoder) are not read", where=config.where)
    config.ignore("sinusoidal_embeddings embed_init_std unk_index mask_index bos_index eos_index pad_index lang_id")
    config.ignore("mask_token_id start_n_top end_n_top lang2id id2lang asm_cutoffs asm_div_value max_vocab min_count")
    width, vocab = config.size("emb_dim"), config.size("vocab_size")
    norm = layernorm(config, width)
    attention = Attention(width, config.size("n_heads"), causal=config.flag("causal"), **BIASED)
    mlp = Mlp(width, 4 * width, "gelu" if config.flag("gelu_activation") else "relu", bias=True)
    post = not config.flag("pre_norm")
    parts = (normed("attention", attention, norm, post), normed("mlp", mlp, norm, post))
    inputs = [
        Named("token", Embedding(vocab, width, share=shared_table(config))),
        Named("position", Embedding(config.size("max_position_embeddings"), width, table="position")),
    ]
    languages = config.size("n_langs")
    if config.flag("use_lang_emb") and languages > 1:
        inputs.append(Named("language", Embedding(languages, width, table="other")))
    runs = repeat_block(Block("block", parts), config.size("n_layers"))
    stack = Stack("encoder", width, (*inputs, Named("norm", norm)), runs, (), "encoder")
    return _headed(config, stack)


def _headed(config: Config, stack: Stack) -> Architecture:
    kind = config.head_kind() or "causal"
    if kind == "none":
        return finish(config, stack, [])
    if kind != "causal":
        raise DescriptionError(f"a head of kind {shown(kind)} is not understood", where=config.where)
    return finish(config, stack, [Named("head", tied_head(config, stack.d_model, spare_bias=False))])
