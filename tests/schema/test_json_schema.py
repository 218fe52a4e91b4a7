"""The JSON Schema of presets accepts what the reader accepts, and refuses the mistakes that an editor can see."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from llmcalc import layers
from llmcalc.core.errors import InputError
from llmcalc.core.record import fields
from llmcalc.schema import preset_files
from llmcalc.schema.json_schema import preset_schema
from llmcalc.schema.preset import build_preset

SCHEMA = preset_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
FILES = sorted(Path(preset_files.shipped_folder()).glob("*.yaml"))

SMALL: dict[str, Any] = {
    "name": "small",
    "variables": {"d_ff": "$4 * d_model"},
    "architecture": {
        "stacks": {
            "decoder": {
                "d_model": "$d_model",
                "norms": {"pre": {"rmsnorm": {}}},
                "inputs": {"token": {"embedding": {"rows": 31}}},
                "blocks": {"block": {"attention": {"mha": {"n_heads": 3}}, "mlp": {"mlp": {"d_ff": "$d_ff"}}}},
                "order": ["block * 2", {"cycle": ["block"], "length": 3}],
                "outputs": {"head": {"head": {"vocab": 31}}},
            }
        }
    },
    "sizes": {"one": {"d_model": 12}},
    "expect": {"one": [{"quantity": "total", "value": 17, "source": "nobody"}]},
}
DECODER = ("architecture", "stacks", "decoder")
MISTAKES: list[tuple[tuple[Any, ...], Any]] = [
    (("nmae",), "small"),
    (("status",), "guessed"),
    (("year",), "last"),
    ((*DECODER, "depth"), 3),
    ((*DECODER, "d_model"), 0),
    ((*DECODER, "d_model"), 1.5),
    ((*DECODER, "role"), "both"),
    ((*DECODER, "norms", "before"), {"rmsnorm": {}}),
    ((*DECODER, "inputs", "token"), {"embedding": {"rows": 31}, "norm": {}}),
    ((*DECODER, "blocks", "block", "attention"), {"mhaa": {}}),
    ((*DECODER, "blocks", "block", "attention", "mha", "heads"), 3),
    ((*DECODER, "blocks", "block", "attention", "mha", "n_heads"), -3),
    ((*DECODER, "blocks", "block", "attention", "mha", "causal"), 1),
    ((*DECODER, "blocks", "block", "mlp", "mlp", "activation"), "swish"),
    ((*DECODER, "order"), {"blocks": "block", "times": 3}),
    (("expect", "one", 0, "quality"), 3),
]


def changed(path: tuple[Any, ...], value: Any) -> Any:
    data = copy.deepcopy(SMALL)
    at: Any = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return data


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_preset_fits(file: Any) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(preset_files.read_preset(file))] == []


def test_a_small_preset_fits_and_builds() -> None:
    assert VALIDATOR.is_valid(SMALL)
    assert build_preset(SMALL, None, (), None).name == "small-one"


@pytest.mark.parametrize(("path", "value"), MISTAKES, ids=lambda item: str(item))
def test_a_mistake_is_seen_by_the_schema_and_by_the_reader(path: tuple[Any, ...], value: Any) -> None:
    data = changed(path, value)
    assert not VALIDATOR.is_valid(data)
    with pytest.raises(InputError):
        build_preset(data, None, (), None)


@pytest.mark.parametrize("kind", layers.kinds())
def test_every_field_of_every_kind_is_described(kind: str) -> None:
    properties = SCHEMA["$defs"][f"kind_{kind}"]["properties"]
    names = [entry.name for entry in fields(layers.find(kind)[0])]
    assert [*properties] == names + ["positions"] * ({"rope", "score_bias"} <= {*names})
    assert [name for name, field in properties.items() if not field.get("description")] == []


def test_an_unknown_field_is_seen() -> None:
    for name, value in (("rope_theta", 5.0), ("gated", True)):
        data = changed((*DECODER, "blocks", "block", "attention", "mha", name), value)
        assert not VALIDATOR.is_valid(data), name


def test_the_shipped_file_is_what_the_command_prints() -> None:
    shipped = Path(preset_files.shipped_folder(), "preset.schema.json")
    assert json.loads(shipped.read_text("utf-8")) == SCHEMA, "run: llmcalc schema > presets/preset.schema.json"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_preset_names_the_schema_in_its_first_line(file: Any) -> None:
    assert file.read_text("utf-8").startswith("# yaml-language-server: $schema=preset.schema.json\n")


def test_kinds_of_a_preset_are_accepted_where_they_are_defined() -> None:
    kind = {"fields": {"n_slots": "int"}, "axes": {"d": "d_model"}, "equations": ["y[b q d] = scale(x)"]}
    data = changed((*DECODER, "blocks", "block", "mlp"), {"slots": {"n_slots": "$d_ff"}})
    assert not VALIDATOR.is_valid(data)
    data["kinds"] = {"slots": kind}
    assert VALIDATOR.is_valid(data)
    assert build_preset(data, None, (), None).name == "small-one"
    data["kinds"]["slots"]["axis"] = {}
    assert not VALIDATOR.is_valid(data)
