"""Tensors that autograd saves in tiny bf16 models of every family, in a shape that the facts were not measured with."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import llmcalc

from . import reference
from .families import cases
from .perturb import tiny
from .saved import saved_bytes

pytestmark = pytest.mark.filterwarnings("ignore")

BATCH, SEQ, SEED = 3, 61, 7
TOLERANCE = 0.02
BLOCKS = "its local attention copies the keys of neighbouring blocks"
STREAMS = "its residual streams are mixed in fp32"
STEPS = "its recurrence runs step by step"
SWITCHED = "another key of its config changes a number format"
OWN = "its layers save tensors of their own"
OFF = {  # families that are further off
    "canine": BLOCKS,
    "led": "each projection copies the output of the padded encoder, which is a slice",
    "pegasus_x": "the results of its last global tokens are dropped, and with them what autograd saved for them",
    **dict.fromkeys(("deepseek_v4", "glm5_next_text", "mistral_large4_text", "muse_spark_text"), STREAMS),
    "xlstm": STEPS,
    **dict.fromkeys(("gpt2", "flaubert", "persimmon"), SWITCHED),
    **dict.fromkeys(("prophetnet", "inkling_text", "lilt", "blt", "zaya", "doge"), OWN),
    **dict.fromkeys(("deberta", "hrm_text", "nystromformer", "convbert", "minimax", "beam"), OWN),
    **dict.fromkeys(("step3p5", "markuplm", "fsmt", "dpr", "flava_text_model", "align_text_model"), OWN),
    **dict.fromkeys(("granite_swa", "granitemoe_swa", "clvp_encoder", "hunyuan_vl_text", "fuyu", "aria"), OWN),
    **dict.fromkeys(("got_ocr2", "musicgen", "deepseek_vl_hybrid", "apertus1p5"), OWN),
    **dict.fromkeys(("ernie4_5_moe", "ernie4_5_vl_moe_text"), "its router copies its weights"),
}
NOISY = {  # keys of random factors, which the models of the next test do not have
    "mixtral": "router_jitter_noise",
    "minimax": "router_jitter_noise",
    "minimax_m2": "router_jitter_noise",
    "phimoe": "input_jitter_noise",
    "switch_transformers": "router_jitter_noise",
}


@pytest.mark.parametrize(("model_type", "class_name"), [case for case in cases(headless=False) if case[0] not in OFF])
def test_saved_tensors(model_type: str, class_name: str) -> None:
    changes = tiny(model_type, class_name, SEED, runs=True)
    if changes is None:
        pytest.skip(f"{class_name}: no tiny config runs")
    try:
        model = reference.build(class_name, model_type, changes, device="cpu").to(torch.bfloat16)
        want = saved_bytes(model, BATCH, SEQ)
    except Exception as error:
        pytest.skip(f"{class_name} does not run in bf16 on token ids alone: {type(error).__name__}: {error}")
    without_noise = {NOISY[model_type]: 0.0} if model_type in NOISY else {}
    found = _activations(llmcalc.load({**reference.plain_config(model, class_name), **without_noise}))
    assert found == pytest.approx(want, rel=TOLERANCE)


def _activations(architecture: Any) -> int:
    target = {"target_seq": SEQ} if architecture.is_encoder_decoder else {}
    settings = {"dtype": "bf16", "attention": "eager", "convention": "torch", "extend": True, "mode": "training"}
    settings |= {"batch": BATCH, "seq": SEQ, **target}
    return int(llmcalc.memory(architecture, **settings).activations)


@pytest.mark.parametrize("model_type", NOISY)
def test_random_factors_of_the_inputs_of_routers(model_type: str) -> None:
    """Only the modules with the noise are in training mode, so that nothing is dropped."""
    class_name = next(name for kind, name in cases(headless=False) if kind == model_type)
    changes = tiny(model_type, class_name, SEED, runs=True)
    assert changes is not None
    want, found = [], []
    for noise in (0.0, 0.1):
        own = {**changes, NOISY[model_type]: noise}
        model = reference.build(class_name, model_type, own, device="cpu").to(torch.bfloat16)
        for module in model.modules():
            module.training = any("jitter" in key for key in vars(module))
        want.append(saved_bytes(model, BATCH, SEQ))
        found.append(_activations(llmcalc.load(reference.plain_config(model, class_name))))
    assert found[1] - found[0] == pytest.approx(want[1] - want[0], rel=TOLERANCE)
    assert found[1] > found[0]
