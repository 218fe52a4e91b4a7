"""Traversal of an architecture, used to compute FLOPs, state, traffic, communication and saved tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..core.architecture import Architecture, Stack
from ..core.declaration import Declaration, State
from ..core.equation import Equation, read
from ..core.errors import UnsupportedError
from ..core.expression import evaluate
from ..core.form import FUNCTIONS as ATOMS
from ..core.form import Form, chunk_pairs, lift, pairs, remainder
from ..core.functions import RECURRENCES
from ..core.ledger import Entry, declarations
from ..core.record import NamedTuple, remembered
from ..core.type_names import TYPE_CHECKING
from ..core.workload import symbols

if TYPE_CHECKING:
    from .sharding import Mesh

PAIRS = "visible_pairs"  # factor that replaces (q, k) under a mask
Extent = Form | int


class Conventions(NamedTuple):
    """Settings that determine which equations are executed and which attention pairs are counted.

    Attributes:
        phase: ``prefill`` or ``decode``.
        attention: query-key pairs that are counted (``causal`` for visible pairs or ``dense`` for all pairs).
        convention: None for the model itself, or ``torch`` for transformers' eager code.
        logits: positions for which logits are computed (``all`` or ``last``).
        kernel: implementation of attention, ``eager`` or ``flash``.
        dropout: whether dropout is active.
    """

    phase: str
    attention: str
    convention: str | None
    logits: str = "all"
    kernel: str = "eager"
    dropout: bool = False


class Placed(NamedTuple):
    """A declaration and its position in the architecture, with the closed form of each workload axis.

    Attributes:
        part: path of the inner layer, or empty for the layer itself.
        is_done: whether the equations were already executed in an earlier step (as for the encoder when decoding).
    """

    entry: Entry
    part: tuple[str, ...]
    declaration: Declaration
    symbols: Mapping[str, Form]
    conventions: Conventions
    is_done: bool

    @property
    def equations(self) -> tuple[Equation, ...]:
        """Executed equations, in order."""
        found = executed(self.declaration, self.conventions)
        return tuple(equation for equation in found if "again" in equation.tags) if self.is_done else found

    @property
    def identity(self) -> tuple[object, ...]:
        """What equal layers have in common, and those of both phases if they execute the same equations.

        The identities are unique as long as the place is kept.
        """
        equations = id(executed(self.declaration, self.conventions))
        _, *others = self.conventions  # without the phase
        return id(self.declaration), id(self.symbols), self.is_done, equations, *others

    @property
    def states(self) -> Iterator[State]:
        """Tensors that persist between decode steps."""
        return (state for state in self.declaration.states if runs(state.tags, self.conventions))

    @property
    def reads_previous_tokens(self) -> bool:
        """Whether the layer has a recurrence or a convolution, with a state that does not grow with the tokens."""
        layer, states = self.declaration.layer, [[*map(self.extent, state.axes)][1:] for state in self.states]
        is_fixed = any(all(isinstance(length, int) for length in lengths) for lengths in states)
        return is_fixed or (layer is not None and layer.IS_RECURRENT)

    def extent(self, axis: str) -> Extent:
        """Return the length of an axis as an integer or a closed form."""
        return extent(axis, self.declaration, self.symbols, self.conventions.convention)

    def extents(self, axes: tuple[str, ...]) -> list[tuple[str, Extent]]:
        """Return the axes of a product with their lengths. With an attention mask, a single axis of visible pairs
        replaces
        the query and key axes.
        """
        separate = self.declaration.mask.startswith("apart:")  # pairs across chunks are never computed
        masked = (self.conventions.attention == "causal" and self.declaration.mask) or separate
        own, found = (self.declaration, self.symbols, self.conventions.convention), list[tuple[str, Extent]]()
        keys = next((axis for axis in axes if axis == "k" or axis in self.declaration.masks), "")
        if masked and keys and "q" in axes:
            found = [(PAIRS, visible_pairs(self.declaration.masks.get(keys, self.declaration.mask), self.symbols))]
            axes = tuple(axis for axis in axes if axis not in ("q", keys))
        for axis in axes:
            found.append((axis, extent(axis, *own)))
        return found


def executed_stacks(architecture: Architecture, conventions: Conventions) -> Iterator[tuple[Stack, dict[str, Form]]]:
    """Yield every stack that is executed, with the closed form of each workload axis."""
    single_stack = not architecture.is_encoder_decoder
    for stack in architecture.stacks:
        if not stack.unused:
            yield stack, symbols(stack, single_stack, conventions.logits, conventions.convention)


def walk(architecture: Architecture, conventions: Conventions) -> Sequence[Placed]:
    """Return the declaration of every executed layer and inner layer. Equal blocks of a run are visited once."""

    def compute() -> list[Placed]:
        found = []
        for stack, names in executed_stacks(architecture, conventions):
            is_done = stack.role == "encoder" and architecture.is_encoder_decoder and conventions.phase == "decode"
            own = declarations(stack)
            found += [Placed(entry, part, each, names, conventions, is_done) for entry, part, each in own]
        return found

    return remembered(architecture, "_placed", conventions, compute, most=16)


def executed_declarations(architecture: Architecture) -> list[Declaration]:
    """Return the declarations of all executed layers and inner layers."""

    def compute() -> list[Declaration]:
        found = declarations(*(stack for stack in architecture.stacks if not stack.unused))
        return list({id(declaration): declaration for *_, declaration in found}.values())

    return remembered(architecture, "_executed_declarations", None, compute)


def division(architecture: Architecture, mesh: Mesh) -> tuple[int | bool | None, ...]:
    """Return what the shares of all tensors on a mesh depend on. Meshes that differ in replicas have it in common."""
    return remembered(architecture, "_division", mesh, lambda: mesh.division_of(*executed_declarations(architecture)))


def executed(declaration: Declaration, conventions: Conventions) -> tuple[Equation, ...]:
    """Return the equations of a declaration that are executed under the given conventions, which are found once.

    Conventions with the same equations share one tuple.
    """
    known = declaration.executed
    if conventions not in known:
        own = tuple(equation for equation in map(read, declaration.lines) if runs(equation.tags, conventions))
        known[conventions] = next((each for each in known.values() if each == own), own)
    return known[conventions]


def token_states(declaration: Declaration) -> frozenset[str]:
    """Return the states of recurrences that are summed over an axis, which fused kernels don't store for each token."""
    states: dict[str, tuple[str, ...]] = {}
    found = set[str]()
    for equation in map(read, declaration.lines):
        for name in [operand.name for operand in equation.operands]:
            found |= {name} if not set(states.get(name, ())) <= set(equation.out.axes) else set()
        states.pop(equation.out.name, None)
        states |= {equation.out.name: equation.out.axes} if equation.function in RECURRENCES else {}
    return frozenset(found)


def runs(tags: frozenset[str], conventions: Conventions) -> bool:
    """Return whether an equation or state with the given tags is included under the conventions."""
    if not tags:
        return True
    if ("eager" if conventions.kernel == "flash" else "flash") in tags:
        return False
    if "dropout" in tags and not conventions.dropout:
        return False
    phases, kinds = tags & {"prefill", "decode"}, tags & {"torch", "model"}
    return (not phases or conventions.phase in phases) and (not kinds or (conventions.convention or "model") in kinds)


def extent(axis: str, declaration: Declaration, names: Mapping[str, Form], convention: str | None) -> Extent:
    """Return the length of an axis as an integer or a closed form, which is evaluated once for a declaration."""
    key = axis, id(names), convention
    known = declaration.extents.get(key)
    if known is None or known[0] is not names:
        known = declaration.extents[key] = names, _extent(axis, declaration, names, convention)
    return known[1]


def _extent(axis: str, declaration: Declaration, names: Mapping[str, Form], convention: str | None) -> Extent:
    torch = declaration.as_torch if convention == "torch" else {}
    length = torch.get(axis, declaration.axes.get(axis))
    if length is None:
        return names[axis]
    if isinstance(length, int):
        return length
    sizes = {name: size for table in (declaration.axes, torch) for name, size in table.items() if isinstance(size, int)}
    found: Extent = evaluate(length, {**names, **sizes}, ATOMS)
    return found


def visible_pairs(mask: str, names: Mapping[str, Form]) -> Form:
    """Return the number of (query, key) pairs that are visible under an attention mask."""
    kind, _, width = mask.partition(":")
    query, keys = names["q"], names["k"]
    if kind == "causal":
        return lift(pairs(query, keys))
    if kind == "window":
        return lift(pairs(query, keys, int(width)))
    if kind == "chunk":
        return lift(chunk_pairs(query, keys, int(width)))
    if kind in ("block", "apart"):  # all tokens of the same block
        rest = remainder(query, int(width))
        return lift((query - rest) * int(width) + rest * rest)
    if kind == "patch":  # vectors of the patch of each new token
        return query * int(width)
    if kind == "local":  # tokens before and after; the token itself counts once
        back, _, ahead = width.partition(":")
        return lift(pairs(query, query, int(back))) + lift(pairs(query, query, int(ahead or back))) - query
    raise UnsupportedError(f"unsupported mask {mask!r}")
