"""Keys that no reader knows: an error where they can change a size, a warning where they can change anything else."""

from __future__ import annotations

import json
import random
import shlex
import string
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.data import table
from llmcalc.importers.hf import families
from llmcalc.importers.hf.class_defaults import all_class_keys, class_keys, is_irrelevant, released_keys
from llmcalc.importers.hf.unknown_keys import Effect, effect_of
from llmcalc.schema.plain_data import MAX_CONFIG_SIZE, MAX_CONFIG_VALUES

Capture = pytest.CaptureFixture[str]
DEFAULTS = Path(llmcalc.__file__).parent / "data" / "hf"
LLAMA = {
    "model_type": "llama", "vocab_size": 101, "hidden_size": 44, "intermediate_size": 53, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False,
}  # fmt: skip
HARMLESS = {
    "eod_token_id": 7, "router_dtype": "float32", "mlp_dropout": 0.1, "top_p": 0.9, "distill_loss_weight": 2.0,
    "quantization": {"group_size": 64, "bits": 4}, "use_flash_attn": True, "kv_lora_rank": None, "use_qk_norm": False,
    "n_gates": 0, "adapters": {"adapters": {}, "config_map": {}}, "transformers.js_config": {"dtype": "q4"},
    "camelTokenId": 3, "model_max_length": 4096, "mtp_layers": 2, "n_layer": 3, "n_embd": 44, "ffn_dim": 53,
}  # fmt: skip
UNSURE = {
    "router_temperature": 2.0,
    "output_gate_type": "swish",
    "logit_softcap": 30.0,
    "mode": "fast",
    "outer": {"mode": 2.5},
    "pooling": "last",
    "block_size": 7,
}
STRUCTURAL = {
    "kv_lora_rank": 5, "num_gates": 3, "use_qk_norm": True, "qkv_bias": True, "per_layer": [1, 2, 3],
    "outer": {"n_doors": 7}, "moe_layer_ids": [1], "n_layer": 5, "dim": 47, "attention_kind": "window",
    "pooling": "attention",     "pooling_layers": 3, "norm_place": "last",
}  # fmt: skip


def refusal(config: dict[str, Any], **how: Any) -> str:
    with pytest.raises(llmcalc.InputError) as caught:
        llmcalc.load(config, **how)
    return str(caught.value)


@pytest.mark.parametrize("key", HARMLESS)
def test_a_key_without_effect_is_an_error_only_if_strict(key: str) -> None:
    config = {**LLAMA, key: HARMLESS[key]}
    found = llmcalc.load(config)
    assert (found.stacks, found.warnings) == (llmcalc.load(LLAMA).stacks, ())
    if HARMLESS[key] is not None and not is_irrelevant(key):
        assert repr(key) in refusal(config, strict=True)


@pytest.mark.parametrize("key", UNSURE)
def test_a_key_that_may_have_an_effect_is_warned_of(key: str) -> None:
    config = {**LLAMA, key: UNSURE[key]}
    (warning,) = llmcalc.load(config).warnings
    assert repr(key) in warning
    assert repr(key) in refusal(config, strict=True)


@pytest.mark.parametrize("key", STRUCTURAL)
def test_a_structural_key_is_an_error(key: str) -> None:
    assert repr(key) in refusal({**LLAMA, key: STRUCTURAL[key]})


def test_a_key_that_no_class_has_is_warned_of_if_the_config_names_its_class() -> None:
    config = {**LLAMA, "architectures": ["LlamaForCausalLM"], "n_gates": 3}
    assert "'n_gates' (3)" in llmcalc.load(config).warnings[0]
    assert "'n_gates'" in refusal(config, strict=True)
    assert "'n_gates'" in refusal({**config, "architectures": ["GatedLlamaForCausalLM"]})
    assert "'n_gates'" in refusal({**config, "auto_map": {"AutoModel": "modeling.LlamaForCausalLM"}})
    assert "'kv_lora_rank'" in refusal({**config, "kv_lora_rank": 5})  # of DeepSeek's class
    baichuan = {**LLAMA, "model_type": "baichuan", "num_key_value_heads": 4, "architectures": ["BaichuanForCausalLM"]}
    assert "'n_gates'" in refusal({**baichuan, "n_gates": 3})  # not a class of transformers


def test_base_keys_of_older_versions_are_ignored_by_classes_without_them() -> None:
    assert llmcalc.load({**LLAMA, "is_decoder": True}).warnings == ()
    assert "'add_cross_attention'" in refusal({**LLAMA, "add_cross_attention": True})
    baichuan = {**LLAMA, "model_type": "baichuan", "num_key_value_heads": 4, "is_decoder": True}
    assert "'is_decoder'" in refusal(baichuan)  # its authors' class may read the key


def test_a_key_that_repeats_a_value_of_a_part_has_no_effect() -> None:
    text = {"model_type": "persimmon", "hidden_size": 44, "intermediate_size": 53, "num_hidden_layers": 3}
    fuyu = {"model_type": "fuyu", "text_config": {**text, "num_attention_heads": 4, "vocab_size": 101}}
    found = llmcalc.load({**fuyu, "intermediate_size": 53, "num_hidden_layers": 3})
    assert (found.stacks, found.warnings) == (llmcalc.load(fuyu).stacks, ())
    assert "'intermediate_size'" in refusal({**fuyu, "intermediate_size": 59})
    assert "'n_gates'" in refusal({**fuyu, "n_gates": 53})


def misspelt(generator: random.Random, key: str) -> str:
    """Add, remove, replace or swap a letter of a key."""
    at, letter = generator.randrange(len(key) - 1), generator.choice(string.ascii_lowercase)
    swapped = key[:at] + key[at + 1] + key[at] + key[at + 2 :]
    return generator.choice(
        [key[:at] + letter + key[at:], key[:at] + key[at + 1 :], key[:at] + letter + key[at + 1 :], swapped]
    )


@pytest.mark.parametrize("model_type", random.Random(7).sample([n for n in families.names() if class_keys(n)], 60))
def test_a_key_with_a_wrong_letter_is_an_error_that_suggests_the_key(model_type: str) -> None:
    generator = random.Random(model_type)
    if total({"model_type": model_type}) is None:
        pytest.skip("the class has no defaults for all sizes")
    for key, value in defaults(model_type).items():
        wrong = misspelt(generator, key)
        if wrong not in released_keys():
            said = refusal({"model_type": model_type, wrong: value})
            assert f"unknown config key '{wrong}'" in said
            assert key in said[said.index("did you mean") : said.index("?")].split()
            assert llmcalc.load({"model_type": model_type, wrong: value}, allow_unknown=[wrong]).warnings


def test_a_wrong_letter_is_an_error_in_a_config_that_names_its_class() -> None:
    named = {**LLAMA, "architectures": ["LlamaForCausalLM"]}
    for key, meant in {"torch_dtyp": "torch_dtype", "rope_thata": "rope_theta", "head_dimm": "head_dim"}.items():
        assert f"did you mean {meant}?" in refusal({**named, key: None})
    assert "did you mean" not in refusal({**named, "rope_thata": 1, "head_dimm": 3})
    assert "Did you mean rope_theta instead of 'rope_thata'?" in refusal({**named, "rope_thata": 1, "head_dimm": 3})


def test_a_key_that_a_class_or_a_published_config_has_is_no_misspelling() -> None:
    named = {**LLAMA, "architectures": ["LlamaForCausalLM"]}
    for key in table("unknown_keys")["released"]:
        assert key not in all_class_keys()
        assert llmcalc.load({**named, key: 7}).stacks == llmcalc.load(LLAMA).stacks


def test_all_unknown_keys_are_named_at_once(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**LLAMA, "n_gates": 3, "n_doors": 5, "mode": "fast", "eod_token_id": 7}), "utf-8")
    assert main(["params", str(file)]) == 2
    said = capsys.readouterr().err
    assert all(repr(key) in said for key in ("n_gates", "n_doors", "mode", "eod_token_id"))
    start = said.index("--allow-unknown")
    line = said[start : said.index(" to ignore", start)]
    assert main(["params", str(file), *shlex.split(line), "--json"]) == 0
    warnings = json.loads(capsys.readouterr().out)["inputs"]["warnings"]
    assert all(any(repr(key) in text for text in warnings) for key in ("n_gates", "n_doors", "mode"))
    assert not any("eod_token_id" in text for text in warnings)
    assert main(["params", str(file), *shlex.split(line), "--strict"]) == 2
    said = capsys.readouterr().err
    assert "'mode'" in said
    assert "'eod_token_id'" in said


def test_unknown_keys_of_nested_configs_are_named_with_their_place() -> None:
    text = {"model_type": "gemma4_text", "n_gates": 3}
    said = refusal({"model_type": "gemma4", "text_config": text, "vision_config": None, "n_doors": 5})
    assert "text_config: 'n_gates' (3)" in said
    assert "'n_doors' (5)" in said


def test_a_message_about_many_keys_is_short() -> None:
    assert len(refusal({**LLAMA, **{f"n_gates_{number}": number for number in range(1, 1000)}})) < 5000


def defaults(model_type: str) -> dict[str, Any]:
    file = DEFAULTS / f"{model_type}.json"
    return json.loads(file.read_text("utf-8"))["defaults"] if file.is_file() else {}


def total(config: dict[str, Any]) -> int | None:
    try:
        return llmcalc.params(llmcalc.load(config)).total
    except llmcalc.InputError:
        return None


def test_keys_that_change_the_size_of_some_family_are_structural() -> None:
    """The rules are phrases. Each key that a class has and that changes its size must match one of them."""
    tried, structural = set[str](), set[str]()
    for model_type in families.names():
        plain = None
        for key, value in defaults(model_type).items():
            if key in tried or type(value) not in (int, bool):
                continue
            tried.add(key)
            plain = plain or total({"model_type": model_type})
            if total({"model_type": model_type, key: not value if type(value) is bool else 2 * value}) not in (
                plain,
                None,
            ):
                structural.add(key)
                if key != "pad_token_id":  # a row of the position table in some families, which all families read
                    assert effect_of(key, True if type(value) is bool else 2) is Effect.STRUCTURAL, (model_type, key)
    assert len(structural) > 200


def test_a_config_of_8_megabytes_is_read(tmp_path: Path) -> None:
    labels = {str(number): f"LABEL_{number}" for number in range(260_000)}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**LLAMA, "id2label": labels, "note": "x" * 2_000_000}), "utf-8")
    assert file.stat().st_size > 8_000_000
    assert llmcalc.load(file, allow_unknown=["note"]).stacks == llmcalc.load(LLAMA).stacks


def test_a_config_is_bounded_before_it_is_parsed(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"a": [' + "{}," * MAX_CONFIG_VALUES + "{}]}", "utf-8")
    tracemalloc.start()
    with pytest.raises(llmcalc.InputError, match="more than 500,000 values"):
        llmcalc.load(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * MAX_CONFIG_SIZE
    file.write_text(" " * (MAX_CONFIG_SIZE + 1), "utf-8")
    with pytest.raises(llmcalc.InputError, match="limit"):
        llmcalc.load(file)
