"""Give hostile inputs to every entry of llmcalc and list those that it does not answer properly.

    python benchmarks/hostile_inputs [--inputs 500000] [--seed N] [--kinds NAME,NAME] [--log FILE]
    python benchmarks/hostile_inputs --again configs:0:123

The inputs are configs and presets with something wrong, command lines, damaged checkpoint headers, calls of the public
functions, files of training programs, measurements and calibrations, command lines, logs and Modelfiles of serving
engines, and messages of the page to its worker. A proper answer is a result or one clear error, within one second of
processor time and 250 MB of memory for the process, and without a control character on the terminal. The other outcomes
are:

*error*      an exception that is not an ``InputError``, or exit code 70
*slow*       more than a second of processor time, twice
*large*      more than 250 MB of memory, also in a new process
*unclear*    an error without a message, or with one of more than a few kilobytes
*control*    a control character, bidirectional mark or lone surrogate in the output
*lost*       the process ended, or did not answer for a minute

Each input is drawn from its kind, the seed and its number, and can be repeated with ``--again``.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import gc
import io
import json
import mmap
import os
import re
import resource
import select
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import files
import generators
from generators import Input

import llmcalc
from llmcalc.cli.main import BAD_INPUT, FEWEST_OBJECTS, main

LONGEST_S, MOST_BYTES = 1.0, 250_000_000
LONGEST_MESSAGE = 9000  # characters, as text and in JSON
INTERRUPT_S, LOST_S = 5.0, 60.0
PER_WORKER = 4000  # inputs of a process, so that caches are used but do not add up
ROOM = 600 << 20  # bytes of address space beside those of the interpreter
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
STDIN = ('{"model_type": "gpt2"}', "", "[" * 99, "name: x\nbase: gpt2", "\x1b[31m", "{" * 9)
Failure = tuple[str, str, str]  # outcome, message and input
GENERATORS = {
    "configs": (generators.config, 40),
    "presets": (generators.preset, 20),
    "arguments": (generators.arguments, 8),
    "headers": (generators.header, 6),
    "functions": (generators.function, 6),
    "training": (files.training, 6),
    "calibration": (files.calibration, 4),
    "engines": (files.engines, 6),
    "messages": (files.message, 4),
}
"""Name: (generator, percentage of the inputs)."""


class Hang(BaseException):
    """Raised in an input that takes too long."""


class Task(NamedTuple):
    """Inputs of a kind, by number."""

    kind: str
    seed: int
    first: int
    count: int


def answer(given: Input, random: Random) -> str:
    """Give an input to llmcalc, and return its error message or an empty string. Other exceptions are raised."""
    if given.words is None:
        assert given.call
        try:
            given.call()
        except llmcalc.InputError as error:
            return str(error) or "\x00"
        return ""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", how) for how in ("strict", "backslashreplace"))
    stdin = io.TextIOWrapper(io.BytesIO(random.choice(STDIN).encode()))
    before = sys.stdin
    sys.stdin = stdin
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(given.words)
    finally:
        sys.stdin = before
    out.flush()
    err.flush()
    said, printed = (stream.buffer.getvalue().decode() for stream in (err, out))
    if code not in (0, 1, BAD_INPUT):
        raise AssertionError(f"exit code {code}: {said}")
    if code == BAD_INPUT and "error" not in said.lower():
        return "\x00"
    text = COLOURS.sub("", printed + said) if any("always" in word for word in given.words) else printed + said
    if not text.replace("\n", "").isprintable():
        raise UnicodeError(ascii(next(line for line in text.split("\n") if not line.isprintable()))[:300])
    return said if code == BAD_INPUT else ""


def outcome(kind: str, seed: int, number: int, folder: Path) -> Failure | None:
    """Return the failure of an input, or None if the answer is proper."""
    random = Random(f"{kind} {seed} {number}")
    try:
        given = GENERATORS[kind][0](random, folder)
    except MemoryError:  # a nested list whose text is too long
        return None
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, INTERRUPT_S)
    try:
        said = answer(given, random)
        found = ("", "") if len(said) <= LONGEST_MESSAGE and said != "\x00" else ("unclear", said[:300])
    except UnicodeError as error:
        is_ours = error.__class__ is UnicodeError
        found = ("control", str(error)) if is_ours else ("error", _place(error))
    except (Exception, SystemExit) as error:
        found = ("error", _place(error))
    except Hang as error:
        found = ("slow", _place(error))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    took = time.process_time() - start
    if not found[0] and took > LONGEST_S:
        found = ("slow", f"{took:.1f} s")
    if not found[0] and _peak() > MOST_BYTES:
        found = ("large", f"{_peak() / 1e6:.0f} MB")
    return (*found, given.text) if found[0] else None


def _place(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "llmcalc/" in frame.filename]
    where = " < ".join(f"{frame.filename.split('llmcalc/')[-1]}:{frame.lineno}" for frame in frames[:-4:-1])
    return f"{type(error).__name__}: {ascii(str(error))[:300]} at {where}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _prepare(folder: Path) -> None:
    def interrupt(*_: object) -> None:
        raise Hang

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    signal.signal(signal.SIGPROF, interrupt)
    socket.socket.connect = refuse  # type: ignore[assignment, method-assign]
    socket.getaddrinfo = refuse  # type: ignore[assignment]
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if os.path.exists("/proc/self/statm") else 0
    if pages:
        most = pages * resource.getpagesize() + ROOM
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    os.environ["XDG_CONFIG_HOME"] = str(folder)
    os.environ.pop("LLMCALC_DEBUG", None)
    os.chdir(folder)


def work(task: Task, progress: mmap.mmap, pipe: int) -> None:
    """Try the inputs of a task and write each failure to a pipe as a line of JSON."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    try:
        _prepare(folder)
        for number in range(task.first, task.first + task.count):
            struct.pack_into("q", progress, 0, number)
            found = outcome(task.kind, task.seed, number, folder)
            if found:
                line = json.dumps([number, *(text[:2000] for text in found)]) + "\n"
                os.write(pipe, line.encode())
                if found[0] in ("large", "slow"):
                    return
        struct.pack_into("q", progress, 0, task.first + task.count)
    finally:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)


def run(task: Task) -> Iterator[tuple[int, Failure]]:
    """Try the inputs of a task in new processes and yield the number and the failure of each one that fails."""
    first, last = task.first, task.first + task.count
    while first < last:
        progress, (source, sink) = mmap.mmap(-1, 8), os.pipe()
        struct.pack_into("q", progress, 0, first)
        child = os.fork()
        if not child:
            code = 1
            try:
                os.close(source)
                work(task._replace(first=first, count=last - first), progress, sink)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(sink)
        text, is_stuck = _read(source, progress)
        if is_stuck:
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        reached = struct.unpack_from("q", progress, 0)[0]
        for line in text.splitlines():
            number, *found = json.loads(line)
            yield number, tuple(found)  # type: ignore[misc]
        if is_stuck or status:
            yield reached, ("lost", "does not answer" if is_stuck else f"status {status}", "")
        first = reached + 1 if reached < last else last


def _read(source: int, progress: mmap.mmap) -> tuple[str, bool]:
    """Read a pipe until it is closed. Return its text, and whether no input was finished in a minute."""
    parts, before = [], -1
    while True:
        if not select.select([source], [], [], LOST_S)[0]:
            now = struct.unpack_from("q", progress, 0)[0]
            if now == before:
                return b"".join(parts).decode(), True
            before = now
            continue
        part = os.read(source, 1 << 16)
        if not part:
            os.close(source)
            return b"".join(parts).decode(), False
        parts.append(part)


def failures(task: Task) -> Iterator[tuple[int, Failure]]:
    """Yield the failures of a task. An input that is slow or large must also be so when tried alone."""
    for number, found in run(task):
        if found[0] in ("slow", "large"):
            yield from run(Task(task.kind, task.seed, number, 1))
        else:
            yield number, found


def tasks(options: argparse.Namespace) -> Iterator[Task]:
    """Yield tasks of all kinds in turn, in proportion to the shares of the kinds."""
    names = options.kinds.split(",") if options.kinds else list(GENERATORS)
    shares = {name: GENERATORS[name][1] for name in names}
    left = {name: options.inputs * share // sum(shares.values()) for name, share in shares.items()}
    left[names[0]] += options.inputs - sum(left.values())
    done = collections.Counter[str]()
    while any(left.values()):
        name = max(left, key=lambda name: left[name] / shares[name])
        count = min(left[name], PER_WORKER)
        yield Task(name, options.seed, done[name], count)
        done[name] += count
        left[name] -= count


def preload() -> None:
    """Import what workers need, so that they do not do so again."""
    from importlib import import_module
    from pkgutil import walk_packages

    for module in walk_packages(llmcalc.__path__, "llmcalc."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):
                import_module(module.name)
    gc.freeze()
    gc.set_threshold(FEWEST_OBJECTS)


def script() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000, help="number of inputs (default: 20000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", help=f"comma-separated kinds (default: {','.join(GENERATORS)})")
    parser.add_argument("--log", type=Path, help="file for the failures, as lines of JSON")
    parser.add_argument("--again", help="repeat one input, KIND:SEED:NUMBER")
    options = parser.parse_args()
    if options.again:
        kind, seed, number = options.again.split(":")
        todo: Iterator[Task] = iter([Task(kind, int(seed), int(number), 1)])
    else:
        preload()
        todo = tasks(options)
    found, tried, begin = collections.Counter[tuple[str, str]](), collections.Counter[str](), time.perf_counter()
    for task in todo:
        tried[task.kind] += task.count
        for number, (name, message, text) in failures(task):
            found[task.kind, name] += 1
            line = json.dumps([f"{task.kind}:{task.seed}:{number}", name, message, text])
            print(line[:1500], flush=True)
            if options.log:
                with options.log.open("a", encoding="utf-8") as log:
                    log.write(f"{line}\n")
        print(f"{tried.total():,} inputs, {found.total()} failures, {time.perf_counter() - begin:.0f} s", flush=True)
    for kind, count in tried.items():
        own = ", ".join(f"{name} {number}" for (of, name), number in found.items() if of == kind)
        print(f"{kind:12}{count:9,}  {own or 'no failure'}")


if __name__ == "__main__":
    script()
