"""The closed forms of the page equal Python's results, in Python and in JavaScript."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llmcalc.schema.preset_files import files_in, shipped_folder
from llmcalc.web import form_files
from llmcalc.web.bundle import packed
from llmcalc.web.cache import cached
from llmcalc.web.form_files import contents, shipped_models
from llmcalc.web.forms import forms_of

from .forms_reference import evaluated, reference, texts, workloads

PAGE = Path(form_files.__file__).parent / "page"
NODE = shutil.which("node")
FAMILIES = sorted(files_in(shipped_folder()))
BUDGET = 2048  # bytes of the evaluator
needs_node = pytest.mark.skipif(NODE is None, reason="needs Node.js")


def run_page(files: dict[str, Any], cases: list[Any], forms: list[Any]) -> dict[str, Any]:
    """Return what the page computes for cases (model and workload) and for forms (text and sizes)."""
    given = {"page": PAGE.as_uri(), "files": files, "cases": cases, "texts": forms}
    command = [str(NODE), str(Path(__file__).with_name("parity.mjs"))]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def integers(values: dict[str, str | None]) -> dict[str, int | None]:
    return {name: None if text is None else int(text) for name, text in values.items()}


@needs_node
@pytest.mark.parametrize("family", FAMILIES)
def test_page_computes_what_python_computes(family: str) -> None:
    models = list(shipped_models(family))
    chosen = workloads(3 * FAMILIES.index(family), 3)
    cases = [(model.name, workload) for model in models for workload in chosen]
    found = run_page(contents(map(forms_of, models)), cases, [])["cases"]
    expected = [values for model in models for values in reference(model, chosen)]
    for case, values, exact in zip(cases, found, expected, strict=True):
        assert integers(values) == {name: exact[name] for name in values}, case
        assert {name for name, value in exact.items() if value is not None} <= values.keys(), case


@needs_node
def test_forms_end_where_learned_positions_end() -> None:
    models = list(shipped_models("gpt2", "bart"))
    chosen = [{"batch": 1, "seq": seq, "weights": "", "cache": ""} for seq in (1023, 1024, 1025)]
    cases = [(model.name, each) for model in models for each in chosen]
    found = run_page(contents(map(forms_of, models)), cases, [])["cases"]
    for inside, last, outside in (found[start : start + 3] for start in range(0, len(found), 3)):
        assert None not in inside.values(), inside
        assert last["decode"] is None
        assert last["prefill"]
        assert [outside[name] for name in ("prefill", "decode", "activations", "state", "peak")] == [None] * 5


@needs_node
def test_both_evaluators_agree() -> None:
    models = list(shipped_models("llama3.1", "deepseek-v3", "gemma3", "hyena", "llama4", "t5", "gpt2", "bert"))
    found = list(texts(contents(map(forms_of, models))))
    sizes = {"batch": 7, "seq": 8191, "step": 509, "weights": 1, "host": 3}
    sizes |= {"state": 5, "activations": 17} | {name: 2**number + 1 for number, name in enumerate("bqkcsn", 3)}
    values = run_page({}, [], [(text, sizes) for text in found])["texts"]
    assert len(found) > 100
    assert [None if value is None else int(value) for value in values] == [evaluated(text, sizes) for text in found]


@needs_node
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2+3*n-4*n*n", 2 + 3 * 11 - 4 * 121),
        ("-n*3-2", -35),
        ("?=10-n;5", None),
        ("?=10-n;5|?=n-11;6", 6),
        ("t1=min(n,7,13);t2=max(t1,3)*2;t2-t1", 7),
        ("floor(-n,4)", -3),
        ("ceil(n,4)", 3),
        ("ceil(-n,4)", -2),
        ("mod(-n,4)", 1),
        ("log2(1)+log2(2)+log2(n)+log2(16)", 9),
        ("pairs(n,n)", 66),
        ("pairs(3,n)", 30),
        ("pairs(n,n,4)", 38),
        ("pairs(1,100,8)", 8),
        ("chunk_pairs(n,n,4)", 26),
        ("chunk_pairs(3,n,4)", 6),
        (f"{10**40}*n", 11 * 10**40),
    ],
)
def test_evaluators_of_single_forms(text: str, value: int | None) -> None:
    (found,) = run_page({}, [], [(text, {"n": 11})])["texts"]
    assert (None if found is None else int(found)) == value == evaluated(text, {"n": 11})


def test_evaluator_is_small_and_evaluates_no_code() -> None:
    source = (PAGE / "forms.js").read_text("utf-8")
    assert len(source.encode()) <= BUDGET
    assert "eval(" not in source
    assert "Function(" not in source


def test_every_preset_has_forms_of_every_quantity() -> None:
    models = list(shipped_models("deepseek-v3", "kimi-k3", "mamba", "t5-v1.1", "gemma4-e"))
    for memory in (forms_of(model).memory for model in models):
        assert memory.activations
        assert all(memory.states)


def test_files_are_compiled_once(tmp_path: Path) -> None:
    calls = []

    def compute() -> dict[str, bytes]:
        calls.append(1)
        return {"first.json.gz": b"1", "flops.json.gz": b"2"}

    folder = tmp_path / "cache" / "forms"
    assert cached(folder, compute) == cached(folder, compute) == compute()
    assert len(calls) == 2
    assert [each.name for each in folder.parent.iterdir()] == ["forms"]


def test_the_user_is_told_what_takes_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(form_files, "SHIPPED", "no_such_folder")  # an installed package contains the forms
    monkeypatch.setattr(form_files, "compile_files", lambda: {"first.json.gz": b"1"})
    for package in ({"llmcalc/a.py": "1"}, {"llmcalc/a.py": "1", "llmcalc/web/b.py": "2"}, {"llmcalc/a.py": "2"}):
        assert form_files.form_files(package, notes.append) == {"forms/first.json.gz": b"1"}
    assert notes == [form_files.NOTE] * 2


def test_files_are_compressed_and_reproducible() -> None:
    content = {"model": ["1", 2]}
    assert packed(content) == packed(content)
    assert json.loads(gzip.decompress(packed(content))) == content
