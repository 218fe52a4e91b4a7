"""Report for a front of serving: tokens per second of a GPU against the speed of a request."""

from __future__ import annotations

from collections.abc import Sequence
from math import dist, log

from ..core.printable import three_digits
from ..search.front import ServingFront
from ..serving.point import Point
from .document import Document, Table, columns, table_of
from .numbers import ends_text
from .pictures import Axis, Chart, Curve, Mark
from .points import (
    LAYOUT,
    POINT_CELLS,
    PRICE,
    REQUESTS,
    TTFT,
    drafting_facts,
    formats_text,
    layout_text,
    no_layout,
    no_start,
    point_data,
    point_document,
    pool_notes,
    request_notes,
    requests_given,
)
from .serving_money import break_even, money_notes, price_clause, price_notes

SHOWN = 10  # points in the table
FP8 = "fp8 changes the outputs of a model that was published in 16 bits"
LISTED = ("tokens_per_s_user", "tokens_per_s_gpu", "concurrency", "requests_per_s", "tpot_s", "ttft_s")


def front_document(result: ServingFront) -> Document:
    """Build the report of a front. The title is the answer."""
    listed, notes = spread_points(result.points, SHOWN), _notes(result)
    return point_document(
        result,
        lambda: point_data(result, notes, ["gpus"], requests_given(result)),
        _answer(result),
        result.requests.given,
        gpus=result.gpus,
        facts=drafting_facts(result.drafting),
        tables=(_points(result, listed), _commands(listed)),
        listing=lambda: _listing(result),
        charts=lambda: _charts(result, listed),
        pictures=lambda: _charts(result, listed, with_groups=True),
        notes=notes,
    )


def spread_points(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most ``most`` points that are far from each other on the front, with both ends.

    The last points of the layouts, which have the most tokens per second of a GPU, are taken before others.
    """
    if len(points) <= most:
        return list(points)
    places = [(log(one.tokens_per_s_user), log(one.tokens_per_s_gpu)) for one in points]
    last = {layout_text(one): number for number, one in enumerate(points)}
    chosen = [0, len(points) - 1]
    first, rest = set(last.values()) - {*chosen}, set(range(len(points))) - {*last.values(), *chosen}
    while len(chosen) < most:
        pool = first or rest
        far = max(sorted(pool), key=lambda place: min(dist(places[place], places[other]) for other in chosen))
        pool.remove(far)
        chosen.append(far)
    return [points[place] for place in sorted(chosen)]


def _answer(result: ServingFront) -> str:
    if result.too_long:
        return f"✗ {result.too_long}"
    if not result.points:
        if result.closest:
            return no_layout(result.closest, result.limits)
        return no_start(result.space)
    first, last = result.points[0], result.points[-1]
    users, gpus = (
        ends_text(*(three_digits(getattr(one, name)) for one in (first, last)))
        for name in ("tokens_per_s_user", "tokens_per_s_gpu")
    )
    named = ""
    if len({formats_text(one) for one in result.points}) > 1:
        named = ", with the formats in the table"
    elif first.formats:
        own = (f"{text} {name}".replace("_", " ") for name, text in first.formats.items())
        named = f", with {' and '.join(own)}"
    cost = price_clause(last.usd_per_million_output, "at best ", "output tokens")
    return f"{users} tokens/s per user, {gpus} tokens/s per GPU{named}{cost}"


def _points(result: ServingFront, listed: Sequence[Point]) -> Table:
    """Return a table of points, with the load from which they are cheaper than the API if one is given."""

    def gain(one: Point) -> str:
        return "".join(str(fact.value) for fact in break_even(one.money))

    number = len(result.points)
    shown = f": {len(listed)} of {number} points" if len(listed) < number else ""
    return table_of(f"the most tokens per second{shown}", listed, {
        LAYOUT: layout_text, "formats: text": formats_text, REQUESTS: POINT_CELLS[REQUESTS],
        "tokens/s per user: text": lambda one: three_digits(one.tokens_per_s_user),
        "per GPU: text": lambda one: three_digits(one.tokens_per_s_gpu),
        TTFT: POINT_CELLS[TTFT], PRICE: POINT_CELLS[PRICE],
        **({"break-even: text": gain} if result.terms.api else {}),
    })  # fmt: skip


def _commands(listed: Sequence[Point]) -> Table:
    """Return a table of the engine's command line for each layout."""
    found: dict[tuple[str, str], str] = {}
    for one in listed:
        for role, line in one.commands.items():
            found.setdefault((line, role), layout_text(one) + ("" if role == "serve" else f": {role}"))
    rows = [(name, line) for (line, _), name in found.items()]
    return Table("command lines", columns("layout: name", "command: text"), rows)


def _listing(result: ServingFront) -> Table:
    """Return a table of all points with all digits."""
    return table_of("points", result.points, {
        LAYOUT: layout_text, "formats: text": formats_text, **{f"{name}: number": name for name in LISTED},
        **{f"{name}_{end}_s: number": f"{name}.{end}" for name in ("tpot", "ttft") for end in ("low", "high")},
        "command: text": lambda one: " & ".join(one.commands.values()),
    })  # fmt: skip


def _charts(result: ServingFront, listed: Sequence[Point], *, with_groups: bool = False) -> tuple[Chart, ...]:
    """Return the chart of the front, or of the front of each group of layouts."""
    whole = {"front": tuple((one.tokens_per_s_user, one.tokens_per_s_gpu) for one in result.points)}
    groups = dict(sorted(result.fronts.items(), key=lambda item: -max(y for _, y in item[1]))) if with_groups else whole
    curves = tuple(Curve(name, tuple(reversed(pairs))) for name, pairs in groups.items() if len(pairs) > 1)
    if len(result.points) < 2 or not curves:
        return ()
    marks: dict[str, Mark] = {}
    for one in listed:
        marks.setdefault(layout_text(one), Mark(layout_text(one), one.tokens_per_s_user, one.tokens_per_s_gpu))
    lengths = ", ".join(f"{name} {value}" for name, value in result.requests.given.items())
    title = f"{result.architecture.name} on {result.gpus} × {result.accelerator.name}, {lengths}"
    x, y = Axis("tokens/s per user"), Axis("tokens/s per GPU", "count", True)
    return (Chart(title, x, y, curves, tuple(marks.values())),)


def _notes(result: ServingFront) -> tuple[str, ...]:
    if not result.points:
        return ()
    n_points = len(result.points)
    middle = result.points[n_points // 2]
    api: tuple[str, ...] = ()
    if result.terms.api is not None:
        *_, price = money_notes(middle.money)
        api = ("break-even: requests/s of all GPUs from which they are cheaper than the API", price)
    return (
        *pool_notes(result.points, result.requests), *request_notes(result), *price_notes(result.price), *api,
        f"{n_points} point{'s' * (n_points != 1)} of {result.tried} layouts and formats (--format csv); times and "
        f"prices hold within ×/÷ {middle.width:.2f} in 80 % of measurements",
        *([FP8] if "fp8" in formats_text(middle) else []),
    )  # fmt: skip
