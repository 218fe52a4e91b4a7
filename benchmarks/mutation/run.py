"""Run tests against one mutant in a separate process, forked from a process that has already imported pytest."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from mutants import Mutant, mutated
from reach import Chosen

SURVIVED, ALL_PASSED, TIMED_OUT = "survived", 0, 124
POLL_S = 0.05
# pytest cannot rewrite the assertions of plugins that were imported before it
OPTIONS = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]


def preload() -> None:
    """Import third-party packages that tests need, once for all mutants."""
    import hypothesis  # noqa: F401
    import numpy  # noqa: F401
    import pydantic  # noqa: F401
    import pytest  # noqa: F401
    import rich.console  # noqa: F401
    import typer  # noqa: F401
    import yaml  # noqa: F401


class _Mutated(importlib.machinery.SourceFileLoader):
    """Loads a module from a mutated syntax tree instead of its file."""

    def __init__(self, name: str, mutant: Mutant) -> None:
        super().__init__(name, str(mutant.path))
        self.mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        return compile(mutated(self.mutant), str(self.mutant.path), "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, name: str, mutant: Mutant) -> None:
        self.name, self.mutant = name, mutant

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> Any:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(
            fullname, self.mutant.path, loader=_Mutated(fullname, self.mutant),
            submodule_search_locations=[str(self.mutant.path.parent)] if self.mutant.path.stem == "__init__" else None,
        )  # fmt: skip


def module_name(path: Path, root: Path) -> str:
    """Return the module name of a source file."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def outcome(mutant: Mutant | None, tests: Sequence[str], root: Path, limit_s: float) -> int:
    """Return pytest's exit code (0 if all tests pass) or TIMED_OUT; if ``mutant`` is None, the code is not changed."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os._exit(_inside(mutant, tests, root))
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL_S)
    os.killpg(child, signal.SIGKILL)  # including processes started by tests
    os.waitpid(child, 0)
    return TIMED_OUT


def _inside(mutant: Mutant | None, tests: Sequence[str], root: Path) -> int:
    import pytest

    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    os.environ["HYPOTHESIS_PROFILE"] = "mutation"
    os.chdir(root)
    sys.path.insert(0, str(root))
    if mutant is not None:
        sys.meta_path.insert(0, _Finder(module_name(mutant.path, root), mutant))
    try:
        if "::" not in tests[0]:
            return int(pytest.main([*OPTIONS, *tests]))
        files = sorted({test.partition("::")[0] for test in tests})
        return int(pytest.main([*OPTIONS, *files], plugins=[Chosen(tests)]))
    except BaseException:  # a mutant can break anything that pytest imports
        return 1
