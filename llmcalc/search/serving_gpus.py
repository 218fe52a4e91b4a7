"""Search for the GPUs on which the tokens of requests are cheapest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from ..core.architecture import Architecture
from ..core.errors import InputError, LlmcalcError
from ..core.evidence import FITTED
from ..core.notebook_display import NotebookDisplay
from ..core.printable import three_digits
from ..core.record import changed, record
from ..engines.hardware import reads
from ..estimate.hardware import Accelerator
from ..estimate.prices import price_of
from ..inputs.gpus import ALL_GPUS, accelerators, named_gpus
from ..inputs.models import Source
from ..serving.encoders import EncoderServing
from ..serving.limits import read_limits
from ..serving.result import ServingResult
from .gpus import COUNTS
from .served_gpus import Result, ServedGpus, served_gpus
from .serving_search import ServingSearch

NO_PRICE, NO_ENGINE, NO_TIME, NO_ROOM = (
    "no price is known", "no engine reads the weights there", "no time is known", "the requests do not run at once",
)  # fmt: skip
Ask = Callable[[str], Result]


@record
class ServingGpus(NotebookDisplay):
    """GPUs for requests, those with the cheapest tokens first.

    Attributes:
        architecture: the model.
        is_all: whether all kinds of GPUs were tried, or given ones.
        gpus: GPUs on which all requests run at once, those that meet the limits first. Of given GPUs, also the others.
        left_out: names of the other kinds of GPUs, by the reason.
        closest: GPUs on which the requests do not run, with the most memory, or None.
        asked: lengths of the requests, and their number if it is given or assumed.
        limits: longest times in seconds, by name.
        notes: assumptions.
    """

    architecture: Architecture
    is_all: bool
    gpus: tuple[ServedGpus, ...]
    left_out: Mapping[str, tuple[str, ...]]
    closest: ServedGpus | None
    asked: Mapping[str, Any]
    limits: Mapping[str, float]
    notes: tuple[str, ...] = ()

    EVIDENCE: ClassVar[dict[str, str]] = {"gpus": FITTED}

    @property
    def best(self) -> ServedGpus | None:
        """GPUs with the cheapest tokens on which all requests run within the limits, or None."""
        return next((one for one in self.gpus[:1] if one.is_met), None)

    @property
    def refusal(self) -> str:
        """Why the requests run nowhere if the model or the settings do not allow their length, or an empty string."""
        one = self.gpus[0] if self.gpus else self.closest
        return "" if one is None or one.runs or isinstance(one.result, EncoderServing) else one.result.too_long

    @cached_property
    def change(self) -> tuple[ServedGpus, dict[str, Any]] | None:
        """GPUs with changed settings with which the requests run within the limits, if they do on none, or None."""
        near = [one for one in (*self.gpus[:1], self.closest) if one]
        for one in near if self.best is None else ():
            if isinstance(one.result, ServingSearch) and one.result.changes:
                found = [change for change, _ in one.result.changes]
                return one, next((each for each in found if "concurrency" not in each), found[0])
            if isinstance(one.result, ServingResult) and one.result.holding_change:
                return one, dict(one.result.holding_change)
        return None

    @property
    def summary(self) -> str:
        """Answer in one line."""
        one = self.best
        if self.refusal:
            return self.refusal
        if one is None:
            return "No GPUs meet the limits" if self.limits else "The requests run at once on none of the GPUs"
        price = f", ${one.usd_per_million:.3g} per million tokens" if one.usd_per_million else ""
        return f"{one.count} × {one.accelerator.title}{price}, {three_digits(one.tokens_per_s)} tokens/s"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        return {
            "model": self.architecture.name, "is_found": self.best is not None, "limits": dict(self.limits),
            "gpus": [one.to_dict() for one in self.gpus],
            "left_out": {reason: list(names) for reason, names in self.left_out.items()}, "evidence": self.evidence,
        }  # fmt: skip


def search_gpus(
    model: Source | None,
    listed: Sequence[str],
    given: Mapping[str, Any],
    ask: Callable[[str], Any],
    *,
    is_fixed: bool,
) -> ServingGpus:
    """Return the GPUs on which the tokens of requests are cheapest.

    Of all kinds of GPUs, 1, 2, 4 and 8 are tried, up to a node, and the best number of each is kept.

    Args:
        model: the model, unless a command line names it.
        listed: names of GPUs with their numbers, or ``all`` alone.
        given: settings.
        ask: returns the result of ``serve`` on GPUs of one kind.
        is_fixed: whether a command line states the layout.

    Raises:
        InputError: an invalid setting.
    """
    is_all = list(listed) == [ALL_GPUS]
    if is_all:
        found, left_out, closest = _all_gpus(model, ask, given.get("weights"), is_fixed=is_fixed)
    else:
        found, left_out = [_given(gpu, ask) for gpu in listed], dict[str, tuple[str, ...]]()
        closest = max((one for one in found if not one.runs), key=_memory, default=None)
    found.sort(key=lambda one: one.rank)
    nearest = found[0] if found else closest
    if nearest is None:
        raise InputError("no GPU has a known price and a known time", parameter="gpu", hint="name GPUs")
    first = nearest.result
    return ServingGpus(
        first.architecture, is_all, tuple(found), left_out, closest, _asked(first, found, given),
        read_limits(given["sla"]) if given.get("sla") else {},
        _common_notes([one.result for one in found] or [first]),
    )  # fmt: skip


def _given(gpu: str, ask: Ask) -> ServedGpus:
    card, count = named_gpus(gpu)
    return served_gpus(card, count or 1, ask(gpu))


def _all_gpus(
    model: Source | None, ask: Ask, weights: str | None, *, is_fixed: bool
) -> tuple[list[ServedGpus], dict[str, tuple[str, ...]], ServedGpus | None]:
    """Return the best number of each kind of GPU, the other kinds by reason, and the GPUs that come closest to running.

    If the layout ``is_fixed``, its number of GPUs is the only one that is tried, once it is known.

    Raises:
        InputError: if no GPU has a result, as a setting is invalid.
    """
    found, failed, errors = list[ServedGpus](), list[ServedGpus](), list[LlmcalcError]()
    left_out: dict[str, tuple[str, ...]] = {}
    numbers: tuple[int, ...] = COUNTS

    def leave_out(reason: str, card: Accelerator) -> None:
        left_out[reason] = (*left_out.get(reason, ()), card.name)

    for card in accelerators().values():
        if price_of(card) is None:
            leave_out(NO_PRICE, card)
        elif isinstance(model, Architecture) and not reads(card, model, weights):
            leave_out(NO_ENGINE, card)
        else:
            tried = [*_counts(card, ask, errors, numbers)]
            numbers = (tried[0].used,) if is_fixed and tried else numbers
            best = min((one for one in tried if one.runs), key=lambda one: one.rank, default=None)
            if best:
                found.append(best)
            else:
                failed += tried
                leave_out(NO_ROOM if tried else NO_TIME, card)
    if not found and not failed and errors:
        raise errors[-1]  # on the most GPUs, which are enough for a layout
    return found, left_out, max(failed, key=_memory, default=None)


def _counts(card: Accelerator, ask: Ask, errors: list[LlmcalcError], numbers: Sequence[int]) -> Iterator[ServedGpus]:
    """Yield the results on each number of GPUs. Where some stay unused, it is the result on those that are used.

    If the requests do not run on the largest number, they do not on a smaller one, whose layouts are among its own.
    """
    done, counts = set[int](), [number for number in numbers if number <= card.node]
    found = [_tried(card, count, ask) for count in counts[-1:]]
    if all(isinstance(one, LlmcalcError) or one.runs for one in found):
        found = [*(_tried(card, count, ask) for count in counts[:-1]), *found]
    for one in found:
        if isinstance(one, LlmcalcError):
            errors.append(one)
        elif one.used not in done:
            done.add(one.used)
            yield changed(one, count=one.used)


def _tried(card: Accelerator, count: int, ask: Ask) -> ServedGpus | LlmcalcError:
    """Return the result on some GPUs, or why there is none: a layout that needs more GPUs, or unknown figures."""
    try:
        return served_gpus(card, count, ask(f"{card.name}:{count}"))
    except LlmcalcError as error:
        return error


def _memory(one: ServedGpus) -> int:
    return one.count * one.accelerator.usable_bytes


def _asked(first: Result, found: Sequence[ServedGpus], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the lengths of the requests and their number, unless each kind of GPU has its own."""
    if isinstance(first, EncoderServing):
        return {"isl": first.isl, "concurrency": first.concurrency}
    lengths = dict(first.requests.given)
    number = first.concurrency if isinstance(first, ServingSearch) else first.load.concurrency
    return lengths if number is None else {**lengths, "concurrency": number}


def _common_notes(results: Sequence[Result]) -> tuple[str, ...]:
    """Return the notes that all results have."""
    first, *others = [() if isinstance(one, EncoderServing) else one.notes for one in results]
    return tuple(note for note in first if all(note in own for own in others))
