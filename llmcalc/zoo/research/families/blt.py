"""Byte Latent Transformer with a patcher, byte-level encoder, patch-level transformer and byte-level decoder."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from ....core.errors import short_repr
from ....importers.hf.config import TOKENS, Config, Fields
from ....importers.hf.rules import repeat_block, sublayer
from ....layers import Embedding, Head, Linear, Mlp
from ..layers.hash_embedding import HashEmbedding
from ..layers.patch_attention import PatchAttention

PARTS = ("patcher", "local_encoder", "local_decoder", "global_transformer")
N_GRAMS = (3, 4, 5, 6, 7, 8)  # default n-gram lengths of the hash embedding
THETA, PATCHER_THETA = 500000.0, 10000.0
UNTOLD = "the class cannot use a cache; decode steps and states follow the published model"


def blt(config: Config) -> Architecture:
    """Build a Byte Latent Transformer [pagnoni2024] with the configured patch length (default: one byte)."""
    patcher, encoder, decoder, inner = (_part(config, name) for name in PARTS)
    patches, notes = _patches(config)
    bytes_in, bytes_out, wide = (part.d_model for part in (encoder, decoder, inner))
    tied, causal = config.flag("tie_word_embeddings"), (config.head_kind() or "causal") == "causal"
    given = bytes_in * config.size("cross_attn_k")
    wanted = decoder.d_model * decoder.size("cross_attn_k")
    inputs = () if given == inner.d_model else (Named("vectors_in", Linear(given, inner.d_model, bias=False)),)
    outputs = (Named("vectors_out", Linear(decoder.size("hidden_size_global"), wanted, bias=False)),)
    runs = repeat_block(Block("global_transformer", _layers(inner, THETA, None)), inner.n_layers)
    stacks = [
        _encoder(config, encoder, patches, (config.vocab, bytes_out) if tied and causal else None),
        Stack("global_transformer", inner.d_model, inputs, runs, outputs, "auxiliary", **patches),
        _decoder(config, decoder, patches, tied, causal),
    ]
    asks = _patcher(patcher, unused=config.string("patching_mode") != "entropy")
    if config.flag("patch_in_forward", True):
        stacks.insert(0, asks)
    encoder.ignore("sliding_window")  # the value of the whole model is used instead
    for part in (patcher, encoder, decoder, inner):
        part.ignore("max_position_embeddings tie_word_embeddings hidden_size_global cross_attn_k vocab_size")
        part.ignore("pm_size attn_impl attn_bias_type")  # keys of published configs that the class ignores
        part.check_all_read()
    config.ignore("vocab_size max_position_embeddings patching_batch_size patching_threshold patching_threshold_add")
    config.ignore("realtime_patching patching_device monotonicity pm_size")
    vectors = {part.size("cross_attn_k") for part in (config, encoder, decoder)}
    if bytes_in != bytes_out or decoder.size("hidden_size_global") != wide or len(vectors) > 1:
        notes += ("the widths of its parts are inconsistent, so the class cannot run it",)
    return Architecture(config.model_type, tuple(stacks), notes=(*notes, UNTOLD))


def _part(config: Config, name: str) -> Config:
    """Return a submodule config after checking that ``head_dim`` equals the width divided by the head count."""
    key = f"{name.removeprefix('local_').partition('_')[0]}_config"
    given = config.get(key)
    if not isinstance(given, dict | None):
        raise config.invalid(key, "an object", given)
    data: Fields = {name: value for name, value in (given or {}).items() if name != "architectures"}
    data["model_type"] = f"blt_{name}"
    part = config.nested(key, data, data["model_type"])
    part.discard("encoder_cross_output_size" + (" hidden_act" if name == "patcher" else ""))
    head, width = part.optional_size("head_dim"), part.d_model // part.n_heads
    if head not in (None, width):
        raise part.size_error(f"the model class requires head_dim to be {width}, not {head}")
    return part


def _patches(config: Config) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the patch length and the number of extra patches as keyword arguments, and a tuple of notes."""
    length, longest = config.optional_size("patch_size"), config.optional_size("max_patch_length")
    asked = config.flag("patch_in_forward", True) and config.string("patching_mode") == "entropy"
    if not asked or length is None:
        note = "every byte is a patch because no entropies are computed to find patch boundaries"
        return {"patch": 1, "extra_patches": int(not asked)}, (note,)
    length = min(length, longest or length)
    note = (
        f"patch boundaries depend on the data: patches of {length} bytes (patch_size) are counted, and under the "
        "torch convention one per byte, which is the maximum"
    )
    return {"patch": length, "extra_patches": int(longest is None)}, (note,)


def _layers(part: Config, theta: float, span: int | None) -> tuple[Sublayer, Sublayer]:
    """Return the attention and gated feed-forward sub-layers of a pre-norm block."""
    norm = part.rmsnorm()
    changes: Fields = {"rope": {"theta": part.rope_theta(default=theta), "interleaved": True}, "window": span}
    attention = part.attention(bias=False, d_head=part.d_model // part.n_heads, **changes)
    hidden = part.optional_size("intermediate_size", zero_is_none=True) or int(8 * part.d_model / 3)
    activation = part.activation() if part.get("hidden_act") else "silu"
    mlp = Mlp(part.d_model, hidden, activation, gated=True, bias=False)
    return sublayer("attention", attention, pre=norm), sublayer("mlp", mlp, pre=norm)


def _patcher(part: Config, unused: bool) -> Stack:
    """Return a small, separately trained language model whose prediction entropies define patch boundaries."""
    vocab = part.vocab
    block = Block("patcher", _layers(part, PATCHER_THETA, part.sliding_window()))
    inputs = (Named("patcher_token", Embedding(vocab, part.d_model, table="other")),)
    outputs = (Named("patcher_norm", part.rmsnorm()), Named("patcher_head", Linear(part.d_model, vocab, bias=False)))
    runs = repeat_block(block, part.n_layers)
    return Stack("patcher", part.d_model, inputs, runs, outputs, "auxiliary", frozen=True, unused=unused)


def _between(part: Config, asks: str, patches: Fields, vectors: int) -> PatchAttention:
    return PatchAttention(
        part.d_model,
        part.n_heads,
        part.optional_size("num_key_value_heads", zero_is_none=True),
        part.d_model // part.n_heads,
        vectors,
        asks=asks,
        norm_eps=part.number("rms_norm_eps") or 0.0,
        **patches,
    )


def _query_residual(layer: PatchAttention) -> Sublayer:
    """Return a sub-layer without a residual connection, because the layer itself adds the queries."""
    return Sublayer("patches", (Branch("patches", layer),), residual=False)


def _encoder(config: Config, part: Config, patches: Fields, table: tuple[int, int] | None) -> Stack:
    """Return a byte-level encoder that computes patch vectors after the last layer or after every layer.

    If the head is tied, ``table`` holds the row count and the width of the shared token embedding.
    """
    from dataclasses import replace

    lengths = config.get("encoder_hash_byte_group_size") or list(N_GRAMS)
    if not isinstance(lengths, list) or not all(type(length) is int and length > 0 for length in lengths):
        text = f"encoder_hash_byte_group_size must be a list of positive integers, not {short_repr(lengths)}"
        raise config.error(text)
    functions = config.size("encoder_hash_byte_group_nb_functions")
    rows, own = config.size("encoder_hash_byte_group_vocab"), table or (part.vocab, part.d_model)
    inputs = (
        Named("token", Embedding(*own, share=TOKENS if table else None)),
        Named("hashed", HashEmbedding(rows, part.d_model, len(lengths), functions, " ".join(map(str, lengths)))),
    )
    plain = _layers(part, THETA, config.optional_size("local_attention_window_len"))
    between = _between(part, "patches", patches, part.size("cross_attn_k"))
    if not part.flag("cross_attn_all_layers"):
        runs = repeat_block(Block("local_encoder", plain), part.n_layers)
        return Stack("local_encoder", part.d_model, inputs, runs, (Named("patches", between),), "auxiliary")
    early, last = (_query_residual(layer) for layer in (replace(between, dropped=True), between))
    runs = (
        *repeat_block(Block("local_encoder", (*plain, early)), part.n_layers - 1),
        Run(Block("local_encoder", (*plain, last)), 1),
    )
    return Stack("local_encoder", part.d_model, inputs, runs, (), "auxiliary")


def _decoder(config: Config, part: Config, patches: Fields, tied: bool, causal: bool) -> Stack:
    """Return a byte-level decoder that attends to patch vectors before the first layer or before every layer."""
    width, layers = part.d_model, part.n_layers
    plain = _layers(part, THETA, config.optional_size("local_attention_window_len"))
    between = _query_residual(_between(part, "tokens", patches, part.size("cross_attn_k")))
    first = Block("local_decoder", (between, *plain))
    others = first if part.flag("cross_attn_all_layers") else Block("local_decoder", plain)
    runs = repeat_block(first, layers) if others is first else (Run(first, 1), *repeat_block(others, layers - 1))
    outputs = [Named("norm", part.rmsnorm())]
    if causal:
        outputs.append(Named("head", Head(config.vocab, width, TOKENS if tied else None)))
    return Stack("local_decoder", width, (), runs, tuple(outputs))
