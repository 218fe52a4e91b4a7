"""Image encoders in serving engines, against figures that public runs log (docs/data/engine_*.csv)."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.errors import InputError
from llmcalc.inputs.image_encoders import image_encoder
from llmcalc.serving.start.memory import share_with_encoder

GIB = 2**30
RUN: dict[str, Any] = {
    "engine_version": "0.19", "gpu_memory": "79.19GiB", "max_model_len": 8192, "gpu_memory_utilization": 0.95,
}  # fmt: skip
# model, GPUs, weights, activation and available KV cache in GiB (jgchn/llm-d-planner)
LOGGED = [
    ("mistral-small-3.1", "h100", 44.76, 2.03, 28.19),
    ("gemma3-27b", "h100", 51.45, 3.99, 19.53),
    ("llama4-scout", "h100:4", 53.12, 3.19, 16.75),
]


@pytest.mark.parametrize(("model", "gpu", "weights", "activation", "available"), LOGGED)
def test_vllm_loads_and_profiles_the_encoder(
    model: str, gpu: str, weights: float, activation: float, available: float
) -> None:
    memory = llmcalc.serve(model, gpu, **RUN).memory
    assert memory.weights.best / GIB == pytest.approx(weights, abs=0.25)
    assert memory.activation.best / GIB == pytest.approx(activation, abs=0.07)
    assert memory.available.best / GIB == pytest.approx(available, abs=0.3)


def test_no_images_load_no_encoder() -> None:
    whole, text = (llmcalc.serve("mistral-small-3.1", "h100", **RUN, images_per_prompt=each) for each in (None, 0))
    plain = llmcalc.serve("mistral-small-24b", "h100", **RUN)
    assert whole.encoder > 0
    assert text.encoder == 0
    assert whole.memory.weights.best - text.memory.weights.best == whole.encoder
    assert text.memory.activation == plain.memory.activation
    assert not [note for note in text.notes if "encoder" in note or "image" in note]


def test_an_encoder_in_the_architecture_counts_once() -> None:
    whole, text = (llmcalc.serve("qwen3-vl-8b", "h100", language_model_only=each) for each in (False, True))
    encoder = image_encoder(llmcalc.load("qwen3-vl-8b"))
    assert encoder is not None
    assert encoder.is_counted
    assert whole.encoder == 0
    difference = whole.memory.weights.best - text.memory.weights.best
    assert difference == pytest.approx(2 * llmcalc.params(encoder.architecture).total, rel=0.01)


def test_the_encoder_of_glm_5_3_flash_has_the_parameters_of_its_class() -> None:
    encoder = image_encoder(llmcalc.load("glm-5.3-flash"))
    assert encoder is not None
    assert llmcalc.params(encoder.architecture).total == 563_627_008  # Glm5NextVisionModel of transformers 5.24
    assert llmcalc.serve("glm-5.3-flash", "h200:8", weights="fp8").encoder > 0
    assert encoder.measure(["2240x2800"])[0].embeddings == 8000


def test_flags_of_vllm_limit_the_images() -> None:
    for flag in (
        "--limit-mm-per-prompt image=0,video=0",
        "--limit-mm-per-prompt '{\"image\": 0}'",
        "--language-model-only",
    ):
        assert llmcalc.serve(command=f"vllm serve google/gemma-3-4b-it {flag}", gpu="h100").encoder == 0
    counted = llmcalc.serve(command="vllm serve google/gemma-3-4b-it --limit-mm-per-prompt video=0", gpu="h100")
    assert counted.encoder > 0
    limited = llmcalc.serve("gemma3-4b", "h100", images_per_prompt=0)
    assert limited.line().endswith("--limit-mm-per-prompt '{\"image\": 0}'")
    assert "31 images" not in " ".join(counted.notes)
    assert "32 images of 260 tokens" in " ".join(counted.notes)


def test_few_sequences_profile_few_images() -> None:
    one, all_ = (llmcalc.serve("gemma3-4b", "h100", max_num_seqs=each, images_per_prompt=1) for each in (7, 64))
    assert "7 images" in " ".join(one.notes)
    assert "32 images" in " ".join(all_.notes)


def test_ranks_share_the_encoder_if_they_share_its_heads() -> None:
    encoder = image_encoder(llmcalc.load("gemma3-27b"))
    assert encoder is not None
    whole, half, odd = (encoder.memory((), tp=tp).weights for tp in (1, 2, 3))
    assert whole / 2 < half < whole * 0.53
    assert odd == whole  # 16 heads


def test_sglang_keeps_memory_free_for_an_encoder() -> None:
    """Log of 2025-03-27 on an H200 (sgl-project/sglang pull request 4826): 54.12 GiB of keys, as many of values."""
    result = llmcalc.serve("gemma3-4b", "h200", engine="sglang", engine_version="0.4")
    assert result.settings["share"] == pytest.approx(0.88 * 0.95)
    assert result.memory.available.best / GIB == pytest.approx(2 * 54.12, abs=0.2)


def test_sglang_scales_the_share_by_the_size_of_the_encoder() -> None:
    """A vision_config of 27 layers and width 1152, compared with 24 layers and width 1024 (server_args.py)."""
    own = {"engine": "sglang", "engine_version": "0.4.9"}
    text, whole = (llmcalc.serve("gemma3-4b", "h200", **own, multimodal=each) for each in (False, True))
    assert text.settings["share"] == round(1 - 12800 / (text.memory.total / 2**20), 3)
    growth = 27 * 1152**2 / (24 * 1024**2) - 1
    assert whole.settings["share"] == pytest.approx(text.settings["share"] * 0.95 * (1 - 0.1 * growth))
    given = llmcalc.serve("gemma3-4b", "h200", **own, multimodal=True, mem_fraction_static=0.83)
    assert given.settings["share"] == 0.83


def test_presets_without_an_encoder_and_other_engines_count_none() -> None:
    assert image_encoder(llmcalc.load("gemma3-1b")) is None
    assert image_encoder(llmcalc.load("gemma4-e4b")) is None
    assert llmcalc.serve("gemma3-4b", "h100", engine="llama.cpp", max_model_len=4096).encoder == 0


def test_an_invalid_limit_is_refused() -> None:
    with pytest.raises(InputError):
        llmcalc.serve("gemma3-4b", "h100", images_per_prompt=-3)


def test_images_of_a_request_are_stated_in_tokens() -> None:
    result = llmcalc.serve("gemma3-4b", "h100", max_model_len=521, image=["1024x768", "311x97"])
    assert [size.tokens for size in result.images] == [260, 260]
    assert "leaves 1 for text" in " ".join(result.notes)
    short = llmcalc.serve("gemma3-4b", "h100", max_model_len=519, image=["1024x768", "311x97"])
    assert "cannot contain them" in " ".join(short.notes)
    with pytest.raises(InputError, match="loads no image encoder"):
        llmcalc.serve("gemma3-4b", "h100", image=["13x17"], images_per_prompt=0)


def test_memory_counts_the_tokens_and_the_encoder() -> None:
    text = llmcalc.memory("gemma3-4b", seq=1000 + 2 * 260)
    both = llmcalc.memory("gemma3-4b", seq=1000, image=["1024x768", "311x97"])
    encoder = image_encoder(llmcalc.load("gemma3-4b"))
    assert encoder is not None
    own = encoder.memory(both.images)
    assert both.weights == text.weights + own.weights
    assert both.state == text.state
    assert both.transient == max(own.activations + own.inputs, text.transient + own.outputs)
    assert [size["tokens"] for size in both.to_dict()["images"]] == [260, 260]
    one, many = (llmcalc.memory("gemma3-4b", seq=7, image=["896x896"] * count).transient for count in (1, 61))
    assert many == encoder.memory(both.images[:1] * 61).activations + 61 * 3 * 896**2 * 2
    assert one < many


def test_an_encoder_in_the_architecture_adds_no_weights() -> None:
    text = llmcalc.memory("qwen3-vl-2b", seq=100)
    both = llmcalc.memory("qwen3-vl-2b", seq=100, image=["97x61"])
    assert both.weights == text.weights
    assert both.workload.seq == 100 + both.images[0].tokens


@pytest.mark.parametrize("more", [{"mode": "training"}, {"model": "llama3-8b"}, {"image": ["97"]}])
def test_images_without_effect_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="image"):
        llmcalc.memory(**{"model": "gemma3-4b", "image": ["97x61"], **more})


def test_images_leave_the_rest_of_a_request_to_text() -> None:
    result = llmcalc.serve("gemma3-4b", "h100", image=["896x896"] * 3, max_model_len=4099)
    assert any(note.endswith(f"a request of 4,099 tokens leaves {4099 - 3 * 260:,} for text") for note in result.notes)
    assert not any("for text" in note for note in llmcalc.serve("gemma3-4b", "h100", max_model_len=4099).notes)


def test_an_encoder_of_unknown_size_is_that_of_the_rule() -> None:
    """The share falls by a tenth for each multiple of the encoder of the rule, down to four fifths."""
    assert share_with_encoder({"base": 0.9}, None, None) == 0.9
    rule = {"base": 0.5, "layers": 7, "width": 11, "slope": 0.1, "least": 0.8, "most": 1.05}
    sizes = [(None, None), (7, None), (None, 11), (14, None), (14, 22), (7, 1)]
    found = [share_with_encoder(rule, *size) for size in sizes]
    assert found == pytest.approx([0.5, 0.5, 0.5, 0.45, 0.4, 0.525])
