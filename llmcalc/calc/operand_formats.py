"""Number formats of the tensors that a step reads and writes."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import NamedTuple

from ..core.architecture import Architecture
from ..core.declaration import State
from ..core.ledger import Entry, identity
from .kv_cache import BYTES, CACHED, ROLE_DTYPES
from .memory.number_formats import BITS_A_BYTE, Format
from .memory.weight_formats import ModelTensors, RequestedFormats, WeightFormats, stored_row
from .params import component
from .walk import Extent, Placed


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
        model, owners = ModelTensors(architecture), dict[str, Fraction]()
        averages = {} if isinstance(formats, RequestedFormats) else _component_averages(architecture, formats)
        if isinstance(formats, RequestedFormats):
            formats.check(model)
        self.found: dict[tuple[object, ...], Fraction] = {}
        sizes: dict[tuple[object, ...], list[int]] = {}  # elements and bits, summed over runs of equal blocks
        for row in model.rows_for(formats if isinstance(formats, RequestedFormats) else None):
            name, entry = identity(row.entry.stack, row.tensor), row.entry
            run = None if entry.run is None else entry.stack.first_runs[entry.run]
            key = (*_key(entry._replace(run=run), row.part), row.tensor.name)
            if isinstance(formats, RequestedFormats):
                stored = list(stored_row(row, formats, model))
                size = sizes.setdefault(key, [0, 0])
                size[0] += sum(part.elements for part in stored)
                size[1] += sum(part.bits for part in stored)
                average = Fraction(size[1], size[0]) if size[0] else owners.get(name, Fraction(0))
            else:
                average = averages.get(component(row), Fraction(0)) if row.copies else owners[name]
            owners.setdefault(name, average)
            self.found[key] = average

    def of(self, place: Placed, name: str) -> Fraction:
        """Return the average bits per element of a weight."""
        return self.found[*_key(place.entry, place.part), name]


def _component_averages(architecture: Architecture, formats: WeightFormats) -> dict[str, Fraction]:
    elements, bits = Counter[str](), Counter[str]()
    for part in formats.stored(architecture):
        elements[part.component] += part.elements
        bits[part.component] += part.bits
    return {name: Fraction(bits[name], size) for name, size in elements.items() if size}


def _key(entry: Entry, part: tuple[str, ...]) -> tuple[object, ...]:
    return (entry.stack.name, entry.section, entry.run, entry.number, entry.name, part)
