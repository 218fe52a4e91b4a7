"""Help that fits a screen: at most 60 lines of 80 columns, every option in one line, and examples that run."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from shutil import copy

import pytest

from llmcalc.cli.commands import load
from llmcalc.cli.help_screen import MARGIN, OPTIONS, panels, render_help
from llmcalc.cli.main import main
from llmcalc.cli.table import COMMANDS, GROUPS
from llmcalc.cli.texts import examples, panels_of, texts
from llmcalc.core.setting import FRAMES, PATCHES, SIZES
from llmcalc.inputs.settings import MEMORY, STEP

EVERY = ["", *GROUPS, *COMMANDS]
MOST_LINES = 60
LONGEST_TEXT = 48
N_EXAMPLES = 3
SERVERS = ("web build", "web serve")  # need Pyodide, and serve until interrupted; tests/web runs them
LOG = Path(__file__).parents[1] / "server.log"
ROWS = LOG.parent / "serving_rows.csv"
CONFIG = {
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 35, "num_attention_heads": 5,
    "intermediate_size": 77, "vocab_size": 101,
}  # fmt: skip
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("name", EVERY)
def test_help_fits_a_screen(name: str) -> None:
    lines = render_help(name, columns=80).splitlines()
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("name", EVERY)
def test_help_fits_the_terminal_and_names_every_option(name: str, columns: int) -> None:
    text = render_help(name, columns=columns)
    assert max(map(len, text.splitlines())) <= columns
    assert name not in COMMANDS or set(load(name).options) <= set(text.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_one_line_with_a_short_text(name: str) -> None:
    command = load(name)
    lines = [line for panel in panels(command).values() for line in panel]
    flags = [option.flag for line in lines for option in line.options]
    assert sorted(flags) == sorted({option.flag for option in command.options.values()})
    for line in lines:
        assert len(line.text) <= LONGEST_TEXT, line
        words = line.label.split()
        takes_value = [option.kind is not bool for option in line.options]
        assert any(takes_value) == any(not word.startswith("-") for word in words), line


def test_no_line_is_shown_in_part_and_none_is_left_over() -> None:
    commands = [load(name) for name in COMMANDS]
    shown = {_flags(line.label) for command in commands for panel in panels(command).values() for line in panel}
    written = {
        _flags(line.strip().split("  ")[0])
        for text in (*texts("panels").values(), *(text for name in COMMANDS for text in panels_of(name).values()))
        for line in text.strip().splitlines()
    }
    assert written <= shown
    assert all(len(flags) == 1 for flags in shown - written)


def test_every_option_and_setting_says_what_it_means() -> None:
    options = {option.name: option for name in COMMANDS for option in load(name).options.values()}
    for option in options.values():
        assert option.help.endswith(".")
        assert "{" not in option.help
        assert bool(option.metavar or option.choices) == (option.kind is not bool), option.flag
    declared = {setting.name: setting for setting in (*MEMORY, *STEP, *SIZES, PATCHES, FRAMES)}
    assert [name for name, setting in declared.items() if not setting.help] == ["mesh"]
    for setting in declared.values():  # an option in braces exists
        assert {f"--{name}" for name in re.findall(r"{([a-z-]+)}", setting.help)} <= {o.flag for o in options.values()}


def _flags(label: str) -> tuple[str, ...]:
    return tuple(word for word in label.split() if word.startswith("--"))


def test_panels_have_the_names_that_all_commands_share() -> None:
    found = list(panels(load("fit")))
    assert found == ["GPU", "Model", "Workload", "Formats", "Serving", "Training", "Parallelism", "Output"]
    assert next(iter(panels(load("params")))) == OPTIONS


def test_every_command_answers_one_question() -> None:
    named = [name for names in texts("headings").values() for name in names]
    expected = {name.split()[0] if name.split()[0] in GROUPS else name for name in COMMANDS}
    assert sorted(named) == sorted(expected)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_the_program_says_which_command_answers_which_question(words: list[str], capsys: Capture) -> None:
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "Does it fit on my GPUs?\n  fit " in printed.out
    assert not printed.err


@pytest.mark.parametrize(
    "line", ["fit --help", "fit -h", "help fit", "fit gpt3 --gpu h100 --help", "presets", "help presets show"]
)
def test_help_is_asked_for_in_several_ways(line: str, capsys: Capture) -> None:
    assert main(line.split()) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"Usage: llmcalc {'fit [MODEL]' if 'fit' in line else 'presets '}")
    assert not printed.err


def test_colour_follows_the_environment(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    texts = {}
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv(name, "1")
        assert main(["fit", "--help"]) == 0
        texts[name] = capsys.readouterr().out
    assert "\x1b[36m--gpu NAME[:N]" in texts["FORCE_COLOR"]
    assert re.sub(r"\x1b\[\d*m", "", texts["FORCE_COLOR"]).split() == texts["NO_COLOR"].split()


def test_the_long_text_of_an_option_is_printed(capsys: Capture) -> None:
    assert main(["help", "fit", "--solve", "--reserve"]) == 0
    text = capsys.readouterr().out
    assert "--solve seq|batch|quant|gpus|gpu-layers|cpu-experts|recipe\n  Solve for the largest seq or batch" in text
    assert "(default: 1GiB)" in " ".join(text.split())


def test_other_names_of_options_are_listed_and_accepted(capsys: Capture) -> None:
    assert main(["help", "fit", "--max-model-len"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("--seq N\n")
    assert "Other names: --context-length, --ctx" in " ".join(text.split())


def test_help_of_an_unknown_option_is_refused(capsys: Capture) -> None:
    assert main(["help", "memory", "--gpu"]) == 2
    assert "llmcalc fit --gpu NAME[:N]" in capsys.readouterr().err


def test_help_of_an_unknown_command_is_refused(capsys: Capture) -> None:
    assert main(["help", "fitt"]) == 2
    assert "did you mean fit?" in capsys.readouterr().err


def test_every_command_has_three_examples() -> None:
    assert list(texts("commands")) == list(COMMANDS)
    assert set(texts("groups")) == set(GROUPS)
    for name in COMMANDS:
        lines = examples(name)
        assert len(set(lines)) == N_EXAMPLES
        assert max(map(len, lines)) <= 80 - MARGIN
        assert all(shlex.split(line)[: len(name.split()) + 1] == ["llmcalc", *name.split()] for line in lines)


@pytest.mark.parametrize("line", [line for name in COMMANDS if name not in SERVERS for line in examples(name)])
def test_examples_run(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    copy(LOG, tmp_path)
    copy(ROWS, tmp_path / "rows.csv")
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(line)[1:]) in (0, 1), capsys.readouterr().err
    printed = capsys.readouterr()
    assert printed.out
    assert not printed.err
