"""Inputs and findings of lint rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..calc.sharding import Mesh
from ..core.amount import summed
from ..core.architecture import Architecture, Stack
from ..core.ledger import Entry, stack_entries
from ..core.record import NamedTuple, record

Problem = tuple[str, str, str]  # place, message and advice of a finding


class Site(NamedTuple):
    """A layer and its location. ``times`` counts the equal layers in equal blocks that share the location."""

    stack: Stack
    place: str
    layer: Any
    times: int


@record
class Case:
    """An architecture and the mesh for which it is checked."""

    architecture: Architecture
    mesh: Mesh

    @property
    def stacks(self) -> list[Stack]:
        """All stacks except vision and audio encoders."""
        return [stack for stack in self.architecture.stacks if stack.role != "tower"]

    @property
    def sites(self) -> list[Site]:
        """Layer sites of these stacks."""
        return [site for stack in self.stacks for site in _sites(stack)]

    def sizes(self, *roles: str) -> Iterator[tuple[Site, str, int]]:
        """Return (site, field, value) for every nonzero layer field that has one of the given roles."""
        return ((site, *size) for site in self.sites for role in roles for size in site.layer.sizes(role))


@record
class Finding:
    """A problem found by a lint rule."""

    code: str  # code of the rule
    place: str  # the layer or field, such as decoder.block.attention.d_head
    message: str  # the problem and its cost
    advice: str  # the suggested change

    def to_dict(self) -> dict[str, str]:
        """Return the finding as plain data."""
        return {"code": self.code, "place": self.place, "message": self.message, "advice": self.advice}


def _sites(stack: Stack) -> Iterator[Site]:
    """Return the layer sites of a stack."""

    def place_of(entry: Entry) -> str:
        section = [] if entry.run is None else [entry.section, entry.sublayer]
        return ".".join(dict.fromkeys([stack.name, *section, entry.name]))

    counts = summed(((place_of(entry), entry.layer), entry.stored) for entry in stack_entries(stack))
    return (Site(stack, place, layer, count) for (place, layer), count in counts.items())
