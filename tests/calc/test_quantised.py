"""Which matrices a quantization_config leaves as they were, and what the others become."""

import pytest

import llmcalc
from llmcalc.calc import packs
from llmcalc.calc.quantised import Matrix, read_quantisation

SHAPE = (384, 256)
Q, GATE = "model.layers.7.self_attn.q_proj", "model.layers.7.mlp.gate_proj"


def quantised(module, head=False, **config):
    """Whether a matrix is."""
    return read_quantisation(config, "BF16").parts(Matrix(module, SHAPE, head)) is not None


FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
PACKED = {
    "quant_method": "compressed-tensors", "format": "pack-quantized",
    "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 4, "strategy": "group", "group_size": 32}}},
}  # fmt: skip
NVFP4 = {"quant_method": "modelopt", "quant_algo": "NVFP4"}


@pytest.mark.parametrize(
    ("config", "module", "is_"),
    [
        ({**FP8, "modules_to_not_convert": ["lm_head", "gate"]}, "model.layers.7.mlp.gate", False),
        ({**FP8, "modules_to_not_convert": ["lm_head", "gate"]}, GATE, True),
        ({**FP8, "modules_to_not_convert": ["model.layers.7"]}, Q, False),
        ({**FP8, "modules_to_not_convert": ["model.layers.1"]}, "model.layers.17.mlp.up_proj", True),
        ({**PACKED, "ignore": ["re:.*self_attn.*"]}, Q, False),
        ({**PACKED, "ignore": [r"re:.*mlp\.(gate|up|gate_up|down)_proj.*"]}, GATE, False),
        ({**PACKED, "ignore": [r"re:.*mlp\.(gate|up|gate_up|down)_proj.*"]}, Q, True),
        ({**NVFP4, "ignore": ["model.layers.7*"]}, Q, False),
        ({**NVFP4, "ignore": ["model.layers.*.self_attn"]}, Q, False),
        ({**NVFP4, "ignore": ["model.layers.*.self_attn"]}, GATE, True),
        ({**NVFP4, "ignore": ["model.layers.70"]}, Q, True),
        ({"quant_method": "gptq", "bits": 4, "dynamic": {"-:.*self_attn": {}}}, Q, False),
        ({"quant_method": "gptq", "modules_in_block_to_quantize": [["self_attn.q_proj"]]}, GATE, False),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True, "llm_int8_skip_modules": ["q_proj"]}, Q, False),
    ],
)  # fmt: skip
def test_lists_of_modules_are_read_as_their_makers_do(config, module, is_):
    assert quantised(module, **config) == is_


HEADS = [(FP8, False), (NVFP4, True), ({"quant_method": "gptq", "lm_head": True}, True)]


@pytest.mark.parametrize(("config", "is_"), HEADS)
def test_the_head_stays_unless_the_method_takes_it(config, is_):
    assert quantised("lm_head", head=True, **config) == is_


def bits(parts):
    return sum(part.bits for part in parts)


def test_parts_of_a_matrix_take_what_the_formats_say():
    out, inputs = SHAPE
    size = out * inputs
    assert bits(packs.gptq(out, inputs, 4, 128)) == size * 4 + out * 2 * 16 + out * 2 * 4 + inputs * 32
    assert bits(packs.awq(out, inputs, 4, 64)) == size * 4 + out * 4 * 16 + out * 4 * 4
    assert bits(packs.fp8(out, inputs, (128, 128), ".s", "F32")) == size * 8 + 3 * 2 * 32
    assert bits(packs.mxfp4(1, out, inputs)) == size * 4 + size // 32 * 8
    assert bits(packs.nvfp4(out, inputs)) == size * 4 + size // 16 * 8 + 2 * 32
    assert bits(packs.bnb4(out, inputs, "nf4", False)) == size * 4 + size // 64 * 32 + 16 * 32


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"quant_method": "magic"}, "quant_method 'magic'"),
        ({}, "quant_method None"),
        ({"quant_method": "awq", "version": "gemv"}, "gemv"),
        ({"quant_method": "gptq", "bits": 4.5}, "bits is 4.5"),
        ({"quant_method": "gptq", "bits": 10**18}, "bits is"),
        ({"quant_method": "gptq", "dynamic": {"+:.*": {"bits": 8}}}, "settings of their own"),
        ({"quant_method": "bitsandbytes"}, "neither"),
        ({"quant_method": "fp8", "weight_block_size": [0, 128]}, "weight_block_size"),
        ({"quant_method": "fp8", "modules_to_not_convert": "lm_head"}, "list of texts"),
        ({"quant_method": "modelopt", "quant_algo": "W4A8"}, "W4A8"),
        ({"quant_method": "compressed-tensors", "config_groups": {}}, "config_groups"),
        ({**PACKED, "format": "marlin-24"}, "marlin-24"),
        ({**PACKED, "ignore": ["re:(a+)+b"]}, "expression"),
        ({**PACKED, "ignore": ["re:["]}, "expression"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_an_error(config, word):
    with pytest.raises(llmcalc.InputError, match="quantization_config") as caught:
        read_quantisation(config, "BF16").parts(Matrix(Q, SHAPE))
    assert word in str(caught.value)


def test_memory_of_a_quantised_config_is_that_of_its_checkpoint_unless_told_otherwise():
    config = {"model_type": "llama", "hidden_size": 256, "num_attention_heads": 8, "intermediate_size": 384,
              "num_hidden_layers": 2, "vocab_size": 101, "torch_dtype": "float16",
              "quantization_config": FP8}  # fmt: skip
    model = llmcalc.load(config)
    assert "quant_method" not in model.notes
    published, plain = llmcalc.memory(model, seq=8), llmcalc.memory(model, seq=8, weights="bf16")
    assert published.weights < plain.weights
    assert {entry.format.name for entry in published.stored} == {"fp8 128x128", "fp16"}
    with pytest.raises(llmcalc.InputError, match="nothing says"):
        llmcalc.memory(llmcalc.load("gpt2"), weights="checkpoint")
    with pytest.raises(llmcalc.InputError, match="published"):
        llmcalc.memory(model, weights="checkpoint", keep=["attention"])


def test_a_key_that_nobody_reads_is_passed_over_in_sight():
    config = {**FP8, "weight_twist": 3, "activation_scheme": "dynamic", "modules_to_not_convert": None}
    assert read_quantisation(config, "BF16").unread == ("weight_twist",)
