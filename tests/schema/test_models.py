"""The models of presets, data files and results accept what is shipped, and name the key of every mistake in it."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.core.errors import InputError
from llmcalc.schema import preset_files
from llmcalc.schema.models.data import TABLES, check_data_file
from llmcalc.schema.plain_validation import validate_preset
from llmcalc.schema.preset import check_file
from llmcalc.schema.yaml_reader import read_yaml

PACKAGE = Path(llmcalc.__file__).parent
DATA = sorted([*PACKAGE.rglob("*.yaml"), *(PACKAGE / "data").rglob("*.json")])
DATA = [file for file in DATA if file.suffix == ".yaml" or not file.with_suffix(".yaml").is_file()]
DATA = [file for file in DATA if file.parent != Path(preset_files.installed_folder())]
TABLE_FILES = [file for file in DATA if file.parent.name != "hf"]
SOURCED = [file for file in TABLE_FILES if re.search(r"\bsource: ", file.read_text("utf-8")) and file.stem != "results"]
PRESETS = sorted(Path(preset_files.shipped_folder()).glob("*.yaml"))
NAME = {"ids": lambda file: file.relative_to(PACKAGE).with_suffix("").as_posix() if file in DATA else file.stem}


def mappings(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Every mapping in plain data, with its path of keys."""
    if isinstance(data, dict):
        yield path, data
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from mappings(value, (*path, key))


def problem(file: Path, data: Any, folder: Path) -> str:
    """The error that a data file with this content gives."""
    place = folder / file.relative_to(PACKAGE).with_suffix(".yaml")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(data, indent=1), "utf-8")
    with pytest.raises(InputError) as caught:
        check_data_file(place, folder)
    assert re.match(rf"{re.escape(str(place))}:\d+:\d+: ", str(caught.value)), str(caught.value)
    return str(caught.value)


def test_every_data_file_is_valid() -> None:
    for file in DATA:
        check_data_file(file, PACKAGE)


@pytest.mark.parametrize("file", PRESETS, **NAME)
def test_every_preset_is_valid(file: Path) -> None:
    validate_preset(preset_files.read_preset(file))


def test_every_model_of_a_table_is_in_use() -> None:
    names = [file.relative_to(PACKAGE).with_suffix("") for file in DATA]
    assert [pattern for pattern in TABLES if not any(name.match(pattern) for name in names)] == []


def test_a_data_file_without_a_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "new.yaml").write_text("a: 1\n", "utf-8")
    with pytest.raises(InputError, match="no model describes this file"):
        check_data_file(tmp_path / "data" / "new.yaml", tmp_path)


@pytest.mark.parametrize("file", TABLE_FILES, **NAME)
def test_a_wrong_type_in_a_data_file_is_named(file: Path, tmp_path: Path) -> None:
    data = read_yaml(file.read_text("utf-8"), file.name).data
    key = next(iter(data))
    assert re.search(rf"{key}\S* must be .*, not \[+7\]+", problem(file, {**data, key: [[7]]}, tmp_path))


@pytest.mark.parametrize("file", SOURCED, **NAME)
def test_an_unknown_key_and_a_missing_source_in_a_data_file_are_named(file: Path, tmp_path: Path) -> None:
    data = read_yaml(file.read_text("utf-8"), file.name).data
    path, entry = next((path, found) for path, found in mappings(data) if "source" in found)
    original = dict(entry)
    entry["sourse"] = entry["source"]
    assert "unknown key 'sourse'" in problem(file, data, tmp_path)
    del entry["sourse"], entry["source"]
    assert "missing key 'source'" in problem(file, data, tmp_path)
    entry |= original | {"source": 7}
    assert f"{'.'.join(map(str, [*path, 'source']))} must be a string, not 7" in problem(file, data, tmp_path)


@pytest.mark.parametrize("key", ["year", "sizes", "notes", "expect", "facts", "aliases", "status"])
def test_a_wrong_type_in_a_preset_is_named(key: str) -> None:
    data = {**preset_files.read_preset(Path(preset_files.shipped_folder()) / "gpt3.yaml"), key: [7]}
    with pytest.raises(InputError, match=f"{key}") as caught:
        validate_preset(data)
    assert caught.value.path == (key,)


@pytest.mark.parametrize("key", ["expect", "facts"])
def test_an_unknown_key_and_a_missing_source_in_a_preset_are_named(key: str) -> None:
    data = copy.deepcopy(preset_files.read_preset(Path(preset_files.shipped_folder()) / "gpt3.yaml"))
    entry = data[key]["175b"][0]
    entry["sourse"] = entry.pop("source")
    with pytest.raises(InputError, match="unknown key 'sourse'") as caught:
        validate_preset(data)
    assert caught.value.hint == "did you mean source?"
    del entry["sourse"]
    with pytest.raises(InputError, match="missing key 'source'") as caught:
        validate_preset(data)
    assert caught.value.path == (key, "175b", 0)


def test_a_broken_preset_fails_the_build(tmp_path: Path) -> None:
    file = tmp_path / "gpt3.yaml"
    text = (Path(preset_files.shipped_folder()) / "gpt3.yaml").read_text("utf-8")
    file.write_text(text.replace("year: 2020", "year: soon"), "utf-8")
    with pytest.raises(InputError, match=r"gpt3\.yaml:\d+:1: year must be an integer, not 'soon'"):
        check_file(file)
    file.write_text(text.replace("name: gpt3", "name: gpt4"), "utf-8")
    with pytest.raises(InputError, match="name must be 'gpt3' to match the file name"):
        check_file(file)


def test_many_mistakes_take_no_longer_than_one() -> None:
    data = {"name": "a", "notes": {"all": list(range(30_000))}}
    begin = time.process_time()
    with pytest.raises(InputError, match=r"notes\.all\.0 must be a string|missing key"):
        validate_preset(data)
    assert time.process_time() - begin < 5  # a guard: the time of a quadratic search is a minute
