"""The NumPy model of every preset and kind matches its declaration: shapes, parameters and FLOPs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc import layers
from llmcalc.core import architecture as core
from llmcalc.core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from llmcalc.core.declaration import Declaration
from llmcalc.core.errors import InputError, UnsupportedError
from llmcalc.core.layer import Layer
from llmcalc.core.layer_history import with_n_sums
from llmcalc.core.record import fields
from llmcalc.core.shrink import SEQ
from llmcalc.core.zoo_search import module_names
from llmcalc.layers.attention import Attention
from llmcalc.layers.attention_residual import AttentionResidual
from llmcalc.layers.compressed_attention import CompressedAttention
from llmcalc.layers.delta_rule import Kda
from llmcalc.layers.disentangled_attention import DisentangledAttention
from llmcalc.layers.embedding import Embedding
from llmcalc.layers.gemma3n import AltUp, PerLayerGate, PerLayerTable
from llmcalc.layers.head import Head
from llmcalc.layers.hyper_connection import HyperConnection
from llmcalc.layers.linear import Linear
from llmcalc.layers.mamba2 import Mamba2
from llmcalc.layers.mla import Mla
from llmcalc.layers.mlp import Mlp
from llmcalc.layers.moe import Moe
from llmcalc.layers.norm import Norm
from llmcalc.layers.parts.bounds import Bounds
from llmcalc.layers.parts.expert_capacity import Capacity
from llmcalc.layers.parts.gate import Gate
from llmcalc.layers.parts.ids import Ids
from llmcalc.layers.parts.inner_norm import InnerNorm
from llmcalc.layers.parts.latent import Latent
from llmcalc.layers.parts.multipliers import MlpMultipliers, SsmMultipliers
from llmcalc.layers.parts.qk_norm import QkNorm
from llmcalc.layers.parts.residual_stream import ResidualStream
from llmcalc.layers.parts.rope import Rope, Yarn
from llmcalc.layers.parts.routing import ExpertGroups, RouterNetwork, Routing
from llmcalc.layers.parts.sequence import InputRows, LogitRows, SequenceRows
from llmcalc.layers.parts.shared_experts import ScoredSharedExperts, SharedExperts
from llmcalc.layers.parts.sphere import Sphere
from llmcalc.layers.parts.time_step import TimeStep
from llmcalc.layers.patch import Patch
from llmcalc.layers.scale import Scale
from llmcalc.layers.score_biases.alibi import Alibi
from llmcalc.layers.score_biases.relative import Relative
from llmcalc.schema import preset_files
from llmcalc.testing import smallest
from llmcalc.twins import attention as attention_twin
from llmcalc.twins import hyper_connection as hyper_twin
from llmcalc.twins import moe as moe_twin
from llmcalc.twins.stack import _Runner
from llmcalc.twins.step import Cache, Step
from llmcalc.twins.training import train_step
from llmcalc.verification import Verification, verify
from llmcalc.zoo.audio.layers.context_attention import ContextAttention
from llmcalc.zoo.audio.layers.conv_module import ConvModule
from llmcalc.zoo.audio.layers.distance_attention import DistanceAttention
from llmcalc.zoo.document.layers.box_attention import BoxAttention
from llmcalc.zoo.document.layers.box_embedding import BoxEmbedding
from llmcalc.zoo.document.layers.box_pairs import BoxPairs
from llmcalc.zoo.document.layers.layoutlm_attention import LayoutLmAttention
from llmcalc.zoo.document.layers.lilt_attention import LiltAttention
from llmcalc.zoo.research.layers.affine import Affine
from llmcalc.zoo.research.layers.axial_embedding import AxialEmbedding
from llmcalc.zoo.research.layers.chunked_attention import ChunkedAttention
from llmcalc.zoo.research.layers.compressed_convolutional_attention import CompressedConvolutionalAttention
from llmcalc.zoo.research.layers.depth_attention import DepthAttention
from llmcalc.zoo.research.layers.differential_attention import DifferentialAttention
from llmcalc.zoo.research.layers.dynamic_attention import DynamicAttention
from llmcalc.zoo.research.layers.hash_embedding import HashEmbedding
from llmcalc.zoo.research.layers.hashed_attention import HashedAttention
from llmcalc.zoo.research.layers.latent_attention import LatentAttention
from llmcalc.zoo.research.layers.merged_attention import MergedAttention
from llmcalc.zoo.research.layers.nystrom_attention import NystromAttention
from llmcalc.zoo.research.layers.product_key_experts import ProductKeyExperts
from llmcalc.zoo.research.layers.relative_attention import RelativeAttention
from llmcalc.zoo.research.layers.relative_profile_attention import RelativeProfileAttention
from llmcalc.zoo.research.layers.residual_conv import ResidualConv
from llmcalc.zoo.research.layers.sparse_attention import SparseAttention
from llmcalc.zoo.research.layers.sphere_attention import SphereAttention
from llmcalc.zoo.vision.layers.channel_attention import ChannelAttention
from llmcalc.zoo.vision.layers.grid_attention import GridAttention
from llmcalc.zoo.vision.layers.query_attention import QueryAttention

STEMS = {
    file.stem: preset_files.read_preset(file) for file in sorted(Path(preset_files.shipped_folder()).glob("*.yaml"))
}
MODELS = [f"{stem}-{size}" for stem, data in STEMS.items() for size in data["sizes"]]
TWINS = set(module_names("twins"))
WIDTH, VOCAB = 12, 31
IDS = np.arange(3, 3 + SEQ)[None]
BOTH_WAYS = frozenset(
    {
        "channel_attention",
        "distance_attention",
        "block_attention",
        "disentangled_attention",
        "fourier_mixing",
        "funnel_attention",
        "hashed_attention",
        "local_attention",
        "nystrom_attention",
        "convbert_attention",
        "grouped_attention",
        "sparse_attention",
        "layoutlm_attention",
        "box_attention",
        "lilt_attention",
        "character_attention",
        "conv_module",
        "context_attention",
    }
)
NORM = Norm(WIDTH)


def failures(result: Verification) -> list[Any]:
    return [check for check in result.checks if not check.ok]


@pytest.mark.parametrize("model", MODELS)
def test_a_preset_matches_its_declaration(model: str) -> None:
    assert failures(verify(llmcalc.load(model))) == []


def sees_both_ways(mixer: Any) -> bool:
    return mixer.kind() in BOTH_WAYS or (mixer.kind() == "chunked_attention" and not mixer.causal)


def decoder(*mixers: Layer, count: int = 2, shared: bool = False, **norms: Layer) -> Architecture:
    """A small decoder of blocks with these sub-layers; an encoder, if one of them sees both ways and keeps nothing."""
    role = "encoder" if any(map(sees_both_ways, mixers)) else "decoder"
    width: int = mixers[0].d_model  # type: ignore[attr-defined]
    parts = [Sublayer(f"part{n}", (Branch(f"part{n}", mixer),), **norms) for n, mixer in enumerate(mixers)]
    token, head = Embedding(VOCAB, width, share="token"), Head(VOCAB, width, share="token")
    stack = Stack(
        role,
        width,
        (Named("token", token),),
        (Run(Block("block", tuple(parts)), count, shared),),
        (Named("head", head),),
        role,
    )
    return Architecture("test", (stack,))


HEADS: dict[str, Any] = {"d_model": WIDTH, "n_heads": 6, "n_kv_heads": 2, "d_head": 4}
LATENT: dict[str, Any] = {
    "d_model": WIDTH,
    "n_heads": 3,
    "kv_lora_rank": 5,
    "qk_nope_head_dim": 7,
    "qk_rope_head_dim": 2,
}
DISENTANGLED: dict[str, Any] = {
    "d_model": WIDTH,
    "n_heads": 3,
    "n_distances": 10,
    "content_to_position": True,
    "position_to_content": True,
}
CHOOSING: dict[str, Any] = {"index_heads": 3, "index_dim": 11, "index_topk": 4}
LATENT_INDEXER: dict[str, Any] = {"indexer": {"n_heads": 3, "dim": 11}, "index_topk": 4}
BLOCKS: dict[str, Any] = {"n_heads": 2, "dim": 11, "top_k": 4, "block": 2}
COMPRESSED: dict[str, Any] = {"d_model": WIDTH, "n_heads": 6, "d_head": 4, "q_lora_rank": 5, "window": 4}
COMPRESSED |= {"n_groups": 2, "o_lora_rank": 7}
EXPERTS: dict[str, Any] = {"d_model": WIDTH, "d_ff": 7, "n_experts": 6, "top_k": 2}
RENORMALISED = Routing(renormalise=True)
VARIANTS: dict[str, Layer] = {
    "attention": Attention(**HEADS),
    "biased": Attention(**HEADS, q_bias=True, k_bias=True, v_bias=True, o_bias=True),
    "query norm": Attention(**HEADS, qk_norm="head", rope=Rope()),
    "query norm per head": Attention(**HEADS, qk_norm=QkNorm("per_head", "layernorm", bias=True)),
    "query norm over all": Attention(**HEADS, qk_norm="projection"),
    "interleaved rope": Attention(**HEADS, rope=Rope(dim=2, interleaved=True)),
    "stretched rope": Attention(**HEADS, rope=Rope(scaling=Yarn(4.0, 8))),
    "alibi": Attention(**HEADS, score_bias=Alibi()),
    "buckets": Attention(**HEADS, score_bias=Relative(8, 9)),
    "window": Attention(**HEADS, window=4, rope=Rope()),
    "chunk": Attention(**HEADS, chunk=4, rope=Rope()),
    "gate": Attention(**HEADS, gate=Gate(), q_bias=True),
    "gate per head": Attention(**HEADS, gate=Gate(per_head=True, function="softplus")),
    "sinks": Attention(**HEADS, sinks=True, logit_softcap=5.0),
    "keys as values": Attention(**HEADS, kv={"values_are_keys": True}),
    "wide values": Attention(**HEADS, d_head_v=5, clip=0.5),
    "latent": Mla(**LATENT, v_head_dim=4),
    "latent queries": Mla(**LATENT, v_head_dim=4, q_lora_rank=3, bias=True, rope=None),
    "latent with a window": Mla(**LATENT, v_head_dim=4, window=4, key_norm=True, sinks=True),
    "latent gate": Mla(**LATENT, v_head_dim=4, q_lora_rank=3, gate="latent", double_latent=True),
    "latent gate per head": Mla(
        **LATENT, v_head_dim=4, gate="input", gate_per_head=True, bias=True, latent_scaled=True
    ),
    "latent indexer": Mla(**LATENT, v_head_dim=4, q_lora_rank=3, **LATENT_INDEXER),
    "latent indexer of the input": Mla(
        **LATENT, v_head_dim=4, indexer={"n_heads": 3, "dim": 11, "rotates_end": True}, index_topk=4
    ),
    "indexer": Attention(**HEADS, rope=Rope(), indexer={"n_heads": 2, "dim": 11, "top_k": 4}),
    "indexer for all groups": Attention(**HEADS, rope=Rope(), indexer={"n_heads": 1, "dim": 11, "top_k": 4}),
    "indexer of blocks": Attention(**HEADS, rope=Rope(), indexer={**BLOCKS, "local": 1}),
    "indexer of pooled blocks": Attention(**HEADS, rope=Rope(), indexer={**BLOCKS, "n_heads": 3, "pooled": True}),
    "compressed, near alone": CompressedAttention(**COMPRESSED),
    "compressed": CompressedAttention(**COMPRESSED, rate=3, rope=Rope(dim=2, interleaved=True)),
    "compressed, chosen": CompressedAttention(**COMPRESSED, rate=2, overlap=True, **CHOOSING),
    "differential": DifferentialAttention(WIDTH, 12, n_kv_heads=4, d_head=2, rope=Rope()),
    "differential in a window": DifferentialAttention(WIDTH, 4, window=4, q_bias=True, o_bias=True, sinks=True),
    "dynamic": DynamicAttention(**HEADS, rope=Rope(), qk_norm="head", keep_window=5),
    "dynamic, biased": DynamicAttention(**HEADS, v_bias=True, window=6),
    "experts by product keys": ProductKeyExperts(WIDTH, 25, 3),
    "experts by product keys, shared out": ProductKeyExperts(WIDTH, 29, 3, "gelu", renormalise=True),
    "convolved": CompressedConvolutionalAttention(**HEADS, d_conv=3, d_conv_mix=4, window=4, rope=Rope(dim=2)),
    "convolved, biased": CompressedConvolutionalAttention(WIDTH, 3, 1, 6, bias=True),
    "blocks": SparseAttention(WIDTH, 3, block=2, n_random=1),
    "few blocks": SparseAttention(WIDTH, 3, block=4, n_random=1, bias=False, o_bias=False),
    "page": LayoutLmAttention(WIDTH, 3, distance_buckets=8, distance_most=9, box_buckets=10, box_most=11),
    "page, scaled": LayoutLmAttention(WIDTH, 3, box_buckets=8, bias_scaled=True, v_bias=True),
    "plain mlp": Mlp(WIDTH, 7, bias=True),
    "mlp with a learned activation": Mlp(WIDTH, 7, "xielu", bias=True),
    "gated mlp": Mlp(WIDTH, 7, "silu", gated=True, bounds=Bounds(1.0, up_offset=1.0), bias=True),
    "disentangled": DisentangledAttention(**DISENTANGLED, distances_grow=True, k_bias=False, position_k_bias=False),
    "disentangled in buckets": DisentangledAttention(
        **DISENTANGLED, max_distance=9, shared_projections=True, table_norm=True
    ),
    "channels": ChannelAttention(WIDTH, 3),
    "channels without biases": ChannelAttention(WIDTH, 2, bias=False),
    "distances": DistanceAttention(WIDTH, 3),
    "distances of wide heads": DistanceAttention(WIDTH, 2, 7, bias=True),
    "disentangled one way": DisentangledAttention(WIDTH, 3, 10, position_to_content=True, scale=0.3),
    "distances with memory": RelativeAttention(WIDTH, 3, memory=7, n_segments=2),
    "distances behind": RelativeAttention(WIDTH, 3, causal=True, max_distance=4),
    "landmarks": NystromAttention(WIDTH, 3, n_landmarks=5, d_conv=3),
    "hashes": HashedAttention(WIDTH, 3, expected=False, n_hashes=5, bits=2, d_conv=3),
    "mixture": Moe(**EXPERTS, routing=RENORMALISED),
    "mixture by groups": Moe(**EXPERTS, routing=Routing("sigmoid"), expert_groups=ExpertGroups(3, 2, "two")),
    "mixture by a table": Moe(**EXPERTS, routing=Routing("sqrt_softplus", hash_rows=VOCAB)),
    "mixture with a scaled router": Moe(**EXPERTS, routing=Routing(scaled=True, renormalise=True)),
    "mixture with room for a share of the batch": Moe(
        **EXPERTS, routing=RENORMALISED, expert_capacity=Capacity(batch=True, share=0.3, by_score=True)
    ),
    "mixture behind a network": Moe(
        WIDTH, 7, 6, 1, routing=Routing(correction="buffer"), router_network=RouterNetwork(5, True), n_null_experts=1
    ),
    "bounded mlp": Mlp(WIDTH, 17, "situ", gated=True, bounds=Bounds(gate_softcap=1.5, up_softcap=2.5)),
    "mlp clamped after its activation": Mlp(WIDTH, 7, "silu", gated=True, bounds=Bounds(1.0, clamp_late=True)),
    "mlp with an inner norm": Mlp(WIDTH, 7, "silu", gated=True, inner_norm=InnerNorm("layernorm", 1e-3)),
    "state space with bounds and factors": Mamba2(
        WIDTH,
        3,
        5,
        4,
        chunk=5,
        time_step=TimeStep(0.1, 0.9),
        multipliers=SsmMultipliers(0.5, 2.0, 0.3, 0.7, 1.1, 1.3, 0.9),
    ),
    "bounded mlp without a gate": Mlp(WIDTH, 17, "situ", bounds=Bounds(gate_softcap=1.5)),
    "delta rule with a full gate": Kda(WIDTH, 3, 5, chunk=4, gate_rank=2, full_gate=True, decay_bound=-5.0),
    "mixture in a normed latent space": Moe(
        **EXPERTS,
        activation="situ",
        bounds=Bounds(gate_softcap=1.5, up_softcap=2.5),
        shared=SharedExperts(5),
        latent=Latent(8, norm=True),
    ),
    "mlp on a sphere": Mlp(WIDTH, 7, "silu", gated=True, bias=True, sphere=Sphere(2.0)),
    "plain mlp on a sphere": Mlp(WIDTH, 7, sphere=Sphere()),
    "sphere": SphereAttention(**HEADS, rope=Rope(), gate=Gate(), q_gain=2.0, gate_gain=0.5, o_norm=True),
    "sphere, a gate a head": SphereAttention(**HEADS, window=4, gate=Gate(per_head=True), q_bias=True, o_bias=True),
    "sparse mlp": Mlp(WIDTH, 17, "gelu_tanh", gated=True, sparsity=0.6),
    "mixture with weighed shared experts": Moe(
        **EXPERTS,
        routing=Routing("sigmoid", renormalise=True, learned_scale=True, correction="buffer"),
        scored_shared=ScoredSharedExperts(3),
    ),
    "mixture whose results have a norm": Moe(
        **EXPERTS, latent=Latent(8, in_norm=True), result_norm=True, routing=Routing("sigmoid", gain=0.7)
    ),
    "norm on each head": Attention(**HEADS, gate=Gate(), o_norm="head"),
    "mlp with a learned factor": Mlp(WIDTH, 7, "silu", gated=True, multipliers=MlpMultipliers(0.7, 1.3, learned=True)),
    "profiles": RelativeProfileAttention(**HEADS, d_profile=5, reach=7, stretch=0.5, stretch_from=4, scale=0.3),
    "profiles in a window": RelativeProfileAttention(**HEADS, d_profile=5, reach=3, window=4),
    "profiles of bounded vectors": RelativeProfileAttention(
        **HEADS, d_profile=5, reach=7, norm="clip", clip=0.5, profile_clip=0.3, dynamic=True, gated=True, sinks=True
    ),
    "profiles of inputs with norms": RelativeProfileAttention(
        **HEADS, d_profile=5, reach=7, norm="clip", own_inputs=True
    ),
    "convolution beside the stream": ResidualConv(WIDTH, 3),
    "chunks": ChunkedAttention(WIDTH, 3, 5, 4, causal=True),
    "chunks on both sides": ChunkedAttention(WIDTH, 3, 5, 4, 1, 1),
    "chunks of one": ChunkedAttention(WIDTH, 3, 5, 20, causal=True),
    "chunks by hashes": ChunkedAttention(WIDTH, 3, 5, 4, hashed=True, causal=True),
    "chunks by rounds of hashes": ChunkedAttention(
        WIDTH, 3, 5, 4, 1, 1, True, 3, 7, causal=True, factors="4 10", padded_to=15, padded_above=3
    ),
    "chunks by hashes on both sides": ChunkedAttention(WIDTH, 3, 5, 4, hashed=True, n_hashes=2, n_rotations=3),
    "hashes of three and of five tokens": HashEmbedding(37, WIDTH, 2, 3, "3 5"),
    "gated convolution": ConvModule(WIDTH, 4, 7, norm="batchnorm", bias=True, kernels=True),
    "gated convolution of chunks": ConvModule(
        WIDTH, 5, bias=True, conv_bias=True, gate_bias=True, separable=True, kernels=True, chunk=4, causal=True
    ),
    "gated convolution with a norm": ConvModule(WIDTH, 3, norm="rmsnorm", gate="gelu", activation="relu"),
    "gated convolution with another norm": ConvModule(WIDTH, 3, norm="layernorm"),
    "blocks of queries": ContextAttention(WIDTH, 3, 4, padded=True, positions="table", n_distances=9, out_bias=True),
    "blocks of queries that see what is around them": ContextAttention(
        WIDTH, 3, 4, 3, 2, 3, 1, 5, "projected", 6, 2, bias=True, per_channel=True, key_scale=1.3, softcap=3.0
    ),
    "mixture with everything": Moe(
        **EXPERTS,
        expert_bias=True,
        routing=Routing(bias=True, correction="buffer"),
        shared=SharedExperts(5, gate=True),
        latent=Latent(8),
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_of_a_kind_matches_its_declaration(variant: str) -> None:
    assert failures(verify(decoder(VARIANTS[variant], pre=NORM))) == []


def test_grouped_matrices_match_their_declaration() -> None:
    for bias in (True, False):
        layer = Linear(WIDTH, WIDTH, bias, "relu", groups=4)
        assert failures(verify(decoder(Attention(**HEADS), layer, pre=NORM))) == []


# Configs whose layers no preset has; what they do not say is as published.
RELATIVE: dict[str, Any] = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
CONFIGS: dict[str, dict[str, Any]] = {
    "deberta": RELATIVE,
    "deberta-v2": {**RELATIVE, "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True},
    "longformer": {"attention_window": [512] * 6 + [256] * 6},
    "led": {},
    "xlnet": {},
    "xlnet with memory": {"mem_len": 384, "attn_type": "uni"},
    "convbert": {},
    "fnet": {},
    "funnel": {},
    "funnel in products": {"attention_type": "factorized", "pool_q_only": False, "truncate_seq": False},
    "nystromformer": {"segment_means_seq_len": 512},
    "yoso": {},
    "prophetnet": {"ngram": 3},
    "pegasus_x": {},
    "longt5": {"encoder_attention_type": "transient-global"},
    "squeezebert": {},
    "mobilebert": {},
    "mobilebert of narrow values": {"use_bottleneck_attention": True, "normalization_type": "layer_norm"},
    "mobilebert without bottlenecks": {"use_bottleneck": False, "trigram_input": False, "embedding_size": 512},
    "blt": {"patch_in_forward": False},
    "blt of patches": {"patch_size": 4},
    "glm5_next_text": {},
    "mistral_large4_text": {},
    "muse_spark_text": {},
    "videoprism_text_model": {},
    "mistral_large4_text with latents lent": {
        "num_hidden_layers": 6,
        "kv_source_layers": [0, 0, 2, 0, 2, 5],
        "no_rope_layers": [1, 1, 0, 1, 0, 1],
        "indexer_types": ["full", "shared", "full", "full", "shared", "full"],
    },
    "dory": {},
    "reformer": {"is_decoder": True, "num_hashes": 2, "num_buckets": [4, 6]},
    "reformer both ways": {"architectures": ["ReformerForMaskedLM"], "lsh_num_chunks_after": 1},
    "hrm_text": {},
    "perceiver": {},
    "whisper": {},
    "speech_to_text": {},
    "moonshine": {},
    "deberta-v2 with a convolution": {"conv_kernel_size": 3, "conv_act": "gelu"},
    "phimoe": {},
    "nemotron_h": {},
    "trocr": {},
    "bailing_hybrid": {},
    "doge": {"is_moe": True},
    "bros": {},
    "canine": {"downsampling_rate": 3, "local_transformer_stride": 7},
    "layoutlmv3": {},
    "lilt": {},
    "markuplm": {},
    "splinter": {},
    "diffllama": {},
    "musicgen": {},
    "musicgen_decoder": {},
    "t5gemma2_text": {},
    "kosmos_2_text_model": {},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_published_config_matches_its_declaration(name: str) -> None:
    assert failures(verify(llmcalc.load({"model_type": name.partition(" ")[0], **CONFIGS[name]}))) == []


def comes_in_pieces(layer: Layer) -> bool:
    """Whether no token sees a later one, is sorted among later ones, or leaves an expert to others."""
    alone = not (getattr(layer, "hashed", False) or getattr(getattr(layer, "expert_capacity", None), "batch", False))
    return layer.kind() not in BOTH_WAYS and getattr(layer, "causal", True) and alone


PIECES = ((1, 1, 2, 3), (2, 5), (4, 1, 1, 1))


@pytest.mark.parametrize("variant", [name for name, layer in VARIANTS.items() if comes_in_pieces(layer)])
def test_decoding_in_pieces_matches_one_pass(variant: str) -> None:
    model = llmcalc.twin(decoder(VARIANTS[variant], pre=NORM))
    for pieces in PIECES:
        ids = np.random.default_rng(0).integers(3, VOCAB, (2, sum(pieces)))
        first, *rest = np.split(ids, np.cumsum(pieces)[:-1], axis=1)
        logits, cache = model.prefill(first)
        found = [logits, *(model.decode(piece, cache) for piece in rest)]
        assert np.allclose(np.concatenate(found, axis=1), model.forward(ids), rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["latent indexer", "indexer", "indexer of blocks", "indexer of pooled blocks"])
def test_indexer_selecting_all_tokens_is_the_identity(kind: str) -> None:
    few: Any = VARIANTS[kind]
    own = {} if kind == "latent indexer" else {"indexer": replace(few.indexer, top_k=40)}
    more = replace(few, **(own or {"index_topk": 40}))
    models = [llmcalc.twin(decoder(layer, pre=NORM)) for layer in (few, more)]
    plain = llmcalc.twin(decoder(replace(few, indexer=None, **({} if own else {"index_topk": None})), pre=NORM))
    plain.tensors = models[1].tensors
    chosen, everything = (model.forward(IDS) for model in models)
    assert np.allclose(everything, plain.forward(IDS), atol=1e-12)
    assert not np.allclose(everything, chosen, atol=1e-3)


def test_layers_reuse_an_earlier_selection() -> None:
    full = replace(VARIANTS["latent indexer"], index_topk=2)  # type: ignore[type-var]
    shared = replace(full, indexer=None)
    assert failures(verify(decoder(full, shared, pre=NORM))) == []
    one, other = (llmcalc.twin(decoder(full, layer, pre=NORM)) for layer in (shared, replace(shared, index_topk=None)))
    assert not np.allclose(one.forward(IDS), other.forward(IDS), atol=1e-3)
    with pytest.raises(InputError, match="no earlier layer"):
        llmcalc.twin(decoder(shared, pre=NORM)).forward(IDS)


def test_hash_routing_ignores_scores() -> None:
    layer: Any = VARIANTS["mixture by a table"]
    model = llmcalc.twin(decoder(layer, pre=NORM))
    w = next(placed for placed in model.stacks[0].layers() if placed.layer is layer).weights_in(model.tensors)
    for seed in (0, 1):
        x = np.random.default_rng(seed).standard_normal((*IDS.shape, WIDTH))
        chosen, _ = moe_twin.route(layer, w, x, Step(IDS))
        assert (chosen == w.hash[IDS]).all()
        assert all(len(set(row)) == layer.top_k for row in chosen[0])


def test_stream_mixing_is_doubly_stochastic() -> None:
    mix = hyper_twin.doubly_stochastic(np.random.default_rng(0).standard_normal((2, 5, 3, 3)), 50, 1e-6)
    assert np.allclose(mix.sum(axis=-1), 1, atol=1e-4)
    assert np.allclose(mix.sum(axis=-2), 1, atol=1e-4)


def around(*inputs: Named, parts: tuple[Sublayer, ...], outputs: tuple[Named, ...] = ()) -> Architecture:
    """A decoder of two blocks of these sub-layers, with further layers in front of them and behind."""
    token, head = Embedding(VOCAB, WIDTH, share="token"), Head(VOCAB, WIDTH, share="token")
    run = Run(Block("block", parts), 2)
    stack = Stack("decoder", WIDTH, (Named("token", token), *inputs), (run,), (*outputs, Named("head", head)))
    return Architecture("test", (stack,))


def part(name: str, layer: Layer, **norms: Layer) -> Sublayer:
    return Sublayer(name, (Branch(name, layer),), **norms)


def streamed(hyper: HyperConnection) -> Architecture:
    """Sub-layers that read from several streams and write to them."""
    parts = tuple(part(name, VARIANTS[name], pre=hyper) for name in ("attention", "plain mlp"))
    return around(parts=parts, outputs=(Named("streams", replace(hyper, writes=False)),))


def alternating(updates: AltUp) -> Architecture:
    """Blocks on one of several streams, with an input of their own."""
    streams = [ResidualStream(number) for number in range(1, updates.n_streams)]
    makers = [Linear(WIDTH, WIDTH, bias=False, residual_stream=stream) for stream in streams]
    inputs = [Named("table", PerLayerTable(VOCAB, WIDTH, 2, 5))]
    inputs += [Named(f"maker{number}", layer) for number, layer in enumerate(makers)]
    parts = (part("altup", updates), part("attention", VARIANTS["attention"], pre=NORM))
    parts += (part("own", PerLayerGate(WIDTH, 5), post=NORM),)
    back = [
        replace(layer, residual_stream=replace(stream, restores=True))
        for layer, stream in zip(makers, streams, strict=True)
    ]
    takers = tuple(Named(f"taker{number}", layer) for number, layer in enumerate(back))
    return around(*inputs, parts=parts, outputs=takers)


def reading_mixes(attention: RelativeProfileAttention) -> Architecture:
    """Two groups of layers, of which each part reads a mix of the groups before, and the last layer of both."""
    reads = 3 if attention.separate else 1
    blocks = []
    for group in (0, 1):
        pre = {"pre": DepthAttention(WIDTH, 2, reads)} if group else {}
        mixer = attention if group else replace(attention, separate=False)
        first = replace(part("attention", mixer, **pre), residual=False)
        blocks.append((first, part("mlp", VARIANTS["plain mlp"], pre=DepthAttention(WIDTH, group + 2, closes=True))))
    architecture = around(parts=blocks[0], outputs=(Named("depth", DepthAttention(WIDTH, 3)),))
    runs = tuple(Run(Block(f"group{number}", block), 1) for number, block in enumerate(blocks))
    return replace(architecture, stacks=(replace(architecture.stacks[0], runs=runs),))


def looking_back(layers: int) -> Architecture:
    """Layers that look back at what blocks of two layers have added; the last may be cut short."""

    def block(name: str, closes: bool) -> Block:
        back = (AttentionResidual(WIDTH, closes), AttentionResidual(WIDTH))
        mixers = zip(("attention", "plain mlp"), back, (not closes, True), strict=True)
        return Block(
            name,
            tuple(
                Sublayer(kind, (Branch(kind, VARIANTS[kind], pre=NORM),), pre=pre, residual=residual)
                for kind, pre, residual in mixers
            ),
        )

    first, second = block("first", closes=True), block("second", closes=False)
    stack = around(parts=(), outputs=(Named("back", AttentionResidual(WIDTH)),)).stacks[0]
    order = tuple(Run(second if number % 2 else first, 1) for number in range(layers))
    return Architecture("test", (with_n_sums(replace(stack, runs=order)),))


def reading(residual: bool) -> Architecture:
    """Learned vectors that read the tokens, and others that read them."""
    read = LatentAttention(8, WIDTH, 2, 6, 10, 5, query_residual=residual)
    think, write = LatentAttention(8, 8, 4, 12, 8, 5, reads_itself=True), LatentAttention(WIDTH, 8, 2, 4, 6, 9, 5)
    tables = [
        Named("few", Embedding(5, 8, "other", use="array")),
        Named("asks", Embedding(9, WIDTH, "other", use="array")),
    ]
    parts = [replace(part("read", read), residual=False), part("think", think)]
    parts.append(replace(part("write", write), residual=False))
    stack = around(*tables, parts=tuple(parts)).stacks[0]
    head = (Named("head", Head(VOCAB, WIDTH, sequence=LogitRows(9))),)
    return Architecture("reading", (replace(stack, role="encoder", outputs=head, runs=(Run(stack.runs[0].block, 1),)),))


OWN_INPUT = around(Named("table", PerLayerTable(VOCAB - 4, WIDTH, 2, 5)), parts=(part("own", PerLayerGate(WIDTH, 5)),))


def page(places: Layer, *kinds: Layer) -> Architecture:
    """An encoder of tokens that have places on a page, a block of each kind."""
    stack = around(Named("places", places), parts=()).stacks[0]
    runs = tuple(Run(Block(f"block{n}", (part("attention", kind, after=NORM),)), 1) for n, kind in enumerate(kinds))
    return Architecture("page", (replace(stack, name="encoder", role="encoder", runs=runs),))


PAIRS = BoxPairs(2, 5)
PLACES = BoxEmbedding(13, 2, 2, d_stream=9, n_places=37, offset=2, padding_id=1)
PAIRED = LiltAttention(WIDTH, 3, 9, 7)


def seeing(patch: Patch, *parts: Sublayer, outputs: tuple[Named, ...] = (), behind: tuple[Stack, ...] = ()) -> Any:
    """A text beside a tower of one block of these sub-layers, and towers that look at what it gives."""
    text = around(parts=(part("mlp", VARIANTS["plain mlp"]),)).stacks[0]
    tower = Stack("vision", patch.d_out, (Named("patch", patch),), (Run(Block("block", parts), 1),), outputs, "tower")
    return Architecture("seeing", (text, tower, *behind))


def asking(width: int, *mixers: QueryAttention, prompt: int | None = None) -> Architecture:
    """A tower of patches, and one of learned vectors of another width that look at what it gives."""
    queries = mixers[0].n_queries
    rows = SequenceRows(n_latents=queries)
    norm, mlp = Norm(width, sequence=rows), Mlp(width, 7, sequence=rows)
    parts = tuple(part(f"mixer{number}", mixer, after=norm) for number, mixer in enumerate(mixers))
    table = Embedding(queries, width, "other", use="side_tokens")
    behind = Named("out", Linear(width, 5, sequence=InputRows(n_latents=queries)))
    run = Run(Block("block", (*parts, part("mlp", mlp, pre=norm))), 2)
    stack = Stack("queries", width, (Named("learned", table), Named("norm", norm)), (run,), (behind,), "tower")
    seen = seeing(Patch(3, 4, 10), part("mixed", Mlp(10, 7)), behind=(stack,))
    if not prompt:
        return seen
    text, tower, asks = seen.stacks
    first = Named("first", Embedding(prompt, 10, "other", use="prefix"))
    runs = (Run(Block("block", (part("mixed", Mlp(10, 7, sequence=SequenceRows(prompt=prompt))),)), 1),)
    return replace(seen, stacks=(text, replace(tower, inputs=(*tower.inputs, first), runs=runs), asks))


def beside_an_encoder(mixer: Layer) -> Architecture:
    """A decoder of this mixer, whose tokens come behind those of an encoder of two widths of sight."""
    mixers = {"encoder": Attention(**HEADS, causal=False, window=4, window_ahead=3, rope=Rope()), "decoder": mixer}
    stacks = []
    for role, layer in mixers.items():
        end = Embedding(1, WIDTH, "other", use="replacement", ids=Ids(replaced=5))
        inputs = (Named("token", Embedding(VOCAB, WIDTH, "other")), Named("end", end))
        outputs = (Named("head", Head(VOCAB, WIDTH)),) if role == "decoder" else ()
        blocks = (Run(Block("block", (part("attention", layer, pre=NORM),)), 2),)
        stacks.append(Stack(role, WIDTH, inputs, blocks, outputs, role))
    return Architecture("test", tuple(stacks))


NARROW: dict[str, Any] = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "cross_attn_k": 3}
WIDER = {**NARROW, "hidden_size_global": 48}
BLT: dict[str, Any] = {"patch_size": 4, "cross_attn_k": 3, "encoder_config": NARROW, "decoder_config": WIDER}
BLT |= {"global_config": {"hidden_size": 48, "num_attention_heads": 4, "num_hidden_layers": 2}}

# Kinds that stand neither in a branch nor alone.
PLACED: dict[str, list[Architecture]] = {
    "hyper_connection": [
        streamed(HyperConnection(WIDTH, 3)),
        streamed(HyperConnection(WIDTH, 3, mixed=False, write_scale=1.5)),
        streamed(HyperConnection(WIDTH, 3, rank=5)),
    ],
    "altup": [alternating(AltUp(WIDTH, 3)), alternating(AltUp(WIDTH, 3, output_scaled=False, active=1))],
    "depth_attention": [
        reading_mixes(RelativeProfileAttention(**HEADS, d_profile=5, reach=7)),
        reading_mixes(RelativeProfileAttention(**HEADS, d_profile=5, reach=7, own_inputs=True, separate=True)),
    ],
    "attention_residual": [looking_back(5), looking_back(4)],
    "latent_attention": [reading(residual) for residual in (True, False)],
    "per_layer_table": [OWN_INPUT],
    "per_layer_gate": [OWN_INPUT],
    "box_attention": [page(PAIRS, *[BoxAttention(WIDTH, 3, d_head=5, q_bias=True)] * 2)],
    "lilt_attention": [page(PLACES, PAIRED, replace(PAIRED, dropped=True))],
    "grid_attention": [
        seeing(
            Patch(3, 4, WIDTH),
            part("squares", GridAttention(WIDTH, 3, 8, 3), pre=NORM),
            part("whole", GridAttention(WIDTH, 3, 8, None, bias=False)),
            part("plain", GridAttention(WIDTH, 3, 8, 4, relative=False)),
            outputs=(
                Named("halved", Patch(WIDTH, 3, 7, merge=4, stride=2)),
                Named("neck", Patch(7, 3, 5, stride=1, merge=4)),
            ),
        )
    ],
    "query_attention": [
        asking(6, QueryAttention(6, 3, 11, sees="themselves", bias=True), QueryAttention(6, 3, 11, d_source=10)),
        asking(10, QueryAttention(10, 6, 7, None, None, 3, 4, sees="both", source_norm=True, o_bias=True)),
        asking(6, QueryAttention(6, 3, 11, None, 2, d_source=10), prompt=2),
        seeing(
            Patch(3, 4, WIDTH),
            part("mlp", VARIANTS["plain mlp"]),
            outputs=(
                Named("pooling", QueryAttention(WIDTH, 6, 1, 4, None, 3, 5, d_out=7, bias=True)),
                Named("out", Linear(7, 5, merge=4)),
            ),
        ),
    ],
    "patch_attention": [
        llmcalc.load({"model_type": "blt", **BLT}),
        llmcalc.load({"model_type": "blt", **BLT, "patch_size": 1, "tie_word_embeddings": True}),
        llmcalc.load({"model_type": "blt", **BLT, "encoder_config": {**NARROW, "cross_attn_all_layers": False}}),
        llmcalc.load({"model_type": "blt", **BLT, "decoder_config": {**WIDER, "cross_attn_all_layers": True}}),
        llmcalc.load({"model_type": "blt", **BLT, "patching_mode": "static"}),
    ],
    "merged_attention": [
        beside_an_encoder(MergedAttention(**HEADS)),
        beside_an_encoder(MergedAttention(**HEADS, window=4, qk_norm="head", k_bias=True, v_bias=True)),
        beside_an_encoder(
            MergedAttention(**HEADS, rope=Rope(), logit_softcap=2.0, multipliers={"value": 0.7}, d_head_v=5)
        ),
    ],
}


@pytest.mark.parametrize("kind", PLACED)
def test_position_dependent_kinds_match_their_declaration(kind: str) -> None:
    assert kind in TWINS
    for architecture in PLACED[kind]:
        result = verify(architecture)
        assert failures(result) == []
        assert len(result.small.stacks) == len(architecture.stacks)


@pytest.mark.parametrize("kind", PLACED)
def test_misplaced_kinds_are_an_error(kind: str) -> None:
    layer = layers.find(kind)[0](**smallest(kind))
    parts = (part("here", layer), part("there", layer)) if kind == "altup" else (part("here", layer),)
    if kind in ("per_layer_table", "attention_residual"):  # they may stand in any place
        return
    width: int = layer.d_model  # type: ignore[attr-defined]
    stack = replace(around(parts=parts).stacks[0], d_model=width, inputs=(Named("token", Embedding(VOCAB, width)),))
    with pytest.raises(UnsupportedError):
        verify(Architecture("misplaced", (replace(stack, outputs=(Named("head", Head(VOCAB, width)),)),)))


# Kinds that others are made of, or whose place is not in a branch.
INSIDE_OTHERS = ("embedding", "head", "norm", "prefix", "indexer", "ngram_attention", "features")


def runnable_kinds() -> Iterator[str]:
    for kind in layers.kinds():
        names = {entry.name for entry in fields(layers.find(kind)[0])}
        if "d_model" in names and kind not in (*INSIDE_OTHERS, *PLACED):
            yield kind


@pytest.mark.parametrize("kind", list(runnable_kinds()))
def test_every_kind_matches_its_declaration_or_is_unsupported(kind: str) -> None:
    found, _ = layers.find(kind)
    values = smallest(kind)
    values |= {"filter_length": 50} if "filter_length" in values else {}
    architecture = decoder(found(**values), pre=Norm(values["d_model"]))
    if kind not in TWINS:
        with pytest.raises(UnsupportedError, match=kind):
            verify(architecture)
    else:
        assert failures(verify(architecture)) == []


SHAPES = {
    "pre-norm": {"pre": NORM},
    "post-norm": {"after": NORM},
    "sandwich": {"pre": NORM, "post": NORM},
    "no norm": {},
    "scaled sum": {"pre": NORM, "after": Affine(WIDTH, residual=True)},
    "scale instead of a norm": {"after": Affine(WIDTH, scale_first=True)},
    "factor": {"pre": NORM, "post": Scale(WIDTH), "after": Scale(WIDTH, factor=0.7)},
    "factor of a gate": {"pre": NORM, "post": Scale(WIDTH, scalar=True, function="tanh")},
    "stored factor": {"pre": NORM, "after": Scale(WIDTH, scalar=True, stored=True)},
    "factor of the stream": {"pre": NORM, "after": Scale(WIDTH, "residual")},
    "constant factor of the stream": {"pre": NORM, "after": Scale(WIDTH, "residual", factor=0.7)},
    "weight before a norm": {"pre": Norm(WIDTH, weighted_first=True, unit_offset=True)},
    "activation behind a norm": {"pre": Norm(WIDTH, function="layernorm", bias=True, activation="gelu")},
    "factors of both": {"pre": NORM, "after": Scale(WIDTH, "both", gain=0.5)},
    "factor of a step": {"pre": NORM, "post": Scale(WIDTH, "step")},
    "factor of a step behind the sum": {"pre": NORM, "after": Scale(WIDTH, "step", scalar=True)},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_norm_placement(shape: str) -> None:
    assert failures(verify(decoder(VARIANTS["attention"], VARIANTS["plain mlp"], **SHAPES[shape]))) == []  # type: ignore[arg-type]


def scaled(x: Any, **norms: Layer) -> tuple[Any, Any]:
    """What a sub-layer of these norms makes of the stream ``x``, and what its layer gives; a factor is 3."""
    architecture = decoder(VARIANTS["plain mlp"], count=1, **norms)
    model = llmcalc.twin(architecture)
    model.tensors |= {name: np.full_like(array, 3) for name, array in model.tensors.items() if name.endswith("norm.w")}
    part = model.stacks[0].blocks[0][0]
    step = Step(np.zeros(x.shape[:2], int))
    runner = _Runner(model.tensors, step, None, "decoder")
    return runner.sublayer(part, x, 0, 0), runner.layer(part.branches[0].layer, x)


@pytest.mark.parametrize(
    ("norms", "wanted"),
    [
        ({"post": Scale(WIDTH)}, lambda x, y: x + 3 * y),
        ({"after": Scale(WIDTH)}, lambda x, y: 3 * (x + y)),
        ({"after": Scale(WIDTH, factor=0.7)}, lambda x, y: 0.7 * (x + y)),
        ({"post": Scale(WIDTH, scalar=True, function="tanh")}, lambda x, y: x + np.tanh(3) * y),
        ({"after": Scale(WIDTH, "residual")}, lambda x, y: 3 * x + y),
        ({"after": Scale(WIDTH, "residual", factor=0.7)}, lambda x, y: 0.7 * x + y),
        ({"post": Scale(WIDTH, "step")}, lambda x, y: x + 3 * (y - x)),
        (
            {"after": Scale(WIDTH, "both", gain=0.5)},
            lambda x, y: y / (1 + np.exp(-1.5)) + x * np.sqrt((1 + 1 / (1 + np.exp(-1.5))) / (1 + np.exp(1.5))),
        ),
        (
            {"after": Scale(WIDTH, "both", gain=10.0)},
            lambda x, y: y / (1 + np.exp(-30)) + x * np.sqrt(1e-3),
        ),
        ({"after": Scale(WIDTH, "step")}, lambda x, y: x + 3 * (y - x)),
    ],
)
def test_sublayer_factors(norms: dict[str, Layer], wanted: Callable[[Any, Any], Any]) -> None:
    x = np.random.default_rng(0).standard_normal((1, 5, WIDTH))
    found, y = scaled(x, **norms)
    assert np.allclose(found, wanted(x, y), rtol=0, atol=1e-12)


def test_axial_positions() -> None:
    grid = AxialEmbedding(5, 7, 4, 8)
    stack = decoder(VARIANTS["attention"], pre=NORM).stacks[0]
    placed = replace(stack, inputs=(*stack.inputs, Named("axial", grid)))
    assert failures(verify(Architecture("axial", (placed,)))) == []
    model = llmcalc.twin(Architecture("axial", (placed,)))
    with pytest.raises(InputError, match="position 35 is outside"):
        model.forward(np.zeros((1, 36), int))


def test_shared_blocks_are_stored_once() -> None:
    one = llmcalc.twin(decoder(VARIANTS["attention"], pre=NORM, count=3, shared=True))
    many = llmcalc.twin(decoder(VARIANTS["attention"], pre=NORM, count=3))
    assert len(many.tensors) > len(one.tensors)
    for name in many.tensors:
        many.tensors[name] = one.tensors[name.replace("blocks.1", "blocks.0").replace("blocks.2", "blocks.0")]
    ids = np.arange(5)[None]
    assert np.allclose(one.forward(ids), many.forward(ids), atol=1e-12)


def test_parallel_branches_see_the_same_input() -> None:
    both = (Branch("attention", VARIANTS["attention"]), Branch("mlp", VARIANTS["plain mlp"]))
    parallel = replace(
        decoder(VARIANTS["attention"]).stacks[0], runs=(Run(Block("block", (Sublayer("both", both, pre=NORM),)), 2),)
    )
    assert failures(verify(Architecture("parallel", (parallel,)))) == []


def test_full_experts_drop_tokens_and_the_rest_still_runs() -> None:
    layer = Moe(**EXPERTS, expert_capacity=Capacity(1))
    model = llmcalc.twin(decoder(layer, pre=NORM))
    w = next(layer for layer in model.stacks[0].layers() if layer.layer.kind() == "moe").weights_in(model.tensors)
    chosen, _ = moe_twin.route(
        layer, w, np.random.default_rng(0).standard_normal((1, 20, WIDTH)), Step(np.zeros((1, 20), int))
    )
    taken = [int((chosen == expert).sum()) for expert in range(layer.n_experts)]
    assert max(taken) == 1
    assert (chosen == -1).any()
    assert np.isfinite(model.forward(np.arange(20)[None])).all()


@pytest.fixture
def _no_declarations(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Layer) -> Declaration:
        raise AssertionError("a declaration was read")

    for kind in layers.kinds():
        monkeypatch.setattr(layers.find(kind)[0], "declare", refuse)
    core.shared_declaration.cache_clear()


@pytest.mark.usefixtures("_no_declarations")
@pytest.mark.parametrize("model", sorted(STEMS))
def test_numpy_models_read_no_declaration(model: str) -> None:
    """Forwards, backwards and step by step; of a model that sees, its text part."""
    whole = llmcalc.load(model)
    texts = tuple(stack for stack in whole.stacks if stack.role != "tower")
    small = replace(whole, stacks=texts).shrink()
    ids = np.arange(3, 3 + SEQ)[None]
    inputs = (ids, ids) if small.is_encoder_decoder else (ids,)
    twin = llmcalc.twin(small)
    logits = twin.forward(*inputs)
    assert np.isfinite(logits).all()
    trained = train_step(twin, *inputs, targets=None)
    assert trained.gradients
    assert all(np.isfinite(gradient).all() for gradient in trained.gradients.values())
    if small.main.role == "decoder":
        _, cache = twin.prefill(*inputs)
        assert np.isfinite(twin.decode(ids[:, :1], cache)).all()


@pytest.mark.usefixtures("_no_declarations")
def test_reading_a_declaration_is_detected() -> None:
    with pytest.raises(AssertionError, match="a declaration was read"):
        llmcalc.params(llmcalc.load("gpt3").shrink())


# What is written wrong: the model, the kind, the line that begins so, and what stands there instead.
MISTAKES = {
    "an axis is dropped": ("gpt2", Attention, "q[b q h e] = x[b q d]", "q[b q e] = x[b q d] wq[d e]"),
    "an axis is counted twice": ("gpt2", Attention, "y[b q d] = o[b q h v] wo", "y[b q d] = o[b q h v] wo[h e v d]"),
    "all experts run": ("mixtral", Moe, "u[b q j f] = xe[b q j d]", "u[b q x f] = xe[b q j d] wu[x d f]"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_declarations_are_detected(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, kind, right, wrong = MISTAKES[mistake]
    declare = kind.declare

    def mistaken(self: Any) -> Declaration:
        declaration = declare(self)
        (number,) = (n for n, line in enumerate(declaration.lines) if line.startswith(right))
        declaration.lines[number] = wrong
        return declaration

    monkeypatch.setattr(kind, "declare", mistaken)
    core.shared_declaration.cache_clear()
    architecture = replace(llmcalc.load(model), stacks=decoder_of(model, mistake))
    found = {check.quantity for check in failures(verify(architecture))}
    core.shared_declaration.cache_clear()
    assert any("matmul FLOPs" in quantity for quantity in found)


def decoder_of(model: str, mark: str) -> tuple[Stack, ...]:
    """The stacks of a model under another name, so that no earlier result is taken for theirs."""
    return tuple(replace(stack, name=f"{stack.name} {mark}") for stack in llmcalc.load(model).stacks)


def test_mistakes_in_numpy_models_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    right = attention_twin.weights
    monkeypatch.setattr(attention_twin, "weights", lambda layer: [w for w in right(layer) if w.name != "bq"])
    (check,) = failures(verify(llmcalc.load("gpt2")))
    assert check.quantity == "parameters"
    assert "attention.bq" in check.detail


def test_double_counted_experts_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Moe.declare

    def mistaken(self: Moe) -> Declaration:
        declaration = right(self)
        declaration.weights("again[d | f]")
        return declaration

    monkeypatch.setattr(Moe, "declare", mistaken)
    core.shared_declaration.cache_clear()
    found = failures(verify(replace(llmcalc.load("mixtral"), stacks=decoder_of("mixtral", "twice"))))
    core.shared_declaration.cache_clear()
    assert {"parameters", "active parameters"} <= {check.quantity for check in found}


def test_unimplemented_fields_are_an_error() -> None:
    with pytest.raises(UnsupportedError, match=r"does not implement kv\.exclusive"):
        llmcalc.twin(decoder(Attention(**HEADS, kv={"exclusive": True})))


def test_missing_token_copies_are_an_error() -> None:
    with pytest.raises(UnsupportedError, match="3 copies of the tokens, not 1"):
        verify(decoder(Mlp(WIDTH, 7, sequence=SequenceRows(streams=3))))


def test_bidirectional_layers_cannot_decode() -> None:
    model = llmcalc.twin(decoder(VARIANTS["landmarks"]))
    with pytest.raises(UnsupportedError, match="later tokens"):
        model.decode(np.arange(1)[None], Cache(length=SEQ))


def test_properties_of_an_implementation_change_no_results() -> None:
    """Configs of Llama say that transformers computes the softmax in fp32, which NumPy models do anyway."""
    implementation = {"softmax_in_fp32": True, "cache": "query_heads"}
    assert llmcalc.twin(decoder(Attention(**HEADS, implementation=implementation)))
