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
    pictures = 1 + 2 + 2 + 2 + 2  # summary, growth, and memory, roofline and parameters of each
    assert text.count("<svg") == 2 * pictures, "each for a screen and for a phone"
    cells = re.findall(r">([^<>]+)</td>", text)
    assert {"8,030,261,248", "2,702,599,680", "llama3-8b and mamba2-2.7b"} <= {*cells}
    assert text.index("Both models fit on 1 × NVIDIA H100") < text.index("<svg") < text.index("<nav")
    assert "price per million output tokens" in cells
    assert not re.search(r'(src|href)="(?!#)', text)
    assert "<script" not in text
    assert set(re.findall(r'href="#(part\d+)"', text)) == set(re.findall(r'id="(part\d+)"', text))
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def summary(words: list[str], capsys: Capture) -> str:
    """The summary of a page, without markup."""
    assert main(["report", *words, "--lengths", "1k", "-o", "-"]) == 0
    found = re.search(r'<section class="summary">(.*?)</section>', capsys.readouterr().out, re.DOTALL)
    assert found is not None
    return re.sub(r"<[^<>]+>", "|", re.sub(r"<svg.*?</svg>", "", found[1], flags=re.DOTALL))


def test_the_summary_answers_first(capsys: Capture) -> None:
    assert "gpt2-small has 124.4 M parameters" in summary(["gpt2"], capsys)
    assert "✗ Llama 3 (llama3-70b) does not fit: " in summary(["llama3-70b", "--gpu", "h100"], capsys)
    assert "✗ Only llama3-8b fit" in summary(["llama3-8b", "llama3-70b", "--gpu", "h100"], capsys)
    four_bits = summary(["llama3-70b", "--gpu", "h100:2", "--weights", "q4_k_m"], capsys)
    assert "✓ Llama 3 (llama3-70b) fits, " in four_bits
    assert "on each, on 2 × NVIDIA H100" in four_bits
    assert "weights q4_k_m" in four_bits


def test_an_unknown_time_has_a_reason(capsys: Capture) -> None:
    text = summary(["gpt2", "--gpu", "24GB"], capsys)
    assert "to spare, on a GPU with 22.35 GiB" in text
    assert "no time for gpt2-small: the time depends on the GPU" in text
    assert "time per output token" not in text


def test_an_encoder_has_a_forward_pass(capsys: Capture) -> None:
    text = summary(["bert", "gpt2", "--gpu", "h100"], capsys)
    assert "|forward pass|" in text
    assert "|time per output token|" in text


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
