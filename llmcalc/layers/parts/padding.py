"""Padding of the number of tokens, as implementations of block-wise attention do."""

from __future__ import annotations

from ...core.declaration import Declaration
from ...core.part import Part
from ...core.record import record


@record
class Padding(Part):
    """Padding of the number of tokens to a multiple.

    Attributes:
        multiple: multiple to which implementations pad the number of tokens.
        above: number of tokens above which implementations pad (default: always).
    """

    multiple: int
    above: int | None = None

    def pad(self, declaration: Declaration) -> None:
        """Declare the number of tokens that implementations process."""
        declaration.axes["Z"] = self.multiple
        more = f"min(1, max(0, q - {self.above})) * " if self.above else ""
        declaration.as_torch["q"] = f"q + {more}(ceil(q, Z) * Z - q)"
