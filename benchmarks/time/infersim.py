"""Tables of InferSim (alibaba/InferSim, Apache-2.0), which measured kernels of libraries on H20 and H800.

    git clone https://github.com/alibaba/InferSim
    python -m benchmarks.time --infersim InferSim/bench_data

DeepGEMM computes products and experts in fp8 with blocks of scales, FlashInfer and FlashMLA attention in decode steps,
and FlashAttention-3 attention in prefill. The times are those of the kernels alone, without the quantisation of
activations and the permutation of the tokens of experts. The tables of experts are therefore not fitted: with them, the
published throughputs in ``docs/data/serving_phases.csv`` are overestimated, and those of the whole layer on H100 agree.
Nor is attention in decode steps, with few numbers of heads. These tables judge the coefficients of H100.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llmcalc.core.form import pairs
from llmcalc.inputs.gpus import accelerators
from llmcalc.inputs.number_formats import number_format
from llmcalc.kernels import kernels
from llmcalc.kernels.efficiencies import efficiencies

from .fitting import Rows, Start
from .tables import TABLES, Line, Table, device_of, figures

LIBRARY = "fp8-block deepgemm"  # the library follows the format
GPUS = ("h20", "h800")
MICRO = 1e-6
DECODE = ("dtype", "kv_dtype", "batch_size", "kv_len", "latency_us", "mfu")  # of a table without names
UNSPLIT = "64-2-128"  # on H20, was measured without dividing the keys over multiprocessors
SPREAD = 0.7 + 0.6 * (np.arange(1000) + 0.5) / 1000  # tokens of an expert, relative to their number
SOURCE = "alibaba/InferSim, bench_data (Apache-2.0, commit f2293dab)"

Reader = Callable[[Line, Path, str], Mapping[str, float] | None]


@dataclass(frozen=True)
class LibraryTable(Table):
    """Measurements of the kernels of libraries.

    Attributes:
        pattern: names of the CSV files, in which ``{gpu}`` is a GPU.
        reader: function that reads a line: seconds and sizes, or None for a line that does not belong to the table.
        kernel: format of the kernels, and their library.
        is_fitted: whether coefficients are fitted. Other tables judge those of relatives.
    """

    pattern: str = ""
    reader: Reader = lambda line, path, gpu: None
    kernel: str = "bf16"
    is_fitted: bool = True

    def read(self, folder: Path) -> dict[tuple[str, str], Rows]:
        """Return the rows of every accelerator."""
        found: dict[tuple[str, str], Rows] = {}
        for gpu in GPUS:
            rows = []
            for path in sorted(folder.glob(self.pattern.format(gpu=gpu))):
                lines = path.read_text("utf-8").splitlines()
                for line in csv.DictReader(lines, DECODE if lines[0].startswith("bf16") else None):
                    own = self.reader(line, path, gpu)
                    if own:
                        shape = "|".join(f"{own[name]:g}" for name in self.shape)
                        rows.append({**own, "shape": shape, **figures(gpu)})
            if rows:
                found[gpu, self.kernel] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return found


def peak(gpu: str, name: str) -> float:
    return efficiencies().operands(accelerators()[gpu], number_format(name)).peak


def gemm_line(line: Line, _: Path, gpu: str) -> dict[str, float]:
    sizes = {name: float(line[name]) for name in "mkn"}
    sizes |= {"weight": sizes["n"] * sizes["k"], "activation": 1.0, "peak": peak(gpu, "fp8-block")}
    return {**sizes, "seconds": float(line["latency_us"]) * MICRO}


def experts_line(line: Line, _: Path, gpu: str) -> dict[str, float]:
    """An expert has 0.7 to 1.3 times the stated tokens, rounded down, and is not computed without any."""
    names = {"local": "num_local_experts", "width": "hidden_size", "inner": "intermediate_size"}
    sizes = {name: float(line[column]) for name, column in names.items()}
    each = np.floor(float(line["tokens_per_expert"]) * SPREAD)
    touched = max(sizes["local"] * float(np.mean(each > 0)), 1.0)
    sizes |= {"touched": touched, "rows": max(sizes["local"] * float(each.mean()), touched)}
    seconds = (float(line["up_proj_us"]) + float(line["down_proj_us"])) * MICRO
    return {**sizes, "peak": peak(gpu, "fp8-block"), "seconds": seconds}


def experts(rows: Rows, c: Mapping[str, float]) -> np.ndarray:
    """The permutation of tokens is not measured."""
    elements = 3 * rows["width"] * rows["inner"]
    sizes = (rows["rows"], rows["touched"], rows["local"], elements, rows["width"], rows["inner"], elements)
    return kernels.grouped_gemm(*sizes, device_of(rows), rows["peak"], {**c, "copies": 0.0}, alone=True)


def heads_of(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.stem.split("-"))


def decode_line(line: Line, path: Path, gpu: str) -> dict[str, float] | None:
    if line.get("kv_dtype", "bf16") != "bf16" or (gpu == "h20" and path.stem == UNSPLIT):
        return None
    heads, key_heads, width = heads_of(path)
    sizes = {"sequences": float(line["batch_size"]), "keys": float(line["kv_len"]), "heads": heads, "cache": 2.0}
    sizes |= {"key_heads": key_heads, "width": width, "window": 0.0, "peak": peak(gpu, "bf16")}
    return {**sizes, "seconds": float(line["latency_us"]) * MICRO}


def prefill_line(line: Line, path: Path, gpu: str) -> dict[str, float]:
    tokens, (heads, key_heads, width) = float(line["seq_len"]), heads_of(path)
    sizes = {
        "sequences": 1.0,
        "queries": tokens,
        "pairs": float(pairs(tokens, tokens)),
        "longest": tokens,
        "cache": 2.0,
    }
    sizes |= {"heads": heads, "key_heads": key_heads, "width": width, "value_width": width, "window": 0.0}
    return {**sizes, "peak": peak(gpu, "bf16"), "seconds": float(line["latency_us"]) * MICRO}


def _table(
    name: str, pattern: str, reader: Reader, kernel: str = "bf16", is_fitted: bool = True, **changes
) -> LibraryTable:
    """Return a table with the form of a table of the other accelerators."""
    own = next(table for table in TABLES if table.name == name)
    values = {"form": own.form, "starts": own.starts, "shape": own.shape, "fixed": own.fixed, **changes}
    left_out = {"skewed_load", "skewed_choice", *values["fixed"](kernel)}
    values["starts"] = {key: start for key, start in values["starts"].items() if key not in left_out}
    own = {"pattern": pattern, "reader": reader, "kernel": kernel, "is_fitted": is_fitted}
    return LibraryTable(name, {}, source=SOURCE, **own, **values)


COMPILED = {  # kernels that are compiled for a shape (kernels/tiles.py)
    "launch_us": Start(3, 0.3, 40), "compute": Start(0.9, 0.2, 1), "memory": Start(0.8, 0.3, 1),
    "load_gb": Start(90, 5, 300), "tile_us": Start(0.5, 0.01, 10), "two_scales": Start(1.25, 1, 2),
    "sharpness": Start(3, 1.2, 12),
}  # fmt: skip
LIBRARIES = (
    _table("gemm", "gemm/{gpu}/*.csv", gemm_line, LIBRARY, fixed=lambda kernel: {"cache": 1.0, "quantise": 0.0},
           starts=COMPILED),
    _table("experts", "grouped_gemm/*/{gpu}/*.csv", experts_line, "fp8-block", is_fitted=False, form=experts,
           shape=("local", "width", "inner")),
    _table("attention_prefill", "mha/prefill/{gpu}/*.csv", prefill_line),
    _table("attention_decode", "mha/decode/{gpu}/*.csv", decode_line, is_fitted=False),
    _table("latent_attention_decode", "mla/decode/{gpu}/*.csv", decode_line, is_fitted=False),
)  # fmt: skip
