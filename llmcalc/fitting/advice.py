"""Advice: changed settings with which a result is as wanted, cheapest first.

``advice`` walks and knows nothing of what it searches. A provider knows it: it yields kinds of changes, such as a
smaller number format or more GPUs, and the candidates of each kind, both in the order of what they cost the user.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from ..core.errors import InputError
from ..core.record import NamedTuple
from ..core.type_names import Any

MOST = 3  # changes
Settings = dict[str, Any]


class Change(NamedTuple):
    """Changed settings, and the result with them."""

    settings: Settings
    result: Any


Attempt = Callable[[Settings], Change]
Helps = Callable[[Any], bool]
Provider = Callable[[Sequence[Change]], Iterable[Iterable[Settings]]]
Choose = Callable[[Iterator[Change]], Change | None]


def first(changes: Iterator[Change]) -> Change | None:
    """Return the cheapest change of a kind, if any."""
    return next(changes, None)


def contains(change: Settings, found: Settings) -> bool:
    """Return whether a change has all changed settings of another one."""
    return found.items() <= change.items()


def advice(
    kinds: Provider,
    attempt: Attempt,
    helps: Helps,
    repeats: Callable[[Settings, Settings], bool] = contains,
    choose: Choose = first,
    most: int | None = MOST,
) -> Iterator[Change]:
    """Yield the cheapest change of each kind that helps.

    >>> sizes = lambda found: [[{"a": n} for n in range(4)], [{"b": 1}], [{"a": 2, "b": 1}]]
    >>> [*advice(sizes, lambda settings: Change(settings, settings.get("a", 0)), lambda size: size > 1)]
    [Change(settings={'a': 2}, result=2)]

    Args:
        kinds: yields the candidates of each kind, cheapest kind first. It is given the changes found so far, a list
            that grows while it yields.
        attempt: returns the result of changed settings, with further settings if they need them.
        helps: whether a result is as wanted.
        repeats: whether a change is superfluous beside one that was found.
        choose: chooses one of the changes of a kind that help.
        most: number of changes after which the walk ends.
    """
    found: list[Change] = []

    def is_new(settings: Settings) -> bool:
        return not any(repeats(settings, known.settings) for known in found)

    for candidates in kinds(found):
        change = None
        with suppress(InputError):  # candidates are computed from settings that the model does not allow
            tries = (tried(settings, attempt, helps) for settings in candidates if is_new(settings))
            change = choose(one for one in tries if one and is_new(one.settings))
        if change:
            found.append(change)
            yield change
            if len(found) == most:
                return


def tried(settings: Settings, attempt: Attempt, helps: Helps) -> Change | None:
    """Return a change if it helps. A setting that the model or the layout does not allow does not help."""
    with suppress(InputError):
        change = attempt(settings)
        return change if helps(change.result) else None
    return None


def first_enough(counts: Sequence[int], is_enough: Callable[[int], bool]) -> int | None:
    """Return the first of ascending numbers of GPUs that is enough, if any.

    More are enough wherever fewer are, but for numbers that do not divide a model: twice as many are tried in turn, and
    then numbers between.

    >>> first_enough(range(1, 100), lambda count: count > 40)
    41
    """
    low, last = 0, len(counts) - 1
    for at, count in enumerate(counts):
        if at in (0, last) or count >= 2 * counts[low - 1]:
            if is_enough(count):
                return counts[bisect_left(counts, True, low, at, key=is_enough)]
            low = at + 1
    return None
