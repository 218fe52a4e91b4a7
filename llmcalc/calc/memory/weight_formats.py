"""Number formats and sizes of weights.

A quantised checkpoint mixes formats. Embeddings, the head, norms and routers are usually not quantised, and a
mixture such as Q4_K_M uses more bits for some matrices in some layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from math import prod

from ...core.amount import summed
from ...core.architecture import Architecture, model_of
from ...core.errors import InputError, UnknownNameError
from ...core.ledger import Row, model_rows
from ...core.record import NamedTuple, record, remembered
from ...core.traits import EMBEDDING, HEAD, NORM, ROUTER
from ...core.type_names import Protocol
from ..params import component
from ..sharding import TENSOR_DIVISIONS, Mesh
from .number_formats import BITS_A_BYTE, Format, shape

TABLES = ("token embedding", "position embedding", "segment embedding", "other embedding")
UNQUANTISED = (*TABLES, HEAD, NORM, ROUTER)
Selections = tuple[tuple[tuple[bool, ...], int], ...]
GROUPED = 4  # minimum query heads per key head for which llama.cpp uses more bits in value projections


class WeightFormats(Protocol):
    """Weight formats of a model. For a ``published`` checkpoint, ``unread`` lists the config keys that were not
    interpreted.
    """

    @property
    def published(self) -> bool: ...  # noqa: D102

    @property
    def unread(self) -> tuple[str, ...]: ...  # noqa: D102

    def stored(self, architecture: Architecture, mesh: Mesh | None = None) -> list[StoredTensors]:
        """Return the numbers of elements and bits on one rank, by component and format."""
        ...


class ServedWeights(WeightFormats, Protocol):
    """Weight formats that an engine serves. ``has_host_table`` is set if llama.cpp is the engine, which keeps the input
    table in host memory.
    """

    @property
    def has_host_table(self) -> bool: ...  # noqa: D102

    def refusals(self, architecture: Architecture, mesh: Mesh) -> Iterator[str]:
        """Yield the matrices that block-quantised kernels do not accept because a rank has part of a block."""
        ...


@record
class FormatRule:
    """A rule that assigns a format to selected tensors in selected layers.

    Attributes:
        of: component, such as ``head``, or the name of a tensor in the equations, such as ``wv``.
        layers: selected layers: ``all``, ``more`` (the first and last eighth, and every third layer in between),
            ``middle`` (all but the first and last eighth), ``first 4`` or ``first 1/8``.
        when: condition on the model, such as ``grouped``, ``8 experts`` or ``80 layers``.
    """

    of: str
    format: Format
    layers: str = "all"
    when: str = ""


@record
class RequestedFormats:
    """Weight formats requested by the user.

    Attributes:
        main: format of the matrices.
        base: format of all other tensors.
        only: components whose matrices use ``main`` (empty: all components that are not in ``unquantised``).
        unquantised: components and classes of tensors that use ``base``.
        rules: exceptions in a mixture of formats. The first match applies.
        has_host_table: whether the format is a mixture of llama.cpp, which keeps the input table in host memory.
    """

    name: str
    main: Format
    base: Format
    only: tuple[str, ...] = ()
    unquantised: tuple[str, ...] = UNQUANTISED
    rules: tuple[FormatRule, ...] = ()
    has_host_table: bool = False

    published, unread = False, ()

    def stored(self, architecture: Architecture, mesh: Mesh | None = None) -> list[StoredTensors]:
        """Return the numbers of elements and bits on one rank, by tensor and format."""
        key = self, mesh and mesh.division
        return remembered(architecture, "_requested", key, lambda: self._stored(architecture, mesh, key), most=256)

    def _stored(self, architecture: Architecture, mesh: Mesh | None, key: Hashable) -> list[StoredTensors]:
        model, found = model_tensors(architecture), list[StoredTensors]()
        known = dict[tuple[object, ...], tuple[Row, list[StoredTensors]]]()  # equal layers of all pipeline stages
        known = remembered(model_of(architecture)[0], "_requested_rows", key, lambda: known, most=64)
        for row in model.distinct_rows:
            own = (id(row.declaration), id(row.tensor), self._selections(row, model))
            if own not in known:
                known[own] = row, list(stored_row(row, self, model, mesh))  # the row keeps the identities unique
            found += known[own][1]
        return found

    def refusals(self, architecture: Architecture, mesh: Mesh) -> Iterator[str]:
        """Yield the matrices that block-quantised kernels do not accept because a rank has part of a block."""
        model = model_tensors(architecture)
        for row in model.distinct_rows if self.main.rows > 1 else ():
            if any(used.rows > 1 for used, _ in self.formats(row, model)):
                yield from refused_shards(row, mesh, (self.main.rows, self.main.block))

    def check(self, model: ModelTensors) -> None:
        """Check that all requested components exist, and that none is both quantised and unquantised."""
        for parameter, names in (("only", self.only), ("keep", tuple(set(self.unquantised) - set(UNQUANTISED)))):
            for name in names:
                if name not in model.components:
                    hint = f"known components: {', '.join(model.components)}"
                    raise UnknownNameError("component", name, model.components, parameter=parameter, hint=hint)
        for name in self.only:
            if name in self.unquantised:
                hint = "list a component in {only} or {keep}, not in both"
                raise InputError(f"{name!r} cannot be both quantised and kept unquantised", parameter="only", hint=hint)

    def formats(self, row: Row, model: ModelTensors, layers: range | None = None) -> Iterator[tuple[Format, int]]:
        """Yield (format, number of copies) for a tensor, in ``layers`` if given."""
        if self.main.plain and not self.only and self.main.bits >= max(self.base.bits, 2 * BITS_A_BYTE):
            yield self.main, row.copies  # a plain 16- or 32-bit format applies to everything
            return
        kind = model.kind(row)
        part = kind.component
        is_kept = part in self.unquantised or (kind.number_class in self.unquantised and part not in self.only)
        if not kind.is_matrix or is_kept or (self.only and part not in self.only):
            yield self.base, row.copies
            return
        for selections, n_layers in self._selections(row, model, layers):
            yield self._selected(row, part, model, selections), n_layers

    def _selections(self, row: Row, model: ModelTensors, layers: range | None = None) -> Selections:
        """Return how many of a tensor's layers have each combination of selections by the rules."""
        if not self.rules:
            return (((), row.copies),)
        own = model.layers(row) if layers is None else layers
        return _selections(tuple(rule.layers for rule in self.rules), own, model.n_layers[row.entry.stack.name])

    def _selected(self, row: Row, part: str, model: ModelTensors, selections: tuple[bool, ...]) -> Format:
        is_output = model.tied and part in TABLES[::3]  # llama.cpp stores all tables of tied models as the head
        names = {row.tensor.name, HEAD if is_output else part}
        for rule, is_selected in zip(self.rules, selections, strict=True):
            if rule.of in names and is_selected and model.meets(rule, row):
                return rule.format
        return self.main


class TensorKind(NamedTuple):
    """What formats depend on in a tensor, which holds ``n_equal`` matrices of ``n_rows`` x ``columns``."""

    component: str
    number_class: str
    is_matrix: bool
    n_equal: int
    n_rows: int
    columns: int


class ModelTensors:
    """Tensors of an architecture, and the model properties that format rules depend on.

    The properties of a pipeline stage are those of the whole model, and its layers are numbered as in the model.
    """

    def __init__(self, architecture: Architecture) -> None:
        self._kinds: dict[tuple[int, int], tuple[Row, TensorKind]] = {}
        self._layers: dict[tuple[str, int], tuple[int, ...]] = {}  # of runs of blocks
        self.distinct_rows = model_rows(architecture, distinct=True)
        self.components = tuple(dict.fromkeys(component(row) for row in self.distinct_rows if row.copies))
        model, self.first_layer = model_of(architecture)
        of_model = self.distinct_rows if model is architecture else model_tensors(model).distinct_rows
        heads = (row for row in of_model if row.declaration.number_class(row.tensor) == HEAD)
        counts = (row.declaration.routed_experts for row in of_model)
        self.tied, self.experts = not any(row.copies for row in heads), {count[0] for count in counts if count}
        self.n_layers = {stack.name: stack.n_layers for stack in model.stacks}

    def kind(self, row: Row) -> TensorKind:
        """Return what formats depend on in a tensor, which is read once."""
        key = id(row.declaration), id(row.tensor)
        if key not in self._kinds:
            number_class = row.declaration.number_class(row.tensor)
            is_matrix = row.tensor.linear or number_class in (EMBEDDING, HEAD)
            # the row keeps the identities unique
            self._kinds[key] = row, TensorKind(component(row), number_class, is_matrix, *shape(row))
        return self._kinds[key][1]

    def layers(self, row: Row) -> tuple[int, ...]:
        """Return the indices of the blocks that store a separate copy of a tensor, in its run and later equal ones."""
        if row.entry.run is None:
            return tuple(range(row.copies))
        stack, first = row.entry.stack, row.entry.run
        key = stack.name, first
        if key not in self._layers:
            equal = (
                range(start, start + (1 if run.shared else run.count))
                for start, run, equal_run in zip(stack.first_blocks, stack.runs, stack.first_runs, strict=True)
                if equal_run == stack.first_runs[first] and start >= stack.first_blocks[first]
            )
            self._layers[key] = tuple(self.first_layer + layer for each in equal for layer in each)
        return self._layers[key][: row.copies]

    def meets(self, rule: FormatRule, row: Row) -> bool:
        """Return whether a tensor meets the condition of a rule."""
        if not rule.when:
            return True
        if rule.when == "grouped":
            layer = row.entry.layer
            heads, shared = (sum(size for _, size in layer.sizes(role)) for role in ("heads", "kv_heads"))
            return bool(shared and heads >= GROUPED * shared)
        number, what = rule.when.split()
        return int(number) in (self.experts if what == "experts" else {self.n_layers[row.entry.stack.name]})


def model_tensors(architecture: Architecture) -> ModelTensors:
    """Return the tensors of an architecture, which are listed once."""
    return remembered(architecture, "_model_tensors", None, lambda: ModelTensors(architecture))


class StoredTensors(NamedTuple):
    """Element and bit counts for one component's tensors in one format."""

    component: str
    format: Format
    elements: int
    bits: int


def layer_bits(row: Row, weights: RequestedFormats, model: ModelTensors, layer: int | None) -> int:
    """Return the bits of a tensor in one layer, or of a tensor outside of the layers."""
    layers = None if layer is None else range(layer, layer + 1)
    return sum(stored.bits for stored in stored_row(row._replace(copies=1), weights, model, layers=layers))


def stored_row(
    row: Row, weights: RequestedFormats, model: ModelTensors, mesh: Mesh | None = None, layers: range | None = None
) -> Iterator[StoredTensors]:
    """Yield the element and bit counts of a tensor in each format. Tied tensors that were already counted are
    skipped.
    """
    if not row.copies:
        return
    part, _, _, n_equal, n_rows, columns = model.kind(row)
    own = row.size if mesh is None else mesh.share_of_weight(row.tensor, row.declaration, row.size)
    counts = summed((chosen.used(columns), copies) for chosen, copies in weights.formats(row, model, layers))
    for used, copies in counts.items():
        bits = -(-n_equal * used.bits_of(n_rows, columns) * own // row.size) if row.size else 0
        yield StoredTensors(part, used, own * copies, bits * copies)


def refused_shards(row: Row, mesh: Mesh, tile: tuple[int, ...]) -> Iterator[str]:
    """Yield a message if tensor parallelism splits a matrix [out, in] into parts that are not multiples of ``tile``."""
    groups = (row.tensor.groups[-1], row.tensor.groups[-2]) if row.tensor.linear else ()
    for group, length in zip(groups, tile, strict=False):
        axes = {axis: int(row.declaration.axes[axis]) for axis in group}
        divided = [axis for axis in axes if row.declaration.division(axis) in TENSOR_DIVISIONS]
        ranks = max((mesh.divisor(row.declaration, axis, row.tensor.active is not None) for axis in divided), default=1)
        share = prod(axes.values()) // ranks
        if ranks > 1 and share % length:
            names = "·".join(row.declaration.name_of(axis) for axis in group)
            part = f"{names} {prod(axes.values())} on {ranks} ranks is {share} per rank"
            yield f"{component(row)}: {part}, not a multiple of the quantisation block of {length}"


@lru_cache(maxsize=4096)
def _selections(rules: tuple[str, ...], layers: Sequence[int], n_layers: int) -> Selections:
    """Return the number of layers for each combination of the rules' ``layers`` that select a layer."""
    return tuple(Counter(tuple(selected(rule, layer, n_layers) for rule in rules) for layer in layers).items())


def selected(layers: str, layer: int, n_layers: int) -> bool:
    """Return whether a rule's ``layers`` selects a layer.

    >>> [layer for layer in range(16) if selected("more", layer, 16)]
    [0, 1, 4, 7, 10, 13, 14, 15]
    >>> [layer for layer in range(16) if selected("first 1/8", layer, 16)]
    [0, 1]
    """
    eighth, end = n_layers // 8, 7 * n_layers // 8
    if layers == "more":
        return layer < eighth or layer >= end or (layer - eighth) % 3 == 2
    if layers == "middle":
        return eighth <= layer < end
    if layers.startswith("first "):
        number, _, of = layers.removeprefix("first ").partition("/")
        return layer < (n_layers * int(number) // int(of) if of else int(number))
    return True
