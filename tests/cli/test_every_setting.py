"""Every option, tried in every answer of its command: it changes the JSON result, or an error names it.

A *cell* is an answer and an option. ``ANSWERS`` has one or more command lines for each answer, and the option must have
an effect on one of them, or be refused with an error that names it.
"""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from llmcalc.cli.commands import load
from llmcalc.cli.main import BAD_INPUT, main
from llmcalc.cli.options import MODEL_OUTPUT, READING
from llmcalc.cli.spec import Command, Option
from llmcalc.cli.table import split

HERE = Path(__file__).parents[1]
DENSE, SPARSE, BOTH, LARGE, VISION = "gpt2", "mixtral-8x7b", "t5-small", "llama3.2-1b", "qwen3-vl-2b"
OF_SPARSE = f"serve {SPARSE} --gpu h100:4"
LOAD, LONG = "--isl 1000 --osl 100", "--isl 8000 --osl 1000"
TIMED = f"{LARGE} --gpu h100:2 {LOAD}"
TRAINED = "--training --dp 2 --tp 2"
# command lines of each answer; only an option without effect on all lines is ignored
ANSWERS: dict[str, tuple[str, ...]] = {
    "params": (f"params {DENSE}",),
    "flops": (f"flops {SPARSE} --seq 96", f"flops {SPARSE} --mode train", f"flops {SPARSE} --mode decode --context 50",
              f"flops {BOTH}", f"flops {VISION}", f"flops {DENSE} --seq 2000 --extend"),
    "traffic": (f"traffic {SPARSE} --weights q8_0", f"traffic {SPARSE} --mode decode --context 50", f"traffic {BOTH}",
                f"traffic {VISION}", f"traffic {DENSE} --seq 2000 --extend"),
    "communication": (f"communication {SPARSE} --tp 2 --mode train --dp 2 --pp 2", f"communication {SPARSE} --tp 2",
                      f"communication {DENSE} --tp 2 --mode decode --context 50 --dp 2", f"communication {BOTH} --tp 2",
                      f"communication {DENSE} --tp 2 --seq 2000 --extend"),
    "memory, serving": (f"memory {SPARSE} --weights q8_0", f"memory {DENSE} --tp 2", f"memory {BOTH}",
                        f"memory {VISION}", f"memory {DENSE} --seq 2000 --extend",
                        f"memory {SPARSE} --dp 2 --tp 2 --ep 2"),
    "memory, training": (f"memory {SPARSE} {TRAINED} --pp 2", f"memory {DENSE} {TRAINED}", f"memory {BOTH} {TRAINED}",
                         f"memory {SPARSE} --training --convention torch", f"memory mamba2 {TRAINED}",
                         f"memory {DENSE} {TRAINED} --gradient-buffer", f"memory {DENSE} --training --lora-rank 4",
                         f"memory {DENSE} {TRAINED} --seq 2000 --extend", f"memory {DENSE} {TRAINED} --zero 1"),
    "fit": (f"fit {SPARSE} --gpu h100:4 --weights q8_0", f"fit {DENSE} --gpu h100:2 --tp 2", f"fit {BOTH} --gpu h100",
            f"fit {DENSE} --gpu h100 --seq 2000 --extend"),
    "fit, training": (f"fit {SPARSE} --gpu h100:8 {TRAINED} --pp 2", f"fit {DENSE} --gpu h100:4 {TRAINED}",
                      f"fit {BOTH} --gpu h100:4 {TRAINED}", f"fit {DENSE} --gpu h100 --training --lora-rank 4"),
    "fit, solved": (f"fit {SPARSE} --gpu h100:4 --weights q8_0 --solve seq",
                    f"fit {DENSE} --gpu h100:2 --tp 2 --solve batch"),
    "fit, GPUs": (f"fit {LARGE} --gpu all", f"fit {SPARSE} --gpu all --weights q8_0",
                  f"fit {DENSE} --gpu all --seq 2000 --extend", f"fit {LARGE} --gpu all --training --lora-rank 4",
                  f"fit {LARGE} --gpu all --training --optimizer sgd --seq 64"),
    "fit, recipes": (f"fit {DENSE} --gpu 4GiB --solve recipe",),
    "latency": (f"latency {SPARSE} --gpu h100:4", f"latency {SPARSE} --gpu h100:4 --seq 100",
                f"latency {SPARSE} --gpu h100:4 --seq 100 --new-tokens 5", f"latency {SPARSE} --gpu h100:4 --tp 2"),
    "train": (f"train {DENSE} --tokens 1B", f"train {DENSE} --tokens 1B --gpu h100:8 --pue 1.1 --carbon 0.4",
              f"train {BOTH} --tokens 1B --lora-rank 4", f"train {DENSE} --tokens 1B --gpu h100 --batch-tokens 1M",
              f"train {DENSE} --tokens 1B --seq 2000 --extend"),
    "train, mesh": (f"train {SPARSE} --tokens 1B --gpu h100:8 --dp 2 --tp 2 --pp 2 --optimizer sgd",
                    f"train {DENSE} --tokens 1B --gpu h100:4 --dp 2 --tp 2 --seq 2000 --extend",
                    f"train {DENSE} --tokens 1B --gpu h100:4 --dp 2 --tp 2",
                    f"train {DENSE} --tokens 1B --gpu h100:4 --dp 4 --zero 3 --recompute full"),
    "plan": (f"plan {DENSE} --gpu h100:16 --seq 512 --batch-tokens 64k",),
    "rl": (f"rl {DENSE} --gpu h100:2", f"rl {DENSE} --gpu h100:2 --sleep 1 --lora-rank 4",
           f"rl {DENSE} --gpu h100:4 --dp 4 --zero 2"),
    "sweep, memory": (f"sweep {SPARSE} memory.peak --over seq=64,96 --weights q8_0",
                      f"sweep {SPARSE} memory.peak --over seq=64,96 {TRAINED} --pp 2",
                      f"sweep {DENSE} memory.peak --over seq=64,96 {TRAINED} --gradient-buffer",
                      f"sweep {SPARSE} memory.peak --over batch=1,2 --optimizer sgd --training --convention torch",
                      f"sweep {SPARSE} memory.peak --over batch=16,17 --training --convention torch",
                      f"sweep {DENSE} memory.peak --over seq=64,96 --training --lora-rank 4",
                      f"sweep {BOTH} memory.peak --over batch=1,2",
                      f"sweep {BOTH} memory.peak --over dp=1,2 --training",
                      f"sweep {DENSE} memory.peak --over batch=1,2 --seq 2000 --extend",
                      "sweep mamba2 memory.peak --over batch=1,2 --training"),
    "sweep, latency": (f"sweep {LARGE} latency.seconds --gpu h100:2 --over batch=1,4",
                       f"sweep {LARGE} latency.seconds --gpu h100:4 --over batch=1,4"),
    "compare": (f"compare {DENSE} {SPARSE}", f"compare {DENSE} {SPARSE} {TRAINED} --pp 2",
                f"compare {DENSE} mamba2 {TRAINED} --gradient-buffer", f"compare {BOTH} {BOTH} --tp 2",
                f"compare {DENSE} {SPARSE} --gpu h100:4", f"compare {SPARSE} {SPARSE} --training --convention torch",
                f"compare {DENSE} {DENSE} --training --lora-rank 4", f"compare {SPARSE} {SPARSE} --weights q8_0",
                f"compare {DENSE} {DENSE} --mode decode --context 50", f"compare {DENSE} {DENSE} --seq 2000 --extend"),
    "check": (f"check {SPARSE} --max-memory 1GiB", f"check {SPARSE} --max-memory 1GiB {TRAINED} --pp 2",
              f"check {DENSE} --max-latency 1ms --gpu h100:4", f"check {DENSE} --max-compute 1e20 --tokens 1B",
              f"check {DENSE} --max-flops 1e9 --seq 96 --mode decode --context 50", f"check {BOTH} --max-flops 1e9",
              f"check {BOTH} --max-memory 1GiB", f"check {DENSE} --max-memory 1GiB {TRAINED} --gradient-buffer",
              f"check {SPARSE} --max-memory 1GiB --optimizer sgd --training --convention torch",
              f"check {SPARSE} --max-memory 1GiB --training --convention torch --batch 16",
              f"check {DENSE} --max-memory 1GiB --training --lora-rank 4", f"check {DENSE} --max-traffic 1GiB",
              f"check {SPARSE} --max-memory 1GiB --weights q8_0", "check mamba2 --max-memory 1GiB --training",
              f"check {DENSE} --max-memory 1GiB --seq 2000 --extend"),
    "design": ("design llama3 --params 3B", "design llama3 --memory 24GiB",
               "design gpt2 --memory 24GiB --seq 2000 --extend", "design llama3 --memory 24GiB --batch 4",
               "design llama3 --memory 24GiB --training", "design llama3 --memory 24GiB --training --seq 64",
               "design mixtral --memory 240GiB --dp 4 --ep 2"),
    "scale": ("scale --compute 1e22", f"scale {SPARSE} --tokens 1T", "scale --gpu h100:512 --days 30 --law all",
              "scale --compute 1e22 --inference 1T --law all", "scale --compute 1e22 --n-experts 64"),
    "serve, start": (f"serve {LARGE} --gpu h100:2", f"{OF_SPARSE} --dp 2", f"serve {VISION} --gpu h100",
                     f"serve {LARGE} --gpu h100 --engine llama.cpp", f"{OF_SPARSE} --engine llama.cpp",
                     f"serve {LARGE} --gpu h100 --enable-lora", f"serve {LARGE} --gpu h100 --draft {LARGE}"),
    "serve, times": (f"serve {TIMED} --concurrency 4", f"{OF_SPARSE} {LOAD} --dp 2", f"{OF_SPARSE} {LOAD} --tp 4",
                     f"serve {VISION} --gpu h100 {LOAD}", f"serve {LARGE} --gpu h100 --engine llama.cpp {LOAD}",
                     f"serve {LARGE} --gpu h100 {LOAD} --draft {LARGE}",
                     f"serve {LARGE} --gpu h100 {LOAD} --turns 2", f"{OF_SPARSE} {LOAD} --engine llama.cpp"),
    "serve, --sla": (f"serve {TIMED} --sla tpot=30ms", f"serve {LARGE} --gpu l4:2 {LONG} --sla tpot=200ms",
                     f"serve {LARGE} --gpu h100 {LOAD} --sla tpot=30ms --draft {LARGE}"),
    "serve, --sla of a layout": (f"serve {TIMED} --sla tpot=30ms --tp 2",
                                 f"serve {LARGE} --gpu l4:2 {LONG} --sla tpot=200ms --tp 2"),
    "serve, --pareto": (f"serve {TIMED} --pareto",),
    "serve, --prefill-pool": (f"serve {LARGE} --gpu h100:4 {LOAD} --prefill-pool 1xtp2",
                              f"serve {LARGE} --gpu l4:8 {LONG} --prefill-pool 4x"),
    "serve, several GPUs": (f"serve {LARGE} --gpu h100,l4 {LOAD}",
                            f"serve {LARGE} --gpu h100,l4 {LOAD} --sla tpot=30ms",
                            f"serve {LARGE} --gpu l4,l40s {LONG} --concurrency 70"),
    "serve, encoder": ("serve bert --gpu h100:2 --isl 100", "serve bert --gpu h100:4 --isl 100"),
}  # fmt: skip
# a value for each option without choices or with a usual one, by name, or by command and name
EXAMPLE = {
    "fix": "zero=0", "include": "tp=2", "max_pp": "1", "network_gbytes_per_gpu": "5", "node": "2", "zero_group": "2",
    "acceptance_length": "1.7", "acceptance_rate": "0.4", "active": "1B", "api_price": "0.7/1.9",
    "attention": "eager", "attention_weights": "fp8", "batch": "3", "batch_tokens": "1M", "beams": "4",
    "block_size": "32", "budget": "1e21",
    "cache": "fp8", "calibration": str(HERE / "calibration.yaml"), "carbon": "0.2",
    "command": "'vllm serve Qwen/Qwen3-8B'", "communication": "1GiB", "completion": "97", "completions": "3",
    "compute": "1e22", "concurrency": "5", "context": "70", "cp": "2", "cpu_experts": "3", "cpu_offload_gb": "1",
    "days": "3", "depth": "1", "dollars": "1M", "dp": "2", "draft": DENSE, "draft_tokens": "2", "engine_tp": "2",
    "engine_version": "0.8", "ep": "2", "etp": "1", "experts": "fp8", "extras": "mtp", "flops": "1e12", "frames": "100",
    "gpu": "a100-sxm-80gb:4", "gradients": "fp32", "gpu_layers": "5", "gpu_memory": "30GiB",
    "gpu_memory_utilization": "0.7",
    "granularity": "4", "hours": "1M", "ignore": "HW", "image": "97x61", "images_per_prompt": "0", "inference": "1T",
    "inference_cost": "0.5", "isl": "777", "keep": "attention", "kv_cache_memory": "3GiB", "kv_offloading_size": "4",
    "latency": "20ms", "latency engine_version": "0.6", "laws": "hoffmann-1", "layout": "transformers",
    "lora_rank": "8", "lora_targets": "wq", "loss": "fused", "max_active": "1B", "max_communication": "1GiB",
    "max_compute": "1e20", "max_flops": "1e9", "max_latency": "2ms", "max_lora_rank": "32", "max_loras": "3",
    "max_memory": "2GiB", "max_model_len": "3000", "max_num_batched_tokens": "1500", "max_num_seqs": "3",
    "max_params": "1B", "max_state": "1MiB", "max_traffic": "1GiB", "memory": "30GiB", "mfu": "40%", "micro_batch": "2",
    "micro_batches": "3", "mix": "700/50:1,300/20:2", "multiple": "64", "n_experts": "8", "new_tokens": "7",
    "only": "attention", "optimizer": "sgd", "osl": "77", "over": "batch=1,2", "page": "48", "parameters": "7B",
    "params": "2B", "patches": "64", "pp": "2", "precision": "fp8", "prefill": "40", "prefill_pool": "1x",
    "prefix_share": "0.3", "price": "2.5", "prompt": "89", "pue": "1.3", "recompute": "full", "reserve": "3GiB",
    "scan": "fused", "select": "HW", "stack": "torchtitan",
    "seq": "80", "shapes": "gpt3", "share": "0.4", "sla": "tpot=20ms", "sleep": "2", "state": "1GiB",
    "step_tokens": "32", "target_seq": "50", "tokens": "2B", "tp": "2", "trace": str(HERE / "trace.csv"),
    "traffic": "1GiB", "turns": "3", "unique": "1T", "virtual_stages": "2", "vocabulary_multiple": "1000",
    "step_time": "7s", "tokens_per_s": "60k",
    "train calibration": str(HERE / "training_calibration.yaml"), "watts": "300", "weights": "q4_0", "within": "9%",
    "zero": "1",
    "scale loss": "2.1", "train dp": "3", "train, mesh dp": "3", "scale over": "params=1B,2B",
    "serve weights": "fp8", "serve gpu": "h200:2", "sweep over": "batch=5,6", "rl weights": "nf4",
    "design over": "vocab=32000,64000", "design etp": "2",
}  # fmt: skip
# options of the input, the form of the output, files to read, and what is done about errors
ELSEWHERE = {option.name for option in (*READING, *MODEL_OUTPUT)} | {
    "by", "command", "training_file", "trace", "skip_invalid",
}  # fmt: skip


@cache
def run(line: str) -> tuple[int, str, str]:
    """Run a command line and return its exit code, the JSON result and the error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*shlex.split(line), "--json"])
    found = json.loads(out.getvalue())
    return code, json.dumps(found.get("result", found)), err.getvalue()


def options_of(command: Command) -> Iterator[Option]:
    return iter({one.name: one for one in command.options.values() if one.name not in ELSEWHERE}.values())


def values_of(option: Option, command: str) -> list[str]:
    """Return values that are not the default of an option."""
    if option.kind is bool:
        return [""]
    stated = EXAMPLE.get(f"{command} {option.name}") or EXAMPLE.get(option.name)
    return [stated] if stated else [value for value in option.choices if value != option.default]


def without(line: str, option: Option) -> str:
    """Return a line without an option and its value."""
    words = shlex.split(line)
    if option.flag not in words or option.repeatable:
        return line
    at = words.index(option.flag)
    return shlex.join(words[:at] + words[at + (1 if option.kind is bool else 2) :])


def effect(line: str, option: Option, value: str) -> str:
    """Return what an option does to a command line: ``effect``, ``refused``, ``unnamed`` or ``ignored``."""
    line = without(line, option)
    before, after = run(line), run(f"{line} {option.flag} {value}")
    if after[0] == BAD_INPUT:
        return "refused" if before[0] == BAD_INPUT or option.flag in after[2] else "unnamed"
    return "ignored" if after[:2] == before[:2] else "effect"


def cells(answer: str) -> dict[str, str]:
    """Return what each option of a command does in an answer, by flag."""
    command = load(split(ANSWERS[answer][0].split())[0])
    return {
        option.flag: _cell(option, values_of(option, command.name), ANSWERS[answer]) for option in options_of(command)
    }


def _cell(option: Option, values: list[str], lines: tuple[str, ...]) -> str:
    found = set()
    for line in lines:
        for value in values:
            found.add(effect(line, option, value))
            if "effect" in found:
                return "effect"
    return next(each for each in ("ignored", "unnamed", "refused") if each in found)


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_option_changes_the_result_or_an_error_names_it(answer: str) -> None:
    assert [run(line)[2] for line in ANSWERS[answer] if run(line)[0] == BAD_INPUT] == []
    assert {flag: what for flag, what in cells(answer).items() if what in ("ignored", "unnamed")} == {}
