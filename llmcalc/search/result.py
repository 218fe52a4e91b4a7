"""What results of searches over the layouts of a service share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ..core.evidence import FITTED
from ..core.record import record
from ..serving.service import Service
from ..serving.service_result import ServiceResult
from ..serving.speculation import Drafting
from .space import Space


@record
class SpaceResult(ServiceResult):
    """Base class of results of searches.

    Attributes:
        space: the service, and what was searched.
        drafting: speculative decoding, or None.
        notes: assumptions.
    """

    space: Space
    drafting: Drafting | None
    notes: tuple[str, ...]

    EVIDENCE: ClassVar[Mapping[str, str]] = {"points": FITTED}

    @property
    def service(self) -> Service:
        """The model in an engine on GPUs with requests."""
        return self.space.service
