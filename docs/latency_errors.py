"""Published times of single batches, and the times that ``latency`` estimates for them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measurements import Row, Section

import llmcalc

FOLDER = Path(__file__).resolve().parent / "data"
LENGTHS = ("batch", "context", "seq", "new_tokens")
MILLI = 1e-3


def rows(name: str) -> Callable[[], Iterator[Row]]:
    """Return a function that yields the measured and estimated times of a data file."""

    def times() -> Iterator[Row]:
        """The layout is the default one. Lengths and number formats are those of the source."""
        for row in csv.DictReader((FOLDER / name).read_text("utf-8").splitlines()[1:]):
            given = {key: value for key, value in row.items() if value and key not in ("model", "gpu", "seconds")}
            settings: dict[str, Any] = {key: int(each) if key in LENGTHS else each for key, each in given.items()}
            found = llmcalc.latency(row["model"], row["gpu"], **settings)
            lengths = ", ".join(f"{key.replace('_', ' ')} {row[key]}" for key in LENGTHS if row[key])
            formats = " and ".join(filter(None, (row["weights"], row.get("experts"))))
            case = f"{row['model']} in {formats} on {row['gpu']}, {lengths}"
            yield Row(case, float(row["seconds"]) / MILLI, found.seconds / MILLI, "ms")

    return times


def section(name: str, remark: str, *, in_fit: bool = False) -> Section:
    """Return a table of times."""
    return Section(name, rows(name), remark, "latency", "seconds", "", in_fit=in_fit)


SECTIONS = {
    "Decode steps of gpt-fast": section(
        "latency_gpt_fast.csv",
        "How fast the kernels of gpt-fast read int8 and int4 weights is fitted to these rows.",
        in_fit=True,
    ),
    "First tokens of TensorRT-LLM 0.5": section(
        "latency_tensorrt_llm_first_token.csv",
        "The gap between two kernels of a prefill is fitted to these rows. The times of Falcon-180B are too short.",
        in_fit=True,
    ),
    "Static batches of vLLM 0.6": section(
        "latency_vllm.csv",
        "The time of this version outside the kernels is fitted to other batches. Without a version, the times would "
        "be those of a recent one, which are 15.0, 9.5 and 1.5 % shorter than measured: before 0.8, one process "
        "scheduled all sequences and fed all ranks. On 253 public measurements of recent versions with at most 16 "
        "requests, their times have a median error of 4.6 % and a median bias of -0.5 %.",
    ),
    "Static batches of vLLM 0.6 in the fit": section(
        "latency_vllm_fit.csv",
        "The time of a step outside the kernels, of each sequence and of each tensor-parallel rank are fitted to these "
        "rows, and to the published gains of multi-step scheduling.",
        in_fit=True,
    ),
    "Decode steps of llama.cpp on Strix Halo": section(
        "latency_strix_halo.csv",
        "The share of the bandwidth at which weights are read is fitted to shorter contexts of the last three of the "
        "first computer's models. With each of the models of the fit left out of it, the mean error is 8.5 %.",
    ),
    "Decode steps of llama.cpp on Strix Halo in the fit": section(
        "latency_strix_halo_fit.csv",
        "The share of the bandwidth at which weights are read is fitted to these rows (benchmarks/time/reading.py).",
        in_fit=True,
    ),
    "Decode steps of llama.cpp on several GPUs": section(
        "latency_llama_cpp_gpus.csv",
        "The GPUs have different layers, and compute one after the other, so that 2 to 8 of them are as fast as one "
        "that stores the whole model. Nothing is fitted to these rows.",
    ),
    "Decode steps of llama.cpp on Apple silicon": section(
        "latency_apple.csv",
        "Nothing is fitted to these rows. The last four are of a build of 2026, which is faster than those of the fit. "
        "Matrices in q4_k and q6_k are slower on the M1 Max than those in q4_0, which is not modelled.",
    ),
    "Decode steps of llama.cpp on Apple silicon in the fit": section(
        "latency_apple_fit.csv",
        "The time between two kernels and the shares of the bandwidth of one die and of two are fitted to these rows "
        "(benchmarks/time/apple.py). With each chip left out of the fit, the mean error is 3.7 %, the largest 12.1 %.",
        in_fit=True,
    ),
    "Prefills of llama.cpp": section(
        "latency_llama_cpp_prefill.csv",
        "Other lengths and models than in the fit of the shares of the int8 and fp16 peaks that products reach (next "
        "table). With each GPU left out of the fit, the mean error of its rows is 19.0 %. Nothing is fitted to Apple "
        "silicon: with quantised weights, times are up to 44 % shorter than those of builds of 2024 on M1 and M2, and "
        "2 to 11 % shorter than those of 2026. Left out are the rows in fp16 of L40S and A100 SXM, which are 2 to 11 "
        "times slower than their siblings. No published table of Blackwell was found, so that its products have no "
        "such share.",
    ),
    "Prefills of llama.cpp in the fit": section(
        "latency_llama_cpp_prefill_fit.csv",
        "The shares of the peaks that products reach at most are fitted to these rows by generation: of the int8 peak "
        "with quantised weights, and of the fp16 peak with sums in fp16 with weights in fp16 "
        "(benchmarks/time/computing.py). Other generations have no limit beside the kernels.",
        in_fit=True,
    ),
    "Static batches of TensorRT-LLM 0.6": section(
        "latency_tensorrt_llm_static.csv",
        "The times of Falcon-180B and Llama-2-70B, whose query heads share keys, are too short. They would fit if this "
        "version read keys and values once for each query head.",
    ),
}
