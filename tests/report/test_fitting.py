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
    assert titles(200) == [["name", "", "count", "", "each", "share", ""]]


def test_optional_digits_go_first_then_their_column_then_the_bar_then_the_digits() -> None:
    assert titles(60) == [["name", "", "count", "each", "share", ""]]
    assert titles(54) == [["name", "", "count", "share", ""]]
    assert titles(40) == [["name", "", "count", "share"]]
    assert titles(30) == [["name", "count", "share"]]


def test_the_digits_of_bytes_go_before_a_column_and_the_readable_form_stays() -> None:
    table = Table("", (Column("name", "name"), Column("bytes", "bytes"), Column("each", "count", 1)), [("a", 2**34, 5)])
    assert [piece.cells for piece, _ in fit(pieces(table), 40)[0]] == [["a"], ["16.00 GiB"], ["17,179,869,184"], ["5"]]
    assert [piece.cells for piece, _ in fit(pieces(table), 30)[0]] == [["a"], ["16.00 GiB"], ["5"]]
    assert [piece.title for piece, _ in fit(pieces(table), 30)[0]] == ["name", "bytes", "each"]


def test_a_number_without_a_short_form_stands_in_the_readable_column_once() -> None:
    table = Table("", (Column("count", "count"),), [(1234567,), (950,), (None,), (0,)])
    readable, digits = pieces(table)
    assert readable.cells == ["1.235 M", "950  ", "", "0  "]
    assert digits.cells == ["1,234,567", "", "", ""]


def test_what_must_stay_is_split_and_the_first_column_repeated() -> None:
    assert titles(20) == [["name", "count"], ["name", "share"]]


def test_no_part_is_wider_than_the_terminal() -> None:
    for width in range(20, 120):
        assert max(widths(width)) <= width
