"""Small versions of architectures with distinct prime sizes, so that tests detect swapped axes.

Equal sizes with the same role, such as the widths in a stack, stay equal. All other sizes differ. The structure
is preserved, including the order of blocks, head ratios, groups, windows shorter than the test sequence, tied
tensors, shared blocks, and every field that is not a size.

Each layer kind maps one or more fields to each rule in ``SHRINK``. A rule consists of words:

    ``keep``            the size is unchanged
    ``related``         ``Layer.shrink_related`` sets the size
    ``at most 4``       a larger size becomes 4, or 3 if the size is odd, so that symmetric sizes stay symmetric
    ``7 11 13``         the size becomes the next of these numbers, or the only one, as in ``3``
    ``vocab 97 101``    same as above, in the role ``vocab`` (equal sizes in this role stay equal across fields)
    ``width``           the size becomes a new prime in the role ``width``
    ``always ...``      the rule also applies to the default value
    ``... if gated``    the rule applies only if the field ``gated`` is set

A field without a rule has a separate role and becomes a new prime. Default values are unchanged unless the rule
contains ``always``, because the option may be unused. ``Layer.shrink_field`` and ``Layer.shrink_related``
handle sizes that depend on other fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from itertools import count
from math import lcm
from typing import Any, ClassVar

from . import shrink_tower
from .architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from .errors import SizeError
from .layer import Layer
from .layer_history import with_n_sums
from .ledger import entries
from .part import Part
from .record import changed, fields

SEQ = 15  # test tokens: a multiple of every chunk, longer than every window, shorter than every position table
MOST_BLOCKS = 2  # consecutive equal blocks
WIDTH = "width"  # role of the widths of residual streams and of projections to them


def shrink(architecture: Architecture, width_multiple: int = 1) -> Architecture:
    """Return a copy of the architecture with fewer blocks, small sizes and no published figures.

    Widths are multiples of ``width_multiple`` and of the number that each layer requires.
    """
    sizes = Sizes(lcm(width_multiple, *(entry.layer.width_multiple() for entry in entries(architecture))))
    for entry in entries(architecture):
        entry.layer.reserve_sizes(sizes, entry.stack.d_model)
    stacks = tuple(_stack(stack, sizes) for stack in architecture.stacks)
    emptied: dict[str, Any] = dict.fromkeys(("extras", "expect", "notes", "remarks", "unmodelled"), ())
    return replace(architecture, name=f"{architecture.name} (shrunk)", stacks=stacks, **emptied)


def _stack(stack: Stack, sizes: Sizes) -> Stack:
    def named(layers: Iterable[Named]) -> tuple[Named, ...]:
        return tuple(Named(name, sizes.layer(layer)) for name, layer in layers)

    sizes.concatenate(stack.d_model, stack.d_model)
    sizes.concatenate(stack.d_model, *filter(None, (layer.concatenated_width() for _, layer in stack.inputs)))
    small = {run.block: _block(run.block, sizes) for run in _shortest(stack.runs)}
    runs = tuple(Run(small[run.block], min(run.count, MOST_BLOCKS), run.shared) for run in _shortest(stack.runs))
    width = sizes.width(stack.d_model)
    before, behind = named(stack.inputs), named(stack.outputs)
    if stack.role == "tower":
        before = tuple(shrink_tower.inputs(before, shrink_tower.grid_of((stack,))))
        behind = tuple(shrink_tower.outputs(stack.outputs, stack.d_model, sizes.width, sizes.layer))
    return with_n_sums(replace(stack, d_model=width, inputs=before, runs=runs, outputs=behind))


def _shortest(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """Drop trailing runs that repeat earlier block structures, but keep the first reuse of a shared block."""
    if any(layer.READS_EARLIER_LAYERS for run in runs for _, layer in run.block.layers()):
        return runs
    signatures = [re.sub(r"\d+", "#", repr(run.block.sublayers)) for run in runs]
    new = [index for index, signature in enumerate(signatures) if signature not in signatures[:index]]
    shared = [{part.share for part in run.block.sublayers if part.share} for run in runs]
    back = [index for index, names in enumerate(shared) if any(names & earlier for earlier in shared[:index])]
    return runs[: max([*new, *back[:1]], default=-1) + 1]


def _block(block: Block, sizes: Sizes) -> Block:
    return Block(block.name, tuple(_sublayer(sublayer, sizes) for sublayer in block.sublayers))


def _sublayer(sublayer: Sublayer, sizes: Sizes) -> Sublayer:
    branches = tuple(
        Branch(branch.name, sizes.layer(branch.layer), sizes.maybe(branch.pre), sizes.maybe(branch.post))
        for branch in sublayer.branches
    )
    pre, post, after = (sizes.maybe(norm) for norm in (sublayer.pre, sublayer.post, sublayer.after))
    return replace(sublayer, branches=branches, pre=pre, post=post, after=after)


class Sizes:
    """Mapping from original to small sizes. Equal sizes with the same role map to the same small size."""

    N_PARTS: ClassVar[int] = 3  # number of equal parts (heads, groups) of a stream that a layer kind splits
    SQUARE: ClassVar[int] = shrink_tower.SQUARE[0]  # patches along each side of a square test image
    PATCH_WINDOW: ClassVar[int] = shrink_tower.WINDOW  # patches that a vision encoder merges or that form a window

    def __init__(self, width_multiple: int = 1) -> None:
        self.width_multiple = width_multiple
        self.given: dict[tuple[str, int], int] = {}
        self.taken: set[int] = set()

    def size(self, role: str, value: int, *pool: int) -> int:
        """Return the small size for ``value`` in the given role. A new size is the next number in ``pool`` or a new
        prime.
        """
        if (role, value) not in self.given:
            found = pool[sum(1 for other, _ in self.given if other == role) % len(pool)] if pool else self._new_prime()
            self.given[role, value] = found * self.width_multiple if role == WIDTH else found
        return self.given[role, value]

    def width(self, value: int) -> int:
        """Return the small size for a width of the residual stream."""
        return self.size(WIDTH, value)

    def concatenate(self, *widths: int) -> None:
        """Set the small width of concatenated vectors to the sum of their small widths."""
        if len(widths) > 1:
            self.set_width(sum(widths), sum(map(self.width, widths)))

    def set_width(self, value: int, small: int) -> None:
        """Set the small size of a width, unless the width already has one."""
        self.given.setdefault((WIDTH, value), small)

    def has(self, role: str, value: int) -> bool:
        """Return whether ``value`` already has a small size in the given role."""
        return (role, value) in self.given

    def by_rule(self, rule: str, field: str, value: int) -> int:
        """Return the small size of a field according to a rule."""
        words = rule.removeprefix("always").split()
        if words in (["keep"], ["related"]):
            return value
        if words[:2] == ["at", "most"]:
            most = int(words[2])
            return value if value <= most else most - (value - most) % 2
        role = words.pop(0) if words and not words[0].isdecimal() else field
        return self.size(role, value, *map(int, words))

    def _new_prime(self) -> int:
        found = next(n for n in count(11) if n not in self.taken and all(n % d for d in range(2, n)))
        self.taken.add(found)
        return found

    def maybe(self, layer: Layer | None) -> Layer | None:
        """Shrink an optional layer."""
        return None if layer is None else self.layer(layer)

    def layer(self, layer: Layer) -> Layer:
        """Shrink a layer."""
        small = self._fields(layer)
        return _made(layer, small | layer.shrink_related(self, small))

    def _fields(self, part: Part) -> dict[str, Any]:
        """Return the small sizes and small parts of a layer or part, excluding unchanged defaults."""
        found: dict[str, Any] = {}
        known = rules(type(part))  # type: ignore[arg-type]
        for name, kind, usual in fields(part):
            value, rule = getattr(part, name), known.get(name, "")
            if isinstance(value, Part):
                found[name] = changed(value, **self._fields(value))
            elif type(value) is int and kind.startswith("int") and (value != usual or rule.startswith("always")):
                found[name] = self._size(part, name, value, rule)
        return found

    def _size(self, part: Part, name: str, value: int, rule: str) -> int:
        rule, _, condition = rule.partition(" if ")
        if value <= 1 or (condition and not getattr(part, condition)):
            return value
        found = part.shrink_field(name, self)
        return self.by_rule(rule, name, value) if found is None else found


@cache
def rules(kind: type[Part]) -> dict[str, str]:
    """Return the rules for the fields of a layer kind or part, including those of its base classes."""
    tables = (vars(base).get("SHRINK", {}) for base in reversed(kind.__mro__))
    return {name: rule for table in tables for names, rule in table.items() for name in names.split()}


def _made(layer: Layer, changes: dict[str, Any]) -> Layer:
    """Return the layer with changed sizes. A size that violates a divisibility constraint is increased."""
    try:
        return changed(layer, **changes)
    except SizeError as error:
        divisor, dividend = error.field, error.divides
        if not dividend or changes.get(dividend, 0) % changes.get(divisor, 1) == 0:
            raise
        return _made(layer, {**changes, dividend: changes[dividend] * changes[divisor]})
