"""Presets: what a good one gives, and that a bad one is one message with file, line, column and a way out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmcalc
from llmcalc.core.errors import InputError
from llmcalc.schema.plain_data import MAX_FILE_SIZE
from llmcalc.schema.preset import check_file, load_text
from llmcalc.schema.yaml_reader import read_yaml

Guard = Callable[[str], AbstractContextManager[None]]
GOOD = """\
name: tiny
title: Tiny
default: s
variables: {vocab: 101, d_ff: $4 * d_model}
architecture:
  stacks:
    decoder:
      d_model: $d_model
      norms: {pre: {rmsnorm: {}}}
      inputs: {token: {embedding: {rows: $vocab, share: token_embedding}}}
      blocks:
        block:
          attention: {gqa: {n_heads: $n_heads, n_kv_heads: $n_kv_heads}}
          mlp: {swiglu: {d_ff: $d_ff}}
      order: [{block: block, times: $n_layers}]
      outputs: {norm: {rmsnorm: {}}, head: {head: {vocab: $vocab, share: token_embedding}}}
sizes:
  s: {n_layers: 3, d_model: 35, n_heads: 5, n_kv_heads: 5}
  m: {n_layers: 7, d_model: 30, n_heads: 6, n_kv_heads: 2, d_ff: 11}
notes: {all: A note., m: [Another.]}
remarks: {all: [A remark.]}
expect:
  m: [{quantity: params, value: 1.0e4, tolerance: 30%, source: "a paper, Table 1"}]
"""


def write(folder: Path, text: str, name: str = "tiny") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text, "utf-8")
    return path


def by_hand(n_layers: int, d: int, h: int, g: int, f: int, vocab: int) -> int:
    head = d // h
    attention = 2 * d * h * head + 2 * d * g * head
    return vocab * d + n_layers * (attention + 3 * d * f + 2 * d) + d


def test_a_good_preset(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    check_file(path)
    tiny = llmcalc.load(path)
    assert (tiny.name, tiny.title, tiny.notes) == ("tiny-s", "Tiny", ("A note.", "A remark."))
    assert llmcalc.params(tiny).total == by_hand(3, 35, 5, 5, 140, 101)


def test_sizes_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, GOOD)
    monkeypatch.setenv("LLMCALC_PATH", str(tmp_path))
    medium = llmcalc.load("tiny-m")
    assert llmcalc.params(medium).total == by_hand(7, 30, 6, 2, 11, 101)
    assert (medium.notes, medium.remarks) == (("A note.", "Another.", "A remark."), ("A remark.",))
    assert medium.expect[0].tolerance == pytest.approx(0.3)
    # published figures say nothing about a changed model
    assert llmcalc.load("tiny-m", overrides=["d_ff=13"]).expect == ()


def test_a_mapping_and_a_text_give_the_same_as_the_file(tmp_path: Path) -> None:
    from llmcalc.schema.preset import load_text

    stacks = llmcalc.load(write(tmp_path, GOOD)).stacks
    assert llmcalc.load(read_yaml(GOOD, "x").data).stacks == stacks
    assert load_text(GOOD, "<stdin>").stacks == stacks


def test_a_base_is_looked_up_in_the_folder_of_the_file_and_null_removes_keys(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    child = write(
        tmp_path,
        "name: child\nbase: tiny\nsizes: {x: {n_layers: 2, d_model: 30, n_heads: 6, n_kv_heads: 3}}\n"
        "architecture: {stacks: {decoder: {outputs: {norm: null}}}}\n",
        "child",
    )
    assert llmcalc.params(llmcalc.load(child)).total == by_hand(2, 30, 6, 3, 120, 101) - 30


# what is replaced, by what, what the caret points at, what the message says
WRONG: dict[str, tuple[str, str, str, str]] = {
    "unknown key": ("default: s", "defualt: s", "defualt", "did you mean default"),
    "unknown stack key": ("      order:", "      ordre:", "ordre", "did you mean order"),
    "unknown kind": ("{gqa: {", "{gga: {", "gga", "did you mean gqa"),
    "unknown field": ("n_kv_heads: $n_kv_heads", "kv_heads: $n_kv_heads", "kv_heads: $", "n_kv_heads"),
    "unknown norm": ("rmsnorm: {}}}\n      inputs", "rmsnrom: {}}}\n      inputs", "rmsnrom", "did you mean rmsnorm"),
    "unknown block": ("{block: block, t", "{block: blok, t", "order", "did you mean block"),
    "unknown default": ("default: s", "default: xl", "default: xl", "size 'xl'"),
    "unknown variable": ("rows: $vocab", "rows: $vocap", "rows: $vocap", "did you mean vocab"),
    "misspelt variable": ("s: {n_layers: 3,", "s: {n_layer: 4, n_layers: 3,", "n_layer: 4", "n_layers"),
    "misspelt and missing": ("s: {n_layers: 3,", "s: {n_layer: 3,", "times: $n_layers", "n_layer"),
    "duplicate key": ("title: Tiny", "name: tiny", "name: tiny", "duplicate key"),
    "zero heads": ("n_heads: 5, n_kv", "n_heads: 0, n_kv", "n_heads: 0", "n_heads must be"),
    "negative width": ("d_model: 35", "d_model: -35", "d_model: -35", "positive integer, not -35"),
    "a text": ("n_heads: 5, n_kv", "n_heads: five, n_kv", "n_heads: five", "'five'"),
    "a fraction": ("n_heads: 5, n_kv", "n_heads: 2.5, n_kv", "n_heads: 2.5", "2.5"),
    "true": ("n_heads: 5, n_kv", "n_heads: true, n_kv", "n_heads: true", "True"),
    "no integer division": ("d_model: 35", "d_model: 36", "n_heads: 5", "does not divide"),
    "kv heads": ("n_kv_heads: 5}", "n_kv_heads: 3}", "n_kv_heads: 3", "n_kv_heads (3) does not divide n_heads (5)"),
    "layers": ("n_layers: 3", "n_layers: -3", "order", "-3"),
    "no layers": ("n_layers: 3", "n_layers: 0", "order", "0 layers"),
    "too many layers": ("n_layers: 3", "n_layers: 999999999999", "order", "999999999999"),
    "sizes a list": ("sizes:\n", "sizes: [1]\nfacts:\n", "sizes: [1]", "sizes must be a mapping"),
    "size a number": (
        "  s: {n_layers: 3, d_model: 35, n_heads: 5, n_kv_heads: 5}",
        "  s: 7",
        "s: 7",
        "sizes.s must be a mapping",
    ),
    "name a list": ("name: tiny", "name: [tiny]", "name: [tiny]", "name must be a string"),
    "no name": ("name: tiny\n", "", "title: Tiny", "missing key 'name'"),
    "base a list": ("default: s", "default: s\nbase: [gpt2]", "base: [gpt2]", "base must be a string"),
    "missing base": ("default: s", "default: s\nbase: gtp2", "base: gtp2", "did you mean gpt2"),
    "own base": ("default: s", "default: s\nbase: tiny", "base: tiny", "circular base: tiny -> tiny"),
    "status": ("default: s", "default: s\nstatus: rumored", "status", "did you mean rumoured"),
    "layer a list": ("{embedding: {rows: $vocab, share: token_embedding}}", "[1]", "token: [1]", "mapping"),
    "two kinds": (
        "{norm: {rmsnorm: {}}, head",
        "{norm: {rmsnorm: {}, layernorm: {}}, head",
        "norm: {rmsnorm: {}, l",
        "one layer kind",
    ),
    "sub-layer a number": ("{swiglu: {d_ff: $d_ff}}", "7", "mlp: 7", "a sub-layer must be a mapping"),
    "stack a number": (
        "      d_model: $d_model\n",
        "      d_model: 35\n      role: boss\n",
        "role: boss",
        "not 'boss'",
    ),
    "circle of variables": ("d_ff: $4 * d_model", "d_ff: $2 * d_ff", "d_ff: $2", "circular"),
    "expectation": ("quantity: params, ", "", "{value", "missing key 'quantity'"),
    "expectation's value": ("value: 1.0e4", "value: big", "value: big", "expect.m.0.value must be a number"),
    "expectation's size": ("  m: [{q", "  l: [{q", "l: [{q", "unknown size"),
    "alias": ("default: s", "default: s\naliases: {t: xl}", "t: xl", "unknown size"),
    "note": ("A note.", "7", "all: 7", "notes.all must be a string or a list"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_bad_preset_is_one_located_message(name: str, tmp_path: Path, no_hang: Guard) -> None:
    old, new, points_at, word = WRONG[name]
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as caught, no_hang(name):
        check_file(path)
    message = str(caught.value)
    found = re.match(re.escape(str(path)) + r":(\d+):(\d+): ", message)
    assert found, message
    line, column = path.read_text("utf-8").splitlines()[int(found[1]) - 1], int(found[2]) - 1
    assert line[column:].startswith(points_at), message
    assert f"  {line}\n  {' ' * column}^" in message
    assert word in message, message


def test_a_circle_of_bases(tmp_path: Path) -> None:
    write(tmp_path, "name: a\nbase: b\n", "a")
    write(tmp_path, "name: b\nbase: c\n", "b")
    write(tmp_path, "name: c\nbase: a\n", "c")
    with pytest.raises(InputError, match="a -> b -> c -> a"):
        llmcalc.load(tmp_path / "a.yaml")


def test_an_error_in_a_base_is_placed_in_the_base(tmp_path: Path) -> None:
    base = write(tmp_path, GOOD.replace("{swiglu: {d_ff", "{swiglu: {dff"))
    child = write(
        tmp_path, "name: child\nbase: tiny\nsizes: {x: {n_layers: 2, d_model: 3, n_heads: 1, n_kv_heads: 1}}\n", "child"
    )
    with pytest.raises(InputError, match="did you mean d_ff") as caught:
        llmcalc.load(child)
    assert caught.value.where.startswith(f"{base}:14:")


def unreadable(tmp_path: Path) -> Path:
    path = write(tmp_path, GOOD)
    path.chmod(0)
    return path


def content(data: bytes) -> Any:
    def make(tmp_path: Path) -> Path:
        path = tmp_path / "f.yaml"
        path.write_bytes(data)
        return path

    return make


FILES: dict[str, tuple[Any, str]] = {
    "missing": (lambda folder: folder / "no.yaml", "file not found"),
    "folder": (lambda folder: folder, "config.json"),
    "empty": (content(b""), "is empty"),
    "blank": (content(b" \n\n"), "is empty"),
    "comment": (content(b"# nothing\n"), "mapping"),
    "list": (content(b"[1, 2]\n"), "mapping"),
    "binary": (content(bytes(range(256))), "UTF-8"),
    "utf-16": (content(GOOD.encode("utf-16")), "UTF-8"),
    "large": (content(b"#" * (MAX_FILE_SIZE + 1)), "exceeds the limit"),
    "NUL in the name": (lambda folder: str(folder / "a\0b.yaml"), "file not found|invalid path"),
    "long name": (lambda folder: str(folder / ("x" * 5000 + ".yaml")), "invalid path"),
    "endless": (lambda folder: "/dev/zero", "pipe or device"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_preset_is_one_message(name: str, tmp_path: Path, no_hang: Guard) -> None:
    make, word = FILES[name]
    with pytest.raises(InputError, match=word) as caught, no_hang(name):
        llmcalc.load(make(tmp_path))
    assert len(str(caught.value)) < 5000 + 500


@pytest.mark.skipif(os.name != "posix" or not os.geteuid(), reason="root reads any file")
def test_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        llmcalc.load(unreadable(tmp_path))


def nested(depth: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(depth):
        data = {"x": data}
    return data


def circular() -> dict[str, Any]:
    data: dict[str, Any] = {"name": "x"}
    data["architecture"] = data
    return data


@pytest.mark.parametrize(
    "source",
    [{}, {"name": "x", "architecture": nested(5000)}, circular(), 7, None, b"gpt3", ["gpt3"], 1.5, {1: 2}],
    ids=["empty", "deep", "circular", "int", "none", "bytes", "list", "float", "key"],
)
def test_a_value_that_is_no_description(source: Any) -> None:
    with pytest.raises(InputError):
        llmcalc.load(source)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("$d_model"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """The good preset with one value, anywhere, replaced by anything."""
    data: Any = read_yaml(GOOD, "x").data
    top, inside = data, data
    while isinstance(inside, dict | list) and inside:
        key = draw(st.sampled_from(sorted(inside) if isinstance(inside, dict) else list(range(len(inside)))))
        if draw(st.integers(0, 3)) == 0 or not isinstance(inside[key], dict | list):
            inside[key] = draw(VALUES)
            break
        inside = inside[key]
    return top  # type: ignore[no-any-return]


@given(damaged())
def test_no_damage_does_anything_but_give_an_architecture_or_an_input_error(data: dict[str, Any]) -> None:
    try:
        architecture = llmcalc.load(data)
    except InputError as error:
        assert str(error)  # noqa: PT017
        return
    assert llmcalc.params(architecture).total >= 0


BRANCHES = """
name: forked
architecture:
  stacks:
    decoder:
      d_model: 12
      blocks:
        block:
          both:
            branches:
              left: {swiglu: {d_ff: 5}, post: {rmsnorm: {}}}
              right: {mlp: {d_ff: 7}, pre: {layernorm: {}}}
      order: [block * 2]
"""


def test_branches_by_name_with_norms_of_their_own() -> None:
    (sublayer,) = load_text(BRANCHES, "forked.yaml").main.runs[0].block.sublayers
    assert [name for name, _ in sublayer.layers()] == ["left", "left_post_norm", "right_pre_norm", "right"]
    assert [branch.layer.d_ff for branch in sublayer.branches] == [5, 7]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("both:", "both:\n            mlp: {d_ff: 3}", "either layer kinds or branches"),
        ("{swiglu: {d_ff: 5}, post: {rmsnorm: {}}}", "{post: {rmsnorm: {}}}", "expected one layer kind"),
        ("post: {rmsnorm: {}}", "after: {rmsnorm: {}}", "expected one layer kind"),
    ],
)
def test_invalid_branches(old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_text(BRANCHES.replace(old, new), "forked.yaml")


def test_equal_layers_of_a_model_are_built_once() -> None:
    blocks = (run.block for run in llmcalc.load("gemma3n-e4b").main.runs)
    norms = [sublayer.pre for block in blocks for sublayer in block.sublayers if sublayer.pre]
    assert len(norms) > 20
    assert len(set(map(id, norms))) == len(set(norms)) < 5


@pytest.mark.parametrize(("text", "message"), [("1", "bias"), ("[]", "bias"), ("1.0", "bias")])
def test_a_wrong_value_is_an_error_beside_an_equal_right_one(text: str, message: str) -> None:
    mlp = "{mlp: {mlp: {d_ff: 64, bias: %s}}}"
    source = f"""
name: twice
architecture:
  stacks:
    decoder:
      d_model: 32
      blocks: {{one: {mlp % "true"}, two: {mlp % text}}}
      order: [one, two]
      outputs: {{head: {{head: {{vocab: 64}}}}}}
"""
    with pytest.raises(InputError, match=message):
        load_text(source, "twice.yaml")
