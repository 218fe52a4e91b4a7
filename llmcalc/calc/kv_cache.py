"""KV cache and other decode state, such as latents, recurrent states and convolution states."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from ..core.amount import summed
from ..core.architecture import Architecture, model_of
from ..core.declaration import Declaration, State
from ..core.errors import SizeError, UnsupportedError, short_repr
from ..core.form import Form, ceil, lift, product, without_remainders
from ..core.ledger import Entry
from ..core.record import NamedTuple, changed, record, remembered
from ..core.type_names import Any, ClassVar
from ..core.workload import Workload
from .memory.number_formats import BITS_A_BYTE, Format
from .sharding import Mesh
from .step_result import StepResult
from .walk import Conventions, Extent, Placed, walk

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "fp8": 1}
SOURCE_AXIS = "s"  # encoder tokens; all beams share their keys and values
CACHED = ("kv", "index")  # roles that a quantised or paged cache stores
SHORT, LONG = 2**24 + 1, 2**25 + 1  # tokens, longer than any window, and one after a whole number of chunks
ROLE_DTYPES = {"kv": None, "conv": None, "index": None, "recurrent": "fp32"}


def element_bytes(role: str, dtype: str) -> int:
    """Return the bytes of an element of a state, for activations in ``dtype``.

    >>> element_bytes("recurrent", "bf16"), element_bytes("conv", "bf16")
    (4, 2)
    """
    return BYTES[ROLE_DTYPES[role] or dtype]


class CachedTensor(NamedTuple):
    """A state tensor of a layer.

    Attributes:
        elements: number of elements per application of the layer, as a closed form.
        factors: axes and their lengths before padding to pages.
        columns: number of elements per row.
        n_ranks: number of tensor-parallel ranks that shard the tensor.
        beams: number of beams that have separate copies.
        is_refilled: whether the tensor is emptied after each group of tokens, such as a chunk of local attention. It
            then has the size of its largest contents so far, because its memory is not released.
    """

    entry: Entry
    state: State
    elements: Form
    factors: tuple[tuple[str, Extent], ...]
    columns: int
    n_ranks: int
    beams: int
    is_refilled: bool = False

    def stores(self, what: str) -> bool:
        """Return whether the layer lists the tensor among its states of a kind, such as ``latents``."""
        return self.state.name in vars(self.entry.layer.STORED)[what].split()


@record
class StateSize(StepResult):
    """Size of the state after ``seq`` tokens, in ``elements`` for the full model and in ``bytes`` on one rank."""

    dtype: str
    tensors: tuple[CachedTensor, ...]
    cache: Format | None = None
    page: int | None = None
    beams: int = 1

    HEADLINE: ClassVar[str] = "{0.bytes:,} bytes"
    EVIDENCE: ClassVar[dict[str, str]] = {"bytes": "executed", "elements": "executed"}

    @cached_property
    def form(self) -> Form:
        """Number of elements as a closed-form expression."""
        return sum((tensor.elements * tensor.entry.applied for tensor in self.tensors), lift(0))

    @cached_property
    def bits_form(self) -> Form:
        """Number of bits as a closed-form expression. Rows of a quantised cache are padded to whole blocks."""
        total = lift(0)
        for tensor in self.tensors:
            role, tensors, cache = tensor.state.role, tensor.entry.applied, self.cache
            if cache and role in CACHED:
                if cache.flat or cache.rows > 1 or cache.column_bits:
                    raise UnsupportedError(f"cache format {cache.name} has no closed-form size", parameter="cache")
                each = cache.bits_of(1, tensor.columns) - cache.tensor_bits
                rows = Form({atoms: factor // tensor.columns for atoms, factor in tensor.elements.terms.items()})
                total = total + (rows * each + cache.tensor_bits) * tensors
            else:
                total = total + tensor.elements * (element_bytes(role, self.dtype) * BITS_A_BYTE * tensors)
        return total

    @cached_property
    def elements(self) -> int:
        """Number of elements."""
        return int(self.form(**self.values))

    @cached_property
    def bytes(self) -> int:
        """Number of bytes on one rank. Recurrent states use fp32, and all other tensors use ``dtype`` or ``cache``."""
        return sum(self.by_role.values())

    @cached_property
    def sizes(self) -> tuple[tuple[CachedTensor, int], ...]:
        """All state tensors with their sizes on one rank in bytes, summed over all applications of the layer."""
        values, found = self.values, []  # of which a model without states has limits, too
        for tensor in self.tensors:
            count, role = -(-tensor.elements(**values) // tensor.n_ranks), tensor.state.role
            if self.cache and role in CACHED:
                size = -(-self.cache.bits_of(count // tensor.columns, tensor.columns) // BITS_A_BYTE)
            else:
                size = count * element_bytes(role, self.dtype)
            found.append((tensor, size * tensor.entry.applied))
        return tuple(found)

    @cached_property
    def by_role(self) -> dict[str, int]:
        """Number of bytes on one rank by role (``kv``, ``index``, ``recurrent`` or ``conv``)."""
        return summed((tensor.state.role, size) for tensor, size in self.sizes)

    def resized(self, seq: int) -> StateSize:
        """Return the state after another number of tokens."""
        return changed(self, workload=changed(self.workload, seq=seq))

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        return {**self.attributes("elements", "bytes"), "closed_form": str(self.form), "evidence": self.evidence}


def state(
    architecture: Architecture,
    *,
    batch: int = 1,
    seq: int = 2048,
    target_seq: int | None = None,
    dtype: str = "bf16",
    convention: str | None = None,
    cache: Format | None = None,
    page: int | None = None,
    extend: bool = False,
    mesh: Mesh | None = None,
    beams: int = 1,
    contents: bool = False,
) -> StateSize:
    """Return the KV cache and other state after ``seq`` tokens. ``page`` is the block size of a paged cache.

    A tensor that is emptied after each group of tokens has the size of its largest contents so far, so that the state
    never shrinks. ``contents`` and the ``torch`` convention count its contents after exactly ``seq`` tokens.

    A window of W tokens caches min(seq, W - 1) tokens. Beams share only the encoder's keys and values. Under the
    ``torch`` convention, beams share nothing, and convolutions with kernel size K cache K columns, not K - 1.
    """
    if type(beams) is not int or beams < 1:
        raise SizeError(f"must be a positive integer, not {short_repr(beams)}", parameter="beams")
    workload = Workload(batch=batch, seq=seq, target_seq=target_seq, convention=convention, extend=extend)
    model = model_of(architecture)[0]
    found: list[CachedTensor] = []
    for place in walk(architecture, Conventions("prefill", "dense", convention)):
        if place.declaration.states and place.entry.stack.role != "encoder":  # an encoder runs once and has no state
            _, tensors = _cached_tensors(model, place, page, beams, mesh, contents or convention is not None)
            found += (tensor._replace(entry=place.entry) for tensor in tensors)
    return StateSize(architecture, workload, dtype, tuple(found), cache, page, beams)


def _cached_tensors(
    model: Architecture, place: Placed, page: int | None, beams: int, mesh: Mesh | None, contents: bool
) -> tuple[Placed, list[CachedTensor]]:
    """Return the first equal layer of any pipeline stage and its state tensors, which are computed once."""
    convention = place.conventions.convention

    def compute() -> tuple[Placed, list[CachedTensor]]:
        found = []
        for tensor in place.states:
            lengths = exact = [place.extent(axis) for axis in tensor.axes]
            if not contents:
                lengths = [without_remainders(each) if isinstance(each, Form) else each for each in exact]
            is_refilled = lengths != exact
            factors = tuple(zip(tensor.axes, lengths, strict=True))
            if page and tensor.role in CACHED:
                lengths = [_padded_to_pages(length, page) for length in lengths]
            own = 1 if SOURCE_AXIS in tensor.axes and convention is None else beams
            size, row = product([own, *lengths]), lengths[-1]
            n_ranks = _n_ranks(tensor, place.declaration, mesh) if mesh else 1
            columns = row if isinstance(row, int) else 1
            found.append(CachedTensor(place.entry, tensor, size, factors, columns, n_ranks, own, is_refilled))
        return place, found

    key = id(place.declaration), id(place.symbols), convention, page, beams, mesh, contents
    return remembered(model, "_cached_tensors", key, compute)


def ranks_of_states(architecture: Architecture, mesh: Mesh) -> Iterator[tuple[State, int]]:
    """Yield the state tensors of distinct layers with the number of tensor-parallel ranks that shard each."""
    places = walk(architecture, Conventions("prefill", "dense", None))
    for declaration in {id(place.declaration): place.declaration for place in places}.values():
        yield from ((tensor, _n_ranks(tensor, declaration, mesh)) for tensor in declaration.states)


def _n_ranks(tensor: State, declaration: Declaration, mesh: Mesh) -> int:
    """Return the number of tensor-parallel ranks that shard the heads or channels of a state tensor."""
    fixed = (axis for axis in tensor.axes if isinstance(declaration.axes.get(axis), int))
    return max((mesh.divisor(declaration, axis) for axis in fixed), default=1)


def _padded_to_pages(length: Extent, page: int) -> Extent:
    """Round a token count up to a multiple of the page size. Fixed lengths and the batch size are unchanged."""
    if isinstance(length, int) or length.symbols() <= {"b"}:
        return length
    return lift(ceil(length, page)) * page
