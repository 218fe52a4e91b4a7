"""Screens of every command: every format that a command offers, and tables that fit any terminal."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from shutil import copy
from xml.etree import ElementTree

import pytest

from llmcalc.cli import output
from llmcalc.cli.commands import load
from llmcalc.cli.main import main
from llmcalc.cli.table import COMMANDS
from llmcalc.cli.texts import examples
from llmcalc.report import PARTIAL, format_names, render
from llmcalc.report.document import Document

LOG = Path(__file__).parents[1] / "server.log"
ROWS = LOG.parent / "serving_rows.csv"
WIDTHS = (60, 80, 120, 200)
REPORTS = [name for name in COMMANDS if "--format" in load(name).options]
LINES = [(name, line) for name in REPORTS for line in examples(name)]
ESCAPES = re.compile(r"\x1b\[[\d;]*m")
DocumentOf = Callable[[str], Document]


@pytest.fixture
def document_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> DocumentOf:
    """Run a command line and return its document."""
    copy(LOG, tmp_path)
    copy(ROWS, tmp_path / "rows.csv")
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> Document:
        found: list[Document] = []

        def keep(document: Document, form: str, **style: str) -> str:
            found.append(document)
            return "kept\n"

        monkeypatch.setattr(output, "render", keep)
        assert main(shlex.split(line)[1:]) in (0, 1)
        assert capsys.readouterr().out == "kept\n"
        return found[0]

    return run


def offered(name: str) -> tuple[str, ...]:
    return load(name).options["--format"].choices


@pytest.mark.parametrize(("name", "line"), LINES, ids=[line for _, line in LINES])
def test_a_command_prints_every_format_that_it_offers_at_every_width(
    name: str, line: str, document_of: DocumentOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = document_of(line)
    texts = {form: render(document, form) for form in offered(name)}
    assert all(text.strip() for text in texts.values())
    json.loads(texts["json"])
    assert len({len(row) for row in csv.reader(io.StringIO(texts["csv"]))}) == 1
    if "svg" in texts:
        ElementTree.fromstring(texts["svg"])
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        text = render(document, "table", color="never")
        lines = text.split("\n")
        assert max(map(len, lines)) <= width
        assert lines == [line.rstrip() for line in lines]
        assert "\n\n\n" not in text
        assert text == text.strip() + "\n"
        assert ESCAPES.sub("", render(document, "table", color="always")) == text
        assert not ESCAPES.search(text)


@pytest.mark.parametrize("name", REPORTS)
def test_a_format_that_a_command_does_not_offer_cannot_be_printed(name: str, document_of: DocumentOf) -> None:
    assert set(format_names()) - set(offered(name)) <= set(PARTIAL)
    document = document_of(examples(name)[0])
    assert ("tree" in offered(name)) == bool(document.tree or document.derivation())


@pytest.mark.parametrize(
    "line", ["flops gpt2", "traffic gpt2", "memory gpt2", "fit gpt2 --gpu h100", "communication gpt2 --tp 2"]
)
def test_the_tree_of_a_report_derives_one_of_its_figures(line: str, document_of: DocumentOf) -> None:
    document = document_of(f"llmcalc {line}")
    (root,) = document.derivation()
    assert root.value in {fact.value for fact in document.facts}


def test_a_format_that_is_not_offered_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "gpt2", "params.total", "--over", "seq=1,2", "--format", "tree"]) == 2
    assert "--format" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("check llama3-8b --select TP --tp 8", 0),
        ("check gpt2 --max-params 1M", 1),
        ("verify gpt2-small", 0),
        ("diff gpt2 gpt2", 0),
        ("diff gpt2 gpt2-xl", 1),
        ("fit gpt2 --gpu h100", 0),
        ("fit gpt3 --gpu h100", 1),
    ],
)
def test_the_verdict_is_the_first_line_in_words_and_colour(
    line: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*line.split(), "--color", "always"]) == code
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(f"\x1b[1;{31 if code else 32}m{'✗' if code else '✓'} ")


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("utf-8", "✓ a · b ×2 ├─ ∞\n"), ("latin-1", "+ a · b ×2 |- ?\n"), ("ascii", "+ a * b x2 |- ?\n")],
)
def test_another_encoding_gets_similar_signs_of_the_same_width(
    encoding: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr("sys.stdout", stream)
    output.write_text("✓ a · b ×2 ├─ ∞\n")
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding) == expected  # type: ignore[attr-defined]


def test_a_small_speed_has_digits_in_the_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "gpt-oss-120b", "--gpu", "h200", "--tp", "1", "--isl", "131070", "--osl", "2"]) == 0
    screen = capsys.readouterr().out
    speed = re.search(r"tokens/s per GPU +(\S+)", screen)
    assert speed is not None
    assert 0 < float(speed[1]) < 1
    assert f"{speed[1]} tokens/s per GPU" in screen.partition("\n")[0]
