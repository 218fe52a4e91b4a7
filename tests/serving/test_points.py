"""Points of many layouts are computed as arrays. They are those of single layouts, and none that counts is left out."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.inputs.gpus import accelerators
from llmcalc.search import serving_search
from llmcalc.search.front import _front
from llmcalc.search.space import Space
from llmcalc.serving.points import Points, alone, excess, fastest, unbeaten
from llmcalc.serving.requests import read_requests
from llmcalc.serving.service import Service

H100 = accelerators()["h100-sxm"]
NONE = dict.fromkeys(("weights", "experts", "attention_weights", "cache"))
REQUESTS = {"one class": {"isl": 1009, "osl": 499}, "classes": {"mix": "1k/200:3,4k/500:1"}}
LIMITS: dict[str, dict[str, float]] = {"none": {}, "some": {"ttft": 0.2, "tpot": 0.02}, "strict": {"ttft": 0.001}}


def search(name: str, model: str = "qwen3-moe-30b-a3b", count: int = 8) -> Space:
    return Space(Service(llmcalc.load(model), H100, count, read_requests(**REQUESTS[name]), "vllm"))


@pytest.mark.parametrize("requests", REQUESTS)
def test_layouts_that_are_computed_at_once_have_the_times_of_each_alone(requests: str) -> None:
    own = search(requests)
    second = own.replicas[1]
    firsts = [(first, found) for first in own.replicas if (found := own.prefills(first)) and first.ranks < 8]
    placed = [(first, found, counts) for first, found in firsts for counts in own.splits(first.ranks, second.ranks)]
    assert len(placed) > 5
    together = list(own.pools(second, placed))
    each = [times for one in placed for times in own.pools(second, [one])]
    assert [times.placement for times in together] == [times.placement for times in each]
    for times, other in zip(together, each, strict=True):
        assert list(times.points) == list(other.points)
        assert times.points[3] == list(times.points)[3]
        assert list(times.points[:2]) == list(times.points)[:2]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("requests", REQUESTS)
def test_a_front_has_the_points_that_it_has_of_all_points(requests: str, limits: str) -> None:
    tried, own = list(search(requests).times()), LIMITS[limits]
    assert any(isinstance(times.points, Points) for times in tried)
    plain = [times._replace(points=tuple(times.points)) for times in tried]
    assert list(_front(tried, own, 499)) == list(_front(plain, own, 499))
    kept = sum(len(list(unbeaten(times.points, own))) for times in tried)
    assert kept <= sum(len(list(unbeaten(times.points, own))) for times in plain)


@pytest.mark.parametrize("limits", ["some", "strict"])
def test_the_fastest_point_is_that_of_a_list(limits: str) -> None:
    own = LIMITS[limits]
    for times in search("one class").times():
        listed = tuple(times.points)
        assert fastest(times.points, own, 1) == fastest(alone(times.points), own, 1) == fastest(listed, own, 1)
        for point in listed[::20]:
            assert excess(point, own) == max(getattr(point, f"{name}_s") / most for name, most in own.items())


@pytest.mark.parametrize("limits", ["ttft=200ms,tpot=20ms", "ttft=1ms", "e2e=9s,ttft=3s"])
def test_a_search_that_leaves_out_beaten_layouts_finds_the_same(limits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> dict[str, Any]:
        result = llmcalc.serve("qwen3-moe-30b-a3b", "h100:8", isl=1009, osl=499, sla=limits)
        margin: Any = result.with_margin  # type: ignore[union-attr]
        return {**result.to_dict(), "margin": margin and margin.to_dict()}  # type: ignore[union-attr]

    left_out: list[bool] = []
    usual = serving_search._is_beaten

    def counted(*given: Any) -> bool:
        left_out.append(usual(*given))
        return left_out[-1]

    monkeypatch.setattr(serving_search, "_is_beaten", counted)
    quick = found()
    assert any(left_out)
    monkeypatch.setattr(serving_search, "_is_beaten", lambda *_: False)
    assert found() == quick
