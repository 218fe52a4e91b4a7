"""What people type for GPUs, lengths, models and flags: each spelling is read as meant, or refused."""

from __future__ import annotations

import pytest

from llmcalc.api.accelerators import read_gpus
from llmcalc.core.errors import InputError

# what is typed: name and count, or bytes of one GPU and count
GPUS: dict[str, tuple[str | int, int | None]] = {
    "h100": ("h100-sxm", None), "H100": ("h100-sxm", None), "h 100": ("h100-sxm", None), "h-100": ("h100-sxm", None),
    "NVIDIA H100 80GB HBM3": ("h100-sxm", None), "H100 80GB SXM": ("h100-sxm", None), "h100_sxm5": ("h100-sxm", None),
    "NVIDIA H100 PCIe": ("h100-pcie", None), "NVIDIA H100 NVL": ("h100-nvl", None), "h100-94gb": ("h100-nvl", None),
    "h100:8": ("h100-sxm", 8), "h100: 8": ("h100-sxm", 8), "h100:x8": ("h100-sxm", 8), "h100 : 8": ("h100-sxm", 8),
    "h100x8": ("h100-sxm", 8), "h100 x8": ("h100-sxm", 8), "h100 x 8": ("h100-sxm", 8), "h100X8": ("h100-sxm", 8),
    "h100*8": ("h100-sxm", 8), "h100 * 8": ("h100-sxm", 8), "h100×8": ("h100-sxm", 8), "h100 8": ("h100-sxm", 8),
    "8xH100": ("h100-sxm", 8), "8x H100": ("h100-sxm", 8), "8 x h100": ("h100-sxm", 8), "8*h100": ("h100-sxm", 8),
    "8 × h100": ("h100-sxm", 8), "8 h100": ("h100-sxm", 8), " 8 h100 ": ("h100-sxm", 8), "h100:08": ("h100-sxm", 8),
    "8 NVIDIA H100 80GB HBM3": ("h100-sxm", 8), "NVIDIA-A100-SXM4-80GB:4": ("a100-sxm-80gb", 4),
    "a100-80gb x4": ("a100-sxm-80gb", 4), "4x a100 pcie 40gb": ("a100-pcie-40gb", 4), "80 h100": ("h100-sxm", 80),
    "mi300x": ("mi300x", None), "mi300x:8": ("mi300x", 8), "mi300xx8": ("mi300x", 8), "8xmi300x": ("mi300x", 8),
    "mi300x8": ("mi300x", 8), "mi300x 8": ("mi300x", 8), "8 AMD Instinct MI300X": ("mi300x", 8),
    "4090": ("rtx-4090", None), "rtx 4090": ("rtx-4090", None), "rtx4090:2": ("rtx-4090", 2), "2 4090": ("rtx-4090", 2),
    "2x4090": ("rtx-4090", 2), "4090x2": ("rtx-4090", 2), "4090 x2": ("rtx-4090", 2), "4090 2": ("rtx-4090", 2),
    "NVIDIA GeForce RTX 3090": ("rtx-3090", None), "3090 24gb": ("rtx-3090", None),
    "RTX PRO 6000": ("rtx-pro-6000", None), "Tesla V100-SXM2-16GB": ("v100-sxm2-16gb", None), "l4": ("l4", None),
    "l4x4": ("l4", 4), "L40S:4": ("l40s", 4), "tpu v5p": ("tpu-v5p", None), "v5e x8": ("tpu-v5e", 8),
    "apple m4 max 64gb": ("m4-max-40c-64gb", None), "2x m2-ultra-192gb": ("m2-ultra-192gb", 2),
    "b200 180gb x8": ("b200-180gb", 8), "gh200 96gb": ("gh200-96gb", None), "24GB": (24 * 10**9, None),
    "24gb": (24 * 10**9, None), "24 GiB": (24 * 2**30, None), "79.6GiB": (85469849190, None), "24GB:2": (24 * 10**9, 2),
    "2x24GB": (24 * 10**9, 2), "24GB x 2": (24 * 10**9, 2), "2 24GB": (24 * 10**9, 2), "1TB": (10**12, None),
    "80000MB": (80 * 10**9, None),
}  # fmt: skip
REFUSED_GPUS = {
    "h100,8": "h100:8", "h100@8": "h100:8", "h100-8": "h100:8", "h100_8": "h100:8", "h100/8": "h100:8",
    "h100=8": "h100:8", "h100(8)": "h100:8", "h100[8]": "h100:8", "h100#8": "h100:8", "8-h100": "h100:8",
    "8,h100": "h100:8", "h100:1,024": "", "h1008": "did you mean", "8h100": "did you mean", "h100:": "did you mean",
    "h100:8:2": "", "h100:-8": "", "h100:8.5": "", "h100:1e3": "", "h100x": "did you mean", "h10:0": "", "h10": "",
    "h2": "", "b2": "", "h100+h200": "", "h100:8,a100:8": "", "h100 80": "ambiguous", "4090 24": "ambiguous",
    "4090 x 3090": "ambiguous", "h100-80": "h100:80", "rtx 4099": "rtx-4090", "rtx 40": "", "l40": "l40s", "a10": "",
    "a10g": "", "t4": "", "3090 ti": "", "4090 48gb": "", "h100 96gb": "", "tpu-v5e-8": "tpu-v5e:8",
    "m4 max 64": "m4 max:64", "h100:0": "at least 1", "0xh100": "at least 1", "x8": "", ":8": "", "24": "24GiB",
    "24G": "24GiB", "24g": "24GiB", "24Gi": "24GiB", "80 GBs": "", "-24GB": "", "": "", "gpu": "", "8": "",
    "8 gpus": "", "a100": "a100-sxm-80gb", "m1-max": "m1-max-64gb",
}  # fmt: skip


@pytest.mark.parametrize("typed", GPUS)
def test_gpus(typed: str) -> None:
    found = read_gpus(typed)
    name = found.accelerator.name if found.accelerator else found.memory_bytes
    assert (name, found.count) == GPUS[typed]


@pytest.mark.parametrize("typed", REFUSED_GPUS)
def test_other_spellings_of_gpus_are_refused(typed: str) -> None:
    with pytest.raises(InputError) as caught:
        read_gpus(typed)
    assert REFUSED_GPUS[typed] in str(caught.value)
