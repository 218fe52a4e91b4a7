"""Special cases of GGUF architectures, such as layer patterns, sizes taken from tensors, and older keys.

An architecture in ``data/gguf.yaml`` can name a function that completes the config built from the table.
"""

from __future__ import annotations

from typing import Any

from ...core.errors import DescriptionError, SizeError
from .metadata import Metadata

Config = dict[str, Any]
_SIGMOID = 2  # expert_gating_func: 1 is softmax


def llama(config: Config, metadata: Metadata) -> None:
    """Complete the config of a LLaMA, Mistral, Mixtral or Qwen2 model.

    Experts identify Mixtral. Biases in only the query, key and value projections identify Qwen2.
    """
    if metadata.count("expert_count"):
        config |= {"model_type": "mixtral", "num_local_experts": metadata.size("expert_count")}
        config |= {"num_experts_per_tok": metadata.size("expert_used_count"), "sliding_window": None}
        metadata.get("expert_feed_forward_length")
    elif metadata.has_tensor("attn_q.bias") and not config.get("attention_bias"):
        config |= {"model_type": "qwen2", "use_sliding_window": False}
    metadata.count("expert_used_count")
    if config["model_type"] != "llama":
        config.pop("attention_bias", None)
        config.pop("mlp_bias", None)


def qwen_moe(config: Config, metadata: Metadata) -> None:
    """Set the expert width if the metadata omits it, as in older files."""
    if "moe_intermediate_size" not in config:
        shape = metadata.tensor_shape(".ffn_up_exps.weight")
        if len(shape) != 3:
            raise DescriptionError(f"the metadata has no key {metadata.arch}.expert_feed_forward_length")
        config["moe_intermediate_size"] = shape[1]
    if config["model_type"] == "qwen2_moe" and "shared_expert_intermediate_size" not in config:
        config["shared_expert_intermediate_size"] = next(iter(metadata.tensor_shape(".ffn_up_shexp.weight")), 0)


def delta_net(config: Config, metadata: Metadata) -> None:
    """Use full attention in every n-th layer and gated delta-net in all other layers."""
    config["linear_value_head_dim"] = _quotient(metadata, "ssm.inner_size", config["linear_num_value_heads"])
    period = metadata.count("full_attention_interval", 4)
    config["layer_types"] = _alternate(metadata, period, "full_attention", "linear_attention")


def exaone4(config: Config, metadata: Metadata) -> None:
    """Use a sliding window in three of every four layers by default, or in none if there is no window size."""
    config["layer_types"] = sliding_layers(metadata, 4 if config.get("sliding_window") else 1)


def phi(config: Config, metadata: Metadata) -> None:
    """Set the rotated fraction of each head."""
    rotated = metadata.count("rope.dimension_count")
    if rotated:
        config["partial_rotary_factor"] = rotated * config["num_attention_heads"] / config["hidden_size"]


def phi3(config: Config, metadata: Metadata) -> None:
    """Set the rotated fraction of each head, and the context length before extension."""
    phi(config, metadata)
    config["original_max_position_embeddings"] = metadata.get("rope.scaling.original_context_length")


def stablelm(config: Config, metadata: Metadata) -> None:
    """Set the rotated fraction of each head. By default, models without feed-forward norms use parallel residuals."""
    phi(config, metadata)
    parallel = metadata.get("use_parallel_residual")
    config["use_parallel_residual"] = not metadata.has_tensor("ffn_norm.weight") if parallel is None else bool(parallel)


def falcon(config: Config, metadata: Metadata) -> None:
    """Use multi-query attention if there is one key/value head, and reject unsupported head counts."""
    shared, heads = config.get("num_kv_heads", 1), config["num_attention_heads"]
    if not config["new_decoder_architecture"] and shared not in (1, heads):
        message = f"{shared} key-value heads for {heads} query heads are not supported without attn_norm_2"
        raise DescriptionError(message)
    config["multi_query"] = shared == 1


def check_feed_forward_width(config: Config, metadata: Metadata) -> None:
    """Check that the feed-forward width is four times the model width."""
    if metadata.size("feed_forward_length") != 4 * config["hidden_size"]:
        raise SizeError(f"{metadata.arch}.feed_forward_length must be four times embedding_length")


def t5(config: Config, metadata: Metadata) -> None:
    """Set the feed-forward activation. A gate distinguishes T5 1.1 from the original T5."""
    metadata.get("attention.value_length")
    metadata.get("attention.head_count_kv")
    config["feed_forward_proj"] = "gated-gelu" if "enc.blk.0.ffn_gate.weight" in metadata.tensors else "relu"


def mamba(config: Config, metadata: Metadata) -> None:
    """Select Falcon Mamba instead of Mamba if the blocks have additional norms."""
    if metadata.get("ssm.dt_b_c_rms"):
        config["model_type"] = "falcon_mamba"


def mamba2(config: Config, metadata: Metadata) -> None:
    """Set the head width of Mamba-2, and the expansion factor if it is not 2."""
    config["head_dim"] = _quotient(metadata, "ssm.inner_size", config["num_heads"])
    if metadata.size("ssm.inner_size") != 2 * config["hidden_size"]:
        config["expand"] = metadata.size("ssm.inner_size") / config["hidden_size"]


def jamba(config: Config, metadata: Metadata) -> None:
    """Use attention in layers with key/value heads, and experts in layers with a router. Intervals must be regular."""
    layers = metadata.n_layers()
    shared = metadata.per_layer("attention.head_count_kv", layers)
    config["num_key_value_heads"] = max(shared, default=0)
    config["mamba_expand"] = _quotient(metadata, "ssm.inner_size", config["hidden_size"])
    for name, indices in (
        ("attn", [index for index, count in enumerate(shared) if count]),
        ("expert", [index for index in range(layers) if f"blk.{index}.ffn_gate_inp.weight" in metadata.tensors]),
    ):
        offset = indices[0] if indices else layers
        period = indices[1] - indices[0] if len(indices) > 1 else layers + 1
        if indices != list(range(offset, layers, period)):
            raise DescriptionError(f"the {name} layers {indices[:8]} are not evenly spaced")
        config[f"{name}_layer_offset"], config[f"{name}_layer_period"] = offset, period


def deepseek(config: Config, metadata: Metadata) -> None:
    """Complete the config of DeepSeek-V2 or V3. Head sizes of latent attention are read from current or older keys."""
    rotary = metadata.size("rope.dimension_count")
    suffix = "_mla" if metadata.get("attention.key_length_mla") is not None else ""
    for key in ("key_length", "value_length", "head_count_kv", "value_length_mla"):
        metadata.get(f"attention.{key}")
    d_key = metadata.size(f"attention.key_length{suffix}")
    if d_key <= rotary:
        raise SizeError(f"the key width ({d_key}) must exceed the rotary width ({rotary})")
    config |= {"qk_rope_head_dim": rotary, "qk_nope_head_dim": d_key - rotary}
    config["v_head_dim"] = metadata.size(f"attention.value_length{suffix}")
    config |= {"q_lora_rank": None, "first_k_dense_replace": 0, "n_shared_experts": 0, **config}
    if metadata.count("expert_gating_func") != _SIGMOID and not metadata.has_tensor("exp_probs_b.bias"):
        config["model_type"] = "deepseek_v2"
        config["topk_method"] = "group_limited_greedy" if config.get("n_group", 1) > 1 else "greedy"
        config["num_hidden_layers"] = _without_mtp_blocks(metadata)
    else:
        glm(config, metadata)


def glm(config: Config, metadata: Metadata) -> None:
    """Complete the config of GLM-4.5 and related models, excluding the blocks for multi-token prediction."""
    config |= {"n_group": 1, "topk_group": 1, **config}
    config["num_hidden_layers"] = _without_mtp_blocks(metadata)


def _without_mtp_blocks(metadata: Metadata) -> int:
    """Return ``block_count`` minus the number of multi-token prediction blocks."""
    return metadata.n_layers() - metadata.count("nextn_predict_layers")


def expert_width(config: Config, metadata: Metadata) -> None:
    """Set the expert width of gpt-oss and MiniMax-M2. Every layer of these models has experts."""
    config["intermediate_size"] = metadata.count("expert_feed_forward_length") or config["intermediate_size"]
    rotated = metadata.count("rope.dimension_count")
    if rotated and config["model_type"] == "minimax_m2":
        config["rotary_dim"] = rotated


def ernie(config: Config, metadata: Metadata) -> None:
    """Complete the config of ERNIE 4.5 MoE. The number of shared experts is computed if the file stores only their
    total width.
    """
    width = metadata.count("expert_shared_feed_forward_length")
    expert = config.get("moe_intermediate_size")
    if width and type(expert) is int and expert > 0 and "moe_num_shared_experts" not in config:
        config["moe_num_shared_experts"] = _quotient(metadata, "expert_shared_feed_forward_length", expert)
    config["moe_layer_interval"] = config.get("moe_layer_interval") or 1


def hunyuan(config: Config, metadata: Metadata) -> None:
    """Check that the routed and shared experts of Hunyuan-Large and A13B have equal widths."""
    widths = {metadata.count(f"expert_{kind}feed_forward_length") for kind in ("", "shared_")}
    different = {*widths, config.get("intermediate_size")} - {0}
    if len(different) > 1:
        raise SizeError(f"experts of different widths ({', '.join(map(str, different))}) are not supported")


def granite(config: Config, metadata: Metadata) -> None:
    """Complete the config of Granite models with a shared expert."""
    shared = metadata.count("expert_shared_feed_forward_length")
    if shared:
        config |= {"model_type": "granitemoeshared", "shared_intermediate_size": shared}


def lfm2(config: Config, metadata: Metadata) -> None:
    """Use attention in layers with key/value heads, and short convolutions in all other layers."""
    shared = metadata.per_layer("attention.head_count_kv", metadata.n_layers())
    config["num_key_value_heads"] = max(shared, default=0)
    config["layer_types"] = ["full_attention" if count else "conv" for count in shared]


def sliding_layers(metadata: Metadata, period: int) -> list[str]:
    """Return the type of each layer. The metadata contains either a list or a period (default: ``period``)."""
    pattern = metadata.data.get("attention.sliding_window_pattern")
    metadata.read.add("attention.sliding_window_pattern")
    if isinstance(pattern, list):
        layers = metadata.n_layers()
        if len(pattern) != layers:
            raise SizeError(f"attention.sliding_window_pattern has {len(pattern)} entries for {layers} layers")
        return ["sliding_attention" if is_windowed else "full_attention" for is_windowed in pattern]
    if type(pattern) is int and pattern > 0:
        period = pattern
    return _alternate(metadata, period, "full_attention", "sliding_attention")


def _alternate(metadata: Metadata, period: int, last: str, other: str) -> list[str]:
    """Return layer types that repeat with the given period. The last layer of each period has type ``last``."""
    if period < 1:
        raise SizeError(f"invalid period of layer types: {period}")
    return [other if (index + 1) % period else last for index in range(metadata.n_layers())]


def _quotient(metadata: Metadata, key: str, divisor: int) -> int:
    value = metadata.size(key)
    if value % divisor:
        raise SizeError(f"{metadata.arch}.{key} ({value}) is not a multiple of {divisor}")
    return value // divisor
