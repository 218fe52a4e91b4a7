"""What is loaded: the standard library in the core, and nothing heavy on the way to an answer."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmcalc

PACKAGE = Path(llmcalc.__file__).parent
STANDARD_ONLY = ["core", "layers", "calc"]
HEAVY = ["pydantic", "numpy", "rich", "typer", "hypothesis"]


def imported(source: str) -> Iterator[str]:
    """The top-level names of all absolute imports of a source text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def test_the_check_sees_imports_anywhere() -> None:
    source = "import os.path\ndef f():\n    from numpy.linalg import norm\nfrom . import yaml\n"
    assert list(imported(source)) == ["os", "numpy"]


@pytest.mark.parametrize("folder", STANDARD_ONLY)
def test_the_core_imports_the_standard_library_only(folder: str) -> None:
    files = list((PACKAGE / folder).rglob("*.py"))
    assert files
    for file in files:
        strange = set(imported(file.read_text("utf-8"))) - sys.stdlib_module_names
        assert not strange, f"{file.name} imports {strange}"


def loaded(code: str) -> set[str]:
    """Which of the heavy packages a fresh interpreter has loaded after ``code``."""
    report = f"import sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_an_answer_about_a_shipped_preset_loads_nothing_heavy() -> None:
    assert loaded("import llmcalc; assert llmcalc.params(llmcalc.load('gpt3')).total == 174604259328") == set()


@pytest.mark.parametrize("package", HEAVY)
def test_this_check_can_fail(package: str) -> None:
    assert package in loaded(f"import llmcalc, {package}")


def test_importing_the_package_loads_none_of_its_parts() -> None:
    code = "import llmcalc, sys; print([name for name in sys.modules if name.startswith('llmcalc.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
