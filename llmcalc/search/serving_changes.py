"""Changed settings with which limits on the times of requests are met."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..engines.hardware import refused_format
from ..engines.settings import smaller_format, smaller_weights
from ..estimate.hardware import more_counts
from ..fitting.advice import Change, Settings, advice, first_enough, tried
from ..inputs.gpus import accelerators

if TYPE_CHECKING:
    from .serving_search import ServingSearch

MOST_TIMES = 8  # as many GPUs
MOST_GPUS = 5  # other GPUs that are tried


def serving_changes(search: ServingSearch) -> Iterator[Change]:
    """Yield the smallest change of each kind that meets the limits: fewer requests, formats, more or other GPUs.

    If neither formats nor GPUs are enough, they are changed together.
    """
    kinds = partial(_kinds, search)
    return advice(kinds, lambda change: Change(change, search.retry(change)), lambda one: one.is_found, most=None)


def _kinds(search: ServingSearch, found: Sequence[Change]) -> Iterator[Iterable[Settings]]:
    """Yield the changes of each kind, smallest first."""
    card, gpus, formats = search.accelerator, search.gpus, _formats(search)
    if search.concurrency:
        yield _fewer(search)
    yield [*formats, *_four_bits(search)]
    if search.is_fixed:  # more GPUs would have another layout
        return
    yield _more_gpus(search, card.name, {})
    faster = _faster(search)
    yield ({"gpu": f"{name}:{gpus}"} for name in faster)
    if all("concurrency" in change.settings for change in found):
        smallest, names = formats[-1] if formats else {}, [card.name, *faster[-1:]]
        yield (change for name in names for change in _more_gpus(search, name, smallest))


def _more_gpus(search: ServingSearch, name: str, change: Settings) -> Iterator[Settings]:
    """Yield a change with the fewest GPUs with which a layout meets the limits."""

    def on(count: int) -> Settings:
        return {"gpu": f"{name}:{count}", **change}

    def meets(count: int) -> bool:
        return tried(on(count), lambda own: Change(own, search.retry(own)), lambda one: one.is_found) is not None

    count = first_enough(more_counts(accelerators()[name].node, search.gpus, MOST_TIMES), meets)
    if count is not None:
        yield on(count)


def _fewer(search: ServingSearch) -> Iterator[Settings]:
    """Yield the largest number of requests with which a layout meets the limits."""
    free = search.retry({"concurrency": None})
    if free.is_found:
        yield {"concurrency": max(int(one.concurrency) for one in free.layouts)}


def _formats(search: ServingSearch) -> list[Settings]:
    """Return the formats with fewer bits that the GPU computes in and that are not set yet."""
    names = [name for name in ("weights", "cache") if not search.formats.get(name)]
    own: Settings = {name: smaller_format(search.engine, name) for name in names}
    own = {name: text for name, text in own.items() if text != "fp8" or text in search.accelerator.peak}
    return [{name: text} for name, text in own.items()] + ([own] if len(own) > 1 else [])


def _four_bits(search: ServingSearch) -> list[Settings]:
    """Return weights of fewer bits still if the engine computes with them on the GPU and no format is given."""
    names = smaller_weights(search.engine, search.architecture.inputs)[1:] if not search.formats["weights"] else []
    return [{"weights": name} for name in names if not refused_format(search.engine, search.accelerator, name)]


def _faster(search: ServingSearch) -> list[str]:
    """Return GPUs of the same vendor with more bandwidth, slowest first."""
    card, vendor = search.accelerator, search.accelerator.title.split()[0]
    found = {
        (one.bandwidth, one.generation): one.name
        for one in accelerators().values()
        if one.bandwidth and one.bandwidth > (card.bandwidth or 0)
        and one.title.startswith(vendor) and one.node >= min(search.gpus, card.node)
    }  # fmt: skip
    return [name for _, name in sorted(found.items())][:MOST_GPUS]
