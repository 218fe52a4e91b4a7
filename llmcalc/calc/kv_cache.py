"""State: what the next token needs of the tokens before it: keys and values, latents, recurrent states, conv tails."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

from ..core.architecture import Architecture, declare
from ..core.declaration import Declaration, State
from ..core.errors import SizeError, UnsupportedError, short_repr
from ..core.form import Form, ceil, lift
from ..core.ledger import Entry, stack_entries
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..core.workload import Workload, symbols
from .memory.number_formats import BITS_A_BYTE, Format
from .sharding import Mesh
from .work import Conventions, extent, runs

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "fp8": 1}
SOURCE_AXIS = "s"  # tokens of the encoder: what is kept of them is the same for every beam
CACHED = ("kv", "index")  # what a quantised or paged cache holds
ROLE_DTYPES = {"kv": None, "conv": None, "index": None, "recurrent": "fp32"}


class Kept(NamedTuple):
    """A state tensor of a layer: the closed form of its elements in one application, the length of its rows, and how
    many ranks share it and how many beams have one each.
    """

    entry: Entry
    state: State
    elements: Form
    columns: int = 1
    share: int = 1
    beams: int = 1


@record
class StateSize(NotebookDisplay):
    """The state after ``seq`` tokens, in elements and bytes.

    ``cache`` is the number format of keys, values and latents, if it is not ``dtype``; ``page`` the tokens of a block
    of which only whole ones are held; ``beams`` how many continuations of each sequence are kept. ``elements`` are
    those of the model, ``bytes`` those of one rank.
    """

    architecture: Architecture
    workload: Workload
    dtype: str
    kept: tuple[Kept, ...]
    cache: Format | None = None
    page: int | None = None
    beams: int = 1

    @cached_property
    def form(self) -> Form:
        """Elements as a closed form of the workload."""
        total = lift(0)
        for kept in self.kept:
            total = total + kept.elements * kept.entry.applied
        return total

    @cached_property
    def bits_form(self) -> Form:
        """Bits as a closed form of the workload; every row of a quantised cache in whole blocks.

        Raises:
            UnsupportedError: a cache in a format whose blocks do not follow the rows.
        """
        total = lift(0)
        for kept in self.kept:
            role, tensors = kept.state.role, kept.entry.applied
            if self.cache and role in CACHED:
                cache = self.cache
                if cache.flat or cache.rows > 1 or cache.column_bits:
                    raise UnsupportedError(f"a cache in {cache.name} has no closed form", parameter="cache")
                each = cache.bits_of(1, kept.columns) - cache.tensor_bits
                rows = Form({atoms: factor // kept.columns for atoms, factor in kept.elements.terms.items()})
                total = total + (rows * each + cache.tensor_bits) * tensors
            else:
                total = total + kept.elements * (BYTES[ROLE_DTYPES[role] or self.dtype] * BITS_A_BYTE * tensors)
        return total

    @cached_property
    def elements(self) -> int:
        """Numbers kept."""
        return int(self.form(**self.workload.values(self.architecture)))

    @cached_property
    def bytes(self) -> int:
        """Bytes, each role in its own number format: recurrent states in fp32, the others in ``dtype``."""
        return sum(self.by_role.values())

    @cached_property
    def by_role(self) -> dict[str, int]:
        """Bytes by role: ``kv``, ``index``, ``recurrent``, ``conv``."""
        values = self.workload.values(self.architecture)
        found: dict[str, int] = {}
        for kept in self.kept:
            count, role = -(-int(kept.elements(**values)) // kept.share), kept.state.role
            if self.cache and role in CACHED:
                size = -(-self.cache.bits_of(count // kept.columns, kept.columns) // BITS_A_BYTE)
            else:
                size = count * BYTES[ROLE_DTYPES[role] or self.dtype]
            found[role] = found.get(role, 0) + size * kept.entry.applied
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain data whose keys are the attribute names."""
        return {"elements": self.elements, "bytes": self.bytes, "closed_form": str(self.form)}


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
) -> StateSize:
    """What the next token needs after ``seq`` tokens; a window of W keeps min(seq, W - 1) of them.

    ``convention="torch"``: what transformers' cache objects hold (a convolution keeps all its columns). ``cache`` is
    the number format of keys and values, ``page`` the tokens of a block of a paged cache. ``beams`` continuations of a
    sequence each keep a state of their own, but for the keys and values of its encoder, of which there is one set
    (transformers repeats that as well).

    Raises:
        SizeError: ``beams`` is not a positive integer.
    """
    if type(beams) is not int or beams < 1:
        raise SizeError(f"must be a positive integer, not {short_repr(beams)}", parameter="beams")
    workload = Workload(batch=batch, seq=seq, target_seq=target_seq, convention=convention, extend=extend)
    conventions = Conventions("prefill", "dense", convention)
    single_stack = not architecture.is_encoder_decoder
    kept = []
    for stack in architecture.stacks:
        if stack.role == "encoder" or stack.unused:  # an encoder runs once and keeps nothing of its own
            continue
        names = symbols(stack, single_stack, convention=convention)
        for entry in stack_entries(stack):
            for _, declaration in declare(entry.layer).walk():
                for tensor in declaration.states:
                    if runs(tensor.tags, conventions):
                        lengths = [extent(axis, declaration, names, convention) for axis in tensor.axes]
                        if page and tensor.role in CACHED:
                            lengths = [_whole(length, page) for length in lengths]
                        own = 1 if SOURCE_AXIS in tensor.axes and convention is None else beams
                        size = lift(own)
                        for length in lengths:
                            size = size * length
                        row = lengths[-1]
                        share = _share(tensor, declaration, mesh) if mesh else 1
                        kept.append(Kept(entry, tensor, size, row if isinstance(row, int) else 1, share, own))
    return StateSize(architecture, workload, dtype, tuple(kept), cache, page, beams)


def _share(tensor: State, declaration: Declaration, mesh: Mesh) -> int:
    """The ranks that share a state: those that share its heads or channels."""
    lengths = ((axis, declaration.axes.get(axis)) for axis in tensor.axes)
    return max((mesh.divisor(axis, length) for axis, length in lengths if isinstance(length, int)), default=1)


def _whole(length: Form | int, page: int) -> Form | int:
    """A number of tokens in whole blocks; sizes and the batch as they are."""
    if isinstance(length, int) or length.symbols() <= {"b"}:
        return length
    return lift(ceil(length, page)) * page
