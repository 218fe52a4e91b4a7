"""Number formats: bits per block, mixtures, and published checkpoint sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmcalc
from llmcalc.calc.memory.number_formats import Format
from llmcalc.calc.memory.weight_formats import selected
from llmcalc.core.errors import InputError, UnknownNameError
from llmcalc.data import table, tables
from llmcalc.inputs import number_formats as names
from llmcalc.inputs.number_formats import number_format, weight_formats

GIB = 2**30
# format, bits of a weight [the sources are in the data files]
BITS = {
    "fp32": 32, "bf16": 16, "fp8": 8, "int8": 8, "fp8-block": 8.001953125, "gptq-int4-g32": 4.625,
    "gptq-int4-g64": 4.3125, "gptq-int4-g128": 4.15625, "awq-int4-g128": 4.15625, "int4-sym": 4.125,
    "gptq-int3-g128": 3.1484375, "gptq-int2-g64": 2.28125, "hqq": 4.25, "nf4": 4.5, "nf4-double": 4.126953125,
    "fp4": 4.5, "mxfp8": 8.25, "mxfp6": 6.25, "mxfp4": 4.25, "nvfp4": 4.5, "adam-8bit-state": 8.125,
    "q4_0": 4.5, "q4_1": 5, "q5_0": 5.5, "q5_1": 6, "q8_0": 8.5, "q8_1": 10, "q2_k": 2.625, "q3_k": 3.4375,
    "q4_k": 4.5, "q5_k": 5.5, "q6_k": 6.5625, "q8_k": 9.125, "iq2_xxs": 2.0625, "iq2_xs": 2.3125, "iq3_xxs": 3.0625,
    "iq1_s": 1.5625, "iq4_nl": 4.5, "iq3_s": 3.4375, "iq2_s": 2.5625, "iq4_xs": 4.25, "iq1_m": 1.75, "tq1_0": 1.6875,
    "tq2_0": 2.0625, "gguf-mxfp4": 4.25, "gguf-nvfp4": 4.5, "q1_0": 1.125,
}  # fmt: skip
# llama.cpp, tools/quantize/README.md: Llama 3.1 8B, bits of a weight of the whole file
LLAMA31_8B = {
    "IQ1_S": 2.0042, "IQ1_M": 2.1460, "IQ2_XXS": 2.3824, "IQ2_XS": 2.5882, "IQ2_S": 2.7403, "IQ2_M": 2.9294,
    "IQ3_XXS": 3.2548, "IQ3_XS": 3.4977, "IQ3_S": 3.6606, "IQ3_M": 3.7628, "IQ4_XS": 4.4597, "IQ4_NL": 4.6818,
    "Q2_K_S": 2.9697, "Q2_K": 3.1593, "Q3_K_S": 3.6429, "Q3_K_M": 3.9960, "Q3_K_L": 4.2979, "Q4_K_S": 4.6672,
    "Q4_K_M": 4.8944, "Q5_K_S": 5.5704, "Q5_K_M": 5.7036, "Q6_K": 6.5633, "Q8_0": 8.5008, "F16": 16.0005,
}  # fmt: skip
# an older edition of the same page: other models (its Q2_K gave more tensors more bits)
LLAMA2 = {
    "llama2-7b": {"Q3_K_S": 3.50, "Q3_K_M": 3.91, "Q4_K_S": 4.58, "Q4_K_M": 4.84, "Q5_K_M": 5.68, "Q6_K": 6.56},
    "llama2-13b": {"Q3_K_S": 3.48, "Q3_K_M": 3.89, "Q4_K_S": 4.56, "Q4_K_M": 4.83, "Q5_K_M": 5.67, "Q6_K": 6.56},
    "llama2-70b": {"Q3_K_S": 3.47, "Q3_K_M": 3.85, "Q4_K_M": 4.80, "Q5_K_M": 5.65, "Q6_K": 6.56},
}


def bits_a_weight(model: str, weights: str) -> float:
    architecture = llmcalc.load(model)
    return 8 * llmcalc.memory(architecture, seq=1, weights=weights).weights / llmcalc.params(architecture).total


@pytest.mark.parametrize("name", BITS)
def test_bits_of_a_weight(name: str) -> None:
    chosen = number_format(name)
    assert chosen.bits_per_weight == BITS[name]
    rows, columns = 4096, 2**14
    constants = rows * chosen.row_bits + columns * chosen.column_bits + chosen.tensor_bits
    assert chosen.bits_of(rows, columns) == rows * columns * BITS[name] + constants


@pytest.mark.parametrize("name", LLAMA31_8B)
def test_sizes_of_files_as_llama_cpp_prints_them(name: str) -> None:
    assert bits_a_weight("llama3.1-8b", name) == pytest.approx(LLAMA31_8B[name], abs=1e-4)


@pytest.mark.parametrize(("model", "name"), [(model, name) for model in LLAMA2 for name in LLAMA2[model]])
def test_sizes_of_older_models(model: str, name: str) -> None:
    assert bits_a_weight(model, name) == pytest.approx(LLAMA2[model][name], rel=3e-3)


@pytest.mark.parametrize(("model", "published"), [("gpt-oss-120b", 60.8), ("gpt-oss-20b", 12.8)])
def test_gpt_oss_checkpoints(model: str, published: float) -> None:
    """[openai2025, Table 1]: experts in MXFP4, all else in bf16."""
    stored = llmcalc.memory(llmcalc.load(model), seq=1, weights="mxfp4", only=["routed experts"])
    assert round(stored.weights / GIB, 1) == published
    assert llmcalc.memory(llmcalc.load(model), seq=1).weights == stored.weights  # the default: as published
    assert llmcalc.memory(llmcalc.load(model), seq=1, weights="bf16").weights / GIB > 3 * published


def test_what_is_kept_and_what_is_not() -> None:
    model = llmcalc.load("llama3-8b")
    by_default = llmcalc.memory(model, seq=1, weights="mxfp4").weights_by_component
    plain = llmcalc.memory(model, seq=1).weights_by_component
    assert by_default["head"] == plain["head"]
    assert by_default["mlp"] * 16 == plain["mlp"] * 4.25
    kept = llmcalc.memory(model, seq=1, weights="mxfp4", keep=["attention"]).weights_by_component
    assert kept["attention"] == plain["attention"]
    assert kept["mlp"] == by_default["mlp"]
    only = llmcalc.memory(model, seq=1, weights="mxfp4", only=["head"]).weights_by_component
    assert only["head"] * 16 == plain["head"] * 4.25
    assert only["mlp"] == plain["mlp"]


def test_contradictions_and_unknown_names() -> None:
    model = llmcalc.load("llama3-8b")
    with pytest.raises(InputError, match="both quantised and kept"):
        llmcalc.memory(model, weights="nf4", only=["mlp"], keep=["mlp"])
    with pytest.raises(UnknownNameError, match=r"known components: .*attention"):
        llmcalc.memory(model, weights="nf4", keep=["attn"])
    with pytest.raises(UnknownNameError, match="q4_k"):
        llmcalc.memory(model, weights="q4_k_n")
    with pytest.raises(UnknownNameError, match="mxfp4"):
        number_format("mxfp5")


def test_blocks_are_whole() -> None:
    tiles = Format("tiles", 128 * 128 * 8 + 32, block=128, rows=128, payload=8)
    assert tiles.bits_of(128, 128) == 128 * 128 * 8 + 32
    assert tiles.bits_of(129, 129) == 129 * 129 * 8 + 4 * 32  # four scales, no padding
    padded = number_format("q4_0")
    assert padded.bits_of(3, 64) == 3 * 2 * 144
    assert number_format("q4_k").used(4096 + 32).name == "q5_0"  # as llama.cpp does with such rows
    assert number_format("q4_k").used(4096 + 1).name == "gguf-f16"
    assert number_format("nf4").bits_of(3, 3) == 9 * 4 + 32  # blocks run through the tensor
    assert number_format("nf4-double").bits_of(1, 64 * 257) == 64 * 257 * 4 + 257 * 8 + 2 * 32


@given(st.sampled_from(sorted(tables("formats"))), st.integers(1, 600), st.integers(1, 600))
def test_more_elements_never_take_fewer_bits(name: str, rows: int, columns: int) -> None:
    chosen = number_format(name)
    if chosen.fallback is None:
        assert chosen.bits_of(rows, columns) <= chosen.bits_of(rows, columns + 1)
    assert chosen.bits_of(rows, columns) <= chosen.bits_of(rows + 1, columns)
    assert chosen.bits_of(rows, columns) >= rows * columns * chosen.bits_per_weight * 0.98 - 1


@pytest.mark.parametrize("n_layers", [8, 32, 40, 80])
def test_more_bits_for_the_first_the_last_and_every_third(n_layers: int) -> None:
    chosen = [layer for layer in range(n_layers) if selected("more", layer, n_layers)]
    assert chosen[: n_layers // 8] == list(range(n_layers // 8))
    assert chosen[-1] == n_layers - 1
    assert n_layers / 2 - 2 <= len(chosen) <= n_layers / 2 + 3


@pytest.mark.parametrize("name", table("mixtures"))
def test_every_mixture_is_of_known_formats(name: str) -> None:
    mixture = weight_formats(name, number_format("bf16"))
    assert mixture.base.name == "fp32"
    assert {rule.of for rule in mixture.rules} <= {
        "head",
        "token embedding",
        "routed experts",
        "wq",
        "wk",
        "wv",
        "wo",
        "wd",
        "wu",
        "wg",
    }


@pytest.mark.parametrize("name", tables("formats"))
def test_every_format_has_a_source(name: str) -> None:
    entry = tables("formats")[name]
    assert entry["source"]
    assert number_format(name).name == name
    assert all(number_format(alias).name == name for alias in entry.get("aliases", ()))


def test_a_long_name_is_normalised_once_in_each_table(monkeypatch: pytest.MonkeyPatch) -> None:
    base = number_format("bf16")
    weight_formats("q4_k_m", base)
    normalised: list[str] = []

    def plain(name: str) -> str:
        normalised.append(name)
        return name

    monkeypatch.setattr(names, "plain", plain)
    weight_formats("fp8", base)
    assert normalised == ["fp8"]  # among mixtures, and formats have it as it is
    with pytest.raises(InputError):
        weight_formats("fp8x", base)
    assert normalised == ["fp8", "fp8x", "fp8x"]


# GB of published files; the tokens and merges of the vocabulary take about 50 MB of them
@pytest.mark.parametrize(("name", "weights", "size"), [("gemma4-e2b", "q4_k_m", 3.43), ("gemma4-e2b", "q8_0", 4.97)])
def test_llama_cpp_quantises_the_tables_of_layers(name: str, weights: str, size: float) -> None:
    assert size * 0.98 < llmcalc.memory(name, weights=weights).weights / 1e9 < size
