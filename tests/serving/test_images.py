"""Times of requests that contain images."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.core.errors import InputError
from llmcalc.inputs.image_encoders import image_encoder
from llmcalc.serving.images import RequestImages, read_request_images
from llmcalc.serving.result import ServingResult
from llmcalc.serving.step.step import step_values
from llmcalc.serving.step.step_models import step_model

GEMMA = llmcalc.load("gemma3-27b")
TOKENS = 260  # of an image: 256 embeddings, and 4 separators


def serve(model: Any = GEMMA, gpu: str = "h200", **change: Any) -> ServingResult:
    result = llmcalc.serve(model, gpu, **{"isl": 509, "osl": 199, "concurrency": 1, **change})
    assert isinstance(result, ServingResult)
    return result


def images(*sizes: str, model: Any = GEMMA) -> RequestImages:
    found = read_request_images(model, "vllm", serve().accelerator, {}, sizes)
    assert found is not None
    return found


def test_the_tokens_of_images_join_the_prompt_and_the_encoder_delays_the_first_token() -> None:
    text, shown = serve(isl=509 + 2 * TOKENS), serve(image=["1024x768", "640x480"])
    assert shown.requests.mean("isl") == 509 + 2 * TOKENS
    assert shown.tpot_s == pytest.approx(text.tpot_s)  # no other request is prefilled
    seconds = images("1024x768", "640x480").seconds(step_model(GEMMA, shown.accelerator, Mesh(), "vllm"))
    assert text.ttft_s is not None
    assert shown.ttft_s == pytest.approx(text.ttft_s + seconds)
    assert any("1024x768: 260 tokens, 640x480: 260 tokens" in note for note in shown.notes)
    assert "no measurements of images of requests" in shown.reasons


def test_images_of_other_requests_delay_output_tokens() -> None:
    own: dict[str, Any] = {"isl": 509, "concurrency": 16}
    text, shown = serve(**{**own, "isl": 509 + TOKENS}), serve(image=["1024x768"], **own)
    seconds = images("1024x768").seconds(step_model(GEMMA, shown.accelerator, Mesh(), "vllm"))
    assert shown.tpot_s == pytest.approx(text.tpot_s + 15 / 198 * seconds)
    assert shown.time.requests_per_s < text.time.requests_per_s


@pytest.mark.parametrize("name", ["gemma3-27b", "qwen3-vl-8b", "llama4-scout", "mistral-small-3.1-24b"])
def test_the_step_of_an_encoder_has_its_flops(name: str) -> None:
    """A patch sees the other patches of its picture, and not their pairs."""
    encoder = image_encoder(llmcalc.load(name))
    assert encoder is not None
    steps = step_model(encoder.architecture, serve().accelerator, Mesh(), "vllm")
    step = steps.step(None, {**step_values(3.0, 1.0, 1.0), "p": 1024.0})
    flops = sum(cost.flops for cost in step.components.values())
    expected = llmcalc.flops(encoder.architecture, batch=3, seq=1, patches=1024).total
    assert flops == pytest.approx(expected, rel=0.05)
    assert 1 < step.kernels / (flops / steps.plain.peak) < 5


def test_ranks_divide_the_encoder_if_its_heads_allow_it() -> None:
    several = images(*["1024x768"] * 7)
    one, two, most = (
        several.seconds(step_model(GEMMA, serve().accelerator, Mesh(tp=tp), "vllm")) for tp in (1, 2, 32)
    )  # fmt: skip
    assert two < 0.8 * one
    assert most == pytest.approx(one)  # 16 heads


def test_requests_with_images_may_be_too_long() -> None:
    assert serve(max_model_len=509 + 199 + TOKENS, image=["1024x768"]).fits
    long = serve(max_model_len=509 + 199 + TOKENS - 1, image=["1024x768"])
    assert long.too_long


def test_a_command_line_and_several_gpus_read_images() -> None:
    line = "vllm serve google/gemma-3-27b-it"
    pasted = llmcalc.serve(gpu="h200", command=line, isl=509, osl=199, concurrency=1, image=["1024x768"])
    assert isinstance(pasted, ServingResult)
    assert pasted.ttft_s == pytest.approx(serve(image=["1024x768"]).ttft_s)
    assert pasted.requests.mean("isl") == 509 + TOKENS


@pytest.mark.parametrize(("change", "message"), [
    ({"sla": "tpot=50ms", "concurrency": None}, "sla: cannot be combined with images"),
    ({"prefix_share": 0.5}, "prefix_share: cannot be combined with images"),
    ({"turns": 3}, "turns: cannot be combined with images"),
    ({"images_per_prompt": 0}, "image: has no effect"),
    ({"engine": "my-engine"}, "image: has no effect"),
    ({"image": ["1024"]}, "image: invalid image size"),
])  # fmt: skip
def test_what_images_are_refused_with(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        serve(**{"image": ["1024x768"], **change})
