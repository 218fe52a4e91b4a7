"""Declarations of layers: axes, tensors, equations and state, from which every result is computed."""

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
        groups: its dimensions. Axes written together are one dimension (``bq[h e]`` is a vector), a semicolon separates
            dimensions (``conv[i; K]``), and a bar separates the input of a matrix from its output (``wq[d | h e]``).
        linear: whether it is a matrix; its last two dimensions are input and output.
        share: identity of a shared tensor; tensors with the same ``share`` are one tensor.
        active: (axis, size axis): a token uses only as many entries of the first axis as the second is long, such as
            ``("x", "j")`` for top_k of all experts.
        table: kind of a look-up table: ``token``, ``position``, ``segment`` or ``other``.
        buffer: whether it is stored, but not a parameter.
        unused: whether it is stored, but not used by any equation.
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
        """All axes, in the order in which they are written."""
        return tuple(axis for group in self.groups for axis in group)


@record
class State:
    """A tensor kept between decode steps; ``role``: ``kv``, ``recurrent``, ``conv`` or ``index``."""

    name: str
    axes: tuple[str, ...]
    role: str
    tags: frozenset[str] = frozenset()


class Declaration:
    """The mathematics of one layer, built by ``declare()`` of its kind.

    Attributes:
        axes: size of each axis: an integer, or an expression of the workload such as ``min(c, w - 1) + q``.
        as_torch: sizes that differ in transformers' eager code.
        mask: mask of a causal layer: ``causal``, ``window:4096``, ``chunk:8192`` or empty.
        tensors, lines, states: what ``weights``, ``equations`` and ``state`` declare.
        parts: inner layers with axes of their own, such as the shared experts of a mixture.
        links: for inner layers between equations: the tensor they read, and the name of their result.
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
                    raise DescriptionError(f"tensor {short_repr(spec)} has the axis {axis!r}, which has no size")
            self.tensors.append(Tensor(name, groups, linear, share, active, table, buffer, unused))

    def equations(self, *lines: str) -> None:
        """Declare equations in execution order."""
        self.lines.extend(lines)

    def state(self, spec: str, role: str = "kv", *tags: str) -> None:
        """Declare a tensor that is kept between decode steps, such as ``k[b t g e]``."""
        name, groups, _ = _read_tensor(spec)
        self.states.append(State(name, groups[0], role, frozenset(tags)))

    def only_stored(self) -> Declaration:
        """Return the tensors of this declaration without its equations, for a layer that is never executed."""
        found = Declaration(self.axes, as_torch=self.as_torch)
        found.tensors = [Tensor(**{**vars(tensor), "unused": True}) for tensor in self.tensors]
        found.parts = [(name, part.only_stored()) for name, part in self.parts]
        return found

    def include(self, name: str, part: Declaration, *, of: str = "x", gives: str = "") -> None:
        """Add an inner layer that reads the tensor ``of`` and whose result is called ``gives``."""
        self.parts.append((name, part))
        if of != "x" or gives:
            self.links[name] = of, gives

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Declaration]]:
        """Yield the declaration and all its parts, with their paths."""
        yield path, self
        for name, part in self.parts:
            yield from part.walk((*path, name))


@lru_cache(maxsize=1024)
def _read_tensor(spec: str) -> tuple[str, tuple[tuple[str, ...], ...], bool]:
    match = _TENSOR.fullmatch(spec)
    if not match:
        raise DescriptionError(f"{short_repr(spec)} is not a tensor such as wq[d | h e]")
    linear = "|" in match[2]
    groups = tuple(tuple(group.split()) for group in match[2].replace("|", ";").split(";"))
    return match[1], groups, linear
