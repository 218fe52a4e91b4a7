"""Lengths of the requests that an engine serves: one pair, a mix of pairs, a trace, or the turns of a conversation."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from math import log

from ..core.amount import group_by
from ..core.arrays import Number
from ..core.errors import InputError, short_repr
from ..core.record import NamedTuple, changed, record
from ..core.setting import Setting, check_values, read_length
from ..core.type_names import Any
from ..inputs.grid import vector
from ..inputs.serving_settings import SERVE
from .request_times import Load

MOST_CLASSES, MOST_TURNS = 64, 256
MOST_ROWS, MOST_BYTES = 200_000, 100_000_000  # of a trace
LONGEST = 10**8  # tokens of a request
BIN = log(1.05)  # lengths of a trace within 5 % are one class
PAIR = r"(?a)\s*([^/:]+)/([^/:]+?)(?::\s*(\d+(?:\.\d+)?|\.\d+)\s*)?"
COLUMNS = {  # of published traces: Azure, BurstGPT, Mooncake, Vidur, and the usage in answers of OpenAI's interface
    "input": ("isl", "input_tokens", "input_length", "input_len", "prompt_tokens", "prompt_length", "prompt_len",
              "context_tokens", "request_tokens", "num_prefill_tokens"),
    "output": ("osl", "output_tokens", "output_length", "output_len", "completion_tokens", "generated_tokens",
               "response_tokens", "num_decode_tokens"),
}  # fmt: skip
QUANTILES = {"median": 0.5, "p90": 0.9, "largest": 1.0}


class RequestClass(NamedTuple):
    """Requests of equal lengths.

    Attributes:
        isl: input tokens.
        osl: output tokens.
        share: share of all requests.
        cached: input tokens of which keys and values are cached.
        name: name in reports.
    """

    isl: float
    osl: float
    share: float = 1.0
    cached: float = 0.0
    name: str = ""


@record
class Requests:
    """Lengths of requests.

    Attributes:
        classes: requests by length.
        given: how the lengths were given, for reports.
        longest: tokens of the longest request.
        is_shared: whether all requests share the cached tokens.
        quantiles: input and output tokens of a trace by quantile.
        n_rows: number of requests of a trace, or 0.
        notes: assumptions.
        is_cached: whether the engine caches prefixes.
    """

    classes: tuple[RequestClass, ...]
    given: Mapping[str, Any]
    longest: float
    is_shared: bool = False
    quantiles: Mapping[str, tuple[float, float]] = {}
    n_rows: int = 0
    notes: tuple[str, ...] = ()
    is_cached: bool = True

    def mean(self, name: str) -> float:
        """Return the mean of ``isl``, ``osl`` or ``cached`` over the requests."""
        if len(self.classes) == 1:
            return getattr(self.classes[0], name)  # type: ignore[no-any-return]
        return float(sum(getattr(each, name) * each.share for each in self.classes))

    @property
    def is_single_token(self) -> bool:
        """Whether all requests have a single output token."""
        return all(each.osl == 1 for each in self.classes)

    def load(self, concurrency: Number = 1.0, chunk: Number | None = None, most: Number = float("inf")) -> Load:
        """Return the load of an engine. Several classes of requests are arrays."""
        if len(self.classes) == 1:
            (only,) = self.classes
            return Load(
                only.isl, only.osl, concurrency, chunk, only.cached, only.cached if self.is_shared else 0, most,
                reuses_prefixes=self.is_cached,
            )  # fmt: skip
        isl, osl, share, cached = (vector(float(each[place]) for each in self.classes) for place in range(4))
        shared = cached if self.is_shared else 0 * cached
        return Load(isl, osl, concurrency, chunk, cached, shared, most, share / share.sum(), self.is_cached)


def read_requests(
    isl: int | str | None = None,
    osl: int | str | None = None,
    mix: str | None = None,
    trace: str | os.PathLike[str] | None = None,
    turns: int | None = None,
    prefix_share: float | None = None,
    *,
    is_cached: bool = True,
) -> Requests:
    """Return the lengths of requests.

    >>> found = read_requests(mix="4000/500:0.75,500/200:0.25")
    >>> found.mean("isl"), found.mean("osl"), found.longest
    (3125.0, 425.0, 4500)
    >>> [each.cached for each in read_requests(1000, 500, turns=3).classes]
    [0, 1500, 3000]

    Args:
        isl: input tokens of a request, or new input tokens of a turn.
        osl: output tokens of a request or of a turn.
        mix: classes of requests, as input and output tokens with a weight, such as ``"4000/500:0.7,500/200:0.3"``.
        trace: CSV or JSON Lines file with the input and output tokens of each request.
        turns: number of turns of a conversation. The input of a turn contains the turns before it.
        prefix_share: share of the input tokens that is a prefix of all requests, which the engine has cached. With 0,
            the turns before a turn are not cached.
        is_cached: whether the engine caches prefixes.
    """
    check_values(SERVE, {"mix": mix, "trace": trace, "turns": turns, "prefix_share": prefix_share})
    sources = [name for name, value in (("mix", mix), ("trace", trace)) if value is not None]
    lengths = {name: value for name, value in (("isl", isl), ("osl", osl)) if value is not None}
    for name in (*sources[1:], *(lengths if sources else ()), *(["turns"] if sources and turns else ())):
        hint = f"{{{sources[0]}}} states the lengths; omit {{{name}}}"
        raise InputError(f"cannot be combined with {sources[0]}", parameter=name, hint=hint)
    if prefix_share and turns:
        hint = "the turns before are the prefix; omit {prefix_share}"
        raise InputError("cannot be combined with turns", parameter="prefix_share", hint=hint)
    if prefix_share is not None and prefix_share >= 1:
        raise InputError(f"must be less than 1, not {prefix_share:g}", parameter="prefix_share")
    if prefix_share and not is_cached:
        raise InputError("has no effect, because the engine caches no prefixes", parameter="prefix_share")
    if mix is not None:
        found = _mix(mix)
    elif trace is not None:
        found = _trace(os.fspath(trace))
    else:
        only = RequestClass(_length(lengths.get("isl"), "isl"), _length(lengths.get("osl"), "osl"))
        found = Requests((only,), {"isl": only.isl, "osl": only.osl}, only.isl + only.osl)
        if turns:
            found = _turns(only, turns, is_cached and prefix_share != 0)
    found = changed(found, is_cached=is_cached)
    return _with_prefix(found, prefix_share) if prefix_share else found


def _length(value: Any, name: str) -> int:
    """Return a number of tokens. A given one must be positive."""
    check_values((Setting(name, (int, str)),), {name: value})
    found = read_length(value, name)
    check_values((Setting(name, int, least=1),), {name: found})
    if found is None:
        raise InputError("missing number of tokens", parameter=name, hint=f"add {{{name}=500}}")
    return int(found)


def _mix(text: str) -> Requests:
    hint = "use input/output:weight, such as {mix=4000/500:0.7,500/200:0.3}"
    parts = text.split(",")
    if len(parts) > MOST_CLASSES:
        raise InputError(f"more than {MOST_CLASSES} classes of requests", parameter="mix", hint="use {trace}")
    found = []
    for part in parts:
        match = re.fullmatch(PAIR, part)
        weight = float(match[3] or 1) if match else 0.0
        if not match or not 0 < weight < float("inf"):
            raise InputError(f"invalid class of requests {part.strip()[:40]!r}", parameter="mix", hint=hint)
        try:
            isl, osl = (_length(match[place].strip(), "mix") for place in (1, 2))
        except InputError as error:
            raise InputError(error.message, parameter="mix", hint=hint) from None
        found.append(RequestClass(isl, osl, weight, name=f"{isl:,}/{osl:,}"))
    whole = sum(each.share for each in found)
    classes = tuple(each._replace(share=each.share / whole) for each in found)
    return Requests(classes, {"mix": text.strip()}, max(each.isl + each.osl for each in classes))


def _turns(turn: RequestClass, turns: int, is_cached: bool) -> Requests:
    if turns > MOST_TURNS:
        raise InputError(f"must be at most {MOST_TURNS}, not {turns}", parameter="turns")
    classes = []
    for place in range(turns):
        history = place * (turn.isl + turn.osl)
        cached = history if is_cached else 0
        classes.append(RequestClass(history + turn.isl, turn.osl, 1 / turns, cached, f"turn {place + 1}"))
    note = (
        "the turns before a turn are still cached when it arrives" if is_cached
        else "the turns before a turn are prefilled again"
    )  # fmt: skip
    given = {"turns": turns, "isl": turn.isl, "osl": turn.osl}
    return Requests(tuple(classes), given, turns * (turn.isl + turn.osl), notes=(note,))


def _with_prefix(found: Requests, share: float) -> Requests:
    classes = tuple(each._replace(cached=each.isl * share) for each in found.classes)
    notes = (*found.notes, "all requests have the same prefix, which stays cached")
    return changed(
        found, classes=classes, given={**found.given, "prefix_share": f"{share:g}"}, is_shared=True, notes=notes
    )  # fmt: skip


# ------------------------------------------------------------------ traces


def _trace(path: str) -> Requests:
    """Return the requests of a trace. Lengths within 5 % are one class, with their means."""
    rows = [*_trace_rows(path)]
    pairs = [pair for pair in rows if all(pair)]
    if not pairs:
        raise InputError("has no request with input and output tokens", where=path)
    inputs, outputs = (sorted(each) for each in zip(*pairs, strict=True))
    count, classes = len(pairs), list[RequestClass]()
    for own in group_by(pairs, lambda pair: (round(log(pair[0]) / BIN), round(log(pair[1]) / BIN))).values():
        isl, osl = (sum(each) / len(own) for each in zip(*own, strict=True))
        classes.append(RequestClass(isl, osl, len(own) / count))
    notes = [f"{count:,} requests of the trace in {len(classes):,} classes of lengths within 5 %"]
    if empty := len(rows) - count:
        notes.append(f"{empty:,} requests of the trace without input or output tokens are left out")
    quantiles = {name: (_at(inputs, share), _at(outputs, share)) for name, share in QUANTILES.items()}
    given, longest = {"trace": os.path.basename(path)}, max(map(sum, pairs))
    return Requests(tuple(classes), given, longest, quantiles=quantiles, n_rows=count, notes=tuple(notes))


def _at(ordered: Sequence[int], share: float) -> int:
    return ordered[min(round(share * (len(ordered) - 1)), len(ordered) - 1)]


def _trace_rows(path: str) -> Iterator[tuple[int, int]]:
    """Yield the input and output tokens of each request of a file."""
    from ..inputs.table_files import file_rows

    columns: dict[str, str] = {}
    for count, (line, row) in enumerate(file_rows(path, MOST_BYTES), 1):
        if count > MOST_ROWS:
            raise InputError(f"more than {MOST_ROWS:,} requests", where=path, hint="use a sample of them")
        columns = columns or _columns(row, path)
        yield _tokens(row, columns["input"], f"{path}:{line}"), _tokens(row, columns["output"], f"{path}:{line}")


def _columns(row: Mapping[str, Any], path: str) -> dict[str, str]:
    """Return the names of the columns with input and output tokens."""
    plain = {re.sub(r"(?<=[a-z])(?=[A-Z])|[\s-]+", "_", head.strip()).lower(): head for head in row}
    found = {kind: next((plain[name] for name in names if name in plain), "") for kind, names in COLUMNS.items()}
    for kind, head in found.items():
        if not head:
            known = ", ".join(COLUMNS[kind][:5])
            stated = ", ".join(list(row)[:8])
            raise InputError(f"no column with {kind} tokens in {stated}", where=path, hint=f"name it one of {known}")
    return found


def _tokens(row: Mapping[str, Any], head: str, where: str) -> int:
    value = row.get(head)
    text = str(value).strip().removesuffix(".0")
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 12) or int(text) > LONGEST:
        raise InputError(f"{head} must be a number of tokens, not {short_repr(value)}", where=where)
    return int(text)
