"""Groups of cached layers with equal pages."""

from __future__ import annotations

from fractions import Fraction

import llmcalc
from llmcalc.calc.kv_cache import LONG, SHORT
from llmcalc.calc.sharding import Mesh
from llmcalc.serving.start.cache import FULL, STATE, WINDOW, CacheLayer, cache_groups, cache_layers, flat_cache
from llmcalc.serving.start.states import StatePool


def layer(kind: str, size: int, n_layers: int, window: int = 0, multiple: int = 16) -> CacheLayer:
    return CacheLayer(kind, Fraction(size), window, n_layers, multiple)


def test_a_recurrent_state_is_padded_to_a_page_of_latents() -> None:
    """Kimi Linear on two GPUs with vLLM 0.11 (docs/data/engine_vllm.csv): 318 blocks, 75,840 tokens, 2.48 requests."""
    found = cache_groups([layer(STATE, 1085440, 20), layer(FULL, 1152, 7, multiple=64)], 16)
    assert [(group.kind, group.block_size, group.n_groups) for group in found.groups] == [(STATE, 1, 3), (FULL, 960, 1)]
    assert found.block_bytes == 7 * 960 * 1152
    assert 318 // found.n_groups * 960 == 75840
    assert round(318 / found.request_blocks(120000, 2048), 2) == 2.48


def test_the_number_of_layers_in_a_group_depends_on_the_ratio() -> None:
    layers = [layer(FULL, 512, 10), layer(WINDOW, 512, 13, 127)]
    assert [group.n_groups for group in cache_groups(layers, 16, 1.25).groups] == [1, 2]
    assert [group.n_groups for group in cache_groups(layers, 16, 1.5).groups] == [1, 1]
    assert cache_groups(layers, 16, 1.5).block_bytes == 13 * 16 * 512


def test_a_window_needs_its_tokens_and_those_of_a_step() -> None:
    (group,) = cache_groups([layer(WINDOW, 512, 3, 127)], 16).groups
    assert group.request_blocks(10**6, 1000, 1) == 71 + 1  # 127 + 1000 tokens in blocks of 16, and a shifted start
    assert group.request_blocks(64, 1000, 1) == 4 + 1


def test_smaller_rows_get_larger_blocks() -> None:
    groups = cache_groups([layer(FULL, 512, 3), layer(WINDOW, 256, 3, 127)], 16).groups
    assert [group.block_size for group in groups] == [16, 32]


def test_windows_and_states_of_a_flat_cache() -> None:
    layers = [layer(FULL, 1000, 3), layer(WINDOW, 1000, 5, 127)]
    assert flat_cache(layers, 1).block_bytes == 8000
    assert flat_cache(layers, 2, 0.8).block_bytes == 2 * 7000
    assert flat_cache([layer(FULL, 1000, 3), layer(STATE, 7, 1)], 1).block_bytes == 3000


def test_layers_of_a_model_on_one_rank() -> None:
    states = [llmcalc.state("gpt-oss-20b", seq=tokens, mesh=Mesh(tp=2), extend=True) for tokens in (SHORT, LONG)]
    found = {(one.kind, one.window): (one.bytes, one.n_layers) for one in cache_layers(*states)}
    assert found == {(WINDOW, 127): (Fraction(1024), 12), (FULL, 0): (Fraction(1024), 12)}


def test_convolution_states_are_divided_like_recurrent_states() -> None:
    def states(tp: int) -> Fraction:
        sizes = [llmcalc.state("qwen3-next", seq=tokens, mesh=Mesh(tp=tp), extend=True) for tokens in (SHORT, LONG)]
        return sum((one.bytes for one in cache_layers(*sizes) if one.kind == STATE), Fraction())

    assert states(1) == 32 * 128 * 128 * 4 + 3 * 8192 * 2  # matrices of 32 heads, and three tokens of 8,192 channels
    assert states(4) == states(1) / 4


def test_states_of_a_pool_are_outside_of_blocks() -> None:
    found = flat_cache([layer(FULL, 1000, 3), layer(STATE, 7, 2)], 1, states=StatePool(slots=5))
    assert (found.block_bytes, found.states.size(1009)) == (3000, 70)
