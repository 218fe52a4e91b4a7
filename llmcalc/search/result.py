"""What results of searches over the layouts of a service share."""

from __future__ import annotations

from ..serving.layout_result import ServiceResult
from ..serving.service import Service
from .space import Space


class SpaceResult(ServiceResult):
    """Base class of results of searches.

    Attributes:
        space: the service, and what was searched.
        notes: assumptions.
    """

    space: Space
    notes: tuple[str, ...]

    @property
    def service(self) -> Service:
        """The model in an engine on GPUs with requests."""
        return self.space.service
