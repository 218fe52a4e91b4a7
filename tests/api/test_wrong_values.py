"""Every public function refuses every wrong value of every parameter, with an error that names the parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.analysis.compare import compared
from llmcalc.analysis.quantity import quantities, targets
from llmcalc.fitting.fit import SETTINGS as FIT

CALIBRATED = str(Path(__file__).parents[1] / "calibration.yaml")
LOG = str(Path(__file__).parents[1] / "server.log")
TRAINING_FILE = str(Path(__file__).parents[1] / "training.yml")
TIMED = {"model": "gpt2", "gpu": "h100:8", "batch": 64, "seq": 512, "seconds": 0.1}
ROWS = str(Path(__file__).parents[1] / "serving_rows.csv")
NAN, INFINITE = float("nan"), float("inf")
ODD: tuple[Any, ...] = (
    True, False, -5, 0, 2.5, NAN, INFINITE, 10**400, "", "no such value", b"x", [], [5], {"a": 1}, {1: None}, object(),
)  # fmt: skip


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < 1e40


def at_least(least: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and least <= value < 1e40


# kinds of values: the values of ODD that are right
RIGHT: dict[str, Callable[[Any], bool]] = {
    "count": lambda value: type(value) is int and 1 <= value < 1e40,
    "limit": lambda value: value == "all" or (type(value) is int and 1 <= value < 1e40),
    "count from 0": lambda value: type(value) is int and 0 <= value < 1e40,
    "flag": lambda value: type(value) is bool,
    "name": lambda value: False,
    "filter": is_text,
    "text": lambda value: is_text(value) and value != "",
    "names": lambda value: value == [],
    "positive": is_positive,
    "from 0": at_least(0),
    "from 1": at_least(1),
    "share": lambda value: is_positive(value) and value <= 1,
    "seed": lambda value: type(value) is int and value >= 0,
    "stage": lambda value: type(value) is int and value in (0, 1, 2, 3),
}
SERVING = {"model": "gpt2"}
TRAINING = {"model": "gpt2", "mode": "training"}
RUN = {"model": "gpt2", "tokens": 10**9}
ON_GPUS = {**RUN, "gpu": "h100:8"}
ON_MESH_OF_GPUS = {**ON_GPUS, "mesh": llmcalc.Mesh(dp=8)}
PLAN = {"compute": 1e22, "laws": ["hoffmann-3"]}
STEPS = {"model": "gpt2", "mode": "decode", "context": 5}
LORA = {**TRAINING, "lora_rank": 7}
# function: {parameter: (kind, a right value, other arguments)}
Case = tuple[str, Any, dict[str, Any]]
MESH: dict[str, Case] = {
    **{name: ("count", 1, {}) for name in ("dp", "tp", "pp", "ep", "cp", "etp", "micro_batches", "virtual_stages")},
    "vocabulary_multiple": ("count", 64, {"tp": 2}), "sp": ("flag", False, {}), "zero": ("stage", 1, {"dp": 2}),
}  # fmt: skip
SIZES: dict[str, Case] = {
    "batch": ("count", 3, {}), "seq": ("count", 5, {}), "target_seq": ("count", 5, {"model": "t5-small"}),
    "extend": ("flag", True, {}),
}  # fmt: skip
FORMATS: dict[str, Case] = {
    "dtype": ("name", "fp16", {}), "weights": ("name", "nf4", {}), "only": ("names", ["mlp"], {"weights": "nf4"}),
    "keep": ("names", ["mlp"], {"weights": "nf4"}),
}  # fmt: skip
SERVED: dict[str, Case] = {
    "cache": ("name", "fp8", {}), "page": ("count", 16, {}), "beams": ("count", 2, {}), "prefill": ("count", 64, {}),
    "step_tokens": ("limit", 64, {}),
}  # fmt: skip
TRAINED: dict[str, Case] = {
    "optimizer": ("name", "sgd", TRAINING), "attention": ("name", "eager", TRAINING),
    "recompute": ("name", "full", TRAINING), "dropout": ("flag", True, TRAINING), "loss": ("name", "fused", TRAINING),
    "scan": ("name", "fused", {**TRAINING, "model": "mamba2"}),
    "expert_kernel": ("name", "loop", {**TRAINING, "model": "mixtral", "convention": "torch"}),
    "gradients": ("name", "fp32", TRAINING), "gradient_buffer": ("flag", True, TRAINING),
    "gradient_placeholders": ("flag", True, {**TRAINING, "gradient_buffer": True}),
    "offload": ("name", "optimizer", TRAINING), "offload_activations": ("flag", True, TRAINING),
    "optimizer_in_backward": ("flag", True, TRAINING), "fp8": ("name", "weights", TRAINING),
    "fused_activation": ("flag", True, {**TRAINING, "model": "llama3-8b"}), "lora_dropout": ("flag", True, LORA),
    "master": ("flag", False, TRAINING), "lora_rank": ("count", 7, TRAINING), "lora_targets": ("names", ["wq"], LORA),
}  # fmt: skip
CONVENTION: dict[str, Case] = {"convention": ("name", "torch", {})}
WHOLE: dict[str, Case] = {"mesh": ("name", llmcalc.Mesh(), {})}
STEP: dict[str, Case] = {
    "mode": ("name", "train", {}), "context": ("count from 0", 5, STEPS), "count": ("name", "dense", {}),
    "logits": ("name", "last", {}),
}  # fmt: skip
MODEL: dict[str, Case] = {"model": ("name", "gpt2", {})}


def by_flag(cases: dict[str, Case], mesh: Iterable[str] = MESH) -> dict[str, Case]:
    """The cases of ``memory`` for a function that takes ``training=True``, and fields of a mesh."""
    found = {}
    for name, (kind, right, others) in cases.items():
        rest = {key: value for key, value in others.items() if key != "mode"}
        found[name] = (kind, right, {**rest, "training": True} if others.get("mode") == "training" else others)
    on_mesh = {name: (MESH[name][0], MESH[name][1], {**MESH[name][2], "training": True}) for name in mesh}
    return {**found, **on_mesh, "training": ("flag", True, {})}


MEMORY: dict[str, Case] = {**FORMATS, **SERVED, **TRAINED, **WHOLE}
MOVED: dict[str, Case] = {"kernels": ("name", "unfused", {}), "cache": ("name", "fp8", {})}
ON_MESH: dict[str, Case] = {
    name: (kind, right, {**rest, "mode": "train"}) for name, (kind, right, rest) in MESH.items()
}
EXCHANGED: dict[str, Case] = {
    **ON_MESH, **WHOLE, "mode": STEP["mode"], "context": STEP["context"], "logits": STEP["logits"],
    "dtype": FORMATS["dtype"], "gradients": ("name", "fp32", {"mode": "train"}),
}  # fmt: skip
EXPLAIN: dict[str, dict[str, Case]] = {
    "params": {}, "active": {},
    "flops": {**SIZES, **STEP, **CONVENTION},
    "state": {**SIZES, "page": SERVED["page"], "beams": SERVED["beams"], **CONVENTION},
    "memory": {**SIZES, **by_flag(MEMORY), **CONVENTION},
    "traffic": {**SIZES, **FORMATS, **MOVED, **{name: STEP[name] for name in ("mode", "context", "logits")}},
    "communication": {**SIZES, **EXCHANGED},
    "train": {"tokens": ("count", 10**9, {}), "seq": SIZES["seq"], "extend": SIZES["extend"], "count": STEP["count"],
              "target_seq": ("count", 5, {"model": "t5-small", "tokens": 10**6})},
    "latency": {
        "gpu": ("name", "a100-sxm-80gb", {}), "engine": ("name", "sglang", {}), "mode": ("name", "decode", {}),
        "batch": SIZES["batch"], "seq": SIZES["seq"], "context": ("count from 0", 5, {"mode": "decode"}),
        "weights": ("name", "fp8", {}), "cache": ("name", "fp8", {}),
        **{name: ("count", 1, {}) for name in ("tp", "dp", "ep")},
    },
}  # fmt: skip
NEEDED: dict[str, dict[str, Any]] = {"train": {"tokens": 10**9}, "latency": {"gpu": "h100"}}
Table = dict[str, tuple[dict[str, Any], dict[str, Case]]]
FUNCTIONS: Table = {
    "load": ({"source": "gpt2"}, {
        "source": ("name", "gpt2", {}), "overrides": ("names", ["n_layers=3"], {}), "as_": ("name", None, {}),
        "allow_unknown": ("names", [], {}), "strict": ("flag", True, {}),
        "extras": ("names", ["mtp"], {"source": "qwen3.5-0.8b", "overrides": []}),
    }),
    "params": (SERVING, MODEL),
    "verify": ({"model": "gpt2"}, MODEL),
    "twin": ({"model": llmcalc.load("gpt2").shrink()}, {"seed": ("seed", 5, {}), "model": ("name", "gpt2-small", {})}),
    "diff": ({"first": "gpt2", "second": "gpt3"}, {"first": ("name", "gpt3", {}), "second": ("name", "gpt2", {})}),
    "flops": (SERVING, {
        **MODEL, **SIZES, **CONVENTION, "mode": STEP["mode"], "context": STEP["context"], "logits": STEP["logits"],
        "count": STEP["count"], "source": ("count from 0", 5, {**STEPS, "model": "t5-small"}),
        "patches": ("count from 0", 0, {}), "frames": ("count from 0", 0, {}),
    }),
    "traffic": (SERVING, {
        **MODEL, **SIZES, **FORMATS, **MOVED, "mode": STEP["mode"], "context": STEP["context"],
        "logits": STEP["logits"], "source": ("count from 0", 5, {**STEPS, "model": "t5-small"}),
        "patches": ("count from 0", 0, {}), "frames": ("count from 0", 0, {}),
    }),
    "communication": (SERVING, {**MODEL, **SIZES, **EXCHANGED}),
    "state": (SERVING, {
        **MODEL, **SIZES, **CONVENTION, **WHOLE, "dtype": ("name", "fp8", {}), "cache": SERVED["cache"],
        "page": SERVED["page"], "beams": SERVED["beams"],
    }),
    "memory": (SERVING, {
        **MODEL, **SIZES, **CONVENTION, "mode": ("name", "training", {}), **MEMORY,
        "image": ("names", ["97x61"], {"model": "qwen3-vl-2b"}),
    }),
    "memory_form": (SERVING, {
        **MODEL, "free": ("names", ["seq"], {}), "part": ("name", "state", {}), **CONVENTION,
        "mode": ("name", "training", {}), **MEMORY,
    }),
    "Mesh": ({}, MESH),
    "machine": ({"name": "h100"}, {
        "name": ("name", "h100", {}), "count": ("count", 8, {}), "mfu": ("share", 0.4, {}),
        "precision": ("name", "fp16", {"mfu": 0.4}),
    }),
    "check": (SERVING, {
        **MODEL, "select": ("names", ["HW"], {}), "ignore": ("names", ["HW"], {}), "tp": MESH["tp"], "pp": MESH["pp"],
        "ep": MESH["ep"], "max_params": ("positive", "8B", {}), "max_active": ("positive", "8B", {}),
        "max_state": ("count", "24GiB", {}), "max_traffic": ("count", "24GiB", {}),
        "max_latency": ("positive", "24ms", {"gpu": "h100"}),
        "max_communication": ("count", "24GiB", {"tp": 2}), "max_flops": ("positive", 1e10, {}),
        "max_memory": ("count", "24GiB", {}), "budget": ("positive", 1e24, {"tokens": 10**9}),
        "tokens": ("positive", 1e9, {"budget": 1e24}), "batch": ("count", 3, {"max_memory": 10**9}),
        "seq": ("count", 5, {"max_memory": 10**9}),
    }),
    "design": ({"family": "llama3", "params": "13B"}, {
        "family": ("name", "llama3", {}), "params": ("positive", 13e9, {}),
        "active": ("positive", 13e9, {"params": None}), "flops": ("positive", 1e10, {"params": None}),
        "state": ("count", "1GiB", {"params": None}), "traffic": ("count", "9GiB", {"params": None}),
        "communication": ("count", "9GiB", {"params": None}),
        "latency": ("positive", "24ms", {"params": None, "gpu": "h100"}),
        "memory": ("count", "24GiB", {"params": None}), "seq": ("count", 5, {"memory": "24GiB", "params": None}),
        "batch": ("count", 3, {"memory": "24GiB", "params": None}), "multiple": ("count", 64, {}),
        "tp": ("count", 4, {}), "within": ("share", 0.02, {}), "overrides": ("names", ["vocab=64000"], {}),
        "over": ("name", "vocab=32000,64000", {}),
    }),
    "fit": ({"model": "gpt2", "gpu": "h100"}, {
        **MODEL, **SIZES, **CONVENTION, **by_flag(MEMORY), "gpu": ("count", "h100", {}), "count": ("count", 1, {}),
        "gpu_memory": ("count", "24GiB", {}), "reserve": ("count from 0", "1GiB", {}), "solve": ("name", "seq", {}),
        "mode": ("name", "training", {}), "engine": ("name", "vllm", {}),
    }),
    "find_gpus": ({"model": "gpt2"}, {
        **MODEL, **SIZES, **CONVENTION, **by_flag({**FORMATS, **SERVED, **TRAINED}, ()),
        "reserve": ("count from 0", "1GiB", {}), "mode": ("name", "training", {}),
    }),
    "find_recipes": ({"model": "gpt2", "gpu": "4GiB"}, {
        **MODEL, **{name: ("count", 2, {}) for name in ("batch", "seq", "lora_rank")}, "extend": ("flag", True, {}),
        "dtype": FORMATS["dtype"], "attention": ("name", "eager", {}), "dropout": ("flag", True, {}),
        "scan": ("name", "fused", {"model": "mamba2-130m"}), "lora_targets": ("names", ["wq"], {}),
        "target_seq": ("count", 5, {"model": "t5-small"}), "gpu": ("count", "4GiB", {}), "count": ("count", 1, {}),
        "gpu_memory": ("count", "4GiB", {"gpu": "h100"}), "reserve": ("count from 0", "1GiB", {}),
    }),
    "find_models": ({"gpu": "1100MiB"}, {
        **{name: {**SIZES, **FORMATS}[name] for name in ("batch", "seq", "dtype", "weights")}, **SERVED,
        "gpu": ("count", "1100MiB", {}), "count": ("count", 1, {}), "gpu_memory": ("count", "1100MiB", {"gpu": "h100"}),
        "reserve": ("count from 0", "1GiB", {}), "most": ("count", 1, {}),
    }),
    "latency": ({"model": "mixtral", "gpu": "h200:2"}, {
        **MODEL, "gpu": ("count", "h100", {}), "mode": ("name", "prefill", {}), "batch": ("count", 3, {}),
        "context": ("count from 0", 5, {}), "seq": ("count", 5, {}), "new_tokens": ("count", 7, {}),
        "tp": ("count", 2, {}), "dp": ("count", 2, {}), "ep": ("count", 2, {}), "weights": ("name", "fp8", {}),
        "experts": ("name", "fp8", {}), "attention_weights": ("name", "fp8", {}), "cache": ("name", "fp8", {}),
        "pp": ("count", 2, {}), "engine_version": ("name", "0.11", {"engine": "vllm"}),
        "engine": ("text", "sglang", {}), "calibration": ("name", CALIBRATED, {"model": "gpt2", "gpu": "h100"}),
    }),
    "step_time": ({"model": "mixtral", "gpu": "h100:8", "seq": 61, "batch": 8}, {
        **MODEL, "gpu": ("name", "h100:8", {}), **{name: ("count", 2, {}) for name in ("tp", "pp", "cp", "ep")},
        "dp": ("count", 8, {}), "etp": ("count", 1, {"ep": 2}), "sp": ("flag", True, {"tp": 2}),
        "zero": ("stage", 1, {}), "zero_group": ("count", 4, {"zero": 3}), "virtual_stages": ("count", 2, {"pp": 2}),
        "batch": ("count", 16, {"dp": 8}), "micro_batch": ("count", 1, {"dp": 8}), "seq": ("count", 5, {}),
        "recompute": ("name", "full", {"dp": 8}), "attention": ("name", "eager", {"dp": 8}),
        "precision": ("name", "fp8", {}), "lora_rank": ("count", 7, {}),
        "lora_targets": ("names", ["wq"], {"lora_rank": 7}),
        "network_gbytes_per_gpu": ("positive", 25.0, {}), "dispatcher": ("name", "deepep", {"ep": 2}),
        "stack": ("text", "torchtitan", {}), "compile": ("flag", True, {"dp": 8}),
    }),
    "serve": ({"model": "gpt2", "gpu": "h100"}, {
        **MODEL, "gpu": ("count", "h100", {}), "gpu_memory": ("count", "24GiB", {}), "engine": ("name", "vllm", {}),
        "engine_version": ("name", "0.11", {}),
        "command": ("name", "vllm serve gpt2", {"model": None}),
        "isl": ("count", 100, {"osl": 50}), "osl": ("count", 50, {"isl": 100}),
        "concurrency": ("positive", 3, {"isl": 100, "osl": 50}),
        "sla": ("name", "tpot<10ms", {"isl": 100, "osl": 50}),
        "tp": ("count", 1, {}), "pp": ("count", 1, {}), "dp": ("count", 1, {}), "max_model_len": ("count", 512, {}),
        "max_num_seqs": ("count", 16, {}), "max_num_batched_tokens": ("count", 512, {}),
        "block_size": ("count", 32, {}), "num_blocks": ("count", 1024, {}), "kv_cache_memory": ("count", "1GiB", {}),
        "gpu_memory_utilization": ("share", 0.8, {}), "dtype": ("name", "fp16", {}), "cache": ("name", "fp8", {}),
        "weights": ("name", "fp8", {}), "enforce_eager": ("flag", True, {}), "expert_parallel": ("flag", False, {}),
        "image": ("names", ["97x61"], {"model": "gemma3-4b"}),
    }),
    "serve with times": ({"model": "gpt2", "gpu": "h100", "isl": 101, "osl": 103}, {
        "calibration": ("name", llmcalc.calibrate(ROWS), {}),
    }),
    "serving_front": ({"model": "gpt2", "gpu": "h100", "isl": 101, "osl": 103}, {
        **MODEL, "gpu": ("name", "h100", {}), "isl": ("count", 100, {}), "osl": ("count", 50, {}),
        **{name: ("name", "fp8", {}) for name in ("weights", "experts", "attention_weights", "cache")},
        "engine": ("text", "sglang", {}), "price": ("positive", 3, {}),
        "max_num_batched_tokens": ("count", 512, {}), "sla": ("name", "tpot<10ms", {}),
        "calibration": ("name", llmcalc.calibrate(ROWS), {}),
        "watts": ("positive", 500, {}), "api_price": ("name", "0.5/1.5", {}),
    }),
    "calibrate": ({}, {"rows": ("name", ROWS, {}), "step": ("name", {"gpu": "h100:8"}, {"rows": [TIMED]})}),
    "rl": ({"model": "gpt2", "gpu": "h100"}, {
        **MODEL, "gpu": ("name", "h100", {}), "algorithm": ("name", "ppo", {}), "rollout": ("name", "separate", {}),
        "completions": ("count", 3, {}), "prompt": ("count", 7, {}), "completion": ("count", 11, {}),
        "micro_batch": ("count", 2, {}), "share": ("share", 0.4, {}), "sleep": ("count from 0", 2, {}),
        "reference": ("flag", True, {}), "offload": ("flag", True, {}), "engine_tp": ("count", 1, {}),
    }),
    "plan": ({"model": "gpt2", "gpu": "h100:2", "batch_tokens": "32k"}, {
        **MODEL, "gpu": ("name", "h100:2", {}), "batch_tokens": ("positive", 65536, {}), "seq": ("count", 512, {}),
        "rank": ("name", "memory", {}), "max_pp": ("count", 1, {}), "node": ("count", 2, {}),
        "network_gbytes_per_gpu": ("positive", 25, {}), "stack": ("text", "torchtitan", {}),
        "precision": ("name", "bf16", {}), "price": ("positive", 3, {}),
        "fix": ("names", {"dp": 2}, {}), "include": ("names", ["tp=2"], {}),
    }),
    "check_log": ({"path": LOG}, {
        "path": ("name", LOG, {}), "gpu": ("name", "h100", {}), "model": ("name", "llama3.1-8b", {}),
        "engine_version": ("name", "0.11", {}), "gpu_memory": ("name", "79GiB", {}),
    }),
    "read_training_file": ({"path": TRAINING_FILE}, {
        **MODEL, "path": ("name", TRAINING_FILE, {}), "gpus": ("count", 7, {}), "strict": ("flag", True, {}),
        "overrides": ("names", ["n_layers=3"], {}), "as_": ("name", None, {}), "allow_unknown": ("names", [], {}),
        **SIZES, **CONVENTION, "dtype": FORMATS["dtype"], "dp": ("count", 2, {}), "lora_rank": ("count", 7, {}),
        "target_seq": ("count", 5, {"model": "t5-small"}), "training": ("flag", True, {}),
    }),
    "evidence": ({}, {"quantity": ("name", "memory", {})}),
    "compare": ({}, {
        "models": ("name", "gpt3", {}), **SIZES, **STEP, **CONVENTION, **by_flag(MEMORY), "kernels": MOVED["kernels"],
        "gpu": ("name", "h100", {}), "engine": ("name", "sglang", {"gpu": "h100"}),
    }),
    "explain": ({"model": "gpt2"}, {
        **MODEL, "quantity": ("name", "active", {}), "depth": ("count from 0", 2, {}),
        "select": ("filter", "block", {}),
    }),
    **{f"explain {name}": ({"model": "gpt2", "quantity": name, **NEEDED.get(name, {})}, cases)
       for name, cases in EXPLAIN.items()},
    "sweep": ({"model": "gpt2", "quantities": "flops.total", "over": "seq=5,7"}, {
        **MODEL, "quantities": ("name", "memory.peak", {}), "over": ("name", "batch=1,3", {}),
        "overrides": ("names", ["n_layers=3"], {}), "as_": ("name", None, {}), "allow_unknown": ("names", [], {}),
        "strict": ("flag", True, {}), "extras": ("names", ["mtp"], {"model": "qwen3.5-0.8b"}),
        "skip_invalid": ("flag", True, {}),
    }),
    "sweep flops.total": ({"model": "gpt2", "quantities": "flops.total", "over": {"seq": [5, 7]}},
                          {**EXPLAIN["flops"], "seq": ("count", 5, {"over": {"batch": [1]}}),
                           "batch": ("count", 5, {"over": {"seq": [5]}})}),
    "sweep state.bytes": ({"model": "gpt2", "quantities": "state.bytes", "over": {"seq": [5, 7]}},
                          {"dtype": ("name", "fp8", {}), "cache": SERVED["cache"], "page": SERVED["page"],
                           "beams": SERVED["beams"], **CONVENTION}),
    "sweep memory.peak": ({"model": "gpt2", "quantities": "memory.peak", "over": {"seq": [5, 7]}},
                          {**by_flag(MEMORY), **CONVENTION}),
    "train": (RUN, {
        **MODEL, "tokens": ("count", "1B", {}), "seq": SIZES["seq"], "extend": SIZES["extend"],
        "target_seq": ("count", 5, {"model": "t5-small"}), "count": STEP["count"],
        "batch_tokens": ("count", "1M", {}), "gpu": ("name", "h100:8", {}), "stack": ("text", "torchtitan", ON_GPUS),
        "mesh": ("name", llmcalc.Mesh(dp=8), ON_GPUS), "micro_batch": ("count", 2, ON_MESH_OF_GPUS),
        "recompute": ("name", "full", ON_MESH_OF_GPUS), "price": ("positive", 2.5, ON_GPUS),
        "watts": ("positive", 700, ON_GPUS),
        "pue": ("from 1", 1.1, {**ON_GPUS, "carbon": 0.4}),
        "carbon": ("from 0", 0.4, {**ON_GPUS, "pue": 1.1}), "dtype": ("name", "fp16", {}),
        "optimizer": ("name", "sgd", {}), "fit": ("name", None, {}), "lora_rank": ("count", 7, {}),
        "lora_targets": ("names", ["wq"], {"lora_rank": 7}),
        "step_time": ("positive", 20.5, {**ON_GPUS, "batch_tokens": 10**6}), "tokens_per_s": ("positive", 4e5, ON_GPUS),
        "hours": ("positive", 1000, ON_GPUS),
        "zero_group": ("count", 2, {**ON_GPUS, "mesh": llmcalc.Mesh(dp=8, zero=3)}),
        "calibration": ("name", llmcalc.calibrate([TIMED]), ON_GPUS),
    }),
    "scale": (PLAN, {
        "model": ("name", "gpt2", {}), "compute": ("from 1", "1e22", {}),
        "days": ("positive", 30, {"compute": None, "gpu": "h100:8"}),
        "hours": ("positive", "1M", {"compute": None, "gpu": "h100:8"}),
        "dollars": ("positive", 1e6, {"compute": None, "gpu": "h100:8", "price": 2.5}),
        "gpu": ("name", "h100:8", {}),
        "price": ("positive", 2.5, {"compute": None, "dollars": 1e6, "gpu": "h100:8"}),
        "parameters": ("from 1", "70B", {}), "tokens": ("from 1", "1T", {"compute": None}),
        "loss": ("positive", 2.5, {"compute": None}), "unique": ("from 1", "1T", {"laws": ["muennighoff"]}),
        "inference": ("from 1", "1T", {}), "inference_cost": ("positive", 2, {"inference": 1e12}),
        "n_experts": ("from 1", 8, {"laws": ["ludziejewski"]}), "granularity": ("from 1", 4, {"laws": ["krajewski"],
                                                                                            "experts": 8}),
        "over": ("names", ["params=1B,2B"], {}), "laws": ("names", ["kaplan"], {}), "seq": ("count", 4096, {}),
    }),
}  # fmt: skip
CASES = [(name, parameter) for name, (_, cases) in FUNCTIONS.items() for parameter in cases]


def call(name: str, parameter: str, value: object) -> Any:
    usual, cases = FUNCTIONS[name]
    given = {**usual, **cases[parameter][2]}
    given[parameter] = value
    if name == "compare":
        models = given.pop("models") if parameter == "models" else given.pop("model", "gpt2")
        return llmcalc.compare("gpt2" if parameter == "models" else models, models, **given)
    return getattr(llmcalc, name.partition(" ")[0])(**given)


def test_every_parameter_of_every_public_function_is_here() -> None:
    for name in llmcalc.__all__:
        function = getattr(llmcalc, name)
        if not callable(function) or (name[0].isupper() and name != "Mesh"):
            continue
        own = {one.name for one in inspect.signature(function).parameters.values() if one.kind != one.VAR_KEYWORD}
        wanted = set(llmcalc.Mesh.__match_args__) if name == "Mesh" else own
        assert wanted <= FUNCTIONS[name][1].keys(), name
    assert {one.name for each in compared() for one in each.settings} <= FUNCTIONS["compare"][1].keys()
    for name in targets():
        assert name in FUNCTIONS["design"][1]
        assert f"max_{name}" in FUNCTIONS["check"][1]
    assert {each.name for each in FIT} <= FUNCTIONS["fit"][1].keys()
    for each in quantities():
        assert {one.name for one in each.explained} == FUNCTIONS[f"explain {each.name}"][1].keys(), each.name


@pytest.mark.parametrize(("name", "parameter"), CASES)
def test_a_right_value_is_accepted(name: str, parameter: str) -> None:
    assert call(name, parameter, FUNCTIONS[name][1][parameter][1]) is not None


@pytest.mark.parametrize(("name", "parameter"), CASES)
def test_a_wrong_value_is_refused(name: str, parameter: str) -> None:
    is_right = RIGHT[FUNCTIONS[name][1][parameter][0]]
    for value in ODD:
        if not is_right(value):
            with pytest.raises(llmcalc.InputError):
                pytest.fail(f"{parameter}={value!r} gives {call(name, parameter, value)!r}")


def test_none_is_refused_where_it_is_no_default() -> None:
    for parameter in ("batch", "mode", "dtype", "dropout", "extend"):
        with pytest.raises(llmcalc.InputError, match=parameter):
            call("memory", parameter, None)
