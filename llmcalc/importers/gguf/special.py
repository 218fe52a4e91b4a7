"""What keys do not say one by one: patterns of layers, widths that are read off tensors, older spellings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core.errors import DescriptionError, SizeError
from .metadata import Metadata

Config = dict[str, Any]
_SIGMOID = 2  # expert_gating_func: 1 is softmax


def llama(config: Config, metadata: Metadata) -> None:
    """LLaMA, Mistral and, with experts, Mixtral; with biases on queries alone it is what Qwen2 is."""
    if metadata.count("expert_count"):
        config |= {"model_type": "mixtral", "num_local_experts": metadata.size("expert_count")}
        config |= {"num_experts_per_tok": metadata.size("expert_used_count"), "sliding_window": None}
        metadata.get("expert_feed_forward_length")
    elif metadata.holds("attn_q.bias") and not config.get("attention_bias"):
        config |= {"model_type": "qwen2", "use_sliding_window": False}
    metadata.count("expert_used_count")
    if config["model_type"] != "llama":
        config.pop("attention_bias", None)
        config.pop("mlp_bias", None)


def qwen_moe(config: Config, metadata: Metadata) -> None:
    """Widths that older files leave to the tensors."""
    if "moe_intermediate_size" not in config:
        config["moe_intermediate_size"] = _expert_width(metadata)
    if config["model_type"] == "qwen2_moe" and "shared_expert_intermediate_size" not in config:
        config["shared_expert_intermediate_size"] = metadata.width(".ffn_up_shexp.weight") or 0


def _expert_width(metadata: Metadata) -> int:
    held = next((held for name, held in metadata.tensors.items() if name.endswith(".ffn_up_exps.weight")), None)
    if held is None or len(held.shape) != 3:
        raise DescriptionError(f"the metadata has no {metadata.arch}.expert_feed_forward_length")
    return held.shape[1]


def delta_net(config: Config, metadata: Metadata) -> None:
    """Gated delta nets with attention in every n-th layer."""
    heads = metadata.size("ssm.time_step_rank")
    config |= {
        "linear_conv_kernel_dim": metadata.size("ssm.conv_kernel"),
        "linear_key_head_dim": metadata.size("ssm.state_size"),
        "linear_num_key_heads": metadata.size("ssm.group_count"),
        "linear_num_value_heads": heads,
        "linear_value_head_dim": _divided(metadata, "ssm.inner_size", heads),
    }
    period = metadata.count("full_attention_interval", 4)
    config["layer_types"] = _every(metadata, period, "full_attention", "linear_attention")


def gemma(config: Config, metadata: Metadata) -> None:
    """Windows in all layers but every second (Gemma 2) or sixth (Gemma 3)."""
    config["sliding_window"] = metadata.size("attention.sliding_window")
    period = 2 if metadata.arch == "gemma2" else 6
    config["layer_types"] = _pattern(metadata, period)


def cohere2(config: Config, metadata: Metadata) -> None:
    """Windows in three of four layers."""
    config["layer_types"] = _pattern(metadata, 4)


def exaone4(config: Config, metadata: Metadata) -> None:
    """Windows in three of four layers, or in none."""
    period = 4 if config.get("sliding_window") else 1
    config["layer_types"] = _pattern(metadata, period)


def gpt_oss(config: Config, metadata: Metadata) -> None:
    """Windows in every second layer, the first included."""
    config["intermediate_size"] = metadata.count("expert_feed_forward_length") or config["intermediate_size"]
    config["sliding_window"] = metadata.size("attention.sliding_window")
    config["layer_types"] = _pattern(metadata, 2)


def window(config: Config, metadata: Metadata) -> None:
    """One window for all layers, or none."""
    config["sliding_window"] = metadata.count("attention.sliding_window") or None


def phi(config: Config, metadata: Metadata) -> None:
    """A part of each head is rotated."""
    rotated = metadata.count("rope.dimension_count")
    if rotated:
        config["partial_rotary_factor"] = rotated * config["num_attention_heads"] / config["hidden_size"]


def phi3(config: Config, metadata: Metadata) -> None:
    """Partly rotated heads and a window."""
    phi(config, metadata)
    window(config, metadata)
    config["original_max_position_embeddings"] = metadata.get("rope.scaling.original_context_length")


def stablelm(config: Config, metadata: Metadata) -> None:
    """Without a norm before the feed-forward layer, it runs beside attention."""
    phi(config, metadata)
    parallel = metadata.get("use_parallel_residual")
    config["use_parallel_residual"] = not metadata.holds("ffn_norm.weight") if parallel is None else bool(parallel)


def one_key(config: Config, metadata: Metadata) -> None:
    """All query heads share one key head."""
    if metadata.count("attention.head_count_kv", 1) != 1:
        raise DescriptionError(f"{metadata.arch}.attention.head_count_kv is not 1, which is not understood")


def falcon(config: Config, metadata: Metadata) -> None:
    """One key head, or groups of them in the new architecture."""
    shared, heads = config.get("num_kv_heads", 1), config["num_attention_heads"]
    if not config["new_decoder_architecture"] and shared not in (1, heads):
        raise DescriptionError(f"{shared} key heads of {heads} without attn_norm_2, which is not understood")
    config["multi_query"] = shared == 1


def four_times(config: Config, metadata: Metadata) -> None:
    """The feed-forward layer is four times as wide as the model."""
    if metadata.size("feed_forward_length") != 4 * config["hidden_size"]:
        raise SizeError(f"{metadata.arch}.feed_forward_length is not four times its embedding_length")


def bert(config: Config, metadata: Metadata) -> None:
    """Tables of positions and segments, as long as their tensors."""
    config["max_position_embeddings"] = metadata.rows("position_embd.weight")
    config["type_vocab_size"] = metadata.rows("token_types.weight")


def t5(config: Config, metadata: Metadata) -> None:
    """An encoder and a decoder of equal blocks; a gate tells T5 1.1 from the first one."""
    metadata.get("attention.value_length")
    metadata.get("attention.head_count_kv")
    gated = "enc.blk.0.ffn_gate.weight" in metadata.tensors
    config["feed_forward_proj"] = "gated-gelu" if gated else "relu"


def mamba(config: Config, metadata: Metadata) -> None:
    """Mamba, and Falcon Mamba with its norms."""
    _no_attention(metadata)
    config["intermediate_size"] = metadata.size("ssm.inner_size")
    if metadata.get("ssm.dt_b_c_rms"):
        config["model_type"] = "falcon_mamba"


def mamba2(config: Config, metadata: Metadata) -> None:
    """Mamba-2: the rank of the time step is the number of heads."""
    _no_attention(metadata)
    config["num_heads"] = metadata.size("ssm.time_step_rank")
    config["head_dim"] = _divided(metadata, "ssm.inner_size", config["num_heads"])
    if metadata.size("ssm.inner_size") != 2 * config["hidden_size"]:
        config["expand"] = metadata.size("ssm.inner_size") / config["hidden_size"]


def _no_attention(metadata: Metadata) -> None:
    for key in ("feed_forward_length", "attention.head_count", "attention.head_count_kv"):
        if metadata.count(key):
            raise DescriptionError(f"{metadata.arch}.{key} is not 0, which is not understood")


def jamba(config: Config, metadata: Metadata) -> None:
    """Attention in the layers that have key heads, experts in those that have a router; each at equal distances."""
    layers = metadata.layers()
    shared = metadata.per_layer("attention.head_count_kv", layers)
    config["num_key_value_heads"] = max(shared, default=0)
    config["mamba_expand"] = _divided(metadata, "ssm.inner_size", config["hidden_size"])
    for name, chosen in (
        ("attn", [index for index, count in enumerate(shared) if count]),
        ("expert", [index for index in range(layers) if f"blk.{index}.ffn_gate_inp.weight" in metadata.tensors]),
    ):
        config[f"{name}_layer_offset"], config[f"{name}_layer_period"] = _periodic(chosen, layers, name)


def _periodic(chosen: list[int], layers: int, what: str) -> tuple[int, int]:
    """(offset, period) of layers at equal distances."""
    offset = chosen[0] if chosen else layers
    period = chosen[1] - chosen[0] if len(chosen) > 1 else layers + 1
    if chosen != list(range(offset, layers, period)):
        raise DescriptionError(f"the {what} layers {chosen[:8]} do not stand at equal distances")
    return offset, period


def deepseek(config: Config, metadata: Metadata) -> None:
    """DeepSeek-V2 and V3: heads of latent attention, in the keys of today or of older files."""
    rotary = metadata.size("rope.dimension_count")
    today = metadata.get("attention.key_length_mla") is not None
    suffix = "_mla" if today else ""
    for key in (
        "attention.key_length",
        "attention.value_length",
        "attention.head_count_kv",
        "attention.value_length_mla",
    ):
        metadata.get(key)
    whole = metadata.size(f"attention.key_length{suffix}")
    if whole <= rotary:
        raise SizeError(f"the heads have {whole} entries, of which {rotary} are rotated")
    config |= {
        "qk_rope_head_dim": rotary,
        "qk_nope_head_dim": whole - rotary,
        "v_head_dim": metadata.size(f"attention.value_length{suffix}"),
    }
    config.setdefault("q_lora_rank", None)
    config.setdefault("first_k_dense_replace", 0)
    config.setdefault("n_shared_experts", 0)
    if metadata.count("expert_gating_func") != _SIGMOID and not metadata.holds("exp_probs_b.bias"):
        config["model_type"] = "deepseek_v2"
        grouped = config.get("n_group", 1) > 1
        config["topk_method"] = "group_limited_greedy" if grouped else "greedy"
    else:
        config.setdefault("n_group", 1)
        config.setdefault("topk_group", 1)
    _without_prediction(config, metadata)


def glm(config: Config, metadata: Metadata) -> None:
    """GLM-4.5 and its like, whose modules for multi-token prediction stand behind the blocks."""
    config.setdefault("n_group", 1)
    config.setdefault("topk_group", 1)
    _without_prediction(config, metadata)


def _without_prediction(config: Config, metadata: Metadata) -> None:
    """Blocks that predict further tokens are counted among the others, but are no part of the model."""
    config["num_hidden_layers"] = metadata.layers() - metadata.count("nextn_predict_layers")


def minimax(config: Config, metadata: Metadata) -> None:
    """MiniMax-M2: all layers have experts, whose width is the only one."""
    config["intermediate_size"] = metadata.count("expert_feed_forward_length") or config["intermediate_size"]
    rotated = metadata.count("rope.dimension_count")
    if rotated:
        config["rotary_dim"] = rotated


def ernie(config: Config, metadata: Metadata) -> None:
    """ERNIE 4.5 with experts, whose shared ones may be given by their width alone."""
    width = metadata.count("expert_shared_feed_forward_length")
    expert = config.get("moe_intermediate_size")
    if width and type(expert) is int and expert > 0 and "moe_num_shared_experts" not in config:
        config["moe_num_shared_experts"] = _divided(metadata, "expert_shared_feed_forward_length", expert)
    config["moe_layer_interval"] = config.get("moe_layer_interval") or 1


def hunyuan(config: Config, metadata: Metadata) -> None:
    """Hunyuan-Large and A13B: routed and shared experts of one width, which is that of the model."""
    widths = {metadata.count(f"expert_{kind}feed_forward_length") for kind in ("", "shared_")}
    found = (widths | {config.get("intermediate_size")}) - {0}
    if len(found) > 1:
        raise SizeError(f"experts of several widths ({', '.join(map(str, found))}), which is not understood")


def granite(config: Config, metadata: Metadata) -> None:
    """Granite, with or without experts, of which one may be shared."""
    shared = metadata.count("expert_shared_feed_forward_length")
    if shared:
        config |= {"model_type": "granitemoeshared", "shared_intermediate_size": shared}


def lfm2(config: Config, metadata: Metadata) -> None:
    """Attention in the layers that have key heads, short convolutions in the others."""
    shared = metadata.per_layer("attention.head_count_kv", metadata.layers())
    config["num_key_value_heads"] = max(shared, default=0)
    config["layer_types"] = ["full_attention" if count else "conv" for count in shared]


def _pattern(metadata: Metadata, period: int) -> list[str]:
    """Which layers have a window: as the metadata lists it, by its period, or by the usual one."""
    given = metadata.data.get("attention.sliding_window_pattern")
    metadata.read.add("attention.sliding_window_pattern")
    if isinstance(given, list):
        if len(given) != metadata.layers():
            raise SizeError(f"attention.sliding_window_pattern has {len(given)} entries for {metadata.layers()} layers")
        return ["sliding_attention" if windowed else "full_attention" for windowed in given]
    if type(given) is int and given > 0:
        period = given
    return _every(metadata, period, "full_attention", "sliding_attention")


def _every(metadata: Metadata, period: int, rare: str, usual: str) -> list[str]:
    if period < 1:
        raise SizeError(f"every {period}-th layer is no pattern")
    return [usual if (index + 1) % period else rare for index in range(metadata.layers())]


def _divided(metadata: Metadata, key: str, parts: int) -> int:
    whole = metadata.size(key)
    if whole % parts:
        raise SizeError(f"{metadata.arch}.{key} ({whole}) is no multiple of {parts}")
    return whole // parts


RULES: dict[str, Callable[[Config, Metadata], None]] = {
    rule.__name__: rule
    for rule in (
        llama, qwen_moe, delta_net, gemma, cohere2, exaone4, gpt_oss, window, phi, phi3, stablelm, one_key, falcon,
        four_times, bert, t5, mamba, mamba2, jamba, deepseek, glm, minimax, granite, lfm2,
        ernie, hunyuan,
    )
}  # fmt: skip
