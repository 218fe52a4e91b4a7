"""Shapes for a target: sizes of a family's kind that have so many parameters, FLOPs a token or bytes.

The shape rules are those of the family's own published sizes: width against depth as between its nearest sizes, the
feed-forward width, the heads and the other widths in proportion to the residual stream, everything else as it is. Sizes
are then rounded to what hardware likes, and the depth is searched for; every candidate is counted exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import lcm, log
from pathlib import Path
from typing import Any

from ..core.architecture import Architecture
from ..core.errors import InputError, SizeError
from ..core.record import record
from ..schema import catalogue
from ..schema.inherit import inherit
from ..schema.plain_data import mapping_at
from ..schema.preset import load_file
from ..schema.template import resolve

DEPTH, WIDTH, HEADS, KV_HEADS = "n_layers", "d_model", "n_heads", "n_kv_heads"
MULTIPLE = 128  # of widths, as tiles of matrix units are at most
RANKS = 8  # accelerators of a usual node: heads divide among them
WITHIN = 0.02  # of the target
MOST = 5
MOST_WIDTHS, LEAST_STEP = 48, 8
DEEPEST = 1024
WIDEST_SPREAD = 1.7  # widths are tried up to this factor from what the family would take
KEPT = ("d_head", "d_head_v", "d_state", "d_conv", "d_ssm_head", "d_embedding")
COUNTS = (HEADS, "n_ssm_heads", "n_v_heads")

Measure = Callable[[Architecture], int]
Sizes = dict[str, int]


@record
class Rules:
    """What a shape must keep.

    Attributes:
        multiple: widths are multiples of this.
        ranks: heads divide among so many tensor-parallel ranks.
        within: how far from the target a shape may be, as a part of it.
        shaped: width against depth as in the family; otherwise whatever comes nearest to the target.
    """

    multiple: int = MULTIPLE
    ranks: int = RANKS
    within: float = WITHIN
    shaped: bool = True


@record
class Candidate:
    """A shape: its sizes, the model, what it measures, and how far that and its proportions are off."""

    sizes: Sizes
    architecture: Architecture
    value: int
    off: float
    proportion: float
    unusual: float

    @property
    def overrides(self) -> list[str]:
        """The words that make the model out of its family."""
        return [f"{name}={size}" for name, size in self.sizes.items()]


@record
class Design:
    """Candidates, best first, and what each rule costs: the best that there is without it.

    ``near``: they are within what the rules allow; otherwise they are the nearest that there are.
    """

    family: str
    base: str
    target: int
    rules: Rules
    candidates: tuple[Candidate, ...]
    near: bool
    without: tuple[tuple[str, Candidate], ...]


def design(name: str, target: int, measure: Measure, rules: Rules | None = None) -> Design:
    """Shapes of a family that measure ``target``.

    Args:
        name: a preset family, or one of its models.
        target: what is wanted, in the unit of the measure.
        measure: what a shape has: such as ``lambda model: params(model).total``. It grows with every size.
        rules: what a shape must keep.

    Raises:
        InputError: the family has no width to vary, or no shape keeps the rules.
    """
    chosen = rules or Rules()
    family = _Family(name, measure)
    found = family.candidates(target, chosen)
    if not found:
        raise InputError(f"no shape of {family.name} keeps the rules", where="design", hint=family.reach())
    relaxed = (
        (f"widths in multiples of {chosen.multiple}", Rules(1, chosen.ranks, chosen.within, chosen.shaped)),
        (f"heads on {chosen.ranks} ranks", Rules(chosen.multiple, 1, chosen.within, chosen.shaped)),
        ("width against depth as in the family", Rules(chosen.multiple, chosen.ranks, chosen.within, False)),
    )
    different = [(label, other) for label, other in relaxed if other != chosen]
    without = tuple(
        (label, _sorted([*family.candidates(target, other)[:1], found[0]], other)[0]) for label, other in different
    )
    near = abs(found[0].off) <= chosen.within
    return Design(family.name, family.nearest(target).name, target, chosen, tuple(found[:MOST]), near, without)


class _Family:
    """The sizes of a preset, and shapes like them."""

    def __init__(self, name: str, measure: Measure) -> None:
        self.file, only = catalogue.find(name)
        self.name, self.measure = self.file.stem, measure
        data = inherit(catalogue.read_preset(self.file), self.file).data
        sizes = mapping_at(data, "sizes")
        self.variables = {
            size: {**mapping_at(data, "variables"), **mapping_at(sizes, size)} for size in sizes if only in (None, size)
        }
        self.models = {size: load_file(self.file, size) for size in self.variables}
        self.values = {size: measure(model) for size, model in self.models.items()}
        self.known = {size: resolve(own) for size, own in self.variables.items()}
        self.measured: dict[tuple[str, tuple[tuple[str, int], ...]], tuple[Architecture, int] | None] = {}
        if not all(WIDTH in own for own in self.variables.values()) or not self.variables:
            raise InputError(f"{self.name} has no variable {WIDTH} to vary", where="design", hint="give another family")

    def reach(self) -> str:
        """Which sizes there are, for an error."""
        return f"its sizes measure {min(self.values.values()):,} to {max(self.values.values()):,}"

    def nearest(self, target: int) -> Architecture:
        """The published size that is nearest to the target."""
        return self.models[self._base(target)]

    def _base(self, target: int) -> str:
        return min(self.values, key=lambda size: abs(log(self.values[size] / target)))

    def candidates(self, target: int, rules: Rules) -> list[Candidate]:
        """Shapes near the target, best first; the nearest if nothing is near enough."""
        base = self._base(target)
        wanted = self._proportion(target)
        found = [
            shape for sizes in self._widths(base, target, rules) for shape in self._shapes(base, sizes, target, wanted)
        ]
        return _sorted(found, rules)

    def _proportion(self, target: int) -> float:
        """Width over depth, between the two nearest sizes on a logarithmic scale; as at its end beyond them."""
        points = sorted((self.values[size], self._ratio(own)) for size, own in self.known.items())
        below = [point for point in points if point[0] <= target][-1:] or points[:1]
        above = [point for point in points if point[0] >= target][:1] or points[-1:]
        (low, first), (high, last) = below[0], above[0]
        share = log(target / low) / log(high / low) if high > low else 0.0
        return float(first ** (1 - share) * last**share)

    def _ratio(self, own: dict[str, Any]) -> float:
        depth = own.get(DEPTH)
        return float(own[WIDTH] / (depth if isinstance(depth, int) else 1))

    def _widths(self, base: str, target: int, rules: Rules) -> Iterator[Sizes]:
        """Every width that is tried, with the sizes that follow from it."""
        own, known = self.variables[base], self.known[base]
        step = lcm(rules.multiple, _head_width(known), LEAST_STEP)
        growth = (target / self.values[base]) ** (1 / 3)
        low, high = known[WIDTH] * growth / WIDEST_SPREAD, known[WIDTH] * growth * WIDEST_SPREAD
        step *= max(1, int((high - low) / step / MOST_WIDTHS))
        for width in range(max(step, int(low) // step * step), int(high) + step, step):
            sizes = _scaled(own, known, width, rules)
            if sizes:
                yield sizes

    def _shapes(self, base: str, sizes: Sizes, target: int, wanted: float) -> Iterator[Candidate]:
        """The depth that comes nearest to the target; the depth as it is where it is no variable."""
        if not isinstance(self.variables[base].get(DEPTH), int):
            yield from self._candidate(base, sizes, target, wanted)
            return
        low, high = 0, 1
        while high < DEEPEST and self._value(base, sizes | {DEPTH: high}) < target:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._value(base, sizes | {DEPTH: middle}) < target else (low, middle)
        found = [shape for depth in filter(None, (low, high))
                 for shape in self._candidate(base, {DEPTH: depth, **sizes}, target, wanted)]  # fmt: skip
        yield from sorted(found, key=lambda shape: abs(shape.off))[:1]

    def _value(self, base: str, sizes: Sizes) -> int:
        """What a shape measures; 0 where sizes do not go together, as fewer layers than dense ones do not."""
        found = self._model(base, sizes)
        return found[1] if found else 0

    def _candidate(self, base: str, sizes: Sizes, target: int, wanted: float) -> Iterator[Candidate]:
        found = self._model(base, sizes)
        if found:
            model, value = found
            ratio = sizes[WIDTH] / sizes.get(DEPTH, 1)
            yield Candidate(sizes, model, value, value / target - 1, ratio, abs(log(ratio / wanted)))

    def _model(self, base: str, sizes: Sizes) -> tuple[Architecture, int] | None:
        """The model of these sizes and what it measures; None if they do not go together."""
        key = base, tuple(sorted(sizes.items()))
        if key not in self.measured:
            try:
                model = load_file(Path(self.file), base, [f"{name}={size}" for name, size in sizes.items()])
                self.measured[key] = model, self.measure(model)
            except SizeError:
                self.measured[key] = None
        return self.measured[key]


def _sorted(found: list[Candidate], rules: Rules) -> list[Candidate]:
    """Best first: of those near enough, the one that is shaped as the family; otherwise the nearest."""
    near = [shape for shape in found if abs(shape.off) <= rules.within]
    if near and rules.shaped:
        return sorted(near, key=lambda shape: (shape.unusual, abs(shape.off)))
    return sorted(near or found, key=lambda shape: (abs(shape.off), shape.unusual))


def _scaled(own: dict[str, Any], known: dict[str, Any], width: int, rules: Rules) -> Sizes | None:
    """The sizes that go with a width: those that follow by an expression are left to it. None: heads don't divide."""
    growth = width / known[WIDTH]
    sizes = {WIDTH: width}
    for name, size in own.items():
        if type(size) is not int or name in (WIDTH, DEPTH, KV_HEADS, *KEPT):
            continue
        if name == HEADS and _head_width(known) > 1:
            sizes[name] = width // _head_width(known)
        elif name in COUNTS:
            sizes[name] = _rounded(size * growth, rules.ranks)
        elif name.startswith("d_"):
            sizes[name] = _rounded(size * growth, rules.multiple if size >= rules.multiple else 1)
    heads = sizes.get(HEADS)
    if heads and isinstance(own.get(KV_HEADS), int):
        sizes[KV_HEADS] = _shared(heads, own[KV_HEADS], known.get(HEADS, 0), rules.ranks)
    if heads and heads % rules.ranks:
        return None
    return sizes


def _head_width(known: dict[str, Any]) -> int:
    """The width of a head where it is the stream's, divided; 1 where heads have their own width, or there are none."""
    heads = known.get(HEADS)
    return known[WIDTH] // heads if "d_head" not in known and type(heads) is int else 1


def _rounded(size: float, multiple: int) -> int:
    return max(multiple, round(size / multiple) * multiple)


def _shared(heads: int, kv_heads: int, of: int, ranks: int) -> int:
    """Key/value heads: as many as query heads if it was so; else as before, or the nearest number that divides."""
    if kv_heads == of:
        return heads
    return min(_divisors(heads), key=lambda number: (number % min(ranks, number) != 0, abs(log(number / kv_heads))))


def _divisors(number: int) -> Iterable[int]:
    return [size for size in range(1, number + 1) if number % size == 0]
