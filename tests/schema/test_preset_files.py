"""Where presets are found, and which of two wins."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import llmcalc
from llmcalc.core.errors import DescriptionError, UnknownNameError
from llmcalc.schema import preset_files

Guard = Callable[[str], AbstractContextManager[None]]
ONE = """\
name: {name}
aliases: {{the-one: null}}
architecture:
  stacks:
    decoder:
      d_model: {width}
      outputs: {{norm: {{rmsnorm: {{}}}}}}
"""


def write(folder: Path, name: str, width: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(ONE.format(name=name, width=width), "utf-8")
    return folder


def width_of(name: str) -> int:
    return llmcalc.params(llmcalc.load(name)).total


def test_the_users_folders_win_in_their_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "config"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    assert width_of("gpt2") == 124_439_808
    write(config / "llmcalc" / "presets", "gpt2", 2)
    assert width_of("gpt2") == 2
    write(tmp_path / ".llmcalc", "gpt2", 3)
    assert width_of("gpt2") == 3
    second, first = write(tmp_path / "second", "gpt2", 5), write(tmp_path / "first", "gpt2", 7)
    monkeypatch.setenv("LLMCALC_PATH", os.pathsep.join([str(first), str(second)]))
    assert width_of("gpt2") == 7
    (first / "gpt2.yaml").unlink()
    assert width_of("gpt2") == 5
    # the base of a shipped preset is the shipped one, even if the user has a gpt2
    assert width_of("gpt3") == 174_604_259_328


def test_an_edit_is_seen_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLMCALC_PATH", str(write(tmp_path, "mine", 3)))
    assert width_of("mine") == 3
    write(tmp_path, "mine", 11)
    assert width_of("mine") == 11


def test_a_json_file_next_to_a_user_preset_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLMCALC_PATH", str(write(tmp_path, "mine", 3)))
    (tmp_path / "mine.json").write_text("{}", "utf-8")
    assert width_of("mine") == 3


@pytest.mark.parametrize("name", ["gpt3", "GPT3", " gpt3 ", "gpt-3", "gpt3-175b", "GPT3-175B"])
def test_names_aliases_and_their_case(name: str) -> None:
    assert llmcalc.load(name).name == "gpt3-175b"


@pytest.mark.parametrize("name", ["gpt33", "", " ", "gpt3-176b", "x" * 10_000, "gpt3\0", "-gpt3", "ғpt3"])
def test_an_unknown_name_is_an_error(name: str, no_hang: Guard) -> None:
    with pytest.raises(UnknownNameError) as caught, no_hang(name):
        llmcalc.load(name)
    assert len(str(caught.value)) < 500


def test_near_names_are_suggested() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean .*gpt3-175b"):
        llmcalc.load("gpt3-176b")


def test_a_broken_preset_of_the_users_hides_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: 1\na: 2\n", "utf-8")
    (tmp_path / "odd.yaml").write_text("name: odd\nsizes: 7\naliases: [x]\n", "utf-8")
    monkeypatch.setenv("LLMCALC_PATH", str(tmp_path))
    assert llmcalc.load("gpt-3").name == "gpt3-175b"
    with pytest.raises(DescriptionError, match="duplicate key") as caught:
        llmcalc.load("broken")
    assert caught.value.where == f"{tmp_path / 'broken.yaml'}:2:1"
    with pytest.raises(DescriptionError, match="mapping"):
        llmcalc.load("odd")


def test_a_folder_that_cannot_be_listed_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("", "utf-8")
    monkeypatch.setenv("LLMCALC_PATH", os.pathsep.join([str(file), str(tmp_path / "missing"), ""]))
    assert llmcalc.load("gpt3").name == "gpt3-175b"


def test_every_name_means_one_model() -> None:
    names = preset_files.names()
    assert len(names) > 50
    seen: dict[str, str] = {}
    for stem, file in preset_files.files().items():
        for alias in preset_files.read_preset(file).get("aliases") or {}:
            assert seen.setdefault(alias.lower(), stem) == stem, alias


def test_a_size_of_a_file_is_named_after_a_colon(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    text = ONE.format(name="mine", width="$d_model").replace("aliases: {the-one: null}\n", "")
    file.write_text(text + "sizes: {8b: {d_model: 3}, 70b: {d_model: 11}}\n", "utf-8")
    assert [width_of(f"{file}:{size}") for size in ("8b", "70b")] == [3, 11]
    assert llmcalc.load(f"{file}:8b", overrides=["d_model=5"]).name == "mine-8b"
    with pytest.raises(UnknownNameError, match="did you mean 70b") as caught:
        llmcalc.load(f"{file}:7b")
    assert "sizes: 8b, 70b" in str(caught.value)
    with pytest.raises(DescriptionError, match=r"mine\.yaml:8b"):
        llmcalc.load(file)
    with pytest.raises(DescriptionError, match="file not found"):
        llmcalc.load(tmp_path / "other.yaml:8b")
