"""Which GGUF architecture is which ``model_type``, and which of its keys is which key of the config.

A line: architecture, model_type, then words: ``key=value`` (a key of the config that is always so), ``key?tensor``
(true if there is such a tensor), ``key>other`` (a key of the metadata that this config calls otherwise), ``-key`` (a
common key that does not exist here), ``@function`` (of ``special``, for the rest).
Names of architectures and keys: the package gguf 0.19, ``constants.py``.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NamedTuple

_COMMON = """
block_count num_hidden_layers
embedding_length hidden_size
feed_forward_length intermediate_size
attention.head_count num_attention_heads
attention.head_count_kv num_key_value_heads
attention.key_length head_dim
attention.layer_norm_rms_epsilon rms_norm_eps
attention.layer_norm_epsilon layer_norm_eps
context_length max_position_embeddings
rope.freq_base rope_theta
"""
_NEEDED = ("block_count", "embedding_length", "feed_forward_length", "attention.head_count")
_EXPERTS = """expert_count>num_experts expert_used_count>num_experts_per_tok
    expert_feed_forward_length>moe_intermediate_size"""
_DEEPSEEK = """expert_count>n_routed_experts expert_used_count>num_experts_per_tok
    expert_feed_forward_length>moe_intermediate_size expert_shared_count>n_shared_experts
    leading_dense_block_count>first_k_dense_replace expert_group_count>n_group expert_group_used_count>topk_group"""
_LOCAL_EXPERTS = "expert_count>num_local_experts expert_used_count>num_experts_per_tok"
_ABSOLUTE = "-context_length context_length>n_positions -rope.freq_base -attention.key_length"

_TABLE = f"""
llama        llama       attention_bias?attn_output.bias mlp_bias?ffn_up.bias @llama
mistral3     mistral     sliding_window=null @llama
qwen2        qwen2       use_sliding_window=false
qwen3        qwen3       use_sliding_window=false attention_bias=false
qwen2moe     qwen2_moe   {_EXPERTS} expert_shared_feed_forward_length>shared_expert_intermediate_size
                         use_sliding_window=false decoder_sparse_step=1 -attention.key_length @qwen_moe
qwen3moe     qwen3_moe   {_EXPERTS} use_sliding_window=false decoder_sparse_step=1 attention_bias=false @qwen_moe
qwen3next    qwen3_next  {_EXPERTS} expert_shared_feed_forward_length>shared_expert_intermediate_size
                         attention_bias=false decoder_sparse_step=1 @delta_net
qwen35       qwen3_5_text attention_bias=false @delta_net
qwen35moe    qwen3_5_moe_text {_EXPERTS} attention_bias=false -feed_forward_length
                         expert_shared_feed_forward_length>shared_expert_intermediate_size @delta_net
qwen2vl      qwen2       use_sliding_window=false
qwen3vl      qwen3       use_sliding_window=false attention_bias=false
qwen3vlmoe   qwen3_moe   {_EXPERTS} use_sliding_window=false decoder_sparse_step=1 attention_bias=false @qwen_moe
dream        qwen2       use_sliding_window=false
llama-embed  llama       attention_bias?attn_output.bias mlp_bias?ffn_up.bias @llama
minicpm      llama       attention_bias?attn_output.bias mlp_bias?ffn_up.bias @llama
gemma        gemma       attention_bias=false
gemma2       gemma2      attention_bias=false @gemma
gemma3       gemma3_text attention_bias=false @gemma
phi2         phi         -attention.key_length @phi
phi3         phi3        -attention.key_length @phi3
phimoe       phimoe      {_LOCAL_EXPERTS} attention_bias=true lm_head_bias=true -attention.key_length @window
starcoder2   starcoder2  attention.layer_norm_epsilon>norm_epsilon use_bias=true -attention.key_length @window
starcoder    gpt_bigcode attention.layer_norm_epsilon>layer_norm_epsilon feed_forward_length>n_inner
                         multi_query=true -attention.head_count_kv {_ABSOLUTE} @one_key
gpt2         gpt2        attention.layer_norm_epsilon>layer_norm_epsilon feed_forward_length>n_inner
                         -attention.head_count_kv {_ABSOLUTE}
gptneox      gpt_neox    use_parallel_residual>use_parallel_residual attention_bias?attn_qkv.bias
                         -attention.head_count_kv -attention.key_length
gptj         gptj        attention.layer_norm_epsilon>layer_norm_epsilon feed_forward_length>n_inner
                         rope.dimension_count>rotary_dim -attention.head_count_kv {_ABSOLUTE}
falcon       falcon      attention.layer_norm_epsilon>layer_norm_epsilon bias?attn_qkv.bias
                         new_decoder_architecture?attn_norm_2.weight parallel_attn=true alibi=false
                         feed_forward_length>ffn_hidden_size attention.head_count_kv>num_kv_heads
                         -attention.key_length @falcon
bloom        bloom       attention.layer_norm_epsilon>layer_norm_epsilon -feed_forward_length -context_length
                         -attention.head_count_kv -attention.key_length -rope.freq_base @four_times
stablelm     stablelm    use_qkv_bias?attn_q.bias qk_layernorm?attn_q_norm.weight
                         use_parallel_residual=false -attention.key_length @stablelm
olmo         olmo        attention.clamp_kqv>clip_qkv attention_bias=false -attention.key_length
olmo2        olmo2       attention_bias=false -attention.key_length
olmoe        olmoe       expert_count>num_experts expert_used_count>num_experts_per_tok attention_bias=false
                         -attention.key_length
command-r    cohere      use_qk_norm?attn_q_norm.weight attention_bias=false logit_scale>logit_scale
                         -attention.key_length
cohere2      cohere2     attention_bias=false logit_scale>logit_scale attention.sliding_window>sliding_window
                         @cohere2
bert         bert        architectures=["BertModel"] -attention.head_count_kv
                         -attention.key_length -rope.freq_base tie_word_embeddings=true @bert
t5           t5          attention.key_length>d_kv feed_forward_length>d_ff embedding_length>d_model
                         attention.relative_buckets_count>relative_attention_num_buckets
                         attention.layer_norm_rms_epsilon>layer_norm_epsilon decoder_block_count>num_decoder_layers
                         -attention.head_count_kv -context_length -rope.freq_base @t5
mamba        mamba       ssm.conv_kernel>conv_kernel ssm.state_size>state_size ssm.time_step_rank>time_step_rank
                         attention.layer_norm_rms_epsilon>layer_norm_epsilon use_conv_bias?ssm_conv1d.bias
                         use_bias=false -feed_forward_length -attention.head_count -attention.head_count_kv
                         -attention.key_length -context_length -rope.freq_base @mamba
mamba2       mamba2      ssm.conv_kernel>conv_kernel ssm.state_size>state_size ssm.group_count>n_groups
                         attention.layer_norm_rms_epsilon>layer_norm_epsilon use_conv_bias?ssm_conv1d.bias
                         use_bias=false -feed_forward_length -attention.head_count -attention.head_count_kv
                         -attention.key_length -context_length -rope.freq_base @mamba2
jamba        jamba       ssm.conv_kernel>mamba_d_conv ssm.state_size>mamba_d_state ssm.time_step_rank>mamba_dt_rank
                         expert_count>num_experts expert_used_count>num_experts_per_tok
                         mamba_conv_bias?ssm_conv1d.bias mamba_proj_bias=false -attention.key_length -rope.freq_base
                         -attention.head_count_kv @jamba
deepseek2    deepseek_v3 {_DEEPSEEK} attention.q_lora_rank>q_lora_rank attention.kv_lora_rank>kv_lora_rank
                         attention_bias=false -attention.key_length -attention.head_count_kv @deepseek
gpt-oss      gpt_oss     {_LOCAL_EXPERTS} attention_bias=true @gpt_oss
granite      granite     attention_bias?attn_q.bias mlp_bias?ffn_up.bias -attention.key_length @granite
granitemoe   granitemoe  {_LOCAL_EXPERTS} attention_bias?attn_q.bias -attention.key_length @granite
glm4         glm4        attention_bias?attn_q.bias
glm4moe      glm4_moe    {_DEEPSEEK} attention_bias?attn_q.bias use_qk_norm?attn_q_norm.weight @glm
dots1        dots1       {_DEEPSEEK} attention_bias=false sliding_window=null
minimax-m2   minimax_m2  expert_count>num_local_experts expert_used_count>num_experts_per_tok
                         -expert_feed_forward_length @minimax
ernie4_5     ernie4_5    use_bias?attn_q.bias
smollm3      smollm3     attention_bias=false mlp_bias=false sliding_window=null -attention.key_length
                         use_sliding_window=false
seed_oss     seed_oss    attention_bias?attn_q.bias attention_out_bias?attn_output.bias mlp_bias?ffn_up.bias
nemotron     nemotron    attention.layer_norm_epsilon>norm_eps attention_bias?attn_q.bias mlp_bias?ffn_up.bias
arcee        arcee       attention_bias?attn_q.bias mlp_bias?ffn_up.bias
exaone       exaone      attention_bias?attn_output.bias mlp_bias?ffn_up.bias
exaone4      exaone4     attention.sliding_window>sliding_window @exaone4
hunyuan-dense hunyuan_v1_dense attention_bias=false
internlm2    internlm3   attention_bias=false mlp_bias=false
xverse       llama       attention_bias=false mlp_bias=false
lfm2moe      lfm2_moe    {_EXPERTS} shortconv.l_cache>conv_L_cache attention.layer_norm_rms_epsilon>norm_eps
                         leading_dense_block_count>num_dense_layers use_expert_bias?exp_probs_b.bias
                         -attention.key_length -attention.head_count_kv @lfm2
ernie4_5-moe ernie4_5_moe expert_count>moe_num_experts expert_used_count>moe_k
                         interleave_moe_layer_step>moe_layer_interval
                         expert_feed_forward_length>moe_intermediate_size expert_shared_count>moe_num_shared_experts
                         leading_dense_block_count>moe_layer_start_index use_bias?attn_q.bias
                         -attention.key_length @ernie
hunyuan-moe  hunyuan_v1_moe expert_count>num_experts expert_used_count>moe_topk attention_bias=false @hunyuan
lfm2         lfm2        shortconv.l_cache>conv_L_cache attention.layer_norm_rms_epsilon>norm_eps
                         block_auto_adjust_ff_dim=false -attention.key_length
                         -attention.head_count_kv @lfm2
"""


class Entry(NamedTuple):
    """How one architecture is read."""

    model_type: str
    keys: dict[str, str]
    fixed: dict[str, Any]
    present: dict[str, str]
    needed: tuple[str, ...]
    special: str


@cache
def _entries() -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    lines: list[list[str]] = []
    for line in _TABLE.strip().splitlines():
        if line.startswith(" "):
            lines[-1] += line.split()
        else:
            lines.append(line.split())
    for arch, model_type, *words in lines:
        found[arch] = _entry(model_type, words)
    return found


def _entry(model_type: str, words: list[str]) -> Entry:
    keys = dict(line.split() for line in _COMMON.strip().splitlines())
    fixed: dict[str, Any] = {}
    present: dict[str, str] = {}
    special = ""
    for word in words:
        if word.startswith("-"):
            keys.pop(word[1:], None)
        elif word.startswith("@"):
            special = word[1:]
        elif ">" in word:
            key, _, target = word.partition(">")
            keys[key] = target
        elif "?" in word:
            key, _, tensor = word.partition("?")
            present[key] = tensor
        else:
            key, _, value = word.partition("=")
            fixed[key] = json.loads(value)
    needed = tuple(key for key in _NEEDED if key in keys)
    return Entry(model_type, keys, fixed, present, needed, special)


def find(arch: str) -> Entry | None:
    """How an architecture is read, or None."""
    return _entries().get(arch)


def names() -> list[str]:
    """All architectures that are understood."""
    return sorted(_entries())
