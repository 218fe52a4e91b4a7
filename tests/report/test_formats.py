"""Every output format: exact numbers, fitting widths, no colour where none is wanted."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from llmcalc.core.errors import InputError
from llmcalc.core.tree import Node, total
from llmcalc.report import format_names, render
from llmcalc.report.document import Column, Document, Fact, Table
from llmcalc.report.json_envelope import envelope
from llmcalc.report.pictures import MOST_BARS, bars_of

BIG = 10**19 + 7
TREE = total("all", [Node("left", 3, formula="a·b", substituted="1·3"), Node("right", BIG - 3)])
DOCUMENT = Document(
    "A title",
    lambda: envelope("test", {}, {"big": BIG, "list": [1, BIG], "small": 3}),
    subtitle=("decoder: 2 layers · d_model 3",),
    warnings=("a warning",),
    facts=(Fact("total", BIG, "parameters", "a remark"),),
    tables=(
        Table(
            "parts",
            (Column("part", "name"), Column("parameters", "count"), Column("share", "share"), Column("why")),
            [("left|one", 3, 0.25, "because " * 9), ("right", BIG - 3, 0.75, "")],
            ("total", BIG, 1.0, ""),
        ),
    ),
    tree=(TREE,),
    notes=("a note " * 12,),
)
ESCAPE = "\x1b["
COLOURS = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS")


def test_formats_are_the_files_of_their_folder() -> None:
    assert set(format_names()) == {"csv", "html", "json", "markdown", "plain", "svg", "table", "tree"}


@pytest.mark.parametrize("form", sorted({*format_names()} - {"svg"}))  # a picture rounds
def test_no_format_loses_a_digit(form: str) -> None:
    text = render(DOCUMENT, form)
    wanted = str(BIG - 3) if form == "csv" else str(BIG)
    assert wanted in text.replace(",", "")


def test_plain_columns_are_two_spaces_apart_and_never_cut() -> None:
    lines = render(DOCUMENT, "plain").splitlines()
    right = next(line for line in lines if line.startswith("right"))
    assert re.split(r" {2,}", right) == ["right", str(BIG - 3), "0.75"]
    assert "warning: a warning" in lines
    assert max(map(len, lines)) > 80


def test_csv_is_one_table_that_can_be_summed() -> None:
    rows = list(csv.DictReader(io.StringIO(render(replace(DOCUMENT, tree=()), "csv"))))
    assert sum(int(row["parameters"]) for row in rows) == BIG
    assert rows[0]["part"] == "left|one"


def test_json_repeats_large_integers_as_text() -> None:
    result = json.loads(render(DOCUMENT, "json"))["result"]
    assert result == {"big": BIG, "big_str": str(BIG), "list": [1, BIG], "list_str": ["1", str(BIG)], "small": 3}


def test_markdown_keeps_its_columns() -> None:
    lines = [line for line in render(DOCUMENT, "markdown").splitlines() if line.startswith("| left")]
    assert len(re.findall(r"(?<!\\)\|", lines[0])) == 5


def test_a_document_without_a_tree_says_so() -> None:
    with pytest.raises(InputError, match="no tree"):
        render(Document("", DOCUMENT.data), "tree")


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_a_table_fits_its_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = render(DOCUMENT, "table")
    assert max(map(len, text.splitlines())) <= width
    assert f"{BIG:,}" in text


def test_a_line_is_broken_between_its_items_and_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = ("decoder: " + " · ".join(f"n_things {number}" for number in range(5)), "a line without items " * 3)
    text = render(replace(DOCUMENT, subtitle=lines, facts=(Fact("file", "a.yaml"), Fact("size", "b"))), "table")
    assert "decoder: n_things 0 · n_things 1 ·\n         n_things 2 · n_things 3 ·\n         n_things 4\n" in text
    assert " ".join(text.split()).count("a line without items") == 3
    assert "file  a.yaml\nsize  b\n" in text


MODELS = ["gpt3", "t5-11b", "deepseek-v3", "gemma3-27b", "nemotron-h", "albert"]
COMMANDS = [["params"], ["params", "--by", "layer"], ["params", "--by", "tensor"], ["explain"]]


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_screen_fits_its_terminal(
    words: list[str], width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from llmcalc.cli.main import main

    monkeypatch.setenv("COLUMNS", str(width))
    for model in MODELS:
        rest = [model, "params"] if words == ["explain"] else [model]
        assert main([words[0], *rest, *words[1:], "--format", "table"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= width
        assert not any(line != line.rstrip() for line in lines)


def on_terminal(*words: str, **environment: str) -> str:
    """What a command prints on a terminal."""
    own, its = pty.openpty()
    settings = {key: value for key, value in os.environ.items() if key not in COLOURS}
    process = subprocess.Popen(
        [sys.executable, "-m", "llmcalc", *words],
        stdin=its,
        stdout=its,
        stderr=its,
        env={**settings, "TERM": "xterm-256color", **environment},
    )
    os.close(its)
    printed = b""
    while True:
        try:
            piece = os.read(own, 4096)
        except OSError:
            break
        if not piece:
            break
        printed += piece
    process.wait()
    os.close(own)
    return printed.decode()


def test_a_terminal_gets_a_table_with_colour() -> None:
    text = on_terminal("params", "gpt3", COLUMNS="80")
    assert ESCAPE in text
    assert "174,604,259,328" in text
    assert "174.6 B" in text
    assert "█" in text


@pytest.mark.parametrize(
    "environment",
    [
        {"NO_COLOR": "1", "FORCE_COLOR": "1"},
        {"TERM": "dumb"},
        {"CLICOLOR": "0"},
        {"FORCE_COLOR": "0"},
        {"color": "never"},
    ],
)
def test_no_colour_where_none_is_wanted(environment: dict[str, str]) -> None:
    words = ["--color", environment["color"]] if "color" in environment else []
    text = on_terminal("params", "gpt3", *words, COLUMNS="80", **environment)
    assert ESCAPE not in text
    assert "174,604,259,328" in text


def in_pipe(*words: str, **environment: str) -> str:
    """What a command prints into a pipe."""
    own = {key: value for key, value in os.environ.items() if key not in COLOURS}
    command = [sys.executable, "-m", "llmcalc", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**own, **environment}).stdout


def test_a_pipe_gets_the_table_of_a_terminal_without_colour() -> None:
    piped = in_pipe("params", "gpt3", COLUMNS="80")
    shown = on_terminal("params", "gpt3", COLUMNS="80").replace("\r\n", "\n")
    assert ESCAPE not in piped
    assert re.sub(r"\x1b\[[\d;]*m", "", shown) == piped
    assert max(map(len, in_pipe("params", "gpt3").splitlines())) <= 100
    assert re.search(r"^total {2,}174604259328 {2}parameters$", in_pipe("params", "gpt3", "--format", "plain"), re.M)


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["--color", "always"], {"NO_COLOR": "1"}),
        ([], {"FORCE_COLOR": "1", "TERM": "dumb"}),
        ([], {"CLICOLOR_FORCE": "1"}),
    ],
)
def test_colour_can_be_requested_in_a_pipe(words: list[str], environment: dict[str, str]) -> None:
    assert ESCAPE in in_pipe("params", "gpt3", *words, **environment)


def test_control_characters_of_a_name_are_not_printed() -> None:
    text = render(replace(DOCUMENT, title="a\x1b[31mname\x07", notes=("two\nlines",)), "table")
    assert "a\\x1b[31mname\\x07" in text
    assert "note: two lines\n" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)


def test_nothing_but_the_cli_prints() -> None:
    package = Path(sys.modules["llmcalc"].__file__ or "").parent
    printing = [
        file for file in package.rglob("*.py") if re.search(r"^\s*print\(", file.read_text("utf-8"), re.MULTILINE)
    ]
    assert {file.relative_to(package).parts[0] for file in printing} <= {"cli"}


class Balance(HTMLParser):
    """Checks that what is opened is closed, in order."""

    VOID = frozenset({"meta", "br", "rect", "line", "circle", "polyline"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_html_is_one_whole_page_that_fetches_nothing() -> None:
    text = render(DOCUMENT, "html")
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert {"html", "table", "details", "style"} <= parser.seen
    assert "script" not in parser.seen
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert "@media print" in text


def test_html_escapes_what_a_file_calls_itself() -> None:
    named = replace(DOCUMENT, title="<b>&", notes=("<script>alert(1)</script>",))
    text = render(named, "html")
    assert "<script" not in text
    assert "<title>&lt;b&gt;&amp;</title>" in text


def test_svg_draws_the_main_table_or_says_that_it_cannot() -> None:
    assert "left|one" in render(DOCUMENT, "svg")
    with pytest.raises(InputError, match="no chart"):
        render(replace(DOCUMENT, tables=()), "svg")


def test_a_picture_shows_the_sum_where_a_table_has_its_parts_too() -> None:
    columns = (Column("part", "name"), Column("forward", "count"), Column("total", "count"), Column("share", "share"))
    drawn = bars_of("steps", Table("", columns, [("one", 3, 11, 0.25), ("other", 5, 33, 0.75)]))
    assert drawn
    assert [bar.parts for bar in drawn.bars] == [(("total", 11.0),), (("total", 33.0),)]
    assert [bar.remark for bar in drawn.bars] == ["25.0 %", "75.0 %"]


def test_charts_draw_a_limited_number_of_rows_and_count_the_others() -> None:
    rows = [(f"row {at}", at) for at in range(MOST_BARS + 7)]
    document = Document("long", dict, tables=(Table("", (Column("row", "name"), Column("n", "count")), rows),))
    text = render(document, "svg")
    assert f">row {MOST_BARS - 1}<" in text
    assert f">row {MOST_BARS}<" not in text
    assert ">7 more rows, which the csv format lists<" in text
