"""Every equation of an architecture with the closed form of its work: the fold that FLOPs are read from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
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
PAIRS, STAGES = "visible_pairs", "n_stages"  # what stands for (q, k) under a mask, and for log2 of a transform
Extent = Form | int


class Conventions(NamedTuple):
    """What decides which equations run and how pairs are counted."""

    phase: str
    attention: str
    convention: str | None
    logits: str = "all"


class Work(NamedTuple):
    """One equation in its place: FLOPs of one application, and whether they are those of a contraction."""

    entry: Entry
    part: tuple[str, ...]
    equation: Equation
    flops: Form
    matmul: bool


@lru_cache(maxsize=256)
def works(architecture: Architecture, conventions: Conventions) -> tuple[Work, ...]:
    """Every equation that runs under the conventions, once per layer of each run of equal blocks."""
    single_stack = not architecture.is_encoder_decoder
    found: list[Work] = []
    for stack in architecture.stacks:
        if stack.unused:
            continue
        # an encoder ran once, before the first token
        behind = stack.role == "encoder" and not single_stack and conventions.phase == "decode"
        names = symbols(stack, single_stack, conventions.logits, conventions.convention)
        for entry in stack_entries(stack):
            for part, declaration in declare(entry.layer).walk():
                run = _layer_works(entry, part, declaration, names, conventions)
                found.extend(work for work in run if not behind or "again" in work.equation.tags)
    return tuple(found)


def _layer_works(
    entry: Entry, part: tuple[str, ...], declaration: Declaration, names: Mapping[str, Form], conventions: Conventions
) -> Iterator[Work]:
    torch = conventions.convention == "torch"
    for line in declaration.lines:
        equation = read(line)
        if not runs(equation.tags, conventions):
            continue
        matmul = equation.function is None and not (torch and "elementwise" in equation.tags)
        yield Work(entry, part, equation, equation_flops(equation, declaration, names, conventions), matmul)


def runs(tags: frozenset[str], conventions: Conventions) -> bool:
    """Whether something with these tags takes part."""
    if tags & {"flash", "dropout"}:  # what is stored, not what is computed
        return False
    phases, kinds = tags & {"prefill", "decode"}, tags & {"torch", "model"}
    return (not phases or conventions.phase in phases) and (not kinds or (conventions.convention or "model") in kinds)


def equation_flops(
    equation: Equation, declaration: Declaration, names: Mapping[str, Form], conventions: Conventions
) -> Form:
    """The product of all factors of an equation's work."""
    size = lift(1)
    for _, factor in factors(equation, declaration, names, conventions):
        size = size * factor
    return size


def factors(
    equation: Equation, declaration: Declaration, names: Mapping[str, Form], conventions: Conventions
) -> Iterator[tuple[str, Extent]]:
    """(axis, factor) of an equation's work: 2 per multiply-accumulate of a contraction; of a function its cost per
    element (and stage, for a transform), without an axis; then the length of every axis it runs over.
    """
    yield "", MAC if equation.function is None else FUNCTIONS[equation.function].flops
    loops = list(equation.loops)
    apart = declaration.mask.startswith("apart:")  # no mask: what is beyond is not computed
    if ((conventions.attention == "causal" and declaration.mask) or apart) and {"q", "k"} <= set(loops):
        loops = [axis for axis in loops if axis not in ("q", "k")]
        yield PAIRS, visible_pairs(declaration, names)
    for axis in loops:
        yield axis, extent(axis, declaration, names, conventions.convention)
    if equation.function is not None and equation.over:
        yield STAGES, log2(extent(equation.over, declaration, names, conventions.convention))


def extent(axis: str, declaration: Declaration, names: Mapping[str, Form], convention: str | None) -> Extent:
    """The length of an axis: a size of the architecture, or a form of the workload."""
    length: int | str | None = declaration.as_torch.get(axis) if convention == "torch" else None
    if length is None:
        length = declaration.axes.get(axis)
    if isinstance(length, int):
        return length
    if length is None:
        return names[axis]
    found: Extent = evaluate(length, _lengths(declaration, names, convention), ATOMS)
    return found


def _lengths(declaration: Declaration, names: Mapping[str, Form], convention: str | None) -> dict[str, Extent]:
    sizes: dict[str, Extent] = {axis: length for axis, length in declaration.axes.items() if isinstance(length, int)}
    if convention == "torch":
        sizes |= {axis: length for axis, length in declaration.as_torch.items() if isinstance(length, int)}
    return {**names, **sizes}


def visible_pairs(declaration: Declaration, names: Mapping[str, Form]) -> Form:
    """The (query, key) pairs that a layer's mask lets through."""
    kind, _, width = declaration.mask.partition(":")
    query, keys = names["q"], names["k"]
    if kind == "causal":
        return lift(pairs(query, keys))
    if kind == "window":
        return lift(pairs(query, keys, int(width)))
    if kind == "chunk":
        return lift(chunk_pairs(query, keys, int(width)))
    if kind in ("block", "apart"):  # all of the own block, whatever comes first
        rest = remainder(query, int(width))
        return lift((query - rest) * int(width) + rest * rest)
    if kind == "patch":  # every new token and the vectors of its own patch
        return query * int(width)
    if kind == "local":  # both sides: looking back and looking ahead, the token itself counted once
        behind, _, ahead = width.partition(":")
        return lift(pairs(query, query, int(behind))) + lift(pairs(query, query, int(ahead or behind))) - query
    raise UnsupportedError(f"the mask {declaration.mask!r} is not modelled")
