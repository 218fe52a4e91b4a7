"""Published tables of measured kernels, as rows that the closed forms accept."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from llmcalc.inputs.gpus import accelerators
from llmcalc.inputs.number_formats import number_format
from llmcalc.kernels import kernels
from llmcalc.kernels.efficiencies import efficiencies
from llmcalc.kernels.transfers import CUSTOM

from .fitting import Form, Rows, Start

Line = dict[str, str]

SYSTEMS = {  # as named in the tables: accelerator, key in the data files
    "a100_sxm": ("a100-sxm-80gb", "a100-sxm-80gb"), "h100_sxm": ("h100-sxm", "h100-sxm"),
    "h200_sxm": ("h200", "h200"), "b200_sxm": ("b200-180gb", "b200"), "b300_sxm": ("b300", "b300"),
    "gb200": ("gb200-186gb", "gb200"), "gb300": ("gb300-279gb", "gb300"), "l40s": ("l40s", "l40s"),
    "rtx_pro_6000_server": ("rtx-pro-6000-server", "rtx-pro-6000-server"),
}  # fmt: skip
FORMATS = {
    "bfloat16": "bf16", "half": "fp16", "fp8": "fp8", "fp8_block": "fp8-block", "nvfp4": "nvfp4", "int8_wo": "int8",
    "int4_wo": "awq-int4-g128", "bf16": "bf16",
}  # fmt: skip
DEVICE = ("sms", "bandwidth", "l2", "link", "network", "clock")
SKEW = {"balanced": 0.0, "power_law_1.01": 1.0, "power_law_1.2": 1.2}  # of the load of experts
AICONFIGURATOR = (
    "ai-dynamo/aiconfigurator, aic-core/src/aiconfigurator_core/systems/data (Apache-2.0): measured by NVIDIA"
)


@dataclass(frozen=True)
class Table:
    """Measurements of a kind of kernel.

    Attributes:
        name: name of the data file.
        files: names of the CSV files, each with the function that reads a line: (system, kernel, seconds, sizes), or
            None for a line that does not belong to the table.
        form: closed form.
        starts: coefficients that are fitted.
        shape: sizes that make up a shape, for folds.
        fixed: coefficients that are not fitted, by kernel.
        nuisance: coefficients of the benchmark itself that are not stored.
        own_starts: coefficients of kernels that have others.
        alternatives: kernel that the library takes where it is faster, by kernel.
    """

    name: str
    files: Mapping[str, Callable[[Line], tuple[str, str, float, dict[str, float]] | None]]
    form: Form
    starts: Mapping[str, Start]
    shape: tuple[str, ...]
    fixed: Callable[[str], Mapping[str, float]] = field(default=lambda kernel: {})
    nuisance: tuple[str, ...] = ()
    own_starts: Mapping[str, Mapping[str, Start]] = field(default_factory=dict)
    alternatives: Mapping[str, str] = field(default_factory=dict)
    source: str = AICONFIGURATOR

    def starts_of(self, kernel: str) -> Mapping[str, Start]:
        return self.own_starts.get(kernel, self.starts)

    def read(self, folder: Path) -> dict[tuple[str, str], Rows]:
        """Return the rows of every accelerator and kernel."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for file, parse in self.files.items():
            with (folder / file).open(encoding="utf-8") as stream:
                lines = list(csv.DictReader(line for line in stream if not line.startswith("#")))
            for line in lines:
                parsed = parse(line)
                if parsed is None or parsed[0] not in SYSTEMS:
                    continue
                system, kernel, seconds, sizes = parsed
                shape = "|".join(f"{sizes[name]:g}" for name in self.shape)
                row = {"seconds": seconds, "shape": shape, **sizes, **figures(SYSTEMS[system][0])}
                found.setdefault((SYSTEMS[system][1], kernel), []).append(row)
        return {key: {name: np.array([row[name] for row in rows]) for name in rows[0]} for key, rows in found.items()}


def figures(name: str) -> dict[str, float]:
    own = efficiencies().device(accelerators()[name])
    return {key: getattr(own, key) for key in DEVICE}


def _computing(system: str, name: str) -> tuple[str, float, float, float]:
    """Return (kernel, peak, bytes of a weight, bytes of an activation)."""
    found = number_format(FORMATS[name])
    own = efficiencies().operands(accelerators()[SYSTEMS[system][0]], found)
    return own.kernel, own.peak, found.bits_per_weight / 8, own.activation_bytes


def _micro(line: Line) -> float:
    return float(line["latency_us"]) * 1e-6


def device_of(rows: Rows) -> kernels.Device:
    return kernels.Device(**{key: rows[key] for key in DEVICE})


def _numbers(line: Line, **names: str) -> dict[str, float]:
    return {name: float(line[column]) for name, column in names.items()}


LAUNCH = Start(6, 0.3, 80)
CACHE = Start(1.3, 1, 4)


def _gemm_line(line: Line):
    kernel, peak, weight, activation = _computing(line["system"], line["gemm_dtype"])
    sizes = _numbers(line, m="m", n="n", k="k")
    sizes |= {"peak": peak, "weight": sizes["n"] * sizes["k"] * weight, "activation": activation}
    return line["system"], kernel, _micro(line), sizes


def _gemm(rows: Rows, c: Mapping[str, float]) -> np.ndarray:
    return kernels.gemm(
        rows["m"], rows["n"], rows["k"], rows["weight"], device_of(rows), rows["peak"], c,
        activation_bytes=rows["activation"], alone=True,
    )  # fmt: skip


def visible(queries: float, window: float) -> tuple[float, float]:
    """Return the visible pairs of a causal mask with an optional window, and the keys that the last query sees."""
    if not window or window >= queries:
        return queries * (queries + 1) / 2, queries
    return window * (window + 1) / 2 + (queries - window) * window, window


def _prefill_line(line: Line):
    _, peak, _, _ = _computing(line["system"], line["attn_dtype"])
    pairs, longest = visible(float(line["isl"]), float(line["window_size"]))
    sizes = _numbers(
        line, sequences="batch_size", queries="isl", heads="num_heads", key_heads="num_key_value_heads",
        width="head_dim", window="window_size",
    )  # fmt: skip
    cache = FORMATS[line["kv_cache_dtype"]]
    sizes |= {"peak": peak, "pairs": pairs, "longest": longest, "cache": 1.0 if cache == "fp8" else 2.0}
    sizes |= {"value_width": sizes["width"]}
    own = FORMATS[line["attn_dtype"]]
    return line["system"], own if own == cache else f"{own} with {cache} cache", _micro(line), sizes


def _latent_prefill_line(line: Line):
    _, peak, _, _ = _computing(line["system"], line["mla_dtype"])
    pairs, longest = visible(float(line["isl"]), 0)
    sizes = _numbers(line, sequences="batch_size", queries="isl", heads="num_heads", key_heads="num_heads")
    cache = FORMATS[line["kv_cache_dtype"]]
    sizes |= {"peak": peak, "pairs": pairs, "longest": longest, "cache": 1.0 if cache == "fp8" else 2.0}
    sizes |= {"width": 192.0, "value_width": 128.0, "window": 0.0}
    return line["system"], cache, _micro(line), sizes


def _prefill(rows: Rows, c: Mapping[str, float]) -> np.ndarray:
    return kernels.attention_prefill(
        rows["sequences"], rows["queries"], rows["pairs"], rows["longest"], rows["heads"], rows["key_heads"],
        rows["width"], rows["value_width"], device_of(rows), rows["peak"], c, cache_bytes=rows["cache"], alone=True,
    )  # fmt: skip


def _decode_line(line: Line):
    _, peak, _, _ = _computing(line["system"], line["attn_dtype"])
    sizes = _numbers(
        line, sequences="batch_size", keys="kv_len", heads="num_heads", key_heads="num_key_value_heads",
        width="head_dim", window="window_size",
    )  # fmt: skip
    cache = FORMATS[line["kv_cache_dtype"]]
    sizes |= {"peak": peak, "cache": 1.0 if cache == "fp8" else 2.0}
    return line["system"], cache, _micro(line), sizes


def _decode(rows: Rows, c: Mapping[str, float]) -> np.ndarray:
    window = rows["window"]
    keys = np.where(window > 0, np.minimum(window, rows["keys"]), rows["keys"])
    return kernels.attention_decode(
        rows["sequences"], keys, rows["heads"], rows["key_heads"], rows["width"], rows["width"], device_of(rows),
        rows["peak"], c, cache_bytes=rows["cache"], alone=True,
    )  # fmt: skip


def _latent_decode_line(line: Line):
    _, peak, _, _ = _computing(line["system"], line["mla_dtype"])
    sizes = _numbers(line, sequences="batch_size", keys="kv_len", heads="num_heads")
    cache = FORMATS[line["kv_cache_dtype"]]
    return line["system"], cache, _micro(line), sizes | {"peak": peak, "cache": 1.0 if cache == "fp8" else 2.0}


def _latent_decode(rows: Rows, c: Mapping[str, float]) -> np.ndarray:
    return kernels.latent_attention_decode(
        rows["sequences"], rows["keys"], rows["heads"], 512, 64, device_of(rows), rows["peak"], c,
        cache_bytes=rows["cache"], alone=True,
    )  # fmt: skip


def _experts_line(line: Line):
    if line["moe_dtype"] not in FORMATS:
        return None
    kernel, peak, weight, _ = _computing(line["system"], line["moe_dtype"])
    if "min_latency" in line["kernel_source"]:
        kernel = f"{kernel}-small"
    sizes = _numbers(
        line, tokens="num_tokens", width="hidden_size", inner="inter_size", chosen="topk", experts="num_experts",
        tp="moe_tp_size", ep="moe_ep_size",
    )  # fmt: skip
    skew = SKEW[line["distribution"]]
    return line["system"], kernel, _micro(line), sizes | {"peak": peak, "weight": weight, "skew": skew}


def _experts(rows: Rows, c: Mapping[str, float]) -> np.ndarray:
    """Loads are those of the benchmark: balanced ones are even, others follow a power law."""
    inner, local, skew = rows["inner"] / rows["tp"], rows["experts"] / rows["ep"], rows["skew"]
    busiest = 1 + c["skewed_load"] * skew * np.log2(np.maximum(rows["ep"], 1))
    routed = rows["tokens"] * rows["chosen"] / rows["ep"] * busiest
    routed = np.minimum(routed, rows["tokens"] * np.minimum(rows["chosen"], local))
    touched = kernels.touched_experts(routed, local)
    touched = touched * (1 - c["skewed_choice"] * skew * (1 - touched / local))
    touched = np.where(skew == 0, np.minimum(local, routed), touched)
    touched = np.maximum(np.minimum(touched, np.maximum(routed, 1)), 1)
    elements = 3 * rows["width"] * inner
    return kernels.grouped_gemm(
        routed, touched, local, elements, rows["width"], inner, elements * rows["weight"], device_of(rows),
        rows["peak"], c, alone=True,
    )  # fmt: skip


def _is_step(line: Line) -> bool:
    return line["phase"] != "context"


def _state_sizes(line: Line) -> dict[str, float]:
    """Return the sizes of a recurrence: channels of its convolution and of its scan, lanes and state elements."""
    state_bytes = 4.0
    if "nheads" in line:  # Mamba-2
        inner, width = float(line["nheads"]) * float(line["head_dim"]), float(line["d_state"])
        convolved, scanned, lanes = inner + 2 * float(line["n_groups"]) * width, inner, float(line["nheads"])
    else:
        keys, values = float(line["head_k_dim"]), float(line["head_v_dim"])
        lanes, inner, width = float(line["num_v_heads"]), float(line["num_v_heads"]) * values, keys
        scanned = lanes * (keys + values)
        convolved = 2 * float(line["num_k_heads"]) * keys + inner
        if line["source"].startswith("trtllm"):  # by its times, the benchmark convolves one tensor, with 16-bit states
            convolved, state_bytes = float(line["num_k_heads"]) * keys, 2.0
    sizes = {"sequences": float(line["batch_size"]), "tokens": max(float(line["seq_len"]), 1)}
    return sizes | {
        "convolved": convolved, "scanned": scanned, "lanes": lanes, "state": inner * width, "state_bytes": state_bytes,
    }  # fmt: skip


def _states_line(line: Line, wanted: str):
    """Return a row. Kernels of SGLang start faster, but scan slower. Those of vLLM's convolution include the host."""
    names = {"chunk_gated_delta_rule": "head", "flashkda_fwd": "channel", "causal_conv1d_fn": "convolution"}
    if _is_step(line):
        own, kernel = "convolution_step" if "conv" in line["kernel_source"] else "update", wanted
    else:
        kernel = names.get(line["kernel_source"], "")
        own = "convolution" if kernel == "convolution" else "scan"
    return (line["system"], kernel, _micro(line), _state_sizes(line)) if own == wanted and kernel else None


def _update(rows: Rows, c: Mapping[str, float]) -> np.ndarray:
    """A step with draft tokens writes a state after each of them."""
    elements, tokens = rows["sequences"] * rows["state"], rows["tokens"]
    moved = elements * rows["state_bytes"] * (1 + tokens) + rows["sequences"] * rows["convolved"] * 4 * tokens
    return kernels.state_update(moved, elements * tokens, device_of(rows), c, alone=True)


def _scan(rows: Rows, c: Mapping[str, float]) -> np.ndarray:
    sizes = (rows["tokens"], rows["scanned"], rows["lanes"])
    return kernels.scan(*sizes, device_of(rows), c, sequences=rows["sequences"], alone=True)


def _convolution(rows: Rows, c: Mapping[str, float]) -> np.ndarray:
    sizes = (rows["tokens"], rows["convolved"])
    return kernels.convolution(*sizes, device_of(rows), c, sequences=rows["sequences"], alone=True)


def _states(kind: str) -> Mapping[str, Callable[[Line], Any]]:
    files = ("mamba2_latency.csv", "gdn_latency.csv", "kda_latency.csv")
    return dict.fromkeys(files, partial(_states_line, wanted=kind))


def _nccl_line(line: Line):
    if line["nccl_dtype"] != "half":
        return None
    moved = float(line["message_elements"]) * 2
    kind = {"alltoall": "all-to-all"}.get(line["op_name"], line["op_name"].replace("_", "-"))
    return line["system"], kind, _micro(line), {"ranks": float(line["num_gpus"]), "moved": moved}


def _custom_line(line: Line):
    moved = float(line["message_size"]) * 2
    return line["system"], CUSTOM, _micro(line), {"ranks": float(line["num_gpus"]), "moved": moved}


def _collective(rows: Rows, c: Mapping[str, float]) -> np.ndarray:
    kind = SimpleNamespace(**c).kind
    if kind == CUSTOM:
        return kernels.engine_all_reduce(rows["ranks"], rows["moved"], device_of(rows), c)
    return kernels.collective(kind, rows["ranks"], rows["moved"], device_of(rows), c)


def _kind(kernel: str) -> Mapping[str, Any]:
    return {"kind": kernel}


ATTENTION = {
    "launch_us": Start(8, 0.5, 80), "compute": Start(0.65, 0.1, 1), "exponentials": Start(1, 0.05, 4),
    "ramp": Start(100, 1, 3000), "tile_us": Start(1, 0.01, 30), "copies": Start(1.5, 0.3, 20),
}  # fmt: skip
STREAM = {
    "launch_us": Start(5, 0.5, 60), "memory": Start(0.8, 0.2, 0.97), "group_us": Start(1, 0.01, 6), "cache": CACHE,
    "stream": Start(30, 2, 500), "splits": Start(16, 1, 256),
}  # fmt: skip
TABLES = (
    Table(
        "gemm", {"gemm_latency.csv": _gemm_line}, _gemm,
        {
            "launch_us": Start(6, 0.3, 40), "compute": Start(0.75, 0.2, 1), "memory": Start(0.8, 0.4, 0.97),
            "step_ns": Start(60, 1, 400), "cache": CACHE, "sharpness": Start(3, 1.2, 12),
            "quantise": Start(0.5, 0.01, 6),
        },
        ("n", "k"), lambda kernel: {"splits": 8.0 if kernel == "bf16" else 1.0},
    ),
    Table("attention_prefill", {"attention_prefill_latency.csv": _prefill_line}, _prefill, ATTENTION,
          ("sequences", "queries", "heads", "key_heads", "width", "window")),
    Table("attention_decode", {"attention_decode_latency.csv": _decode_line}, _decode, STREAM,
          ("sequences", "keys", "heads", "key_heads", "width", "window"), lambda kernel: {"compute": 0.3}),
    Table("latent_attention_prefill", {"mla_prefill_latency.csv": _latent_prefill_line}, _prefill, ATTENTION,
          ("sequences", "queries", "heads")),
    Table("latent_attention_decode", {"mla_decode_latency.csv": _latent_decode_line}, _latent_decode,
          {**STREAM, "compute": Start(0.4, 0.02, 1), "group_us": Start(1, 0.01, 20)}, ("sequences", "keys", "heads")),
    Table(
        "experts", {"moe_latency.csv": _experts_line}, _experts,
        {
            "launch_us": Start(40, 3, 250), "compute": Start(0.5, 0.05, 1), "memory": Start(0.7, 0.3, 0.97),
            "sharpness": Start(3, 1.2, 12), "copies": Start(1, 0.01, 8), "touched_us": Start(0.3, 0.0005, 8),
            "expert_us": Start(0.05, 0.0001, 8), "cache": CACHE, "skewed_load": Start(0.3, 0.001, 3),
            "skewed_choice": Start(0.3, 0.01, 0.95),
        },
        ("tokens", "width", "tp", "ep"), nuisance=("skewed_load", "skewed_choice"),
    ),
    Table(
        "collectives", {"nccl_latency.csv": _nccl_line, "allreduce_trtllm_latency.csv": _custom_line}, _collective,
        {
            "latency_us": Start(8, 0.5, 60), "rank_us": Start(1.5, 0.01, 20), "link": Start(0.75, 0.1, 1.2),
            "reduction": Start(1, 0.2, 1.6), "fill_us": Start(1, 0.001, 60), "full_kb": Start(10, 0.1, 10000),
            "doubling": Start(1, 0.5, 3),
        },
        ("ranks", "moved"), _kind,
        own_starts={CUSTOM: {
            "latency_us": Start(3.5, 0.5, 60), "rank_us": Start(0.1, 0.01, 20), "second_us": Start(8, 0.1, 60),
            "link": Start(0.75, 0.1, 1.2),
        }},
        alternatives={CUSTOM: "all-reduce"},
    ),
    Table("state_update", _states("update"), _update,
          {"launch_us": LAUNCH, "memory": Start(0.6, 0.03, 1), "element_ns": Start(0.2, 0.001, 5)},
          ("sequences", "state")),
    Table("scan", _states("scan"), _scan,
          {"launch_us": LAUNCH, "memory": Start(0.4, 0.01, 1), "chunk_us": Start(5, 0.01, 100),
           "wait_us": Start(1, 0.01, 20)},
          ("sequences", "tokens", "scanned")),
    Table("convolution", _states("convolution"), _convolution,
          {"launch_us": LAUNCH, "memory": Start(0.4, 0.03, 1), "channel_ns": Start(0.5, 0.001, 20)},
          ("sequences", "tokens", "convolved")),
)  # fmt: skip
