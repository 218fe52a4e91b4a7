"""Closed forms that the page shows: evaluated as they are written, they give the numbers beside them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from llmcalc.core.description.notation import Notation
from llmcalc.core.form import Call, symbol
from llmcalc.web.answers import answers
from llmcalc.web.answers.case import Case, case_of
from llmcalc.web.answers.closed_forms import closed_form
from llmcalc.web.answers.state import read_state

SIGNS = {"×": "*", "−": "-", "⌈": "ceil(", "⌊": "floor(", "⌉": ")", "⌋": ")", " / ": ",", "mod": "%", "²": "**2"}
FUNCTIONS: dict[str, Any] = {"min": min, "max": max, "ceil": lambda a, b: -(-a // b), "floor": lambda a, b: a // b}
LARGEST = "the largest of"
STATES = (
    {"model": "llama3.1-8b", "gpu": "h100", "users": 7, "context": 1021},
    {"model": "llama3.1-8b", "gpu": "h100", "users": 8209, "context": 131},
    {"model": "deepseek-v3", "gpu": "h200", "n": 16, "users": 61, "context": 8191},
    {"model": "deepseek-v4-flash", "gpu": "h200", "n": 4, "users": 13, "context": 1019},
    {"model": "gemma3-27b", "gpu": "h200", "users": 3, "context": 509, "kv": "fp8"},
    {"model": "qwen3-next-80b-a3b", "gpu": "h200", "n": 2, "users": 5, "context": 32749, "weights": "q4_k_m"},
    {"model": "llama4-scout", "gpu": "b200-180gb", "n": 8, "users": 17, "context": 16411},
    {"model": "mamba2-2.7b", "gpu": "a100-sxm-80gb", "users": 19, "context": 2039},
    {"model": "t5-v1.1-xl", "gpu": "h100", "users": 11, "context": 127},
    {"model": "bert-base", "gpu": "t4", "users": 23, "context": 89},
    {"model": "llama3.1-405b", "gpu": "h100", "n": 24, "users": 29, "context": 4093},
)


def value(formula: str, known: dict[str, int]) -> int:
    """Return the value of a formula as a reader computes it."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", formula)
    for sign, code in SIGNS.items():
        text = text.replace(sign, code)
    found: int = eval(text, {"__builtins__": {}}, FUNCTIONS | known)
    return found


def values(case: Case, name: str) -> dict[str, int]:
    """Return the value of every line of a closed form. Later lines define the names in earlier ones."""
    lines, known = closed_form(case, name).lines, {"batch": case.fitted_users, "context": case.context}
    known |= {label: value(text, known) for label, text in lines if label == "sequences"}
    known |= {label: value(text, known) for label, text in lines if label in ("tokens", "decoding")}
    found: dict[str, int] = {}
    for number, (label, text) in reversed(list(enumerate(lines))):
        if label.startswith("·") or label == "valid if":
            continue
        if text == LARGEST:
            rest = [line for line in lines[number + 1 :] if line[0].startswith("·")]
            found[label] = max(value(formula, known) for _, formula in rest)
        elif number == 0 and set(text.split(" + ")) <= found.keys():
            found[label] = sum(found[each] for each in text.split(" + "))
        else:
            found[label] = value(text, known)
    return found


@pytest.mark.parametrize("state", STATES, ids=lambda state: f"{state['model']}-{state['users']}")
def test_lines_give_the_numbers(state: dict[str, Any]) -> None:
    case = case_of(read_state(state))
    result = case.fit.result
    peak = "peak without an engine, in bytes" if case.fit.start else "peak, in bytes"
    assert values(case, "memory")[peak] == result.peak
    tree = answers({**state, "panels": ["derivation"], "quantity": "memory"})["panels"]["derivation"]["tree"]
    if case.fit.start:
        assert tree["exact"] == f"{case.fit.needed:,}"
    else:
        assert tree["children"][0]["exact"] == f"{result.peak:,}"
    step = case.step_flops
    assert values(case, "flops")["FLOPs"] == step.forward + step.other
    if result.state:
        assert values(case, "state")["state, in bytes"] == result.state
    else:
        assert closed_form(case, "state").lines == []


@pytest.mark.parametrize("state", STATES, ids=lambda state: f"{state['model']}-{state['users']}")
def test_the_glossary_has_the_symbols_that_occur(state: dict[str, Any]) -> None:
    for name in ("params", "memory", "state", "flops"):
        lines, symbols = closed_form(case_of(read_state(state)), name)
        text = " ".join(formula for _, formula in lines)
        assert all(sign.split()[0] in text for sign, _ in symbols)
        defined = {"and", "the", "largest", "of", "min", "max"} | {sign for sign, _ in symbols}
        for label in sorted((label for label, _ in lines), key=len, reverse=True):
            text = text.replace(label, "")
        assert set(re.findall(r"[a-z_]+[0-9]*", text)) <= defined
        assert not re.search(r"\bt\d+\b", text)


def test_a_derivation_has_the_closed_form() -> None:
    shown = {
        name: answers({**STATES[0], "panels": ["derivation"], "quantity": name})["panels"]["derivation"]
        for name in ("memory", "params")
    }
    assert shown["memory"]["forms"][0] == ["peak without an engine, in bytes", "weights + KV cache + transient"]
    assert ["· decoder.block", "94,208 × sequences × tokens"] in shown["memory"]["forms"]
    assert shown["memory"]["form_symbols"][0][0] == "context"
    assert shown["params"]["forms"] == []


def test_notation_of_forms() -> None:
    n, m = symbol("n"), symbol("m")
    definitions = {"t1": Call("min", (n, 64)), "t2": Call("min", (n, 64, m)), "t3": Call("ceil", (n + 1, 4 * m))}
    t1, t2, t3 = map(symbol, definitions)
    assert Notation(definitions).text(5 * t1 * n - 3 - t3 * t3) == "5 × n × min(n, 64) − ⌈(n + 1) / (4 × m)⌉² − 3"
    writer = Notation(definitions, {"t1": "part", "n": "length"})
    assert writer.text(2 * t2) == "2 × min(part, m)"
    assert writer.where() == [("part", "min(length, 64)")]
    guards = (4096 - n, 6 * n * m - 8 * m - 1, n - 5, 5 - n)
    assert Notation().conditions(guards) == ["n ≤ 4,096", "3 × n > 4", "n = 5"]
    assert Notation().text(n - n) == "0"
    assert Notation().text(-n) == "−n"
