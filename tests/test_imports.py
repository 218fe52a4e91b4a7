"""What is loaded: the standard library in the core, and nothing heavy on the way to an answer."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmcalc
from llmcalc.data import tables
from llmcalc.schema.preset_files import shipped_folder
from llmcalc.schema.yaml_reader import read_yaml

PACKAGE = Path(llmcalc.__file__).parent
STANDARD_ONLY = ["core", "layers", "calc"]
HEAVY = ["pydantic", "numpy", "rich", "typer", "yaml", "hypothesis"]
UNUSED = [  # by the parameters of a preset
    "llmcalc.calc.memory", "llmcalc.calc.sharding", "llmcalc.calc.flops", "llmcalc.checkpoint", "llmcalc.estimate",
    "llmcalc.importers", "llmcalc.verification", "llmcalc.lint", "llmcalc.twins", "llmcalc.zoo", "llmcalc.web",
    "llmcalc.inputs.number_formats", "llmcalc.inputs.gguf_names", "llmcalc.inputs.repository_names",
    "llmcalc.schema.models",
    "llmcalc.core.description.fingerprint", "llmcalc.core.description.notation", "llmcalc.report.memory",
]  # fmt: skip
SLOW = ["dataclasses", "inspect", "subprocess", "difflib", "textwrap", "hashlib"]


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


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every node of a tree, except those that only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from statements(child)


def imported_files(source: str, package: list[str], files: set[str]) -> Iterator[str]:
    """The files that a text imports, also within functions or as the text of a module's name."""
    for node in statements(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            inner = [f"{start}.{alias.name}" for alias in node.names]
            names = [name for name in inner if name in files] or [start]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            names = [node.value]
        yield from (name for name in names if name in files)


def import_graph(sources: dict[str, tuple[str, bool]]) -> dict[str, set[str]]:
    """The files that each file imports. ``sources`` has the text by name, and whether it is that of a package."""
    graph = {}
    for name, (source, is_package) in sources.items():
        package = name.split(".") if is_package else name.split(".")[:-1]
        graph[name] = set(imported_files(source, package, set(sources))) - {name}
    return graph


def in_circles(graph: dict[str, set[str]]) -> set[str]:
    """The files that import themselves through others."""

    def reached(first: str) -> set[str]:
        found: set[str] = set()
        rest = [first]
        while rest:
            new = graph[rest.pop()] - found
            found |= new
            rest += new
        return found

    kept: set[str] = set()
    while kept != graph.keys():  # files that import none of the others are in no circle
        kept = set(graph)
        graph = {name: targets & kept for name, targets in graph.items() if targets & kept}
    return {name for name in graph if name in reached(name)}


def test_no_files_outside_the_core_import_each_other_in_a_circle() -> None:
    files = [file for file in PACKAGE.rglob("*.py") if not {"core", "zoo"} & set(file.relative_to(PACKAGE).parts)]
    sources = {}
    for file in files:
        parts = ["llmcalc", *file.relative_to(PACKAGE).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        sources[".".join(parts[:-1] if is_package else parts)] = file.read_text("utf-8"), is_package
    assert len(sources) > 500
    found = {name.removeprefix("llmcalc.") for name in in_circles(import_graph(sources))}
    assert not found, f"import each other in a circle: {sorted(found)}"


def test_the_check_sees_a_circle_through_functions_and_texts() -> None:
    sources = {
        "a": ("import b.c", False),
        "b": ("", True),
        "b.c": ("def f():\n    from .d import g\n", False),
        "b.d": ("import_module('b.e')", False),
        "b.e": ("from . import c", False),
        "b.f": ("if TYPE_CHECKING:\n    from .g import x\nfrom .e import x", False),
        "b.g": ("from . import f", False),
    }
    assert in_circles(import_graph(sources)) == {"b.c", "b.d", "b.e"}


def loaded(command: list[str], folder: Path) -> set[str]:
    """The installed packages that a fresh interpreter has loaded after a command, in which ``folder`` comes first."""
    probe = "import sys; print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    code = f"import atexit, runpy, sys; atexit.register(lambda: exec({probe!r})); sys.path.insert(0, {str(folder)!r})"
    code += f"\nsys.argv = {command!r}; runpy.run_module('llmcalc', run_name='__main__')" if command else ""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split()) - sys.stdlib_module_names - {"__main__", "llmcalc"}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a wheel installs it, each preset and each table compiled to JSON beside its YAML file."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.copytree(PACKAGE, folder / "llmcalc", ignore=shutil.ignore_patterns("__pycache__"))
    presets = folder / "llmcalc" / "presets"
    if not presets.is_dir():
        shutil.copytree(shipped_folder(), presets)
    for file in [*presets.glob("gpt*.yaml"), *(folder / "llmcalc" / "data").rglob("*.yaml")]:
        data = read_yaml(file.read_text("utf-8"), file.name).data
        file.with_suffix(".json").write_text(json.dumps(data), "utf-8")
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ["--version"],
        ["params", "gpt3"],
        ["params", "gpt3", "--json"],
        ["compare", "gpt2", "gpt3"],
        ["flops", "gpt3"],
        ["memory", "gpt3", "--weights", "q4_k_m"],
        ["fit", "gpt2", "--gpu", "h100"],
        ["explain", "gpt3", "flops"],
    ],
    ids=" ".join,
)
def test_an_answer_loads_no_installed_package(compiled: Path, command: list[str]) -> None:
    assert loaded(["llmcalc", *command], compiled) - loaded([], compiled) == set()


def test_an_answer_loads_nothing_slow_of_the_standard_library(compiled: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(compiled)!r})"
    code += "\nfrom llmcalc.cli.main import main; main(['params', 'gpt3'])"
    code += f"\nprint(*[name for name in {SLOW} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_a_preset_loads_nothing_of_other_sources_and_quantities(compiled: Path) -> None:
    own = modules(compiled, "params", "gpt3")
    assert "llmcalc.calc.params" in own
    unused = [name for name in own for start in UNUSED if f"{name}.".startswith(f"{start}.")]
    assert not unused, unused
    assert len(own) <= 75, own  # each module takes 0.2 ms


def test_the_start_of_an_engine_loads_nothing_of_times_and_configs(compiled: Path) -> None:
    own = modules(compiled, "serve", "gpt3", "--gpu", "h100:8")
    assert "llmcalc.serving.start.predict" in own
    unused = ("llmcalc.kernels", "llmcalc.serving.step", "llmcalc.training", "llmcalc.importers.hf")
    assert not [name for name in own if name.startswith(unused)]


def modules(compiled: Path, *command: str) -> list[str]:
    """The modules of llmcalc that are loaded after a command."""
    code = f"import sys; sys.path.insert(0, {str(compiled)!r})"
    code += f"\nfrom llmcalc.cli.main import main; main({list(command)})"
    code += "\nprint(*[name for name in sys.modules if name.startswith('llmcalc.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def test_a_short_command_compiles_no_annotation(compiled: Path) -> None:
    code = f"""import sys; sys.path.insert(0, {str(compiled)!r})
import typing; made = []; typing.ForwardRef.__init__ = lambda self, text, *_, **__: made.append(text)
from llmcalc.cli.main import main; main(["params", "gpt3"])
print("compiled:", *made)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "compiled:"


@pytest.mark.parametrize("package", HEAVY)
def test_this_check_can_fail(compiled: Path, tmp_path: Path, package: str) -> None:
    shutil.copytree(compiled / "llmcalc", tmp_path / "llmcalc")
    with (tmp_path / "llmcalc" / "core" / "axes.py").open("a") as file:
        file.write(f"\nimport {package}\n")
    assert package in loaded(["llmcalc", "params", "gpt3"], tmp_path)


def test_importing_the_package_loads_none_of_its_parts() -> None:
    code = "import llmcalc, sys; print([name for name in sys.modules if name.startswith('llmcalc.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_files_of_a_folder_are_merged_once_and_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    first = tables("engines")
    monkeypatch.setattr("os.listdir", None)  # a second listing raises an error
    first.pop("vllm")
    assert "vllm" in tables("engines")


def test_the_idea_knows_no_description() -> None:
    """Equations, declarations and architectures do not depend on what describes them."""
    for file in (PACKAGE / "core").glob("*.py"):
        assert not re.search(r"import[^\n]*\bdescription\b|\.description\b", file.read_text("utf-8")), file.name
