"""A number of ranks that does not divide a model, and the largest divisor of it with which the engine starts."""

from __future__ import annotations

from collections.abc import Callable

from ...core.architecture import Architecture
from ...core.errors import SizeError
from ...core.type_names import TYPE_CHECKING
from ...fitting.advice import Change, Settings, advice

if TYPE_CHECKING:
    from ..deployment import Deployment
    from .start import Start

MOST_PARTS = 1024  # into which a number of ranks is divided


class LayoutError(SizeError):
    """A number of ranks that does not divide the model, so that the engine does not start.

    ``architecture`` is the model. ``changes`` has the largest divisor of the number with which the engine starts, and
    the result.
    """

    def __init__(self, error: SizeError, architecture: Architecture, changes: tuple[Change, ...] = ()) -> None:
        super().__init__(error.message, parameter=error.parameter, where=error.where, hint=error.hint)
        self.architecture = architecture
        self.changes = changes


def start_or_divide(deployment: Deployment) -> Start:
    """Return how a deployment starts.

    Raises:
        LayoutError: an assumed number of ranks, or that of a command line, which does not divide the model, with the
            largest divisor of the number with which the engine starts for sure, if any.
        SizeError: the same for a given number.
    """
    try:
        return deployment.start()
    except SizeError as error:
        own, is_command = deployment.given, deployment.command is not None
        ranks = own.get("tp", deployment.gpus.count)
        if error.parameter != "tp" or ranks is None or ("tp" in own and not is_command):
            raise  # an option of llmcalc
        changes = fewer_ranks("tp", ranks, lambda change: deployment.with_change(change).start())
        raise LayoutError(error, deployment.architecture, changes) from None


def fewer_ranks(name: str, ranks: int, predict: Callable[[Settings], Start]) -> tuple[Change, ...]:
    """Return the largest divisor of a number of ranks with which the engine starts for sure, if any."""
    divisors = [{name: ranks // parts} for parts in range(2, min(ranks, MOST_PARTS) + 1) if ranks % parts == 0]
    starts = advice(
        lambda _: [divisors], lambda change: Change(change, predict(change)), lambda one: one.verdict == "starts"
    )
    return tuple(starts)
