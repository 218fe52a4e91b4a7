"""Changed settings with which limits on the times of requests are met."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError
from ..engines.settings import smaller_format
from ..inputs.gpus import accelerators

if TYPE_CHECKING:
    from .serving_search import ServingSearch

TIMES = (2, 4, 8)  # as many GPUs
MOST_GPUS = 5  # other GPUs that are tried
Changes = tuple[tuple[dict[str, Any], "ServingSearch"], ...]


def find_changes(search: ServingSearch) -> Changes:
    """Return the smallest change of each kind that meets the limits: fewer requests, formats, more or other GPUs.

    If neither formats nor GPUs are enough, they are changed together.
    """
    found = [first for candidates in _alone(search) if (first := _first(search, candidates))]
    if not search.is_fixed and all("concurrency" in change for change, _ in found):
        found += filter(None, [_first(search, _together(search))])
    return tuple(found)


def _first(search: ServingSearch, candidates: Iterator[dict[str, Any]]) -> tuple[dict[str, Any], ServingSearch] | None:
    for change in candidates:
        with suppress(InputError):  # a format or a layout that the model does not allow
            result = search.retry(change)
            if result.is_found:
                return change, result
    return None


def _alone(search: ServingSearch) -> Iterator[Iterator[dict[str, Any]]]:
    """Yield the changes of each kind, smallest first."""
    card = search.accelerator
    if search.concurrency:
        yield _fewer(search)
    yield iter(_formats(search))
    if search.is_fixed:  # more GPUs would have another layout
        return
    yield ({"gpu": f"{card.name}:{search.gpus * times}"} for times in TIMES)
    yield ({"gpu": f"{name}:{search.gpus}"} for name in _faster(search))


def _fewer(search: ServingSearch) -> Iterator[dict[str, Any]]:
    """Yield the largest number of requests with which a layout meets the limits."""
    free = search.retry({"concurrency": None})
    if free.is_found:
        yield {"concurrency": max(int(one.concurrency) for one in free.layouts)}


def _formats(search: ServingSearch) -> list[dict[str, Any]]:
    """Return the formats with fewer bits that the GPU computes in and that are not set yet."""
    names = [name for name in ("weights", "cache") if not search.formats.get(name)]
    own = {name: smaller_format(search.engine, name) for name in names}
    own = {name: text for name, text in own.items() if text != "fp8" or text in search.accelerator.peak}
    return [{name: text} for name, text in own.items()] + ([own] if len(own) > 1 else [])


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


def _together(search: ServingSearch) -> Iterator[dict[str, Any]]:
    """Yield number formats with more GPUs, also of faster kinds."""
    formats = _formats(search)[-1:] or [{}]
    names = [search.accelerator.name, *_faster(search)[-1:]]
    for name in names:
        for times in TIMES:
            yield {"gpu": f"{name}:{search.gpus * times}", **formats[0]}
