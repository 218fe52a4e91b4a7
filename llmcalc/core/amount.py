"""Integers that record how they were computed, so that every total can be explained (``core/tree.py``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from math import prod
from operator import itemgetter

from .form import Symbolic
from .type_names import Any, TypeVar

Item = TypeVar("Item")
Key = TypeVar("Key")
Size = TypeVar("Size", bound=int)


class Sum(int):
    """A sum and its labelled parts. A part may itself be a sum."""

    parts: tuple[tuple[str, int], ...]

    def __new__(cls, *parts: tuple[str, int]) -> Sum:
        """Create the sum of labelled parts."""
        return _recorded(cls, sum(map(itemgetter(1), parts)), parts, parts=parts)

    def plus(self, label: str, size: int) -> Sum:
        """Return the sum with one more part."""
        parts = (*self.parts, (label, size))
        return _recorded(Sum, self + size, parts, parts=parts)


class Product(int):
    """A product of named factors. A value smaller than the product was divided by the number of ranks."""

    factors: tuple[tuple[str, int | float], ...]

    def __new__(cls, value: int, factors: tuple[tuple[str, int | float], ...]) -> Product:
        """Create a product. Factors named by axis letters are displayed with the names of the axes."""
        return _recorded(cls, value, factors=factors)


def product(*factors: tuple[str, int]) -> Product:
    """Multiply named factors."""
    return Product(prod(value for _, value in factors), factors)


class Scaled(int):
    """An amount multiplied by ``times`` and divided by ``ranks``, rounded up."""

    of: int
    times: int
    ranks: int

    def __new__(cls, of: int, times: int, ranks: int) -> Scaled:
        """Create the scaled amount."""
        return _recorded(cls, -(-of * times // ranks), of=of, times=times, ranks=ranks)


def summed(sizes: Iterable[tuple[Key, Item]]) -> dict[Key, Item]:
    """Return the sum of the sizes with each key, in the order of the first ones."""
    found: Any = defaultdict(int)
    for key, size in sizes:
        found[key] += size
    return dict(found)


def group_by(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Return the items with each key, in the order of the first ones."""
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def scaled(amount: int, times: int = 1, ranks: int = 1) -> int:
    """Return an amount multiplied by ``times`` and divided by ``ranks``, rounded up."""
    return amount if times == ranks == 1 else Scaled(amount, times, ranks)


def _recorded(kind: type[Size], size: Any, parts: tuple[tuple[str, int], ...] = (), /, **origin: Any) -> Size:
    """Return a size with what it was computed from. A symbolic size, which takes its place, has labelled parts."""
    try:
        found = int.__new__(kind, size)
    except TypeError:
        symbolic: Size = size.labelled(parts)
        return symbolic
    found.__dict__ = origin
    return found


def largest(*sizes: Size) -> Size:
    """Return the first of the largest sizes, or a symbolic maximum."""
    symbolic: Any = next((size for size in sizes if isinstance(size, Symbolic)), None)
    return max(sizes) if symbolic is None else symbolic.apply("max", sizes)


def smallest(*sizes: Size) -> Size:
    """Return the first of the smallest sizes, or a symbolic minimum."""
    symbolic: Any = next((size for size in sizes if isinstance(size, Symbolic)), None)
    return min(sizes) if symbolic is None else symbolic.apply("min", sizes)


def named(size: Size, name: str) -> Size:
    """Return a size. In a closed form, the name stands for the size."""
    if isinstance(size, Symbolic):
        size.name(name)
    return size


def largest_items(items: Iterable[Item], size: Callable[[Item], int]) -> list[Item]:
    """Return the first item with the largest size, or all items that may have the largest of symbolic sizes."""
    found = list(items)
    if not found:
        return []
    sizes = list(map(size, found))
    symbolic: Any = next((each for each in sizes if isinstance(each, Symbolic)), None)
    places = [sizes.index(max(sizes))] if symbolic is None else symbolic.largest_of(sizes)
    return [found[place] for place in places]
