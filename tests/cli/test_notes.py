"""Notes that bear on the question are printed; the others are behind ``--notes``, and in every other format."""

from __future__ import annotations

import json

import pytest

from llmcalc import load
from llmcalc.cli.commands import load as load_command
from llmcalc.cli.main import main
from llmcalc.cli.table import COMMANDS

Capture = pytest.CaptureFixture[str]
REMARK = "misprints the feed-forward widths"  # of llama3
ASSUMPTION = "modelled as dense"  # of gpt3
LINES = (
    "flops {}", "traffic {}", "communication {} --tp 8", "memory {}", "memory {} --training", "train {}",
    "compare {} gpt2", "fit {} --gpu h100:8", "serve {} --gpu h200:8 --max-model-len 1k", "latency {} --gpu h100:8",
    "rl {} --gpu h100:8", "plan {} --gpu h100:8", "explain {} params --depth 0",
    "sweep {} params.total --over seq=1k,2k", "scale {} --tokens 1T",
)  # fmt: skip


def screen(capsys: Capture, line: str) -> str:
    assert main(line.split()) in (0, 1)
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("line", LINES)
def test_remarks_are_behind_the_option_and_assumptions_are_not(line: str, capsys: Capture) -> None:
    brief, full = (screen(capsys, line.format("llama3-8b") + option) for option in ("", " --notes"))
    assert REMARK not in brief
    more = brief.removesuffix("; every table: --all")
    assert more.endswith(("1 more note: --notes", "more notes: --notes"))
    assert REMARK in full
    assert "more note" not in full
    assert ASSUMPTION in screen(capsys, line.format("gpt3"))


def test_every_command_with_the_option_is_tried() -> None:
    tried = {line.split()[0] for line in LINES}
    named = {name for name in COMMANDS if "--notes" in load_command(name).options}
    assert named - {"check-log", "calibrate"} == tried  # which read a file


@pytest.mark.parametrize("line", ["params llama3-8b", "verify llama3-8b"])
def test_how_a_model_is_built_needs_every_note(line: str, capsys: Capture) -> None:
    assert REMARK in screen(capsys, line)


@pytest.mark.parametrize("form", ["plain", "markdown", "html"])
def test_other_formats_have_every_note(form: str, capsys: Capture) -> None:
    assert REMARK in screen(capsys, f"memory llama3-8b --format {form}")


def test_json_has_every_note(capsys: Capture) -> None:
    assert main(["memory", "llama3-8b", "--json"]) == 0
    assert any(REMARK in note for note in json.loads(capsys.readouterr().out)["result"]["notes"])
    assert main(["memory", "llama3-8b", "--json", "--notes"]) == 2
    assert "--notes: json has every note" in capsys.readouterr().err


def test_a_screen_without_further_notes_does_not_mention_them(capsys: Capture) -> None:
    assert not load("gpt3").remarks
    assert "--notes" not in screen(capsys, "flops gpt3")
