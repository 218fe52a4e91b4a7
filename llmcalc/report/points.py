"""Texts, tables and notes about operating points: a layout of GPUs with its requests, times, throughput and price.

All reports of ``serve`` and the page take them from here, so that they say the same of the same point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..core.errors import spelled
from ..core.printable import plural, three_digits
from ..core.setting import Setting
from ..core.type_names import TYPE_CHECKING, Any
from ..estimate.prices import usual_price
from ..inputs.serving_settings import SERVE
from .document import Cell, Document, Fact, Table, assumed_settings, columns, next_table
from .heading import model_document, named_values
from .numbers import dollars, duration
from .serving_money import price_facts

if TYPE_CHECKING:
    from ..search.space import Space
    from ..serving.requests import Requests
    from ..serving.speculation import Drafting

MOST_ROWS = 10  # of a summary
RANKS = ("tp", "pp", "dp", "ep")  # sizes of a layout that the page and ``latency`` show


def point_document(
    result: Any, data: Any, answer: str, settings: Mapping[str, Any], *, gpus: int, chosen: str = "", **parts: Any
) -> Document:
    """Build a report of ``serve`` with the times of requests.

    Args:
        result: what ``serve`` found.
        data: function that returns the inputs and the result as plain data.
        answer: first line of the report.
        settings: requests, limits and layout that were asked for.
        gpus: number of GPUs.
        chosen: remark on a layout that was not given.
        parts: further parts of the report, as for ``model_document``.
    """
    on = f" in {result.engine_title} on {gpus} × {result.accelerator.title}{chosen}"
    lines = (named_values({**settings, **limit_texts(getattr(result, "limits", {}))}), *parts.pop("lines", ()))
    parts |= {"excess": result.excess, "lines": lines}
    return model_document(result.architecture, "serve", data, on, answer=answer, **parts)


def point_data(
    result: Any, notes: Sequence[str], inputs: Iterable[str], given: Mapping[str, Any] = {}, times: Iterable[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the inputs and the result of ``serve`` as plain data.

    Args:
        result: what ``serve`` found.
        notes: notes of the report.
        inputs: values of the result that were given.
        given: further inputs.
        times: names of the values under ``times``, if some are left out or in another order.
    """
    own = result.to_dict()
    asked = {**given, **{name: own.pop(name) for name in inputs}}
    head = {name: own.pop(name) for name in ("engine", "evidence")}
    found = {name: own[name] for name in times or own if name not in ("model", "notes")}
    return asked, {**head, "times": found, "notes": [*notes, *result.architecture.notes]}


def requests_given(result: Any) -> dict[str, Any]:
    """Return the GPU and the lengths of the requests as they were given, with their means."""
    return {"gpu": result.accelerator.name, **result.requests.given, "isl": result.isl, "osl": result.osl}


def unused_alert(unused: int, gpus: int) -> list[str]:
    """Return a warning if a layout leaves GPUs unused."""
    return [f"the layout leaves {unused} of {gpus} GPUs unused"] if unused else []


def assumed_of(result: Any, values: Mapping[str, Any]) -> tuple[tuple[Setting, Any], ...]:
    """Return the settings of ``serve`` that were not given, with the values that a result depends on.

    A command line of an engine states all but the requests and the machine.
    """
    service = result.service
    found = {"engine": service.engine, **values}
    if result.price:
        found["price"] = f"{usual_price(result.accelerator, result.price):g}"
    declared = (each for each in SERVE if not service.command or each.part in ("requests", "machine"))
    return assumed_settings((each for each in declared if service.asked.get(each.name) is None), found)


# --------------------------------------------------------------------- texts


def sizes_of(mesh: Any) -> dict[str, int]:
    """Return the sizes of a mesh that differ from 1."""
    return {name: size for name in RANKS if (size := getattr(mesh, name)) > 1}


def sizes_text(sizes: Mapping[str, int], replicas: int = 1) -> str:
    """Format the sizes of a layout.

    >>> sizes_text({"tp": 4, "ep": 4}), sizes_text({"tp": 2}, 4), sizes_text({})
    ('tp 4 ep 4', '4 × tp 2', '1 GPU')
    """
    own = " ".join(f"{name} {size}" for name, size in sizes.items()) or "1 GPU"
    return f"{replicas} × {own}" if replicas > 1 else own


def layout_text(point: Any) -> str:
    """Format a layout, such as ``4 × tp 2`` or ``2 × tp 2 → tp 4`` if the first GPUs compute prefills."""
    return " → ".join(sizes_text(pool.sizes, pool.replicas) for pool in (point.prefill, point.placement) if pool)


def formats_text(point: Any) -> str:
    """Format the number formats of a layout, such as ``fp8, cache fp8``."""
    own = [f"{name} {text}".removeprefix("weights ") for name, text in point.formats.items()]
    return ", ".join(own) or "as published"


def settings_text(change: Mapping[str, Any]) -> str:
    """Format changed settings as options of the command line or of Python, and after them an engine's command line."""
    options = spelled(" ".join(f"{{{name}={value}}}" for name, value in change.items() if name != "command"))
    return " -- ".join(filter(None, (options, change.get("command"))))


def limit_texts(limits: Mapping[str, float]) -> dict[str, str]:
    """Return limits of times in words."""
    return {name: f"< {duration(limit)}" for name, limit in limits.items()}


def requests_text(point: Any) -> str:
    """Format the number of requests."""
    return plural(round(point.concurrency), "request")


def times_text(point: Any, limits: Iterable[str] = ()) -> str:
    """Format the times of a point, that of a whole request only if it is limited."""
    named = [(point.tpot_s, "per output token"), (point.ttft_s, "to the first token")]
    named += [(point.e2e.best, "per request")] if "e2e" in limits else []
    return ", ".join(f"{duration(seconds)} {what}" for seconds, what in named if seconds)


def tpot_text(point: Any) -> str:
    """Format the time per output token with its interval."""
    return duration(point.tpot_s, point.tpot.low, point.tpot.high)


def ttft_text(point: Any) -> str:
    """Format the time to the first token with its interval."""
    return duration(point.ttft_s, point.ttft.low, point.ttft.high)


def speed_text(point: Any) -> str:
    """Format the output tokens per second of one GPU."""
    return f"{three_digits(point.tokens_per_s_gpu)} tokens/s per GPU"


# --------------------------------------------------------------------- facts, tables and notes

LAYOUT, REQUESTS, TPOT, TTFT, PRICE = (
    "layout: name", "requests at once: number", "per output token: text", "first token: text",
    "per million output: text 1",
)  # fmt: skip
POINT_CELLS: Mapping[str, Callable[[Any], Cell]] = {  # columns of tables of points
    LAYOUT: layout_text, REQUESTS: lambda one: round(one.concurrency),
    TPOT: lambda one: duration(one.tpot_s) if one.tpot_s else "", TTFT: lambda one: duration(one.ttft_s),
    PRICE: lambda one: dollars(one.usd_per_million_output),
}  # fmt: skip


def time_fact(label: str, text: str, note: str = "") -> Fact:
    """Return a time with its interval, from a text such as ``7.10 ms (5.90 to 11.0 ms)``."""
    best, _, span = text.partition(" (")
    return Fact(label, best, note=note, interval=span.removesuffix(")"))


def point_facts(result: Any, point: Any, notes: Mapping[str, str]) -> list[Fact]:
    """Return the times, the throughput and the price of an operating point, with ``notes`` on some of them."""
    times = {"per output token": tpot_text(point), "time to first token": ttft_text(point)}
    return [
        *(time_fact(name, text, notes.get(name, "")) for name, text in times.items()),
        Fact("requests at once", f"{point.concurrency:,.0f}", notes.get("requests at once", "")),
        Fact("requests per second", three_digits(point.requests_per_s)),
        Fact("tokens/s per GPU", three_digits(point.tokens_per_s_gpu)),
        Fact("tokens/s per user", three_digits(point.tokens_per_s_user)),
        *price_facts(result, point.width, output=point.usd_per_million_output),
    ]


def drafting_facts(drafting: Drafting | None) -> tuple[Fact, ...]:
    """Return the mean number of tokens per step of speculative decoding, if there is any."""
    if drafting is None:
        return ()
    return (Fact("tokens per step", f"{drafting.accepted:.3g}", f"{drafting.title}; {accepted_text(drafting)}"),)


def accepted_text(drafting: Drafting) -> str:
    """Return what the number of accepted tokens rests on."""
    own = drafting.accepted_range
    return f"assumed: {own[0]:.3g} to {own[1]:.3g} are published" if own else f"of at most {drafting.drafted + 1}"


def changes_table(
    changes: Iterable[tuple[Mapping[str, Any], Any]], cells: Mapping[str, Callable[[Any], Cell]]
) -> Table:
    """Return a table of changed settings, with the cells of the point or the result with each of them."""
    return next_table(((settings_text(change), one) for change, one in changes), cells)


def commands_table(point: Any) -> Table:
    """Return a table of the engine's command lines for a layout, and how many times each is started."""
    is_once = all(number == 1 for number in point.processes.values())
    title = "command lines" if is_once else "command lines, each on GPUs of its own"
    rows = [(f"{number} × {role}" if (number := point.processes[role]) > 1 else role, line)
            for role, line in point.commands.items()]  # fmt: skip
    return Table(title, columns("role: name", "command: text"), rows)


def request_notes(result: Any) -> tuple[str, ...]:
    """Return the assumptions about the requests and their drafted tokens."""
    source = result.drafting.source if result.drafting else ""
    return (*map(spelled, result.notes), *([f"tokens per step: {source}"] if source else []))


def pool_notes(points: Sequence[Any], requests: Requests) -> tuple[str, ...]:
    """Return notes that explain two pools, if there are any."""
    if not any(point.prefill for point in points):
        return ()
    return "A → B: A computes prefills and sends keys and values to B, which decodes", *answer_notes(requests)


def answer_notes(requests: Requests) -> tuple[str, ...]:
    """Return what a pool of prefills does with the answers of a conversation."""
    is_conversation = not requests.is_shared and any(one.cached for one in requests.classes)
    return ("the pool of prefills computes the last answer again with each turn",) if is_conversation else ()


def no_start(space: Space) -> str:
    """Return the answer if no layout holds a request, with the engine's reason where all GPUs are used."""
    own = space.service
    return ": ".join(filter(None, (f"✗ The model does not fit on {own.count} × {own.card.title}", space.refusal)))


def no_layout(best: Any, limits: Mapping[str, float], *, is_fixed: bool = False) -> str:
    """Return the answer if no layout meets the limits, with the one that comes closest."""
    own = f"{layout_text(best)}{' does not meet the limits' if is_fixed else ''} with {requests_text(best)}"
    closest = "" if is_fixed else "No layout meets the limits. The closest is "
    return f"✗ {closest}{own}: {times_text(best, limits)}"
