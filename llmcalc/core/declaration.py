"""Layer declarations: the axes, tensors, equations and state from which all results are computed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from .errors import DescriptionError, short_repr
from .record import record

_TENSOR = re.compile(r"([A-Za-z_][\w.]*)\[([^\]]*)\]")


@record
class Tensor:
    """A stored tensor: a parameter or a buffer.

    Attributes:
        groups: axes of each dimension. Axes written together form one dimension (``bq[h e]``), a semicolon separates
            dimensions (``conv[i; K]``), and a bar separates the input of a matrix from its output (``wq[d | h e]``).
        linear: whether the tensor is a matrix whose last two dimensions are input and output.
        share: identity of a shared tensor; tensors with the same ``share`` are one tensor.
        active: (axis, active axis). The length of the second axis is the number of entries of the first axis that a
            token uses, such as ``("x", "j")`` for top_k of all experts.
        table: kind of look-up table: ``token``, ``position``, ``segment`` or ``other``.
        buffer: whether the tensor is stored but is not a parameter.
        unused: whether the tensor is stored but not used by any equation.
    """

    name: str
    groups: tuple[tuple[str, ...], ...]
    linear: bool = False
    share: str | None = None
    active: tuple[str, str] | None = None
    table: str | None = None
    buffer: bool = False
    unused: bool = False

    @property
    def axes(self) -> tuple[str, ...]:
        """All axes in order."""
        return tuple(axis for group in self.groups for axis in group)


@record
class State:
    """A tensor kept between decode steps. ``role`` is ``kv``, ``recurrent``, ``conv`` or ``index``."""

    name: str
    axes: tuple[str, ...]
    role: str
    tags: frozenset[str] = frozenset()


class Declaration:
    """The mathematics of one layer, built by the ``declare()`` method of its kind.

    Attributes:
        axes: length of each axis, as an integer or an expression such as ``min(c, w - 1) + q``.
        as_torch: axis lengths that differ in transformers' eager code.
        mask: attention mask, such as ``causal``, ``window:4096`` or ``chunk:8192``, or empty.
        tensors, lines, states: declared by ``weights``, ``equations`` and ``state``.
        parts: inner layers with separate axes, such as shared experts.
        links: input and output tensor names of inner layers that are connected to equations.
        elsewhere: tensors that an earlier layer computes and saves for the backward pass.

    >>> d = Declaration({"d": 3, "f": 5})
    >>> d.weights("w1[d | f]", "b1[f]")
    >>> [tensor.axes for tensor in d.tensors]
    [('d', 'f'), ('f',)]
    """

    __slots__ = ("__dict__", "sizes")  # sizes is a cache, ignored in comparisons

    def __init__(self, axes: dict[str, int | str], *, as_torch: dict[str, int | str] | None = None) -> None:
        self.sizes: tuple[int, ...] | None = None
        self.axes = axes
        self.tensors: list[Tensor] = []
        self.lines: list[str] = []
        self.states: list[State] = []
        self.as_torch = dict(as_torch or {})
        self.mask = ""
        self.parts: list[tuple[str, Declaration]] = []
        self.links: dict[str, tuple[str, str]] = {}
        self.elsewhere: tuple[str, ...] = ()

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
            for axis in (axis for group in groups for axis in group):
                if axis not in self.axes:
                    raise DescriptionError(f"axis {axis!r} of tensor {short_repr(spec)} has no length")
            self.tensors.append(Tensor(name, groups, linear, share, active, table, buffer, unused))

    def equations(self, *lines: str) -> None:
        """Declare equations in execution order."""
        self.lines.extend(lines)

    def state(self, spec: str, role: str = "kv", *tags: str) -> None:
        """Declare a tensor kept between decode steps, such as ``k[b t g e]``."""
        name, groups, _ = _read_tensor(spec)
        self.states.append(State(name, groups[0], role, frozenset(tags)))

    def only_stored(self) -> Declaration:
        """Return a copy with tensors but no equations, for a layer that is never executed."""
        found = Declaration(self.axes, as_torch=self.as_torch)
        found.tensors = [Tensor(**{**vars(tensor), "unused": True}) for tensor in self.tensors]
        found.parts = [(name, part.only_stored()) for name, part in self.parts]
        return found

    def include(self, name: str, part: Declaration, *, of: str = "x", gives: str = "") -> None:
        """Add an inner layer with the input tensor ``of`` and the output name ``gives``."""
        self.parts.append((name, part))
        if of != "x" or gives:
            self.links[name] = of, gives

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
    linear = "|" in match[2]
    groups = tuple(tuple(group.split()) for group in match[2].replace("|", ";").split(";"))
    return match[1], groups, linear
