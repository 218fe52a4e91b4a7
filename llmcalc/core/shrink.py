"""Small versions of architectures with distinct prime sizes, so that tests detect swapped axes.

Equal sizes with the same role, such as the widths in a stack, stay equal. All other sizes differ. The structure
is preserved, including the order of blocks, head ratios, groups, windows shorter than the test sequence, tied
tensors, shared blocks, and every field that is not a size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import count, cycle, islice
from math import prod
from typing import Any

from . import shrink_tower
from .architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from .errors import SizeError
from .layer import Layer
from .layer_history import with_n_sums
from .ledger import entries
from .record import MISSING, fields

SEQ = 15  # test tokens: a multiple of every chunk, longer than every window, shorter than every position table
MOST_BLOCKS = 2  # consecutive equal blocks
LOCAL_WINDOW = 6  # window of local attention; even, with half on each side
NARROW = 7  # a width contained in another width
COLUMNS = 7  # columns of a position grid; fewer than tokens
SIDES = 6  # coordinates of a box: four edges, height and width
HEADS = 3  # for kinds whose heads divide the stream or half the stream

# widths of the residual stream and of projections to it
WIDTHS = ("d_model", "d_source", "d_in", "d_out", "d_input", "d_input_v")
AS_THEY_ARE = frozenset((
    "offset", "padding_id", "dropped_id", "pooled_id", "column", "token_id", "codebooks", "unused_biases",
    "n_zero_experts", "streams", "n_adapters", "merge", "restores", "iterations", "stream", "active", "index_local",
    "n_gram", "patch", "extra_patches", "n_vectors", "n_states", "n_reads", "n_gates", "n_sums", "prompt", "stride",
    "neighbours", "n_lengths", "pooled", "before", "after", "n_rotations",
))  # fmt: skip
LARGE_BY_DEFAULT = dict.fromkeys(("chunk", "block", "d_filter", "d_position", "max_distance"), "")
LARGE_BY_DEFAULT["temperature_length"] = "temperature"  # the field that enables it
AT_MOST = {"d_conv": 4, "taps": 5, "order": 3, "n_filter_layers": 2, "n_streams": 4, "barred": 6, "barred_from": 4}
AT_MOST["blank"] = 9
POOLS: dict[str, tuple[int, ...]] = {  # sizes with constraints
    "window": (7, 11, 13, 5),
    "window_ahead": (4, 3),
    "chunk": (5, 3),
    "block": (5, 3),
    "vocab": (97, 101, 103, 107),
    "segments": (2, 3),
    "positions": (37, 41, 43),
    "filter_length": (47, 53),
    "n_distances": (14, 18),
    "n_landmarks": (5, 3),
    "summary": (4, 7),
    "n_buckets": (10, 12, 14),
    "max_distance": (11, 13),
    "rope_length": (8,),
    "temperature_length": (5, 3),
    "qk_rope_head_dim": (6, 10, 14),
    "rotated_head": (10, 14, 22, 26, 34),
    "turned_head": (12, 20, 28),
    "n_kv_heads": (3, 2, 5, 7),
    "heads_a_key_head_serves": (2, 5, 7, 11),
    "experts_of_a_group": (4, 5),
    "capacity": (1000,),
    "index_topk": (4,),
    "index_block": (2,),
    "index_compressed": (2,),
    "keep_window": (6,),
    **dict.fromkeys(("groups", "out_groups", "q_groups", "k_groups", "v_groups", "o_groups"), (3, 2)),
    "rate": (3, 2),
    "channels": (3, 2),
    "side": (4, 5),
    "frames": (2, 3),
    **dict.fromkeys(("distance_buckets", "box_buckets"), (10, 12)),
    **dict.fromkeys(("distance_most", "box_most"), (11, 13)),
    "n_places": (37, 41, 43),
    "d_stream": (21, 15),  # multiples of the number of heads
    "tag_id": (3,),
    "number_id": (5,),
}
POOL_OF_ROWS = {"token": "vocab", "other": "vocab", "segment": "segments", "position": "positions"}


def shrink(architecture: Architecture) -> Architecture:
    """Return the architecture with few blocks, small sizes and no published figures."""
    sizes = _Sizes(divided=any(_divides_the_width(entry.layer) for entry in entries(architecture)))
    for layer in (entry.layer for entry in entries(architecture)):
        if hasattr(layer, "n_vectors"):  # the concatenated vectors of a patch
            sizes.multiple(layer.d_model, layer.n_vectors)  # type: ignore[attr-defined]
    stacks = tuple(_stack(stack, sizes) for stack in architecture.stacks)
    return replace(
        architecture, name=f"{architecture.name} (shrunk)", stacks=stacks, extras=(), expect=(), notes=(), unmodelled=()
    )


def _stack(stack: Stack, sizes: _Sizes) -> Stack:
    def named(layers: Iterable[Named]) -> tuple[Named, ...]:
        return tuple(Named(name, sizes.layer(layer)) for name, layer in layers)

    sizes.twice(stack.d_model)
    beside = [layer for _, layer in stack.inputs if getattr(layer, "use", "") == "joined"]
    sizes.joined([layer.d_model for layer in beside], stack.d_model)  # type: ignore[attr-defined]
    for _, layer in stack.outputs:
        if getattr(layer, "d_rest", None):
            sizes.given.setdefault(("width", layer.d_model), NARROW)  # type: ignore[attr-defined]
    small = {run.block: _block(run.block, sizes) for run in _shortest(stack.runs)}
    runs = tuple(Run(small[run.block], min(run.count, MOST_BLOCKS), run.shared) for run in _shortest(stack.runs))
    width = sizes.size("width", stack.d_model)
    before, behind = named(stack.inputs), named(stack.outputs)
    if stack.role == "tower":
        before = tuple(shrink_tower.inputs(before, shrink_tower.grid_of((stack,))))
        behind = tuple(shrink_tower.outputs(stack.outputs, stack.d_model, sizes.size, sizes.layer))
    return with_n_sums(replace(stack, d_model=width, inputs=before, runs=runs, outputs=behind))


def _shortest(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """Drop trailing runs that repeat earlier block structures, but keep the first reuse of a shared block."""
    if any(hasattr(layer, "n_states") for run in runs for part in run.block.sublayers for _, layer in part.layers()):
        return runs  # later layers attend to earlier layers
    signatures = [re.sub(r"\d+", "#", repr(run.block.sublayers)) for run in runs]
    new = [index for index, signature in enumerate(signatures) if signature not in signatures[:index]]
    shared = [{part.share for part in run.block.sublayers if part.share} for run in runs]
    back = [index for index, names in enumerate(shared) if any(names & earlier for earlier in shared[:index])]
    return runs[: max([*new, *back[:1]], default=-1) + 1]


def _block(block: Block, sizes: _Sizes) -> Block:
    return Block(block.name, tuple(_sublayer(sublayer, sizes) for sublayer in block.sublayers))


def _sublayer(sublayer: Sublayer, sizes: _Sizes) -> Sublayer:
    branches = tuple(
        Branch(branch.name, sizes.layer(branch.layer), sizes.maybe(branch.pre), sizes.maybe(branch.post))
        for branch in sublayer.branches
    )
    pre, post, after = (sizes.maybe(norm) for norm in (sublayer.pre, sublayer.post, sublayer.after))
    return replace(sublayer, branches=branches, pre=pre, post=post, after=after)


class _Sizes:
    """Mapping from large to small sizes. Equal sizes with the same role map to the same small size."""

    def __init__(self, divided: bool) -> None:
        self.divided = divided
        self.given: dict[tuple[str, int], int] = {}
        self.taken: set[int] = set()

    def size(self, role: str, value: int) -> int:
        """Return the small size that replaces ``value`` in the given role."""
        if (role, value) not in self.given:
            earlier = sum(1 for other, _ in self.given if other == role)
            pool = POOLS.get(role)
            found = pool[earlier % len(pool)] if pool else self._new_prime()
            self.given[role, value] = found * 2 * HEADS if role == "width" and self.divided else found
        return self.given[role, value]

    def twice(self, width: int) -> None:
        """Make two concatenated streams twice as wide as one stream."""
        self.multiple(width, 2)

    def multiple(self, width: int, times: int) -> None:
        """Make ``times`` concatenated vectors ``times`` as wide as one vector."""
        self.given.setdefault(("width", times * width), times * self.size("width", width))

    def joined(self, tables: list[int], width: int) -> None:
        """Make concatenated table entries as wide as the sum of their widths."""
        if tables:
            small = sum(self.size("width", part) for part in (width, *tables))
            self.given.setdefault(("width", width + sum(tables)), small)

    def _new_prime(self) -> int:
        found = next(n for n in count(11) if n not in self.taken and all(n % d for d in range(2, n)))
        self.taken.add(found)
        return found

    def maybe(self, layer: Layer | None) -> Layer | None:
        """Shrink an optional layer."""
        return None if layer is None else self.layer(layer)

    def layer(self, layer: Layer) -> Layer:
        """Shrink a layer."""
        changes = {name: self._of(layer, name, value) for name, value in _sizes_of(layer)}
        changes |= self._heads(layer, changes) | self._experts(layer, changes) | self._groups(layer, changes)
        return _made(layer, changes | _factors(layer, changes) | _room(layer))

    def _of(self, layer: Layer, name: str, value: int) -> int:
        if value <= 1 or name in AS_THEY_ARE:
            return value
        if name in ("taps", "extra") and not getattr(layer, "padded", True):
            return value
        if name in AT_MOST:
            most = AT_MOST[name]
            return value if value <= most else most - (value - most) % 2  # odd sizes stay odd and thus symmetric
        if name == "d_model" and getattr(layer, "use", "") == "angles":
            return self.size("rotated_head", value)
        if name == "d_in" and getattr(layer, "neighbours", 1) > 1:
            neighbours = int(layer.neighbours)  # type: ignore[attr-defined]
            return neighbours * self.size("width", value // neighbours)
        if name == "d_rest":
            return self.size("width", layer.d_model + value) - self.size("width", layer.d_model)  # type: ignore[attr-defined]
        if name == "d_out" and layer.kind() == "conv" and getattr(layer, "gated", False):
            return 2 * self.size("width", value // 2)  # half of the outputs are gates
        if name in WIDTHS:
            return self.size("width", value)
        if name == "chunk" and not (getattr(layer, "causal", True) or hasattr(layer, "n_hashes")):
            return shrink_tower.WINDOW
        if name == "upsample":
            return value
        if name == "rope_learned":  # one factor per pair
            return self.size("qk_rope_head_dim", 2 * value) // 2
        if hasattr(layer, "grid") and name in ("grid", "window"):
            return shrink_tower.square(layer.grid, value, name)
        if name == "hash_rows":
            return self.size("vocab", value)
        if name in ("n_keys", "n_positions", "n_latents") or (name == "rows" and getattr(layer, "use", "") == "array"):
            return self.size("n_queries", value)
        if name == "rows" and getattr(layer, "use", "tokens") in ("copies", "side_tokens", "prefix", "suffix"):
            if layer.use != "side_tokens":  # type: ignore[attr-defined]
                return value
            return self.size("n_queries" if ("n_queries", value) in self.given else "n_global", value)
        if name == "rows":
            return self.size(POOL_OF_ROWS[getattr(layer, "table", "other")], value)
        return self.size(name, value)

    def _heads(self, layer: Layer, changes: dict[str, int]) -> dict[str, int]:
        """Return sizes that keep query heads a multiple of key heads and rotated widths even."""
        dividing = _divisor_of_the_width(layer)
        if dividing:
            return {dividing: HEADS}
        found: dict[str, int] = {}
        for keys, queries in (("n_kv_heads", "n_heads"), ("n_k_heads", "n_v_heads")):
            if keys in changes and queries in changes:
                few, many = getattr(layer, keys), getattr(layer, queries)
                together = getattr(layer, "HEADS_TOGETHER", 1)
                found[keys] = together * (1 if few == together else self.size("n_kv_heads", few))
                found[queries] = found[keys] * (1 if few == many else self.size("heads_a_key_head_serves", many // few))
        if getattr(layer, "index_heads", None) == getattr(layer, "n_kv_heads", 0) and "n_kv_heads" in found:
            found["index_heads"] = found["n_kv_heads"]
        usual = "rope" if hasattr(layer, "rope_theta") else ""
        if "d_head" in changes and getattr(layer, "positions", usual) == "rope":
            role = "rotated_head" if getattr(layer, "rope_grid", "none") == "none" else "turned_head"
            found["d_head"] = self.size(role, layer.d_head)  # type: ignore[attr-defined]
        if "rotary_dim" in changes:
            head, whole = found.get("d_head", changes["d_head"]), layer.rotary_dim == layer.d_head  # type: ignore[attr-defined]
            found["rotary_dim"] = head if whole else head // 4 * 2
        if "d_head_v" in changes and layer.d_head_v == layer.d_head:  # type: ignore[attr-defined]
            found["d_head_v"] = found.get("d_head", changes["d_head"])
        return found

    def _experts(self, layer: Layer, changes: dict[str, int]) -> dict[str, int]:
        """Return expert counts that leave some experts and groups inactive, unless all were active."""
        if "n_experts" not in changes or "top_k" not in changes:
            return {}
        experts, chosen, groups = (getattr(layer, name, 1) for name in ("n_experts", "top_k", "n_groups"))
        top_k = min(chosen, 2 + chosen % 2)
        if chosen == experts:
            return {"n_experts": top_k, "top_k": top_k, "n_groups": 1, "top_groups": 1}
        if groups == 1:
            return {"n_experts": self.size("n_experts", experts), "top_k": top_k} | (
                {"n_groups": 1, "top_groups": 1} if "n_groups" in changes else {}
            )
        each = self.size("experts_of_a_group", experts // groups)
        return {"n_experts": 3 * each, "top_k": top_k, "n_groups": 3, "top_groups": min(layer.top_groups, 2)}  # type: ignore[attr-defined]

    def _groups(self, layer: Layer, changes: dict[str, int]) -> dict[str, int]:
        """Return sizes that stay consistent with related sizes, such as groups, padded lengths and partial widths."""
        if "padded_to" in changes and "window" in changes:
            return {"window": LOCAL_WINDOW, "padded_to": 2 * LOCAL_WINDOW}
        if "padded_to" in changes and hasattr(layer, "n_hashes"):
            return {"padded_to": prod(POOLS["chunk"]), "padded_above": min(POOLS["chunk"])}
        if "n_random" in vars(layer):
            return {"block": 2, "n_random": 1}  # the minimum for SEQ tokens
        if "d_row" in changes:
            width = self.size("width", layer.d_row + layer.d_column)  # type: ignore[attr-defined]
            return {"n_columns": COLUMNS, "d_row": width // 3, "d_column": width - width // 3}
        if "d_edge" in changes:
            edge = self.size("width", 4 * layer.d_edge + 2 * layer.d_size) // SIDES  # type: ignore[attr-defined]
            return {"d_edge": edge, "d_size": edge}
        if "n_hashes" in changes and "d_out" in changes:
            return {"n_hashes": HEADS}
        if "taps" in changes and hasattr(layer, "merge"):  # a group of tokens, or the neighbours of a token
            return {"taps": layer.merge if layer.taps == layer.merge else 4}  # type: ignore[attr-defined]
        if "d_wave" in changes:
            return {"d_wave": 2}
        if "n_ssm_heads" not in changes:
            return {}
        groups = 1 if layer.n_groups == 1 else 2  # type: ignore[attr-defined]
        return {"n_groups": groups, "n_ssm_heads": 3 * groups}


def _factors(layer: Layer, changes: dict[str, Any]) -> dict[str, Any]:
    """Fit the list of rotary factors to the number of rotated pairs."""
    given = getattr(layer, "rope_factors", "")
    if not given:
        return {}
    width = next(name for name in ("rotary_dim", "qk_rope_head_dim", "d_head") if hasattr(layer, name))
    pairs = changes.get(width, getattr(layer, width)) // 2
    parts = [list(islice(cycle(part.split()), pairs)) for part in given.split("|")]
    return {"rope_factors": " | ".join(map(" ".join, parts))}


def _room(layer: Layer) -> dict[str, Any]:
    """Set the expert capacity high enough that no test token is dropped."""
    if not getattr(layer, "batch_capacity", False):
        return {}
    share = layer.capacity_share  # type: ignore[attr-defined]
    return {"capacity": POOLS["capacity"][0]} if share is None else {"capacity_share": 1.0}


def _divides_the_width(layer: Layer) -> bool:
    """Return whether the stream width is split among heads, sines and cosines (Funnel), or box sides."""
    return bool(_divisor_of_the_width(layer)) or hasattr(layer, "factorized") or hasattr(layer, "d_edge")


def _divisor_of_the_width(layer: Layer) -> str:
    """Return the field that splits the stream width into heads or channel groups, or an empty string."""
    needed = {entry.name for entry in fields(layer) if entry.default is MISSING}
    if any(hasattr(layer, name) for name in ("d_head", "qk_nope_head_dim")):
        return ""
    return next((name for name in ("n_heads", "n_groups") if name in needed), "")


def _made(layer: Layer, changes: dict[str, Any]) -> Layer:
    """Return the layer with changed sizes. Sizes that must be multiples of other sizes are enlarged."""
    try:
        small: Layer = replace(layer, **changes)  # type: ignore[type-var]
    except SizeError as error:
        divisor, dividend = error.field, error.divides
        if not dividend or changes.get(dividend, 0) % changes.get(divisor, 1) == 0:
            raise
        return _made(layer, {**changes, dividend: changes[dividend] * changes[divisor]})
    return small


def _sizes_of(layer: Layer) -> list[tuple[str, int]]:
    """Return the size fields of a layer. Most default values are skipped because their options may be unused."""
    found = ((entry.name, getattr(layer, entry.name), entry.default) for entry in fields(layer))
    return [
        (name, value) for name, value, usual in found if type(value) is int and (value != usual or _large(layer, name))
    ]


def _large(layer: Layer, name: str) -> bool:
    """Return whether a field is shrunk even if it has its default value."""
    return name in LARGE_BY_DEFAULT and bool(getattr(layer, LARGE_BY_DEFAULT[name] or name))
