"""Recurrent networks: RecurrentGemma among attention, xLSTM alone."""

from __future__ import annotations

from dataclasses import replace
from struct import pack, unpack

from ....core.architecture import Architecture
from ....core.errors import DescriptionError, shown
from ....core.layer import Layer
from ....layers.head import Head
from ....layers.mlp import Mlp
from ....layers.norm import Norm
from ....layers.rg_lru import RgLru
from ....zoo.research.layers.mlstm import Mlstm
from ..config import Config
from ..rules import (
    TOKENS,
    causal_lm,
    hybrid_runs,
    prenorm_block,
    repeat_block,
    rmsnorm,
    rope_attention,
    rotary_width,
    sliding_window,
)


def recurrent_gemma(config: Config) -> Architecture:
    """RecurrentGemma [botev2024]: Griffin's recurrent blocks, every third layer attention with a window."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    norm = rmsnorm(config, width, unit_offset=True)
    config.ignore("w_init_variance_scale final_w_init_variance_scale")
    activation = config.activation("hidden_activation")
    lru = config.optional_size("lru_width") or width
    biased, share = config.flag("attention_bias"), TOKENS if config.flag("tie_word_embeddings", True) else None
    attention = rope_attention(
        config,
        bias=False,
        q_bias=biased,
        k_bias=biased,
        v_bias=biased,
        o_bias=True,
        window=sliding_window(config, "attention_window_size"),
        rotary_dim=rotary_width(config, 0.5),
    )
    mixers: dict[str, Layer] = {
        "attention": attention,
        "recurrent": RgLru(width, lru, config.size("num_attention_heads"), config.size("conv1d_width"), activation),
    }
    mlp = Mlp(width, config.size("intermediate_size") // 2, activation, gated=True, bias=True)
    cycle = config.strings("block_types")
    if not cycle:
        raise DescriptionError("block_types is empty", where=config.where)
    runs = hybrid_runs(norm, mixers, {"dense": mlp}, ((cycle[index % len(cycle)], "dense") for index in range(layers)))
    head = Head(config.size("vocab_size"), width, share, softcap=config.number("logits_soft_cap"))
    return causal_lm(config, runs, norm, head=head, embedding_scale=_bfloat16(width**0.5))


def _bfloat16(value: float) -> float:
    """A number as bfloat16 holds it, in which the class keeps this factor: the upper half of fp32, rounded to even."""
    bits: int = unpack("<I", pack("<f", value))[0]
    bits += 0x7FFF + (bits >> 16 & 1)
    return float(unpack("<f", pack("<I", bits & 0xFFFF0000))[0])


_KERNELS = (
    "chunkwise_kernel sequence_kernel step_kernel mode return_last_states autocast_kernel_dtype "
    "inference_state_dtype norm_reduction_force_float32 max_inference_chunksize num_hidden_layers hidden_size "
    "add_out_norm tie_word_embeddings"  # the class always has that norm, and never ties
)


def xlstm(config: Config) -> Architecture:
    """The large xLSTM [beck2025]: mLSTM layers, each with a SwiGLU behind it; matrices apart or in one."""
    width, biased = config.optional_size("hidden_size") or config.size("embedding_dim"), config.flag("use_bias")
    config.ignore(_KERNELS)
    if (config.optional_size("embedding_dim") or width) != width:
        raise DescriptionError("embedding_dim is not hidden_size", where=config.where)
    eps, fused = config.number("norm_eps") or 1e-6, config.string("weight_mode")
    if fused not in ("single", "fused"):
        raise DescriptionError(f"weight_mode is {shown(fused)}; it is single or fused", where=config.where)
    mlstm = Mlstm(
        width,
        config.size("num_heads"),
        int(width * (config.number("qk_dim_factor") or 0)),
        int(width * (config.number("v_dim_factor") or 0)),
        config.size("chunk_size"),
        biased,
        gate_softcap=config.number("gate_soft_cap"),
        norm_eps=eps,
        eps=config.number("eps") or 1e-6,
    )
    multiple = config.size("ffn_round_up_to_multiple_of")
    d_ff = int((width * (config.number("ffn_proj_factor") or 0) + multiple - 1) // multiple * multiple)
    mlp = Mlp(width, d_ff, "silu", gated=True, bias=biased)
    block = prenorm_block("block", Norm(width, bias=biased, eps=eps), mlstm=mlstm, mlp=mlp)
    layers = config.optional_size("num_blocks") or config.size("num_hidden_layers")
    head = Head(config.size("vocab_size"), width, softcap=config.number("output_logit_soft_cap"))
    found = causal_lm(config, repeat_block(block, layers), Norm(width, eps=eps), head=head, tied=False)
    return replace(found, layout="xlstm_fused") if fused == "fused" else found
