"""Small sizes for layers of text kinds, chosen so that all divisions in the definition are exact."""

from __future__ import annotations

from collections.abc import Iterator
from math import lcm
from typing import TYPE_CHECKING, Any

from ..equation import read
from ..expression import parse, subtrees
from .text_definition import TextKind, size_of, window_of

if TYPE_CHECKING:
    from ..shrink import Sizes
    from .text_kind import TextLayer

WIDTH = "d_model"
PARTS = 12  # multiple of the width if a field divides it: an even number of channels for 1, 2, 3 or 6 heads
MOST_PARTS = 64  # larger constant divisors of the width are ignored
RATIOS = (2, 3, 5)
WINDOWS, CHUNKS, ROTATED = "window 7 11 13 5", "5 3", "rotated 10 14 22 26 34"


def width_multiple(kind: TextKind) -> int:
    """Return a divisor that the small stream width must have so that divisions of the width are exact."""
    divisors = [divisor for dividend, divisor in _divisions(kind) if WIDTH in dividend]
    constants = [int(text) for text in divisors if text.isdecimal() and int(text) <= MOST_PARTS]
    return lcm(*constants, *([PARTS] if any(not text.isdecimal() for text in divisors) else []))


def shrink_rules(kind: TextKind) -> dict[str, str]:
    """Return a rule for each integer field. The rules make sizes small and masks shorter than the test sequence."""
    rules = {field.name: "always" for field in kind.fields if field.type == "int" and field.name != WIDTH}
    for axis in kind.axes:
        window = window_of(axis.length)
        rules |= {field: f"always {WINDOWS}" for field in (window, _field_of(kind, window)) if field in rules}
    mask, width = kind.mask
    if width in rules:
        rules[width] = f"always {WINDOWS if mask == 'window' else CHUNKS}"
    for equation in map(read, kind.equations):
        if equation.function == "rope" and (field := _field_of(kind, equation.out.axes[-1])) in rules:
            rules[field] = f"always {ROTATED}"
    return rules


def shrink_related(layer: TextLayer, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
    """Return small sizes that preserve divisibility. Derived sizes are recomputed from the small sizes."""
    kind, own = layer.definition, layer.integers()
    found: dict[str, Any] = {}
    for dividend, divisor in _divisions(kind):
        if divisor in own and own[divisor] > 1:
            found[divisor] = sizes.N_PARTS
            found |= {name: sizes.N_PARTS * small[name] for name in dividend if name in small and name != WIDTH}
    for inner, outer in _selections(kind):
        few, many = own[inner], own[outer]
        if few == many:
            found[inner] = found.setdefault(outer, small.get(outer, many))
        elif outer in found:  # heads that divide the width
            found |= {outer: 2 * sizes.N_PARTS, inner: 1 if few == 1 else 2}
        else:
            found[inner] = 1 if few == 1 else small[inner]
            found[outer] = found[inner] * sizes.size("entries per group", many // few, *RATIOS)
    for field in layer.derived:
        if own[field.name] == size_of(field.name, str(field.default), own):
            found[field.name] = None
    return found


def _field_of(kind: TextKind, axis: str) -> str:
    """Return the definition of an axis length, such as a field name."""
    return next((str(found.length) for found in kind.axes if found.symbol == axis), "")


def _selections(kind: TextKind) -> Iterator[tuple[str, str]]:
    """Yield pairs of fields. The first field is the number of groups, and the second is the total number of
    entries.
    """
    names = {field.name for field in kind.fields}
    pairs = (pair for equation in map(read, kind.equations) for pair in equation.select)
    for inner, outer in dict.fromkeys((_field_of(kind, inner), _field_of(kind, outer)) for inner, outer in pairs):
        if inner != outer and {inner, outer} <= names:
            yield inner, outer


def _divisions(kind: TextKind) -> Iterator[tuple[frozenset[str], str]]:
    """Yield (names in the dividend, divisor) for each division in the definition. A divisor is a name or a number."""
    texts = (*(field.default for field in kind.fields if field.is_derived), *(axis.length for axis in kind.axes))
    for tree in (tree for text in texts if isinstance(text, str) for tree in subtrees(parse(text))):
        if tree[0] == "/" and tree[2][0] in ("name", "int"):
            yield frozenset(part[1] for part in subtrees(tree[1]) if part[0] == "name"), str(tree[2][1])
