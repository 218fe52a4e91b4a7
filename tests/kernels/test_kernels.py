"""The closed forms of kernels: limits set by physics, monotonicity, and equal results for numbers and arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from llmcalc.data import FOLDER, table, tables
from llmcalc.inputs.gpus import accelerators
from llmcalc.kernels import kernels
from llmcalc.kernels.efficiencies import efficiencies
from llmcalc.kernels.efficiency import GENERIC
from llmcalc.kernels.kernels import Device
from llmcalc.kernels.mixed_attention import mixed_attention_decode
from llmcalc.kernels.unified_attention import unified_attention_decode, unified_attention_prefill

coefficients = efficiencies().coefficients
H100 = Device(sms=132, bandwidth=3.35e12, l2=50 * 2**20, link=450e9, network=50e9)
PEAK = 989.4e12
GEMM = coefficients("gemm", "h100-sxm", "bf16").values
EXPERTS = coefficients("experts", "h100-sxm", "bf16").values
PREFILL = coefficients("attention_prefill", "h100-sxm", "bf16").values
DECODE = coefficients("attention_decode", "h100-sxm", "bf16").values
UNIFIED_PREFILL = coefficients("unified_attention_prefill", "a100-sxm-80gb", "fp8").values
UNIFIED_DECODE = coefficients("unified_attention_decode", "a100-sxm-80gb", "fp8").values
LATENT = coefficients("latent_attention_decode", "h100-sxm", "bf16").values


def gemm(m: float, n: float = 4099, k: float = 5003, **change: float) -> float:
    on = Device(**{key: change.get(key, getattr(H100, key)) for key in Device.__match_args__})
    return kernels.gemm(m, n, k, 2 * n * k, on, PEAK, GEMM)


FORMS: Mapping[str, Callable[[float], float]] = {
    "gemm": gemm,
    "grouped_gemm": lambda x: kernels.grouped_gemm(x, 7, 11, 3e6, 1009, 997, 6e6, H100, PEAK, EXPERTS),
    "attention_prefill": lambda x: kernels.attention_prefill(
        3, x, x * (x + 1) / 2, x, 32, 8, 128, 128, H100, PEAK, PREFILL
    ),
    "attention_decode": lambda x: kernels.attention_decode(5, x, 32, 8, 128, 128, H100, PEAK, DECODE),
    "latent_attention_decode": lambda x: kernels.latent_attention_decode(5, x, 16, 512, 64, H100, PEAK, LATENT),
    "scan": lambda x: kernels.scan(x, 4099, 32, H100, coefficients("scan", "h100-sxm", "head").values),
    "convolution": lambda x: kernels.convolution(x, 4099, H100, coefficients("convolution", "h100-sxm").values),
    "state_update": lambda x: kernels.state_update(x, x / 7, H100, coefficients("state_update", "h100-sxm").values),
    "elementwise": lambda x: kernels.elementwise(x, H100, coefficients("elementwise", "h100-sxm").values),
    "all-reduce": lambda x: kernels.collective(
        "all-reduce", 4, x, H100, coefficients("collectives", "h100-sxm", "all-reduce").values
    ),
    "unified_attention_prefill": lambda x: unified_attention_prefill(
        3, x, x * (x + 1) / 2, x, 32, 8, 128, 128, H100, UNIFIED_PREFILL
    ),
    "unified_attention_decode": lambda x: unified_attention_decode(x, 5003, 32, 8, 128, 128, H100, UNIFIED_DECODE),
    "engine_all_reduce": lambda x: kernels.engine_all_reduce(
        4, x * 1e3, H100, coefficients("collectives", "h100-sxm", "all-reduce-custom").values
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_numbers_and_arrays_give_equal_times(form: str) -> None:
    sizes = [1.0, 17, 101, 1009, 10007, 100003]
    found = FORMS[form](np.array(sizes))  # type: ignore[arg-type]
    np.testing.assert_allclose(found, [FORMS[form](size) for size in sizes], rtol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_a_larger_size_does_not_take_less_time(form: str) -> None:
    times = [FORMS[form](size) for size in (16, 128, 1024, 8192, 65536)]
    assert times == sorted(times)
    assert times[-1] > 1.05 * times[0]


def test_a_product_with_one_row_takes_the_bytes_of_its_weights() -> None:
    n, k = 65521, 16381
    assert kernels.gemm(1, n, k, 2 * n * k, H100, PEAK, GEMM) == pytest.approx(
        2 * n * k / (H100.bandwidth * GEMM["memory"]), rel=0.02
    )


def test_few_rows_of_four_bit_weights_take_the_time_of_their_bytes() -> None:
    """A GeForce RTX 3090 has about half the peak of an A10, but 1.56 times its bandwidth."""
    n, k = 28672, 8192
    c = coefficients("gemm", "a100-sxm-80gb", "int4").values
    rtx_3090, a10, h20 = (82, 936e9, 6, 71e12), (72, 600e9, 6, 125e12), (78, 4e12, 60, 148e12)
    for sms, bandwidth, l2, peak in (rtx_3090, a10, h20):
        device = Device(sms=sms, bandwidth=bandwidth, l2=l2 * 2**20, link=32e9)
        read = n * k * 0.53 / (bandwidth * c["memory"])
        assert 1 <= kernels.gemm(1, n, k, n * k * 0.53, device, peak, c) / read < 1.6


def test_a_large_product_takes_its_flops() -> None:
    m, n, k = 65536, 16384, 16384
    assert kernels.gemm(m, n, k, 2 * n * k, H100, PEAK, GEMM) == pytest.approx(
        2 * m * n * k / (PEAK * GEMM["compute"]), rel=0.05
    )


def test_small_products_gain_from_bandwidth_and_large_ones_do_not() -> None:
    fast = 2 * H100.bandwidth
    assert gemm(1, n=65521, bandwidth=fast) < 0.55 * gemm(1, n=65521)
    assert gemm(16384, bandwidth=fast) > 0.95 * gemm(16384)


def test_products_of_heads_are_cheaper_than_one_launch_each_but_read_the_same_bytes() -> None:
    n, k = 512, 128
    together = kernels.gemm(1, n, k, 32 * 2 * n * k, H100, PEAK, GEMM, batch=32)
    assert together < 32 * kernels.gemm(1, n, k, 2 * n * k, H100, PEAK, GEMM)
    assert together > 32 * 2 * n * k / H100.bandwidth


def test_alone_a_kernel_has_a_launch_and_its_operands_in_the_cache() -> None:
    small = {"device": H100, "peak": PEAK, "c": {**GEMM, "cache": 3.0}}
    inside = kernels.gemm(16, 1024, 1024, 2 * 1024 * 1024, **small)  # type: ignore[arg-type]
    alone = kernels.gemm(16, 1024, 1024, 2 * 1024 * 1024, alone=True, **small)  # type: ignore[arg-type]
    assert inside < alone <= inside + GEMM["launch_us"] * 1e-6


def test_exponentials_limit_attention_with_narrow_heads() -> None:
    narrow = kernels.attention_prefill(1, 8192, 8192 * 8193 / 2, 8192, 64, 8, 64, 64, H100, PEAK, PREFILL)
    wide = kernels.attention_prefill(1, 8192, 8192 * 8193 / 2, 8192, 32, 8, 128, 128, H100, PEAK, PREFILL)
    assert narrow > 1.2 * wide  # equal FLOPs


def test_a_cache_of_half_the_bytes_takes_half_the_time() -> None:
    long = (64, 65536, 32, 8, 128, 128, H100, PEAK, DECODE)
    half = kernels.attention_decode(*long, cache_bytes=1)
    assert half == pytest.approx(kernels.attention_decode(*long) / 2, rel=0.02)


def test_the_busiest_of_one_rank_is_the_rank_and_of_many_gets_more_than_the_mean() -> None:
    rows, touched = kernels.busiest_rank(101, 8, 128, 1)
    assert (rows, touched) == (808, pytest.approx(128 * (1 - (1 - 8 / 128) ** 101)))
    rows, touched = kernels.busiest_rank(101, 8, 128, 8)
    assert 101 < rows < 2 * 101
    assert touched <= 16


def test_a_program_of_unified_attention_computes_16_rows_of_heads_with_padded_widths() -> None:
    def prefill(heads: int, key_heads: int, width: int) -> float:
        return unified_attention_prefill(3, 4096, 4096 * 4097 / 2, 4096, heads, key_heads, width, width, H100, c)

    c = {**UNIFIED_PREFILL, "copies": 0.0}
    assert prefill(32, 2, 128) == pytest.approx(prefill(32, 4, 128), rel=1e-3)  # 16 rows of 1 token, or of 2
    assert prefill(30, 6, 128) == pytest.approx(prefill(32, 4, 128) * (6 / 3) / (4 / 2), rel=2e-3)  # 15 of 16 rows
    assert prefill(34, 2, 128) == pytest.approx(2 * prefill(32, 2, 128), rel=1e-3)  # 17 heads have 32 rows
    assert prefill(32, 8, 130) == prefill(32, 8, 256) == pytest.approx(2 * prefill(32, 8, 128))


def test_unified_attention_divides_the_keys_of_few_sequences_in_decode_steps_alone() -> None:
    def decode(sequences: int, *, mixed: bool = False) -> float:
        return unified_attention_decode(sequences, 30011, 32, 8, 128, 128, H100, UNIFIED_DECODE, mixed=mixed)

    assert decode(1, mixed=True) > 10 * decode(1)
    assert decode(37) == pytest.approx(decode(37, mixed=True))  # more programs than those of two kernels
    assert decode(17) > decode(16)


def test_the_clock_follows_from_the_fp32_peak() -> None:
    clocks = {"a100-sxm-80gb": 1.41e9, "l40s": 2.52e9, "v100-sxm2-16gb": 1.53e9, "b200-180gb": kernels.CLOCK}
    found = {name: efficiencies().device(accelerators()[name]).clock for name in clocks}
    assert found == pytest.approx(clocks, rel=5e-3)


def test_mixed_attention_reads_for_each_query_head_the_keys_for_which_the_cache_has_no_room() -> None:
    own = {**DECODE, "memory": 0.5, "stream": 1e9, "group_us": 0.0}
    form = partial(mixed_attention_decode, heads=28, key_heads=4, key_width=128, value_width=128, share=1e9)
    long, short = (form(sequences=101, keys=keys, device=H100, peak=PEAK, c=own) for keys in (10007.0, 97.0))
    once = 101 * 256 * 2 / (H100.bandwidth * 0.5)  # one head of keys and values in 16 bits, of one token
    missed = 1 - H100.l2 / (101 * 10007 * 256 * 2)
    assert (long, short) == pytest.approx(((4 + 24 * missed) * 10007 * once, 4 * 97 * once))


def test_experts_take_the_steps_along_both_axes_and_their_launches() -> None:
    own = coefficients("experts", "h100-sxm", "fp8-block", library="vllm").values
    form = partial(kernels.grouped_gemm, 29, 7, 11, 3e6, 1009, 521, 6e6, H100, PEAK)
    steps = form(own) - form({name: value for name, value in own.items() if name != "step_ns"})
    assert steps == pytest.approx((16 + 9) * own["step_ns"] * 1e-9)  # of 64 elements each
    assert form(own, launched=True) - form(own) == pytest.approx((own["launch_us"] + 11 * own["expert_us"]) * 1e-6)


def test_touched_experts_are_all_experts_for_many_rows() -> None:
    assert kernels.touched_experts(1, 61) == pytest.approx(1)
    assert kernels.touched_experts(1e5, 61) == pytest.approx(61)


def test_an_all_reduce_moves_twice_the_bytes_of_a_gather() -> None:
    flat = {
        "latency_us": 0.0,
        "rank_us": 0.0,
        "link": 1.0,
        "doubling": 1.0,
        "reduction": 1.0,
        "fill_us": 0.0,
        "full_kb": 1,
    }
    reduce, gather = (kernels.collective(kind, 4, 1e9, H100, flat) for kind in ("all-reduce", "all-gather"))
    assert gather == pytest.approx(0.75 * 1e9 / H100.link)
    assert reduce == pytest.approx(2 * gather)
    assert kernels.collective("send", 2, 1e9, H100, flat) == pytest.approx(1e9 / H100.link)


def test_ranks_of_an_engine_read_small_tensors_in_one_step_and_large_ones_in_two() -> None:
    own = {"latency_us": 3.0, "rank_us": 0.5, "second_us": 11.0, "link": 0.5}
    link, latency = H100.link * 0.5, (3 + 0.5 * 6) * 1e-6
    small, large = 1e4, 1e8
    assert kernels.engine_all_reduce(7, small, H100, own) == pytest.approx(latency + 6 * small / link)
    two_steps = latency + 11e-6 + 2 * 6 / 7 * large / link
    assert kernels.engine_all_reduce(7, large, H100, own) == pytest.approx(two_steps)


def test_no_coefficient_beats_the_datasheet() -> None:
    names = [file.stem for file in sorted(Path(FOLDER, "efficiency").glob("*.yaml"))]
    assert "gemm" in names
    for name in names:
        for place, kinds in table(f"efficiency/{name}")["coefficients"].items():
            for kernel, own in kinds.items():
                assert own.get("compute", 1) <= 1, (name, place, kernel)
                assert own.get("memory", 1) <= 1, (name, place, kernel)
                assert all(math.isfinite(value) and value >= 0 for key, value in own.items() if key != "error")


def test_every_accelerator_with_a_bandwidth_has_a_device_and_coefficients() -> None:
    assert tables("hardware")
    for name, accelerator in accelerators().items():
        if accelerator.bandwidth is None:
            continue
        own = efficiencies().device(accelerator)
        assert min(own.sms, own.l2, own.link, own.network) > 0
        found = coefficients("gemm", name, "bf16")
        time = kernels.gemm(7, 4099, 5003, 2 * 4099 * 5003, own, 1e14, found.values)
        assert time >= 2 * 4099 * 5003 / accelerator.bandwidth
        assert found.origin in ("own", "sibling", "nearest", GENERIC)


COMPILED = coefficients("gemm", "h800", "fp8-block", library="deepgemm").values


def compiled(m: float, n: float, k: float, **change: float) -> float:
    """Return the time of a product in 8 bits, without that of reading its operands from memory."""
    on = Device(**{key: change.get(key, getattr(H100, key)) for key in Device.__match_args__})
    fast = {**COMPILED, "sharpness": 20.0, "two_scales": change.get("two_scales", 1.3), "tile_us": 0.0}
    return kernels.gemm(m, n, k, 1.0, on, PEAK, fast, activation_bytes=1)


@pytest.mark.parametrize(("n", "sms"), [(78 * 72, 78), (78 * 72, 88), (78 * 72, 47), (2 * 47 * 128, 47)])
def test_a_compiled_kernel_has_the_fastest_tiles(n: int, sms: int) -> None:
    m, k, rate = 67, 100_003, PEAK * COMPILED["compute"] / sms

    def seconds(height: int, width: int) -> float:
        waves = math.ceil(math.ceil(m / height) * math.ceil(n / width) / sms)
        scales = 1.0 if width in (16, 32, 64, 128) else 1.3
        return waves * k * max(2 * height * width * scales / rate, (height + width) / (COMPILED["load_gb"] * 1e9))

    expected = min(seconds(height, 8 * width) for height in (64, 128) for width in range(2, 17))
    assert compiled(m, n, k, sms=sms) == pytest.approx(expected, rel=1e-6)


def test_a_compiled_kernel_with_two_scales_in_a_tile_is_slower() -> None:
    n, k = 78 * 72, 100_003
    assert compiled(67, n, k, sms=78, two_scales=2) > 1.2 * compiled(67, n, k, sms=78, two_scales=1)
    assert compiled(67, n, k, sms=88, two_scales=2) == compiled(67, n, k, sms=88, two_scales=1)


def test_numbers_and_arrays_give_equal_times_of_compiled_kernels() -> None:
    sizes = [1.0, 61, 67, 131, 1009, 10007]
    found = compiled(np.array(sizes), 5003, 4099)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, [compiled(size, 5003, 4099) for size in sizes], rtol=1e-12)
