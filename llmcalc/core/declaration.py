"""Layer declarations. All results are computed from their axes, tensors, equations and state."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import chain

from .errors import DescriptionError, short_repr
from .record import changed, record
from .traits import EXPERTS, MATRIX, Traits, divisions, glossary
from .type_names import TYPE_CHECKING

if TYPE_CHECKING:
    from .equation import Equation
    from .form import Form
    from .layer import Layer

_TENSOR = re.compile(r"([A-Za-z_][\w.]*)\[([^\]]*)\]")


@record
class Tensor:
    """A stored tensor, either a parameter or a buffer.

    Attributes:
        groups: axes of each dimension. Axes written together form one dimension (``bq[h e]``), a semicolon
            separates dimensions (``conv[i; K]``), and a bar separates matrix input from output (``wq[d | h e]``).
        linear: whether the tensor is a matrix whose last two dimensions are input and output.
        share: sharing key. Tensors with the same ``share`` are one tensor.
        active: pair (axis, active axis). The length of the active axis is the number of entries along the first
            axis that each token uses, as in ``("x", "j")`` for ``top_k`` of all experts.
        table: type of lookup table (``token``, ``position``, ``segment`` or ``other``).
        buffer: whether the tensor is stored but is not a parameter.
        unused: whether the tensor is stored but not used by any equation.
        component: name under which breakdowns list the tensor, or empty for the component of the layer.
    """

    name: str
    groups: tuple[tuple[str, ...], ...]
    linear: bool = False
    share: str | None = None
    active: tuple[str, str] | None = None
    table: str | None = None
    buffer: bool = False
    unused: bool = False
    component: str = ""

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """Axes of all dimensions, in order."""
        return tuple(chain.from_iterable(self.groups))


@record
class State:
    """A tensor that persists between decode steps. ``role`` is ``kv``, ``recurrent``, ``conv`` or ``index``."""

    name: str
    axes: tuple[str, ...]
    role: str
    tags: frozenset[str] = frozenset()


Leaf = tuple[tuple[str, ...], "Declaration", Tensor, int]  # path of the inner layer, declaration, tensor, elements


class Declaration:
    """Axes, tensors, equations and state of one layer, returned by the ``declare()`` method of its kind.

    Attributes:
        axes: length of each axis, as an integer or an expression such as ``min(c, w - 1) + q``.
        as_torch: axis lengths that differ in transformers' eager code.
        mask: attention mask, such as ``causal``, ``window:4096`` or ``chunk:8192``, or empty.
        masks: masks of axes of keys other than ``k``, by axis.
        tensors, lines, states: entries added by ``weights``, ``equations`` and ``state``.
        input: name of the input in the equations.
        padded: axis of the rows of the input after padding, or empty.
        parts: inner layers with their own axes, such as shared experts.
        links: names of the input and output tensors that connect inner layers to equations.
        pieces: names of tensors that equations read as parts of another tensor, by the name of that tensor.
        halos: axes of the rows before a rank's own tokens that a tensor contains, by the name of the tensor. The input
            shifted by one token contains one row.
        elsewhere: tensors that an earlier layer computes and saves for the backward pass.
        idle_experts: number of null experts. FLOPs are counted as if these experts performed computations.
        spare_positions: number of unused rows in a position table.
        logits: number format in which the loss reads the logits (``fp32`` or ``compute``), or empty without logits.
        is_only_stored: whether the layer is never executed.
        component: component of the tensors and equations that are declared next, or empty for that of the layer.
        components: component of each equation for which it differs from that of the layer.
        layer: layer that the equations belong to, set by ``bind``.
        expert_axes: axes that count the experts of a token.
        divisions: attribute of ``Parallel`` that lists an axis, by axis, set by ``bind``.

    >>> d = Declaration({"d": 3, "f": 5})
    >>> d.weights("w1[d | f]", "b1[f]")
    >>> [tensor.axes for tensor in d.tensors]
    [('d', 'f'), ('f',)]
    """

    __slots__ = (
        "__dict__",
        "divides_experts",
        "divisions",
        "executed",
        "expert_axes",
        "extents",
        "layer",
        "leaves",
    )  # a reference and caches, ignored in comparisons

    def __init__(self, axes: dict[str, int | str], *, as_torch: dict[str, int | str] | None = None) -> None:
        self.leaves: tuple[Leaf, ...] | None = None
        self.extents: dict[Hashable, tuple[object, int | Form]] = {}
        self.executed: dict[Hashable, tuple[Equation, ...]] = {}
        self.divides_experts: bool | None = None
        self.expert_axes: set[str] = set()
        self.divisions: Mapping[str, str] = {}
        self.layer: Traits | None = None
        self.axes = axes
        self.input = "x"
        self.padded = ""
        self.tensors: list[Tensor] = []
        self.lines: list[str] = []
        self.states: list[State] = []
        self.as_torch = dict(as_torch or {})
        self.mask = ""
        self.masks: dict[str, str] = {}
        self.parts: list[tuple[str, Declaration]] = []
        self.links: dict[str, tuple[str, str]] = {}
        self.pieces: dict[str, tuple[str, ...]] = {}
        self.halos: dict[str, tuple[str, ...]] = {"shifted": ("d",)}
        self.elsewhere: tuple[str, ...] = ()
        self.idle_experts = self.spare_positions = 0
        self.logits = ""
        self.is_only_stored = False
        self.component = ""
        self.components: dict[str, str] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Declaration) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def weights(
        self,
        *specs: str,
        share: str | None = None,
        active: tuple[str, str] | None = None,
        table: str | None = None,
        buffer: bool = False,
        unused: bool = False,
    ) -> None:
        """Declare tensors such as ``wq[d | h e]``."""
        for spec in specs:
            name, groups, linear = _read_tensor(spec)
            for axis in chain.from_iterable(groups):
                if axis not in self.axes:
                    raise DescriptionError(f"axis {axis!r} of tensor {short_repr(spec)} has no length")
            self.tensors.append(Tensor(name, groups, linear, share, active, table, buffer, unused, self.component))
        if active:
            self.expert_axes.add(active[1])

    def equations(self, *lines: str, tag: str = "") -> None:
        """Declare equations in execution order. ``tag`` is an additional tag of all of them, such as ``nograd``."""
        if tag:
            lines = tuple(f"{line} {tag}" if "|" in line else f"{line} | {tag}" for line in lines)
        self.lines.extend(lines)
        if self.component:
            self.components |= dict.fromkeys(lines, self.component)

    def state(self, spec: str, role: str = "kv", *tags: str) -> None:
        """Declare a tensor that persists between decode steps, such as ``k[b t g e]``."""
        name, groups, _ = _read_tensor(spec)
        self.states.append(State(name, groups[0], role, frozenset(tags)))

    def only_stored(self) -> Declaration:
        """Return a copy with tensors but without equations, for a layer that is never executed."""
        found = Declaration(self.axes, as_torch=self.as_torch)
        found.tensors = [changed(tensor, unused=True) for tensor in self.tensors]
        found.parts = [(name, part.only_stored()) for name, part in self.parts]
        found.idle_experts, found.spare_positions, found.logits = self.idle_experts, self.spare_positions, self.logits
        found.layer, found.divisions, found.expert_axes = self.layer, self.divisions, self.expert_axes
        found.is_only_stored = True
        return found

    def bind(self, layer: Traits) -> Declaration:
        """Set the layer of this declaration and of all inner declarations without a layer, and return this
        declaration.
        """
        for _, declaration in self.walk():
            if declaration.layer is None:
                declaration.layer, declaration.divisions = layer, divisions(type(layer))  # type: ignore[arg-type]
        return self

    def include(self, name: str, part: Layer | Declaration, *, of: str = "", gives: str = "") -> None:
        """Add an inner layer that reads the tensor ``of`` (default: the input) and whose output is named ``gives``."""
        inner = part if isinstance(part, Declaration) else part.declare().bind(part)
        self.parts.append((name, inner))
        if self.component:
            inner.tensors = [changed(tensor, component=self.component) for tensor in inner.tensors]
            inner.components = dict.fromkeys(inner.lines, self.component)
        if of or gives:
            self.links[name] = of or self.input, gives

    def link(self, name: str) -> tuple[str, str]:
        """Return the tensor that an inner layer reads, and the name of its output."""
        of, gives = self.links.get(name, (self.input, ""))
        return of, gives or name

    def division(self, axis: str) -> str:
        """Return the ``Parallel`` attribute that lists an axis, or an empty string if no attribute does."""
        return self.divisions.get(axis, "")

    @property
    def has_divided_experts(self) -> bool:
        """Whether the shares of tensors depend on the ranks of experts. Ask only after the declaration is complete."""
        if self.divides_experts is None:
            divided = {"expert", "null_experts"}.intersection(map(self.division, self.axes))
            self.divides_experts = bool(self.expert_axes or divided)
        return self.divides_experts

    def name_of(self, axis: str) -> str:
        """Return the name that papers use for an axis. Workload axes keep their letters."""
        return glossary(type(self.layer)).get(axis, (axis, ""))[0] if self.layer else axis  # type: ignore[arg-type]

    def number_class(self, tensor: Tensor) -> str:
        """Return the number format class of a tensor in this declaration."""
        return self.layer.number_class(tensor) if self.layer else MATRIX

    @property
    def routed_experts(self) -> tuple[int, int] | None:
        """Number of routed experts and number of experts per token, or None if there are no routed experts."""
        for tensor in self.tensors:
            if tensor.active and self.number_class(tensor) == EXPERTS:
                whole, used = tensor.active
                if self.division(whole) == "expert":
                    return int(self.axes[whole]), int(self.axes[used])
        return None

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Declaration]]:
        """Yield this declaration and all inner declarations with their paths."""
        yield path, self
        for name, part in self.parts:
            yield from part.walk((*path, name))


@lru_cache(maxsize=1024)
def _read_tensor(spec: str) -> tuple[str, tuple[tuple[str, ...], ...], bool]:
    match = _TENSOR.fullmatch(spec)
    if not match:
        raise DescriptionError(f"invalid tensor {short_repr(spec)}; use a form such as wq[d | h e]")
    groups = tuple(map(tuple, map(str.split, match[2].replace("|", ";").split(";"))))
    return match[1], groups, "|" in match[2]
