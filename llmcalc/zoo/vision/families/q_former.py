"""Q-Former models [li2023blip2, Section 3.1]: BLIP-2, InstructBLIP, Granite 4 Vision, and stand-alone Q-Formers.

A Q-Former is a BERT encoder with learned queries that attend to an image in some of the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Stack, Sublayer
from ....core.errors import short_repr
from ....core.layer import Layer
from ....importers.hf.composite_models import config_at, nested_config, read_composite
from ....importers.hf.config import BIASED, Config
from ....importers.hf.encoders import check_encoder, find_encoder
from ....importers.hf.families.bert import bert_attention, bert_mlp, encoder_model, norm_sublayer, without_head
from ....importers.hf.projectors import Link, vector
from ....importers.hf.rules import group_runs, sublayer
from ....importers.hf.vision_encoders.parts import CLASS_TOKEN, named
from ....layers import Attention, Embedding, InputRows, Linear, Mlp, Norm, SequenceRows
from ....layers.parts.cross import Cross
from ...unexecuted_parts import list_parts
from ..layers.query_attention import QueryAttention

EPS = 1e-12
OFFSETS = 4  # corners at which Granite 4 Vision samples an encoder layer
PAIR = 2


def blip2(config: Config) -> Architecture:
    """Read a BLIP-2 or InstructBLIP config with a Q-Former between the vision encoder and the language model."""
    if config.model_type == "blip-2":  # the bare class includes a language model with its head
        config.override("architectures", None)
    return read_composite(config)


def project(link: Link) -> list[Stack]:
    """Build the BLIP-2 or InstructBLIP projector with a Q-Former and a linear layer."""
    stem = link.model.model_type.replace("-", "_")
    queries = link.model.size("num_query_tokens")
    inner = nested_config(link.model, "qformer_config", f"{stem}_qformer")
    stack = _qformer(inner, link.d_encoder, queries, tables=stem != "blip_2")
    check_encoder(inner)
    if stem != "blip_2":
        link.notes.append("not counted: Q-Former computation for instruction tokens")
    return [
        replace(
            stack,
            outputs=tuple(named(projector=Linear(stack.d_model, link.d_model, sequence=InputRows(n_latents=queries)))),
        )
    ]


def _qformer(config: Config, source: int, queries: int, tables: bool) -> Stack:
    width, heads = config.d_model, config.n_heads
    d_ff, act = config.size("intermediate_size"), config.activation()
    rows = SequenceRows(n_latents=queries)
    norm = Norm(width, "layernorm", bias=True, eps=config.number("layer_norm_eps") or EPS, sequence=rows)
    config.ignore("encoder_hidden_size position_embedding_type")
    instructed = config.flag("use_qformer_text_input", tables)
    own = sublayer("own", QueryAttention(width, heads, queries, sees="themselves", bias=True), after=norm)
    seen = sublayer(
        "seen", QueryAttention(width, heads, queries, prompt=CLASS_TOKEN, d_source=source, bias=True), after=norm
    )
    mlp = Mlp(width, d_ff, act, bias=True, sequence=rows)
    feeds: tuple[Sublayer, ...] = (sublayer("asked", mlp, after=norm),)
    if instructed:  # layers for an instruction
        feeds = (sublayer("told", replace(mlp, sequence=None, unused=True), after=replace(norm, unused=True)), *feeds)
    kinds = {True: Block("seeing", (own, seen, *feeds)), False: Block("block", (own, *feeds))}
    period, count = config.size("cross_attention_frequency"), config.n_layers
    inputs = named(queries=Embedding(queries, width, table="other", use="side_tokens"))
    if tables:
        inputs += named(
            instruction=Embedding(config.vocab, width, table="other", unused=True),
            instruction_position=Embedding(config.size("max_position_embeddings"), width, table="other", unused=True),
        )
    else:
        config.ignore("vocab_size max_position_embeddings")
    inputs += named(query_norm=norm)
    runs = group_runs(kinds[index % period == 0] for index in range(count))
    return Stack("qformer", width, tuple(inputs), runs, (), "tower")


def granite4_vision(config: Config) -> Architecture:
    """Read a Granite 4 Vision config with one Q-Former projector per decoder layer that receives image features."""
    kind = str(config_at(config, "vision_config").get("model_type", "clip_vision_model"))
    if find_encoder(kind) is None:
        raise config.error(f"unknown vision encoder {short_repr(kind)}")
    return read_composite(config)


def project_granite(link: Link) -> Sequence[Named | Stack]:
    """Build one Q-Former projector for each decoder layer that receives image features."""
    model = link.model
    inner = nested_config(model, "qformer_config", "blip_2_qformer")
    layers = model.get("deepstack_layer_map")
    if not isinstance(layers, list) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == PAIR for pair in layers
    ):
        said = f"deepstack_layer_map must be a list of pairs of layers, not {short_repr(layers)}"
        raise model.error(said)
    n_queries, n_patches = (side**2 for side in _sides(model))
    sizes = {"n_layers": len(layers), "n_offsets": OFFSETS, "n_queries": n_queries, "n_patches": n_patches}
    found = list_parts(inner, "", "granite4_vision_projectors", width=link.d_encoder, d_text=link.d_model, **sizes)
    check_encoder(inner)
    return [Named("newline", vector(link.d_model)), *found]


def _sides(config: Config) -> tuple[int, int]:
    """Return the side length of a window in queries and in patches."""
    rate = config.string("downsample_rate", "")
    parts = rate.split("/")
    if len(parts) != PAIR or not all(each.isdecimal() and int(each) for each in parts):
        said = f"downsample_rate must be a ratio of two window sides, such as 1/4, not {short_repr(rate)}"
        raise config.error(said)
    return int(parts[0]), int(parts[1])


def blip2_qformer(config: Config) -> Architecture:
    """Read a BLIP-2 Q-Former config with queries as tokens. Cross-attention to the image is stored but not run."""
    without_head(config)
    config.add_unmodelled("the inputs are learned queries and an image")
    config.ignore("vocab_size max_position_embeddings")
    found = _stack(config, (), text=config.flag("use_qformer_text_input"), asks=True)
    note = "a token is a query; cross-attention to the image is not counted in FLOPs"
    return replace(encoder_model(config, found, []), notes=(note,))


def instructblip_qformer(config: Config) -> Architecture:
    """Read an InstructBLIP Q-Former config [dai2023] for instruction tokens. Query layers are stored but not run."""
    without_head(config)
    tables = (
        Named("token", Embedding(config.vocab, config.d_model)),
        Named("position", Embedding(config.size("max_position_embeddings"), config.d_model, table="position")),
    )
    note = "tokens are those of the instruction; FLOPs for the queries are not counted"
    return replace(encoder_model(config, _stack(config, tables, text=True, asks=False), []), notes=(note,))


def _stack(config: Config, tables: tuple[Named, ...], *, text: bool, asks: bool) -> Stack:
    """Return a stack that runs the query feed-forward layers if ``asks`` is set, and the text layers otherwise."""
    width, norm = config.d_model, config.layernorm()
    heads, source = config.n_heads, config.size("encoder_hidden_size")
    across = Attention(width, heads, causal=False, cross=Cross(source), unused=True, **BIASED)
    feed = bert_mlp(config)
    own = norm_sublayer("attention", bert_attention(config, causal=False), norm, True)
    looks = _idle("cross_attention", across, norm)
    queries = (
        norm_sublayer("query_mlp", feed, norm, True) if asks else _idle("query_mlp", replace(feed, unused=True), norm)
    )
    texts = _idle("text_mlp", replace(feed, unused=True), norm) if asks else norm_sublayer("text_mlp", feed, norm, True)
    feeds = (*([texts] if text else []), queries)
    kinds = {looking: Block(name, (own, *([looks] if looking else []), *feeds)) for looking, name in _NAMES.items()}
    period = config.size("cross_attention_frequency")
    runs = group_runs(kinds[index % period == 0] for index in range(config.n_layers))
    return Stack("encoder", width, (*tables, Named("norm", norm)), runs, (), "encoder")


_NAMES = {True: "looking", False: "block"}


def _idle(name: str, layer: Layer, norm: Norm) -> Sublayer:
    """Return a sub-layer that is stored but not run."""
    return sublayer(name, layer, after=replace(norm, unused=True))
