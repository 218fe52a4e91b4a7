"""Accelerators as people type them, and what is known of them."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.errors import InputError, UnknownNameError
from llmcalc.data import tables
from llmcalc.estimate.prices import price_quotes
from llmcalc.inputs.gpus import accelerator, accelerators, instances, read_gpus

NAMES = {
    "h100": "h100-sxm", "H100 SXM": "h100-sxm", "h100-sxm": "h100-sxm", "h100_pcie": "h100-pcie", "h200": "h200",
    "a100-80gb": "a100-sxm-80gb", "A100 PCIe 80GB": "a100-pcie-80gb", "b200-180gb": "b200-180gb", "b200": "b200-180gb",
    "b200-192gb": "b200-180gb", "B200 SXM 192GB": "b200-180gb", "mi300x": "mi300x",
    "MI300": "mi300x", "tpu-v5p": "tpu-v5p", "TPU v5e": "tpu-v5e", "rtx4090": "rtx-4090", "4090": "rtx-4090",
    "NVIDIA GeForce RTX 4090": "rtx-4090", "trn2": "trainium2", "gaudi3": "gaudi3",
    "apple m4 max 64gb": "m4-max-40c-64gb",
    "trillium": "tpu-v6e", "gh200-96gb": "gh200-96gb",
}  # fmt: skip
AMBIGUOUS = {
    "a100": ["a100-sxm-40gb", "a100-pcie-80gb"],
    "v100": ["v100-sxm2-16gb", "v100-pcie-32gb"],
    "m1-max": ["m1-max-32gb", "m1-max-64gb"],
}
# vendors' data sheets: memory in the vendor's unit, dense 16-bit TFLOP/s, TB/s
SHEETS = {
    "a100-sxm-80gb": (80, 312, 2.039),
    "h100-sxm": (80, 989.4, 3.35),
    "h200": (141, 989.4, 4.8),
    "mi300x": (192, 1307.4, 5.3),
    "l4": (24, 121, 0.3),
    "tpu-v5p": (95, 459, 2.765),
}


@pytest.mark.parametrize("typed", NAMES)
def test_names_that_people_type(typed: str) -> None:
    assert accelerator(typed).name == NAMES[typed]


@pytest.mark.parametrize("typed", AMBIGUOUS)
def test_an_ambiguous_name_lists_the_candidates(typed: str) -> None:
    with pytest.raises(InputError, match="ambiguous") as caught:
        accelerator(typed)
    assert all(name in str(caught.value) for name in AMBIGUOUS[typed])


def test_the_error_about_an_ambiguous_name_keeps_the_count() -> None:
    with pytest.raises(InputError, match="a100-sxm-80gb:7, ") as caught:
        read_gpus("a100:7")
    assert "a100-pcie-40gb:7" in str(caught.value)


@pytest.mark.parametrize("typed", ["h101", "rtx 4099", "", "-", "gpu"])
def test_an_unknown_name_is_an_error(typed: str) -> None:
    with pytest.raises(UnknownNameError, match="llmcalc hardware list"):
        accelerator(typed)


@pytest.mark.parametrize("name", tables("hardware"))
def test_every_accelerator_has_a_peak_of_16_bits(name: str) -> None:
    peaks = tables("hardware")[name].get("peak", {})
    assert max(peaks.get(key, 0) for key in ("bf16", "fp16", "tf32")) >= peaks.get("fp32", 1)


@pytest.mark.parametrize("name", SHEETS)
def test_data_sheets(name: str) -> None:
    memory, peak, bandwidth = SHEETS[name]
    found = accelerator(name)
    assert found.memory_bytes == memory * 10**9
    assert found.peak["bf16"] == round(peak * 10**12)
    assert found.bandwidth == round(bandwidth * 10**12)
    assert "10^9 bytes" in found.memory_text


def test_a_unit_that_the_vendor_states_is_taken() -> None:
    assert accelerator("tpu-v7").memory_bytes == 192 * 2**30


def test_all_of_them() -> None:
    assert len(tables("hardware")) == 85
    for name, found in accelerators().items():
        assert accelerator(name) is found
        assert found.source
        assert found.checked in ("true", "partly", "false")
        assert found.memory_bytes >= 8 * 10**9
        assert not set(found.unconfirmed) & set(found.peak), name
        assert all(found.sparse[kind] >= found.peak.get(kind, 0) for kind in found.sparse)


def test_sparse_peaks_are_no_default() -> None:
    found = accelerator("h100")
    assert found.sparse["fp8"] == 3958 * 10**12
    assert found.peak["fp8"] < found.sparse["fp8"]
    assert accelerator("m4-16gb").checked == "false"
    assert "int8" in accelerator("b300").unconfirmed


# what drivers report, in GiB
USABLE = {
    "h100": (79, 79.3), "a100-80gb": (79, 79.4), "h200": (139.7, 140), "b200-180gb": (178, 179.1), "l4": (22, 22.5),
    "rtx4090": (23.5, 24), "rtx3090": (23.5, 24), "v100-sxm2-32gb": (31.7, 31.8), "mi300x": (191.9, 192),
    "rtx-pro-6000": (94.4, 95.6), "m1-16gb": (10.6, 10.7), "m2-max-96gb": (72, 72), "m4-max-128gb": (107.5, 107.6),
}  # fmt: skip


@pytest.mark.parametrize("name", USABLE)
def test_usable_memory_is_what_drivers_report(name: str) -> None:
    least, most = USABLE[name]
    found = accelerator(name)
    assert least <= found.usable_bytes / 2**30 <= most
    assert "usable" in found.usable_text
    assert any(sign in found.usable_text for sign in "#,(")


def test_unknown_usable_memory_is_the_published_size() -> None:
    found = accelerator("tpu-v4")
    assert found.usable_bytes == found.memory_bytes
    assert "usable part unknown" in found.usable_text


def test_usable_memory_is_close_to_the_size() -> None:
    for found in accelerators().values():
        least = 0.66 if found.link[0] == "unified memory" else 0.91
        size = int(found.memory_text.split()[0]) * 2**30
        assert least * size <= found.usable_bytes <= size, found.name


@pytest.mark.parametrize(("text", "name", "count"), [
    ("p5.48xlarge", "h100-sxm", 8), ("p5.48xlarge:2", "h100-sxm", 16), ("2x g5.12xlarge", "a10g", 8),
    ("Standard_ND96isr_H100_v5", "h100-sxm", 8), ("ND H100 v5", "h100-sxm", 8), ("a3-highgpu-8g", "h100-sxm", 8),
    ("trn1.32xlarge", "trainium1", 16), ("g6.xlarge x4", "l4", 4),
])  # fmt: skip
def test_an_instance_stands_for_its_gpus(text: str, name: str, count: int) -> None:
    found = read_gpus(text)
    assert found.accelerator is not None
    assert (found.accelerator.name, found.count) == (name, count)


def test_every_instance_has_a_known_accelerator_and_a_dated_price() -> None:
    for one in instances().values():
        assert one.gpu in accelerators(), one.name
        assert one.offer is None or (one.offer.date and one.offer.source and one.offer.usd > 0)
    with pytest.raises(InputError, match="conflicting GPU counts: 8 and 4"):
        read_gpus("p5.48xlarge", 4)
    with pytest.raises(UnknownNameError, match=r"p5\.48xlarge"):
        read_gpus("p5.49xlarge")


@pytest.mark.parametrize(("name", "sms", "mhz", "tensor_cores", "published"), [
    ("rtx-3090", 82, 1695, 328, 142e12), ("rtx-4090", 128, 2520, 512, 330.3e12), ("rtx-5090", 170, 2407, 680, 419e12),
    ("rtx-4080", 76, 2505, 304, 195e12), ("rtx-3060", 28, 1777, 112, 51e12), ("rtx-5080", 84, 2617, 336, 225.1e12),
])  # fmt: skip
def test_peaks_of_geforce_cards_follow_from_their_tensor_cores(
    name: str, sms: int, mhz: int, tensor_cores: int, published: float
) -> None:
    """4 tensor cores per multiprocessor, 128 multiply-adds per clock with fp16 accumulation, half with fp32."""
    card = accelerators()[name]
    assert (card.sms, tensor_cores) == (sms, 4 * sms)
    assert card.fp16_accumulate["fp16"] == pytest.approx(tensor_cores * mhz * 1e6 * 256, rel=5e-3)
    assert card.fp16_accumulate["fp16"] == pytest.approx(published, rel=5e-3)
    assert card.peak["bf16"] == pytest.approx(card.fp16_accumulate["fp16"] / 2, rel=5e-3)


@pytest.mark.parametrize(
    ("name", "same", "weights"),
    [
        ("Qwen/Qwen3-32B-FP8", "qwen3-32b", "fp8-block"),
        ("Qwen/Qwen2.5-72B-Instruct-AWQ", "qwen2.5-72b", "awq-int4-g128"),
        ("zai-org/GLM-4.5-Air-FP8", "glm-4.5-106b-a12b", "fp8"),
    ],
)
def test_the_name_of_a_quantised_repository_states_its_weights(name: str, same: str, weights: str) -> None:
    own = llmcalc.memory(name)
    assert own.architecture.name == llmcalc.load(same).name
    assert own.weights == llmcalc.memory(same, weights=weights).weights
    assert any("config.json states the method" in note for note in own.architecture.notes)


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("mistralai/Mistral-Small-3.2-24B-Instruct-2506", "mistral-small-3.1-24b"),
        ("moonshotai/Kimi-K2-Instruct-0905", "kimi-k2-1t"),
        ("allenai/Olmo-3-32B-Think", "olmo3-32b"),
        ("CohereForAI/c4ai-command-r-v01", "command-r-35b"),
    ],
)
def test_releases_with_the_same_architecture_are_known(name: str, same: str) -> None:
    assert llmcalc.load(name).name == llmcalc.load(same).name


@pytest.mark.parametrize(("name", "count", "usd"), [
    ("p5.48xlarge", 8, 55.04 / 8), ("Standard_ND96isr_H100_v5", 8, 98.32 / 8), ("a3-highgpu-8g:2", 16, 88.49 / 8),
])  # fmt: skip
def test_an_instance_has_its_own_price(name: str, count: int, usd: float) -> None:
    found = read_gpus(name)
    assert found.accelerator is not None
    assert (found.accelerator.name, found.count) == ("h100-sxm", count)
    assert [quote.usd for quote in price_quotes(found.accelerator)] == [usd]
    result = llmcalc.serve("llama3.1-8b", name, isl=100, osl=100, tp=1)
    assert (result.price.low, result.price.high) == (usd, usd)


@pytest.mark.parametrize("name", ["trtllm", "TRT-LLM", "tensorrt_llm"])
def test_engines_have_other_names(name: str) -> None:
    assert llmcalc.serve("llama3.1-8b", "h100", engine=name).profile.title == "TensorRT-LLM"


def test_lists_of_gpus_have_a_hint() -> None:
    for name, hint in (("all", "fit MODEL .*serve MODEL"), ("h100,l4", "one kind of GPU.*serve")):
        with pytest.raises(InputError, match=hint):
            read_gpus(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("h100:1000000", "at most 999,999, not 1000000"),
        ("24G", "unknown accelerator '24G'\n  write a memory size with its unit, as in gpu=\"24GiB\""),
        ("1.5t", 'gpu="1.5TiB"'),
        ("512m", 'gpu="512MiB"'),
        ("24", 'gpu="24GiB"'),
    ],
)
def test_a_count_or_a_size_has_its_own_message(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_gpus(text)
    assert message in str(caught.value)
    assert "did you mean" not in str(caught.value)


def test_overrides_of_another_type_are_written_as_a_list() -> None:
    text: Any = "d_model=1536"
    with pytest.raises(InputError, match=r"must be a list of strings") as caught:
        llmcalc.load("gpt2", overrides=text)
    assert caught.value.hint == "use ['d_model=1536']"


def test_the_quantities_with_evidence_are_named() -> None:
    with pytest.raises(InputError) as caught:
        llmcalc.evidence("foo")
    assert "memory" in caught.value.hint
    assert "train" in caught.value.hint


def test_the_config_of_an_adapter_is_named() -> None:
    with pytest.raises(InputError, match="config of an adapter") as caught:
        llmcalc.load({"peft_type": "LORA", "base_model_name_or_path": "meta-llama/Llama-3.1-8B", "r": 16})
    assert "meta-llama/Llama-3.1-8B" in caught.value.hint
