"""Number formats of the tensors that a step reads and writes."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from ..core.architecture import Architecture
from ..core.declaration import State
from ..core.ledger import Entry, identity
from ..core.record import NamedTuple
from .kv_cache import BYTES, CACHED, ROLE_DTYPES
from .memory.number_formats import BITS_A_BYTE, Format
from .memory.weight_formats import RequestedFormats, WeightFormats, model_tensors, stored_row
from .walk import Extent, Placed

_NO_WEIGHTS: tuple[Fraction, Format | None] = (Fraction(0), None)


class Formats(NamedTuple):
    """Number formats of the tensors that a step reads and writes."""

    weights: WeightBits
    activations: Fraction
    dtype: str
    cache: Format | None

    def state(self, state: State, columns: Extent) -> Fraction:
        """Return the bits per element of a state. Rows of a quantised cache are padded to whole blocks."""
        if self.cache and state.role in CACHED:
            row = columns if isinstance(columns, int) else 1
            return Fraction(self.cache.bits_of(1, row) - self.cache.tensor_bits, row)
        return Fraction(BYTES[ROLE_DTYPES[state.role] or self.dtype] * BITS_A_BYTE)


class WeightBits:
    """Average bits per element of each weight, looked up by layer and tensor name."""

    def __init__(self, architecture: Architecture, formats: WeightFormats) -> None:
        model, owners = model_tensors(architecture), dict[str, tuple[Fraction, Format | None]]()
        averages = {} if isinstance(formats, RequestedFormats) else _component_averages(architecture, formats)
        if isinstance(formats, RequestedFormats):
            formats.check(model)
        self.found: dict[tuple[object, ...], tuple[Fraction, Format | None]] = {}
        known = dict[tuple[Fraction, Format | None], tuple[Fraction, Format | None]]()
        for row in model.distinct_rows:
            name = identity(row.entry.stack, row.tensor)
            if isinstance(formats, RequestedFormats):
                counts, bits = Counter[Format](), 0
                for part in stored_row(row, formats, model):
                    counts[part.format] += part.elements
                    bits += part.bits
                size = counts.total()
                own = (Fraction(bits, size), _most(counts)) if size else owners.get(name, _NO_WEIGHTS)
                own = known.setdefault(own, own)
            else:
                own = averages.get(model.kind(row).component, _NO_WEIGHTS) if row.copies else owners[name]
            if name:
                owners.setdefault(name, own)
            self.found[*_key(row.entry, row.part), row.tensor.name] = own

    def of(self, place: Placed, name: str) -> Fraction:
        """Return the average bits per element of a weight."""
        return self.found[*_key(place.entry, place.part), name][0]

    def format_of(self, place: Placed, name: str) -> Format | None:
        """Return the number format of most elements of a weight, or None if it has no elements."""
        return self.found[*_key(place.entry, place.part), name][1]

    def all_of(self, place: Placed) -> tuple[object, ...]:
        """Return the identity of the bits per element and the number format of each weight of a layer."""
        key = _key(place.entry, place.part)
        return tuple(id(self.found.get((*key, tensor.name))) for tensor in place.declaration.tensors)


def _component_averages(
    architecture: Architecture, formats: WeightFormats
) -> dict[str, tuple[Fraction, Format | None]]:
    elements, bits = Counter[str](), Counter[str]()
    used: dict[str, Counter[Format]] = {}
    for part in formats.stored(architecture):
        elements[part.component] += part.elements
        bits[part.component] += part.bits
        used.setdefault(part.component, Counter())[part.format] += part.elements
    found = {name: (Fraction(bits[name], size), _most(used[name])) for name, size in elements.items() if size}
    first = dict[tuple[Fraction, Format | None], tuple[Fraction, Format | None]]()
    return {name: first.setdefault(own, own) for name, own in found.items()}  # layers with equal formats are compared


def _most(used: Counter[Format]) -> Format | None:
    return max(used, key=lambda each: used[each], default=None)


def _key(entry: Entry, part: tuple[str, ...]) -> tuple[object, ...]:
    return (entry.stack.name, entry.section, entry.run, entry.number, entry.name, part)
