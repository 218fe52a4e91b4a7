"""The question whether a model fits on GPUs, in plain memory: what it needs by its own sizes, without an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..calc.memory.fit import Fit
from ..core.architecture import Architecture
from ..core.record import record
from ..engines.hardware import is_reachable
from ..estimate.hardware import Accelerator, more_counts
from .advice import Settings
from .check import check_fit, layout_of
from .solution import Candidate

MOST_TIMES = 8  # as many GPUs, for which a file is read


@record
class Question:
    """Whether a model fits on GPUs, which can be asked again with changed settings.

    Attributes:
        architecture: the model.
        gpu: name or memory of the GPU.
        card: the GPU, or None if only its memory is known.
        budget: memory and number of the GPUs, as ``check_fit`` takes them.
        arguments: workload, formats and layout, as ``check_fit`` takes them.
    """

    architecture: Architecture
    gpu: str
    card: Accelerator | None
    budget: Settings
    arguments: Settings

    @property
    def is_training(self) -> bool:
        """Whether the model is trained."""
        return bool(self.arguments.get("mode") == "training")

    @property
    def is_bounded(self) -> bool:
        """Whether requests are at most as long as the model accepts."""
        return not self.is_training and not self.arguments.get("extend")

    def ask(self, changes: Settings | None = None, *, is_trial: bool = False) -> Fit:
        """Return the fit check with changed settings. If the model does not fit, a trial may return any layout."""
        own = {**self.budget, **self.arguments, **(changes or {})}
        own.pop("gpu", None)
        found = check_fit(self.architecture, **own, is_trial=is_trial)
        if self.is_solved_by(found) or found.count == 1:
            return found
        from .sizes import check_part  # a check alone is fast without the searches

        budget = {name: own.pop(name) for name in self.budget}
        return check_part(self.architecture, budget, own, is_trial=is_trial)

    def is_solved_by(self, found: Fit) -> bool:
        """Return whether the fit check with changed settings answers the question with yes."""
        return found.fits and not getattr(found.result, "refusals", ())

    def largest(self, name: str) -> tuple[int | None, Fit]:
        """Return the largest ``seq`` or ``batch`` that fits, or None, and the fit check."""
        from .sizes import solve_size  # a check alone is fast without the searches

        return solve_size(name, self.architecture, self.budget, self.arguments)

    def fewest(self) -> tuple[int, Fit] | None:
        """Return the fewest GPUs on which the model fits, and the fit check, or None."""
        from .sizes import solve_gpus

        found = solve_gpus(self.architecture, self.budget, self.arguments)
        return found if found and is_reachable(self.card, found[0]) else None

    def more_gpus(self) -> Iterator[Settings]:
        """Yield the change to the fewest GPUs with which the model fits, if they are more than now."""
        found = self.fewest()
        if found and found[0] > self.budget["count"]:
            is_divided = self.is_training and self.arguments.get("mesh") is not None
            mesh = {"mesh": found[1].result.mesh} if is_divided else {}  # with more data-parallel ranks
            yield {"gpu": self.gpu, "count": found[0], **mesh}

    def try_formats(self, formats: dict[str, float]) -> list[Candidate]:
        """Return the fit checks with weight formats, given with their bits per weight, most bits first."""
        found, arguments = list[Candidate](), dict[str, Any]()
        for name, bits in sorted(formats.items(), key=lambda entry: entry[1]):
            if found and not found[-1].fit.fits:  # more bits do not fit either, so that no other layout is tried
                arguments = {"layout": layout_of(found[-1].fit)}
            found.append(Candidate(name, self.ask({**arguments, "weights": name}), bits))
        return found[::-1]


@record
class FileQuestion(Question):
    """Whether training fits with the settings of a file, which mean others on another number of GPUs.

    ``read`` reads the file with changed settings and returns the fit check.
    """

    read: Callable[[Settings], Fit]

    def ask(self, changes: Settings | None = None, *, is_trial: bool = False) -> Fit:
        """Return the fit check of the file with changed settings."""
        return self.read(changes or {})

    def more_gpus(self) -> Iterator[Settings]:
        """Yield changes to the usual larger numbers of GPUs."""
        for count in more_counts(self.budget["node"], self.budget["count"], MOST_TIMES):
            yield {"gpu": self.gpu, "count": count}
