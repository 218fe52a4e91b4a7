"""Choice of the position that a pooler projects."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class Pooler(Part):
    """Position that a linear layer with ``positions: one`` projects.

    Attributes:
        position: ``first``, ``last``, ``of_id`` (the position of ``id``) or ``highest`` (the highest id).
        id: token id for ``of_id`` (CLIP's end-of-text token). If absent, the first token is used.
    """

    position: str = "first"
    id: int = 0

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"position": ("first", "last", "of_id", "highest")}
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"id"})
    SHRINK: ClassVar[dict[str, str]] = {"id": "keep"}
