"""Stored tensors and bits for each declared tensor of a published checkpoint.

The tensors and bits are derived from the dtype and ``quantization_config`` in the config, or from the tensor
types of a GGUF file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from math import prod

from ..calc.memory.number_formats import Format
from ..calc.memory.weight_formats import StoredTensors, refused_shards
from ..calc.params import component, params
from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.ledger import Row
from ..core.record import NamedTuple, record, remembered
from ..core.traits import EMBEDDING, EXPERTS, HEAD
from .layouts import published_name
from .quantisation.method import Matrix, Quantisation
from .quantisation.packing import PackedTensor, Shape
from .stored_tensors import NUMBER, Declared, check_number, declared, rows_in_blocks, stored_rows

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
        sums: dict[tuple[str, int], StoredTensors] = {}
        for stored, n_equal in self._tensors(architecture)[0]:
            own = stored.on_rank(mesh)
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
        method, total = self.quantisation, 0
        counts, tiled = dict[tuple[object, ...], tuple[_Stored, int]](), dict[tuple[int, int], Row]()
        names_blocks = self.formats is not None or (method is not None and method.names_blocks)
        rows = rows_in_blocks(params(architecture), buffers=True)
        for tensor in stored_rows(architecture, self.layout, rows, self._lists_experts):
            row, matrix, is_routed = tensor.rows[0], matrix_of(tensor) if method else None, _is_routed(tensor)
            first, n_equal = (0, 1) if tensor.number is None else (tensor.number, row.copies)
            total += n_equal
            check_number(total)
            for number in range(first, first + n_equal if names_blocks else first + 1):
                own = matrix and matrix._replace(module=matrix.module.replace(NUMBER, str(number)))
                packing = method.packing_of(own) if method and own else None
                plain = self._format(tensor.name.replace(NUMBER, str(number))) if packing is None else None
                key = id(row.declaration), id(row.tensor), tensor.shape, tensor.copies, packing, id(plain)
                if key not in counts:
                    packed = packing(*own.shape) if packing and own else None
                    number_format = plain or self._packed_format(is_routed)
                    bits = _bits(tensor, packed, number_format)
                    counts[key] = _Stored(row, prod(tensor.shape), tensor.copies, bits, number_format), 0
                stored, count = counts[key]
                counts[key] = stored, count + (1 if names_blocks else n_equal)
                if packing and method and method.tile and not (is_routed and method.expert_packing):
                    tiled |= {(id(part.declaration), id(part.tensor)): part for part in tensor.rows}
        return [*counts.values()], [*tiled.values()]

    def _packed_format(self, is_routed: bool) -> Format:
        """Return the name and source of the format of quantised matrices, or of those of routed experts."""
        method = self.quantisation
        assert method is not None
        return _label((method.expert_name if is_routed else "") or method.name, method.is_tested)

    @property
    def _lists_experts(self) -> bool:
        return self.quantisation is not None and self.quantisation.lists_experts

    def placed(self, architecture: Architecture) -> Iterator[tuple[Declared, Format, int]]:
        """Yield each stored tensor with its format and its bits. Stacked experts are one tensor."""
        tensors = declared(params(architecture), self.layout, buffers=True, each=self._lists_experts)
        for tensor, packed, _ in expected_tensors(tensors, self.quantisation, self.dtype):
            number_format = self._format(tensor.name) if packed is None else self._packed_format(_is_routed(tensor))
            yield tensor, number_format, _bits(tensor, packed, number_format) * tensor.copies

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


@cache
def _label(name: str, is_tested: bool) -> Format:
    """Return the name and source of the format of quantised matrices."""
    return Format(name, 0, checked=is_tested, source=_TESTED if is_tested else _DOCUMENTED)


def layout_candidates(architecture: Architecture) -> list[str]:
    """Return the possible layouts of a checkpoint, most likely first."""
    arch = architecture.inputs.get("gguf")
    return [f"gguf:{arch}", f"gguf:{arch}+"] if arch else [published_name(architecture), architecture.layout]
