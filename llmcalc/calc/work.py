"""Closed-form FLOPs of every equation of an architecture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import prod
from typing import NamedTuple

from ..core.architecture import Architecture, declare
from ..core.declaration import Declaration
from ..core.equation import Equation, read
from ..core.errors import UnsupportedError
from ..core.expression import evaluate
from ..core.form import FUNCTIONS as ATOMS
from ..core.form import Form, chunk_pairs, lift, log2, pairs, remainder
from ..core.functions import FUNCTIONS
from ..core.ledger import Entry, stack_entries
from ..core.workload import symbols

MAC = 2  # FLOPs of one multiply-accumulate
PAIRS, STAGES = "visible_pairs", "n_stages"  # factors that replace (q, k) under a mask and log2(n) in an FFT
Extent = Form | int


class Conventions(NamedTuple):
    """Settings that determine which equations and attention pairs are counted."""

    phase: str
    attention: str
    convention: str | None
    logits: str = "all"


class Work(NamedTuple):
    """An equation in a layer, with the factors and FLOPs of one application."""

    entry: Entry
    part: tuple[str, ...]
    equation: Equation
    factors: tuple[tuple[str, Extent], ...]
    flops: Form
    matmul: bool

    @property
    def backward_passes(self) -> int:
        """Ratio of backward to forward FLOPs. A contraction has one backward pass per operand with a gradient."""
        tags = self.equation.tags
        if self.entry.stack.frozen or (self.matmul and "nograd" in tags):
            return 0
        return 1 if self.matmul and "constant" in tags else 2


@lru_cache(maxsize=256)
def works(architecture: Architecture, conventions: Conventions) -> tuple[Work, ...]:
    """Return the FLOPs of every executed equation. Equal blocks of a run are listed once."""
    single_stack, torch = not architecture.is_encoder_decoder, conventions.convention == "torch"
    found: list[Work] = []
    for stack in architecture.stacks:
        if stack.unused:
            continue
        # in a decode step, the encoder has already run
        is_done = stack.role == "encoder" and not single_stack and conventions.phase == "decode"
        names = symbols(stack, single_stack, conventions.logits, conventions.convention)
        for entry in stack_entries(stack):
            for part, declaration in declare(entry.layer).walk():
                for equation in map(read, declaration.lines):
                    if runs(equation.tags, conventions) and (not is_done or "again" in equation.tags):
                        parts = tuple(factors(equation, declaration, names, conventions))
                        matmul = equation.function is None and not (torch and "elementwise" in equation.tags)
                        size = lift(prod((factor for _, factor in parts), start=lift(1)))
                        found.append(Work(entry, part, equation, parts, size, matmul))
    return tuple(found)


def runs(tags: frozenset[str], conventions: Conventions) -> bool:
    """Return whether an equation or state with these tags is included under the conventions."""
    if tags & {"flash", "dropout"}:  # these tags only affect memory
        return False
    phases, kinds = tags & {"prefill", "decode"}, tags & {"torch", "model"}
    return (not phases or conventions.phase in phases) and (not kinds or (conventions.convention or "model") in kinds)


def factors(
    equation: Equation, declaration: Declaration, names: Mapping[str, Form], conventions: Conventions
) -> Iterator[tuple[str, Extent]]:
    """Yield (axis, factor) for each factor in an equation's FLOPs.

    The first factor has no axis. For a contraction, it is 2 FLOPs per multiply-accumulate. For a function, it is
    the FLOPs per element (per point and stage for an FFT). All other factors are axis lengths.
    """
    yield "", MAC if equation.function is None else FUNCTIONS[equation.function].flops
    loops = list(equation.loops)
    separate = declaration.mask.startswith("apart:")  # pairs across chunks are never computed, not even masked
    if ((conventions.attention == "causal" and declaration.mask) or separate) and {"q", "k"} <= set(loops):
        loops = [axis for axis in loops if axis not in ("q", "k")]
        yield PAIRS, visible_pairs(declaration, names)
    for axis in loops:
        yield axis, extent(axis, declaration, names, conventions.convention)
    if equation.function is not None and equation.over:
        yield STAGES, log2(extent(equation.over, declaration, names, conventions.convention))


def extent(axis: str, declaration: Declaration, names: Mapping[str, Form], convention: str | None) -> Extent:
    """Return the length of an axis as an integer or a closed form."""
    tables = (declaration.as_torch, declaration.axes) if convention == "torch" else (declaration.axes,)
    length = next((table[axis] for table in tables if axis in table), None)
    if length is None:
        return names[axis]
    if isinstance(length, int):
        return length
    sizes = {name: size for table in reversed(tables) for name, size in table.items() if isinstance(size, int)}
    found: Extent = evaluate(length, {**names, **sizes}, ATOMS)
    return found


def visible_pairs(declaration: Declaration, names: Mapping[str, Form]) -> Form:
    """Return the number of (query, key) pairs that are visible under a layer's attention mask."""
    kind, _, width = declaration.mask.partition(":")
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
    raise UnsupportedError(f"unsupported mask {declaration.mask!r}")
