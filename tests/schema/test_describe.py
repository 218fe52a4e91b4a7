"""A resolved description is the model: reading it again gives an equal one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from llmcalc import load
from llmcalc.core.description.fingerprint import fingerprint
from llmcalc.schema.describe import describe
from llmcalc.schema.preset import load_text
from llmcalc.schema.preset_files import names


@pytest.mark.parametrize("name", sorted({Path(found.file).stem for found in names().values()}))
def test_reading_a_description_gives_the_model_back(name: str) -> None:
    architecture = load(name)
    text = yaml.safe_dump(describe(architecture), sort_keys=False)
    for again in (load_text(text, "resolved"), load(json.loads(json.dumps(describe(architecture))))):
        assert again.stacks == architecture.stacks
        assert again.extras == architecture.extras
        assert fingerprint(again) == fingerprint(architecture)


def test_a_fingerprint_tells_models_apart() -> None:
    prints = {fingerprint(load("gpt2", overrides=overrides)) for overrides in ([], ["n_layers=11"], ["n_heads=6"])}
    assert len(prints) == 3
