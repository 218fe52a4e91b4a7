"""A preset is validated without pydantic as with it: the same is accepted, and errors have the same texts."""

from __future__ import annotations

import copy
import random
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llmcalc.core.errors import InputError
from llmcalc.schema import preset_files
from llmcalc.schema.models.preset import Preset
from llmcalc.schema.models.validation import validate
from llmcalc.schema.plain_validation import check_by_schema

PRESETS = sorted(Path(preset_files.shipped_folder()).glob("*.yaml"))
VALUES = (None, True, 7, -1, 0.5, float("nan"), "", "soon", [], [7], [None], {}, {"a": 1}, {7: 1}, [[7]], {"source": 1})
# texts of pydantic where an alternative of a union is a mapping, and the order of its choices
OTHER_TEXTS = re.compile(
    "a valid dictionary|or unknown key|or field required|^unknown quantity|a string or a (list|mapping)"
)
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


def error_of(check: Any, data: Any) -> tuple[str, str, Any] | None:
    try:
        check(data)
    except InputError as error:
        return error.message, error.hint, error.path
    return None


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values outside the architecture."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    found = [path] if path else []
    return found + [place for key, value in items if key != "architecture" for place in places(value, (*path, key))]


@pytest.mark.parametrize("file", PRESETS, ids=lambda file: file.stem)
def test_shipped_presets_are_accepted(file: Path) -> None:
    check_by_schema(preset_files.read_preset(file))


def test_mistakes_have_the_same_error() -> None:
    chance = random.Random(7)
    data = [KINDS, *(dict(preset_files.read_preset(file)) for file in PRESETS)]
    assert error_of(check_by_schema, KINDS) is None
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
        expected = error_of(partial(validate, Preset), wrong)
        n_errors += expected is not None
        found = error_of(check_by_schema, wrong)
        is_worse = expected is not None and OTHER_TEXTS.search(expected[0]) is not None
        if (found is None) != (expected is None) or (found != expected and not is_worse):
            differences.append(((*above, key), value, expected, found))
    assert n_errors > 2000
    assert not differences, "\n".join(map(str, [len(differences), *differences[:20]]))
