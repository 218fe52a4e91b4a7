"""Rules that the files of the page keep: few bytes before the first number, no markup from texts, no other hosts."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

from llmcalc.calc.params import params
from llmcalc.core.architecture import Architecture
from llmcalc.web import build
from llmcalc.web.catalogue import catalogue
from llmcalc.web.form_files import contents, shipped_models
from llmcalc.web.forms import MemoryForms, ModelForms

PAGE = Path(build.__file__).parent / "page"
SCRIPTS = sorted(PAGE.glob("*.js"))
BUDGET, HEADER = 30_000, 300  # bytes before the first exact number, with the headers of each response
LONGEST = 400  # lines
MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\.setHTML")
IMPORT = re.compile(r"^(?:import|export) .*?from \"\./([\w-]+\.js)\"", re.MULTILINE)


def imported(name: str) -> set[str]:
    """Return a module and all modules that it imports before it runs."""
    found = {name}
    for other in IMPORT.findall((PAGE / name).read_text("utf-8")):
        found |= imported(other)
    return found


def test_the_first_number_needs_few_bytes() -> None:
    scripts = imported("first.js")
    assert scripts == {"first.js", "forms.js", "load.js", "quantities.js", "state.js"}
    sizes = [(PAGE / name).stat().st_size for name in ("index.html", "page.css", *scripts)]
    memory = MemoryForms([], 0, [], None)
    rows = [ModelForms(model.name, *counts(model), [], [], memory) for model in shipped_models()]
    content = json.dumps(contents(rows)["first"], separators=(",", ":"))
    sizes.append(len(gzip.compress(content.encode(), 9)))
    assert sum(size + HEADER for size in sizes) <= BUDGET


def counts(model: Architecture) -> tuple[int, int]:
    """Return the parameters of a model, and the active ones if they are fewer."""
    found = params(model)
    return found.total, 0 if found.active == found.total else found.active


def test_texts_never_become_markup() -> None:
    for script in SCRIPTS:
        text = script.read_text("utf-8")
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|\.setHTML", text
        )
        assert not found, script.name


def test_the_page_asks_nobody_else() -> None:
    for file in (*SCRIPTS, *PAGE.glob("*.css"), PAGE / "index.html"):
        addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}[^\s\"'`]*", file.read_text("utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}, file.name


def test_the_policy_allows_no_foreign_scripts() -> None:
    text = (PAGE / "index.html").read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy[1].split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert rules["connect-src"] == "'self'"
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=", text)


def test_files_are_short() -> None:
    for file in PAGE.iterdir():
        assert len(file.read_text("utf-8").splitlines()) <= LONGEST, file.name


def test_lists_begin_with_known_gpus_and_say_the_bits_of_formats() -> None:
    found = catalogue()
    assert set(found["common"]) <= {gpu["name"] for gpu in found["gpus"]}
    bits = {each["name"]: each["bits"] for each in found["formats"]}
    assert (bits["bf16"], bits["fp8"]) == (16, 8)
    assert (bits["q4_k_m"], bits["q3_k_m"], bits["q8_0"]) == (4.9, 4.0, 8.5)  # llama-quantize: 4.89, 4.00, 8.50
