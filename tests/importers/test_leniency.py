"""What is not understood of a config: an error that says what can be done, and ways past it that stay visible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.importers.hf import families

Capture = pytest.CaptureFixture[str]
LLAMA = {
    "model_type": "llama", "vocab_size": 101, "hidden_size": 44, "intermediate_size": 53, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False,
}  # fmt: skip
UNKNOWN = {**LLAMA, "model_type": "lamalike"}
SPARSE = {**LLAMA, "model_type": "x", "num_local_experts": 5, "num_experts_per_tok": 2}
VISION = {"hidden_size": 7}
COMMANDS = (
    ("params",), ("flops", "--seq", "11"), ("memory", "--seq", "11"), ("fit", "--gpu", "h100", "--seq", "11"),
    ("explain", "params"), ("sweep", "params.total", "--over", "seq=5,7"), ("verify",), ("compare", "gpt2"),
    ("diff", "gpt2"),
)  # fmt: skip


def refusal(config: dict[str, Any], **how: Any) -> str:
    with pytest.raises(llmcalc.InputError) as caught:
        llmcalc.load(config, **how)
    return str(caught.value)


def test_an_unknown_type_says_what_can_be_done() -> None:
    said = refusal(UNKNOWN)
    assert "unknown model_type 'lamalike'" in said
    assert "did you mean llama?" in said
    assert 'as_="llama"' in said
    assert 'as_="mixtral"' in refusal(SPARSE)


def test_a_type_is_read_as_another_with_a_warning() -> None:
    plain, found = llmcalc.load(LLAMA), llmcalc.load(UNKNOWN, as_="llama")
    assert (found.stacks, found.family) == (plain.stacks, "llama")
    assert plain.warnings == ()
    (warning,) = found.warnings
    assert "'lamalike'" in warning
    assert "read as llama" in warning


def test_a_config_without_a_type_can_be_given_one() -> None:
    untyped = {key: value for key, value in LLAMA.items() if key != "model_type"}
    assert "as_=TYPE" in refusal(untyped)
    assert llmcalc.load(untyped, as_="llama").stacks == llmcalc.load(LLAMA).stacks


def test_an_unknown_key_is_passed_over_on_request_alone() -> None:
    config = {**LLAMA, "n_gates": 3, "n_doors": 5}
    assert 'allow_unknown=["n_gates", "n_doors"]' in refusal(config)
    assert "'n_doors'" in refusal(config, allow_unknown=["n_gates"])
    found = llmcalc.load(config, allow_unknown=["n_gates", "n_doors", "n_windows"])
    assert found.stacks == llmcalc.load(LLAMA).stacks
    assert len(found.warnings) == 2
    assert "'n_gates' (its value is 3)" in found.warnings[0]


def test_a_key_that_is_understood_is_never_passed_over() -> None:
    found = llmcalc.load(LLAMA, allow_unknown=["num_hidden_layers"])
    assert (found.main.n_layers, found.warnings) == (3, ())


LATENT = {"model_type": "deepseek_v3", "num_hidden_layers": 2, "qk_nope_head_dim": 13, "qk_rope_head_dim": 6}


def test_a_width_that_the_class_computes_is_warned_of_where_a_file_says_another() -> None:
    plain, same, other = (llmcalc.load({**LATENT, **more}) for more in ({}, {"qk_head_dim": 19}, {"qk_head_dim": 23}))
    assert plain.stacks == same.stacks == other.stacks
    assert plain.warnings == same.warnings
    ignored = "the model class ignores qk_head_dim = 23 and uses the computed value 19"
    assert other.warnings == (ignored, *plain.warnings)


def test_a_number_of_heads_that_the_class_computes_is_warned_of() -> None:
    heads = {"model_type": "gpt_bigcode", "num_key_value_heads": 1}
    plain, other = llmcalc.load(heads), llmcalc.load({**heads, "multi_query": False})
    assert other.warnings[1:] == plain.warnings
    assert "ignores num_key_value_heads = 1 and uses the computed value 12" in other.warnings[0]


def test_a_main_size_that_the_class_supplies_is_warned_of_once() -> None:
    config = {key: value for key, value in LLAMA.items() if key not in ("hidden_size", "vocab_size")}
    said = "the config lacks sizes, for which the class has a default: hidden_size = 4096, vocab_size = 32000"
    found = llmcalc.load(config)
    assert found.warnings == (said,)
    assert not any("hidden_size" in note for note in found.notes)
    assert llmcalc.load({**LLAMA, "bos_token_id": None}).warnings == ()


def test_a_width_that_the_class_takes_from_the_file_may_not_contradict_others() -> None:
    assert "qk_head_dim must equal qk_nope" in refusal({"model_type": "longcat_flash", "qk_head_dim": 23})


def test_parts_of_a_config_are_as_strict() -> None:
    whole = {"model_type": "gemma4", "text_config": {"model_type": "gemma4_text", "n_gates": 3}, "vision_config": None}
    assert "text_config: unknown config key 'n_gates'" in refusal(whole)
    assert "'n_gates'" in llmcalc.load(whole, allow_unknown=["n_gates"]).warnings[0]


def test_the_language_model_of_an_unknown_whole_may_be_unknown_too() -> None:
    whole = {"model_type": "lamasees", "text_config": UNKNOWN, "vision_config": VISION}
    assert 'as_="llama"' in refusal(whole)
    found = llmcalc.load(whole, as_="llama")
    assert found.stacks == llmcalc.load(LLAMA).stacks
    assert "'lamalike'" in found.warnings[0]
    assert "not counted: vision" in found.notes[-1]


@pytest.mark.parametrize("how", [{"as_": "llama"}, {"allow_unknown": ["n_gates"]}])
def test_a_preset_is_no_config(how: dict[str, Any]) -> None:
    with pytest.raises(llmcalc.InputError, match=r"unlike gpt2-small"):
        llmcalc.load("gpt2", **how)


def test_an_unknown_family_to_read_it_as() -> None:
    assert "did you mean llama" in refusal(LLAMA, as_="lama")


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_every_command_warns(words: tuple[str, ...], tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**UNKNOWN, "n_gates": 3}), "utf-8")
    command, *rest = words
    line = [command, str(file), *rest, "--as", "llama", "--allow-unknown", "n_gates"]
    assert main(line) in (0, 1)
    screen = " ".join(capsys.readouterr().out.split())
    assert "read as llama" in screen
    assert "'n_gates'" in screen
    assert main([*line, "--json"]) in (0, 1)
    inputs = json.loads(capsys.readouterr().out)["inputs"]
    own = inputs["models"][0] if "models" in inputs else inputs
    assert len(own["warnings"]) == 2


@pytest.mark.parametrize("model_type", families.names())
def test_no_family_overlooks_a_key(model_type: str) -> None:
    """Reading every family as itself with one key more is an error, or names the key in a warning."""
    config = {"model_type": model_type, "n_gates_of_heaven": 3}
    try:
        found = llmcalc.load(config, allow_unknown=["n_gates_of_heaven"])
    except llmcalc.InputError:  # a family whose defaults alone make no model
        return
    assert "'n_gates_of_heaven'" in found.warnings[0]
    assert "n_gates_of_heaven" in refusal(config)


@pytest.mark.parametrize(
    ("model_type", "kind"),
    [("vit", "images"), ("some_new_vision_model", "images"), ("wav2vec2", "sound"), ("patchtst", "time series")],
)
def test_a_model_of_something_else_says_what_can_be_done(model_type: str, kind: str) -> None:
    with pytest.raises(llmcalc.InputError, match=f"(?s)but a model of {kind}.*params FILE.safetensors"):
        llmcalc.load({"model_type": model_type, "hidden_size": 44})


@pytest.mark.parametrize(
    ("model_type", "key", "computed"),
    [("longcat_flash", "num_hidden_layers", 56), ("minimax_m3", "moe_intermediate_size", 3072)],
)
def test_a_size_that_a_class_computes_is_warned_of_unless_it_is_the_same(
    model_type: str, key: str, computed: int
) -> None:
    same, other = (llmcalc.load({"model_type": model_type, key: value}) for value in (computed, 61))
    assert other.warnings[1:] == same.warnings
    assert f"ignores {key} = 61 and uses the computed value {computed}" in other.warnings[0]


def test_weights_quantised_by_mlx_are_read() -> None:
    llama = {"model_type": "llama", "num_hidden_layers": 2}
    assert llmcalc.load({**llama, "quantization": {"bits": None}}).notes == llmcalc.load(llama).notes
    stated = {"group_size": 64, "bits": 5}
    found = llmcalc.load({**llama, "quantization": stated, "quantization_config": stated})
    assert "quantised checkpoint ('mlx'): parameters count logical elements, not packed ones" in found.notes
    assert found.notes[-1].startswith("only MLX reads these weights")
