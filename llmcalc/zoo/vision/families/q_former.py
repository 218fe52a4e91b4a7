"""Q-Formers [li2023blip2, Section 3.1]: blocks of BERT in which learned queries look at an image, every second time."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Stack, Sublayer
from ....core.layer import Layer
from ....importers.hf.config import Config
from ....importers.hf.families.bert import bare, bert_attention, bert_mlp, finish, normed
from ....importers.hf.families.gpt import BIASED
from ....importers.hf.rules import group_runs, layernorm, sublayer
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.norm import Norm


def blip2(config: Config) -> Architecture:
    """BLIP-2's: a token is a query; how it looks at the image is stored, and not counted as work."""
    bare(config)
    config.add_unmodelled("its input is learned queries and an image")
    config.ignore("vocab_size max_position_embeddings")
    found = _stack(config, (), text=config.flag("use_qformer_text_input"), asks=True)
    note = "a token is a query; how it looks at the image is not counted as work"
    return replace(finish(config, found, []), notes=(note,))


def instructblip(config: Config) -> Architecture:
    """InstructBLIP's [dai2023], read with an instruction alone: what its queries do is idle."""
    bare(config)
    width = config.size("hidden_size")
    tables = (
        Named("token", Embedding(config.size("vocab_size"), width)),
        Named("position", Embedding(config.size("max_position_embeddings"), width, table="position")),
    )
    note = "a token is one of the instruction; what queries do beside it is not counted as work"
    return replace(finish(config, _stack(config, tables, text=True, asks=False), []), notes=(note,))


def _stack(config: Config, tables: tuple[Named, ...], *, text: bool, asks: bool) -> Stack:
    """Blocks of attention and of feed-forward layers for queries and for a text; ``asks``: those of queries run."""
    width, norm = config.size("hidden_size"), layernorm(config, config.size("hidden_size"))
    heads, source = config.size("num_attention_heads"), config.size("encoder_hidden_size")
    across = Attention(width, heads, causal=False, cross=True, d_source=source, unused=True, **BIASED)
    feed = bert_mlp(config)
    own = normed("attention", bert_attention(config, causal=False), norm, True)
    looks = _idle("cross_attention", across, norm)
    queries = normed("query_mlp", feed, norm, True) if asks else _idle("query_mlp", replace(feed, unused=True), norm)
    texts = _idle("text_mlp", replace(feed, unused=True), norm) if asks else normed("text_mlp", feed, norm, True)
    feeds = (*([texts] if text else []), queries)
    kinds = {looking: Block(name, (own, *([looks] if looking else []), *feeds)) for looking, name in _NAMES.items()}
    period = config.size("cross_attention_frequency")
    runs = group_runs(kinds[index % period == 0] for index in range(config.size("num_hidden_layers")))
    return Stack("encoder", width, (*tables, Named("norm", norm)), runs, (), "encoder")


_NAMES = {True: "looking", False: "block"}


def _idle(name: str, layer: Layer, norm: Norm) -> Sublayer:
    """A sub-layer that is stored, and not run."""
    return sublayer(name, layer, after=replace(norm, unused=True))
