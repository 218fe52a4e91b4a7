"""``llmcalc report``: one file, whole, and nothing else touched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmcalc.cli.main import main

Capture = pytest.CaptureFixture[str]


def test_a_page_about_two_models(tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "page.html"
    words = ["report", "llama3-8b", "mamba2", "--gpu", "h100", "--lengths", "1k,8k,64k", "-o", str(target)]
    assert main(words) == 0
    assert capsys.readouterr().out == f"wrote {target}\n"
    text = target.read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text.count("<svg") == 2 + 2 + 2, "parameters, growth, and memory of each"
    assert {"8,030,261,248", "2,702,599,680", "llama3-8b and mamba2-2.7b"} <= {*re.findall(r">([^<>]+)</td>", text)}
    assert not re.search(r'(src|href)="(?!#)', text)
    assert "<script" not in text
    assert set(re.findall(r'href="#(part\d+)"', text)) == set(re.findall(r'id="(part\d+)"', text))
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_standard_output(capsys: Capture) -> None:
    assert main(["report", "gpt2", "--lengths", "1k", "-o", "-"]) == 0
    assert capsys.readouterr().out.endswith("</html>\n")


def test_an_existing_file_is_kept(tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "page.html"
    target.write_text("mine", "utf-8")
    assert main(["report", "gpt2", "-o", str(target)]) == 2
    assert "file exists" in capsys.readouterr().err
    assert target.read_text("utf-8") == "mine"
    assert main(["report", "gpt2", "-o", str(target), "--force"]) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["gpt2"], "--output: missing"),
        (["gpt2", "-o", "-", "--lengths", "long"], "--lengths"),
        (["gpt2", "-o", "-", "--lengths", "0"], ""),
        (["gpt2", "-o", "-", "--gpu", "h1000"], "h100"),
        (["gpt2", "-o", "-", "--batch", "0"], "--batch"),
        (["gpt22", "-o", "-"], "gpt2"),
        (["gpt2", "-o", "/no/such/folder/x.html"], "cannot be written"),
    ],
)
def test_bad_input_is_one_message(words: list[str], told: str, capsys: Capture) -> None:
    assert main(["report", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told in captured.err
    assert "Traceback" not in captured.err
