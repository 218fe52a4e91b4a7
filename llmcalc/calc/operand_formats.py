"""Number formats of the tensors that a step reads and writes."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from ..core.amount import group_by, summed
from ..core.architecture import Architecture
from ..core.declaration import State
from ..core.ledger import Entry, identity
from ..core.record import NamedTuple
from .kv_cache import BYTES, CACHED, ROLE_DTYPES
from .memory.number_formats import BITS_A_BYTE, Format
from .memory.weight_formats import RequestedFormats, StoredTensors, WeightFormats, model_tensors, stored_row
from .walk import Extent, Placed

Average = tuple[Fraction, Format | None]  # bits per element, and the format of most elements
_NO_WEIGHTS: Average = (Fraction(0), None)


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
        model, owners, known = model_tensors(architecture), dict[str, Average](), dict[Average, Average]()
        averages: dict[str, Average] = {}
        if isinstance(formats, RequestedFormats):
            formats.check(model)
        else:
            by_component = group_by(formats.stored(architecture), lambda part: part.component)
            averages = {name: _average(parts) or _NO_WEIGHTS for name, parts in by_component.items()}
        self.found: dict[tuple[object, ...], Average] = {}
        for row in model.distinct_rows:
            name = identity(row.entry.stack, row.tensor)
            if isinstance(formats, RequestedFormats):
                own = _average(stored_row(row, formats, model)) or owners.get(name, _NO_WEIGHTS)
            else:
                own = averages.get(model.kind(row).component, _NO_WEIGHTS) if row.copies else owners[name]
            own = known.setdefault(own, own)  # layers with equal formats are compared by identity
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


def _average(parts: Iterable[StoredTensors]) -> Average | None:
    """Return the average bits per element and the format of most elements, or None without elements."""
    stored = list(parts)
    elements = summed((part.format, part.elements) for part in stored)
    size, bits = sum(elements.values()), sum(part.bits for part in stored)
    return (Fraction(bits, size), max(elements, key=elements.__getitem__)) if size else None


def _key(entry: Entry, part: tuple[str, ...]) -> tuple[object, ...]:
    return (entry.stack.name, entry.section, entry.run, entry.number, entry.name, part)
