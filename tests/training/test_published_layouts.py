"""Published steps and hours on published layouts (docs/data/moe_layouts.csv and training_hours_layouts.csv)."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
if not (DOCS / "layout_order.py").is_file():
    pytest.skip("the documentation is not here", allow_module_level=True)

RIGHT = 0.75  # share of pairs in the right order
WIDEST = 1.6  # ratio of published and estimated hours
# sources of which less is in the right order: small micro-batches wait for the host, and trained experts are unbalanced
LESS = {"InternLM/xtuner", "yanring/Megatron-MoE-ModelZoo", "whitecircle/halo"}


def documentation(name: str) -> ModuleType:
    sys.path.insert(0, str(DOCS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(DOCS))


ORDER, HOURS = documentation("layout_order"), documentation("training_hours")


@pytest.fixture(scope="module")
def rows():
    return [*ORDER.read()]


def test_most_layouts_of_a_mixture_are_in_the_right_order(rows) -> None:
    found = ORDER.pairs(rows)
    assert len(found) > 12 * 12
    assert sum(pair.is_right for pair in found) > RIGHT * len(found)
    alike = [pair for pair in found if pair.one.row["micro_batch"] == pair.other.row["micro_batch"]]
    assert sum(pair.is_right for pair in alike) > RIGHT * len(alike)
    sources = {pair.one.row["source"].split()[0] for pair in found}
    for source in sources - LESS:
        own = [pair.is_right for pair in found if pair.one.row["source"].startswith(source)]
        assert sum(own) > RIGHT * len(own), source
    assert sources > LESS


def test_pairs_have_the_same_tokens_and_gpus(rows) -> None:
    for one, other in ORDER.pairs(rows):
        assert ORDER.ALIKE(one.row) == ORDER.ALIKE(other.row)
        assert (one.estimate.tokens, one.estimate.gpus) == (other.estimate.tokens, other.estimate.gpus)
        assert max(one.time, other.time) > 1.1 * min(one.time, other.time)


@pytest.mark.parametrize("row", HOURS.layouts(), ids=lambda row: f"{row['model']}-{row['gpu']}-{row['gpus']}")
def test_published_hours_are_inside_the_interval(row) -> None:
    """Runs without a published layout are those of Llama 3.1 70B and GPT-3, on the fastest of the usual layouts."""
    hours, published = HOURS.hours_on(row), float(row["hours"])
    assert hours.low < published < hours.high
    assert hours.mid / WIDEST < published < hours.mid * WIDEST
    assert (row["tp"] == "") == (row["model"] in ("llama3.1-70b", "gpt3-175b") and not row["overrides"])
