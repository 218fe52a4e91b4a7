"""Columns give way in the order of their importance."""

from __future__ import annotations

from llmcalc.report.column_layout import GAP, fit, pieces
from llmcalc.report.document import Column, Table

TABLE = Table(
    "",
    (
        Column("name", "name"),
        Column("count", "count"),
        Column("each", "count", optional=1),
        Column("share", "share"),
    ),
    [("attention", 1234567, 12345, 0.5), ("mlp", 7654321, 54321, 0.5)],
)


def titles(width: int) -> list[list[str]]:
    return [[piece.title for piece, _ in part] for part in fit(pieces(TABLE), width)]


def widths(width: int) -> list[int]:
    return [sum(own for _, own in part) + GAP * (len(part) - 1) for part in fit(pieces(TABLE), width)]


def test_all_is_shown_where_there_is_room() -> None:
    assert titles(200) == [["name", "count", "", "each", "", "share", ""]]


def test_the_optional_column_goes_first_then_the_bar_then_the_short_form() -> None:
    assert titles(54) == [["name", "count", "", "share", ""]]
    assert titles(40) == [["name", "count", "", "share"]]
    assert titles(30) == [["name", "count", "share"]]


def test_what_must_stay_is_split_and_the_first_column_repeated() -> None:
    assert titles(20) == [["name", "count"], ["name", "share"]]


def test_no_part_is_wider_than_the_terminal() -> None:
    for width in range(20, 120):
        assert max(widths(width)) <= width
