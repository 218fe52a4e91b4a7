"""Encoders that look for passages and for spans in them: Splinter and DPR."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named
from ....core.errors import DescriptionError, shown
from ....layers.linear import Linear
from ....zoo.research.layers.span_selection import SpanSelection
from ..config import Config
from .bert import encoder, finish

ENDS = 2  # scores of a token as the first and the last one of a span
SPLINTER = ("SplinterModel", "SplinterForPreTraining", "SplinterForQuestionAnswering")
DPR = {"DPRQuestionEncoder": "dpr", "DPRContextEncoder": "dpr_context", "DPRReader": "dpr_reader"}


def splinter(config: Config) -> Architecture:
    """Splinter [ram2021]: BERT, and a head that a question token asks for a span."""
    name, asks = config.class_name() or SPLINTER[1], config.count("question_token_id")
    if name not in SPLINTER:
        known = ", ".join(SPLINTER)
        raise DescriptionError(f"{shown(name)} is no class of Splinter; they are {known}", where=config.where)
    config.override("architectures", [name if name == SPLINTER[0] else SPLINTER[1]])
    stack = encoder(config)
    if name == SPLINTER[0]:
        return finish(config, stack, [])
    return finish(config, stack, [Named("spans", SpanSelection(stack.d_model, asks))])


def dpr(config: Config) -> Architecture:
    """DPR [karpukhin2020]: BERT without a pooler, whose first token is compared; a reader scores spans and passages."""
    name = config.class_name() or "DPRQuestionEncoder"
    if name not in DPR:
        raise DescriptionError(f"{shown(name)} is no class of DPR; they are {', '.join(DPR)}", where=config.where)
    config.override("architectures", ["ForPreTraining"])  # each class has names of its own
    if config.flag("is_decoder") or config.flag("add_cross_attention"):
        raise DescriptionError("is_decoder and add_cross_attention are not understood", where=config.where)
    stack, reads = encoder(config), name == "DPRReader"
    out = config.count("projection_dim")
    outputs = [Named("projection", Linear(stack.d_model, out, positions="one", dropped=reads))] if out else []
    if reads:
        if out not in (0, stack.d_model):
            raise DescriptionError("projection_dim is not hidden_size, which the reader reads", where=config.where)
        config.add_unmodelled("scores of passages stand beside those of spans")
        outputs += [
            Named("spans", Linear(stack.d_model, ENDS)),
            Named("passage", Linear(stack.d_model, 1, positions="one")),
        ]
    return replace(finish(config, stack, outputs), layout=DPR[name])
