"""FLOPs of encoders and projectors with readers of their own, under torch's counter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import llmcalc

from . import perturb, reference

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS, PATCH = 6, 4  # patches along an image, and pixels along a patch
PATCHES, SIDE = ROWS * ROWS, ROWS * PATCH
WINDOWS = 12  # patches along a side, of which squares of four and of sixteen still fill windows of three by three
HOP = 160  # values of the wave of a frame
VALUES = 3 * PATCH * PATCH
Run = Callable[[Any, int], Any]


def _flat(model: Any, patches: int) -> Any:
    grid = torch.tensor([[ROWS, patches // ROWS]])
    return model.get_image_features(torch.zeros(patches, VALUES), image_grid_hw=grid)


# of each, its config, and how it sees so many patches, or hears so many frames
SEEING: dict[str, tuple[dict[str, Any], Run]] = {
    "nemotron_h_omni": (perturb.FIXED["nemotron_h_omni"], _flat),
    "nemotron_h_omni with gates": (
        {**perturb.FIXED["nemotron_h_omni"],
         "vision_config": {**perturb.FIXED["nemotron_h_omni"]["vision_config"], "use_swiglu_ffn": True,
                           "mlp_ratio": 2.5, "qkv_bias": False}}, _flat,
    ),
    "dots3_note": (
        perturb.FIXED["dots3_note"],
        lambda model, patches: model.model.get_image_features(
            torch.zeros(patches, VALUES), torch.tensor([[1, ROWS, patches // ROWS]])
        ),
    ),
    "pp_formulanet": (
        perturb.FIXED["pp_formulanet"], lambda model, patches: model.model.encoder(torch.zeros(1, 3, 32, 32))
    ),
    "florence2": (
        perturb.FIXED["florence2"],
        lambda model, patches: model.get_image_features(torch.zeros(1, 3, PATCH * WINDOWS, PATCH * patches // WINDOWS)),
    ),
    "blip": (
        {"text_config": {"hidden_size": 32, "intermediate_size": 44, "num_attention_heads": 2, "num_hidden_layers": 1,
                         "vocab_size": 101},
         "vision_config": {"hidden_size": 24, "intermediate_size": 40, "num_attention_heads": 2, "image_size": SIDE,
                           "num_hidden_layers": 3, "patch_size": PATCH}},
        lambda model, patches: model.vision_model(
            torch.zeros(1, 3, SIDE, SIDE * patches // PATCHES), interpolate_pos_encoding=True
        ),
    ),
}  # fmt: skip
WHOLE = {
    "florence2": (WINDOWS * WINDOWS, 2 * WINDOWS * WINDOWS),
    "pp_formulanet": (64,),
}  # numbers of patches, where not all are possible
HEARING: dict[str, tuple[dict[str, Any], Run]] = {
    "nemotron_h_omni": (
        perturb.FIXED["nemotron_h_omni"],
        lambda model, frames: model.get_audio_features(torch.zeros(1, frames, 24)),
    ),
    "dots3_note": (
        perturb.FIXED["dots3_note"],
        lambda model, frames: model.get_audio_features(torch.zeros(1, 20, frames), torch.tensor([frames * HOP])),
    ),
}  # fmt: skip


def _model(case: str, changes: dict[str, Any]) -> tuple[Any, Any]:
    model_type = case.partition(" ")[0]
    class_name = reference.classes(model_type)[0]
    model = reference.build(class_name, model_type, changes, device="cpu")
    return model, llmcalc.load(reference.plain_config(model, class_name))


@pytest.mark.parametrize("case", {**SEEING, **HEARING})
def test_tensors(case: str) -> None:
    model, architecture = _model(case, (SEEING.get(case) or HEARING[case])[0])
    found = llmcalc.params(architecture)
    assert dict(found.tensors(layout="transformers")) == reference.tensors(model)
    assert found.total == reference.parameters(model)


def _executed(run: Run, model: Any, count: int) -> int:
    with reference.quiet(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        run(model, count)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("case", SEEING)
def test_vision_encoder_flops(case: str) -> None:
    changes, run = SEEING[case]
    model, architecture = _model(case, changes)
    for count in WHOLE.get(case, (PATCHES, 2 * ROWS)):
        seen, blind = (
            llmcalc.flops(architecture, batch=1, seq=8, patches=patches, convention="torch").matmul
            for patches in (count, 0)
        )
        assert seen - blind == _executed(run, model, count), count


@pytest.mark.parametrize("case", HEARING)
def test_audio_encoder_flops(case: str) -> None:
    changes, run = HEARING[case]
    model, architecture = _model(case, changes)
    for count in (40, 77):
        heard, deaf = (
            llmcalc.flops(architecture, batch=1, seq=8, frames=frames, convention="torch").matmul
            for frames in (count, 0)
        )
        assert heard - deaf == _executed(run, model, count), count
