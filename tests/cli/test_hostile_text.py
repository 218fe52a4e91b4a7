"""No text of a file or a command line reaches the terminal as a control character, and no failure is a traceback."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

import llmcalc
from llmcalc.cli import main as entry
from llmcalc.cli.main import main
from llmcalc.core.printable import LONGEST_MESSAGE, LONGEST_NAME, escaped, escaped_json, printable, text_width
from llmcalc.report.formats.csv import render as render_csv
from llmcalc.schema import preset_files

EVIL = "=T\x1b[31m\u202eB\x07\x9b\udc80 <script>x</script> [a](javascript:x)"
FORMATS = ("table", "plain", "json", "csv", "markdown", "html", "svg", "tree")
LINES = (
    "params FILE", "explain FILE params", "flops FILE", "memory FILE --training", "fit FILE --gpu 24GB", "check FILE",
    "train FILE --tokens 1B", "compare FILE gpt1", "diff FILE gpt1", "import FILE",
    "sweep FILE flops.total --over seq=3,5",
)  # fmt: skip


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    text = Path(preset_files.shipped_folder(), "gpt2.yaml").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(("name:", "title:", "notes:", "- "))]
    quoted = json.dumps(EVIL.replace("\udc80", ""))
    file = tmp_path / "f.yaml"
    file.write_text("\n".join([f"name: {quoted}", f"title: {quoted}", *lines]), "utf-8")
    return file


def is_safe(text: str) -> bool:
    return all(sign.isprintable() or sign == "\n" for sign in text)


@pytest.mark.parametrize("line", LINES)
def test_names_and_titles_are_printable_in_every_format(
    line: str, preset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = 0
    for form in FORMATS:
        words = [str(preset) if word == "FILE" else word for word in line.split()]
        code = main([*words, *(["--format", form] if words[0] != "import" else [])])
        out, err = capsys.readouterr()
        assert code in (0, 1, 2)
        assert is_safe(out), (form, ascii(out[:300]))
        assert is_safe(err), (form, ascii(err[:300]))
        assert "Traceback" not in err
        if form in ("html", "svg", "markdown"):  # Markdown shows a derivation as code
            assert "<script>x" not in out or words[0] == "import" or (form, words[0]) == ("markdown", "explain")
        printed += code < 2
    assert printed


def test_arguments_paths_keys_and_hints_are_printable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model_type": "gpt2", EVIL: 7, "x\n\x1b[2J": 3}))
    unknown = tmp_path / "other.json"
    unknown.write_text(json.dumps({"model_type": EVIL}))
    cases = [
        ["params", EVIL], [EVIL], ["params", f"{EVIL}/x.yaml"], ["params", "gpt2", "--set", f"{EVIL}=3"],
        ["params", "gpt2", f"--{EVIL}"], ["params", str(config)], ["params", str(unknown)],
        ["fit", "gpt2", "--gpu", EVIL],
        ["sweep", "gpt2", EVIL], ["explain", "gpt2", EVIL], ["rule", EVIL], ["help", EVIL], ["params", "x" * 100_000],
    ]  # fmt: skip
    for words in cases:
        for more in ([], ["--json"]):
            code = main([*words, *more])
            out, err = capsys.readouterr()
            assert code in (0, 2), words
            assert is_safe(out), ascii(out[:300])
            assert is_safe(err), ascii(err[:300])
            assert len(err) < 2 * LONGEST_MESSAGE
            assert "Traceback" not in err


def test_an_unexpected_error_is_one_line_and_exit_code_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: list[str]) -> int:
        raise ZeroDivisionError("a\x1bb" * 1000)

    monkeypatch.setattr(entry, "_dispatch", fail)
    monkeypatch.delenv("LLMCALC_DEBUG", raising=False)
    assert main(["params", "gpt2"]) == 70
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: llmcalc failed: ZeroDivisionError: a\\x1bb")
    assert len(err) < 2 * LONGEST_NAME
    monkeypatch.setenv("LLMCALC_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["params", "gpt2"])


def test_closed_streams_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["params", "gpt2"]) == 2
    assert "standard output is closed" in errors.getvalue()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["params", "-"]) == 2
    assert "<stdin>: is closed" in errors.getvalue()


def test_messages_of_the_library_are_short() -> None:
    for call in (
        lambda: llmcalc.memory("gpt2", step_tokens="x" * 10**5),
        lambda: llmcalc.load(f"{'x' * 10**5}.json"),
        lambda: llmcalc.load({"model_type": "gpt2", "y" * 10**5: 1}, strict=True),
    ):
        with pytest.raises(llmcalc.InputError) as caught:
            call()
        assert len(str(caught.value)) < 2 * LONGEST_MESSAGE
        assert len(repr(caught.value)) < 2 * LONGEST_MESSAGE


def test_two_names_of_a_parameter_are_an_error() -> None:
    with pytest.raises(llmcalc.InputError, match="experts: cannot be combined with n_experts"):
        llmcalc.scale(compute=1e22, laws=["krajewski"], n_experts=8, experts=8)


def test_spreadsheets_do_not_evaluate_cells() -> None:
    from llmcalc.report.document import Document, Table, columns

    cells = ("=1+1", "+0.5 %", "-3", "@x", "-x", "plain")
    table = Table("", columns("name: name"), [(cell,) for cell in cells])
    text = render_csv(Document("t", dict, tables=(table,)))
    assert text.splitlines() == ["name", "'=1+1", "+0.5 %", "-3", "'@x", "'-x", "plain"]


def test_columns_of_other_scripts_are_aligned() -> None:
    from llmcalc.report.document import Document, Table, columns
    from llmcalc.report.formats.plain import render as render_plain
    from llmcalc.report.formats.table import render, wrap

    names = ("模型", "e\u0301té", "한국어-7b", "plain", "🙂")
    table = Table("", columns("name: name", "value: int"), [(name, 7) for name in names])
    for text in (
        render(Document("t", dict, tables=(table,)), "never"),
        render_plain(Document("t", dict, tables=(table,))),
    ):
        lines = [line for line in text.splitlines() if line.endswith("7")]
        assert len(lines) == len(names)
        assert len({text_width(line) for line in lines}) == 1
        assert len(lines[0]) == text_width(lines[0]) - 2
    assert wrap("模型模型 a", 5) == ["模型", "模型", "a"]


def test_texts() -> None:
    assert printable("a\nb\u00a0c\u202e", 5) == "a b …"
    assert escaped("a\n\tb\u202e") == "a\n b\\u202e"
    data = {"a\u202e\udc80\x9b": "\U000e0001\n"}
    text = escaped_json(json.dumps(data, indent=1, ensure_ascii=False))
    assert json.loads(text) == data
    assert is_safe(text)


def test_an_error_is_one_line_whatever_names_a_file_has() -> None:
    error = llmcalc.InputError("unknown a\n\tb\u202e", where="c\nd", hint="e\x1b[31m")
    assert str(error) == "c d: unknown a  b\\u202e\n  e\\x1b[31m"
