"""Configurations that are seldom meant: parts that change nothing, and parts that are missing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from ..calc.params import params
from ..core.architecture import Stack
from ..core.workload import positions
from ..layers.attention import Attention
from ..layers.mla import Mla
from .finding import Case, Finding

HEADS_TO_SHARE = 16  # with fewer query heads, sharing keys and values saves little
USUAL_KV_HEADS = 8
LARGE_SHARE = 0.2  # of all parameters
ORDERED = (
    "conv",
    "mamba",
    "hyena",
    "rwkv",
    "delta",
    "rg_lru",
    "kda",
    "lstm",
    "lightning",
    "local",
    "hashed",
    "span",
    "sinusoids",
)


def cf001(case: Case) -> Iterator[Finding]:
    """A window or chunk that is never reached."""
    limit = positions(case.architecture)
    for site in case.sites:
        for field in ("window", "chunk"):
            size = getattr(site.layer, field, None)
            if size and limit and size >= limit:
                message = f"{field} {size} never cuts: the model has learned {limit} positions"
                yield Finding("CF001", f"{site.place}.{field}", message, f"leave it out, or less than {limit}")


def cf002(case: Case) -> Iterator[Finding]:
    """A bias of the keys that no query can tell: it adds the same number to all its scores."""
    for site in case.sites:
        layer = site.layer
        if layer.kind() == "attention" and layer.k_bias and layer.positions in ("none", "alibi", "relative"):
            if layer.qk_norm != "none":
                continue
            wasted = site.times * layer.n_kv_heads * layer.d_head
            message = f"the keys' bias changes no score's rank in a softmax: {wasted:,} parameters without effect"
            yield Finding("CF002", f"{site.place}.k_bias", message, "k_bias: false")


def cf003(case: Case) -> Iterator[Finding]:
    """Tensors that are stored and never used, but for parts with a purpose beside the text."""
    found: dict[str, int] = {}
    for row in params(case.architecture).rows:
        if row.tensor.unused and row.copies and not row.tensor.buffer and not row.entry.stack.unused:
            place = ".".join(dict.fromkeys([row.entry.stack.name, row.entry.section, row.entry.name]))
            found[place] = found.get(place, 0) + row.size * row.copies
    for place, count in found.items():
        yield Finding("CF003", place, f"{count:,} parameters are stored and never used", "leave them out")


def cf004(case: Case) -> Iterator[Finding]:
    """A mixture that uses all its experts."""
    for site in case.sites:
        experts, active = getattr(site.layer, "n_experts", None), getattr(site.layer, "top_k", None)
        if experts and active == experts:
            message = (
                f"every token uses all {experts} experts: a dense layer of {experts} times the width does the same"
            )
            yield Finding("CF004", f"{site.place}.top_k", message, "fewer, or a dense layer")


def cf005(case: Case) -> Iterator[Finding]:
    """Keys and values for every query head in a decoder."""
    for site in case.sites:
        layer = site.layer
        if not isinstance(layer, Attention) or site.stack.role != "decoder" or not layer.causal or layer.kv_reused:
            continue
        if layer.n_kv_heads == layer.n_heads >= HEADS_TO_SHARE and layer.n_heads % USUAL_KV_HEADS == 0:
            share = layer.n_heads // USUAL_KV_HEADS
            message = f"{layer.n_heads} key/value heads; with {USUAL_KV_HEADS} the cache is {share} times smaller"
            yield Finding("CF005", f"{site.place}.n_kv_heads", message, f"{USUAL_KV_HEADS}")


def cf006(case: Case) -> Iterator[Finding]:
    """A head of its own in a model that is mostly vocabulary."""
    count = params(case.architecture)
    heads = count.by_component.get("head", 0)
    if heads > LARGE_SHARE * count.total and count.embedding:
        message = (
            f"the head is {100 * heads / count.total:.0f} % of the parameters ({heads:,}), the input table as much"
        )
        yield Finding("CF006", f"{case.architecture.main.name}.outputs", message, "share it with the input table")


def cf007(case: Case) -> Iterator[Finding]:
    """A stack that cannot tell in which order its tokens stand."""
    for stack in case.architecture.stacks:
        layers = [site.layer for site in case.sites if site.stack is stack]
        mixers = [one for one in layers if isinstance(one, Attention | Mla) and not getattr(one, "cross", False)]
        causal = any(layer.causal for layer in mixers)
        if mixers and not causal and not any(map(_ordered, layers)):
            message = "attention to both sides, and neither a table of positions nor rotation, bias or recurrence"
            yield Finding("CF007", stack.name, message, "positions: rope, or a table of positions in inputs")


def _ordered(layer: Any) -> bool:
    kind = layer.kind()
    if getattr(layer, "positions", "none") != "none" or getattr(layer, "rope", False):
        return True
    return getattr(layer, "table", "") == "position" or any(word in kind for word in ORDERED)


def cf008(case: Case) -> Iterator[Finding]:
    """Norms before the sub-layers and none after the last block."""
    for stack in case.architecture.stacks:
        if stack.role == "tower" or not stack.runs:
            continue
        parts = stack.runs[-1].block.sublayers
        normed = any(layer.kind() == "norm" for _, layer in stack.outputs)
        if parts and parts[-1].pre and not parts[-1].after and not parts[-1].post and not normed:
            message = "each sub-layer reads a normalised stream, what follows the last block does not"
            yield Finding("CF008", f"{stack.name}.outputs", message, "a norm in outputs")


def cf009(case: Case) -> Iterator[Finding]:
    """A block without any norm."""
    for stack in case.architecture.stacks:
        if stack.role == "tower":
            continue
        for name, normed in _blocks(stack).items():
            if not normed:
                yield Finding("CF009", f"{stack.name}.{name}", "no norm before, in or after its sub-layers", "a norm")


def _blocks(stack: Stack) -> dict[str, bool]:
    found = {}
    for run in stack.runs:
        layers = [layer for part in run.block.sublayers for _, layer in part.layers()]
        found[run.block.name] = any(layer.kind() == "norm" or "norm" in vars(layer) for layer in layers)
    return found


def cf010(case: Case) -> Iterator[Finding]:
    """Two sub-layers of attention or of feed-forward layers in a row with nothing else in the whole stack."""
    for stack in case.architecture.stacks:
        kinds = [
            tuple(branch.layer.kind() for branch in part.branches) for run in stack.runs for part in run.block.sublayers
        ]
        if stack.role != "tower" and len(kinds) > 1 and all(one == other == ("mlp",) for one, other in pairwise(kinds)):
            yield Finding("CF010", stack.name, "feed-forward layers alone: no token sees another", "a layer that mixes")
