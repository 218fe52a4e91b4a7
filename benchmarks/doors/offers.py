"""Commands that a screen offers, as the words that a user would type, with what the screen promises of each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from llmcalc.core.printable import three_digits
from llmcalc.report.document import Document
from llmcalc.report.numbers import duration

from .running import Offer, Screen, Words, changed, of_ollama, ranks_of

LOOSE = 0.01  # of times of a command that a search prints, whose layout it describes in other words
ANY = frozenset((0, 1))
BAD_INPUT = 2
HELD = {"cached tokens": "tokens", "requests at once": "concurrency"}  # of a start
PROMISES = {"requests at once": "running", "per output token": "tpot_s", "tokens/s per GPU": "tokens_per_s_gpu"}


def offers(asked: Screen) -> Iterator[Offer]:
    """Yield the commands that a screen offers."""
    if asked.document is None:
        yield from _hints(asked)
        return
    yield from _tables(asked, asked.document)
    command = asked.words[0]
    if command == "serve":
        yield from _limits(asked)
        yield from _layouts(asked)
        yield from _several(asked, asked.document)
    if command == "fit":
        line = next((fact.value for fact in asked.document.facts if fact.label == "command"), None)
        if line:
            yield Offer("fit: recipe", str(line), _words(str(line)))


def _words(line: str) -> Words:
    return shlex.split(line)[1:]


# --------------------------------------------------------------------- tables of suggestions


def _tables(asked: Screen, document: Document) -> Iterator[Offer]:
    for table in document.every_table:
        heads = [column.title for column in table.columns]
        for row in table.rows:
            cells = dict(zip(heads, row, strict=True))
            if asked.words[0] == "serve" and "next" in cells and "per output token" not in cells:
                yield _start(asked, cells)
            elif asked.words[0] == "serve" and "next" in cells and "layouts" not in asked.times:
                yield _running(asked, cells)
            elif asked.words[0] == "serve" and "next" in cells and asked.code == 0:
                if str(cells["next"]).startswith("--"):  # faster formats
                    yield Offer("limits: next", cells["next"], changed(asked, cells["next"]), cells["tokens/s per GPU"],
                                _speed)  # fmt: skip
            elif asked.words[0] == "latency" and heads[0] == "next":
                yield Offer("latency: next", cells["next"], changed(asked, cells["next"]), cells["time"],
                            lambda one: duration(one.result.get("seconds", 0.0)))  # fmt: skip
            elif asked.words[0] == "rl" and heads == ["change", "headroom"]:
                yield Offer(f"rl: {table.title}", cells["change"], _words(cells["change"]), cells["headroom"],
                            lambda one: one.result.get("headroom"))  # fmt: skip
            elif asked.words[0] == "fit" and heads[0] == "next" and str(cells["next"]).startswith("llmcalc "):
                yield Offer("fit: next", cells["next"], _words(cells["next"]), row[1:], _fits)


def _fits(one: Screen) -> tuple[Any, ...]:
    """Return the requests that the engine holds, or what is left of plain memory."""
    requests = one.result.get("requests")
    return (f"{requests:,}" if requests is not None else one.result.get("headroom"),)


def _start(asked: Screen, cells: Mapping[str, Any]) -> Offer:
    """Return a command with which an engine starts."""
    line, gpu = str(cells["next"]), asked.option("--gpu")
    if (count := cells.get("GPUs")) and "GPUs" in cells:
        gpu = f"{gpu.partition(':')[0]}:{count}"
    promised = {name: cells[title] for title, name in HELD.items() if title in cells}
    if line.startswith("--"):
        words = changed(asked, line)
    elif "ollama" in line or line.startswith("PARAMETER"):
        words = of_ollama(asked, line)
    else:
        words = ["serve", "--gpu", gpu, *_beside(asked), "--", *shlex.split(line)]

    def read(one: Screen) -> dict[str, str]:
        own = one.result
        found = {name: own.get(name, {}).get("best", 0) for name in promised}
        return {name: f"{size:,.0f}" if name == "tokens" else f"{size:.2f}" for name, size in found.items()}

    return Offer("start: next", line, words, promised, read)


def _beside(asked: Screen) -> Words:
    """Return the options beside a command line that the start of an engine depends on."""
    return [
        word for flag in ("--gpu-memory", "--engine-version") if (text := asked.option(flag)) for word in (flag, text)
    ]


def _running(asked: Screen, cells: Mapping[str, Any]) -> Offer:
    """Return changed settings with which more requests run."""
    names = [name for name in PROMISES if name in cells]

    def read(one: Screen) -> dict[str, Any]:
        own, load = one.times, one.inputs.get("concurrency")
        texts = {
            "requests at once": lambda: f"{own['running']:,} of {load:,.10g}",
            "per output token": lambda: duration(own["tpot_s"]) if own["tpot_s"] else "",
            "tokens/s per GPU": lambda: three_digits(own["tokens_per_s_gpu"]),
        }
        return {name: texts[name]() for name in names} if own else {}

    codes = frozenset((0,)) if _all(str(cells["requests at once"])) else ANY
    return Offer("times: next", cells["next"], changed(asked, cells["next"]),
                 {name: cells[name] for name in names}, read, codes)  # fmt: skip


def _all(text: str) -> bool:
    running, _, load = text.partition(" of ")
    return running == load


# --------------------------------------------------------------------- searches


def _limits(asked: Screen) -> Iterator[Offer]:
    """Yield changed settings that meet limits."""
    names = ("concurrency", "tpot_s", "ttft_s", "tokens_per_s_gpu", "usd_per_million_output", "gpus")

    def read(one: Screen) -> dict[str, Any]:
        layouts = one.times.get("layouts") or [{}]
        return {name: layouts[0].get(name) for name in names}

    for change in asked.times.get("changes", ()):
        text = llmcalc_options(change["settings"])
        promised = {name: change["layout"][name] for name in names}
        yield Offer("limits: meets the limits with", text, changed(asked, text), promised, read)


def _layouts(asked: Screen) -> Iterator[Offer]:
    """Yield the command lines of the layouts that a search found: whether they start, and how long requests take."""
    own = asked.times
    layouts = own.get("layouts") or own.get("points") or [one for one in (own.get("layout"),) if isinstance(one, dict)]
    for one in layouts if isinstance(layouts, list) else ():
        yield from _of_layout(asked, one, asked.inputs["gpu"])
    for one in own.get("gpus", ()) if isinstance(own.get("gpus"), list) else ():
        if one["runs"] and one["commands"]:
            yield from _of_layout(asked, {**one, "gpus": _used(one)}, one["gpu"])


def _used(one: Mapping[str, Any]) -> int:
    line, number = one["commands"].get("serve", ""), one["processes"].get("serve", 1)
    return ranks_of(line) * number if line else int(one["gpus"])


def _of_layout(asked: Screen, one: Mapping[str, Any], card: str) -> Iterator[Offer]:
    for role, line in (one.get("commands") or {}).items():
        number = one["processes"][role]
        gpus = int(one["gpus"]) // number if role == "serve" else ranks_of(line)
        words = shlex.split(line)
        yield Offer(f"layout: {role} starts", line, ["serve", "--gpu", f"{card}:{gpus}", "--", *words])
        lengths = [word for flag in ("--isl", "--osl") for word in (flag, asked.option(flag))]
        each = (one.get("concurrency") or 1) / number
        if role != "serve" or "--isl" not in asked.before or each != int(each) or one.get("tpot_s") is None:
            continue
        words = ["serve", "--gpu", f"{card}:{gpus}", *lengths, "--concurrency", f"{each:.0f}", "--", *words]
        yield Offer("layout: times", line, words, one["tpot_s"], lambda found: found.times.get("tpot_s"), near=LOOSE)


def _several(asked: Screen, document: Document) -> Iterator[Offer]:
    """Yield the command below the answer about several kinds of GPUs."""
    line = document.action
    if not line.startswith("llmcalc serve"):
        return
    best, found = next(iter(asked.times.get("gpus", ())), {}), asked.times.get("is_found")

    def read(one: Screen) -> Any:
        layouts = one.times.get("layouts")
        return (layouts[0] if layouts else one.times).get("tpot_s")

    yield Offer("several: first GPUs", line, _words(line), best.get("tpot_s") if found else None,
                read if found else lambda _: None)  # fmt: skip


def _speed(one: Screen) -> str:
    layouts = one.times.get("layouts")
    own = layouts[0] if layouts else one.times
    return three_digits(own.get("tokens_per_s_gpu") or 0.0)


# --------------------------------------------------------------------- hints of errors


def _hints(asked: Screen) -> Iterator[Offer]:
    """Yield what the hint of an error says to add, to use or to run: the same error must not be repeated."""
    message, _, hint = asked.error.partition("\n  ")
    first = message.partition(":")[2]
    hint = " ".join(hint.split())

    def read(one: Screen) -> bool:
        return one.code != BAD_INPUT or first not in one.error

    if match := re.search(r"(llmcalc \w+ .*)", hint):
        yield Offer("hint: command", hint, shlex.split(match[1])[1:], True, read, ANY)
    elif match := re.match(
        r"(?:use|add|pass|specify it, for example with) (--[\w-]+(?: [^-,;\s][^,;\s]*)?(?: --[\w-]+ [^,;\s]+)*)", hint
    ):
        yield Offer("hint: option", hint, changed(asked, match[1]), True, read, frozenset((0, 1, 2)))


def llmcalc_options(settings: Mapping[str, Any]) -> str:
    """Return changed settings as the options that the screen prints."""
    from llmcalc.cli.commands import load
    from llmcalc.core.errors import SPELLING
    from llmcalc.report.points import settings_text

    token = SPELLING.set(load("serve").spell)
    try:
        return settings_text(settings)
    finally:
        SPELLING.reset(token)
