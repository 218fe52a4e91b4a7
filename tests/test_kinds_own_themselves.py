"""Only a kind knows itself: calculators ask it, and name neither a kind nor a field of one."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmcalc
from llmcalc import layers
from llmcalc.core.architecture import Architecture, Block, Branch, Run, Stack, Sublayer
from llmcalc.core.functions import FUNCTIONS
from llmcalc.core.part import Part
from llmcalc.core.record import fields
from llmcalc.core.zoo_search import module_names

PACKAGE = Path(llmcalc.__file__).parent
ENGINE = sorted(
    file.relative_to(PACKAGE).as_posix()
    for place in ("core", "calc", "estimate", "lint", "testing.py")
    for file in ((PACKAGE / place).rglob("*.py") if (PACKAGE / place).is_dir() else [PACKAGE / place])
)
STACKS = {field.name for record in (Architecture, Stack, Run, Block, Sublayer, Branch) for field in fields(record)}
KINDS = {*layers.kinds(), *layers.ALIASES}
FIELDS = {field.name for kind in layers.kinds() for field in fields(layers.find(kind)[0])}
SHARED = {"d_model", "n_layers", "n_blocks"}  # sizes of a stack, and its number of equal blocks in formulas
# other things with these names in a file or folder: modules of programs, masks, phases, roles of states, functions, ...
OTHERS = {
    "calc/": {"causal", "window", "chunk", "apart", "n_keys", "n_source"},
    "calc/kv_cache.py": {"conv", "kv"},
    "calc/memory/eager_code.py": {*FUNCTIONS, "norm"},
    "calc/memory/fit.py": {"memory"},
    "calc/traffic.py": {"kernels"},
    "calc/memory/liveness.py": {"stream"},
    "calc/memory/recomputation.py": {"blocks", "layernorm", "mlp", "moe", "rmsnorm", "rope"},
    "calc/memory/training.py": {"head"},
    "calc/memory/saved_tensors.py": {"rope"},
    "calc/memory/zero.py": {"head"},
    "core/architecture.py": {"norm"},
    "calc/params.py": {"active", "blocks", "embedding"},
    "core/functions.py": set(FUNCTIONS),
    "core/layer.py": {"ids", "sinusoids", "window"},
    "core/description/text_kind.py": {"conv"},
    "core/description/text_sizes.py": {"rope", "window"},
    "core/description/text_tokens.py": {"conv", "rope"},
    "core/setting.py": {"causal", "prompt"},
    "core/traits.py": {"embedding", "head", "norm", "router"},
    "core/workload.py": {"attention", "causal", "frames"},
    "estimate/hardware.py": {"memory"},
    "kernels/cost.py": {"memory"},
    "estimate/scaling/law.py": {"active", "fixed", "routing", "stored"},
    "estimate/scaling/plan.py": {"active", "stored"},
    "lint/configuration.py": {"causal"},
    "testing.py": {"norm", "head"},
}


def choices(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The strings with which code chooses: in comparisons and tables, and attributes that are read by name."""
    for node in ast.walk(tree):
        chosen: list[ast.expr] = []
        is_split = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "split"
        if isinstance(node, ast.Compare):
            chosen = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
            chosen = node.args[1:2]
        elif is_split:
            chosen = [node.func.value]
        elif isinstance(node, ast.Set | ast.Tuple | ast.List):
            chosen = node.elts
        elif isinstance(node, ast.Dict):
            chosen = [key for key in node.keys if key]
        for part in chosen:
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield from ((part.lineno, word) for word in (part.value.split() if is_split else [part.value]))


def imported(tree: ast.Module, room: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """The modules that a file imports, with dots for a relative import resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = (*("llmcalc", *room)[: len(room) + 2 - node.level],) if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
            yield node.lineno, base


@pytest.mark.parametrize("file", ENGINE)
def test_the_engine_names_no_kind_and_no_field_of_one(file: str) -> None:
    tree = ast.parse((PACKAGE / file).read_text("utf-8"))
    banned = (KINDS | FIELDS) - STACKS - SHARED
    banned -= {word for place, words in OTHERS.items() if file.startswith(place) for word in words}
    assert [(line, word) for line, word in choices(tree) if word in banned] == []


@pytest.mark.parametrize("file", [name for name in ENGINE if "shrink" in name])
def test_no_string_of_the_small_versions_names_a_kind_or_a_field(file: str) -> None:
    """Rules for fields belong to the kinds, not even one to a table of another form."""
    tree = ast.parse((PACKAGE / file).read_text("utf-8"))
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    assert [(node.lineno, node.value) for node in strings if node.value in KINDS | FIELDS] == []


@pytest.mark.parametrize("file", ENGINE)
def test_the_engine_imports_no_kind(file: str) -> None:
    tree = ast.parse((PACKAGE / file).read_text("utf-8"))
    kinds = {f"layers.{name}" for name in module_names("layers")}
    found = [(line, name) for line, name in imported(tree, tuple(file.split("/")[:-1]))]
    assert [entry for entry in found if ".".join(entry[1].split(".")[-2:]) in kinds] == []
    assert not [entry for entry in found if entry[1].startswith("llmcalc.layers.") and entry[1][15].isupper()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('getattr(layer, "n_experts", 0)', True),
        ('layer.kind() == "moe"', True),
        ('NAMES = ("mamba", "hyena")', True),
        ('NAMES = "mamba hyena".split()', True),
        ('text = "moe"', False),
    ],
)
def test_a_name_of_a_kind_is_found(text: str, found: bool) -> None:
    assert any(word in KINDS | FIELDS for _, word in choices(ast.parse(text))) is found


MOST_FIELDS, MOST_LINES, MOST_KINDS = 16, 250, 35
# kinds whose options are many by nature, and those that are still to be composed of parts
MORE_FIELDS = {"attention": 20, "mla": 24, "moe": 23}
HOME = [name for name in layers.kinds() if layers.find(name)[0].__module__.startswith("llmcalc.layers.")]


def parts_of(owner: type[Part]) -> Iterator[type[Part]]:
    for choice in (choice for choices in owner.PARTS.values() for choice in choices):
        yield choice
        yield from parts_of(choice)


@pytest.mark.parametrize("kind", HOME)
def test_a_kind_is_composed_of_small_records(kind: str) -> None:
    found = layers.find(kind)[0]
    own = [field.name for field in fields(found) if field.name not in found.PARTS]
    assert len(own) <= MORE_FIELDS.get(kind, MOST_FIELDS), "compose options that go together into parts"
    assert {part.__name__: len(fields(part)) for part in parts_of(found) if len(fields(part)) > MOST_FIELDS} == {}
    lines = len(Path(inspect.getfile(found)).read_text("utf-8").splitlines())
    assert lines <= MOST_LINES


def test_few_kinds_are_at_home() -> None:
    assert len(HOME) <= MOST_KINDS
    assert {*MORE_FIELDS} <= {*HOME}
