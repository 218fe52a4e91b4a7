"""Summary at the top of a report: the answer, and the main numbers of each model in a column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..api.flops import flops
from ..api.params import params
from ..core.printable import three_digits
from ..core.record import record
from ..estimate.prices import price_of
from ..fitting.fit import FitResult
from ..serving.latency_times import DECODE, Latency
from ..serving.memory import engine_title
from ..serving.money import token_prices
from .document import Column, Document, Table
from .fit import memory_limit
from .heading import numbered, title, warnings
from .latency import span_text
from .memory import verdict
from .numbers import BYTES, binary, dollars, human, readable
from .pictures import Bar, Bars, parts_of
from .served_model import ServedModel


@record
class Subject:
    """A model of the summary.

    Attributes:
        served: the model with its workload and GPUs.
        name: name of its column.
        parts: bytes of each part of the memory.
        fit: whether it fits, or None without GPUs.
    """

    served: ServedModel
    name: str
    parts: dict[str, int]
    fit: FitResult | None


def summary_document(models: Sequence[ServedModel]) -> Document:
    """Build the summary. Its title is the answer."""
    names = numbered([served.model.name for served in models])
    subjects = [Subject(served, name, served.parts(), served.fit()) for served, name in zip(models, names, strict=True)]
    return Document(
        _answer(subjects),
        dict,
        subtitle=(_settings(subjects[0]),),
        warnings=tuple(line for served in models for line in warnings(served.model)),
        tables=(_table(subjects),),
        pictures=lambda: (_picture(subjects),),
        notes=tuple(_notes(subjects)),
    )


def _answer(subjects: Sequence[Subject]) -> str:
    """Return the answer as a sentence: whether the models fit, or their sizes."""
    first, count = subjects[0], len(subjects)
    if first.fit is None:
        return ", ".join(f"{each.name} has {human(params(each.served.model).total)} parameters" for each in subjects)
    gpus = _gpus(first.fit)
    if count == 1:
        each = " on each" if first.fit.count > 1 else ""
        return f"{'✓' if first.fit.fits else '✗'} {title(first.served.model)} {verdict(first.fit)}{each}, on {gpus}"
    fitting = [each.name for each in subjects if each.fit and each.fit.fits]
    if len(fitting) == count:
        return f"✓ {'Both' if count == 2 else f'All {count}'} models fit on {gpus}"
    return f"✗ Only {' and '.join(fitting)} fit on {gpus}" if fitting else f"✗ No model fits on {gpus}"


def _gpus(found: FitResult) -> str:
    if found.accelerator:
        return f"{found.count} × {found.accelerator.title}"
    size = binary(found.memory)
    return f"{found.count} GPUs with {size} each" if found.count > 1 else f"a GPU with {size}"


def _settings(subject: Subject) -> str:
    served, found = subject.served, subject.fit
    reserve = f" · {readable(found.reserve, BYTES)} reserved" if found and found.reserve else ""
    return f"batch {served.batch} · {served.seq:,} tokens of context · {served.formats}{reserve}"


def _table(subjects: Sequence[Subject]) -> Table:
    columns = [_column(subject) for subject in subjects]
    names = dict.fromkeys(name for column in columns for name in column)
    known = [name for name in names if any(column.get(name) for column in columns)]
    rows = [(name, *(column.get(name) or "–" for column in columns)) for name in known]
    return Table("", (Column(""), *(Column(subject.name) for subject in subjects)), rows)


def _column(subject: Subject) -> dict[str, str]:
    """Return the texts of a model's column by the title of the row."""
    served, found, parts = subject.served, subject.fit, subject.parts
    counts, passed = params(served.model), flops(served.model, seq=served.seq)
    each = " per GPU" if found and found.count > 1 else ""
    return {
        "fit": verdict(found) if found else "",
        "parameters": human(counts.total),
        "active parameters": human(counts.active) if counts.active != counts.total else "",
        "FLOPs per token": human(round(passed.total / served.seq)),
        f"weights{each}": binary(parts["weights"]),
        f"KV cache and states{each}": binary(parts["state"]),
        f"memory{each}": binary(sum(parts.values())),
        **_speed(served.time),
    }  # fmt: skip


def _speed(time: Latency | str | None) -> dict[str, str]:
    """Return the rows about time and cost."""
    if not isinstance(time, Latency) or not time.fits:
        return {}
    batch, rate = time.workload.batch, three_digits(time.tokens_per_s)
    limit = {"limited by": next(iter(time.by_bound))}
    if time.mode != DECODE:
        return {"forward pass": span_text(time), "tokens per second": rate, **limit}
    cost = token_prices(price_of(time.accelerator), time.tokens_per_s / time.count, time.high / time.seconds)
    return {
        "time per output token": span_text(time),
        "tokens per second and user": three_digits(time.tokens_per_s / batch),
        "tokens per second": rate if batch > 1 else "",
        "prefill of the context": span_text(time.prompt) if time.prompt else "",
        "price per million output tokens": dollars(cost),
        **limit,
    }


def _picture(subjects: Sequence[Subject]) -> Bars:
    found, bars = subjects[0].fit, tuple(Bar(subject.name, parts_of(subject.parts)) for subject in subjects)
    what = "each GPU" if found and found.count > 1 else "serving"
    return Bars(f"Memory of {what}", BYTES, bars, memory_limit(found) if found else None)


def _notes(subjects: Sequence[Subject]) -> Iterator[str]:
    times = {each.name: each.served.time for each in subjects}
    yield from (f"no time for {name}: {time}" for name, time in times.items() if isinstance(time, str))
    known = [time for time in times.values() if isinstance(time, Latency) and time.fits]
    if not known:
        return
    layouts = dict.fromkeys(f"tp {time.model.mesh.tp}" for time in known)
    engines = dict.fromkeys(engine_title(time.model.engine.name) for time in known)
    where = f"{' or '.join(engines)} with {' or '.join(layouts)}"
    yield f"times in {where}; their intervals contain 80 % of measured times"
    if (price := price_of(known[0].accelerator)) and any(time.mode == DECODE for time in known):
        span = dollars((price.low, price.high))
        yield f"cost of GPUs that decode this batch all the time, at {span} per GPU-hour, {price.source}"
