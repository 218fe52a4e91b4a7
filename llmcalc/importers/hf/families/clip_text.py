"""Text towers of models that compare texts with images: CLIP's and SigLIP's."""

from __future__ import annotations

from ....core.architecture import Architecture, Named, Stack
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ..config import Config
from ..rules import layernorm, prenorm_block, repeated
from .bert import bert_mlp
from .gpt import BIASED


def clip(config: Config) -> Architecture:
    """CLIP's: causal; a projection of one token where the class has it."""
    out = config.size("projection_dim", config.size("hidden_size"))
    return _text_tower(
        config, causal=True, head=("projection", Linear(config.size("hidden_size"), out, False, positions="one"))
    )


def siglip(config: Config) -> Architecture:
    """SigLIP's: all tokens see each other; a head on the last one."""
    width = config.size("hidden_size")
    out = config.optional_size("projection_size") or width
    return _text_tower(config, causal=False, head=("head", Linear(width, out, positions="one")), always=True)


def _text_tower(config: Config, *, causal: bool, head: tuple[str, Linear], always: bool = False) -> Architecture:
    width, projected = config.size("hidden_size"), config.head() == "projection"
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
    stack = Stack(role, width, inputs, repeated(block, config.size("num_hidden_layers")), tuple(outputs), role)
    return Architecture(config.model_type, (stack,))
