"""Qwen4, experimental: Qwen3.5's names, an indexer, and streams read channel by channel."""

from .qwen3_5 import TEXT as QWEN

LAYER, INDEXER = "model.layers.{i}", "model.layers.{i}.self_attn.indexer"
PARTS = {
    "hc_norm": "norm",
    "input_mix_weight_down": "down",
    "input_mix_weight_up": "up",
    "block_inject_weight": "inject",
}
PLACES = {
    f"{LAYER}.attn_hyper_connection": "attention/hyper_connection",
    f"{LAYER}.mlp_hyper_connection": "mlp/hyper_connection",
    "model.hyper_connection_mixer": "streams",
}
STREAMS = "\n".join(
    f"{stored}.{part}.weight <- {place}.{name}" for stored, place in PLACES.items() for part, name in PARTS.items()
)
TEXT = (
    QWEN
    + STREAMS
    + f"""
{INDEXER}.index_qk_proj.weight <- attention.indexer.wq attention.indexer.wk
{INDEXER}.q_layernorm.weight <- attention.indexer.q_norm
{INDEXER}.k_layernorm.weight <- attention.indexer.k_norm
"""
)
