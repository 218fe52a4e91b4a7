"""Values of a config that contradict each other, or that no model can have, are errors in every family."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.data import table
from llmcalc.importers.hf import families
from llmcalc.importers.hf.config_keys import is_irrelevant

DEFAULTS = Path(llmcalc.__file__).parent / "data" / "hf"
LLAMA = {"model_type": "llama", "num_hidden_layers": 3, "vocab_size": 101}


@cache
def shipped(model_type: str) -> dict[str, Any]:
    file = DEFAULTS / f"{model_type}.json"
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def total(config: dict[str, Any]) -> int | None:
    try:
        return llmcalc.params(llmcalc.load(config)).total
    except llmcalc.InputError:
        return None


def readable() -> list[str]:
    return [name for name in families.names() if total({"model_type": name}) is not None]


def refusal(config: dict[str, Any]) -> str:
    with pytest.raises(llmcalc.InputError) as caught:
        llmcalc.load(config)
    return str(caught.value)


@pytest.mark.parametrize("model_type", readable())
def test_null_is_an_error_where_the_class_refuses_it(model_type: str) -> None:
    data = shipped(model_type)
    if "nullable" not in data:
        pytest.skip("not a class of transformers")
    for key, value in data["defaults"].items():
        if value is not None and key not in data["nullable"] and not is_irrelevant(key):
            assert f"{key} must not be null" in refusal({"model_type": model_type, key: None})


@pytest.mark.parametrize("model_type", readable())
def test_a_list_per_layer_has_an_entry_of_a_known_type_for_each_layer(model_type: str) -> None:
    data = shipped(model_type)
    layers = data.get("defaults", {}).get(data["aliases"].get("num_hidden_layers", "num_hidden_layers")) if data else 0
    if type(layers) is not int:
        pytest.skip("no number of layers")
    for key in ("layer_types", "mlp_layer_types"):
        if key in data["defaults"]:
            word = "full_attention" if key == "layer_types" else "dense"
            refusal({"model_type": model_type, key: [word] * (layers + 1)})
            refusal({"model_type": model_type, key: ["nonsense"] * layers})


@pytest.mark.parametrize("key", ["rope_parameters", "rope_scaling"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nonsense", "must be an object"),
        ([1], "must be an object"),
        ({"rope_type": "nonsense", "factor": 2.0}, "unknown rope_type 'nonsense'"),
        ({"type": 3}, "unknown type 3"),
        ({"rope_type": "linear", "factor": 0}, "factor must be a positive number"),
        ({"rope_type": "default", "rope_theta": "10000"}, "rope_theta must be"),
        (
            {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, -3]},
            "mrope_section must be a list of positive",
        ),
        ({"full_attention": {"rope_type": "nonsense"}}, "'nonsense' in full_attention"),
    ],
)
def test_garbage_in_rotary_settings_is_an_error(key: str, value: object, said: str) -> None:
    for model_type in ("llama", "gemma3_text", "qwen2_vl_text", "modernbert"):
        assert said in refusal({"model_type": model_type, key: value}) or key == "rope_scaling"
    assert said in refusal({**LLAMA, key: value})


def test_two_names_of_one_setting_agree() -> None:
    twice = {"rope_theta": 5.0, "rope_parameters": {"rope_type": "default", "rope_theta": 7.0}}
    assert "rope_theta is 5.0, but the rope_theta in rope_parameters is 7.0" in refusal({**LLAMA, **twice})
    assert "torch_dtype is 'float16', but dtype is 'bfloat16'" in refusal(
        {**LLAMA, "torch_dtype": "float16", "dtype": "bfloat16"}
    )
    assert llmcalc.load({**LLAMA, "torch_dtype": "torch.float16", "dtype": "float16"})
    assert "aliases" in refusal({"model_type": "gpt2", "n_embd": 44, "hidden_size": 48})


@pytest.mark.parametrize("value", ["fp8", [1], 3])
def test_a_quantization_config_is_an_object(value: object) -> None:
    assert "quantization_config must be an object" in refusal({**LLAMA, "quantization_config": value})


def test_a_shared_reader_reads_only_keys_that_the_class_has() -> None:
    """A class that does not have a key of other classes ignores it."""
    for key, types in table("config_keys")["ignored"].items():
        for model_type in types:
            plain = total({"model_type": model_type})
            for value in (3, True) if plain is not None else ():
                assert total({"model_type": model_type, key: value}) in (plain, None), (model_type, key)
