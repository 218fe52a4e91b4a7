"""Lookup of the coefficients of kernels: own, sibling, nearest, generic."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.core.errors import InputError
from llmcalc.core.record import changed
from llmcalc.inputs.gpus import accelerators
from llmcalc.inputs.number_formats import number_format
from llmcalc.kernels.efficiencies import efficiencies


@pytest.mark.parametrize(
    ("accelerator", "kernel", "origin", "place", "measured"),
    [
        ("h100-sxm", "fp8", "own", "h100-sxm", "fp8"),
        ("b200-180gb", "nvfp4", "own", "b200", "nvfp4"),
        ("h200", "fp8", "sibling", "h100-sxm", "fp8"),
        ("b300", "nvfp4", "sibling", "b200", "nvfp4"),
        ("l40s", "fp8", "nearest", "rtx-pro-6000-server", "fp8"),
        ("h100-sxm", "int4", "own", "h100-sxm", "bf16"),  # only an A100 was measured with int4
        ("a100-pcie-80gb", "int4", "sibling", "a100-sxm-80gb", "int4"),
        ("mi300x", "bf16", "generic", "", "bf16"),
        ("mi300x", "fp8", "generic", "", "fp8"),
    ],
)
def test_order_of_the_lookup(accelerator: str, kernel: str, origin: str, place: str, measured: str) -> None:
    found = efficiencies().coefficients("gemm", accelerator, kernel)
    assert (found.origin, found.accelerator, found.kernel) == (origin, place, measured)
    assert 0 < found.error[1] <= found.error[0] < 40


@pytest.mark.parametrize(("accelerator", "kernel", "origin", "place", "measured"), [
    ("h20", "fp8-block", "own", "h20", "fp8-block deepgemm"),
    ("h800", "fp8-block", "own", "h800", "fp8-block deepgemm"),
    ("h100-sxm", "fp8-block", "sibling", "h800", "fp8-block deepgemm"),  # with the same chip
    ("h200", "fp8-block", "sibling", "h800", "fp8-block deepgemm"),
    ("b200-180gb", "fp8-block", "own", "b200", "fp8-block"),
    ("h100-sxm", "bf16", "own", "h100-sxm", "bf16"), ("h800", "bf16", "sibling", "h100-sxm", "bf16"),
])  # fmt: skip
def test_kernels_of_a_library_come_first(accelerator: str, kernel: str, origin: str, place: str, measured: str) -> None:
    found = efficiencies().coefficients("gemm", accelerator, kernel, library="deepgemm")
    assert (found.origin, found.accelerator, found.kernel) == (origin, place, measured)
    assert "deepgemm" not in efficiencies().coefficients("gemm", accelerator, kernel).kernel


@pytest.mark.parametrize(("accelerator", "kernel", "origin", "place", "measured"), [
    ("a100-sxm-80gb", "bf16", "own", "a100-sxm-80gb", "bf16 vllm"),
    ("a100-sxm-80gb", "mxfp4", "own", "a100-sxm-80gb", "mxfp4 vllm"),
    ("rtx-3090", "int4", "nearest", "a100-sxm-80gb", "int4 vllm"),
    ("rtx-3090", "fp8", "nearest", "l40s", "fp8 vllm"),  # the nearest of the nearest family
    ("dgx-spark", "mxfp4", "sibling", "rtx-pro-6000-server", "mxfp4 vllm"),
    ("b200-180gb", "fp8", "own", "b200", "fp8"),  # runs the kernels of TensorRT-LLM
    ("mi300x", "bf16", "generic", "", "bf16"),
])  # fmt: skip
def test_experts_of_vllm(accelerator: str, kernel: str, origin: str, place: str, measured: str) -> None:
    found = efficiencies().coefficients("experts", accelerator, kernel, library="vllm")
    assert (found.origin, found.accelerator, found.kernel) == (origin, place, measured)
    assert found.is_library == measured.endswith("vllm")


def test_an_engine_names_the_library_of_its_kernels() -> None:
    found = {}
    for engine in ("sglang", "vllm"):
        own = llmcalc.latency("qwen3-8b", "h20", weights="fp8-block", engine=engine, batch=97)
        found[engine] = own.model.efficiencies["gemm", "fp8-block"].kernel
    assert found == {"sglang": "fp8-block deepgemm", "vllm": "fp8-block"}


def test_a_left_out_accelerator_is_replaced_by_a_relative() -> None:
    assert efficiencies().coefficients("gemm", "h100-sxm", "bf16", frozenset({"h100-sxm"})).origin == "generic"
    assert (
        efficiencies().coefficients("collectives", "gb200-186gb", "all-reduce", frozenset({"gb200"})).origin
        == "sibling"
    )


def test_a_kind_with_one_kernel_needs_no_format() -> None:
    assert efficiencies().coefficients("scan", "b200-180gb").origin == "own"
    assert efficiencies().coefficients("elementwise", "b200-180gb").origin == "generic"


@pytest.mark.parametrize(
    ("number", "kernel"),
    [
        ("fp8-block", "fp8-block"),
        ("mxfp8", "fp8"),
        ("awq", "int4"),
        ("q4_k", "bf16"),
        ("mxfp4", "mxfp4"),
        ("nf4", "bf16"),
        ("bf16", "bf16"),
    ],
)
def test_kernels_of_number_formats(number: str, kernel: str) -> None:
    assert efficiencies().kernel_of(number_format(number).name) == kernel


@pytest.mark.parametrize(
    ("title", "kernel"),
    [
        ("fp8 128x128", "fp8-block"),
        ("fp8 channel", "fp8"),
        ("compressed fp8 block", "fp8-block"),
        ("gptq int4 g128", "int4"),
        ("compressed int4 g32", "int4"),
        ("gptq int3 g128", "bf16"),
    ],
)
def test_kernels_of_published_formats(title: str, kernel: str) -> None:
    assert efficiencies().kernel_of(title) == kernel


def test_a_published_checkpoint_is_computed_in_its_format() -> None:
    published, chosen = (
        llmcalc.latency("deepseek-v3", "h200:8", seq=211, **own) for own in ({}, {"weights": "fp8-block"})
    )
    assert published.seconds == pytest.approx(chosen.seconds, rel=0.01)


def test_a_format_without_a_peak_is_expanded_to_16_bits() -> None:
    found = efficiencies().operands(accelerators()["a100-sxm-80gb"], number_format("fp8"))
    assert (found.kernel, found.peak, found.activation_bytes, found.is_expanded) == ("bf16", 312e12, 2, True)
    assert not efficiencies().operands(accelerators()["a100-sxm-80gb"], number_format("bf16")).is_expanded


def test_a_peak_that_the_datasheet_lacks_is_that_of_the_family() -> None:
    card = accelerators()["b300"]
    card = changed(card, peak={name: peak for name, peak in card.peak.items() if name != "fp4"})
    assert efficiencies().operands(card, number_format("nvfp4")).peak == 4 * card.peak["bf16"]


def test_families_follow_the_longest_prefix() -> None:
    names = ("gh200-96gb", "gb200-186gb", "l4", "mi300x")
    assert [efficiencies().family_of(name) for name in names] == ["sm90", "sm100", "sm89", ""]


def test_missing_figures_are_those_of_the_family_and_a_bandwidth_is_required() -> None:
    card = accelerators()["h100-sxm"]
    bare = changed(card, sms=None, l2_bytes=None, link=("", None), network=None)
    assert (efficiencies().device(bare).sms, efficiencies().device(bare).l2) == (132, 50 * 2**20)
    assert efficiencies().device(card).link == 450e9
    with pytest.raises(InputError, match="bandwidth"):
        efficiencies().device(changed(card, bandwidth=None))
    with pytest.raises(InputError, match="peak"):
        efficiencies().operands(changed(card, peak={}), number_format("bf16"))
