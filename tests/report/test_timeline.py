"""Models in their time: published compute, or the rule of thumb and marked as such."""

from __future__ import annotations

import json

import pytest

import llmcalc
from llmcalc.report import render
from llmcalc.report.preset_summaries import summaries
from llmcalc.report.timeline import Point, doubling_months, points, timeline_document

PRESETS, _ = summaries()
EVERYTHING = {point.name: point for point in points(PRESETS, True)}


def point(year: int, total: int, name: str = "m") -> Point:
    return Point(name, year, "decoder", total, total, "published", None, None)


def test_every_family_with_a_year_is_there_and_its_largest_stands_for_it() -> None:
    dated = {preset["name"] for preset in PRESETS if preset["year"]}
    largest = list(points(PRESETS, False))
    assert len(largest) == len(dated)
    assert {entry.name for entry in largest} <= EVERYTHING.keys()
    assert EVERYTHING["gpt3-175b"] in largest


def test_published_compute_comes_first() -> None:
    gpt3 = EVERYTHING["gpt3-175b"]
    assert (gpt3.flops, gpt3.source) == (314 * 10**21, "brown2020 Table D.1")


def test_the_rule_of_thumb_counts_active_parameters() -> None:
    kimi = EVERYTHING["kimi-k2-1t"]
    count = llmcalc.params(llmcalc.load("kimi-k2-1t"))
    assert kimi.flops == 6 * count.active * 15_500_000_000_000
    assert kimi.source.startswith("6·N·D, ")


def test_what_is_not_published_is_left_out() -> None:
    mistral = EVERYTHING["mistral-7b-v0.3"]
    assert mistral.tokens is None
    assert mistral.flops is None


def test_doubling_is_that_of_an_exact_power() -> None:
    grown = [point(2000 + n, 3 * 4**n) for n in range(5)] + [point(2002, 7)]
    assert doubling_months(grown, "total") == pytest.approx(6)
    assert doubling_months(grown[:2], "total") is None
    assert doubling_months([point(2000 + n, 30 - n) for n in range(5)], "total") is None


def test_the_document_has_two_pictures_and_warns_of_rumours() -> None:
    document = timeline_document(list(points(PRESETS, False)), False)
    assert any("gpt4" in line for line in document.warnings)
    assert [picture.title for picture in document.pictures()] == ["Parameters of models", "Training compute of models"]
    assert render(document, "html").count("<svg") == 2 * 2, "each for a screen and for a phone"
    data = json.loads(render(document, "json"))["result"]
    assert data["models"][0]["year"] == 2017
    assert set(data["doubling_months"]) == {"total", "flops"}


def test_no_model_at_all_is_an_empty_list() -> None:
    document = timeline_document([], False)
    assert document.title == "0 models, no model matches"
    assert not document.pictures()
