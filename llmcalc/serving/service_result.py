"""What results about a service share: times on a layout, and searches over layouts."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.architecture import Architecture
from ..core.evidence import ASSUMED, of_architecture
from ..core.notebook_display import NotebookDisplay
from ..core.type_names import TYPE_CHECKING, ClassVar
from ..engines.settings import LENGTH
from ..estimate.hardware import Accelerator
from ..estimate.prices import Price
from .memory import engine_title
from .money import Terms
from .requests import Requests
from .service import Service
from .speculation import Drafting


class ServiceResult(NotebookDisplay):
    """Base class of results about a model in an engine on GPUs with requests.

    Attributes:
        service: the model, the engine, the GPUs, the requests and the prices.
        drafting: speculative decoding, or None.
        EVIDENCE: class of evidence of each value.
    """

    if TYPE_CHECKING:

        @property
        def service(self) -> Service:
            """The model, the engine, the GPUs, the requests and the prices."""

        @property
        def drafting(self) -> Drafting | None:
            """Speculative decoding, or None."""

    EVIDENCE: ClassVar[Mapping[str, str]]

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value. All are assumed if the number of accepted tokens is assumed."""
        is_assumed = self.drafting is not None and self.drafting.accepted_range is not None
        own = dict.fromkeys(self.EVIDENCE, ASSUMED) if is_assumed else self.EVIDENCE
        return of_architecture(own, self.architecture)

    @property
    def architecture(self) -> Architecture:
        """The model."""
        return self.service.architecture

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.architecture.name

    @property
    def accelerator(self) -> Accelerator:
        """The GPU."""
        return self.service.card

    @property
    def gpus(self) -> int:
        """Number of GPUs."""
        return self.service.count

    @property
    def engine(self) -> str:
        """Name of the serving engine."""
        return self.service.engine

    @property
    def requests(self) -> Requests:
        """Lengths of the requests."""
        return self.service.requests

    @property
    def terms(self) -> Terms:
        """Prices and power that the cost and the energy of tokens follow from."""
        return self.service.terms

    @property
    def limits(self) -> Mapping[str, float]:
        """Longest times of requests in seconds, by name."""
        return self.service.limits or {}

    @property
    def max_model_len(self) -> int | None:
        """Largest number of tokens of a request that the model allows, or None if unknown."""
        allowed = self.service.limit.tokens, self.service.given.get(LENGTH)
        return min((size for size in allowed if isinstance(size, int)), default=None)

    @property
    def isl(self) -> float:
        """Mean number of input tokens of a request."""
        return self.requests.mean("isl")

    @property
    def osl(self) -> float:
        """Mean number of output tokens of a request."""
        return self.requests.mean("osl")

    @property
    def price(self) -> Price | None:
        """Price of one GPU in US dollars per hour, or None if unknown."""
        return self.terms.price

    @property
    def engine_title(self) -> str:
        """Name of the engine as its authors write it."""
        return engine_title(self.engine)

    @property
    def too_long(self) -> str:
        """Why the engine refuses the length of a request, or an empty string."""
        return self.service.too_long

    @property
    def excess(self) -> str:
        """That the longest request has more tokens than the model accepts, if the engine accepts it, or empty."""
        return self.service.excess
