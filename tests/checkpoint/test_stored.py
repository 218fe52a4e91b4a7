"""Shapes of tensors as checkpoints store them: fused, transposed, expert by expert in one tensor."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator

import pytest

import llmcalc
from llmcalc.checkpoint.stored_patterns import stored_patterns
from llmcalc.report import render
from llmcalc.report.params import params_document

SHAPES = {
    "gpt2-small": {
        "transformer.h.3.attn.c_attn.weight": (768, 3 * 768),  # [in, out], queries, keys and values side by side
        "transformer.h.3.attn.c_attn.bias": (3 * 768,),
        "transformer.h.3.mlp.c_proj.weight": (3072, 768),
        "transformer.wpe.weight": (1024, 768),
    },
    "gpt-oss-20b": {
        "model.layers.5.mlp.experts.gate_up_proj": (32, 2880, 2 * 2880),  # [expert, in, out]
        "model.layers.5.mlp.experts.gate_up_proj_bias": (32, 2 * 2880),
        "model.layers.5.mlp.experts.down_proj_bias": (32, 2880),
        "model.layers.5.self_attn.sinks": (64,),
    },
    "mixtral-8x7b": {
        "model.layers.0.mlp.experts.gate_up_proj": (8, 2 * 14336, 4096),  # [expert, out, in]
        "model.layers.0.mlp.experts.down_proj": (8, 4096, 14336),
        "model.layers.31.self_attn.k_proj.weight": (8 * 128, 4096),
    },
    "mamba2-130m": {
        "backbone.layers.0.mixer.in_proj.weight": (2 * 1536 + 2 * 128 + 24, 768),  # z, x, B, C and Δ
        "backbone.layers.0.mixer.conv1d.weight": (1536 + 2 * 128, 1, 4),
        "backbone.layers.0.mixer.A_log": (24,),
    },
    "deepseek-v3": {
        "model.layers.0.self_attn.kv_a_proj_with_mqa.weight": (512 + 64, 7168),  # the latent and the rotary key
        "model.layers.0.self_attn.kv_b_proj.weight": (128 * (128 + 128), 512),
        "model.layers.3.mlp.experts.gate_up_proj": (256, 2 * 2048, 7168),
    },
    "t5-small": {
        "shared.weight": (32128, 512),
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 8),
        "decoder.block.5.layer.1.EncDecAttention.o.weight": (512, 512),
    },
    "jamba": {
        "model.layers.0.mamba.x_proj.weight": (256 + 2 * 16, 8192),  # Δ, B and C
        "model.layers.0.mamba.A_log": (8192, 16),
        "model.layers.1.feed_forward.experts.gate_up_proj": (16, 2 * 14336, 4096),
    },
}


@pytest.mark.parametrize("model", SHAPES)
def test_tensors_have_the_shapes_of_checkpoints(model: str) -> None:
    found = dict(llmcalc.params(llmcalc.load(model)).tensors("transformers"))
    assert {name: found.get(name) for name in SHAPES[model]} == SHAPES[model]


@pytest.mark.parametrize("model", SHAPES)
def test_no_layout_loses_a_parameter(model: str) -> None:
    count = llmcalc.params(llmcalc.load(model))
    for layout in (None, "transformers"):
        names = [name for name, _ in count.tensors(layout)]
        assert len(set(names)) == len(names)
        total = 0
        for _, shape in count.tensors(layout):
            size = 1
            for length in shape:
                size *= length
            total += size
        assert total == count.total


def listed(name: str) -> Iterator[str]:
    """Yield the names of a pattern, such as ``a.0-1,3.b``."""
    found = re.search(r"(?<=\.)\d+[-,][\d,-]+(?=\.)", name)
    if found is None:
        yield name
        return
    for part in found[0].split(","):
        first, _, last = part.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield from listed(f"{name[: found.start()]}{number}{name[found.end() :]}")


@pytest.mark.parametrize("layout", ["transformers", "checkpoint"])
@pytest.mark.parametrize("model", ["gpt2-small", "deepseek-v3", "t5-small", "olmoe", "albert", "gemma3-4b"])
def test_patterns_name_every_tensor_once(model: str, layout: str) -> None:
    count = llmcalc.params(llmcalc.load(model))
    found = [(name, one.shape) for one in stored_patterns(count, layout) for name in listed(one.name)]
    assert sorted(found) == sorted(count.tensors(layout))


@pytest.mark.parametrize("model", ["jamba", "zamba2-1.2b", "kimi-k3", "qwen3-next"])
def test_patterns_have_all_copies(model: str) -> None:
    count = llmcalc.params(llmcalc.load(model))
    copies = Counter[tuple[int, ...]]()
    for _, shape, number in stored_patterns(count, "checkpoint"):
        copies[shape] += number
    assert copies == Counter(shape for _, shape in count.tensors("checkpoint"))
    assert len(stored_patterns(count, "checkpoint")) < 150


@pytest.mark.parametrize("form", ["table", "plain", "markdown", "html", "svg"])
def test_texts_list_patterns(form: str) -> None:
    count = llmcalc.params(llmcalc.load("kimi-k3"))
    text = render(params_document(count, layout="checkpoint"), form)
    assert "experts.0-895" in "".join(text.split()) or form == "svg"
    assert len(text) < 40_000


def test_csv_and_json_list_every_tensor() -> None:
    count = llmcalc.params(llmcalc.load("deepseek-v3"))
    document = params_document(count, layout="checkpoint")
    rows = list(csv.reader(io.StringIO(render(document, "csv"))))
    assert rows[0] == ["tensor", "shape", "elements"]
    assert [(name, shape) for name, shape, _ in rows[1:]] == [
        (name, "×".join(map(str, shape))) for name, shape in count.tensors("checkpoint")
    ]
    assert json.loads(render(document, "json"))["result"]["tensors"] == [
        {"name": name, "shape": list(shape)} for name, shape in count.tensors("checkpoint")
    ]


def test_the_tensors_of_experts_are_bounded():
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    model = llmcalc.load({"model_type": "mixtral", **sizes, "num_local_experts": 10**12})
    with pytest.raises(llmcalc.InputError, match="more than 500,000 tensors"):
        llmcalc.params(model).tensors("checkpoint")
