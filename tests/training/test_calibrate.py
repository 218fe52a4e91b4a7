"""Measured training steps and logs give a factor, which calibrates the steps of ``train``."""

from __future__ import annotations

from math import exp, isclose, log
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.training.logs import read_log

STEP: dict[str, Any] = {
    "gpu": "h100:8",
    "dp": 4,
    "tp": 2,
    "sp": True,
    "zero": 1,
    "batch": 44,
    "micro_batch": 1,
    "seq": 4096,
}
ARGUMENTS = {
    "world_size": 8, "tensor_model_parallel_size": 2, "pipeline_model_parallel_size": 1, "sequence_parallel": True,
    "use_distributed_optimizer": True, "global_batch_size": 44, "micro_batch_size": 1, "seq_length": 4096,
    "recompute_granularity": None, "expert_model_parallel_size": 1, "a_new_argument": 3,
}  # fmt: skip
WARM, TIMES = [9000.0, 8000.0, 7000.0], [2030.0, 2010.0, 2020.0, 2070.0, 2050.0, 2030.0, 2040.0, 2060.0, 2011.0, 2090.0]
MEDIAN = 2.035  # seconds


def megatron(times: list[float], batch: int = 44, arguments: dict[str, Any] = ARGUMENTS) -> str:
    dots = [f"  {name} {'.' * (48 - len(name))} {value}" for name, value in arguments.items()]
    lines = [
        f" [2026-08-01 10:00:00] iteration {place:8d}/     500 | consumed samples: {44 * place:12d} | elapsed time per "
        f"iteration (ms): {time:.1f} | throughput per GPU (TFLOP/s/GPU): 401.3 | global batch size: {batch:5d} |"
        for place, time in enumerate(times, 1)
    ]
    return "\n".join(["--- arguments ---", *dots, "--- end of arguments ---", *lines, ""])


def torchtitan(rates: list[float]) -> str:
    lines = [
        f"[rank0]:[titan] - root - INFO - \x1b[31mstep: {10 * place:2}  \x1b[32mloss:  8.1000  \x1b[34mtps: "
        f"{rate:,.0f}  \x1b[36mtflops: 401.12  \x1b[35mmfu: 40.51%\x1b[39m\n"
        f"[titan] validate step: {place}  loss:  8.1  tps: 99,000\x1b[39m"
        for place, rate in enumerate(rates, 1)
    ]
    return "\n".join(lines)


def written(folder: Path, text: str, name: str = "run.log") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_log_of_megatron_is_the_row_that_it_states(tmp_path: Path) -> None:
    path = written(tmp_path, megatron(WARM[:2] + TIMES))
    (own,) = llmcalc.calibrate(path, {"model": "llama3-8b", "gpu": "h100"}).steps
    row = {"model": "llama3-8b", **STEP, "stack": "megatron-core", "seconds": MEDIAN}
    (same,) = llmcalc.calibrate([row]).steps
    assert isclose(own.factor, same.factor)
    assert isclose(own.factor, MEDIAN / llmcalc.step_time("llama3-8b", **STEP, stack="megatron-core").seconds)
    assert (own.n_steps, own.n_rows, own.title) == (len(TIMES), 1, same.title)
    assert 0.005 < own.spread < 0.03


def test_a_log_of_torchtitan_has_tokens_per_second_of_each_gpu(tmp_path: Path) -> None:
    rates = [STEP["batch"] * STEP["seq"] / 8 / (time / 1e3) for time in WARM[:2] + TIMES]
    row = {"model": "llama3-8b", **STEP, "log": written(tmp_path, torchtitan(rates))}
    (own,) = llmcalc.calibrate([row]).steps
    modelled = llmcalc.step_time("llama3-8b", **STEP, stack="torchtitan").seconds
    assert own.stack == "torchtitan"
    assert isclose(own.factor, MEDIAN / modelled, rel_tol=1e-3)  # rates are whole numbers


def test_steps_with_another_number_of_sequences_than_most_are_left_out(tmp_path: Path) -> None:
    ramp = megatron([500.0] * 5, 11, {})
    found = read_log(written(tmp_path, ramp + megatron(WARM[:2] + TIMES)))
    assert isclose(found.middle, MEDIAN)
    assert (found.settings["batch"], found.settings["tp"], found.settings["zero"], found.gpus) == (44, 2, 1, 8)
    full = ARGUMENTS | {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
    assert read_log(written(tmp_path, megatron(TIMES, arguments=full))).settings["recompute"].startswith("full")


def test_the_factor_of_rows_calibrates_the_steps_of_train(tmp_path: Path) -> None:
    rows, factors = [], (1.1, 1.3)
    for factor, batch in zip(factors, (44, 88), strict=True):
        step = {**STEP, "batch": batch}
        seconds = factor * llmcalc.step_time("llama3-8b", **step, stack="torchtitan").seconds
        rows.append({"model": "llama3-8b", **step, "stack": "torchtitan", "seconds": str(seconds)})
    table = "\n".join(",".join(map(str, values)) for values in (rows[0], *(row.values() for row in rows)))
    calibrated = llmcalc.calibrate(written(tmp_path, table, "rows.csv"))
    assert isclose(calibrated.steps[0].factor, exp(sum(map(log, factors)) / 2), rel_tol=1e-9)
    path = written(tmp_path, calibrated.text(), "own.yaml")
    run: dict[str, Any] = {
        "tokens": "1B", "seq": 4096, "gpu": "h100:8", "mesh": llmcalc.Mesh(dp=4, tp=2, sp=True, zero=1),
        "batch_tokens": 44 * 4096,
    }  # fmt: skip
    before = llmcalc.train("llama3-8b", **run, stack="torchtitan").step_time
    one, two = (llmcalc.train("llama3-8b", **run, calibration=each) for each in (llmcalc.calibrate(rows[:1]), path))
    after = two.step_time
    assert None not in (before, after, one.step_time)
    assert isclose(after.seconds, before.seconds * calibrated.steps[0].factor, rel_tol=1e-5)
    assert after.high / after.low < one.step_time.high / one.step_time.low < before.high / before.low
    assert after.basis == "torchtitan, calibrated on 2 steps"
    for other in ({"gpu": "h200:8"}, {"stack": "llm-foundry"}):
        with pytest.raises(llmcalc.InputError, match="has no measurements of training steps of llama3-8b on h"):
            llmcalc.train("llama3-8b", **{**run, **other}, calibration=path)


@pytest.mark.parametrize(
    ("text", "step", "error"),
    [
        ("nothing\n", {}, "run.log: has no times of training steps"),
        (megatron([2000.0]), {}, "run.log: has a single time of a step"),
        (megatron(TIMES), {"model": ""}, "run.log: no model"),
        (megatron(TIMES), {"gpu": "h100:4"}, "run.log: gpu: the log is of 8 GPUs, not 4"),
        (megatron([1e6 * time for time in TIMES]), {}, "none of 1 rows can be used"),
        (torchtitan([7001.0, 7002.0]), {"batch": 43, "dp": 8}, "batch: dp .8. does not divide"),
        ("iteration 1/ 2 | elapsed time per iteration (ms): 1e999", {}, "has a single time|has no times"),
    ],
)
def test_a_bad_log_is_one_message(text: str, step: dict[str, Any], error: str, tmp_path: Path) -> None:
    with pytest.raises(llmcalc.InputError, match=error):
        llmcalc.calibrate(written(tmp_path, text), {"model": "llama3-8b", "gpu": "h100:8", **step})
