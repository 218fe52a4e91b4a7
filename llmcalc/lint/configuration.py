"""Lint rules for suspicious configurations, such as settings that have no effect or missing norms."""

from __future__ import annotations

from collections.abc import Iterator

from ..calc.params import params
from ..core.architecture import declare
from ..core.traits import HEAD, NORM
from ..core.workload import positions
from .finding import Case, Problem

HEADS_TO_SHARE = 16  # with fewer query heads, sharing keys and values saves little
TYPICAL_KV_HEADS = 8
LARGE_SHARE = 0.2  # fraction of all parameters


def cf001(case: Case) -> Iterator[Problem]:
    """Report a window or chunk that is at least as long as the model's number of learned positions."""
    limit = positions(case.architecture)
    for site, field, size in case.sizes("windows", "chunks"):
        if limit and size >= limit:
            message = f"{field} {size} has no effect: the model has {limit} learned positions"
            yield f"{site.place}.{field}", message, f"remove it, or use less than {limit}"


def cf002(case: Case) -> Iterator[Problem]:
    """Report parameters that never change the output, such as a key bias that cancels in the softmax."""
    for site in case.sites:
        for field, reason, count in site.layer.idle_parameters():
            message = f"{reason}, so {site.times * count:,} parameters have no effect"
            yield f"{site.place}.{field}", message, f"{field}: false"


def cf003(case: Case) -> Iterator[Problem]:
    """Report tensors that are stored but never used, except in stacks that are never executed."""
    unused: dict[str, int] = {}
    for row in params(case.architecture).rows:
        if row.tensor.unused and row.copies and not row.tensor.buffer and not row.entry.stack.unused:
            place = ".".join(dict.fromkeys([row.entry.stack.name, row.entry.section, row.entry.name]))
            unused[place] = unused.get(place, 0) + row.size * row.copies
    for place, count in unused.items():
        yield place, f"{count:,} parameters are stored but never used", "remove them"


def cf004(case: Case) -> Iterator[Problem]:
    """Report a mixture of experts in which every token uses all experts."""
    for site, _, experts in case.sizes("experts"):
        for field, used in site.layer.sizes("active_experts"):
            if used == experts:
                message = f"every token uses all {experts} experts, as in a dense layer of {experts} times the width"
                yield f"{site.place}.{field}", message, f"use a smaller {field}, or a dense layer"


def cf005(case: Case) -> Iterator[Problem]:
    """Report a decoder with one key/value head per query head."""
    for site, field, heads in case.sizes("kv_heads"):
        layer = site.layer
        is_causal = site.stack.role == "decoder" and layer.attention_direction() == "causal"
        if not is_causal or not declare(layer).states or heads < HEADS_TO_SHARE or heads % TYPICAL_KV_HEADS:
            continue
        if heads in (size for _, size in layer.sizes("heads")):
            saving = f"the KV cache would be {heads // TYPICAL_KV_HEADS} times smaller"
            message = f"{heads} key/value heads; with {TYPICAL_KV_HEADS}, {saving}"
            yield f"{site.place}.{field}", message, f"{TYPICAL_KV_HEADS}"


def cf006(case: Case) -> Iterator[Problem]:
    """Report an untied head that accounts for a large share of the parameters."""
    count = params(case.architecture)
    stored = (row for row in count.rows if not (row.tensor.buffer or row.entry.stack.unused))
    heads = sum(row.size * row.copies for row in stored if row.declaration.number_class(row.tensor) == HEAD)
    if heads > LARGE_SHARE * count.total and count.embedding:
        share = f"{100 * heads / count.total:.0f} % of the parameters ({heads:,})"
        message = f"the head is {share}, and the token embedding is as large"
        yield f"{case.architecture.main.name}.outputs", message, "tie the head to the token embedding"


def cf007(case: Case) -> Iterator[Problem]:
    """Report bidirectional attention without positional information."""
    for stack in case.stacks:
        layers = [site.layer for site in case.sites if site.stack is stack]
        directions = {layer.attention_direction() for layer in layers}
        if "both" in directions and "causal" not in directions and not any(layer.has_order() for layer in layers):
            missing = "position embeddings, rotary positions, position biases or recurrence"
            advice = "add positions: rope, or a position embedding in inputs"
            yield stack.name, f"bidirectional attention without {missing}", advice


def cf008(case: Case) -> Iterator[Problem]:
    """Report a pre-norm stack without a norm after the last block."""
    for stack in case.stacks:
        parts = stack.runs[-1].block.sublayers if stack.runs else ()
        normed = any(layer.NUMBER_CLASS == NORM for _, layer in stack.outputs)
        if parts and parts[-1].pre and not parts[-1].after and not parts[-1].post and not normed:
            message = "sub-layers read a normalised residual stream, but the outputs do not"
            yield f"{stack.name}.outputs", message, "add a norm to outputs"


def cf009(case: Case) -> Iterator[Problem]:
    """Report a block without norms."""
    for stack in case.stacks:
        for name, block in {run.block.name: run.block for run in stack.runs}.items():
            layers = [layer for part in block.sublayers for _, layer in part.layers()]
            if not any(layer.HAS_NORM for layer in layers):
                yield f"{stack.name}.{name}", "the block has no norms", "add a norm"


def cf010(case: Case) -> Iterator[Problem]:
    """Report a stack that consists only of feed-forward layers."""
    for stack in case.stacks:
        parts = [part for run in stack.runs for part in run.block.sublayers]
        layers = [branch.layer for part in parts for branch in part.branches]
        if len(parts) > 1 and all(layer.IS_FEED_FORWARD for layer in layers):
            message = "the stack has only feed-forward layers, so tokens do not interact"
            yield stack.name, message, "add a layer that mixes tokens, such as attention"
