"""Times of numbers of requests on layouts, which are computed as arrays and made one by one where they are read.

``point.py`` makes an operating point of those that are shown.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from ..core.arrays import namespace
from ..core.record import NamedTuple, remembered
from ..core.type_names import Any, overload
from ..data import table
from ..inputs.grid import numpy_module
from .money import decode_power
from .request_times import ServingTime


class LoadTimes(NamedTuple):
    """Times of a number of requests on a layout, as numbers or as arrays.

    Attributes:
        concurrency: requests at any time, on all GPUs.
        batch: sequences that are decoded at once on a data-parallel rank.
        runs: whether all of them run at once.
        tpot_s: time per output token.
        ttft_s: time to the first token.
        requests_per_s: requests per second of all GPUs.
        prefill_share: share of the GPUs' time that prefills take.
        decode_power: power of a GPU in decode steps, as a share of its rated power.
        step_s: time of a decode step, in which a sequence advances by the accepted tokens.
        busy: share of the time in which the GPUs for prefills compute.
        wait_s: time that a prompt waits for that pool.
        transfer_s: time to send keys and values from one pool to the other.
    """

    concurrency: float
    batch: float
    runs: bool
    tpot_s: float
    ttft_s: float
    requests_per_s: float
    prefill_share: float
    decode_power: float
    step_s: float
    busy: float = 1.0
    wait_s: float = 0.0
    transfer_s: float = 0.0

    @property
    def e2e_s(self) -> float:
        """Mean time of a whole request, by Little's law."""
        return self.concurrency / self.requests_per_s


class Rows:
    """Points of several layouts: ``columns`` is one of times whose values are arrays, with a row for each layout."""

    def __init__(self, columns: Any) -> None:
        self.columns = columns

    def allowed(self, limits: Mapping[str, float], least: float) -> Any:
        """Return which points run at least this number of requests, and which of them are within limits."""

        def compute() -> tuple[Any, Any, Any]:
            own = self.columns
            running = own.runs & (own.concurrency >= least)
            ratios = excess(own, limits) if limits else 0 * own.tpot_s
            return running, running & (ratios <= 1), ratios

        return remembered(self, "_allowed", (*limits.items(), least), compute, most=2)

    def fastest(self, limits: Mapping[str, float], least: float) -> tuple[list[int], list[bool]]:
        """Return the place of the fastest point of each layout, or -1 if none runs, and whether it is within limits."""

        def compute() -> tuple[list[int], list[bool]]:
            numpy = numpy_module()
            running, kept, ratios = self.allowed(limits, least)
            is_kept, runs = kept.any(axis=1), running.any(axis=1)
            fastest = numpy.where(kept, self.columns.requests_per_s, -numpy.inf).argmax(axis=1)
            closest = numpy.where(running, ratios, numpy.inf).argmin(axis=1)
            return numpy.where(is_kept, fastest, numpy.where(runs, closest, -1)).tolist(), is_kept.tolist()

        return remembered(self, "_fastest", (*limits.items(), least), compute, most=2)

    def unbeaten(self, limits: Mapping[str, float]) -> dict[int, list[int]]:
        """Return the places, by layout, of the points within limits that no point before them is as fast as.

        Points are ordered by the time per output token, and all layouts have the same number of GPUs.
        """

        def compute() -> dict[int, list[int]]:
            numpy, found = numpy_module(), dict[int, list[int]]()
            _, kept, _ = self.allowed(limits, 1)
            rows, places = kept.nonzero()
            order = numpy.lexsort((-self.columns.requests_per_s[kept], self.columns.tpot_s[kept]))
            rates = self.columns.requests_per_s[kept][order]
            before = numpy.maximum.accumulate(numpy.concatenate([[-numpy.inf], rates]))[:-1]
            for at in numpy.sort(order[rates > before]).tolist():
                found.setdefault(int(rows[at]), []).append(int(places[at]))
            return found

        return remembered(self, "_unbeaten", (*limits.items(),), compute, most=2)


class Points(Sequence[LoadTimes]):
    """Points of one layout, which is a row of arrays."""

    def __init__(self, rows: Rows, row: int) -> None:
        self.rows, self.row = rows, row

    def column(self, name: str) -> list[Any]:
        """Return a value of all points."""
        return [*getattr(self.rows.columns, name)[self.row].tolist()]

    def __len__(self) -> int:
        return len(self.rows.columns.batch[self.row])

    @overload
    def __getitem__(self, place: int) -> LoadTimes: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[LoadTimes]: ...
    def __getitem__(self, place: int | slice) -> LoadTimes | Sequence[LoadTimes]:
        if isinstance(place, slice):
            return tuple(self)[place]
        return LoadTimes(*(own[self.row, place].item() for own in self.rows.columns))

    def __iter__(self) -> Iterator[LoadTimes]:
        return map(LoadTimes, *(own[self.row].tolist() for own in self.rows.columns))


def points_of(times: LoadTimes) -> Iterator[LoadTimes]:
    """Yield the times of each element of arrays, or those of numbers."""
    lists = [value.tolist() if hasattr(value, "tolist") else value for value in times]
    size = max((len(own) for own in lists if isinstance(own, list)), default=1)
    return map(LoadTimes, *(own if isinstance(own, list) else [own] * size for own in lists))


def column(values: Sequence[Any]) -> Any:
    """Return values of layouts as an array with a row for each, or the only value where NumPy is missing."""
    numpy = numpy_module()
    return values[0] if numpy is None else numpy.array(values).reshape(-1, 1)


def rows_of(count: int, times: LoadTimes) -> list[Points]:
    """Return the points of ``count`` layouts, whose times are arrays with one row or a row for each layout."""
    numpy = numpy_module()
    shape = numpy.broadcast_shapes((count, 1), *(numpy.shape(value) for value in times))
    rows = Rows(LoadTimes(*(numpy.broadcast_to(value, shape) for value in times)))
    return [Points(rows, row) for row in range(count)]


def excess(one: Any, limits: Mapping[str, float]) -> Any:
    """Return the largest ratio of a time to its limit, of a point, a layout or arrays."""
    first, *others = (getattr(one, f"{name}_s") / limit for name, limit in limits.items())
    for other in others:
        first = namespace(first).maximum(first, other)
    return first


def fastest(points: Sequence[LoadTimes], limits: Mapping[str, float], least: float) -> tuple[LoadTimes, bool] | None:
    """Return the point with the most requests per second within limits, or the closest one, and whether it is within.

    Returns None if no number of requests from ``least`` on runs at once.
    """
    if isinstance(points, Points):
        places, is_kept = points.rows.fastest(limits, least)
        return None if places[points.row] < 0 else (points[places[points.row]], is_kept[points.row])
    running = [point for point in points if point.runs and point.concurrency >= least]
    kept = [point for point in running if excess(point, limits) <= 1]
    if kept:
        return max(kept, key=lambda own: own.requests_per_s), True
    return (min(running, key=lambda own: excess(own, limits)), False) if running else None


def alone(points: Sequence[LoadTimes]) -> Sequence[LoadTimes]:
    """Return points without those of other layouts, for limits of their own."""
    if not isinstance(points, Points):
        return points
    row = slice(points.row, points.row + 1)
    return Points(Rows(LoadTimes(*(own[row] for own in points.rows.columns))), 0)


def unbeaten(points: Sequence[LoadTimes], limits: Mapping[str, float]) -> Iterator[LoadTimes]:
    """Yield the points within limits, without some that others of the same layouts beat in both speeds."""
    if isinstance(points, Points):
        yield from (points[place] for place in points.rows.unbeaten(limits).get(points.row, ()))
        return
    for point in points:
        if point.runs and point.concurrency >= 1 and (not limits or excess(point, limits) <= 1):
            yield point


def between(points: Sequence[LoadTimes], concurrency: float) -> LoadTimes:
    """Return a point with this number of requests, interpolated. Outside of those that run, it does not run."""
    numbers, runs_at = (_values(points, name) for name in ("concurrency", "runs"))
    place = min(max(bisect_right(numbers, concurrency), 1), len(points) - 1)
    low, high = points[place - 1], points[place]
    share = min(max((concurrency - low.concurrency) / (high.concurrency - low.concurrency), 0.0), 1.0)
    found = LoadTimes._make(one + share * (other - one) for one, other in zip(low, high, strict=True))
    inside = [number for number, runs in zip(numbers, runs_at, strict=True) if runs]
    runs = bool(inside) and inside[0] <= concurrency <= inside[-1]
    return found._replace(concurrency=concurrency, runs=runs)


def _values(points: Sequence[LoadTimes], name: str) -> list[Any]:
    return points.column(name) if isinstance(points, Points) else [getattr(one, name) for one in points]


def load_times(time: ServingTime, concurrency: Any, osl: float, replicas: int = 1) -> LoadTimes:
    """Return the times of requests on replicas that compute prefills and decode steps.

    Args:
        time: times on one replica, or on all of them.
        concurrency: requests at any time, on all GPUs.
        osl: mean number of output tokens.
        replicas: number of replicas if the times are those of one.
    """
    decoding = (osl - 1) * time.step.seconds / time.accepted * time.requests_per_s / (time.n_batches * time.decoding)
    return LoadTimes(
        concurrency, time.batch, time.fits & (time.waiting <= 0), time.tpot_s, time.ttft_s,
        time.requests_per_s * replicas, namespace(decoding).clip(1 - decoding, 0.0, 1.0),
        decode_power(time.step, table("serving_power")), time.step.seconds,
    )  # fmt: skip
