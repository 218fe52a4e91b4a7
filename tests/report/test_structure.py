"""The structure is read off the layers' fields, whatever the kind."""

from __future__ import annotations

import pytest

from llmcalc import load
from llmcalc.core.structure import side_by_side, structure_line


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
