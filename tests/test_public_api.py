"""The public API is what ``__all__`` says, loaded when it is used, and the same for type checkers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import llmcalc
from llmcalc import api
from llmcalc.cli.table import COMMANDS

PUBLIC = {
    "Architecture",
    "DescriptionError",
    "InputError",
    "LlmcalcError",
    "Mesh",
    "Params",
    "SizeError",
    "UnknownNameError",
    "UnsupportedError",
    "__version__",
    "calibrate",
    "check",
    "check_log",
    "rl",
    "communication",
    "compare",
    "design",
    "diff",
    "evidence",
    "explain",
    "find_gpus",
    "find_models",
    "find_recipes",
    "fit",
    "flops",
    "latency",
    "load",
    "machine",
    "memory",
    "memory_form",
    "params",
    "plan",
    "read_training_file",
    "scale",
    "serve",
    "serving_front",
    "state",
    "step_time",
    "sweep",
    "traffic",
    "train",
    "twin",
    "verify",
}


def test_all_is_exactly_the_public_api() -> None:
    assert set(llmcalc.__all__) == PUBLIC
    assert sorted(llmcalc.__all__) == llmcalc.__all__ == dir(llmcalc)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(llmcalc, name)
    assert isinstance(value, str) or value.__doc__


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(llmcalc.__file__).read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen | {"__version__"} == PUBLIC
    assert (Path(llmcalc.__file__).parent / "py.typed").is_file()


def test_a_file_of_the_api_is_one_public_function() -> None:
    for file in Path(api.__path__[0]).glob("[a-z]*.py"):
        text = file.read_text("utf-8")
        functions = {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
        assert {name for name in functions if not name.startswith("_")} == {file.stem}
        assert file.stem in llmcalc.__all__
        assert len(text.splitlines()) <= 120, file.name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"llmcalc.*parms"):
        llmcalc.parms  # noqa: B018


def test_the_names_share_one_tree_of_errors() -> None:
    assert issubclass(llmcalc.UnknownNameError, llmcalc.InputError)
    assert issubclass(llmcalc.InputError, llmcalc.LlmcalcError)


def test_the_readme_names_the_commands_without_a_function() -> None:
    readme = Path(__file__).resolve().parent.parent / "README.md"
    if not readme.is_file():
        pytest.skip("the installed package has no README")
    text = " ".join(readme.read_text("utf-8").split())
    listed = text.partition("have a Python function with the same name. ")[2].partition(" have none")[0]
    commands = {name.split()[0] for name in COMMANDS}
    assert set(re.findall(r"`([a-z-]+)`", listed)) == {
        name for name in commands if name.replace("-", "_") not in llmcalc.__all__ and name not in ("help", "version")
    }
