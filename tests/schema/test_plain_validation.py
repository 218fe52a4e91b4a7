"""A preset is validated without pydantic as with it: the same is accepted, and errors have its places."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from llmcalc.core.errors import InputError
from llmcalc.schema import preset_files
from llmcalc.schema.models.preset import Preset
from llmcalc.schema.plain_validation import validate_preset

PRESETS = sorted(Path(preset_files.shipped_folder()).glob("*.yaml"))
VALUES = (None, True, 7, -1, 0.5, float("nan"), "", "soon", [], [7], [None], {}, {"a": 1}, {7: 1}, [[7]], {"source": 1})
KINDS = {
    "name": "own",
    "kinds": {
        "mix": {
            "description": "a mixer", "fields": {"n": "int", "p": 0.5},
            "axes": {"h": {"size": "n", "shard": "tensor"}, "e": 7},
            "tensors": ["w[d | h]", {"tensor": "v[h | d]", "table": "token", "active": ["h", "e"]}],
            "equations": ["y[b q d] = x[b q d]"], "state": [{"tensor": "k[b h]", "role": "kv"}], "mask": {"window": 5},
        }
    },
    "checkpoint": {"all": {"source": "a", "dtype": "bfloat16", "quantization_config": {}}},
    "encoder": {"all": {"source": "a", "config": {}}},
    "notes": {"all": ["one"]}, "unmodelled": ["one"], "architecture": {},
}  # fmt: skip


def error_of(data: Any) -> InputError | None:
    try:
        validate_preset(data)
    except InputError as error:
        return error
    return None


def places_of_pydantic(data: Any) -> set[tuple[Any, ...]]:
    """Places of the errors of pydantic, without the names of alternatives and of missing keys."""
    found = set()
    try:
        Preset.model_validate(data)
    except ValidationError as error:
        for each in error.errors():
            value, path = data, ()
            for key in each["loc"]:
                if key in value if isinstance(value, dict) else isinstance(value, list) and key in range(len(value)):
                    value, path = value[key], (*path, key)
            found.add(path)
    return found


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values outside the architecture."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    found = [path] if path else []
    return found + [place for key, value in items if key != "architecture" for place in places(value, (*path, key))]


@pytest.mark.parametrize("file", PRESETS, ids=lambda file: file.stem)
def test_shipped_presets_are_accepted(file: Path) -> None:
    validate_preset(preset_files.read_preset(file))


def test_mistakes_are_found_where_pydantic_finds_them() -> None:
    chance = random.Random(7)
    data = [KINDS, *(dict(preset_files.read_preset(file)) for file in PRESETS)]
    assert error_of(KINDS) is None
    differences, n_errors = [], 0
    for _ in range(4000):
        wrong = copy.deepcopy(KINDS if chance.random() < 0.3 else chance.choice(data))
        *above, key = chance.choice(places(wrong))
        holder = wrong
        for step in above:
            holder = holder[step]
        value = chance.choice(VALUES)
        if isinstance(holder, dict) and chance.random() < 0.3:
            holder.pop(key)
            if chance.random() < 0.5:
                holder[f"{key}x"] = value
        else:
            holder[key] = value
        expected, found = places_of_pydantic(wrong), error_of(wrong)
        n_errors += found is not None
        if found is None or found.message.startswith("unknown size"):  # pydantic does not compare sizes
            is_same = not expected
        else:
            is_same = found.path in expected or (found.path or ())[:-1] in expected
        if not is_same:
            differences.append(((*above, key), value, expected, found))
    assert n_errors > 2000
    assert not differences, "\n".join(map(str, [len(differences), *differences[:20]]))
