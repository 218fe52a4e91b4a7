"""BLIP-2 [li2023blip2] and InstructBLIP: a Q-Former between a tower and a language model of any kind."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Stack, Sublayer
from ....importers.hf.composite_models import OUTER, given, text_part
from ....importers.hf.config import Config
from ....importers.hf.projectors import named
from ....importers.hf.rules import group_runs, sublayer
from ....importers.hf.vision_encoders import clip as towers
from ....importers.hf.vision_encoders import vit as vits
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ....layers.norm import Norm
from ..layers.query_attention import QueryAttention

_LEFT = f"""{OUTER} image_token_index initializer_factor initializer_range image_text_hidden_size
    use_decoder_only_language_model video_token_index
"""
EPS = 1e-12


def blip2(config: Config) -> Architecture:
    """Learned queries look at the tower's result, and each other; one matrix leads to the language model."""
    own = config.model_type.replace("-", "_")
    if own == "blip_2":  # whose bare model has a language model with its head
        config.override("architectures", None)
    text = text_part(config, "opt", given(config, "text_config"), own_tie=True)
    part = config.nested("vision_config", given(config, "vision_config"), f"{own}_vision_model")
    tower = vits.read(part)
    queries = config.size("num_query_tokens")
    inner = config.nested("qformer_config", given(config, "qformer_config"), f"{own}_qformer")
    stack = _qformer(inner, tower.d_model, queries, tables=own != "blip_2")
    projector = Linear(stack.d_model, text.main.d_model, n_latents=queries)
    stack = replace(stack, outputs=tuple(named(projector=projector)))
    for read in (part, inner):
        towers.checked(read)
    config.ignore(_LEFT)
    notes = (*text.notes, NOTE) if inner.model_type != "blip_2_qformer" else text.notes
    return replace(text, stacks=(*text.stacks, tower, stack), layout=f"{own}>{text.layout}", notes=notes)


NOTE = "the Q-Former is counted for its queries alone; the instruction that it reads beside them is not"


def _qformer(config: Config, source: int, queries: int, tables: bool) -> Stack:
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    d_ff, act = config.size("intermediate_size"), config.activation()
    norm = Norm(width, "layernorm", bias=True, eps=config.number("layer_norm_eps") or EPS, n_latents=queries)
    config.ignore("pad_token_id encoder_hidden_size initializer_range position_embedding_type")
    instructed = config.flag("use_qformer_text_input", tables)
    own = sublayer("own", QueryAttention(width, heads, queries, sees="themselves", bias=True), after=norm)
    seen = sublayer(
        "seen", QueryAttention(width, heads, queries, prompt=towers.CLASS_TOKEN, d_source=source, bias=True), after=norm
    )
    mlp = Mlp(width, d_ff, act, bias=True, n_latents=queries)
    feeds: tuple[Sublayer, ...] = (sublayer("asked", mlp, after=norm),)
    if instructed:  # layers for an instruction beside the queries
        unused = replace(norm, unused=True)
        feeds = (sublayer("told", replace(mlp, n_latents=None, unused=True), after=unused), *feeds)
    kinds = {True: Block("seeing", (own, seen, *feeds)), False: Block("block", (own, *feeds))}
    period, count = config.size("cross_attention_frequency"), config.size("num_hidden_layers")
    inputs = named(queries=Embedding(queries, width, table="other", use="side_tokens"))
    if tables:
        rows = config.size("max_position_embeddings")
        inputs += named(
            instruction=Embedding(config.size("vocab_size"), width, table="other", unused=True),
            instruction_position=Embedding(rows, width, table="other", unused=True),
        )
    else:
        config.ignore("vocab_size max_position_embeddings")
    inputs += named(query_norm=norm)
    runs = group_runs(kinds[index % period == 0] for index in range(count))
    return Stack("qformer", width, tuple(inputs), runs, (), "tower")
