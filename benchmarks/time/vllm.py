"""Tables of the kernels that vLLM runs, measured by NVIDIA for aiconfigurator (Apache-2.0).

    git clone https://github.com/ai-dynamo/aiconfigurator
    python -m benchmarks.time --vllm aiconfigurator/aic-core/src/aiconfigurator_core/systems/data

The times are those of a layer of experts in a CUDA graph, with its launches, the quantisation of activations and the
permutation of tokens. Each table has tens of thousands of rows, so only a sample is read. The tables of products with
blocks of scales are not read, because they were measured outside a CUDA graph. The times of attention are those of the
rows that ran in vLLM's kernel in Triton, with heads of 192 elements and keys and values in fp8. Needs pyarrow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from llmcalc.inputs.gpus import accelerators
from llmcalc.inputs.number_formats import number_format
from llmcalc.kernels.efficiencies import efficiencies
from llmcalc.kernels.unified_attention import unified_attention_decode, unified_attention_prefill

from .fitting import Form, Rows, Start
from .tables import CACHE, SKEW, SYSTEMS, TABLES, Table, device_of, figures, visible

LIBRARY = "vllm"
FORMATS = {
    "bfloat16": "bf16", "fp8": "fp8", "fp8_block": "fp8-block", "nvfp4": "nvfp4", "int4_wo": "awq-int4-g128",
    "w4a16_mxfp4": "mxfp4",
}  # fmt: skip
PLAIN, EXPANDED = ("bfloat16", "fp8", "fp8_block"), ("int4_wo", "w4a16_mxfp4")
# Formats by engine and version. On B200, vLLM runs kernels of TensorRT-LLM, whose own tables have the other formats.
# SGLang has vLLM's kernels of Marlin, which were measured on A100 with int4, and expand mxfp4 in the same way.
VERSIONS = {
    "a100_sxm": {"vllm/0.14.0": PLAIN, "sglang/0.5.10": ("int4_wo",)},
    "h100_sxm": {"vllm/0.19.0": PLAIN, "vllm/0.24.0": EXPANDED},
    "h200_sxm": {"vllm/0.19.0": PLAIN, "vllm/0.24.0": EXPANDED},
    "l40s": {"vllm/0.24.0": PLAIN + EXPANDED},
    "rtx_pro_6000_server": {"vllm/0.24.0": (*PLAIN, *EXPANDED, "nvfp4")},
    "b200_sxm": {"vllm/0.24.0": EXPANDED},
}
TRITON = {
    system: {"vllm/0.24.0": ("fp8",)} for system in ("l40s", "rtx_pro_6000_server", "b200_sxm", "b300_sxm", "gb200")
}
ALIKE = {("a100-sxm-80gb", f"mxfp4 {LIBRARY}"): ("a100-sxm-80gb", f"int4 {LIBRARY}")}
LAYERS = {"w4a16_mxfp4": "gptoss"}  # part of the name of the layer, where a table has several
MOST_RANKS = {"vllm": 8, "sglang": 1}  # over which experts are divided. SGLang's times of more have another form
MOST = 500  # rows of a GPU and format that are read
Line = Mapping[str, Any]
Found = dict[tuple[str, str], list[dict[str, Any]]]  # by accelerator and kernel


def _line(line: Line, system: str) -> tuple[str, float, float, float]:
    found = number_format(FORMATS[line["dtype"]])
    own = efficiencies().operands(accelerators()[SYSTEMS[system][0]], found)
    return own.kernel, own.peak, found.bits_per_weight / 8, own.activation_bytes


def experts_line(line: Line, system: str) -> tuple[str, dict[str, float]] | None:
    kernel, peak, weight, _ = _line(line, system)
    names = {"tokens": "num_tokens", "width": "hidden_size", "inner": "inter_size", "chosen": "topk",
             "experts": "num_experts", "tp": "moe_tp_size", "ep": "moe_ep_size"}  # fmt: skip
    sizes = {name: float(line[column]) for name, column in names.items()}
    if sizes["ep"] > MOST_RANKS[line["framework"].lower()]:
        return None
    return kernel, sizes | {"peak": peak, "weight": weight, "skew": SKEW[line["distribution"]]}


@dataclass(frozen=True)
class EngineTable(Table):
    """Measurements of the kernels of vLLM.

    Attributes:
        file: parquet file of a GPU and version.
        reader: function that reads a line: kernel and sizes, or None for a line that does not belong to the table.
        formats: column of the number format.
        versions: number formats that are read, by engine and version.
        kernel_source: part of the name of the kernels that are read.
        suffix: of the names of kernels in the data file.
        alike: kernels with the measurements of others.
        is_general: whether coefficients of all accelerators are fitted.
    """

    file: str = ""
    reader: Callable[[Line, str], tuple[str, dict[str, float]] | None] = lambda line, system: None
    formats: str = ""
    versions: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=lambda: VERSIONS)
    kernel_source: str = ""
    suffix: str = f" {LIBRARY}"
    alike: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=lambda: ALIKE)
    is_general: bool = False

    def read(self, folder: Path) -> dict[tuple[str, str], Rows]:
        """Return the rows of every accelerator and kernel."""
        found: Found = {}
        for system, versions in self.versions.items():
            for version, formats in versions.items():
                found |= self._version(folder / self.file.format(system=system, version=version), system, formats)
        found |= {key: found[other] for key, other in self.alike.items()}
        return {key: {name: np.array([row[name] for row in rows]) for name in rows[0]} for key, rows in found.items()}

    def _version(self, path: Path, system: str, formats: tuple[str, ...]) -> Found:
        from pyarrow import parquet

        found: Found = {}
        for line in parquet.read_table(path).to_pylist() if path.exists() else ():
            source = self.kernel_source or LAYERS.get(line[self.formats], "")
            if line[self.formats] not in formats or source not in line["kernel_source"]:
                continue
            own = self.reader({**line, "dtype": line[self.formats]}, system)
            if own is not None:
                kernel, sizes = own
                shape = "|".join(f"{sizes[name]:g}" for name in self.shape)
                row = {"seconds": line["latency"] * 1e-3, "shape": shape, **sizes, **figures(SYSTEMS[system][0])}
                found.setdefault((SYSTEMS[system][1], f"{kernel}{self.suffix}"), []).append(row)
        return {key: sample(rows) for key, rows in found.items()}


def sample(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return at most ``MOST`` rows, which do not depend on their order."""
    order = sorted(rows, key=lambda row: hashlib.md5(repr(sorted(row.items())).encode()).hexdigest())
    return order[:MOST]


def _table(name: str, file: str, formats: str, reader: Any, **changes: Any) -> EngineTable:
    """Return a table with the form of a table of the other accelerators."""
    own = next(table for table in TABLES if table.name == name)
    values = {"form": own.form, "starts": own.starts, "shape": own.shape, "fixed": own.fixed, "nuisance": own.nuisance}
    return EngineTable(name, {}, file=file, formats=formats, reader=reader, **values | changes)


def attention_line(line: Line, system: str) -> tuple[str, dict[str, float]]:
    names = {"sequences": "batch_size", "queries": "isl", "heads": "num_heads", "key_heads": "num_key_value_heads",
             "width": "head_dim", "window": "window_size"}  # fmt: skip
    sizes = {name: float(line[column]) for name, column in names.items()}
    pairs, longest = visible(sizes["queries"], sizes["window"])
    keys = sizes["queries"] + float(line["step"])
    sizes |= {"pairs": pairs, "longest": longest, "keys": min(keys, sizes["window"] or keys)}
    return FORMATS.get(line["dtype"], line["dtype"]), sizes


def _prefill(rows: Rows, c: Mapping[str, float]) -> np.ndarray:
    return unified_attention_prefill(
        rows["sequences"], rows["queries"], rows["pairs"], rows["longest"], rows["heads"], rows["key_heads"],
        rows["width"], rows["width"], device_of(rows), c, cache_bytes=1.0, alone=True,
    )  # fmt: skip


def _decode(rows: Rows, c: Mapping[str, float]) -> np.ndarray:
    return unified_attention_decode(
        rows["sequences"], rows["keys"], rows["heads"], rows["key_heads"], rows["width"], rows["width"],
        device_of(rows), c, cache_bytes=1.0, alone=True,
    )  # fmt: skip


def _attention(name: str, file: str, form: Form, starts: Mapping[str, Start], size: str) -> EngineTable:
    """Return a table of the kernel in Triton."""
    return EngineTable(
        name, {}, form,
        {"launch_us": Start(8, 0.5, 60), "tile": Start(7, 0.5, 50), "wait": Start(9, 0.5, 50), **starts},
        ("sequences", size, "heads", "key_heads", "window"), file=f"{{system}}/attention/{{version}}/{file}.parquet",
        reader=attention_line, formats="kv_cache_dtype", versions=TRITON, kernel_source="triton", suffix="", alike={},
        is_general=True,
    )  # fmt: skip


EXPERTS = next(table for table in TABLES if table.name == "experts")
ENGINE = (
    _table("experts", "{system}/moe/{version}/moe_perf.parquet", "moe_dtype", experts_line,
           starts={**EXPERTS.starts, "step_ns": Start(50, 0.1, 600)}),
    _attention("unified_attention_prefill", "context_attention_perf", _prefill, {"copies": Start(1, 0.1, 20)},
               "queries"),
    _attention("unified_attention_decode", "generation_attention_perf", _decode,
               {"start": Start(2000, 10, 20000), "memory": Start(0.8, 0.3, 0.97), "cache": CACHE}, "keys"),
)  # fmt: skip
