"""What rules look at, and what they find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..calc.sharding import Mesh
from ..core.architecture import Architecture, Stack
from ..core.ledger import stack_entries
from ..core.record import record


class Site(NamedTuple):
    """A layer in its place; equal layers of equal blocks are one site, ``times`` of them."""

    stack: Stack
    place: str
    layer: Any
    times: int


@record
class Case:
    """What is checked: an architecture, and the ranks that it is meant for."""

    architecture: Architecture
    mesh: Mesh

    @property
    def sites(self) -> list[Site]:
        """Every layer once."""
        return list(sites(self.architecture))


@record
class Finding:
    """Something that a rule does not like.

    Attributes:
        code: the rule's.
        place: where: ``decoder.block.attention.d_head``.
        message: what is there, and what it costs.
        advice: what to do.
    """

    code: str
    place: str
    message: str
    advice: str

    def to_dict(self) -> dict[str, str]:
        """Plain data."""
        return {"code": self.code, "place": self.place, "message": self.message, "advice": self.advice}


def sites(architecture: Architecture) -> Iterator[Site]:
    """Every layer of every stack but towers; those of equal blocks together."""
    for stack in architecture.stacks:
        if stack.role == "tower":
            continue
        counts: dict[tuple[str, Any], int] = {}
        for entry in stack_entries(stack):
            section = [] if entry.run is None else [entry.section, entry.sublayer]
            place = ".".join(dict.fromkeys([stack.name, *section, entry.name]))
            counts[place, entry.layer] = counts.get((place, entry.layer), 0) + entry.stored
        for (place, layer), count in counts.items():
            yield Site(stack, place, layer, count)
