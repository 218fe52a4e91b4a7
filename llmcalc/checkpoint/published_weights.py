"""Stored tensors and bits for each declared tensor of a published checkpoint.

The tensors and bits are derived from the dtype and ``quantization_config`` in the config, or from the tensor
types of a GGUF file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from math import prod

from ..calc.memory.number_formats import Format
from ..calc.memory.weight_formats import StoredTensors, refused_shards
from ..calc.params import component, params
from ..calc.sharding import Mesh
from ..core.architecture import Architecture, model_of
from ..core.errors import InputError
from ..core.ledger import Row
from ..core.record import OF_LAYERS, NamedTuple, record, remembered
from ..core.traits import EMBEDDING, EXPERTS, HEAD
from .layouts import published_name
from .quantisation.method import Matrix, Quantisation
from .quantisation.packing import PackedTensor, Packing, Shape
from .stored_tensors import NUMBER, Declared, bounded, check_number, distinct_places, stored_rows

Identity = tuple[object, ...]
WEIGHT = ".weight"
_ROUTERS = ("router", "shared_gate")
_DOCUMENTED, _TESTED = "the format's documentation", "the output of the tool that defines the format"


class ExpectedTensor(NamedTuple):
    """A tensor that a checkpoint should contain. ``type`` is empty if unknown, and ``shape`` is None if unknown."""

    name: str
    type: str
    shape: Shape | None
    declared: Declared


def matrix_of(tensor: Declared) -> Matrix | None:
    """Return a tensor as a matrix [out, in] or stacked experts [x, out, in], or None if it is never quantised."""
    row = tensor.rows[0]
    number_class = row.declaration.number_class(row.tensor)
    is_head, is_table = number_class == HEAD, number_class == EMBEDDING
    if not (row.tensor.linear or is_head or is_table) or tensor.rule is None:
        return None
    shape = tensor.shape
    if tensor.rule.transposed:
        shape = (*shape[:-2], shape[-1], shape[-2])
    is_named_weight, is_routed = tensor.name.endswith(WEIGHT), number_class == EXPERTS
    is_stacked = len(shape) == 3 and (not is_named_weight or is_routed)
    if not is_stacked and (len(shape) != 2 or not is_named_weight):
        return None
    return Matrix(
        tensor.name.removesuffix(WEIGHT), shape, is_head=is_head, is_stacked=is_stacked,
        is_one_module=is_stacked and is_named_weight, is_routed=is_routed, is_table=is_table,
        is_router=row.tensor.name.startswith(_ROUTERS), in_tower=row.entry.stack.role == "tower",
    )  # fmt: skip


def expected_tensors(
    tensors: Iterator[Declared], quantisation: Quantisation | None, dtype: str
) -> Iterator[tuple[Declared, list[PackedTensor] | None, list[ExpectedTensor]]]:
    """Yield each declared tensor, its packed tensors (None if not quantised), and the expected stored tensors."""
    for tensor in tensors:
        matrix = matrix_of(tensor) if quantisation else None
        packed = quantisation.tensors(matrix) if quantisation and matrix else None
        if packed is None or matrix is None:
            yield tensor, None, [ExpectedTensor(tensor.name, dtype, tensor.shape, tensor)]
        else:
            names = (f"{matrix.module}{part.suffix}" for part in packed)
            stored = [ExpectedTensor(n, part.type, part.shape, tensor) for n, part in zip(names, packed, strict=True)]
            yield tensor, packed, stored


class _Stored(NamedTuple):
    """A stored tensor that represents ``copies`` experts, its first row, and the elements and bits of one expert."""

    row: Row
    size: int
    copies: int
    bits: int
    format: Format

    def on_rank(self, mesh: Mesh | None) -> StoredTensors:
        """Return the elements and bits of the tensor on one rank."""
        row, size, elements = self.row, self.size, self.size * self.copies
        if mesh is not None:
            share = mesh.share_of_weight(row.tensor, row.declaration, row.size)
            elements = elements * share // row.size if row.size else 0
        return StoredTensors(component(row), self.format, elements, -(-self.bits * elements // size) if size else 0)


class _Place(NamedTuple):
    """The declared tensors of a block, or of the inputs or outputs of a stack, and what stores them."""

    rows: list[Row]
    number: int | None  # of the block
    stored: list[_Stored]
    tiled: list[Row]  # block-quantised matrices


class _Part(NamedTuple):
    """A tensor that equal blocks store. Its name has NUMBER for the number of the block.

    ``known`` holds what the tensor is stored as, by its packing (None if not quantised) and its format otherwise.
    """

    tensor: Declared
    matrix: Matrix | None
    is_routed: bool
    known: dict[tuple[Packing | None, int], _Stored]


class _Known(NamedTuple):
    """What was read of a model: the places by their tensors, and the stored tensors, which equal layers share."""

    places: dict[Identity, _Place]
    stored: dict[Identity, _Stored]


@record
class PublishedWeights:
    """Weight formats of a published checkpoint."""

    quantisation: Quantisation | None
    dtype: str  # type of unquantised tensors, by its safetensors name
    plain: Format  # number format of the config's dtype
    layout: str
    formats: Mapping[str, Format] | None = None  # type of each GGUF tensor, by name

    name = "checkpoint"
    published = True

    @property
    def unread(self) -> tuple[str, ...]:
        """Quantisation config keys that were not interpreted."""
        return self.quantisation.unknown_keys if self.quantisation else ()

    @property
    def has_host_table(self) -> bool:
        """Whether llama.cpp, which keeps the input table in host memory, runs the model."""
        return self.formats is not None

    def stored(self, architecture: Architecture, mesh: Mesh | None = None) -> list[StoredTensors]:
        """Return the numbers of elements and bits on one rank, by component and format."""
        key = id(self), mesh and mesh.division  # unique while the weights exist, which the remembered value ensures
        known = remembered(architecture, "_published", key, lambda: (self, self._stored(architecture, mesh)), most=256)
        return known[1]

    def _stored(self, architecture: Architecture, mesh: Mesh | None) -> list[StoredTensors]:
        key, known = (id(self), mesh and mesh.division), dict[int, StoredTensors]()
        known = remembered(model_of(architecture)[0], "_stored_on_rank", key, lambda: (self, known), most=64)[1]
        sums: dict[tuple[str, int], StoredTensors] = {}
        for stored, n_equal in self._tensors(architecture)[0]:
            if id(stored) not in known:
                known[id(stored)] = stored.on_rank(mesh)
            own = known[id(stored)]
            name = own.component, id(own.format)
            elements, bits = sums[name][2:] if name in sums else (0, 0)
            sums[name] = own._replace(elements=elements + own.elements * n_equal, bits=bits + own.bits * n_equal)
        return [*sums.values()]

    def _tensors(self, architecture: Architecture) -> tuple[list[tuple[_Stored, int]], list[Row]]:
        """Return the distinct stored tensors with their numbers, and the distinct block-quantised matrices.

        The lists are kept, because the search for a layout asks for the lists once per layout.
        """
        key = id(self)  # unique, as above
        return remembered(architecture, "_stored_tensors", key, lambda: (self, self._count_tensors(architecture)))[1]

    def _count_tensors(self, architecture: Architecture) -> tuple[list[tuple[_Stored, int]], list[Row]]:
        counts, tiled = dict[int, tuple[_Stored, int]](), dict[tuple[int, int], Row]()
        for place, n_equal in self._places(architecture):
            for stored in place.stored:
                counts[id(stored)] = stored, counts.get(id(stored), (stored, 0))[1] + n_equal
            tiled |= {(id(row.declaration), id(row.tensor)): row for row in place.tiled}
        return [*counts.values()], [*tiled.values()]

    def _places(self, architecture: Architecture) -> list[tuple[_Place, int]]:
        """Return the places of an architecture, with the numbers of equal ones. Each is read once, even if several
        pipeline stages contain it. Equal blocks are one place if their formats can't depend on the block's number.
        """
        model = model_of(architecture)[0]
        known = remembered(model, f"{OF_LAYERS}_places", id(self), lambda: (self, _Known({}, {})))[1]
        keys, missing = list[tuple[Identity, int]](), dict[Identity, tuple[Identity, _Place]]()
        by_block = ((*place, 1) for place in params(architecture).rows_by_block(buffers=True))
        listed = by_block if self._names_blocks else distinct_places(params(architecture), buffers=True)
        for rows, number, n_equal in listed:
            name = _place_name(rows[0], number)
            key = (name, *_tensor_ids(rows))  # the place keeps the rows
            keys.append((key, n_equal))
            if key not in known.places:
                missing[name] = key, _Place(rows, number, [], [])
        self._read_places(architecture, {name: place for name, (_, place) in missing.items()}, known.stored)
        known.places.update(missing.values())
        found = [(known.places[key], n_equal) for key, n_equal in keys]
        check_number(sum(len(place.stored) * n_equal for place, n_equal in found))
        return found

    @property
    def _names_blocks(self) -> bool:
        return self.formats is not None or (self.quantisation is not None and self.quantisation.names_blocks)

    def _read_places(
        self,
        architecture: Architecture,
        places: Mapping[Identity, _Place],
        known: dict[Identity, _Stored],
    ) -> None:
        """Add the stored tensors of places to them."""
        method = self.quantisation
        is_tiled = method is not None and method.tile is not None
        for place, part in bounded(self._parts_of_places(architecture, places)):
            tensor, number = part.tensor, str(place.number)
            own = part.matrix and part.matrix._replace(module=part.matrix.module.replace(NUMBER, number))
            packing = method.packing_of(own) if method and own else None
            plain = self._format(tensor.name.replace(NUMBER, number)) if packing is None else None
            if (packing, id(plain)) not in part.known:
                packed = packing(*own.shape) if packing and own else None
                row, number_format = tensor.rows[0], plain or self._packed_format(part.is_routed)
                bits = _bits(tensor, packed, number_format)
                stored = _Stored(row, prod(tensor.shape), tensor.copies, bits, number_format)
                key = (id(row.declaration), id(row.tensor), *stored[1:])
                part.known[packing, id(plain)] = known.setdefault(key, stored)
            place.stored.append(part.known[packing, id(plain)])
            if is_tiled and packing is not None and not (part.is_routed and method and method.expert_packing):
                place.tiled.extend(tensor.rows)

    def _parts_of_places(
        self, architecture: Architecture, places: Mapping[Identity, _Place]
    ) -> Iterator[tuple[_Place, _Part]]:
        """Yield the stored tensors of each place, which are found once for equal blocks."""
        kinds: dict[Identity, Identity] = {}  # names of the first of equal places
        first_of = {name: kinds.setdefault(_kind(place), name) for name, place in places.items()}
        rows = (
            (row, None if (number := places[name].number) is None else range(number, number + 1))
            for name in kinds.values()
            for row in places[name].rows
        )
        parts: dict[Identity, list[_Part]] = {}
        for tensor in stored_rows(architecture, self.layout, rows, self._lists_experts):
            part = _Part(tensor, matrix_of(tensor) if self.quantisation else None, _is_routed(tensor), {})
            parts.setdefault(_place_name(tensor.rows[0], tensor.number), []).append(part)
        return ((place, part) for name, place in places.items() for part in parts.get(first_of[name], ()))

    def _packed_format(self, is_routed: bool) -> Format:
        """Return the name and source of the format of quantised matrices, or of those of routed experts."""
        method = self.quantisation
        assert method is not None
        return _label((method.expert_name if is_routed else "") or method.name, method.is_tested)

    @property
    def _lists_experts(self) -> bool:
        return self.quantisation is not None and self.quantisation.lists_experts

    def placed(self, architecture: Architecture) -> Iterator[tuple[Declared, int]]:
        """Yield each stored tensor with its bits. Stacked experts are one tensor."""
        return (
            (tensor, bits * tensor.copies)
            for tensor, _, _, bits in self._stored_tensors(architecture, params(architecture).placed_rows(buffers=True))
        )

    def _stored_tensors(
        self, architecture: Architecture, rows: Iterable[tuple[Row, int | None]]
    ) -> Iterator[tuple[Declared, list[PackedTensor] | None, Format, int]]:
        """Yield each stored tensor with its packed tensors (None if not quantised), its format and its bits."""
        tensors = stored_rows(architecture, self.layout, rows, self._lists_experts)
        for tensor, packed, _ in expected_tensors(tensors, self.quantisation, self.dtype):
            number_format = self._format(tensor.name) if packed is None else self._packed_format(_is_routed(tensor))
            yield tensor, packed, number_format, _bits(tensor, packed, number_format)

    def refusals(self, architecture: Architecture, mesh: Mesh) -> Iterator[str]:
        """Yield the matrices that block-quantised kernels do not accept because a rank has part of a block."""
        tile = self.quantisation.tile if self.quantisation else None
        for row in self._tensors(architecture)[1] if tile else ():
            yield from refused_shards(row, mesh, tile or ())

    def _format(self, name: str) -> Format:
        if self.formats is None:
            return self.plain
        if name not in self.formats:
            hint = "llmcalc verify FILE lists all differences; {weights=FORMAT} overrides the format"
            raise InputError(f"the declared tensor {name} is not in the file", hint=hint)
        return self.formats[name]


def _bits(tensor: Declared, packed: list[PackedTensor] | None, number_format: Format) -> int:
    """Return the number of bits of a tensor, whose packed tensors are None if it is not quantised."""
    if packed is not None:
        return sum(part.bits for part in packed)
    columns = tensor.shape[-1] if tensor.shape else 1  # the dimension along which blocks are stored
    return number_format.bits_of(prod(tensor.shape) // columns if columns else 0, columns)


def _is_routed(tensor: Declared) -> bool:
    row = tensor.rows[0]
    return row.declaration.number_class(row.tensor) == EXPERTS


def _place_name(row: Row, number: int | None) -> Identity:
    """Return the stack and the number of the block of a row, or the stack and the section outside the blocks."""
    return row.entry.stack.name, row.entry.section if number is None else number


def _kind(place: _Place) -> Identity:
    """Return what equal places share: the tensors, and the first of the runs of equal blocks."""
    entry = place.rows[0].entry
    section = entry.section if entry.run is None else entry.stack.first_runs[entry.run]
    return entry.stack.name, section, *_tensor_ids(place.rows)


def _tensor_ids(rows: Iterable[Row]) -> tuple[tuple[int, int], ...]:
    return tuple((id(row.declaration), id(row.tensor)) for row in rows)


@cache
def _label(name: str, is_tested: bool) -> Format:
    """Return the name and source of the format of quantised matrices."""
    return Format(name, 0, checked=is_tested, source=_TESTED if is_tested else _DOCUMENTED)


def layout_candidates(architecture: Architecture) -> list[str]:
    """Return the possible layouts of a checkpoint, most likely first."""
    arch = architecture.inputs.get("gguf")
    return [f"gguf:{arch}", f"gguf:{arch}+"] if arch else [published_name(architecture), architecture.layout]
