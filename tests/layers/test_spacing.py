"""No code searches or edits the text of an equation: more spaces in all equations of all kinds change nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

# an import hook that puts spaces into all strings of modules of layers, before any of them is imported
SPACES = r"""
import ast, importlib.abc, importlib.machinery, re, sys

SEARCHES = "replace startswith endswith partition rpartition split removeprefix removesuffix find index count"

class Spaced(ast.NodeTransformer):
    def visit_Call(self, node):  # texts that are searched for stay as they are
        if isinstance(node.func, ast.Attribute) and node.func.attr in SEARCHES.split():
            node.func = self.visit(node.func)
            return node
        return self.generic_visit(node)

    def visit_Compare(self, node):
        return node

    def visit_Constant(self, node):
        if isinstance(node.value, str):
            text = re.sub(r"\] = ", "]  =  ", node.value)
            text = re.sub(r"(?<=\w)\[(?=\w)", "[ ", re.sub(r" \| ", "  |  ", text))
            node.value = text
        return node

class Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, name):
        tree = Spaced().visit(ast.parse(self.get_data(self.path)))
        return compile(ast.fix_missing_locations(tree), self.path, "exec")

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        found = importlib.machinery.PathFinder.find_spec(name, path)
        if found and found.origin and re.fullmatch(r"llmcalc\.(zoo\.\w+\.)?layers\..+", name):
            found.loader = Loader(name, found.origin)
        return found

sys.meta_path.insert(0, Finder())
"""
NUMBERS = """
import json
import llmcalc
from llmcalc import layers
from llmcalc.core.architecture import declare
from llmcalc.core.equation import read
from llmcalc.core.errors import InputError, UnsupportedError
from llmcalc.core.ledger import entries
from llmcalc.core.record import fields
from llmcalc.importers.hf import family_table
from llmcalc.schema.preset_files import names
from llmcalc.testing import smallest

def parsed(layer):
    for path, declaration in declare(layer).walk():
        lines = [read(line) for line in declaration.lines]
        parts = [[getattr(line, field.name) for field in fields(line) if field.name != "text"] for line in lines]
        components = [layer.equation_component(line, path) for line in lines]
        others = {name: value for name, value in vars(declaration).items() if name not in TEXTS}
        yield repr((path, parts, components, others))

CONFIGS = {"longformer": {"attention_window": [512] * 12}}
TEXTS = ("lines", "parts", "components")
found, texts, seen = {}, set(), set()
def add(name, made):
    for number, layer in enumerate(made):
        if layer not in seen:
            seen.add(layer)
            found[f"{name} {layer.kind()} {number}"] = list(parsed(layer))
            texts.update(line for _, part in declare(layer).walk() for line in part.lines)

for kind in layers.kinds():
    add(kind, [layers.find(kind)[0](**smallest(kind))])
kinds = set()
for name in names():
    model = llmcalc.load(name)
    add(name, [entry.layer for entry in entries(model)])
    own = frozenset(entry.layer.kind() for entry in entries(model))
    if own not in kinds:
        kinds.add(own)
        step = {"batch": 2, "seq": 64}
        found[f"{name} numbers"] = [
            llmcalc.flops(model, mode="train", **step).to_dict(), llmcalc.state(model, **step).to_dict(),
            llmcalc.memory(model, mode="training", **step).to_dict(), llmcalc.memory(model, **step).to_dict(),
            llmcalc.traffic(model, **step).to_dict(),
        ]
for name in family_table.names():
    try:
        model = llmcalc.load({"model_type": name, **CONFIGS.get(name, {})})
    except (InputError, UnsupportedError):
        continue
    add(name, [entry.layer for entry in entries(model)])
print(json.dumps({"found": found, "texts": sorted(texts)}, default=str))
"""


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return run(NUMBERS)


def run(code: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_more_spaces_in_equations_change_nothing(plain: dict[str, Any]) -> None:
    spaced = run(SPACES + NUMBERS)
    assert not set(plain["texts"]) & {text for text in spaced["texts"] if "[" in text}, (
        "some equations have no more spaces"
    )
    assert len(plain["found"]) > 300
    different = [name for name in plain["found"] if spaced["found"].get(name) != plain["found"][name]]
    assert not different, different[:20]
