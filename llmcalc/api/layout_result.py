"""What results about the layouts of requests on GPUs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ..core.architecture import Architecture
from ..core.evidence import of_architecture
from ..core.notebook_display import NotebookDisplay
from ..estimate.serving_money import Terms
from ..estimate.training_run import Price
from .serving_memory import engine_title


class LayoutResult(NotebookDisplay):
    """Base class of results about layouts, for requests of ``isl`` input and ``osl`` output tokens.

    Attributes:
        engine: inference engine.
        isl: input tokens of a request.
        osl: output tokens of a request.
        terms: prices and power that the cost and the energy of tokens follow from.
        architecture: the model.
        max_model_len: largest number of tokens of a request that the model allows, or None if unknown.
        EVIDENCE: class of evidence of each value.
    """

    engine: str
    isl: int
    osl: int
    terms: Terms
    architecture: Architecture
    max_model_len: int | None
    EVIDENCE: ClassVar[Mapping[str, str]]

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value."""
        return of_architecture(self.EVIDENCE, self.architecture)

    @property
    def price(self) -> Price | None:
        """Price of one GPU in US dollars per hour, or None if unknown."""
        return self.terms.price

    @property
    def engine_title(self) -> str:
        """Name of the engine as its authors write it."""
        return engine_title(self.engine)

    @property
    def is_too_long(self) -> bool:
        """Whether a request has more tokens than the model allows."""
        return self.max_model_len is not None and self.isl + self.osl > self.max_model_len
