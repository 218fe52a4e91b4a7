"""Weights as a published checkpoint stores them: what each declared tensor becomes, and the bits that it takes.

A config tells it by its ``quantization_config`` and dtype; the header of a GGUF by the type of each tensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..calc.memory.number_formats import BITS_A_BYTE, Format
from ..calc.memory.weight_formats import TABLES, StoredTensors
from ..calc.params import component, params
from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import record
from .packing import BITS, Part, Shape
from .quantisation.config import Matrix, Quantisation
from .stored_tensors import Declared, declared, layout_name

WEIGHT = ".weight"
_ROUTERS = ("router", "shared_gate")
_MAKERS, _COMPARED = "the maker's documentation of the format", "what the maker's tools write"


class Expected(NamedTuple):
    """A tensor that a checkpoint is expected to hold: its name, its type (if told) and its shape (if known)."""

    name: str
    type: str
    shape: Shape | None
    of: Declared


def matrix_of(tensor: Declared) -> Matrix | None:
    """A declared tensor as quantisation sees it: a matrix [out, in], or the experts of a layer [x, out, in]."""
    row = tensor.rows[0]
    part = component(row)
    matrix = (row.tensor.linear and not row.tensor.name.startswith(_ROUTERS)) or part == "head"
    if not matrix or tensor.rule is None or part in TABLES:
        return None
    shape = tensor.shape
    if tensor.rule.transposed:
        shape = (*shape[:-2], shape[-1], shape[-2])
    experts = len(shape) == 3 and not tensor.name.endswith(WEIGHT)
    if not experts and (len(shape) != 2 or not tensor.name.endswith(WEIGHT)):
        return None
    tower = row.entry.stack.role == "tower"
    return Matrix(tensor.name.removesuffix(WEIGHT), shape, part == "head", experts, part == "routed experts", tower)


def expected(
    tensors: Iterator[Declared], quantisation: Quantisation | None, dtype: str
) -> Iterator[tuple[Declared, list[Part] | None, list[Expected]]]:
    """Each declared tensor with the parts that it is packed in (None: none), and what a checkpoint holds of it."""
    for tensor in tensors:
        matrix = matrix_of(tensor) if quantisation else None
        parts = quantisation.parts(matrix) if quantisation and matrix else None
        if parts is None or matrix is None:
            yield tensor, None, [Expected(tensor.name, dtype, tensor.shape, tensor)]
        else:
            held = [Expected(f"{matrix.module}{part.suffix}", part.type, part.shape, tensor) for part in parts]
            yield tensor, parts, held


@record
class Published:
    """How a checkpoint stores its weights.

    Attributes:
        quantisation: the method of its config, if there is one.
        dtype: the type of all else, as safetensors names it.
        plain: the format of that type.
        layout: the rules that name its tensors.
        formats: of a GGUF, the format of each tensor by its name.
    """

    quantisation: Quantisation | None
    dtype: str
    plain: Format
    layout: str
    formats: Mapping[str, Format] | None = None

    name = "checkpoint"

    @property
    def published(self) -> bool:
        """True: the formats are those of a checkpoint."""
        return True

    @property
    def unread(self) -> tuple[str, ...]:
        """Keys of the config of its quantisation that nobody read."""
        return self.quantisation.unread if self.quantisation else ()

    def stored(self, architecture: Architecture, mesh: Mesh | None = None) -> list[StoredTensors]:
        """Every tensor as it is stored, those of one component and format together; what one rank holds of them.

        Raises:
            InputError: a declared tensor whose type the header does not tell.
        """
        sums: dict[tuple[str, Format], tuple[int, int]] = {}
        label = _label(self.quantisation)
        each = self.quantisation is not None and self.quantisation.apart
        tensors = declared(params(architecture), self.layout, buffers=True, each=each)
        for tensor, parts, _ in expected(tensors, self.quantisation, self.dtype):
            used = label if parts is not None else self._format(tensor.name)
            size = _elements(tensor.shape)
            bits = _bits(used, tensor.shape) if parts is None else sum(part.bits for part in parts)
            own = _own(tensor, size * tensor.copies, mesh)
            place = (component(tensor.rows[0]), used)
            elements, total = sums.get(place, (0, 0))
            sums[place] = (elements + own, total + (-(-bits * own // size) if size else 0))
        return [StoredTensors(part, used, elements, bits) for (part, used), (elements, bits) in sums.items()]

    def _format(self, name: str) -> Format:
        if self.formats is None:
            return self.plain
        if name not in self.formats:
            hint = "llmcalc verify FILE says what differs; {weights=FORMAT} overrides the format"
            raise InputError(f"the file holds no tensor {name}, which is declared", hint=hint)
        return self.formats[name]


def _label(quantisation: Quantisation | None) -> Format:
    known = quantisation is not None and quantisation.compared
    name = quantisation.name if quantisation else ""
    return Format(name, 0, checked=known, source=_COMPARED if known else _MAKERS)


def _bits(used: Format, shape: Shape) -> int:
    """Bits of a tensor in a format whose blocks lie along the last dimension."""
    columns = shape[-1] if shape else 1
    return used.bits_of(_elements(shape) // columns if columns else 0, columns)


def _own(tensor: Declared, size: int, mesh: Mesh | None) -> int:
    """The elements of a tensor that one rank of a mesh holds."""
    if mesh is None:
        return size
    row = tensor.rows[0]
    return size * mesh.share_of_weight(row.tensor, row.declaration, row.size) // row.size if row.size else 0


def _elements(shape: Shape) -> int:
    product = 1
    for length in shape:
        product *= length
    return product


def width(dtype: str) -> int:
    """Bytes of an element of a type."""
    return BITS[dtype] // BITS_A_BYTE


def rules_of(architecture: Architecture) -> list[str]:
    """The rules that may name a checkpoint's tensors, likeliest first: as published, as transformers keeps them."""
    arch = architecture.inputs.get("gguf")
    if arch:
        return [f"gguf:{arch}", f"gguf:{arch}+"]
    return [layout_name(architecture, "checkpoint"), layout_name(architecture, "transformers")]
