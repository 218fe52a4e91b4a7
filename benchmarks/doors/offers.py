"""Commands that a screen offers, as the words that a user would type, with what the screen promises of each."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple

import llmcalc
from llmcalc.cli import output
from llmcalc.cli.main import main
from llmcalc.data import tables
from llmcalc.engines.settings import setting_flags
from llmcalc.importers.engine_commands import read_command
from llmcalc.importers.modelfile import is_modelfile
from llmcalc.inputs.gpus import read_gpus
from llmcalc.inputs.serving_settings import SERVE
from llmcalc.report.document import Document
from llmcalc.report.numbers import duration

Words = list[str]
NEAR = 1e-9  # relative difference of equal numbers
LOOSE = 0.01  # of times of a command that a search prints, whose layout it describes in other words
BESIDE_LINE = {setting.name for setting in SERVE if setting.part in ("requests", "machine")}
ANY = frozenset((0, 1))
BAD_INPUT = 2
HELD = {"cached tokens": "tokens", "requests at once": "concurrency"}  # of a start
PROMISES = {"requests at once": "running", "per output token": "tpot_s", "tokens/s per GPU": "tokens_per_s_gpu"}


class Screen(NamedTuple):
    """What a command line prints."""

    words: Words
    code: int
    document: Document | None
    error: str

    @property
    def result(self) -> dict[str, Any]:
        """The result as plain data."""
        return self.document.data()["result"] if self.document else {}

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs as plain data."""
        return self.document.data()["inputs"] if self.document else {}

    @property
    def times(self) -> dict[str, Any]:
        """The times of requests, or what a search found."""
        return self.result.get("times", {})

    @property
    def line(self) -> Words:
        """Words of the command line of an engine, if there is one."""
        return self.words[self.words.index("--") + 1 :] if "--" in self.words else []

    @property
    def before(self) -> Words:
        """Words before the command line of an engine."""
        return self.words[: self.words.index("--")] if "--" in self.words else self.words

    def option(self, flag: str) -> str:
        """Return the value of an option, or an empty string."""
        return self.before[self.before.index(flag) + 1] if flag in self.before else ""

    @property
    def file(self) -> str:
        """Path of a Modelfile, or an empty string."""
        return next((word for word in self.before if is_modelfile(word)), "")


class Offer(NamedTuple):
    """A command that a screen offers.

    Attributes:
        kind: what the screen calls it.
        text: what the screen prints.
        words: the command line.
        promised: values that the screen states of it.
        read: returns these values of the screen of the command.
        codes: exit codes that keep the promise.
        near: relative difference of numbers that are equal.
    """

    kind: str
    text: str
    words: Words
    promised: Any = None
    read: Callable[[Screen], Any] = lambda _: None
    codes: frozenset[int] = frozenset((0,))
    near: float = NEAR


def show(words: Words) -> Screen:
    """Run a command line and return what it prints."""
    kept, error, plain = list[Document](), io.StringIO(), output.render

    def render(document: Document, *others: Any, **texts: Any) -> str:
        kept.append(document)
        return plain(document, *others, **texts)

    output.render = render
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(error):
            code = main(words)
    finally:
        output.render = plain
    return Screen(words, code, kept[-1] if kept else None, error.getvalue())


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
        words = _of_ollama(asked, line)
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
            "tokens/s per GPU": lambda: f"{own['tokens_per_s_gpu']:,.0f}",
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
    return _ranks(line) * number if line else int(one["gpus"])


def _ranks(line: str) -> int:
    own = read_command(line).settings
    size = 1
    for name in ("tp", "pp", "dp"):
        size *= int(own.get(name, "1")) if not (name == "dp" and own.get("attention_dp")) else 1
    return size


def _of_layout(asked: Screen, one: Mapping[str, Any], card: str) -> Iterator[Offer]:
    for role, line in (one.get("commands") or {}).items():
        number = one["processes"][role]
        gpus = int(one["gpus"]) // number if role == "serve" else _ranks(line)
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
    return f"{own.get('tokens_per_s_gpu') or 0:,.0f}"


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


# --------------------------------------------------------------------- words


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


def changed(asked: Screen, text: str) -> Words:
    """Return the words of a command line with other options.

    Options that are refused beside the command line of an engine are added to that command line.
    """
    before, line = list(asked.before), list(asked.line)
    words = shlex.split(text)
    if line and not words[0].startswith("--"):  # another command line
        words, line = [], words
    if "--" in words:
        at = words.index("--")
        words, line = words[:at], words[at + 1 :]
    while words:
        flag = words.pop(0)
        value = [words.pop(0)] if words and not words[0].startswith("--") else []
        name = flag.removeprefix("--").replace("-", "_")
        if line and asked.words[0] == "serve" and name not in BESIDE_LINE:
            line += [flag, *value]
            continue
        if flag in before:
            at = before.index(flag)
            del before[at : at + (2 if value else 1)]
        before += [flag, *value]
    return [*before, *(["--", *line] if line else [])]


def _of_ollama(asked: Screen, text: str) -> Words:
    """Return the question with other parameters of a Modelfile, or other variables of the server of Ollama."""
    before, line = list(asked.before), list(asked.line)
    for part in text.split(" and "):
        if part.startswith("PARAMETER"):
            path = Path(asked.file)
            name = part.split()[1]
            kept = [each for each in path.read_text("utf-8").splitlines() if not each.startswith(f"PARAMETER {name} ")]
            new = path.parent / "offered" / path.name
            new.parent.mkdir(exist_ok=True)
            new.write_text("\n".join([*kept, part]) + "\n", "utf-8")
            before[before.index(str(path))] = str(new)
            continue
        variables = [word for word in part.split() if "=" in word]
        if line:
            line = [*variables, *(word for word in line if "=" not in word)]
            continue
        for variable in variables:
            name, _, value = variable.partition("=")
            before += ["--cache", value] if name == "OLLAMA_KV_CACHE_TYPE" and "--cache" not in before else []
            before += ["--max-model-len", value] if name == "OLLAMA_CONTEXT_LENGTH" else []
    return [*before, *(["--", *line] if line else [])]


# --------------------------------------------------------------------- verdicts


def problem(asked: Screen, offer: Offer) -> str:
    """Return what is wrong with an offered command, or an empty string."""
    if offer.words == asked.words:
        return "is the command that was asked"
    found = show(offer.words)
    if found.code not in offer.codes:
        why = found.error.strip().replace("\n", " ") or (found.document.title if found.document else "")
        return f"exit code {found.code}: {why}"
    own = offer.read(found)
    if not _is_near(offer.promised, own, offer.near):
        return f"promised {offer.promised}, gives {own}"
    return _fewer(asked, offer)


def _is_near(one: Any, other: Any, near: float) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_is_near(one[name], other[name], near) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_is_near(*both, near) for both in zip(one, other, strict=True))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return isclose(one, other, rel_tol=near)
    return bool(one == other)


def _fewer(asked: Screen, offer: Offer) -> str:
    """Return a usual layout on fewer GPUs than a suggested one that starts, too."""
    if offer.kind != "start: next" or "ollama" in offer.text or offer.text.startswith(("PARAMETER", "--")):
        return ""
    gpus = read_gpus(offer.words[2])
    count, card, line = gpus.count or 1, gpus.accelerator, offer.text
    own = read_command(line)
    if own.engine == "llama.cpp" or {"dp", "attention_dp"} & own.settings.keys() or card is None:
        return ""
    before = read_gpus(asked.option("--gpu")).count or (_ranks(shlex.join(asked.line)) if asked.line else 1)
    flags = setting_flags(tables("engines")[own.engine]["flags"])
    for tp, pp in usual_layouts(card.node, count):
        if before < tp * pp < count:
            words = without(shlex.split(line), own.engine)
            words += [word for name, size in (("tp", tp), ("pp", pp)) if size > 1 for word in (flags[name], str(size))]
            with suppress(llmcalc.InputError):
                if llmcalc.serve(command=words, gpu=f"{card.name}:{tp * pp}").is_whole:
                    return f"starts on {tp * pp} GPUs as tp {tp} pp {pp}, not only on {count}"
    return ""


def without(words: Words, engine: str) -> Words:
    """Return a command line without its layout."""
    table = tables("engines")[engine]["flags"]
    names = {flag for flag, setting in table["read"].items() if setting in ("tp", "pp")}
    names |= {short for short, flag in table.get("short", {}).items() if flag in names}
    names |= {f"--{name[2:].replace('-', '_')}" for name in names if name.startswith("--")}
    found, rest = Words(), iter(words)
    for word in rest:
        if word in names:
            next(rest, None)
        elif word.partition("=")[0] not in names:
            found.append(word)
    return found


def usual_layouts(node: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield tensor-parallel ranks within a node, a power of two, and a pipeline stage on each of several nodes."""
    for power in range(node.bit_length()):
        if 1 << power <= min(node, most):
            yield 1 << power, 1
    yield from ((node, stages) for stages in range(2, most // node + 1))
