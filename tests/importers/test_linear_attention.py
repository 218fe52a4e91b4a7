"""Models of flash-linear-attention: parameters by the shapes of the modules, hybrids, and invalid configs."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.layers import Attention, GatedDeltaNet
from llmcalc.verification import verify
from llmcalc.zoo.research.layers.gated_linear_attention import GatedLinearAttention

SMALL: dict[str, Any] = {"hidden_size": 60, "num_hidden_layers": 3, "vocab_size": 101, "intermediate_size": 53}
D, F, V = 60, 53, 101
OUTER = 2 * V * D + D + 3 * (3 * D * F + 2 * D)  # tables, norms and feed-forward layers
CASES: dict[str, tuple[dict[str, Any], int]] = {
    "transformer": ({"num_heads": 6, "num_kv_heads": 2, "qkv_bias": True, "qk_norm": True},
        D * D * 2 + 2 * D * 20 + D + 2 * 20 + 2 * 10),
    "gla": ({"num_heads": 5, "expand_k": 0.5, "expand_v": 1.0},
        2 * D * 30 + 3 * D * D + 16 * (D + 30) + 30 + 12),
    "retnet": ({"num_heads": 3, "expand_k": 1.0, "expand_v": 2.0}, 2 * D * D + 3 * D * 120 + 40),
    "delta_net": ({"num_heads": 5, "expand_k": 0.5, "expand_v": 1.0},
        2 * D * 30 + 2 * D * D + D * 5 + 4 * (2 * 30 + D) + 12),
    "gated_deltanet": ({"num_heads": 3, "head_dim": 14, "expand_v": 2.0, "conv_size": 4},
        2 * D * 42 + 3 * D * 84 + 2 * D * 3 + 2 * 3 + 4 * (2 * 42 + 84) + 28),
}  # fmt: skip


@pytest.mark.parametrize("model_type", CASES)
def test_parameters_are_those_of_the_modules(model_type: str) -> None:
    changes, mixer = CASES[model_type]
    found = llmcalc.load({"model_type": model_type, **SMALL, **changes})
    assert llmcalc.params(found).total == OUTER + 3 * mixer
    assert [check for check in verify(found).checks if not check.ok] == []
    names = [name for name, _ in llmcalc.params(found).tensors(layout="checkpoint")]
    assert all(name.startswith(("model.", "lm_head.")) for name in names)
    assert len(set(names)) == len(names)


def test_a_gate_adds_a_projection() -> None:
    plain, gated = (
        {"model_type": "delta_net", **SMALL, **CASES["delta_net"][0], "use_gate": on} for on in (False, True)
    )
    found = llmcalc.load(gated)
    assert llmcalc.params(found).total == llmcalc.params(llmcalc.load(plain)).total + 3 * D * D
    assert [check for check in verify(found).checks if not check.ok] == []


def test_the_hidden_width_is_rounded_up() -> None:
    sizes = {**SMALL, "intermediate_size": None, "hidden_size": 300}
    found = llmcalc.load({"model_type": "transformer", **sizes, "num_heads": 6})
    plain = llmcalc.load({"model_type": "transformer", **sizes, "num_heads": 6, "intermediate_size": 1024})
    assert found.stacks == plain.stacks


@pytest.mark.parametrize(
    ("model_type", "kind"),
    [
        ("gla", GatedLinearAttention),
        ("retnet", GatedLinearAttention),
        ("delta_net", GatedDeltaNet),
        ("gated_deltanet", GatedDeltaNet),
    ],
)
def test_listed_layers_have_softmax_attention(model_type: str, kind: type) -> None:
    spec = {"layers": [1], "num_heads": 6, "num_kv_heads": 2, "window_size": 7, "qkv_bias": True}
    found = llmcalc.load({"model_type": model_type, **SMALL, **CASES[model_type][0], "attn": spec})
    layers = [run.block.sublayers[0].branches[0].layer for run in found.main.runs for _ in range(run.count)]
    assert [type(layer) for layer in layers] == [kind, Attention, kind]
    assert (layers[1].n_kv_heads, layers[1].window, layers[1].q_bias, layers[1].o_bias) == (2, 7, True, False)
    assert [check for check in verify(found).checks if not check.ok] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_short_conv": True}, "only use_short_conv: false is supported"),
        ({"feature_map": "relu"}, "feature_map is not supported"),
        ({"num_kv_heads": 1}, "num_kv_heads is 1, but other keys imply 5"),
        ({"hidden_act": "powlu"}, "hidden_act must be one of swish"),
        ({"attn": {"layers": [1]}}, "attn must be an object with layers and num_heads"),
        ({"attn": {"layers": [1], "num_heads": 6, "n_gates": 3}}, "unknown attn key 'n_gates'"),
        ({"attn": {"layers": [3], "num_heads": 6}}, "attn.layers must list layers from 0 to 2, not 3"),
        ({"expand_k": 0.55}, "not a multiple of the number of heads"),
        ({"attnres_block_size": 2}, "unknown config key 'attnres_block_size'"),
    ],
)
def test_what_such_a_config_may_not_say(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(llmcalc.InputError, match=message):
        llmcalc.load({"model_type": "gla", **SMALL, **CASES["gla"][0], **changes})
