"""GGUF metadata is read as the config of the class that it was converted from."""

import re

import pytest

import llmcalc
from llmcalc.checkpoint.stored_tensors import declared
from llmcalc.importers.gguf import names
from llmcalc.importers.weights import headers_of
from llmcalc.verification.weights import verify_weights

from .files import gguf
from .gguf_models import MODELS


def tensors_of(name):
    """The tensors of a model as a GGUF of its architecture holds them."""
    counted = llmcalc.params(llmcalc.load(MODELS[name][1]))
    found = declared(counted, f"gguf:{name.split()[0]}", buffers=True)
    return {tensor.name: ("F32", tensor.shape) for tensor in found}


def written(folder, name, tensors=None, **changes):
    arch, metadata = name.split()[0], {**MODELS[name][0], **changes}
    keys = {f"{arch}.{key}": value for key, value in metadata.items() if value is not None}
    file = folder / "model.gguf"
    file.write_bytes(gguf({"general.architecture": arch, **keys}, tensors or tensors_of(name)))
    return file


def without_eps(stacks):
    """What computes the same, but for the constants of norms, which a config may leave to its class."""
    return re.sub(r"\w*eps=[\d.e-]+", "", repr(stacks))


@pytest.mark.parametrize("name", MODELS)
def test_metadata_describe_the_model_that_the_config_does(tmp_path, name):
    found, wanted = llmcalc.load(written(tmp_path, name)), llmcalc.load(MODELS[name][1])
    assert without_eps(found.stacks) == without_eps(wanted.stacks)
    assert not found.notes


@pytest.mark.parametrize("name", MODELS)
def test_every_tensor_is_as_declared(tmp_path, name):
    found = llmcalc.load(written(tmp_path, name))
    compared = verify_weights(found, headers_of(found))
    assert compared.ok, compared.differences


def test_every_architecture_but_close_kin_has_a_model_here():
    kin = {
        "dots1", "exaone", "gptj", "internlm2", "xverse", "bert", "qwen2vl", "qwen3vl", "qwen3vlmoe", "dream",
        "llama-embed", "minicpm",
    }  # fmt: skip
    assert {name.split()[0] for name in MODELS} | kin == set(names())


def test_a_key_that_nobody_reads_is_an_error(tmp_path):
    with pytest.raises(llmcalc.UnknownNameError, match=r"llama\.attention\.head_twist"):
        llmcalc.load(written(tmp_path, "llama", **{"attention.head_twist": 3}))


@pytest.mark.parametrize("key", ["block_count", "embedding_length", "feed_forward_length", "attention.head_count"])
def test_a_needed_key_has_no_silent_default(tmp_path, key):
    with pytest.raises(llmcalc.InputError, match=re.escape(f"llama.{key}")):
        llmcalc.load(written(tmp_path, "llama", **{key: None}))


def test_values_of_another_width_than_keys_are_refused(tmp_path):
    with pytest.raises(llmcalc.SizeError, match="different key and value widths"):
        llmcalc.load(written(tmp_path, "llama", **{"attention.value_length": 11}))


def test_sizes_that_differ_from_layer_to_layer_are_refused(tmp_path):
    with pytest.raises(llmcalc.InputError, match="must be the same in all layers"):
        llmcalc.load(written(tmp_path, "llama", feed_forward_length=[37, 31, 37]))
    same = llmcalc.load(written(tmp_path, "llama", feed_forward_length=[37, 37, 37]))
    assert without_eps(same.stacks) == without_eps(llmcalc.load(MODELS["llama"][1]).stacks)


@pytest.mark.parametrize("value", ["x", [4, 4, 2], [1] * 5000 + [2], float("nan"), -3, 2**31])
def test_a_number_of_heads_is_no_text_or_list_that_could_be_repeated(tmp_path, value):
    file = written(tmp_path, "phi2", **{"attention.head_count": value, "rope.dimension_count": 2**31})
    with pytest.raises(llmcalc.InputError):
        llmcalc.load(file)


def test_an_unknown_architecture_is_an_error_with_its_neighbours(tmp_path):
    file = tmp_path / "m.gguf"
    file.write_bytes(gguf({"general.architecture": "qwen3nex"}, {}))
    with pytest.raises(llmcalc.UnknownNameError, match="qwen3next"):
        llmcalc.load(file)


def test_tensors_that_do_not_add_up_are_a_visible_line(tmp_path):
    tensors = tensors_of("llama")
    del tensors["blk.1.ffn_up.weight"]
    found = llmcalc.load(written(tmp_path, "llama", tensors))
    assert "llmcalc verify" in found.notes[0]
    compared = verify_weights(found, headers_of(found))
    assert [(one.name, one.what) for one in compared.differences] == [("blk.1.ffn_up.weight", "missing")]


def test_a_head_is_tied_if_the_file_has_none(tmp_path):
    tensors = {name: held for name, held in tensors_of("llama").items() if name != "output.weight"}
    found = llmcalc.load(written(tmp_path, "llama", tensors))
    assert llmcalc.params(found).total == llmcalc.params(llmcalc.load(MODELS["llama"][1])).total - 101 * 52


def test_weights_are_held_as_the_file_stores_them(tmp_path):
    tensors = {name: ("F16" if len(shape) > 1 else "F32", shape) for name, (_, shape) in tensors_of("llama").items()}
    found = llmcalc.load(written(tmp_path, "llama", tensors))
    held = llmcalc.memory(found, seq=16)
    assert held.weights == headers_of(found).files[0].data_bytes
    assert llmcalc.memory(found, seq=16, weights="fp32").weights > held.weights


def test_experts_of_older_files_are_stored_one_by_one(tmp_path):
    counted = llmcalc.params(llmcalc.load(MODELS["llama with experts"][1]))
    tensors = {one.name: ("F32", one.shape) for one in declared(counted, "gguf:llama+")}
    assert "blk.1.ffn_up.6.weight" in tensors
    found = llmcalc.load(written(tmp_path, "llama with experts", tensors))
    assert verify_weights(found, headers_of(found)).ok
    assert llmcalc.memory(found, seq=16).weights == headers_of(found).files[0].data_bytes


def test_an_encoder_is_converted_without_its_pooler(tmp_path):
    metadata = {
        "general.architecture": "bert", "bert.block_count": 2, "bert.embedding_length": 12, "bert.context_length": 17,
        "bert.feed_forward_length": 7, "bert.attention.head_count": 3, "bert.attention.layer_norm_epsilon": 1e-12,
        "bert.attention.causal": False, "bert.pooling_type": 1,
    }  # fmt: skip
    config = {
        "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 12, "num_hidden_layers": 2,
        "intermediate_size": 7, "num_attention_heads": 3, "vocab_size": 11, "max_position_embeddings": 17,
    }  # fmt: skip
    whole = llmcalc.params(llmcalc.load(config))
    rows = {one.name: ("F32", one.shape) for one in declared(whole, "gguf:bert") if "pooler" not in one.name}
    file = tmp_path / "m.gguf"
    file.write_bytes(gguf(metadata, rows))
    found = llmcalc.load(file)
    assert not found.notes
    assert llmcalc.params(found).total == whole.total - 12 * 12 - 12
    assert verify_weights(found, headers_of(found)).ok


def test_a_gguf_beside_nothing_else_describes_its_folder(tmp_path):
    written(tmp_path, "qwen3")
    assert llmcalc.params(llmcalc.load(tmp_path)).total == llmcalc.params(llmcalc.load(MODELS["qwen3"][1])).total


def test_blocks_after_the_last_one_are_prediction_layers(tmp_path):
    assert llmcalc.load(written(tmp_path, "glm4moe")).inputs["prediction_layers"] == 1
    assert "prediction_layers" not in llmcalc.load(written(tmp_path, "gpt-oss")).inputs
