"""BERT, RoBERTa, ALBERT and other encoders with BERT's config keys."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Run, Stack, Sublayer
from ....core.layer import Layer
from ....layers import Attention, Embedding, Head, Ids, Linear, Mlp
from ....layers.parts.cross import Cross
from ....layers.score_biases.alibi import Alibi
from ..config import BIASED, TOKENS, Config, Layers
from ..rules import repeat_block, sublayer

OLDER = """
    padding_idx attention_mode ignore_attention_mask
"""  # keys of published configs that no class reads
MOSAIC = "alibi_starting_size"  # key of MosaicBERT's code, the size of its first table of biases
SEGMENTS_COMPARED = 2  # classes of next-sentence and sentence-order prediction


def bert(config: Config) -> Architecture:
    """Read a BERT config [devlin2018], or one of MosaicBERT [portes2023]."""
    if MOSAIC in config.data and not config.has_plain_class:
        return _mosaic(config)
    return with_head(config, encoder(config))


def _mosaic(config: Config) -> Architecture:
    """Return BERT with ALiBi and gated feed-forward layers. Only the down-projection has a bias.

    Its code is published with the checkpoints (mosaic-bert-base, DNABERT-2), and ignores position embeddings.
    """
    config.ignore(f"{MOSAIC} max_position_embeddings hidden_act")
    mlp = Mlp(config.d_model, config.size("intermediate_size"), "gelu", gated=True, out_bias=True)
    stack = encoder(config, positions=False, attention=bert_attention(config, score_bias=Alibi()), mlp=mlp)
    return replace(with_head(config, stack), layout="mosaic_bert")


def roberta(config: Config) -> Architecture:
    """Read a RoBERTa [liu2019], CamemBERT, XLM-R or data2vec config. Positions skip padding (see ``skip_padding``)."""
    return with_head(config, skip_padding(config, encoder(config)), activation="gelu")


def skip_padding(config: Config, stack: Stack, padding: int | None = None) -> Stack:
    """Return the stack with positions that skip padding and start after the padding token id."""
    first = config.count("pad_token_id", 1) if padding is None else padding

    def placed(name: str, layer: Layer) -> Layer:
        if isinstance(layer, Embedding) and name == "position":
            return replace(layer, offset=first + 1, ids=Ids(padding=first))
        return layer

    return replace(stack, inputs=tuple(Named(name, placed(name, layer)) for name, layer in stack.inputs))


def ernie(config: Config) -> Architecture:
    """Read an ERNIE 2.0 config [sun2019]. The model is BERT with a task embedding."""
    tables: tuple[Named, ...] = ()
    if config.flag("use_task_id"):
        rows, width = config.size("task_type_vocab_size"), config.d_model
        tables = (Named("task", Embedding(rows, width, table="other", ids=Ids(own="task_type_ids"))),)
    config.ignore("task_type_vocab_size")
    return with_head(config, encoder(config, more=tables))


def prenorm(config: Config) -> Architecture:
    """Read the config of a pre-norm RoBERTa, which fairseq trains with the option ``encoder-normalize-before``."""
    return with_head(config, skip_padding(config, encoder(config, post=False)), activation="gelu")


def bare_prenorm(config: Config) -> Architecture:
    """Read a Megatron-BERT config [shoeybi2019]. Blocks are pre-norm, and embeddings are not normalised."""
    return with_head(config, encoder(config, post=False, table_norm=False))


def xlm_roberta_xl(config: Config) -> Architecture:
    """Read an XLM-R XL config [goyal2021]. The model is Megatron-BERT with RoBERTa's positions."""
    return with_head(config, skip_padding(config, encoder(config, post=False, table_norm=False)), activation="gelu")


def bert_generation(config: Config) -> Architecture:
    """Read a BERT generation config [rothe2019]. The model has no segments, no pooler and no head transform."""
    stack = encoder(config, segments=False)
    if (config.head_kind() or "causal") != "causal":
        return encoder_model(config, stack, [])
    return encoder_model(config, stack, [Named("head", tied_head(config, stack.d_model))])


def encoder(
    config: Config,
    *,
    post: bool = True,
    table_norm: bool = True,
    segments: bool = True,
    more: tuple[Named, ...] = (),
    attention: Layer | None = None,
    mlp: Layer | None = None,
    positions: bool = True,
    offset: int = 0,
    narrow: int | None = None,
) -> Stack:
    """Return a BERT stack without a head. ``more`` contains additional embeddings. Pre-norm stacks have a final norm.

    Embeddings of width ``narrow`` are normalised and then projected to the stream width.
    """
    width, vocab = config.d_model, config.vocab
    config.get("position_embedding_type")
    norm = config.layernorm()
    inputs = embeddings(config, vocab, narrow or width, segments=segments, positions=positions, offset=offset)
    inputs += (*more, *([Named("norm", config.layernorm(width=narrow or width))] if table_norm else []))
    if narrow and narrow != width:
        inputs += (Named("projection", Linear(narrow, width)),)
    runs = repeat_block(block(config, attention, mlp, post=post), config.n_layers)
    outputs = () if post else (Named("final_norm", norm),)
    role = "decoder" if is_decoder(config) else "encoder"
    return Stack(role, width, inputs, runs, outputs, role)


def is_decoder(config: Config) -> bool:
    """Return whether the config describes a decoder and the transformers class supports decoders."""
    return config.flag("is_decoder") and "is_decoder" in config.defaults


def bert_attention(config: Config, **changes: object) -> Attention:
    """Return attention with biases in all projections."""
    return Attention(config.d_model, config.n_heads, **{"causal": is_decoder(config), **BIASED, **changes})


def bert_mlp(config: Config) -> Mlp:
    """Return BERT's feed-forward layer with biases."""
    return config.plain_mlp(bias=True)


def block(config: Config, attention: Layer | None = None, mlp: Layer | None = None, *, post: bool = True) -> Block:
    """Return a block with attention, cross-attention if configured, and a feed-forward layer."""
    layers: Layers = {"attention": attention or bert_attention(config)}
    if config.flag("add_cross_attention") and "is_decoder" in config.defaults:
        if not is_decoder(config):
            raise config.error("add_cross_attention requires is_decoder")
        layers["cross_attention"] = bert_attention(config, cross=Cross(), causal=False, unused=True)
    layers["mlp"] = mlp or bert_mlp(config)
    return Block("block", tuple(norm_sublayer(name, layer, config.layernorm(), post) for name, layer in layers.items()))


def norm_sublayer(name: str, layer: Layer, norm: Layer, post: bool) -> Sublayer:
    """Return a sub-layer with a norm that precedes the layer or, if ``post``, follows the residual addition."""
    return sublayer(name, layer, after=norm) if post else sublayer(name, layer, pre=norm)


def embeddings(
    config: Config, vocab: int, width: int, *, segments: bool = True, positions: bool = True, offset: int = 0
) -> tuple[Named, ...]:
    """Return token, position and segment embeddings of the same width. Positions start at row ``offset``."""
    found = [Named("token", Embedding(vocab, width, share=embedding_share(config)))]
    if positions:
        rows = config.size("max_position_embeddings") + offset
        found.append(Named("position", Embedding(rows, width, table="position", offset=offset)))
    kinds = config.optional_size("type_vocab_size", zero_is_none=True) if segments else None
    return (*found, *([Named("segment", Embedding(kinds, width, table="segment"))] if kinds else []))


def embedding_share(config: Config) -> str | None:
    """Return the sharing key of the token embedding, or None if the head is not tied."""
    return TOKENS if config.flag("tie_word_embeddings", True) and config.head_kind() != "none" else None


def tied_head(config: Config, width: int, *, spare_bias: bool = True) -> Head:
    """Return BERT's language-model head. By default, an untied head also stores an unused bias."""
    share = embedding_share(config)
    spare = 1 if spare_bias and not share else 0
    in_fp32 = config.head_kind() == "causal"  # the masked-LM loss is computed in the number format of the logits
    return Head(config.vocab, width, share, bias=True, unused_biases=spare, loss_in_fp32=in_fp32)


def transform(config: Config, width: int, narrow: int | None = None, activation: str | None = None) -> list[Named]:
    """Return the dense layer and norm before a BERT-like head of width ``narrow``."""
    out = narrow or width
    dense = Linear(width, out, activation=activation or config.activation(), positions="logits")
    return [Named("transform", dense), Named("transform_norm", config.layernorm(width=out))]


def pooler(width: int, *, dropped: bool = False) -> Named:
    """Return the pooler, which is a dense layer applied to the first position."""
    return Named("pooler", Linear(width, width, activation="tanh", positions="one", dropped=dropped))


def with_head(
    config: Config,
    stack: Stack,
    narrow: int | None = None,
    *,
    pooled: bool = False,
    activation: str | None = None,
    spare_bias: bool = True,
) -> Architecture:
    """Return the stack with its head. If ``pooled`` is set, language-model classes also have an unused pooler."""
    kind, width = config.head_kind("mlm", "causal", "pretraining", "none"), stack.d_model
    pooled = pooled or kind in ("pretraining", "none")
    outputs = [pooler(width, dropped=kind in ("causal", "mlm"))] if pooled else []
    if kind != "none":
        outputs += transform(config, width, narrow, activation)
        outputs.append(Named("head", tied_head(config, narrow or width, spare_bias=spare_bias)))
    if kind == "pretraining":
        outputs.append(Named("next_sentence", Linear(width, SEGMENTS_COMPARED, positions="one")))
    return encoder_model(config, stack, outputs)


def head_of_kind(config: Config, *kinds: str) -> str:
    """Return the head kind, or an empty string for a nested stack. Raise an error for kinds not in ``kinds``."""
    return config.head_kind() and config.head_kind(*kinds)


def without_head(config: Config) -> None:
    """Check that the config has no head, or that of a task, for families without a language-model class."""
    head_of_kind(config, "none")
    if not config.task():
        config.override("architectures", ["Model"])


def encoder_model(config: Config, stack: Stack, outputs: list[Named]) -> Architecture:
    """Return an architecture with one stack and additional output layers."""
    config.ignore("is_encoder_decoder" + OLDER)
    return Architecture(config.model_type, (replace(stack, outputs=(*stack.outputs, *outputs)),))


def albert(config: Config) -> Architecture:
    """Read an ALBERT config [lan2019]. Embeddings are narrow, and groups of layers are applied repeatedly."""
    width, vocab, narrow = config.d_model, config.vocab, config.size("embedding_size")
    norm = config.layernorm()
    layers_of_group = {"attention": Attention(width, config.n_heads, causal=False, **BIASED), "mlp": bert_mlp(config)}
    inner = config.repeats("inner_group_num")
    parts = [
        sublayer(f"{name}{index if inner > 1 else ''}", layer, after=norm)
        for index in range(inner)
        for name, layer in layers_of_group.items()
    ]
    layers, groups = config.n_layers, config.repeats("num_hidden_groups")
    applied = [sum(1 for index in range(layers) if int(index / (layers / groups)) == group) for group in range(groups)]
    runs = tuple(Run(Block(f"group{group}", tuple(parts)), count, shared=True) for group, count in enumerate(applied))
    normed, projected = Named("norm", config.layernorm(width=narrow)), Named("projection", Linear(narrow, width))
    inputs = (*embeddings(config, vocab, narrow), normed, projected)
    return with_head(config, Stack("encoder", width, inputs, runs, (), "encoder"), narrow)
