"""Kinds that stand in towers alone: their twins give what transformers' own modules give, with the same weights."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch

import llmcalc
from llmcalc.core.layer import Layer
from llmcalc.core.zoo_search import find_module
from llmcalc.twins.step import Step
from llmcalc.twins.weights import Weights
from llmcalc.zoo.audio.layers.distance_attention import DistanceAttention
from llmcalc.zoo.vision.layers.channel_attention import ChannelAttention

from . import exact, reference

KINDS_OF_TENSORS = (("w", "weight"), ("b", "bias"))
BATCH, TOKENS, WIDTH = 2, 17, 24
TOLERANCE = 1e-9
GEMMA3N = {"hidden_size": WIDTH, "conf_num_attention_heads": 4, "conf_attention_chunk_size": 4}
GEMMA3N |= {"conf_attention_context_left": 4, "conf_attention_context_right": 2, "conf_attention_logit_cap": 3.0}
GEMMA3N |= {"conf_conv_kernel_size": 5, "conf_num_hidden_layers": 2}
GEMMA4 = {"hidden_size": WIDTH, "num_attention_heads": 4, "attention_chunk_size": 5, "attention_context_left": 6}
GEMMA4 |= {"attention_context_right": 0, "attention_logit_cap": 3.0, "conv_kernel_size": 5, "num_hidden_layers": 2}
GRANITE = {"hidden_dim": WIDTH, "num_heads": 4, "dim_head": 5, "context_size": 6, "max_pos_emb": 9, "num_layers": 2}
GRANITE |= {"conv_kernel_size": 5, "input_dim": 11, "output_dim": 13}
PHI4 = {"hidden_size": WIDTH, "num_attention_heads": 4, "kernel_size": 3, "num_blocks": 2, "intermediate_size": 20}
PHI4 |= {"ext_pw_out_channel": WIDTH, "depthwise_separable_out_channel": WIDTH, "nemo_conv_channels": WIDTH}


def layer_of(model_type: str, part: dict[str, Any], kind: str) -> Layer:
    """The first layer of a kind in the towers of a model whose sound is described so."""
    architecture = llmcalc.load({"model_type": model_type, **part})
    return next(
        layer
        for stack in architecture.stacks
        for layers in (
            *([found for _, found in sub.layers()] for run in stack.runs for sub in run.block.sublayers),
            [found for _, found in stack.outputs],
        )
        for layer in layers
        if layer.kind() == kind
    )


def module_of(file: str, name: str, config: Any, *arguments: Any) -> Any:
    """A module of transformers with random weights and statistics."""
    torch.manual_seed(3)
    built = getattr(import_module(f"transformers.models.{file}.modeling_{file}"), name)(config, *arguments)
    for tensor in (*built.parameters(), *(buffer for name, buffer in built.named_buffers() if "running" in name)):
        tensor.data = tensor.data + 0.3 * torch.randn_like(tensor)
    for name, buffer in built.named_buffers():
        if name.endswith("running_var"):
            buffer.data = buffer.abs() + 0.5
    return built.double().eval()


def found_by(layer: Layer, module: Any, names: dict[str, str], x: Any, **step: Any) -> Any:
    """What the twin gives; ``names`` are the tensors of the module, ``tensor/n/of`` one of its equal parts."""
    twin, state = import_module(str(find_module("twins", layer.kind()))), module.state_dict()
    arrays = {}
    for weight in twin.weights(layer):
        stored, _, part = names[weight.name].partition("/")
        array = state[stored].double().numpy()
        if part:
            number, of = map(int, part.split("/"))
            array = np.split(array, of)[number]
        arrays[weight.name] = (array.T if weight.matrix else array).reshape(weight.shape)
    ids = np.zeros((len(x), x.shape[1]), int)
    return twin.forward(layer, Weights(arrays), x.numpy(), Step(ids, **step), None)


def tokens(width: int = WIDTH) -> Any:
    return torch.randn(BATCH, TOKENS, width, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


GEMMA_HEADS = {"wq": "q_proj.weight", "wk": "k_proj.weight", "wv": "v_proj.weight", "q_scale": "per_dim_scale"}


def test_blocks_of_queries_of_gemma_3n() -> None:
    config = import_module("transformers").Gemma3nAudioConfig(**GEMMA3N)
    layer = layer_of("gemma3n", {"audio_config": GEMMA3N}, "context_attention")
    with exact.float64(), torch.no_grad():
        module = module_of("gemma3n", "Gemma3nAudioConformerAttention", config)
        torch.nn.init.ones_(module.pre_attn_norm.weight)
        x = tokens()
        inner = module.attn(x, torch.zeros(BATCH, TOKENS, dtype=torch.bool)).reshape(BATCH, TOKENS, -1)
        wanted = module.post(inner).numpy()
    names = {name: f"attn.{stored}" for name, stored in GEMMA_HEADS.items()}
    names |= {"wo": "post.weight", "wr": "attn.relative_position_embedding.pos_proj.weight"}
    assert exact.difference(found_by(layer, module, names, x), wanted) <= TOLERANCE


def test_blocks_of_queries_of_gemma_4() -> None:
    config = import_module("transformers").Gemma4AudioConfig(**GEMMA4)
    layer = layer_of("gemma4", {"audio_config": GEMMA4}, "context_attention")
    with exact.float64(), torch.no_grad():
        file = import_module("transformers.models.gemma4.modeling_gemma4")
        module, model = module_of("gemma4", "Gemma4AudioAttention", config, 0), file.Gemma4AudioModel(config)
        x, window = tokens(), file.sliding_window_mask_function((config.attention_context_left - 1, 0))
        seen = torch.tensor([[window(0, 0, q, k) for k in range(TOKENS)] for q in range(TOKENS)])
        mask = torch.where(seen, 0.0, 1.0)[None, None]
        hidden = model._convert_4d_mask_to_blocked_5d(mask)
        wanted, _ = module(x, file.Gemma4AudioRelPositionalEncoding(config)(x), hidden)
    stored = {name for name in module.state_dict() if "linear" in name}
    names = {
        name: text.replace(".weight", ".linear.weight") if stored and text.endswith("weight") else text
        for name, text in {**GEMMA_HEADS, "wo": "post.weight"}.items()
    }
    names["wr"] = "relative_k_proj.weight"
    assert exact.difference(found_by(layer, module, names, x), wanted.numpy()) <= TOLERANCE


def test_blocks_of_queries_of_granite_speech() -> None:
    file = import_module("transformers.models.granite_speech.configuration_granite_speech")
    config = file.GraniteSpeechEncoderConfig(**GRANITE)
    layer = layer_of("granite_speech", {"encoder_config": GRANITE}, "context_attention")
    with exact.float64(), torch.no_grad():
        module = module_of("granite_speech", "GraniteSpeechConformerAttention", config)
        module.pre_norm = torch.nn.Identity()
        x, place = tokens(), torch.arange(config.context_size)
        far = torch.clamp(place[:, None] - place, -config.context_size, config.context_size) + config.max_pos_emb
        wanted = module(x, far).numpy()
    names = {"wq": "to_q.weight", "wk": "to_kv.weight/0/2", "wv": "to_kv.weight/1/2", "wo": "to_out.weight"}
    names |= {"bo": "to_out.bias", "relative": "rel_pos_emb.weight"}
    assert exact.difference(found_by(layer, module, names, x), wanted) <= TOLERANCE


@pytest.mark.parametrize("taps", [5, 4])
def test_the_convolution_of_granite_speech(taps: int) -> None:
    file = import_module("transformers.models.granite_speech.configuration_granite_speech")
    fields = {**GRANITE, "conv_kernel_size": taps}
    layer = layer_of("granite_speech", {"encoder_config": fields}, "conv_module")
    with exact.float64(), torch.no_grad():
        module = module_of(
            "granite_speech", "GraniteSpeechConformerConvModule", file.GraniteSpeechEncoderConfig(**fields)
        )
        module.norm = torch.nn.Identity()
        x = tokens()
        wanted = module(x).numpy()
    halves = (("v", 0), ("g", 1))
    names = {f"w{name}": f"up_conv.weight/{number}/2" for name, number in halves}
    names |= {f"b{name}": f"up_conv.bias/{number}/2" for name, number in halves}
    names |= {"conv": "depth_conv.conv.weight", "wo": "down_conv.weight", "bo": "down_conv.bias"}
    names |= {"norm": "batch_norm.weight", "norm_b": "batch_norm.bias"}
    names |= {"mean": "batch_norm.running_mean", "variance": "batch_norm.running_var"}
    assert exact.difference(found_by(layer, module, names, x), wanted) <= TOLERANCE


def test_the_convolution_of_gemma_3n() -> None:
    config = import_module("transformers").Gemma3nAudioConfig(**GEMMA3N, rms_norm_eps=0.01)
    layer = layer_of("gemma3n", {"audio_config": {**GEMMA3N, "rms_norm_eps": 0.01}}, "conv_module")
    with exact.float64(), torch.no_grad():
        module = module_of("gemma3n", "Gemma3nAudioConformerLightConv1d", config)
        module.pre_layer_norm = torch.nn.Identity()
        x = tokens()
        wanted = (module(x) - x).numpy()
    names = {"wv": "linear_start.weight/0/2", "wg": "linear_start.weight/1/2", "conv": "depthwise_conv1d.weight"}
    names |= {"norm": "conv_norm.weight", "wo": "linear_end.weight"}
    assert exact.difference(found_by(layer, module, names, x), wanted) <= TOLERANCE


def test_the_convolution_of_phi_4() -> None:
    config = import_module("transformers").Phi4MultimodalAudioConfig(**PHI4)
    layer = layer_of("phi4_multimodal", {"audio_config": PHI4}, "conv_module")
    with exact.float64(), torch.no_grad():
        module = module_of("phi4_multimodal", "Phi4MultimodalAudioConvModule", config)
        module.layer_norm = torch.nn.Identity()
        x = tokens()
        wanted = module(x).numpy()
    halves, glu = (("v", 0, "b1"), ("g", 1, "b2")), "glu.ext_pw_conv_1d"
    names = {f"w{name}": f"{glu}.weight/{number}/2" for name, number, _ in halves}
    names |= {f"b{name}": f"{glu}.bias/{number}/2" for name, number, _ in halves}
    names |= {f"gate_b{name}": f"glu.{stored}" for name, _, stored in halves}
    for name, stored in (("conv", "dw_sep_conv_1d.dw_conv"), ("wo", "ext_pw_conv_1d")):
        names |= {name: f"{stored}.weight", "conv_b" if name == "conv" else "bo": f"{stored}.bias"}
    names |= {"mix": "dw_sep_conv_1d.pw_conv.weight", "mix_b": "dw_sep_conv_1d.pw_conv.bias"}
    assert exact.difference(found_by(layer, module, names, x), wanted) <= TOLERANCE


PERCEIVER = {"resampler_n_latents": 5, "resampler_n_heads": 6, "num_key_value_heads": 2, "resampler_head_dim": 7}


def test_queries_that_see_tokens_and_each_other() -> None:
    text = {"model_type": "mistral", "hidden_size": WIDTH, "num_attention_heads": 4}
    text |= {"num_key_value_heads": 4, "rms_norm_eps": 0.01}
    layer = layer_of("idefics2", {"perceiver_config": PERCEIVER, "text_config": text}, "query_attention")
    file = import_module("transformers.models.idefics2.configuration_idefics2")
    config = file.Idefics2PerceiverConfig(**PERCEIVER, hidden_size=WIDTH, rms_norm_eps=0.01)
    with exact.float64(), torch.no_grad():
        module = module_of("idefics2", "Idefics2PerceiverLayer", config, 0)
        config._attn_implementation = "eager"
        latents, context = tokens()[:, :5], tokens().flip(1)
        wanted, _ = module.self_attn(latents, module.input_context_norm(context))
    names = {f"w{name}": f"self_attn.{name}_proj.weight" for name in "qkvo"}
    names["source_norm"] = "input_context_norm.weight"
    ours = found_by(layer, module, names, latents, source=context.numpy())
    assert exact.difference(ours, wanted.numpy()) <= TOLERANCE


def test_groups_that_ask_as_one() -> None:
    adapter = {"hidden_size": WIDTH, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 5}
    adapter |= {"vision_feature_layer": [1], "attention_bias": True, "text_hidden_size": 11}
    layer = layer_of("molmo2", {"adapter_config": adapter}, "query_attention")
    file = import_module("transformers.models.molmo2.configuration_molmo2")
    config = file.Molmo2AdapterConfig(**adapter)
    config._attn_implementation = "eager"
    rows, columns = 4, 6
    with exact.float64(), torch.no_grad():
        module = module_of("molmo2", "Molmo2Adapter", config)
        module.image_projector = torch.nn.Identity()
        x = torch.randn(BATCH, rows * columns, WIDTH, dtype=torch.float64)
        place = torch.arange(rows * columns).reshape(rows // 2, 2, columns // 2, 2).transpose(1, 2).reshape(-1, 4)
        wanted = torch.stack([module(image[None], place).last_hidden_state for image in x]).numpy()
    names = {f"w{name}": f"image_pooling_2d.{name}_proj.weight" for name in "qkvo"}
    names |= {f"b{name}": f"image_pooling_2d.{name}_proj.bias" for name in "qkvo"}
    grid = (rows, columns)
    assert exact.difference(found_by(layer, module, names, x, grid=grid, whole_grid=grid), wanted) <= TOLERANCE


def test_hashes_of_the_last_few_bytes() -> None:
    file = import_module("transformers.models.blt.modeling_blt")
    lengths, functions, rows = [2, 5, 3], 13, 53
    fields = {"encoder_hash_byte_group_size": lengths, "encoder_hash_byte_group_nb_functions": functions}
    architecture = llmcalc.load({"model_type": "blt", **fields, "encoder_hash_byte_group_vocab": rows})
    (layer,) = (layer for stack in architecture.stacks for name, layer in stack.inputs if name == "hashed")
    ids = torch.randint(0, 256, (BATCH, TOKENS), generator=torch.Generator().manual_seed(1))
    with reference.quiet(), torch.no_grad():
        table = torch.nn.Embedding(rows * functions * len(lengths), layer.d_model).double()
        plain = torch.zeros(BATCH, TOKENS, layer.d_model, dtype=torch.float64)
        encoder = type("Encoder", (), {"embed_tokens": staticmethod(lambda _: plain.clone())})
        wanted = file.compute_hash_embeddings(ids, encoder, table, functions, lengths, rows).numpy()
    twin = import_module("llmcalc.zoo.research.twins.hash_embedding")
    ours = twin.forward(layer, Weights({"w": table.weight.numpy(force=True)}), plain.numpy(), Step(ids.numpy()), None)
    assert exact.difference(ours, wanted) <= TOLERANCE


@pytest.mark.parametrize("bias", [True, False])
def test_attention_that_meets_distances_of_a_fast_conformer(bias: bool) -> None:
    sizes = {"hidden_size": WIDTH, "num_attention_heads": 4, "num_key_value_heads": 4, "attention_bias": bias}
    config = import_module("transformers").ParakeetEncoderConfig(**sizes, attn_implementation="eager")
    with exact.float64(), torch.no_grad():
        file = import_module("transformers.models.parakeet.modeling_parakeet")
        module, x = module_of("parakeet", "ParakeetEncoderAttention", config, 0), tokens()
        wanted, _ = module(x, file.ParakeetEncoderRelPositionalEncoding(config).double()(x))
    names = {f"{kind}{name}": f"{name}_proj.{stored}" for name in "qkvo" for kind, stored in KINDS_OF_TENSORS}
    names |= {"wr": "relative_k_proj.weight", "u": "bias_u", "w": "bias_v"}
    layer = DistanceAttention(WIDTH, 4, bias=bias)
    assert exact.difference(found_by(layer, module, names, x), wanted.numpy()) <= 1e-6  # sines in single precision


@pytest.mark.parametrize("bias", [True, False])
def test_channels_of_davit_see_each_other(bias: bool) -> None:
    sizes = {"embed_dim": (WIDTH,) * 4, "num_groups": (3,) * 4, "qkv_bias": bias}
    config = import_module("transformers.models.florence2").Florence2VisionConfig(**sizes)
    config._attn_implementation = "eager"
    with exact.float64(), torch.no_grad():
        module, x = module_of("florence2", "Florence2VisionChannelAttention", config, 0), tokens()
        wanted = module(x)
    names = {f"{kind}{n}": f"qkv.{s}/{i}/3" for i, n in enumerate("qkv") for kind, s in KINDS_OF_TENSORS}
    names |= {f"{kind}o": f"proj.{stored}" for kind, stored in KINDS_OF_TENSORS}
    layer = ChannelAttention(WIDTH, 3, bias=bias)
    assert exact.difference(found_by(layer, module, names, x), wanted.numpy()) <= TOLERANCE
