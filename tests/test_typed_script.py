"""A script that calls every public function passes the strict checks of mypy, which know the type of each result."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.analysis.compare import compared
from llmcalc.analysis.memory_form import SETTINGS as MEMORY
from llmcalc.analysis.quantity import setting_names, targets
from llmcalc.fitting.fit import SETTINGS as FIT
from llmcalc.inputs import typed_settings as typed
from llmcalc.search.gpus import SETTINGS as GPUS
from llmcalc.search.models import SETTINGS as MODELS

SCRIPT = """\
from typing import assert_type

import llmcalc
from llmcalc.calc.memory.inference import InferenceMemory
from llmcalc.calc.memory.pipeline import ParallelMemory

model: llmcalc.Architecture = llmcalc.load("llama3-8b", overrides={"n_layers": 48})
model = llmcalc.load("llama3-8b", overrides=["n_layers=48"])
counted: llmcalc.Params = llmcalc.params(model)
served = llmcalc.memory(model, seq="8k", weights="q4_k_m", page=16)
trained = llmcalc.memory(model, mode="training", batch=8, recompute="full", mesh=llmcalc.Mesh(dp=8))
assert_type(served, InferenceMemory)
assert_type(trained, ParallelMemory)
fits: bool = llmcalc.fit(model, "h100:2", tp=2, seq=8192, training=False).fits
matmul: int = llmcalc.flops(model, mode="train").matmul
size: int = llmcalc.state(model, seq=8192, cache="fp8").bytes
read: int = llmcalc.traffic(model, mode="decode", context=8192).read
sent: int = llmcalc.communication(model, tp=8).sent
form = llmcalc.memory_form(model, mode="training", recompute="full")
same: bool = llmcalc.diff("llama3-8b", "llama3.1-8b").same
ok: bool = llmcalc.check(model, max_params="9B", max_state="1GiB", weights="fp8").ok
shapes = llmcalc.design("llama3", params="13B", overrides={"vocab": 128000}).candidates
names = [one.architecture.name for one in llmcalc.compare(model, "gpt2", gpu="h100").params]
points: int = llmcalc.sweep("gpt3", "memory.peak", {"seq": [1024, 2048]}, weights="nf4").points
tree: str = llmcalc.explain(model, "flops", depth=1, mode="train").tree.text()
kinds = [one.kind for one in llmcalc.evidence("memory").values]
cheapest = llmcalc.find_gpus(model, weights="fp8", seq=8192).gpus[0].accelerator.name
largest: str = llmcalc.find_models("rtx4090", weights="q4_k_m").models[0].name
recipe = llmcalc.find_recipes(model, "rtx4090").best
machine = llmcalc.machine("h100:512", mfu=0.4)
plan = llmcalc.scale(gpu=machine, days=30, laws=["hoffmann-3"])
hours = llmcalc.train(model, "15T", gpu=machine).hours
fastest = [each.seconds for each in llmcalc.plan("gpt2", "h100:2", batch_tokens="32k").indistinguishable]
pace: float = llmcalc.step_time(model, "h100:8", tp=8, batch=64).seconds
step = llmcalc.rl(model, "h100:8")
llmcalc.serve(model, "h100"), llmcalc.serving_front(model, "h100", isl=1000, osl=500)
seconds: float = llmcalc.latency(model, "h100", context=8192).seconds
llmcalc.check_log("server.log"), llmcalc.read_training_file("training.yml")
llmcalc.calibrate([{"model": "gpt2", "gpu": "h100", "isl": 10, "osl": 10, "concurrency": 7, "tpot_ms": 1.3}])
verified: bool = llmcalc.verify("gpt2").ok
logits = llmcalc.twin(llmcalc.load("gpt2").shrink(), seed=1).forward([[1, 2, 3]])
"""


def test_a_script_calls_every_public_function() -> None:
    tree = ast.parse(SCRIPT)
    used = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "llmcalc"
    }
    assert used == {name for name in llmcalc.__all__ if not name.startswith("_") and not name.endswith("Error")}


def check(folder: Path, script: str) -> str:
    """What mypy says about a script."""
    if find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    (folder / "script.py").write_text(script, "utf-8")
    root = str(Path(llmcalc.__file__).parents[1])
    paths = {} if "site-packages" in root else {"MYPYPATH": root}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--follow-imports=silent", "script.py"],
        cwd=folder, env={**os.environ, **paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_types_of_results_and_settings_are_known(tmp_path: Path) -> None:
    assert check(tmp_path, SCRIPT) == ""
    wrong = 'import llmcalc\nllmcalc.fit("gpt2", "h100", sequence=1)\nllmcalc.memory("gpt2", batch="8")\n'
    found = check(tmp_path, wrong)
    assert 'Unexpected keyword argument "sequence" for "fit"' in found
    assert "script.py:3: error" in found


def names(settings: Any) -> set[str]:
    return {setting.name for setting in settings}


def test_typed_settings_are_those_that_functions_accept() -> None:
    quantities, memory = set(setting_names()), names(MEMORY)
    others = {name: f"max_{name}" for name in targets() if name not in ("params", "active", "memory")}
    shown = quantities - {"batch", "seq", "tp", "tokens"}
    expected = {
        typed.MemorySettings: {*memory - {"mode"}, "image"},
        typed.MemoryFormSettings: memory,
        typed.FitSettings: names(FIT),
        typed.GpuSearchSettings: names(GPUS),
        typed.ModelSearchSettings: names(MODELS),
        typed.QuantitySettings: quantities,
        typed.CheckSettings: {*shown - {"pp", "ep"}, *others.values()},
        typed.DesignSettings: {*shown, *others.keys() - {"flops"}},
    }
    assert {kind: kind.__optional_keys__ for kind in expected} == expected
    assert names(setting for each in compared() for setting in each.settings) <= quantities


def test_overrides_are_texts_or_a_mapping() -> None:
    overrides = {"n_layers": 3, "d_model": 512}
    text = ["n_layers=3", "d_model=512"]
    assert llmcalc.load("llama3-8b", overrides=overrides) == llmcalc.load("llama3-8b", overrides=text)
    grid = {"seq": [10]}
    swept = [llmcalc.sweep("gpt3", "params.total", grid, overrides=each) for each in ({"n_layers": 3}, ["n_layers=3"])]
    assert swept[0].values == swept[1].values
