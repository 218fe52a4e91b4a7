"""Report for a front of serving: tokens per second of a GPU against the speed of a request."""

from __future__ import annotations

from collections.abc import Sequence
from math import dist, log
from typing import Any

from ..search.front import ServingFront
from ..search.serving_search import Layout
from .document import Document, Table, columns
from .heading import model_document, named_values
from .numbers import dollars, duration, three_digits
from .pictures import Axis, Chart, Curve, Mark
from .serving_money import break_even, money_notes, price_notes
from .serving_search import (
    drafting_facts,
    layout_text,
    no_layout,
    pool_notes,
    request_notes,
    requests_inputs,
)

SHOWN = 10  # points in the table
HEADS = columns(
    "layout: name", "formats: text", "requests: number", "tokens/s per user: text", "per GPU: text",
    "first token: text", "per million output: text 1",
)  # fmt: skip


def front_document(result: ServingFront) -> Document:
    """Build the report of a front. The title is the answer."""
    limits = {name: f"< {duration(limit)}" for name, limit in result.limits.items()}
    listed = spread_points(result.points, SHOWN)
    return model_document(
        result.architecture,
        "serve",
        lambda: _json(result),
        f" in {result.engine_title} on {result.gpus} × {result.accelerator.title}",
        answer=_answer(result),
        lines=(named_values({**result.requests.given, **limits}),),
        facts=drafting_facts(result.drafting),
        tables=(_points(result, listed), _commands(listed)),
        listing=lambda: _listing(result),
        charts=lambda: _charts(result, listed),
        pictures=lambda: _charts(result, listed, with_groups=True),
        notes=_notes(result),
    )


def spread_points(points: Sequence[Layout], most: int) -> list[Layout]:
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


def formats_text(one: Layout) -> str:
    """Format the number formats of a layout, such as ``fp8, cache fp8``."""
    own = [f"{name} {text}".removeprefix("weights ") for name, text in one.formats.items()]
    return ", ".join(own) or "as published"


def _answer(result: ServingFront) -> str:
    if result.is_too_long:
        return f"✗ {result.too_long}"
    if not result.points:
        if result.closest:
            return no_layout(result.closest, result.limits)
        return f"✗ The model does not fit on {result.gpus} × {result.accelerator.title}"
    first, last = result.points[0], result.points[-1]
    users, gpus = (
        " to ".join(dict.fromkeys(three_digits(getattr(one, name)) for one in (first, last)))
        for name in ("tokens_per_s_user", "tokens_per_s_gpu")
    )
    named = ""
    if len({formats_text(one) for one in result.points}) > 1:
        named = ", with the formats in the table"
    elif first.formats:
        own = (f"{text} {name}".replace("_", " ") for name, text in first.formats.items())
        named = f", with {' and '.join(own)}"
    price = last.usd_per_million_output(result.price)
    cost = f", at best {dollars(price)} per million output tokens" if price else ""
    return f"{users} tokens/s per user, {gpus} tokens/s per GPU{named}{cost}"


def _points(result: ServingFront, listed: Sequence[Layout]) -> Table:
    """Return a table of points, with the load from which they are cheaper than the API if one is given."""
    rows = [_row(result, one) for one in listed]
    number = len(result.points)
    shown = f": {len(listed)} of {number} points" if len(listed) < number else ""
    title = f"the most tokens per second{shown}"
    if result.terms.api is None:
        return Table(title, HEADS, rows)
    gains = [break_even(one.money(result.terms, result.isl, result.osl)) for one in listed]
    more = [(*row, gain.value if gain else "") for row, gain in zip(rows, gains, strict=True)]
    return Table(title, (*HEADS, *columns("break-even: text")), more)


def _row(result: ServingFront, one: Layout) -> tuple[Any, ...]:
    price = one.usd_per_million_output(result.price)
    return (
        layout_text(one), formats_text(one), round(one.concurrency), three_digits(one.tokens_per_s_user),
        three_digits(one.tokens_per_s_gpu), duration(one.ttft_s), dollars(price) if price else "",
    )  # fmt: skip


def _commands(listed: Sequence[Layout]) -> Table:
    """Return a table of the engine's command line for each layout."""
    found: dict[tuple[str, str], str] = {}
    for one in listed:
        for role, line in one.commands.items():
            found.setdefault((line, role), layout_text(one) + ("" if role == "serve" else f": {role}"))
    rows = [(name, line) for (line, _), name in found.items()]
    return Table("command lines", columns("layout: name", "command: text"), rows)


def _listing(result: ServingFront) -> Table:
    """Return a table of all points with all digits."""
    names = ("tokens_per_s_user", "tokens_per_s_gpu", "concurrency", "requests_per_s", "tpot_s", "ttft_s")
    rows = [
        (layout_text(one), formats_text(one), *(float(getattr(one, name)) for name in names),
         *(float(getattr(own, end)) for own in (one.tpot, one.ttft) for end in ("low", "high")),
         " & ".join(one.commands.values()))
        for one in result.points
    ]  # fmt: skip
    ends = (f"{name}_{end}_s" for name in ("tpot", "ttft") for end in ("low", "high"))
    numbers = (f"{name}: number" for name in (*names, *ends))
    return Table("points", columns("layout: name", "formats: text", *numbers, "command: text"), rows)


def _charts(result: ServingFront, listed: Sequence[Layout], *, with_groups: bool = False) -> tuple[Chart, ...]:
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
    first = result.points[n_points // 2]
    ends = f"×/÷ {first.width:.2f}"
    return (
        *pool_notes(result.points, result.requests), *request_notes(result), *price_notes(result.price),
        *_api_notes(result),
        f"{n_points} point{'s' * (n_points != 1)} of {result.tried} layouts and formats (--format csv); times and "
        f"prices hold within {ends} in 80 % of measurements",
        *(["fp8 changes the outputs of a model that was published in 16 bits"] if "fp8" in formats_text(first) else []),
    )  # fmt: skip


def _api_notes(result: ServingFront) -> tuple[str, ...]:
    """Return what the break-even is, if the price of an API is given."""
    if result.terms.api is None:
        return ()
    *_, api = money_notes(result.points[0].money(result.terms, result.isl, result.osl))
    return ("break-even: requests/s of all GPUs from which they are cheaper than the API", api)


def _json(result: ServingFront) -> tuple[dict[str, Any], dict[str, Any]]:
    own = result.to_dict()
    inputs = {"gpu": result.accelerator.name, **requests_inputs(result), "gpus": own.pop("gpus")}
    times = {name: own.pop(name) for name in ("limits", "tried", "points", "fronts")}
    return inputs, {**own, "times": times, "notes": [*_notes(result), *result.architecture.notes]}
