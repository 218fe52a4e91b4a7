"""Run a command line, or one that a screen offers, and say what is wrong with an offered one."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from math import isclose, prod
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

Words = list[str]
NEAR = 1e-9  # relative difference of equal numbers
BESIDE_LINE = {setting.name for setting in SERVE if setting.part in ("requests", "machine")}


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


def of_ollama(asked: Screen, text: str) -> Words:
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


def ranks_of(line: str) -> int:
    """Return the number of GPUs of the layout of a command line."""
    own = read_command(line).settings
    size = 1
    for name in ("tp", "pp", "dp"):
        size *= int(own.get(name, "1")) if not (name == "dp" and own.get("attention_dp")) else 1
    return size


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
    given = prod(int(asked.option(flag) or 1) for flag in ("--tp", "--pp"))  # the layout that was asked for
    before = read_gpus(asked.option("--gpu")).count or (ranks_of(shlex.join(asked.line)) if asked.line else given)
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
