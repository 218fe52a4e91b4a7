"""A head_dim that a config gives is the size of its heads, whatever the width."""

import json
from pathlib import Path

import pytest

import llmcalc
from llmcalc.importers import hf

DEFAULTS = Path(hf.__file__).parents[2] / "data" / "hf"
GIVEN = 46  # no default, and no quotient of a width and heads
# latent attention, whose head_dim is that of rotary positions; models whose heads share the width, whatever the key
# says; defaults without a layer of attention; a head_dim of what turns outside of attention
ELSEWHERE = """
    axk1 axk2 deepseek_v2 deepseek_v3 deepseek_v32 dots3_note_text glm_moe_dsa hy_v4 hy_v4_vl_text kimi_k2 kimi_linear
    glm5_next_text longcat_flash minicpm3 mistral4 mistral_large4_text sarvam_mla youtu
    deepseek_ocr2_text falcon gpt_neox gpt_neox_japanese persimmon unlimited_ocr_text
    bamba granitemoehybrid mamba2
    musicflamingo gated_deltanet
"""


def load(model_type):
    """The architecture of a family's defaults with other heads; None where the key is an error."""
    defaults = json.loads((DEFAULTS / f"{model_type}.json").read_text("utf-8"))["defaults"]
    try:
        return llmcalc.load({**defaults, "model_type": model_type, "head_dim": GIVEN})
    except llmcalc.InputError:
        return None


FOUND = {file.stem: load(file.stem) for file in sorted(DEFAULTS.glob("*.json"))}
READ = [name for name, architecture in FOUND.items() if architecture and name not in ELSEWHERE.split()]


@pytest.mark.parametrize("model_type", READ)
def test_a_given_size_of_heads_is_taken(model_type):
    blocks = [run.block for stack in FOUND[model_type].stacks for run in stack.runs]
    layers = [layer for block in blocks for part in block.sublayers for _, layer in part.layers()]
    assert GIVEN in {getattr(layer, "d_head", None) for layer in layers}


def test_most_families_read_it():
    assert len(READ) > 100
