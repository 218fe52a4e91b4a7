"""Reformer models with reversible layers, chunked or hashed attention, and axial positions."""

from __future__ import annotations

from math import lcm

from ....core.architecture import Architecture, Block, Named, Stack
from ....core.errors import short_repr
from ....importers.hf.config import Config
from ....importers.hf.rules import group_runs, sublayer
from ....layers import Embedding, Head, Mlp, Padding
from ..layers.axial_embedding import AxialEmbedding
from ..layers.chunked_attention import ChunkedAttention

STREAMS = 2  # number of streams of the reversible residual, which the last norm and the head both use
KINDS = ("local", "lsh")
AXES = 2  # factors of the position table


def reformer(config: Config) -> Architecture:
    """Read a Reformer config [kitaev2020]. The untied head stores an unused second bias."""
    kind, width, vocab = config.head_kind() or "causal", config.d_model, config.vocab
    config.ignore(
        "num_hidden_layers tie_word_embeddings is_encoder_decoder axial_norm_std chunk_size_lm_head hash_seed"
    )
    config.ignore("local_attention_probs_dropout_prob lsh_attention_probs_dropout_prob")
    causal = config.flag("is_decoder")
    if kind not in ("causal", "mlm", "none") or (kind == "causal") > causal:
        raise config.error(f"a {short_repr(kind)} head requires is_decoder: {not causal}")
    order = config.strings("attn_layers") or []
    if not order or not set(order) <= set(KINDS):
        raise config.invalid("attn_layers", "a list of local and lsh", order)
    blocks = {name: _block(config, name, order, causal) for name in dict.fromkeys(order)}
    inputs = (Named("token", Embedding(vocab, width)), *_positions(config, width))
    wide = STREAMS * width
    outputs = [Named("norm", config.layernorm(width=wide))]
    if kind != "none":
        outputs.append(Named("head", Head(vocab, wide, bias=True, unused_biases=1)))
    role = "decoder" if causal else "encoder"
    runs = group_runs(blocks[name] for name in order)
    return Architecture(config.model_type, (Stack(role, width, inputs, runs, tuple(outputs), role, reversible=True),))


def _positions(config: Config, width: int) -> list[Named]:
    rows = config.size("max_position_embeddings")
    config.ignore("axial_pos_shape axial_pos_embds_dim")
    if not config.flag("axial_pos_embds"):
        return [Named("position", Embedding(rows, width, table="position"))]
    shape, widths = config.layer_indices("axial_pos_shape"), config.layer_indices("axial_pos_embds_dim")
    if len(shape) != len(widths) or len(shape) != AXES or sum(widths) != width:
        raise config.size_error(
            "axial positions must have two factors, and the factor widths must add up to the model width"
        )
    return [Named("axial", AxialEmbedding(*shape, *widths))]


def _block(config: Config, name: str, order: list[str], causal: bool) -> Block:
    width, norm = config.d_model, config.layernorm()
    chunks = {kind: config.size(f"{kind}_attn_chunk_length") for kind in KINDS if kind in order}
    config.ignore("local_attn_chunk_length lsh_attn_chunk_length num_hashes num_buckets")
    config.ignore(" ".join(f"{kind}_num_chunks_{side}" for kind in KINDS for side in ("before", "after")))
    whole, least = lcm(*chunks.values()), min(chunks.values())
    rotations, factors = _rotations(config)
    attention = config.layer(
        ChunkedAttention,
        "n_heads=num_attention_heads d_head=attention_head_size n_hashes=num_hashes",
        chunk=chunks[name],
        before=config.count(f"{name}_num_chunks_before"),
        after=config.count(f"{name}_num_chunks_after"),
        hashed=name == "lsh",
        n_rotations=rotations,
        padded_to=whole,
        padded_above=least,
        causal=causal,
        factors=factors,
    )
    activation = config.activation()
    padding = Padding(whole, least)
    mlp = Mlp(width, config.size("feed_forward_size"), activation, bias=True, padding=padding)
    return Block(name, (sublayer(name, attention, pre=norm), sublayer("mlp", mlp, pre=norm)))


def _rotations(config: Config) -> tuple[int | None, str]:
    """Return the number of random projections per hash and the factors of the bucket count."""
    buckets = config.get("num_buckets")
    if buckets is None:
        return None, ""
    factors = buckets if isinstance(buckets, list) else [buckets]
    if not all(type(factor) is int and factor > 0 and factor % 2 == 0 for factor in factors):
        raise config.size_error("num_buckets must be an even integer or a list of even integers")
    return int(sum(factors)) // 2, " ".join(map(str, factors)) if len(factors) > 1 else ""
