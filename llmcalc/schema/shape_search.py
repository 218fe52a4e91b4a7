"""Search for model shapes near a target number of parameters, FLOPs per token or bytes.

Proportions follow the published sizes of a family. The width-to-depth ratio is interpolated between the nearest
sizes. Other widths and head counts scale with the stream width. Sizes are rounded to multiples that suit the
hardware before the depth is searched. The parameters, FLOPs or bytes of every candidate are counted exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import pairwise
from math import ceil, inf, lcm, log
from pathlib import Path
from typing import Any

from ..core.architecture import Architecture
from ..core.description.structure import features
from ..core.errors import InputError, SizeError
from ..core.record import by_layer, changed, forget
from . import preset_files
from .overrides import split_override
from .plain_data import mapping_at
from .preset import build_preset, inherit, load_file
from .shapes import Candidate, Design, Rules, Sizes
from .template import resolve

SCALED = ("heads", "hidden")  # roles of sizes that grow with the width
DEPTH, WIDTH, HEADS, KV_HEADS = "n_layers", "d_model", "n_heads", "n_kv_heads"
MOST, MOST_WIDTHS, LEAST_STEP = 5, 48, 8
DEEPEST, MOST_HEADS = 1024, 2**14
MOST_INTERPOLATED = 6  # values of a search before the range is halved
MARGIN = 0.05  # of a ratio, because rounded depths and head counts disturb its order
WIDEST_SPREAD = 1.7  # the search covers widths up to this factor above and below the family's own
KEPT = ("d_head", "d_head_v", "d_state", "d_conv", "d_ssm_head", "d_embedding")
MOST_CHANGED = 1.5  # ratio of the number of key heads, or of the query heads for each, to that of the family
RANK_PARAMETERS = ("tp", "ep", "etp")  # of errors that no other depth avoids, because ranks divide widths
COUNTS = (HEADS, "n_ssm_heads", "n_v_heads")

Measure = Callable[[Architecture], int]


def search(
    name: str,
    target: int,
    measure: Measure,
    rules: Rules | None = None,
    overrides: Sequence[str] = (),
    measure_as: Callable[[Architecture], Measure] | None = None,
) -> Design:
    """Find shapes of a family near ``target``. The value of ``measure`` must increase with every size.

    Sizes that ``overrides`` set do not vary. ``measure_as`` returns the function that measures shapes like a published
    size.
    """  # fmt: skip
    chosen = rules or Rules()
    family = _Family(name, measure, tuple(overrides))
    family.measure = measure_as(family.models[family.base(target)]) if measure_as else measure
    found = family.candidates(target, chosen)
    if not found:
        published = family.values.values()
        hint = f"its published sizes range from {min(published):,} to {max(published):,}"
        raise InputError(f"no shape of {family.name} satisfies the rules", where="design", hint=hint)
    relaxed = (
        (f"widths in multiples of {chosen.multiple}", changed(chosen, multiple=1)),
        (f"heads on {chosen.ranks} ranks", changed(chosen, ranks=1)),
        ("the family's ratio of width to depth", changed(chosen, shaped=False)),
    )
    different = [(label, other) for label, other in relaxed if other != chosen]
    without = tuple(
        (label, _sorted([*family.candidates(target, other, 1)[:1], found[0]], other)[0]) for label, other in different
    )
    near = abs(found[0].off) <= chosen.within
    base = family.models[family.base(target)]
    unscaled = tuple(_unscaled(base, found[0].architecture))
    return Design(family.name, base.name, target, chosen, tuple(found[:MOST]), near, without, unscaled=unscaled)


def _unscaled(base: Architecture, scaled: Architecture) -> Iterator[str]:
    """Yield the hidden widths and numbers of heads that are the same in a model of another width."""
    if _is_near(scaled.main.d_model, base.main.d_model):
        return
    own, other = features(base.main), features(scaled.main)
    for key, feature in own.items():
        if feature.role in SCALED and key in other and feature.values.keys() == other[key].values.keys():
            yield f"{key.field} {' or '.join(map(str, feature.values))}"


class _Family:
    """Published sizes of a preset, and candidate shapes with similar proportions."""

    def __init__(self, name: str, measure: Measure, overrides: tuple[str, ...] = ()) -> None:
        self.file, only = (name, None) if name.endswith((".yaml", ".yml")) else preset_files.find(name)[:2]
        self.name, self.measure, self.overrides = Path(self.file).stem, measure, overrides
        data = inherit(preset_files.read_preset(self.file), self.file).data
        sizes: dict[str | None, Any] = dict(mapping_at(data, "sizes").items()) or {None: {}}
        self.variables = {
            size: {**mapping_at(data, "variables"), **(sizes[size] or {})} for size in sizes if only in (None, size)
        }
        given = dict(map(split_override, overrides))
        self.fixed = given.keys() & {variable for own in self.variables.values() for variable in own}
        if WIDTH in self.fixed:
            raise InputError(f"cannot set {WIDTH}, which varies", parameter="overrides", hint="omit it")
        for own in self.variables.values():
            own |= {variable: given[variable] for variable in self.fixed & own.keys()}
        self.models = {size: load_file(self.file, size, overrides) for size in self.variables}
        self.values = {size: measure(model) for size, model in self.models.items()}
        if not all(self.values.values()):
            text = f"the quantity is 0 for the published sizes of {self.name}"
            raise InputError(text, where="design", hint="choose another target or family")
        self.known = {size: resolve(own) for size, own in self.variables.items()}
        self.depths: dict[int, int] = {}  # of shapes, by width
        self.layers: tuple[int, dict[str, Any]] = (0, {})  # width of the last shape, and the values of its layers
        self.built: dict[Any, Any] = {}  # layers of the last width by their descriptions
        self.undividable: set[tuple[str | None, tuple[tuple[str, int], ...]]] = set()  # sizes without the depth
        self.measured: dict[tuple[str | None, tuple[tuple[str, int], ...]], tuple[Architecture, int] | None] = {}
        if not all(WIDTH in own for own in self.variables.values()) or not self.variables:
            raise InputError(f"{self.name} has no {WIDTH} variable to vary", where="design", hint="use another family")

    def base(self, target: int) -> str | None:
        """Return the published size nearest to the target."""
        return min(self.values, key=lambda size: abs(log(self.values[size] / target)))

    def candidates(self, target: int, rules: Rules, most: int = MOST) -> list[Candidate]:
        """Return the ``most`` best shapes within tolerance and others, or all shapes if none is within tolerance.

        They are ordered from best to worst.
        """
        base, wanted = self.base(target), self._proportion(target)
        widths = list(self._widths(base, target, rules))

        def shape(number: int) -> Candidate | None:
            return next(self._shapes(base, widths[number], target, wanted), None)

        every = map(shape, range(len(widths)))
        is_ordered = all(old[name] <= new[name] for old, new in pairwise(widths) for name in old)
        chosen = _most_usual(len(widths), shape, wanted, rules, most) if rules.shaped and is_ordered else every
        return _sorted(sorted(filter(None, chosen), key=lambda found: found.sizes[WIDTH]), rules)

    def _proportion(self, target: int) -> float:
        """Return the width-to-depth ratio, interpolated logarithmically and constant outside the published range."""
        depths = {size: own[DEPTH] if isinstance(own.get(DEPTH), int) else 1 for size, own in self.known.items()}
        points = sorted((self.values[size], own[WIDTH] / depths[size]) for size, own in self.known.items())
        below = [point for point in points if point[0] <= target][-1:] or points[:1]
        above = [point for point in points if point[0] >= target][:1] or points[-1:]
        (low, first), (high, last) = below[0], above[0]
        share = log(target / low) / log(high / low) if high > low else 0.0
        return float(first ** (1 - share) * last**share)

    def _widths(self, base: str | None, target: int, rules: Rules) -> Iterator[Sizes]:
        """Return the candidate widths and the sizes that depend on each width."""
        own, known = self.variables[base], self.known[base]
        step = lcm(rules.multiple, _head_width(known), LEAST_STEP)
        growth = (target / self.values[base]) ** (1 / 3)
        low, high = known[WIDTH] * growth / WIDEST_SPREAD, known[WIDTH] * growth * WIDEST_SPREAD
        step *= max(1, int((high - low) / step / MOST_WIDTHS))
        for width in range(max(step, int(low) // step * step), int(high) + step, step):
            sizes = _scaled(own, known, width, rules, self.fixed)
            if sizes:
                yield sizes

    def _shapes(self, base: str | None, sizes: Sizes, target: int, wanted: float) -> Iterator[Candidate]:
        """Return the candidate with the best depth, or with the current depth if the depth is not a variable."""
        if DEPTH in self.fixed or not isinstance(self.variables[base].get(DEPTH), int):
            yield from self._candidate(base, sizes, target, wanted)
            return

        def value(depth: int) -> int:
            found = self._model(base, sizes | {DEPTH: depth})
            return found[1] if found else 0  # sizes that are incompatible, as are those of 0 layers

        likely, is_likely = self._likely_depth(base, sizes[WIDTH])
        if not value(likely) and not value(int(self.known[base][DEPTH])):
            return  # incompatible at any depth, because the family's own depth is possible
        low, high = neighbours(value, target, DEEPEST, likely, is_likely)
        found = [shape for depth in filter(None, (low, high))
                 for shape in self._candidate(base, {DEPTH: depth, **sizes}, target, wanted)]  # fmt: skip
        if found:
            self.depths[sizes[WIDTH]] = high
            yield min(found, key=lambda shape: abs(shape.off))

    def _likely_depth(self, base: str | None, width: int) -> tuple[int, bool]:
        """Return the depth that follows from those of the two nearest widths by a power law, and whether they agree."""
        nearest = sorted(self.depths.items(), key=lambda shape: abs(log(shape[0] / width)))[:2]
        if not nearest:
            return int(self.known[base][DEPTH]), False
        (first, depth), (other, other_depth) = nearest[0], nearest[-1]
        power = log(depth / other_depth) / log(first / other) if first != other else -2
        likely = min(max(round(depth * (width / first) ** power), 1), DEEPEST)
        return likely, likely == depth == other_depth

    def _candidate(self, base: str | None, sizes: Sizes, target: int, wanted: float) -> Iterator[Candidate]:
        found = self._model(base, sizes)
        if found:
            model, value = found
            depth = sizes.get(DEPTH, self.known[base].get(DEPTH))
            ratio = sizes[WIDTH] / (depth if isinstance(depth, int) else 1)
            yield Candidate(sizes, model, value, value / target - 1, ratio, abs(log(ratio / wanted)), self.overrides)

    def _model(self, base: str | None, sizes: Sizes) -> tuple[Architecture, int] | None:
        """Return a model with the given sizes and the measured value, or None if the sizes are incompatible."""
        key = base, tuple(sorted(sizes.items()))
        widths = base, tuple(size for size in key[1] if size[0] != DEPTH)
        if widths in self.undividable:
            return None
        if key not in self.measured:
            try:
                changes = [f"{name}={size}" for name, size in sizes.items()]
                data = preset_files.read_preset(self.file)  # errors need no location, because they are not shown
                if self.layers[0] != sizes[WIDTH]:
                    self.built.clear()  # layers of other widths are not needed again
                model = build_preset(data, base, [*self.overrides, *changes], self.file, self.built)
                if self.layers[0] == sizes[WIDTH]:
                    model.__dict__.update(self.layers[1])
                self.measured[key] = model, self.measure(model)
                self.layers = sizes[WIDTH], by_layer(model)
                forget(model)  # hundreds of shapes are measured
            except SizeError as error:
                self.measured[key] = None
                if error.parameter in RANK_PARAMETERS:
                    self.undividable.add(widths)
        return self.measured[key]


def neighbours(
    value: Callable[[int], int], target: int, most: int, guess: int = 1, is_likely: bool = False
) -> tuple[int, int]:
    """Return two consecutive numbers up to ``most`` such that only the value of the second reaches ``target``.

    If no value reaches the target, the numbers are the last ones. Values grow almost linearly, so a few interpolations
    are enough. Otherwise, the range is bisected. A number close to the result, ``guess``, saves some of them. If it is
    likely, the number below is tried next. A value of 0 is one that no number close by changes.

    >>> neighbours(lambda number: 7 * number + 3, 100, 1024), neighbours(lambda number: number**3, 1000, 1024)
    ((13, 14), (9, 10))
    >>> neighbours(lambda number: 0, 1000, 1024)
    (1023, 1024)
    """
    (low, below), (high, above), tried = (0, 0), (guess, value(guess)), 0
    while above < target and high < most:
        steps = (target - above) * (high - low) / (above - below) if above > below else high if above else most
        tried += 1
        step = max(ceil(min(steps, most)), 1 if tried < MOST_INTERPOLATED else high)
        low, below, high = high, above, min(high + step, most)
        above = value(high)
    if above < target:
        return high - 1, high
    while high - low > 1:
        share = (target - below) / (above - below) if above > below and tried < MOST_INTERPOLATED else 0.5
        middle = min(max(low + int(share * (high - low)), low + 1), high - 1) if tried or not is_likely else high - 1
        tried += 1
        found = value(middle)
        if found < target:
            low, below = middle, found
        else:
            high, above = middle, found
    return low, high


def _most_usual(
    count: int, shape: Callable[[int], Candidate | None], wanted: float, rules: Rules, most: int
) -> Iterator[Candidate | None]:
    """Yield the shapes of ``count`` widths, from the usual proportions outwards, until ``most`` are within tolerance.

    If all sizes grow with the width, so does the ratio of width to depth. The other widths are then less usual.
    """
    near: list[float] = []
    left, right = count // 2, count // 2 - 1  # the range of widths so far, which is empty at first
    lowest = highest = 0.0  # ratios at its ends, relative to the usual one
    while left > 0 or right < count - 1:
        if len(near) >= most and sorted(near)[most - 1] + MARGIN < min(
            highest if right < count - 1 else inf, -lowest if left > 0 else inf
        ):
            return
        is_below = right == count - 1 or (left > 0 and highest >= 0 and (lowest > 0 or -lowest < highest))
        left, right = (left - 1, right) if is_below else (left, right + 1)
        found = shape(left if is_below else right)
        yield found
        if found is None:
            continue
        ratio = log(found.proportion / wanted)
        near += [found.unusual] if abs(found.off) <= rules.within else []
        if lowest == highest == 0:
            lowest = highest = ratio
        lowest, highest = (ratio, highest) if is_below else (lowest, ratio)


def _sorted(found: list[Candidate], rules: Rules) -> list[Candidate]:
    """Sort the candidates within tolerance, or all candidates if there are none, by proportions or by deviation."""
    near = [shape for shape in found if abs(shape.off) <= rules.within]
    if near and rules.shaped:
        return sorted(near, key=lambda shape: (shape.unusual, abs(shape.off)))
    return sorted(near or found, key=lambda shape: (abs(shape.off), shape.unusual))


def _scaled(
    own: dict[str, Any], known: dict[str, Any], width: int, rules: Rules, fixed: Collection[str] = ()
) -> Sizes | None:
    """Return the integer sizes for a stream width, or None if the heads do not divide evenly among ranks."""
    growth = width / known[WIDTH]
    sizes = {WIDTH: width}
    for name, size in own.items():
        if type(size) is not int or name in (WIDTH, DEPTH, KV_HEADS, *KEPT, *fixed):
            continue
        if name == HEADS and _head_width(known) > 1:
            sizes[name] = width // _head_width(known)
        elif name in COUNTS:
            sizes[name] = _rounded(size * growth, rules.ranks)
        elif name.startswith("d_"):
            sizes[name] = _rounded(size * growth, rules.multiple if size >= rules.multiple else 1)
    heads = known[HEADS] if HEADS in fixed else sizes.get(HEADS)
    if heads and heads > MOST_HEADS:
        return None
    if heads and isinstance(own.get(KV_HEADS), int) and KV_HEADS not in fixed:
        kv_heads, ranks = own[KV_HEADS], rules.ranks
        growth = heads / known[HEADS]
        divisors = [
            number
            for number in range(1, heads + 1)
            if heads % number == 0 and any(_is_near(number, kv_heads * factor) for factor in (1, growth))
        ]  # about as many as in the family, or about as many query heads for each
        if not divisors:
            return None
        nearest = min(divisors, key=lambda number: (number % min(ranks, number) != 0, abs(log(number / kv_heads))))
        sizes[KV_HEADS] = heads if kv_heads == known[HEADS] else nearest
    if heads and heads % rules.ranks:
        return None
    return sizes


def _is_near(size: float, other: float) -> bool:
    return 1 / MOST_CHANGED < size / other < MOST_CHANGED


def _head_width(known: dict[str, Any]) -> int:
    """Return the head width if the heads split the residual stream, or 1 otherwise."""
    heads = known.get(HEADS)
    return known[WIDTH] // heads if "d_head" not in known and type(heads) is int else 1


def _rounded(size: float, multiple: int) -> int:
    return max(multiple, round(size / multiple) * multiple)
