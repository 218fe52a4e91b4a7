"""The structure is read off the layers' fields, whatever the kind."""

from __future__ import annotations

import re
import textwrap

import pytest

from llmcalc import load
from llmcalc.core.description.structure import side_by_side, structure_line
from llmcalc.report.heading import structure


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("gpt3", ["decoder: 96 layers", "d_model 12288", "n_heads 96", "d_head 128", "d_ff 49152", "vocab 50257"]),
        ("bert-large", ["encoder: 24 layers", "n_segments 2", "n_positions 512"]),
        ("palm", ["n_heads 48", "n_kv_heads 1", "d_head 256"]),
        ("deepseek-v3", ["mlp d_ff 18432 ×3", "moe d_ff 2048 ×58", "n_experts 256 ×58", "top_k 8 ×58"]),
        ("gpt-oss-120b", ["window 128 ×18", "n_experts 128", "top_k 4"]),
        ("gemma3-27b", ["window 1024 ×52"]),
    ],
)
def test_a_line_says_what_the_paper_says(name: str, parts: list[str]) -> None:
    line = structure_line(load(name).main)
    for part in parts:
        assert f"{part} ·" in f"{line} ·"


def test_what_follows_from_another_size_is_not_repeated() -> None:
    line = structure_line(load("gpt3").main)
    assert "n_kv_heads" not in line
    assert "rotary_dim" not in line
    assert "d_head_v" not in line


@pytest.mark.parametrize("name", ["llama3.1-8b", "deepseek-v3", "ministral-3-8b"])
def test_the_length_before_scaling_of_positions_is_not_a_size(name: str) -> None:
    assert not re.search(r"(llama3|yarn|temperature) (length|start)", structure_line(load(name).main))


def test_a_short_line_keeps_the_main_sizes() -> None:
    line = structure_line(load("deepseek-v3").main, 130)
    assert line.startswith("decoder: 61 layers · d_model 7168 · n_heads 128 ·")
    assert line.endswith("n_experts 256 ×58 · top_k 8 ×58 · ...")
    assert structure_line(load("gpt3").main, 130) == structure_line(load("gpt3").main)


@pytest.mark.parametrize("name", ["deepseek-v3", "kimi-k3", "nemotron-3-ultra", "gemma3n", "t5-11b", "qwen3-vl-8b"])
def test_the_shape_takes_two_lines_of_80_columns(name: str) -> None:
    architecture = load(name)
    lines = [part for line in structure(architecture) for part in textwrap.wrap(line, 80 - len("decoder: "))]
    assert len(lines) <= 2
    assert structure(architecture, is_full=True) == tuple(map(structure_line, architecture.stacks))


def test_models_are_aligned_by_trait() -> None:
    rows = dict(side_by_side([load("gpt2"), load("t5-small"), load("mixtral")]))
    assert rows["stack"] == ["decoder", "decoder", "decoder"]
    assert rows["n_kv_heads"] == ["12", "8", "8"]
    assert rows["encoder n_layers"] == ["–", "6", "–"]
    assert rows["n_experts"] == ["–", "–", "8"]


def test_what_is_alike_is_left_out() -> None:
    rows = dict(side_by_side([load("gpt2-small"), load("gpt2-xl")]))
    assert "mlp activation" not in rows
    assert rows["d_model"] == ["768", "1600"]


def test_in_how_many_blocks_a_trait_stands_is_no_difference() -> None:
    titles = [title for title, _ in side_by_side([load("llama3-8b"), load("jamba")])]
    assert "attention rope" in titles
    assert "attention q_bias" not in titles
