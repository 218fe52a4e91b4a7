"""Notation for layer equations, with one equation per line.

    q[b q h e] = x[b q d] wq[d h e]                      a contraction, summed over axes missing on the left
    s[b h q k] = q[b q h e] k[b k g e]  | g:h            a contraction where h selects g (grouped-query attention)
    a[b q f]   = silu(g)                                 an elementwise function from core/functions.py
    y[b q i]   = selective_scan(x[b q i], B[b q N])      a recurrence over all axes in the equation
    U[b t i]   = fft(u) | over:t                         a Fourier transform along t
    y[b q h e] = rmsnorm(y, w) | row:q                   a norm with one row per q instead of one per h

Selections (``g:h``) and tags follow ``|``:

    prefill, decode   evaluated only in this phase
    torch, model      evaluated only in the PyTorch implementation, or only in the model itself
    nograd            no gradient flows
    constant          one operand is a constant, which halves the backward pass
    elementwise       a contraction implemented as a product and a sum instead of a matmul
    core              part of attention that a fused kernel computes without storing intermediate tensors
    scan              part of a chunked recurrence that a fused kernel can compute
    flash, eager      saved only with this implementation of attention
    dropout           evaluated only with dropout
    again             also evaluated in decode steps (encoder layers)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property, lru_cache

from .errors import DescriptionError, UnknownNameError, short_repr
from .functions import FUNCTIONS
from .record import record

_TERM = re.compile(r"([A-Za-z_][\w.']*)\s*(?:\[([^\]]*)\])?")
_AXIS = re.compile(r"[A-Za-z]\w*")
_CALL = re.compile(r"([a-z_0-9]+)\((.*)\)")
_TAGS = "prefill decode torch model nograd constant elementwise core flash eager dropout scan again"
TAGS = frozenset(_TAGS.split())


@record
class Operand:
    """A tensor and its axes in an equation."""

    name: str
    axes: tuple[str, ...]


@record
class Equation:
    """A contraction of ``operands`` into ``out``, or a function of ``operands`` if ``function`` is set."""

    text: str
    out: Operand
    operands: tuple[Operand, ...]
    function: str | None
    select: tuple[tuple[str, str], ...]
    tags: frozenset[str]
    over: str | None
    row: str | None = None

    @property
    def rows(self) -> tuple[str, ...]:
        """Axes that index the rows of a norm. By default, all axes except the last.

        >>> read("y[b q h e] = rmsnorm(y, w)").rows
        ('b', 'q', 'h')
        >>> read("y[b q h e] = rmsnorm(y, w) | row:q").rows
        ('b', 'q')
        >>> read("y[b q H P] = rmsnorm(y, w) | row:G").rows  # one row per group of heads
        ('b', 'q', 'G')
        """
        axes = self.out.axes
        if self.row is None:
            return axes[:-1]
        return axes[: axes.index(self.row) + 1] if self.row in axes else (*axes[:2], self.row)

    @cached_property
    def loops(self) -> tuple[str, ...]:
        """Axes that the equation iterates over, excluding selected axes. FLOPs are counted over these axes.

        >>> read("s[b h q k] = q[b q h e] k[b k g e] | g:h").loops
        ('b', 'h', 'q', 'k', 'e')
        """
        dropped = {inner for inner, _ in self.select}
        named = [axis for term in (self.out, *self.operands) for axis in term.axes]
        return tuple(dict.fromkeys(axis for axis in named if axis not in dropped))

    @cached_property
    def contracted(self) -> tuple[str, ...]:
        """Axes that are summed over."""
        return tuple(axis for axis in self.loops if axis not in self.out.axes)


@lru_cache(maxsize=4096)
def read(text: str) -> Equation:
    """Parse an equation."""
    body, _, notes = text.partition("|")
    left, equals, right = body.partition("=")
    out = _operand(left, text)
    if not equals or not right.strip():
        raise DescriptionError(f"invalid equation {short_repr(text)}: expected a left side, '=' and a right side")
    call = _CALL.fullmatch(right.strip())
    function = call[1] if call else None
    if function is not None and function not in FUNCTIONS:
        raise UnknownNameError("function", function, FUNCTIONS, hint=f"in {short_repr(text)}")
    if not call and (rest := _TERM.sub("", right).strip()):
        raise _not_a_tensor(rest, text)
    terms = call[2].split(",") if call else [match.group() for match in _TERM.finditer(right)]
    operands = tuple(_operand(term, text) for term in terms)
    if function is None and not all(operand.axes for operand in operands):
        message = f"{short_repr(text)} contracts a tensor that has no axes; specify them, as in q[b q h e]"
        raise DescriptionError(message)
    select, tags, over, row = _notes(notes, text)
    named = {axis for operand in (out, *operands) for axis in operand.axes}
    selected = {axis for pair in select for axis in pair} | ({over} if over else set())
    if not selected <= named:
        axis = min(selected - named)
        raise DescriptionError(f"{short_repr(text)} selects axis {axis!r}, but no tensor has this axis")
    return Equation(text.strip(), out, operands, function, select, tags, over, row)


def renamed(text: str, tensors: Mapping[str, str], axes: Mapping[str, str]) -> str:
    """Return the text of an equation with other names of tensors and axes.

    >>> renamed("u[b q f] = x[b q d] wu[d f] | nograd", {"x": "globals"}, {"q": "gt"})
    'u[b gt f] = globals[b gt d] wu[d f] | nograd'
    """

    def rename(match: re.Match[str]) -> str:
        name = tensors.get(match[1], match[1])
        return name + _AXIS.sub(lambda axis: axes.get(axis[0], axis[0]), match[0].removeprefix(match[1]))

    body, bar, notes = text.partition("|")
    return _TERM.sub(rename, body) + bar + _AXIS.sub(lambda axis: axes.get(axis[0], axis[0]), notes)


def _operand(text: str, line: str) -> Operand:
    match = _TERM.fullmatch(text.strip())
    if not match:
        raise _not_a_tensor(text, line)
    axes = tuple((match[2] or "").split())
    wrong = next((axis for axis in axes if not _AXIS.fullmatch(axis)), None)
    if wrong is not None:
        raise DescriptionError(f"invalid axis {short_repr(wrong)} in {short_repr(line)}")
    return Operand(match[1], axes)


def _not_a_tensor(text: str, line: str) -> DescriptionError:
    problem = f"{short_repr(text)} in {short_repr(line)} is not a valid tensor; expected a form such as q[b q h e]"
    hint = "write products without an operator, as in x[b q d] g[b q d], and functions as in add(x, y)"
    return DescriptionError(problem, hint=hint)


def _notes(text: str, line: str) -> tuple[tuple[tuple[str, str], ...], frozenset[str], str | None, str | None]:
    """Return the selections, the tags, and the axes given by ``over:`` and ``row:``."""
    pairs = [word.partition(":")[::2] for word in text.split() if ":" in word]
    tags = frozenset(word for word in text.split() if ":" not in word)
    if not tags <= TAGS:
        raise DescriptionError(f"unknown tag {min(tags - TAGS)!r} in {short_repr(line)}")
    axes = {key: axis for key, axis in pairs if key in ("over", "row")}
    return tuple(pair for pair in pairs if pair[0] not in axes), tags, axes.get("over"), axes.get("row")
