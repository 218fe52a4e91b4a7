"""Pictures are well-formed, keep within their sheet, and write no text over another."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmcalc.report.pictures import Axis, Bar, Bars, Chart, Curve, Mark, Scatter, crossings
from llmcalc.report.svg import draw
from llmcalc.report.svg.canvas import HEADING, PALETTE, SMALL, TEXT, text_width
from llmcalc.report.svg.charts import spread

SVG = "{http://www.w3.org/2000/svg}"
WIDTHS = (400.0, 760.0, 1200.0)

BARS = Bars("a breakdown", "count", (Bar("experts", (("n", 7e11),), "97.4 %"), Bar("a < b & c", (("n", 3e6),))))
STACKED = Bars(
    "memory", "bytes", tuple(Bar(f"{n}k", (("weights", 3e10), ("state", n * 1e9))) for n in (3, 5, 7)), ("a card", 4e10)
)
STEEP = Curve("attention", tuple((2.0**n, 3 * 2.0 ** (2 * n)) for n in range(10, 18)))
FLAT = Curve("state space", tuple((2.0**n, 1e5 * 2.0**n) for n in range(10, 18)))
CHART = Chart(
    "growth", Axis("tokens", "tokens", True), Axis("FLOPs", "FLOPs", True), (STEEP, FLAT),
    crossings(STEEP, FLAT, "they cross"), (("a level", 1e11),),
)  # fmt: skip
SCATTER = Scatter(
    "models", Axis("year", "year"), Axis("parameters", "count", True),
    tuple((f"group {g}", tuple(Mark(f"model-{g}-{n}", 2017 + n % 9, 10.0 ** (7 + n % 5)) for n in range(23)))
          for g in range(3)),
)  # fmt: skip
PICTURES: dict[str, Any] = {"bars": BARS, "stacked": STACKED, "chart": CHART, "scatter": SCATTER}


def boxes(root: ElementTree.Element) -> list[tuple[float, float, float, float, str]]:
    """(left, top, right, bottom, text) of every text, by the same widths that the drawing assumes."""
    found = []
    for item in root.iter(f"{SVG}text"):
        style = item.get("class", "")
        size = HEADING if "heading" in style else SMALL if "quiet" in style else TEXT
        text = item.text or ""
        wide = text_width(text, size)
        left = (
            float(item.get("x", 0)) - {"start": 0.0, "middle": wide / 2, "end": wide}[item.get("text-anchor", "start")]
        )
        base = float(item.get("y", 0))
        found.append((left, base - 0.75 * size, left + wide, base + 0.2 * size, text))
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PICTURES)
def test_texts_stay_on_the_sheet_and_apart(name: str, width: float) -> None:
    root = ElementTree.fromstring(draw(PICTURES[name], width))
    height = float(root.get("height", 0))
    found = boxes(root)
    assert found
    for left, top, right, bottom, text in found:
        assert left >= -0.5, text
        assert right <= width + 0.5, text
        assert 0 <= top < bottom <= height, text
    for number, one in enumerate(found):
        for other in found[:number]:
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart, (one[4], other[4])


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_needs_nothing_from_elsewhere(name: str) -> None:
    text = draw(PICTURES[name])
    assert text.count("http") == 1, "the name of the XML vocabulary alone"
    assert "<script" not in text
    assert "prefers-color-scheme:dark" in text


def test_what_is_there_can_be_seen_and_is_told_in_full() -> None:
    root = ElementTree.fromstring(draw(BARS))
    rects = [item for item in root.iter(f"{SVG}rect") if item.find(f"{SVG}title") is not None]
    assert len(rects) == 2
    assert all(float(item.get("width", 0)) > 0 for item in rects)
    assert "a < b & c" in [text for *_, text in boxes(root)]


def test_curves_differ_in_more_than_colour() -> None:
    root = ElementTree.fromstring(draw(CHART))
    lines = list(root.iter(f"{SVG}polyline"))
    assert len({item.get("stroke") for item in lines}) == 2
    assert len({item.get("stroke-dasharray") for item in lines}) == 2


def test_where_curves_cross_is_on_both() -> None:
    (mark,) = crossings(STEEP, FLAT, "here")
    assert 2**15 < mark.x < 2**16  # 3·x² = 1e5·x at x = 33,333; along straight lines between the points
    assert not crossings(STEEP, Curve("above", tuple((x, y + 1) for x, y in STEEP.points)), "never")


@given(st.lists(st.floats(0, 100), min_size=1, max_size=9))
def test_names_are_moved_apart_within_bounds(wanted: list[float]) -> None:
    placed = spread(wanted, 10, 0, 100)
    ordered = sorted(placed)
    assert all(later - earlier >= 10 - 1e-6 for earlier, later in pairwise(ordered))
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in placed)


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=12), st.floats(0, 1e18)),
        min_size=1,
        max_size=9,
        unique_by=lambda b: b[0],
    ),
    st.sampled_from(["count", "bytes", "FLOPs"]),
    st.floats(300, 2000),
)
@example([("0", 5e-324)], "count", 300.0)
def test_any_bars_are_drawn(rows: list[tuple[str, float]], kind: str, width: float) -> None:
    printable = [("".join(c for c in name if c.isprintable()) or "x", value) for name, value in rows]
    picture = Bars("t", kind, tuple(Bar(name, (("n", value),)) for name, value in printable))
    assert ElementTree.fromstring(draw(picture, width)).get("role") == "img"


def test_neighbouring_colours_differ_in_brightness() -> None:
    def brightness(colour: str) -> float:
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    values = [brightness(colour) for colour in PALETTE]
    assert all(abs(one - other) > 15 for one, other in pairwise(values))
