"""Record which tests run each line and how long they take, so that relevant tests run first for each mutant.

A test that never runs a line can detect a mistake in it only through values computed earlier: at import, during test
collection, or by another test that cached them. A mutant that survives here may still be killed by the whole suite.
"""

from __future__ import annotations

import ast
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mutants import Mutant

OUTSIDE = ""  # coverage context of code that runs outside tests
BUDGET_S = 60.0
FEW_FILES = 4  # collecting each file takes time


class Reach:
    """Durations of tests in seconds, and for each line of each file, the tests that run it."""

    def __init__(self, seconds: dict[str, float], lines: dict[str, dict[int, list[str]]]) -> None:
        self.seconds, self.lines = seconds, lines

    @classmethod
    def read(cls, path: Path) -> Reach:
        """Read a file written by ``measure``."""
        found = json.loads(path.read_text("utf-8"))
        names = [*list(found["seconds"]), OUTSIDE]
        lines = {
            file: {int(line): [names[index] for index in tests] for line, tests in own.items()}
            for file, own in found["lines"].items()
        }
        return cls(found["seconds"], lines)

    def stages(self, mutant: Mutant, root: Path) -> list[list[str]]:
        """Select tests that run a mutant's statement, within ``BUDGET_S``, alternating between files and fastest first.

        The files with the most selected tests form the first stage. The list is empty if no test runs the statement.
        """
        own = self.lines.get(str(mutant.path.relative_to(root)), {})
        found = {test for line in statement(mutant) for test in own.get(line, [])}
        chosen: list[str] = []
        left = BUDGET_S
        for test in self._in_turn(found - {OUTSIDE}):
            left -= self.seconds[test]
            if left < 0 and chosen:
                break
            chosen.append(test)
        files = Counter(map(_file, chosen))
        first = {file for file, _ in files.most_common(FEW_FILES)}
        parted = [[test for test in chosen if (_file(test) in first) is own] for own in (True, False)]
        return [tests for tests in parted if tests]

    def _in_turn(self, tests: Iterable[str]) -> list[str]:
        places: dict[str, int] = {}
        order = []
        for test in sorted(tests, key=lambda test: (self.seconds[test], test)):
            file = _file(test)
            places[file] = places.get(file, 0) + 1
            order.append((places[file], self.seconds[test], test))
        return [test for _, _, test in sorted(order)]


def _file(test: str) -> str:
    return test.partition("::")[0]


def statement(mutant: Mutant) -> range:
    """Return the lines of the innermost statement around a mutant, or of its header if the statement is compound."""
    best = range(mutant.line, mutant.line + 1)
    size = None
    for node in ast.walk(ast.parse(mutant.path.read_text("utf-8"))):
        if isinstance(node, ast.stmt) and node.lineno <= mutant.line <= (node.end_lineno or node.lineno):
            end = node.end_lineno or node.lineno
            if size is None or end - node.lineno <= size:
                size = end - node.lineno
                body = getattr(node, "body", None)
                best = range(node.lineno, body[0].lineno if body else end + 1)
    return best if mutant.line in best else range(mutant.line, mutant.line + 1)


class Chosen:
    """A pytest plugin that runs only the given tests, in the given order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.place = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.place), key=lambda item: self.place[item.nodeid]
        )


class _Recorder:
    """A pytest plugin that tells coverage which test is running, and records the duration of each passing test."""

    def __init__(self, coverage: Any) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}

    def pytest_runtest_protocol(self, item: Any) -> None:
        self.coverage.switch_context(item.nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" and report.passed:
            self.seconds[report.nodeid] = report.duration

    def pytest_runtest_logfinish(self) -> None:
        self.coverage.switch_context(OUTSIDE)


def measure(path: Path, tests: Sequence[str], packages: Iterable[Path], root: Path) -> int:
    """Run the tests under coverage, write which lines they reach, and return pytest's exit code."""
    import coverage
    import pytest

    os.environ["HYPOTHESIS_PROFILE"] = "mutation"
    recorder = coverage.Coverage(data_file=None, include=[f"{package}/*" for package in packages])
    plugin = _Recorder(recorder)
    recorder.start()
    code = int(pytest.main(["-q", "-p", "no:cacheprovider", *tests], plugins=[plugin]))
    recorder.stop()
    data = recorder.get_data()
    place = {test: index for index, test in enumerate([*plugin.seconds, OUTSIDE])}
    lines = {
        str(Path(file).relative_to(root)): {
            line: sorted(place[context] for context in contexts if context in place)
            for line, contexts in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    path.write_text(json.dumps({"seconds": plugin.seconds, "lines": lines}), "utf-8")
    return code
