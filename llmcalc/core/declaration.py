"""What a layer declares: axes, tensors, equations and state. Every number is a fold over it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from .errors import DescriptionError, short_repr
from .record import record

_TENSOR = re.compile(r"([A-Za-z_][\w.]*)\[([^\]]*)\]")


@record
class Tensor:
    """A tensor that the checkpoint stores: a parameter, or a buffer (stored, but never counted as a parameter).

    ``groups`` are its dimensions: axes that stand together are stored as one (``bq[h e]`` is a vector), a semicolon
    separates dimensions (``conv[i; K]``), and a bar separates what a matrix contracts with its input from what it
    gives (``wq[d | h e]``; such a tensor is ``linear``, and its last two groups are input and output). ``share`` is
    its identity: tensors that share one are one tensor. ``active`` names an axis of which a token uses only as many
    entries as another axis says (``x``: experts, ``j``: top_k). ``table`` marks a look-up table: ``token``,
    ``position``, ``segment`` or ``other``.
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
    """A tensor that lives across decode steps. ``role`` says in which number format it is kept by default: ``kv`` (the
    cache format), ``recurrent`` (fp32 in most implementations), ``conv`` or ``index``. ``tags`` as in an equation.
    """

    name: str
    axes: tuple[str, ...]
    role: str
    tags: frozenset[str] = frozenset()


class Declaration:
    """One layer in the language of the papers; built by a kind's ``declare()``.

    ``axes`` maps an axis to its size: an integer, or an expression of the workload such as ``min(c, w - 1) + q``.
    ``as_torch`` holds the lengths that differ in transformers' eager code. ``mask`` is how a causal layer limits the
    (query, key) pairs: ``causal``, ``window:4096``, ``chunk:8192`` or empty. ``parts`` are inner layers with axes of
    their own (the shared experts of a mixture); ``links`` are those that stand in the middle: which tensor of the
    layer they get, and what the layer calls their result. ``elsewhere`` are tensors that an earlier layer has made, and
    keeps for the backward pass.

    >>> d = Declaration({"d": 3, "f": 5})
    >>> d.weights("w1[d | f]", "b1[f]")
    >>> [tensor.axes for tensor in d.tensors]
    [('d', 'f'), ('f',)]
    """

    __slots__ = ("__dict__", "sizes")  # sizes follow from the rest, and do not tell declarations apart

    def __init__(self, axes: dict[str, int | str], *, as_torch: dict[str, int | str] | None = None) -> None:
        self.sizes: tuple[int, ...] | None = None
        self.axes = axes
        self.tensors: list[Tensor] = []
        self.lines: list[str] = []
        self.states: list[State] = []
        self.as_torch = {} if as_torch is None else as_torch
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
        """Declare equations, in the order in which they are computed."""
        self.lines.extend(lines)

    def state(self, spec: str, role: str = "kv", *tags: str) -> None:
        """Declare what is kept between decode steps, such as ``k[b t g e]``."""
        name, groups, _ = _read_tensor(spec)
        self.states.append(State(name, groups[0], role, frozenset(tags)))

    def only_stored(self) -> Declaration:
        """The tensors of this declaration without its equations: a layer that is never run."""
        found = Declaration(self.axes, as_torch=self.as_torch)
        found.tensors = [Tensor(**{**vars(tensor), "unused": True}) for tensor in self.tensors]
        found.parts = [(name, part.only_stored()) for name, part in self.parts]
        return found

    def include(self, name: str, part: Declaration, *, of: str = "x", gives: str = "") -> None:
        """Add an inner layer, with its own axes, under ``name``, of the layer's input or of what its lines made."""
        self.parts.append((name, part))
        if of != "x" or gives:
            self.links[name] = of, gives

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Declaration]]:
        """The declaration itself and all its parts, with their paths."""
        yield path, self
        for name, part in self.parts:
            yield from part.walk((*path, name))


@lru_cache(maxsize=1024)
def _read_tensor(spec: str) -> tuple[str, tuple[tuple[str, ...], ...], bool]:
    match = _TENSOR.fullmatch(spec)
    if not match:
        raise DescriptionError(f"{short_repr(spec)} is no tensor such as wq[d | h e]")
    linear = "|" in match[2]
    groups = tuple(tuple(group.split()) for group in match[2].replace("|", ";").split(";"))
    return match[1], groups, linear
