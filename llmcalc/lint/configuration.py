"""Lint rules for suspicious configurations, such as settings that have no effect or missing norms."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from ..calc.params import params
from ..core.workload import positions
from ..layers.attention import Attention
from ..layers.mla import Mla
from .finding import Case, Problem

HEADS_TO_SHARE = 16  # with fewer query heads, sharing keys and values saves little
TYPICAL_KV_HEADS = 8
LARGE_SHARE = 0.2  # fraction of all parameters
# parts of the names of layer kinds that depend on token order
ORDERED = (
    "conv", "mamba", "hyena", "rwkv", "delta", "rg_lru", "kda", "lstm", "lightning", "local", "hashed", "span",
    "sinusoids",
)  # fmt: skip


def cf001(case: Case) -> Iterator[Problem]:
    """Report a window or chunk that is at least as long as the longest sequence."""
    limit = positions(case.architecture)
    for site, field, size in case.sizes("window", "chunk"):
        if limit and size >= limit:
            message = f"{field} {size} has no effect: the model has {limit} learned positions"
            yield f"{site.place}.{field}", message, f"remove it, or use less than {limit}"


def cf002(case: Case) -> Iterator[Problem]:
    """Report a key bias that cancels in the softmax because it shifts all scores of a query equally."""
    for site in case.sites:
        layer = site.layer
        if layer.kind() != "attention" or not layer.k_bias or layer.qk_norm != "none":
            continue
        if layer.positions in ("none", "alibi", "relative"):
            wasted = site.times * layer.n_kv_heads * layer.d_head
            message = f"the key bias cancels in the softmax, so {wasted:,} parameters have no effect"
            yield f"{site.place}.k_bias", message, "k_bias: false"


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
    for site, _, experts in case.sizes("n_experts"):
        if getattr(site.layer, "top_k", None) == experts:
            message = f"every token uses all {experts} experts, as in a dense layer of {experts} times the width"
            yield f"{site.place}.top_k", message, "use a smaller top_k, or a dense layer"


def cf005(case: Case) -> Iterator[Problem]:
    """Report a decoder with one key/value head per query head."""
    for site in case.sites:
        layer = site.layer
        if not isinstance(layer, Attention) or site.stack.role != "decoder" or not layer.causal or layer.kv_reused:
            continue
        if layer.n_kv_heads == layer.n_heads >= HEADS_TO_SHARE and layer.n_heads % TYPICAL_KV_HEADS == 0:
            saving = f"the KV cache would be {layer.n_heads // TYPICAL_KV_HEADS} times smaller"
            message = f"{layer.n_heads} key/value heads; with {TYPICAL_KV_HEADS}, {saving}"
            yield f"{site.place}.n_kv_heads", message, f"{TYPICAL_KV_HEADS}"


def cf006(case: Case) -> Iterator[Problem]:
    """Report an untied head that accounts for a large share of the parameters."""
    count = params(case.architecture)
    heads = count.by_component.get("head", 0)
    if heads > LARGE_SHARE * count.total and count.embedding:
        share = f"{100 * heads / count.total:.0f} % of the parameters ({heads:,})"
        message = f"the head is {share}, and the token embedding is as large"
        yield f"{case.architecture.main.name}.outputs", message, "tie the head to the token embedding"


def cf007(case: Case) -> Iterator[Problem]:
    """Report bidirectional attention without positional information."""
    for stack in case.architecture.stacks:
        layers = [site.layer for site in case.sites if site.stack is stack]
        mixers = [one for one in layers if isinstance(one, Attention | Mla) and not getattr(one, "cross", False)]
        causal = any(layer.causal for layer in mixers)
        if mixers and not causal and not any(map(_knows_order, layers)):
            missing = "position embeddings, rotary positions, position biases or recurrence"
            advice = "add positions: rope, or a position embedding in inputs"
            yield stack.name, f"bidirectional attention without {missing}", advice


def _knows_order(layer: Any) -> bool:
    kind = layer.kind()
    if getattr(layer, "positions", "none") != "none" or getattr(layer, "rope", False):
        return True
    return getattr(layer, "table", "") == "position" or any(word in kind for word in ORDERED)


def cf008(case: Case) -> Iterator[Problem]:
    """Report a pre-norm stack without a norm after the last block."""
    for stack in case.architecture.stacks:
        if stack.role == "tower" or not stack.runs:
            continue
        parts = stack.runs[-1].block.sublayers
        normed = any(layer.kind() == "norm" for _, layer in stack.outputs)
        if parts and parts[-1].pre and not parts[-1].after and not parts[-1].post and not normed:
            message = "sub-layers read a normalised residual stream, but the outputs do not"
            yield f"{stack.name}.outputs", message, "add a norm to outputs"


def cf009(case: Case) -> Iterator[Problem]:
    """Report a block without norms."""
    for stack in case.architecture.stacks:
        if stack.role == "tower":
            continue
        for name, block in {run.block.name: run.block for run in stack.runs}.items():
            layers = [layer for part in block.sublayers for _, layer in part.layers()]
            if not any(layer.kind() == "norm" or "norm" in vars(layer) for layer in layers):
                yield f"{stack.name}.{name}", "the block has no norms", "add a norm"


def cf010(case: Case) -> Iterator[Problem]:
    """Report a stack that consists only of feed-forward layers."""
    for stack in case.architecture.stacks:
        kinds = [
            tuple(branch.layer.kind() for branch in part.branches) for run in stack.runs for part in run.block.sublayers
        ]
        if stack.role != "tower" and len(kinds) > 1 and all(one == other == ("mlp",) for one, other in pairwise(kinds)):
            message = "the stack has only feed-forward layers, so tokens do not interact"
            yield stack.name, message, "add a layer that mixes tokens, such as attention"
