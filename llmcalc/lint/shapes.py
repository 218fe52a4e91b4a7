"""Lint rules for sizes that do not fill the tiles of matrix units or do not divide evenly among ranks."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.architecture import declare
from ..core.ledger import entries
from ..core.traits import HEAD
from .finding import Case, Problem

ALIGNED = 8  # number of 16-bit values in 16 bytes
TILE = 64  # number of 16-bit values in 128 bytes


def round_up(size: int, multiple: int) -> int:
    """Return the smallest multiple of ``multiple`` that is at least ``size``."""
    return -(-size // multiple) * multiple


def hw001(case: Case) -> Iterator[Problem]:
    """Report head widths that are not multiples of 8."""
    yield from _unaligned(case, "head_widths", ALIGNED)


def hw002(case: Case) -> Iterator[Problem]:
    """Report head widths that are multiples of 8 but not of 64."""
    yield from _unaligned(case, "head_widths", TILE, aligned=ALIGNED)


def hw003(case: Case) -> Iterator[Problem]:
    """Report a residual stream whose width is not a multiple of 64."""
    for stack in case.stacks:
        if stack.d_model % TILE:
            padded = round_up(stack.d_model, TILE)
            yield f"{stack.name}.d_model", _padding_text("d_model", stack.d_model, padded, TILE), f"{padded}"


def hw004(case: Case) -> Iterator[Problem]:
    """Report hidden widths that are not multiples of 64."""
    yield from _unaligned(case, "hidden", TILE)


def hw005(case: Case) -> Iterator[Problem]:
    """Report a vocabulary size that is not a multiple of 64."""
    seen = set()
    for site in case.sites:
        declaration = declare(site.layer)
        tables = [one for one in declaration.tensors if one.table == "token" or declaration.number_class(one) == HEAD]
        for axis in dict.fromkeys(axis for tensor in tables for axis in tensor.axes):
            rows = int(declaration.axes[axis])
            if declaration.division(axis) == "vocabulary" and rows % TILE and rows not in seen:
                seen.add(rows)
                padded, width = round_up(rows, TILE), int(declaration.axes.get("d", site.stack.d_model))
                cost = f"padding to {padded} adds {(padded - rows) * width:,} parameters per table"
                yield site.place, f"{rows} rows are not a multiple of {TILE}; {cost}", f"pad to {padded}"


def _unaligned(case: Case, role: str, multiple: int, aligned: int = 1) -> Iterator[Problem]:
    """Report each layer size that is a multiple of ``aligned`` but not of ``multiple``."""
    seen = set()
    for site, field, size in case.sizes(role):
        if (site.place, site.layer, size) not in seen and size % multiple and size % aligned == 0:
            padded = round_up(size, multiple)
            sizes = [str(aligned_size) for aligned_size in (padded - multiple, padded) if aligned_size]
            yield f"{site.place}.{field}", _padding_text(field, size, padded, multiple), " or ".join(sizes)
        seen.add((site.place, site.layer, size))


def _padding_text(field: str, size: int, padded: int, multiple: int) -> str:
    padding = f"in tiles of {multiple}, {100 * (padded - size) / padded:.1f} % of the work is padding"
    return f"{field} {size} is not a multiple of {multiple}; {padding}"


def tp001(case: Case) -> Iterator[Problem]:
    """Report head counts that are not divisible by the tensor-parallel size."""
    yield from _indivisible(case, ("heads", "state_heads"), "heads", case.mesh.tp)


def tp002(case: Case) -> Iterator[Problem]:
    """Report key/value heads that tensor parallelism stores several times, or cannot divide over the ranks."""
    ranks = case.mesh.tp
    for site, field, heads in case.sizes("kv_heads"):
        if heads % ranks == 0:
            continue
        if ranks % heads == 0:
            message = f"{heads} key/value heads on {ranks} ranks: keys and values are stored {ranks // heads} times"
            yield f"{site.place}.{field}", message, f"use at most {heads} ranks, or more heads"
        else:
            message = f"{heads} key/value heads cannot be divided evenly over {ranks} ranks"
            yield f"{site.place}.{field}", message, f"use a divisor or a multiple of {heads}"


def tp003(case: Case) -> Iterator[Problem]:
    """Report hidden widths whose share per rank is not a multiple of 64."""
    ranks = case.mesh.tp
    for site, field, size in case.sizes("hidden"):
        if ranks > 1 and (size % ranks or size // ranks % TILE):
            message = f"{field} {size} on {ranks} ranks is {size / ranks:g} per rank, not a multiple of {TILE}"
            yield f"{site.place}.{field}", message, f"{round_up(size, ranks * TILE)}"


def tp004(case: Case) -> Iterator[Problem]:
    """Report expert counts that are not divisible by the expert-parallel size."""
    yield from _indivisible(case, ("experts",), "experts", case.mesh.ep)


def _indivisible(case: Case, roles: tuple[str, ...], what: str, ranks: int) -> Iterator[Problem]:
    for site, field, count in case.sizes(*roles):
        if count % ranks:
            message = f"{count} {what} are not divisible by {ranks} ranks, so the model cannot be split this way"
            yield f"{site.place}.{field}", message, f"use a divisor of {count}"


def tp005(case: Case) -> Iterator[Problem]:
    """Report block counts that are not divisible by the number of pipeline stages."""
    stages = case.mesh.pp
    blocks = sum({(entry.stack.name, entry.run): entry.applied for entry in entries(case.architecture)
                  if entry.run is not None and entry.stack.role != "tower"}.values())  # fmt: skip
    if blocks % stages:
        longest = -(-blocks // stages)
        idle = 100 * (1 - blocks / (longest * stages))
        waiting = f"the longest stage has {longest}, and the other stages idle {idle:.1f} % of the time"
        yield case.architecture.name, f"{blocks} blocks on {stages} stages: {waiting}", f"use a divisor of {blocks}"
