"""Which tensor is stored in which number format, as real checkpoints do it, and how many bits that takes.

A quantised checkpoint is never in one format: tables, the head, norms and routers stay as they were; a mixture such as
Q4_K_M gives some matrices of some layers more bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ...core.architecture import Architecture
from ...core.errors import InputError, UnknownNameError
from ...core.ledger import Row, rows
from ...core.record import record
from ..params import component
from ..sharding import Mesh
from .number_formats import BITS_A_BYTE, Format, shape, tensor_bits

TABLES = ("token embedding", "position embedding", "segment embedding", "other embedding")
KEPT = (*TABLES, "head", "norm", "router")
GROUPED = 4  # query heads for each key head, from which on llama.cpp spends more bits on values


class WeightFormats(Protocol):
    """How the weights of a model are stored: in formats that were asked for, or as a checkpoint was published.

    Attributes:
        published: whether they are stored as a published checkpoint stores them.
        unread: keys of the checkpoint's quantisation config that were not interpreted.
    """

    @property
    def published(self) -> bool: ...  # noqa: D102

    @property
    def unread(self) -> tuple[str, ...]: ...  # noqa: D102

    def stored(self, architecture: Architecture, mesh: Mesh | None = None) -> list[Stored]:
        """Bits of the tensors that one rank of a mesh stores, equal formats of a component together."""
        ...


@record
class Rule:
    """A format for some tensors of some layers.

    Attributes:
        of: a component (``head``) or the name of a tensor in the equations (``wv``).
        format: the format they get.
        layers: which of n layers: ``all``, ``more`` (the first and the last eighth, every third between), ``middle``
            (all but the first and the last eighth), ``first 4`` or ``first 1/8``.
        when: a further condition: ``grouped``, ``8 experts``, ``80 layers``.
    """

    of: str
    format: Format
    layers: str = "all"
    when: str = ""


@record
class Weights:
    """How weights are stored.

    Attributes:
        name: what the choice is called.
        main: the format of the matrices.
        base: the format of all else.
        only: components whose matrices are in ``main``; empty: all but those in ``kept``.
        kept: components that stay in ``base``.
        rules: exceptions of a mixture; the first that fits decides.
    """

    name: str
    main: Format
    base: Format
    only: tuple[str, ...] = ()
    kept: tuple[str, ...] = KEPT
    rules: tuple[Rule, ...] = ()

    @property
    def published(self) -> bool:
        """False: the formats were asked for."""
        return False

    @property
    def unread(self) -> tuple[str, ...]:
        """Empty: there is no config."""
        return ()

    def stored(self, architecture: Architecture, mesh: Mesh | None = None) -> list[Stored]:
        """Every tensor in its format, tensors of equal size and format together, as one rank of a mesh stores them.

        Raises:
            UnknownNameError: ``only`` or ``kept`` names a component that the model does not have.
            InputError: a component that is both quantised and kept.
        """
        model = Model(architecture)
        self.check(model)
        return [found for row in model.rows for found in stored_row(row, self, model, mesh)]

    def check(self, model: Model) -> None:
        """See that the components are the model's.

        Raises:
            UnknownNameError: a component that the model has not.
            InputError: a component that is asked to be both quantised and kept.
        """
        for flag, names in (("--only", self.only), ("--keep", tuple(set(self.kept) - set(KEPT)))):
            for name in names:
                if name not in model.components:
                    hint = f"it has: {', '.join(model.components)}"
                    raise UnknownNameError("component", name, model.components, where=flag, hint=hint)
        for name in self.only:
            if name in self.kept:
                raise InputError(f"{name!r} is to be quantised and kept", where="--only", hint="drop it from --keep")

    def formats(self, row: Row, part: str, model: Model) -> Iterator[tuple[Format, int]]:
        """(format, copies) of a tensor of the component ``part``."""
        if self.main.plain and not self.only and self.main.bits >= max(self.base.bits, 2 * BITS_A_BYTE):
            yield self.main, row.copies  # a plain 16- or 32-bit format holds everything
            return
        table = part in TABLES and part not in self.kept
        if not (row.tensor.linear or table or part == "head") or part in self.kept:
            yield self.base, row.copies
            return
        if self.only and part not in self.only:
            yield self.base, row.copies
            return
        for layer in model.layers(row):
            yield self._of_layer(row, part, model, layer), 1

    def _of_layer(self, row: Row, part: str, model: Model, layer: int) -> Format:
        names = {row.tensor.name, "head" if part == TABLES[0] and model.tied else part}
        n_layers = row.entry.stack.n_layers
        for rule in self.rules:
            fits = rule.of in names and selected(rule.layers, layer, n_layers)
            if fits and (not rule.when or model.meets(rule.when, row)):
                return rule.format
        return self.main


class Model:
    """What rules ask about an architecture."""

    def __init__(self, architecture: Architecture) -> None:
        self.rows = rows(architecture.stacks)
        self.tied = not any(row.copies and component(row) == "head" for row in self.rows)
        kinds = [row.entry.layer for row in self.rows if row.entry.layer.kind() == "moe"]
        self.experts = {getattr(layer, "n_experts", 0) for layer in kinds}
        self.components = tuple(dict.fromkeys(component(row) for row in self.rows if row.copies))

    def layers(self, row: Row) -> range:
        """The numbers of the blocks that store a tensor of their own."""
        if row.entry.run is None:
            return range(row.copies)
        first = sum(run.count for run in row.entry.stack.runs[: row.entry.run])
        return range(first, first + row.copies)

    def meets(self, condition: str, row: Row) -> bool:
        """Whether a rule's condition holds for the layer of a tensor."""
        if condition == "grouped":
            layer = row.entry.layer
            heads, shared = getattr(layer, "n_heads", 0), getattr(layer, "n_kv_heads", None)
            return bool(shared) and int(heads) >= GROUPED * int(shared or 1)
        number, what = condition.split()
        return int(number) in (self.experts if what == "experts" else {row.entry.stack.n_layers})


class Stored(NamedTuple):
    """Tensors of one row in one format: a component, elements and bits."""

    component: str
    format: Format
    elements: int
    bits: int


def stored_row(row: Row, weights: Weights, model: Model, mesh: Mesh | None = None) -> Iterator[Stored]:
    """A tensor in its formats, the copies of each together; nothing if it was stored before."""
    part, counts = component(row), dict[Format, int]()
    own = row.size if mesh is None else mesh.share_of_weight(row.tensor, row.declaration, row.size)
    for chosen, copies in weights.formats(row, part, model) if row.copies else ():
        used = chosen.used(shape(row)[2])
        counts[used] = counts.get(used, 0) + copies
    for used, copies in counts.items():
        bits = -(-tensor_bits(row, used) * own // row.size) if row.size else 0
        yield Stored(part, used, own * copies, bits * copies)


def selected(layers: str, layer: int, n_layers: int) -> bool:
    """Whether a rule's ``layers`` name a layer.

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
