"""BART's kin for long inputs: encoders with attention by blocks and to global tokens."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named
from ....core.errors import SizeError, UnknownNameError
from ....layers.embedding import Embedding
from ....layers.sinusoids import Sinusoids
from ....zoo.research.layers.block_attention import BlockAttention
from ....zoo.research.layers.local_attention import LocalAttention
from ....zoo.research.layers.sparse_attention import SparseAttention
from ..config import Config
from ..rules import layernorm
from .seq2seq import Style, block, class_kind, dense, head, stack, tied_tokens, untied_tokens

UNBIASED = dict.fromkeys(("q_bias", "k_bias", "v_bias", "o_bias"), False)


def pegasus_x(config: Config) -> Architecture:
    """PEGASUS-X [phang2022]: blocks, staggered in every second layer, and global tokens with a stream of their own."""
    style = Style(pre_norm=True, final_norm=True, embedding_norm=False, positions="", biases=UNBIASED)
    kind = class_kind(config)
    tied, vocab, width = config.flag("tie_word_embeddings", True), config.size("vocab_size"), config.size("d_model")
    tokens = (tied_tokens if tied else untied_tokens)(vocab, width)
    globals_ = Embedding(config.size("num_global_tokens"), width, table="other", use="side_tokens")
    waves = Named("position", Sinusoids(width, "fairseq"))
    inputs = [*tokens["encoder"], waves, Named("global", globals_)]
    encoder = stack(config, style, "encoder", inputs, [], blocks=_staggered(config, style))
    outputs = [head(vocab, width, tied)] if kind == "seq2seq" else []
    decoder = stack(config, style, "decoder", [*tokens["decoder"], waves], outputs)
    return Architecture(config.model_type, (encoder, decoder))


def led(config: Config) -> Architecture:
    """LED [beltagy2020]: BART whose encoder attends as Longformer does."""
    style, kind = Style(positions="max_decoder_position_embeddings"), class_kind(config)
    tied, vocab, width = config.flag("tie_word_embeddings", True), config.size("vocab_size"), config.size("d_model")
    layers, heads = config.size("encoder_layers"), config.size("encoder_attention_heads")
    windows = config.get("attention_window")
    windows = windows if isinstance(windows, list) else [windows] * layers
    if len(windows) != layers:
        raise SizeError(f"attention_window has {len(windows)} entries for {layers} layers", where=config.where)
    known: dict[int, Block] = {}
    for window in windows:
        attention = LocalAttention(width, heads, window, max(windows))
        mlp = dense(config, style, "encoder", padded_to=max(windows))
        known[window] = known.get(window) or block(config, style, "block", {"attention": attention, "mlp": mlp})
    tokens = (tied_tokens if tied else untied_tokens)(vocab, width)
    source = style._replace(positions="max_encoder_position_embeddings")
    encoder = stack(config, source, "encoder", tokens["encoder"], [], blocks=[known[window] for window in windows])
    outputs = [head(vocab, width, tied, buffer_bias=True)] if kind == "seq2seq" else []
    return Architecture(config.model_type, (encoder, stack(config, style, "decoder", tokens["decoder"], outputs)))


def bigbird_pegasus(config: Config) -> Architecture:
    """BigBird-PEGASUS [zaheer2020]: pre-norm, sparse attention in the encoder; a lone decoder is never tied."""
    biased, kind = config.flag("use_bias"), class_kind(config)
    biases = dict.fromkeys(UNBIASED, biased)
    style = Style(pre_norm=True, final_norm=True, embedding_norm=False, biases=biases)
    vocab, width, sparse = config.size("vocab_size"), config.size("d_model"), config.string("attention_type")
    if sparse not in ("block_sparse", "original_full"):
        raise UnknownNameError("attention_type", sparse, ("block_sparse", "original_full"), where=config.where)
    length, n_random = config.size("block_size"), config.size("num_random_blocks")
    tied = config.flag("tie_word_embeddings", True)
    if kind == "causal":
        outputs, table = [head(vocab, width, tied=False)], Named("token", Embedding(vocab, width))
        return Architecture(config.model_type, (stack(config, style, "decoder", [table], outputs, unused_cross=True),))
    blocks = None
    if sparse == "block_sparse":
        heads = config.size("encoder_attention_heads")
        attention = SparseAttention(width, heads, length, n_random, biased, biased)
        mlp = dense(config, style, "encoder", padded_to=length, padded_above=attention.limit)
        repeated = block(config, style, "block", {"attention": attention, "mlp": mlp})
        blocks = [repeated] * config.size("encoder_layers")
    tokens = (tied_tokens if tied else untied_tokens)(vocab, width)
    encoder = stack(config, style, "encoder", tokens["encoder"], [], blocks=blocks)
    outputs = [head(vocab, width, tied, buffer_bias=True)] if kind == "seq2seq" else []
    return Architecture(config.model_type, (encoder, stack(config, style, "decoder", tokens["decoder"], outputs)))


def _staggered(config: Config, style: Style) -> list[Block]:
    width, heads, length = config.size("d_model"), config.size("encoder_attention_heads"), config.size("block_size")
    if width % heads:
        raise SizeError(f"d_model ({width}) is no multiple of encoder_attention_heads ({heads})", where=config.where)
    n_global, layers = config.size("num_global_tokens"), config.size("encoder_layers")
    shift = config.flag("stagger_local_blocks")
    known: dict[tuple[bool, bool], Block] = {}
    order = []
    for index in range(layers):
        staggered, last = shift and index % 2 == 1, index == layers - 1
        if (staggered, last) not in known:
            attention = BlockAttention(
                width,
                heads,
                width // heads,
                length,
                n_global=n_global,
                staggered=staggered,
                globals_dropped=last,
            )
            mlp = dense(config, style, "encoder", n_global=n_global, globals_dropped=last, padded_to=length)
            name = "staggered" if staggered else "block"
            *parts, feed = block(config, style, name, {"attention": attention, "mlp": mlp}).sublayers
            norm = replace(layernorm(config, width), n_global=n_global, globals_dropped=last)
            known[staggered, last] = Block(name, (*parts, replace(feed, pre=norm)))
        order.append(known[staggered, last])
    return order
