"""Shapes that do not divide evenly among ranks; a mesh of one rank has no findings."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.ledger import entries
from .finding import Case, Finding
from .hardware import HIDDEN, TILE, round_up


def tp001(case: Case) -> Iterator[Finding]:
    """Heads that are not divisible by the tensor-parallel size."""
    yield from _indivisible(case, "TP001", ("n_heads", "n_ssm_heads"), "heads", case.mesh.tp)


def tp002(case: Case) -> Iterator[Finding]:
    """Fewer key/value heads than ranks, so that ranks hold copies."""
    ranks = case.mesh.tp
    for site in case.sites:
        heads = getattr(site.layer, "n_kv_heads", None)
        if heads and heads % ranks:
            copies = -(-ranks // heads)
            message = f"{heads} key/value heads on {ranks} ranks: keys and values are stored {copies} times"
            yield Finding("TP002", f"{site.place}.n_kv_heads", message, f"at most {heads} ranks, or more heads")


def tp003(case: Case) -> Iterator[Finding]:
    """A hidden width per rank that is not a multiple of 64."""
    ranks = case.mesh.tp
    for site in case.sites if ranks > 1 else []:
        for field in HIDDEN:
            size = getattr(site.layer, field, None)
            if size and (size % ranks or size // ranks % TILE):
                padded = round_up(size, ranks * TILE)
                message = f"{field} {size} on {ranks} ranks is {size / ranks:g} per rank, not a multiple of {TILE}"
                yield Finding("TP003", f"{site.place}.{field}", message, f"{padded}")


def tp004(case: Case) -> Iterator[Finding]:
    """Experts that are not divisible by the expert-parallel size."""
    yield from _indivisible(case, "TP004", ("n_experts",), "experts", case.mesh.ep)


def _indivisible(case: Case, code: str, fields: tuple[str, ...], what: str, ranks: int) -> Iterator[Finding]:
    for site in case.sites:
        for field in fields:
            count = getattr(site.layer, field, None)
            if count and count % ranks:
                message = f"{count} {what} are not divisible by {ranks} ranks, so the model cannot be split this way"
                yield Finding(code, f"{site.place}.{field}", message, f"a divisor of {count}")


def tp005(case: Case) -> Iterator[Finding]:
    """Blocks that are not divisible by the number of pipeline stages."""
    stages = case.mesh.pp
    blocks = sum({(entry.stack.name, entry.run): entry.applied for entry in entries(case.architecture)
                  if entry.run is not None and entry.stack.role != "tower"}.values())  # fmt: skip
    if blocks % stages:
        longest = -(-blocks // stages)
        idle = 100 * (1 - blocks / (longest * stages))
        waiting = f"the longest has {longest}, and the others idle {idle:.1f} % of the time"
        message = f"{blocks} blocks on {stages} stages: {waiting}"
        yield Finding("TP005", case.architecture.name, message, f"a divisor of {blocks}")
