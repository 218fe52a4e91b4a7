"""Checkpoints that the makers' own libraries quantise and save here, against what their configs are read to say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.importers.weights import headers_of
from llmcalc.verification.weights import Comparison, verify_weights

from .reference import quiet, torch, transformers

pytestmark = pytest.mark.filterwarnings("ignore")
# packers want multiples of their blocks: distinct ones
SIZES = {
    "hidden_size": 256, "intermediate_size": 384, "num_hidden_layers": 2, "num_attention_heads": 8,
    "num_key_value_heads": 2, "vocab_size": 160, "tie_word_embeddings": False,
}  # fmt: skip
EXPERTS = {"num_local_experts": 3, "num_experts_per_tok": 2}
BLOB = 300  # bytes that bitsandbytes' description of a matrix may take


@pytest.fixture(scope="module", autouse=True)
def silent() -> Any:
    """No bars of progress."""
    os.environ["TQDM_DISABLE"] = "1"
    with quiet():
        yield
    os.environ.pop("TQDM_DISABLE")


def build(model_type: str = "llama", dtype: Any = torch.bfloat16, **more: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(model_type, **{**SIZES, **more})
    return transformers.AutoModelForCausalLM.from_config(config).to(dtype)


def compared(path: Path) -> Comparison:
    """A folder, which must be as declared to the last byte, and take in memory what it takes on disk."""
    architecture = llmcalc.load(path)
    headers = headers_of(architecture)
    assert headers is not None
    found = verify_weights(architecture, headers)
    assert found.ok, found.differences[:6]
    assert not found.unknown_keys
    unknown = sum(held.size_bytes for held in headers if "quant_state" in held.name)
    told = llmcalc.memory(architecture, seq=8).weights
    assert told == sum(held.size_bytes for held in headers) - unknown
    return found


# bitsandbytes

KINDS: dict[str, dict[str, Any]] = {
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "fp4": {"load_in_4bit": True},
    "nested": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
    "as bf16": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_quant_storage": "bfloat16"},
    "int8": {"load_in_8bit": True},
    "but one layer": {"load_in_8bit": True, "llm_int8_skip_modules": ["lm_head", "model.layers.0"]},
    "and the head": {"load_in_8bit": True, "llm_int8_skip_modules": []},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model_type", ["llama", "qwen2", "mixtral"])
def test_bitsandbytes(kind: str, model_type: str, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    pytest.importorskip("accelerate")
    build(model_type, **(EXPERTS if model_type == "mixtral" else {})).save_pretrained(tmp_path / "plain")
    how = transformers.BitsAndBytesConfig(**KINDS[kind])
    model = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "plain", quantization_config=how, dtype=torch.bfloat16, device_map="cpu"
    )
    model.save_pretrained(tmp_path / "packed")
    found = compared(tmp_path / "packed")
    blobs = [held.size_bytes for held in found.headers if "quant_state" in held.name]
    assert bool(blobs) == ("load_in_4bit" in KINDS[kind])
    assert all(0 < size < BLOB for size in blobs)


# compressed-tensors


def presets() -> list[str]:
    try:
        from compressed_tensors.quantization.quant_scheme import PRESET_SCHEMES
    except ImportError:
        return ["none installed"]
    return [name for name in PRESET_SCHEMES if name != "UNQUANTIZED"]


def compress(model: Any, path: Path, **config: Any) -> None:
    """What saving a model after calibration does; the scales are all one."""
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config

    apply_quantization_config(model, QuantizationConfig(**config))
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if name.endswith(("scale", "zero_point")):
                parameter.data.fill_(name.endswith("scale"))
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    model.save_pretrained(path)
    compressor.update_config(path)


@pytest.mark.parametrize("preset", presets())
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "f16"])
def test_compressed_tensors(preset: str, dtype: Any, tmp_path: Path) -> None:
    pytest.importorskip("compressed_tensors")
    compress(build(dtype=dtype), tmp_path, config_groups={preset: ["Linear"]}, ignore=["lm_head"])
    assert compared(tmp_path).quantised.startswith("compressed")


def test_compressed_tensors_quantises_a_head_that_is_not_ignored(tmp_path: Path) -> None:
    pytest.importorskip("compressed_tensors")
    compress(build(), tmp_path, config_groups={"W4A16": ["Linear"]}, ignore=["re:.*self_attn.*"])
    held = {one.name for one in compared(tmp_path).headers}
    assert {"lm_head.weight_packed", "model.layers.0.self_attn.q_proj.weight"} <= held


def test_compressed_tensors_gives_modules_a_scheme_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("compressed_tensors")
    groups = {"FP8_DYNAMIC": ["re:.*self_attn.*", "model.layers.1.mlp.down_proj"], "W4A16": ["Linear"]}
    compress(build(), tmp_path, config_groups=groups, ignore=["lm_head"])
    found = compared(tmp_path)
    kinds = {one.name: one.type for one in found.headers}
    assert found.quantised == "compressed fp8 channel + compressed int4 g128"
    assert kinds["model.layers.1.mlp.down_proj.weight"] == "F8_E4M3"
    assert kinds["model.layers.0.mlp.down_proj.weight_packed"] == "I32"


# transformers' own 8-bit floats, which it makes on other devices alone, but can make here

FP8: dict[str, dict[str, Any]] = {
    "tiles": {"weight_block_size": (32, 64)},
    "powers of two": {"weight_block_size": (32, 64), "scale_fmt": "ue8m0"},
    "static": {"weight_block_size": (32, 64), "activation_scheme": "static"},
    "but queries": {"weight_block_size": (32, 64), "modules_to_not_convert": ["q_proj", "lm_head"]},
    "and the head": {"weight_block_size": (32, 64), "modules_to_not_convert": ["q_proj"]},
    "of all": {"weight_block_size": None},
    "of all, static": {"weight_block_size": None, "activation_scheme": "static"},
}


@pytest.mark.parametrize("kind", FP8)
def test_fp8(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("accelerate")
    from transformers.quantizers.quantizer_finegrained_fp8 import FineGrainedFP8HfQuantizer as Quantizer

    monkeypatch.setattr(Quantizer, "validate_environment", lambda *_, **__: None)
    build("qwen2").save_pretrained(tmp_path / "plain")
    model = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "plain", quantization_config=transformers.FineGrainedFP8Config(**FP8[kind]),
        dtype=torch.bfloat16, device_map="cpu",
    )  # fmt: skip
    model.save_pretrained(tmp_path / "packed")
    assert compared(tmp_path / "packed").quantised.startswith("fp8")


# GGUF


def gguf_types() -> list[str]:
    try:
        import gguf
    except ImportError:
        return ["none installed"]
    whole = ("I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K")  # no types of weights
    return [one.name for one in gguf.GGMLQuantizationType if one.name not in whole]


@pytest.mark.parametrize("name", gguf_types())
def test_gguf(name: str, tmp_path: Path) -> None:
    """Matrices of one type, quantised where the package can, else of as many bytes as it says."""
    gguf = pytest.importorskip("gguf")
    import numpy as np

    kind, model = gguf.GGMLQuantizationType[name], build(dtype=torch.float32, intermediate_size=512)
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    for key, value in (
        ("block_count", 2), ("context_length", 64), ("embedding_length", 256), ("feed_forward_length", 512),
        ("head_count", 8), ("head_count_kv", 2), ("layer_norm_rms_eps", 1e-5), ("vocab_size", 160),
    ):  # fmt: skip
        getattr(writer, f"add_{key}")(value)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    for key, tensor in model.state_dict().items():
        data = tensor.numpy()
        stored = names.get_name(key, try_suffixes=(".weight",))
        if data.ndim == 1:
            writer.add_tensor(stored, data)
            continue
        try:
            packed = gguf.quants.quantize(data, kind)
        except NotImplementedError:
            packed = np.zeros(gguf.quant_shape_to_byte_shape(data.shape, kind), np.uint8)
        writer.add_tensor(stored, packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    compared(tmp_path / "m.gguf")
