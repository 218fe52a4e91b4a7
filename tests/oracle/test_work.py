"""FLOPs and caches of every family, against tiny models run under torch's FLOP counter."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

import llmcalc

from . import reference
from .families import cases
from .perturb import tiny

pytestmark = pytest.mark.filterwarnings("ignore")

BATCH, SEQ, CONTEXT = 2, 24, 24
SEED = 0
NOT_RUN = {
    "layoutlmv2": "its class needs another library; test_encoders.py runs it without",
    "lxmert": "its class is not run without regions of an image",
    "vilt": "its class is not run without an image; test_encoders.py runs it with one",
    "kyutai_speech_to_text": "its tokens are those of text and of every codebook",
    "mra": "without its CUDA kernel its attention returns zeros",
}
NOT_DECODED = {"cpmant": "its class cannot take a step behind a cache"}
UNPOOLED = "the sum of its states, of which the gradient is taken, leaves out its head"
NOT_TRAINED = {
    "align_text_model": UNPOOLED,
    "chinese_clip_text_model": UNPOOLED,
    "clap_text_model": UNPOOLED,
    "clvp_decoder": "its class has a head, but does not say so, and returns no states",
    "clvp_encoder": UNPOOLED,
    "flava_text_model": UNPOOLED,
    "git": "its loss begins behind the patches of an image",
    "hrm_text": "its class stops the gradient in the first cycles, as a note of the model says",
    "blip_text_model": UNPOOLED,
    "metaclip_2_text_model": UNPOOLED,
    "nemotron_h_omni": "its class has a head, but does not say so, and returns no states",
    "bros": UNPOOLED,
    "lilt": UNPOOLED,
    "markuplm": UNPOOLED,
    "perceiver": "its class has a head, but does not say so, and returns no states without it",
    "siglip_text_model": UNPOOLED,
    "siglip2_text_model": UNPOOLED,
    "visual_bert": UNPOOLED,
}
CAPACITY = {"expert_capacity": 1000}  # no token is dropped


def _tiny_model(model_type: str, class_name: str) -> tuple[Any, Any]:
    if model_type in NOT_RUN:
        pytest.skip(NOT_RUN[model_type])
    changes = tiny(model_type, class_name, SEED, runs=True)
    if changes is None:
        pytest.skip(f"{class_name}: no tiny config can be built")
    changes |= {key: value for key, value in CAPACITY.items() if key in reference.defaults(model_type)}
    try:
        model = reference.build(class_name, model_type, changes, device="cpu")
        runs = reference.Runs(model)
        runs.forward(1, SEQ)
    except Exception as error:
        pytest.skip(f"{class_name} does not run on token ids alone: {type(error).__name__}: {error}")
    return runs, llmcalc.load(reference.plain_config(model, class_name))


@pytest.mark.parametrize(("model_type", "class_name"), cases(headless=False))
def test_work(model_type: str, class_name: str) -> None:
    runs, architecture = _tiny_model(model_type, class_name)
    forward, _ = runs.forward(BATCH, SEQ)
    assert llmcalc.flops(architecture, batch=BATCH, seq=SEQ, convention="torch").matmul == forward
    if model_type not in NOT_DECODED:
        _compare_decode(runs, architecture)
    if model_type not in NOT_TRAINED:
        _compare_training(runs, architecture)


def _compare_decode(runs: reference.Runs, architecture: Any) -> None:
    try:
        elements, step = runs.decode(CONTEXT)
    except (StopIteration, NotImplementedError):  # the class returns no cache
        return
    assert llmcalc.state(architecture, batch=1, seq=CONTEXT, convention="torch").elements == elements
    found = llmcalc.flops(architecture, batch=1, seq=1, context=CONTEXT, mode="decode", convention="torch")
    assert found.matmul == step


def _compare_training(runs: reference.Runs, architecture: Any) -> None:
    total, convolved = runs.train(BATCH, SEQ)
    if not convolved:
        found = llmcalc.flops(architecture, batch=BATCH, seq=SEQ, mode="train", convention="torch")
        assert found.matmul == total


@pytest.mark.parametrize(
    ("model_type", "class_name"),
    [("llama", "LlamaForCausalLM"), ("gpt_neox", "GPTNeoXForCausalLM"), ("deepseek_v2", "DeepseekV2ForCausalLM")],
)
def test_adapters_need_no_gradients_of_weights(model_type: str, class_name: str) -> None:
    runs, architecture = _tiny_model(model_type, class_name)
    if runs.model.config.tie_word_embeddings:
        pytest.skip("the gradient of the embedding is also that of the head")
    runs.model.requires_grad_(False)
    runs.model.get_input_embeddings().weight.requires_grad_(True)  # gradients reach the first block
    total, _ = runs.train(BATCH, SEQ)
    step = llmcalc.flops(architecture, batch=BATCH, seq=SEQ, mode="train", convention="torch")
    assert step.with_adapters(0, ["wq"]) == total < step.matmul


class Adapted(torch.nn.Module):
    """A frozen linear layer with a low-rank adapter."""

    def __init__(self, linear: torch.nn.Linear, rank: int) -> None:
        super().__init__()
        self.linear = linear
        self.down = torch.nn.Linear(linear.in_features, rank, bias=False)
        self.up = torch.nn.Linear(rank, linear.out_features, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) + self.up(self.down(x))


@pytest.mark.parametrize(
    ("model_type", "class_name", "adapted", "targets"),
    [
        ("llama", "LlamaForCausalLM", r"(q_proj|down_proj)$", ("wq", "wd")),
        ("t5", "T5ForConditionalGeneration", r"\.[qk]$", ("wq", "wk")),
        ("albert", "AlbertForMaskedLM", r"attention\.(query|dense)$", ("wq", "wo")),
    ],
)
def test_adapters_run_where_their_matrices_do(
    model_type: str, class_name: str, adapted: str, targets: tuple[str, ...]
) -> None:
    rank = 3
    runs, architecture = _tiny_model(model_type, class_name)
    runs.model.requires_grad_(False)
    matrices = {name: one for name, one in runs.model.named_modules() if re.search(adapted, name)}
    for name, linear in matrices.items():
        place, _, last = name.rpartition(".")
        setattr(runs.model.get_submodule(place), last, Adapted(linear, rank))
    before = llmcalc.flops(architecture, batch=BATCH, seq=SEQ, convention="torch")
    assert before.with_adapters(rank, targets) == runs.forward(BATCH, SEQ)[0] > before.matmul
