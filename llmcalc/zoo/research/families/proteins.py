"""Protein language models: ESM-1b, ESM-2 and ESM Cambrian."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named
from ....importers.hf.config import Config, Layers
from ....importers.hf.families.bert import bert_attention, encoder, skip_padding, with_head
from ....importers.hf.families.modern_encoders import _encoder, _has_head
from ....importers.hf.rules import repeat_block, sublayer
from ....layers import Embedding, Head, Ids, Linear, Mlp, Norm, Rope
from ....layers.parts.qk_norm import QkNorm

ESM_KEPT = 1 - 0.15 * 0.8  # fraction of tokens not masked in training
ESM3_LAYERS = 36  # kinds of sub-layers whose outputs are added unchanged


def esm(config: Config) -> Architecture:
    """Read an ESM-1b or ESM-2 config [rives2019, lin2022]. The contact head is stored but unused."""
    positions = config.string("position_embedding_type")
    config.ignore("is_folding_model esmfold_config vocab_list max_position_embeddings")
    stack = encoder(
        config,
        post=False,
        table_norm=config.flag("emb_layer_norm_before"),
        segments=False,
        attention=bert_attention(config, rope=Rope() if positions == "rotary" else None),
        mlp=Mlp(config.d_model, config.size("intermediate_size"), "gelu", bias=True),
        positions=positions == "absolute",
    )
    if positions == "absolute":
        stack = skip_padding(config, stack)
    if config.flag("token_dropout", True):
        (token, *rest), masked = stack.inputs, config.get("mask_token_id")
        dropped = None if masked is None else config.integer(masked, "mask_token_id", 0)
        kept = {"scale": ESM_KEPT, "ids": None if dropped is None else Ids(dropped=dropped)}
        stack = replace(stack, inputs=(Named(token.name, replace(token.layer, **kept)), *rest))  # type: ignore[type-var]
    maps = config.n_layers * config.n_heads
    stack = replace(stack, outputs=(*stack.outputs, Named("contacts", Linear(maps, 1, unused=True))))
    return with_head(config, stack, activation="gelu", spare_bias=False)


def esmc(config: Config) -> Architecture:
    """Read an ESM Cambrian config. Queries and keys are normalised over their full width, and the head is untied."""
    norm = Norm(config.d_model, "layernorm", bias=True)
    attention = config.attention(causal=False, qk_norm=QkNorm("projection", "layernorm", eps=norm.eps))
    if (attention.n_kv_heads, attention.n_heads * (attention.d_head or 0)) != (attention.n_heads, config.d_model):
        raise config.error("the widths of the query, key and value heads must each add up to hidden_size")
    mlp, depth = config.gated_mlp(bias=config.flag("mlp_bias")), (config.n_layers / ESM3_LAYERS) ** -0.5
    parts: Layers = {"attention": attention, "mlp": mlp}
    block = Block("block", tuple(sublayer(name, layer, pre=norm, scale=depth) for name, layer in parts.items()))
    outputs = [Named("final_norm", Norm(config.d_model, "layernorm"))]
    if _has_head(config):
        dense = Linear(config.d_model, config.d_model, activation="gelu", positions="logits")
        head = Named("head", Head(config.vocab, config.d_model, bias=True))
        outputs += [Named("transform", dense), Named("transform_norm", norm), head]
    token = Named("token", Embedding(config.vocab, config.d_model))
    return _encoder(config, (token,), repeat_block(block, config.n_layers), outputs)
