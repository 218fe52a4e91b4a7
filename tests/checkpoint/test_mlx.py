"""Checkpoints that MLX quantises, against the bytes of models that mlx-lm 0.32.2 built and quantised.

``mlx.json`` has small configs and, for each quantisation that mlx-lm wrote into the config, the bytes of all arrays. Of
the six quantisations, the last one has settings by module.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.checkpoint.quantisation import mlx

WRITTEN: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("mlx.json").read_text("utf-8"))
LLAMA = WRITTEN["llama"]["config"]


def weights(quantisation: dict[str, Any], **more: Any) -> int:
    return llmcalc.memory(llmcalc.load({**LLAMA, **more, "quantization": quantisation}), seq=8).weights


@pytest.mark.parametrize("family", WRITTEN)
def test_memory_is_that_of_the_arrays(family: str) -> None:
    config = WRITTEN[family]["config"]
    for quantisation, written in WRITTEN[family]["models"]:
        found = llmcalc.load({**config, "quantization": quantisation, "quantization_config": quantisation})
        memory = llmcalc.memory(found, seq=8)
        assert memory.weights == written, quantisation
        assert all(entry.format.checked for entry in memory.stored)


def test_each_tested_type_is_here() -> None:
    assert set(mlx.TESTED.split()) == set(WRITTEN)


def test_another_type_is_marked_as_untested() -> None:
    found = llmcalc.load({"model_type": "apertus", "quantization": {"group_size": 64, "bits": 4}})
    assert not all(entry.format.checked for entry in llmcalc.memory(found, seq=8).stored)


def test_settings_of_a_module_override_those_of_the_model() -> None:
    plain, rows = {"group_size": 64, "bits": 4}, LLAMA["intermediate_size"] * LLAMA["hidden_size"]
    name = "model.layers.1.mlp.down_proj"
    assert weights({**plain, name: {"bits": 8, "group_size": 64}}) - weights(plain) == rows * 4 // 8
    assert weights({**plain, name: False}) - weights(plain) == rows * 16 // 8 - rows * 4 // 8 - rows // 64 * 4
    assert weights({**plain, name: True}) == weights(plain)


def test_rows_that_are_not_whole_groups_stay_as_they_are() -> None:
    sizes = {"hidden_size": 96, "intermediate_size": 160, "head_dim": 24}
    bare = llmcalc.memory(llmcalc.load({**LLAMA, **sizes}), seq=8).weights
    assert weights({"group_size": 64, "bits": 4}, **sizes) == bare


@pytest.mark.parametrize(
    ("quantisation", "message"),
    [
        ({"group_size": 64, "bits": 4, "mode": "other"}, "unknown mode 'other'"),
        ({"group_size": -1, "bits": 4}, "group_size must be at least 1, not -1"),
        ({"group_size": 64, "bits": 99}, "bits must be from 1 to 32, not 99"),
    ],
)
def test_wrong_settings_are_errors(quantisation: dict[str, Any], message: str) -> None:
    with pytest.raises(llmcalc.InputError, match=message):
        llmcalc.memory(llmcalc.load({**LLAMA, "quantization": quantisation}), seq=8)
