"""Which matrices a quantization_config excludes, and the tensors that store the others."""

from math import prod

import pytest

import llmcalc
from llmcalc.calc.params import component
from llmcalc.checkpoint.published_weights import PublishedWeights
from llmcalc.checkpoint.quantisation import gptq_awq
from llmcalc.checkpoint.quantisation import packing as packs
from llmcalc.checkpoint.quantisation.method import Matrix
from llmcalc.checkpoint.quantisation.read import quantisation_variants, read_quantisation
from llmcalc.inputs.number_formats import number_format

SHAPE = (384, 256)
Q, GATE = "model.layers.7.self_attn.q_proj", "model.layers.7.mlp.gate_proj"


def quantised(module, head=False, **config):
    """Whether a matrix is."""
    return read_quantisation(config, "BF16").tensors(Matrix(module, SHAPE, head)) is not None


FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
PACKED = {
    "quant_method": "compressed-tensors", "format": "pack-quantized",
    "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 4, "strategy": "group", "group_size": 32}}},
}  # fmt: skip
NVFP4 = {"quant_method": "modelopt", "quant_algo": "NVFP4"}


def compressed(form, **weights):
    return {"quant_method": "compressed-tensors", "format": form, "config_groups": {"g": {"weights": weights}}}


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


INT8 = {"quant_method": "bitsandbytes", "load_in_8bit": True}
HEADS = [
    (FP8, False), (NVFP4, True), ({"quant_method": "gptq", "lm_head": True}, True), (PACKED, True), (INT8, False),
    ({**FP8, "modules_to_not_convert": ["q_proj"]}, True), ({**FP8, "modules_to_not_convert": ["lm_head"]}, False),
    ({**INT8, "llm_int8_skip_modules": []}, True), ({**INT8, "llm_int8_skip_modules": ["lm_head"]}, False),
    ({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]}}, False),
]  # fmt: skip


@pytest.mark.parametrize(("config", "is_"), HEADS)
def test_the_head_stays_unless_the_method_takes_it(config, is_):
    assert quantised("lm_head", head=True, **config) == is_


def bits(parts):
    return sum(part.bits for part in parts)


def test_parts_of_a_matrix_take_what_the_formats_say():
    out, inputs = SHAPE
    size = out * inputs
    assert bits(gptq_awq.pack_gptq(out, inputs, 4, 128)) == size * 4 + out * 2 * 16 + out * 2 * 4 + inputs * 32
    assert bits(gptq_awq.pack_awq(out, inputs, 4, 64)) == size * 4 + out * 4 * 16 + out * 4 * 4
    assert bits(packs.pack_fp8(out, inputs, (128, 128), ".s", "F32")) == size * 8 + 3 * 2 * 32
    assert bits(packs.pack_mxfp4_experts(1, out, inputs)) == size * 4 + size // 32 * 8
    assert bits(packs.pack_nvfp4(out, inputs)) == size * 4 + size // 16 * 8 + 2 * 32
    assert bits(packs.pack_bitsandbytes_4bit(out, inputs, "nf4", False)) == size * 4 + size // 64 * 32 + 16 * 32


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"quant_method": "magic"}, "quant_method 'magic'"),
        ({}, "quant_method None"),
        ({"quant_method": "awq", "version": "gemv"}, "gemv"),
        ({"quant_method": "gptq", "bits": 4.5}, "bits must be a positive integer or -1, not 4.5"),
        ({"quant_method": "gptq", "bits": 10**18}, "bits must be"),
        ({"quant_method": "gptq", "bits": -1}, "bits must be from 1 to"),
        ({"quant_method": "awq", "bits": 33}, "not 33"),
        (compressed("pack-quantized", num_bits=-1, strategy="group", group_size=32), "num_bits must be from 1 to"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_storage": {"a": 1}}, "quant_storage"),
        ({"quant_method": "gptq", "dynamic": {"+:.*": {"bits": 8.5}}}, "not 8.5"),
        ({"quant_method": "gptq", "dynamic": {"+:.*": 8}}, "dynamic"),
        ({"quant_method": "gptq", "format": "marlin"}, "marlin"),
        ({"quant_method": "gptq", "pack_dtype": "int16"}, "int16"),
        ({"quant_method": "gptq", "modules_in_block_to_quantize": "q_proj"}, "modules_in_block_to_quantize"),
        ({"quant_method": "gptq", "modules_in_block_to_quantize": [["q_proj"], [7]]}, "modules_in_block_to_quantize"),
        ({"quant_method": "auto-round", "packing_format": "auto_round:exllamav2"}, "exllamav2"),
        ({"quant_method": "auto-round", "data_type": "nv_fp"}, "nv_fp"),
        ({"quant_method": "auto-round", "extra_config": {"lm_head": {"bits": 8}}}, "extra_config is not supported"),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": [Q]}, "quantized_layers"),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {Q: {}}}, "None"),
        ({**FP8, "modules_to_convert": ["embed_tokens"]}, "tables"),
        ({"quant_method": "bitsandbytes"}, "load_in_8bit or load_in_4bit"),
        ({"quant_method": "fp8", "weight_block_size": [0, 128]}, "weight_block_size"),
        ({"quant_method": "fp8", "modules_to_not_convert": "lm_head"}, "list of strings"),
        ({"quant_method": "modelopt", "quant_algo": "W4A8"}, "W4A8"),
        ({"quant_method": "compressed-tensors", "config_groups": {}}, "config_groups"),
        ({**PACKED, "format": "marlin-24"}, "marlin-24"),
        ({**PACKED, "format": "mxfp8-quantized"}, "with 4 bits"),
        ({**PACKED, "sparsity_config": {"format": "sparse-24-bitmask"}}, "sparse"),
        ({**PACKED, "sparsity_config": 7}, "sparse"),
        ({**PACKED, "config_groups": {"g": PACKED["config_groups"]["g"], "h": {}}}, "no weight settings"),
        ({**PACKED, "config_groups": [7]}, "without config_groups"),
        ({**PACKED, "config_groups": {"g": {"weights": None}}}, "no weight settings"),
        ({**PACKED, "format": "int-quantized", "config_groups": {"g": {"weights": {"strategy": "token"}}}}, "'token'"),
        ({**FP8, "expert_dtype": "int4"}, "'int4'"),
        ({**NVFP4, "config_groups": {"g": {"weights": {"group_size": -1}}}}, "group sizes"),
        ({**NVFP4, "config_groups": {n: {"weights": {"group_size": n}} for n in (16, 32)}}, "group sizes"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_storage": "complex64"}, "complex64"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf5"}, "nf4"),
        ({"quant_method": "gptq", "checkpoint_format": "marlin"}, "marlin"),
        ({"quant_method": "gptq", "dynamic": [7]}, "dynamic"),
        ({**PACKED, "ignore": ["re:(a+)+b"]}, "expression"),
        ({**PACKED, "ignore": ["re:["]}, "expression"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_an_error(config, word):
    with pytest.raises(llmcalc.InputError, match="quantization_config") as caught:
        read_quantisation(config, "BF16").tensors(Matrix(Q, SHAPE))
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
    gpt2 = llmcalc.memory("gpt2", seq=8, weights="checkpoint")  # nothing is known of its formats
    assert gpt2.weights == llmcalc.memory("gpt2", seq=8).weights
    with pytest.raises(llmcalc.InputError, match="published"):
        llmcalc.memory(model, weights="checkpoint", keep=["attention"])


def test_a_key_that_nobody_reads_is_passed_over_in_sight():
    config = {**FP8, "weight_twist": 3, "activation_scheme": "dynamic", "modules_to_not_convert": None}
    assert read_quantisation(config, "BF16").unknown_keys == ("weight_twist",)


OUT, IN = 131, 67  # primes: what is rounded up shows


def activated(config, dynamic):
    group = {**config["config_groups"]["g"], "input_activations": {"num_bits": 8, "dynamic": dynamic}}
    return {**config, "config_groups": {"g": group}}


INT4 = {"num_bits": 4, "strategy": "group", "group_size": 32}
FLOAT8 = {"type": "float", "num_bits": 8}
W8 = compressed("float-quantized", **FLOAT8, strategy="channel")
STORED = [
    ({"quant_method": "gptq"}, "gptq int4 g128",
     {".qweight": ("I32", (9, 131)), ".qzeros": ("I32", (1, 17)), ".scales": ("F16", (1, 131)),
      ".g_idx": ("I32", (67,))}),
    ({"quant_method": "gptq", "bits": 3, "group_size": 32}, "gptq int3 g32",
     {".qweight": ("I32", (7, 131)), ".qzeros": ("I32", (3, 13)), ".scales": ("F16", (3, 131)),
      ".g_idx": ("I32", (67,))}),
    ({"quant_method": "gptq", "bits": 8, "group_size": -1}, "gptq int8 g-1",
     {".qweight": ("I32", (17, 131)), ".qzeros": ("I32", (1, 33)), ".scales": ("F16", (1, 131)),
      ".g_idx": ("I32", (67,))}),
    ({"quant_method": "awq", "group_size": 64}, "awq int4 g64",
     {".qweight": ("I32", (67, 17)), ".qzeros": ("I32", (2, 17)), ".scales": ("F16", (2, 131))}),
    ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes int8",
     {".weight": ("I8", (131, 67)), ".SCB": ("F32", (131,)), ".weight_format": ("U8", ())}),
    ({"quant_method": "bitsandbytes_4bit", "load_in_4bit": True}, "bitsandbytes fp4",
     {".weight": ("U8", (4389, 1)), ".weight.absmax": ("F32", (138,)), ".weight.quant_map": ("F32", (16,)),
      ".weight.quant_state.bitsandbytes__fp4": ("U8", None)}),
    ({"quant_method": "bitsandbytes", "_load_in_4bit": True, "bnb_4bit_quant_type": "nf4",
      "bnb_4bit_use_double_quant": True}, "bitsandbytes nf4 double",
     {".weight": ("U8", (4389, 1)), ".weight.absmax": ("U8", (138,)), ".weight.quant_map": ("F32", (16,)),
      ".weight.quant_state.bitsandbytes__nf4": ("U8", None), ".weight.nested_absmax": ("F32", (1,)),
      ".weight.nested_quant_map": ("F32", (256,))}),
    ({"quant_method": "fp8"}, "fp8", {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("F32", ())}),
    ({**FP8, "activation_scheme": "static"}, "fp8 128x128",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale_inv": ("F32", (2, 1)),
      ".activation_scale": ("F32", ())}),
    ({"quant_method": "fp8", "weight_block_size": None}, "fp8",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale_inv": ("F32", ())}),
    ({"quant_method": "fp8", "weight_block_size": [32, 16], "scale_fmt": "ue8m0"}, "fp8 32x16",
     {".weight": ("F8_E4M3", (131, 67)), ".scale": ("F8_E8M0", (5, 5))}),
    ({"quant_method": "fp8", "weight_block_size": [32, 16], "scale_fmt": "ue8m0", "transformers_version": "5.24.0"},
     "fp8 32x16", {".weight": ("F8_E4M3", (131, 67)), ".weight_scale_inv": ("F8_E8M0", (5, 5))}),
    ({"quant_method": "fbgemm_fp8"}, "fp8 channel",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("F32", (131, 1))}),
    (compressed("pack-quantized", **INT4), "compressed int4 g32",
     {".weight_packed": ("I32", (131, 9)), ".weight_scale": ("BF16", (131, 3)), ".weight_shape": ("I64", (2,))}),
    (compressed("pack-quantized", **INT4, symmetric=False, actorder="group"), "compressed int4 g32",
     {".weight_packed": ("I32", (131, 9)), ".weight_scale": ("BF16", (131, 3)), ".weight_shape": ("I64", (2,)),
      ".weight_zero_point": ("I32", (17, 3)), ".weight_g_idx": ("I32", (67,))}),
    (compressed("pack-quantized", num_bits=8, strategy="channel", group_size=32), "compressed int8 channel",
     {".weight_packed": ("I32", (131, 17)), ".weight_scale": ("BF16", (131, 1)), ".weight_shape": ("I64", (2,))}),
    (compressed("nvfp4-pack-quantized", num_bits=4), "compressed nvfp4",
     {".weight_packed": ("U8", (131, 34)), ".weight_scale": ("F8_E4M3", (131, 5)),
      ".weight_global_scale": ("F32", (1,))}),
    (activated(compressed("nvfp4-pack-quantized", num_bits=4), True), "compressed nvfp4",
     {".weight_packed": ("U8", (131, 34)), ".weight_scale": ("F8_E4M3", (131, 5)),
      ".weight_global_scale": ("F32", (1,)),
      ".input_global_scale": ("F32", (1,))}),
    (activated(W8, True), "compressed fp8 channel",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("BF16", (131, 1))}),
    (activated(W8, False), "compressed fp8 channel",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("BF16", (131, 1)), ".input_scale": ("BF16", (1,))}),
    (compressed("naive-quantized", **FLOAT8), "compressed fp8 tensor",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("BF16", (1,))}),
    (compressed("float-quantized", **FLOAT8, strategy="block", block_structure=[32, 64]), "compressed fp8 block",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("BF16", (5, 2))}),
    (compressed("float-quantized", **FLOAT8, strategy="block"), "compressed fp8 block",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("BF16", (2, 1))}),
    (compressed("int-quantized", type="int", strategy="channel", symmetric=False), "compressed int8 channel",
     {".weight": ("I8", (131, 67)), ".weight_scale": ("BF16", (131, 1)), ".weight_zero_point": ("I8", (131, 1))}),
    (NVFP4, "modelopt nvfp4",
     {".weight": ("U8", (131, 34)), ".weight_scale": ("F8_E4M3", (131, 5)), ".weight_scale_2": ("F32", ()),
      ".input_scale": ("F32", ())}),
    ({**NVFP4, "quant_algo": "W4A16_NVFP4", "config_groups": {"g": {"weights": {"group_size": 32}}}},
     "modelopt w4a16_nvfp4",
     {".weight": ("U8", (131, 34)), ".weight_scale": ("F8_E4M3", (131, 3)), ".weight_scale_2": ("F32", ())}),
    ({**NVFP4, "quant_algo": "W4A8_NVFP4_FP8"}, "modelopt w4a8_nvfp4_fp8",
     {".weight": ("U8", (131, 34)), ".weight_scale": ("F8_E4M3", (131, 3)), ".weight_scale_2": ("F32", ()),
      ".input_scale": ("F32", ())}),
    ({**NVFP4, "quant_algo": "W4A16_AWQ", "group_size": 32}, "modelopt w4a16_awq",
     {".weight": ("U8", (66, 67)), ".weight_scale": ("F32", (131, 3))}),
    ({**NVFP4, "quant_algo": "W4A8_AWQ"}, "modelopt w4a8_awq",
     {".weight": ("U8", (66, 67)), ".weight_scale": ("F32", (131, 1)), ".weight_scale_2": ("F32", ()),
      ".input_scale": ("F32", ())}),
    ({**NVFP4, "quant_algo": "fp8_pb_wo"}, "modelopt fp8_pb_wo",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("F32", (2, 1))}),
    ({**NVFP4, "quant_algo": "FP8_PER_CHANNEL_PER_TOKEN"}, "modelopt fp8_per_channel_per_token",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("F32", (131,))}),
    ({**NVFP4, "quant_algo": "W8A16"}, "modelopt w8a16",
     {".weight": ("I8", (131, 67)), ".weight_scale": ("F32", (131,))}),
    ({**NVFP4, "quant_algo": "W8A8_SQ_PER_CHANNEL"}, "modelopt w8a8_sq_per_channel",
     {".weight": ("I8", (131, 67)), ".weight_scale": ("F32", (131,)), ".input_scale": ("F32", (1,))}),
    ({**NVFP4, "quant_algo": "MXFP8"}, "modelopt mxfp8",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("U8", (131, 3))}),
    ({**NVFP4, "quant_algo": "W4A8_MXFP4_FP8"}, "modelopt w4a8_mxfp4_fp8",
     {".weight": ("U8", (131, 34)), ".weight_scale": ("U8", (131, 3))}),
    (compressed("mxfp4-pack-quantized", num_bits=4), "compressed mxfp4",
     {".weight_packed": ("U8", (131, 34)), ".weight_scale": ("U8", (131, 3))}),
    (compressed("mxfp6-pack-quantized", num_bits=6), "compressed mxfp6",
     {".weight_packed": ("U8", (131, 51)), ".weight_scale": ("U8", (131, 3))}),
    (compressed("mxfp8-quantized", num_bits=8), "compressed mxfp8",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("U8", (131, 3))}),
    (compressed("int-quantized", type="int", num_bits=3, strategy="group", group_size=32), "compressed int3 g32",
     {".weight": ("I8", (131, 67)), ".weight_scale": ("BF16", (131, 3))}),
    ({"quant_method": "auto-round", "bits": 2, "group_size": 64}, "auto-round int2 g64",
     {".qweight": ("I32", (5, 131)), ".qzeros": ("I32", (2, 9)), ".scales": ("F16", (2, 131))}),
    ({"quant_method": "auto-round", "packing_format": "auto_round:auto_awq"}, "auto-round int4 g128",
     {".qweight": ("I32", (67, 17)), ".qzeros": ("I32", (1, 17)), ".scales": ("F16", (1, 131))}),
    ({"quant_method": "auto-round", "data_type": "mx_fp", "packing_format": "auto_round:llm_compressor",
      "group_size": 32}, "auto-round mx_fp4 g32",
     {".weight_packed": ("U8", (131, 34)), ".weight_scale": ("U8", (131, 3))}),
    ({"quant_method": "auto-round", "data_type": "mx_fp", "packing_format": "auto_round:llm_compressor", "bits": 8,
      "group_size": 32}, "auto-round mx_fp8 g32",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("U8", (131, 3))}),
    ({"quant_method": "auto-round", "data_type": "fp", "bits": 8, "group_size": 0}, "auto-round fp8 g-1",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("BF16", (1,))}),
    ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_storage": "bfloat16"}, "bitsandbytes fp4",
     {".weight": ("BF16", (2195, 1)), ".weight.absmax": ("F32", (138,)), ".weight.quant_map": ("F32", (16,)),
      ".weight.quant_state.bitsandbytes__fp4": ("U8", None)}),
    ({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}}, "modelopt fp8",
     {".weight": ("F8_E4M3", (131, 67)), ".weight_scale": ("F32", ()), ".input_scale": ("F32", ())}),
]  # fmt: skip


@pytest.mark.parametrize(("config", "name", "parts"), STORED, ids=[name for _, name, _ in STORED])
def test_a_matrix_becomes_the_tensors_of_its_format(config, name, parts):
    """Names, types and shapes as the makers' libraries save them."""
    found = read_quantisation(config, "BF16")
    assert found.name == name
    stored = {part.suffix: (part.type, part.shape) for part in found.tensors(Matrix(Q, (OUT, IN)))}
    assert stored == parts
    assert found.unknown_keys == ()


def test_experts_may_have_a_format_of_their_own():
    mxfp4 = read_quantisation({"quant_method": "mxfp4"}, "BF16")
    assert mxfp4.tensors(Matrix(Q, (OUT, IN))) is None
    stored = mxfp4.tensors(Matrix("model.layers.7.mlp.experts.gate_up_proj", (7, OUT, IN), is_stacked=True))
    assert {part.suffix: (part.type, part.shape) for part in stored} == {
        "_blocks": ("U8", (7, 131, 3, 16)), "_scales": ("U8", (7, 131, 3)),
    }  # fmt: skip
    fp4 = read_quantisation({**FP8, "scale_fmt": "ue8m0", "expert_dtype": "fp4"}, "BF16")
    routed = {part.suffix: (part.type, part.shape) for part in fp4.tensors(Matrix(GATE, (OUT, IN), is_routed=True))}
    assert routed == {".weight": ("I8", (131, 34)), ".scale": ("F8_E8M0", (131, 3))}
    assert {part.type for part in fp4.tensors(Matrix(GATE, (OUT, IN)))} == {"F8_E4M3", "F8_E8M0"}


def test_what_stands_beside_the_language_model_stays_if_the_config_is_its_own():
    tower = Matrix("visual.blocks.3.attn.qkv", SHAPE, in_tower=True)
    assert read_quantisation(FP8, "BF16").tensors(tower) is not None
    assert read_quantisation(FP8, "BF16", text_only=True).tensors(tower) is None


@pytest.mark.parametrize(("dtype", "scale"), [("BF16", "BF16"), ("F16", "F16"), ("F32", "F32"), ("F8_E4M3", "BF16")])
def test_scales_follow_the_checkpoint(dtype, scale):
    parts = read_quantisation(compressed("pack-quantized", **INT4), dtype).tensors(Matrix(Q, SHAPE))
    assert {part.type for part in parts if part.suffix == ".weight_scale"} == {scale}


def test_targets_choose_modules_unless_they_are_a_class():
    group = PACKED["config_groups"]["g"]
    chosen = {**PACKED, "config_groups": {"g": {**group, "targets": ["re:.*mlp.*"]}}}
    assert quantised(GATE, **chosen)
    assert not quantised(Q, **chosen)
    assert quantised(Q, **{**PACKED, "config_groups": {"g": {**group, "targets": []}}})


def parts(module, **config):
    found = read_quantisation(config, "BF16").tensors(Matrix(module, (OUT, IN)))
    return None if found is None else {part.suffix: (part.type, part.shape) for part in found}


def test_modules_may_have_settings_of_their_own():
    own = {"-:.*k_proj": {}, "+:.*q_proj": {"bits": 8, "group_size": 32}, ".*gate_proj": {"bits": 2}}
    config = {"quant_method": "gptq", "group_size": 64, "dynamic": own}
    assert parts(Q.replace("q_proj", "k_proj"), **config) is None
    assert parts(Q, **config)[".qweight"] == ("I32", (17, 131))
    assert parts(Q, **config)[".scales"] == ("F16", (3, 131))
    assert parts(GATE, **config)[".qweight"] == ("I32", (5, 131))
    assert parts(GATE, **config)[".scales"] == ("F16", (2, 131))
    assert parts(GATE.replace("gate", "up"), **config)[".qweight"] == ("I32", (9, 131))


def test_of_groups_a_name_goes_before_an_expression_and_that_before_a_class():
    def group(bits, *targets):
        return {"targets": list(targets), "weights": {"num_bits": bits, "strategy": "channel"}}

    groups = {"a": group(2, "Linear"), "b": group(4, "re:.*mlp.*"), "c": group(8, GATE)}
    config = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": groups}
    assert read_quantisation(config, "BF16").name == "compressed int2 channel + compressed int4 channel + " \
                                                     "compressed int8 channel"  # fmt: skip
    assert [parts(name, **config)[".weight_packed"][1] for name in (Q, GATE.replace("gate", "up"), GATE)] == [
        (131, 5), (131, 9), (131, 17),
    ]  # fmt: skip


def test_of_mixed_algorithms_only_what_is_named_is_quantised():
    layers = {Q: {"quant_algo": "FP8"}, "model.layers.7.mlp": {"quant_algo": "NVFP4", "group_size": 16}}
    config = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    assert parts(Q, **config)[".weight"] == ("F8_E4M3", (131, 67))
    assert parts(GATE, **config)[".weight_scale"] == ("F8_E4M3", (131, 5))
    assert parts(Q.replace("q_proj", "k_proj"), **config) is None
    assert parts("model.layers.70.mlp.gate_proj", **config) is None
    assert read_quantisation(config, "BF16").name == "modelopt fp8 + nvfp4"
    assert read_quantisation({**config, "config_groups": {"g": {}}}, "BF16").unknown_keys == ()


def test_a_name_of_one_part_is_that_of_a_module_within_a_larger_model():
    matrix = Matrix("language_model.lm_head", SHAPE, is_head=True)
    for config in (PACKED, NVFP4):
        assert read_quantisation({**config, "ignore": ["lm_head"]}, "BF16").tensors(matrix) is None
        assert read_quantisation({**config, "ignore": ["head"]}, "BF16").tensors(matrix) is not None


@pytest.mark.parametrize(("version", "is_"), [("4.57.1", True), (None, True), ("5.0.0", False), ("10.1", False)])
def test_experts_that_are_kept_in_one_tensor_are_left_by_bitsandbytes(version, is_):
    expert = Matrix("model.layers.7.mlp.experts.3.up_proj", SHAPE, is_routed=True)
    first, second = quantisation_variants({**INT8, "transformers_version": version}, "BF16")
    assert (first.tensors(expert) is not None) == is_
    assert (second.tensors(expert) is not None) != is_
    assert first.tensors(Matrix(Q, SHAPE)) is not None


def test_writers_of_8_bit_floats_name_scales_in_several_ways():
    def scales(**config):
        ways = quantisation_variants({"quant_method": "fp8", "activation_scheme": "static", **config}, "BF16")
        return [tuple(part.suffix for part in way.tensors(Matrix(Q, SHAPE))[1:]) for way in ways]

    named, inverse = (".weight_scale", ".input_scale"), (".weight_scale_inv", ".activation_scale")
    assert scales() == [named, inverse] * 2
    assert scales(weight_block_size=None) == [inverse, named] * 2
    assert scales(weight_block_size=[32, 16]) == [inverse, named] * 2
    assert scales(weight_block_size=[32, 16], scale_fmt="ue8m0") == [(".scale",), inverse, inverse] * 2


@pytest.mark.parametrize(
    ("pattern", "names_blocks"),
    [
        ("model.layers.*.self_attn", False),
        ("lm_head", False),
        (r"re:.*mlp\.(gate|up)_proj.*", False),
        ("re:.*self_attn.*", False),
        ("model.layers.3.mlp", True),
        ("model.layers.1*", True),
        (r"re:model\.layers\.\d\.mlp.*", True),
        ("re:model.layers...mlp.*", True),
        ("re:.*layers.[0-4].*", True),
        ("model.layers.?.mlp", True),
    ],
)
def test_patterns_name_blocks_if_a_match_may_depend_on_the_number(pattern, names_blocks):
    config = {"quant_method": "modelopt", "quant_algo": "FP8", "ignore": [pattern]}
    assert read_quantisation(config, "BF16").names_blocks is names_blocks


@pytest.mark.parametrize("pattern", ["model.layers.*.self_attn", "model.layers.11.self_attn", "re:.*[.]3[.]mlp.*"])
def test_equal_blocks_are_counted_as_their_tensors_are_listed(pattern):
    model = llmcalc.load("qwen3-0.6b")
    method = read_quantisation({"quant_method": "modelopt", "quant_algo": "FP8", "ignore": [pattern]}, "BF16")
    weights = PublishedWeights(method, "BF16", number_format("bf16"), model.layout)
    stored = {(each.component, each.format.name): each[2:] for each in weights.stored(model)}
    listed = {}
    for tensor, number_format_, bits in weights.placed(model):
        key = component(tensor.rows[0]), number_format_.name
        elements, known = listed.get(key, (0, 0))
        listed[key] = elements + prod(tensor.shape) * tensor.copies, known + bits
    assert stored == listed
    assert len({name for _, name in stored}) == 2
