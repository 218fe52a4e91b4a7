"""Tiny checkpoints: a config, and a folder that holds what it declares."""

import json

import llmcalc
from llmcalc.checkpoint.published_weights import expected_tensors, layout_candidates
from llmcalc.checkpoint.quantisation.read import read_quantisation, safetensors_type
from llmcalc.checkpoint.stored_tensors import declared

from .files import safetensors

LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 256, "num_hidden_layers": 2,
    "num_attention_heads": 8, "num_key_value_heads": 2, "intermediate_size": 384, "vocab_size": 101,
    "dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip
MIXTRAL = {
    **LLAMA, "model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "num_local_experts": 3,
    "num_experts_per_tok": 2, "sliding_window": None,
}  # fmt: skip
OSS = {
    "model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"], "hidden_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 96, "vocab_size": 101,
    "num_local_experts": 3, "num_experts_per_tok": 2, "dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip
BLOB = 113  # bytes of bitsandbytes' description of a tensor, which may be of any length


def holds(config, rules=0):
    """{name: (type, shape)} of all tensors that a config's checkpoint is expected to hold, by its first rules."""
    architecture = llmcalc.load(config)
    dtype = safetensors_type(config.get("dtype"))
    method = config.get("quantization_config")
    quantisation = read_quantisation(method, dtype) if method else None
    tensors = declared(llmcalc.params(architecture), layout_candidates(architecture)[rules])
    return {
        one.name: (one.type, (BLOB,) if one.shape is None else one.shape)
        for *_, parts in expected_tensors(tensors, quantisation, dtype)
        for one in parts
    }


def folder(path, config, tensors=None):
    """A checkpoint on disk."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    (path / "model.safetensors").write_bytes(safetensors(holds(config) if tensors is None else tensors))
    return path
