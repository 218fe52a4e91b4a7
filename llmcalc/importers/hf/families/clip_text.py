"""Text towers of models that compare texts with images: CLIP's and SigLIP's."""

from __future__ import annotations

from ....core.architecture import Architecture, Named, Stack
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ..config import Config
from ..rules import layernorm, prenorm_block, repeat_block
from .bert import bert_mlp
from .gpt import BIASED


def clip(config: Config) -> Architecture:
    """CLIP's: causal; a projection of the token that ends the text where the class has it."""
    return _clip(config, "highest" if config.count("eos_token_id") == OLD_END else "of_id")


def metaclip_2(config: Config) -> Architecture:
    """MetaCLIP 2's: CLIP's, in which the end of a text has always had its right id."""
    return _clip(config, "of_id")


OLD_END = 2  # the id in CLIP's first configs, which is wrong: the end of a text has the highest of all ids


def _clip(config: Config, pooled: str) -> Architecture:
    width, end = config.size("hidden_size"), config.count("eos_token_id") if pooled == "of_id" else 0
    out = config.size("projection_dim", width)
    head = Linear(width, out, False, positions="one", pooled=pooled, pooled_id=end)
    return _text_tower(config, causal=True, head=("projection", head))


def siglip(config: Config) -> Architecture:
    """SigLIP's: all tokens see each other; a head on the last one."""
    width = config.size("hidden_size")
    out = config.optional_size("projection_size") or width
    head = Linear(width, out, positions="one", pooled="last")
    return _text_tower(config, causal=False, head=("head", head), always=True)


def _text_tower(config: Config, *, causal: bool, head: tuple[str, Linear], always: bool = False) -> Architecture:
    width, projected = config.size("hidden_size"), config.head_kind() == "projection"
    attention = Attention(width, config.size("num_attention_heads"), causal=causal, **BIASED)
    norm = layernorm(config, width)
    block = prenorm_block("block", norm, attention=attention, mlp=bert_mlp(config))
    inputs = (
        Named("token", Embedding(config.size("vocab_size"), width)),
        Named("position", Embedding(config.size("max_position_embeddings"), width, table="position")),
    )
    outputs = [Named("final_norm", norm)]
    outputs += [Named(*head)] if always or projected else []
    config.ignore("projection_dim projection_size tie_word_embeddings")
    role = "decoder" if causal else "encoder"
    stack = Stack(role, width, inputs, repeat_block(block, config.size("num_hidden_layers")), tuple(outputs), role)
    return Architecture(config.model_type, (stack,))
