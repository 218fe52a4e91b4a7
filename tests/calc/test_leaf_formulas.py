"""The formula of every leaf of an explanation evaluates to its value, for every preset and quantity."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.schema import preset_files

PRESETS = sorted(file.stem for file in Path(preset_files.shipped_folder()).glob("*.yaml"))
CASES: list[tuple[str, dict[str, Any]]] = [
    ("params", {}),
    ("active", {}),
    ("flops", {"seq": 96, "mode": "train"}),
    ("state", {"seq": 97, "batch": 3}),
    ("memory", {"seq": 97, "batch": 3, "tp": 2}),
    ("memory", {"seq": 96, "training": True}),
    ("traffic", {"seq": 96}),
    ("traffic", {"mode": "decode", "context": 96}),
]
PRINTED = 1e-5  # relative error of a mean number of bytes with six digits

COUNTS = ("n_blocks", "n_readers", "n_writers")


def evaluate(text: str) -> float:
    numbers, _, divisor = text.partition(" / ")
    return prod(map(float, numbers.split("·"))) / float(divisor or 1)


def check(name: str, quantity: str, **settings: Any) -> None:
    for root in llmcalc.explain(name, quantity, **settings).roots:
        for _, node in root.walk():
            if node.children or not node.substituted:
                assert node.children or not node.value, node
                continue
            counts = zip(node.formula.split("·"), node.substituted.split("·"), strict=True)
            times = prod(int(number) for name, number in counts if name in COUNTS)  # each access is rounded up
            assert evaluate(node.substituted) == pytest.approx(node.value, rel=PRINTED, abs=times), node


@pytest.mark.parametrize("name", PRESETS)
def test_leaves_are_their_formulas(name: str) -> None:
    for quantity, settings in CASES:
        check(name, quantity, **settings)


@pytest.mark.parametrize("settings", [{"cache": "q8_0"}, {"cache": "fp8"}, {"page": 64}, {"beams": 3}])
def test_cached_formats_and_pages(settings: dict[str, Any]) -> None:
    for name in ("mixtral-8x7b", "deepseek-v3", "llama4"):
        check(name, "memory", seq=100, **settings)


def test_blocks_are_counted_once_for_several_reads() -> None:
    root = llmcalc.explain("mixtral-8x7b", "traffic", seq=2048).roots[0]
    found = {node.formula: node.substituted for _, node in root.walk() if node.label == "read x"}
    assert found["n_blocks·n_readers·batch·new_tokens·d_model·n_bytes"] == "32·3·1·2048·4096·2"
