"""Blocks of layers whose pages differ in size."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

import llmcalc
from llmcalc.calc.kv_cache import SHORT, state
from llmcalc.serving.start.cache import FULL, WINDOW
from llmcalc.serving.start.packed_cache import (
    GROUPS,
    PATTERNS,
    SIZES,
    TUPLES,
    Page,
    compressed_pages,
    compressed_workspace,
    least_padding,
    packed_groups,
)

RULE = {
    "records": {"kv": 584, "index": 132}, "widths": {"kv": 512, "index": 128}, "alignment": 576, "window_block": 64,
    "state_blocks": {"4": 4, "128": 8},
}  # fmt: skip


def test_pages_of_deepseek_v4() -> None:
    """Records of 584 and 132 bytes and sums in fp32, padded to multiples of 576 bytes (vLLM: models/deepseek_v4)."""
    found = compressed_pages(state(llmcalc.load("deepseek-v4-flash"), seq=SHORT, extend=True), RULE, 256)
    assert sorted(set(found)) == sorted(
        {
            Page(WINDOW, 127, 64, 65 * 576, 2), Page(WINDOW, 127, 64, 65 * 576, 1), Page(WINDOW, 127, 64, 65 * 576, 20),
            Page(FULL, 0, 256, 65 * 576, 1), Page(FULL, 0, 256, 65 * 576, 20),  # 64 summaries of 4 tokens
            Page(FULL, 0, 256, 15 * 576, 1), Page(FULL, 0, 256, 15 * 576, 20),  # their keys of the indexer
            Page(FULL, 0, 256, 3 * 576, 20),  # two summaries of 128 tokens
            Page(WINDOW, 7, 4, 57 * 576, 1), Page(WINDOW, 7, 4, 57 * 576, 20),  # sums of 2 × 2 × 512 values
            Page(WINDOW, 7, 4, 15 * 576, 1), Page(WINDOW, 7, 4, 15 * 576, 20),  # sums of 2 × 2 × 128 values
            Page(WINDOW, 127, 8, 57 * 576, 20),
        }
    )  # fmt: skip
    assert sum(page.n_layers for page in found) == 43 + 4 * 21 + 2 * 20


def test_a_vector_without_a_kernel_is_refused() -> None:
    states = state(llmcalc.load("deepseek-v4-flash"), seq=SHORT, extend=True)
    with pytest.raises(llmcalc.InputError, match="no kernel"):
        compressed_pages(states, {**RULE, "widths": {"kv": 256, "index": 128}}, 256)
    with pytest.raises(llmcalc.InputError, match="compresses 128 tokens into one, not 4"):
        compressed_pages(states, {**RULE, "state_blocks": {"128": 8}}, 256)


def test_the_size_of_groups_adds_the_fewest_layers() -> None:
    random.seed(3)
    for _ in range(300):
        counts = [random.randint(1, 130) for _ in range(random.randint(1, 5))]
        least = random.randint(1, max(counts))
        tried = range(least, max(counts) + 1)
        expected = min(tried, key=lambda size: (sum(-count % size for count in counts), -size))
        assert least_padding(counts, least) == expected, (counts, least)


MIXED = [Page(FULL, 0, 256, 100, 3), Page(FULL, 0, 256, 20, 2), Page(WINDOW, 127, 64, 90, 4)]


@pytest.mark.parametrize(
    ("packing", "numbers", "block"),
    [
        (TUPLES, [1, 1], 4 * 120),  # four layers with the window, each beside a page of both sizes
        (SIZES, [1, 1], 4 * 100 + 2 * 20),  # pages of the window get 100 bytes
        (GROUPS, [1, 1], 4 * 90),
        (PATTERNS, [1, 1], 4 * 90),  # 3 and 2 layers do not repeat a pattern
    ],
)
def test_blocks_by_rule(packing: str, numbers: list[int], block: int) -> None:
    found = packed_groups(MIXED, packing)
    assert ([group.n_groups for group in found.groups], found.block_bytes) == (numbers, block)


def test_patterns_of_equal_counts_are_divided() -> None:
    pages = [Page(FULL, 0, 256, 100, 3), Page(FULL, 0, 256, 20, 3), Page(WINDOW, 127, 64, 90, 8)]
    found = packed_groups(pages, PATTERNS)  # groups of 4 layers fill 8, and leave one of 4 empty; 3 leaves one of 9
    assert [group.n_groups for group in found.groups] == [1, 2]
    assert found.block_bytes == max(3 * 120, 4 * 90)


def test_a_request_is_counted_in_bytes_of_the_first_group() -> None:
    found = packed_groups(MIXED, SIZES, counts_bytes=True)
    blocks = found.request_blocks(2560, 100)
    assert blocks == 10 + 5  # 227 tokens in blocks of 64, and a shifted start
    assert found.counted_blocks(2560, 100) == -(-(10 * 340 + 5 * 400) // 340)
    assert packed_groups(MIXED, SIZES).counted_blocks(2560, 100) == blocks


def test_a_stage_has_the_groups_of_the_whole_model() -> None:
    stage = [Page(FULL, 0, 256, 100, 1), Page(WINDOW, 127, 64, 100, 3)]
    whole = [Page(FULL, 0, 256, 100, 3), Page(WINDOW, 127, 64, 100, 4)]
    assert packed_groups(stage, GROUPS).n_groups == 1 + 3
    assert packed_groups(stage, GROUPS, whole).n_groups == 1 + 1
    assert packed_groups(stage, GROUPS, whole).block_bytes == Fraction(300)


def test_the_workspace_is_the_largest_of_any_layer() -> None:
    states = state(llmcalc.load("deepseek-v4-flash"), seq=SHORT, extend=True)
    rule = {**RULE, "workspace": {"requests": 4, "lengths": 40, "top_k": 2**20}}
    keys = 40 * 2**20 // 4 * 132 + 2**20
    assert compressed_workspace(states, rule, 2**20, 8192) == keys
    assert compressed_workspace(states, rule, 30000, 16384) == 4 * (7500 + 128 + 16384) * 512 * 2
