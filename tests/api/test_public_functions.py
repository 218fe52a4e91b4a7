"""The public functions: reachable, callable by a model's name, short when printed, and alike on the command line."""

from __future__ import annotations

import doctest
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.analysis.quantity import quantities, setting_names
from llmcalc.cli.commands import load as load_command
from llmcalc.cli.main import main
from llmcalc.cli.spec import Option
from llmcalc.cli.table import COMMANDS
from llmcalc.core.setting import TEXTS

Capture = pytest.CaptureFixture[str]

LOG = Path(__file__).parents[1] / "server.log"
TRAINING_FILE = Path(__file__).parents[1] / "training.yml"
ROW = {"model": "gpt2", "gpu": "h100", "isl": 101, "osl": 103, "concurrency": 7, "tpot_ms": 1.3}
CALLS: dict[str, Callable[[], Any]] = {
    "calibrate": lambda: llmcalc.calibrate([ROW]),
    "check": lambda: llmcalc.check("gpt2", max_params="200M"),
    "check_log": lambda: llmcalc.check_log(LOG),
    "communication": lambda: llmcalc.communication("llama3-8b", tp=4),
    "compare": lambda: llmcalc.compare("bert", "palm"),
    "design": lambda: llmcalc.design("llama3", params="13B"),
    "diff": lambda: llmcalc.diff("llama3-8b", "llama3.1-8b"),
    "evidence": lambda: llmcalc.evidence("memory"),
    "explain": lambda: llmcalc.explain("gpt3", "flops"),
    "find_gpus": lambda: llmcalc.find_gpus("gpt2"),
    "find_recipes": lambda: llmcalc.find_recipes("gpt2", "4GiB"),
    "find_models": lambda: llmcalc.find_models("2GiB"),
    "fit": lambda: llmcalc.fit("llama3-8b", "h100:2"),
    "flops": lambda: llmcalc.flops("gpt1"),
    "latency": lambda: llmcalc.latency("llama3-8b", "h100:2"),
    "load": lambda: llmcalc.load("gpt3"),
    "machine": lambda: llmcalc.machine("h100:8"),
    "memory": lambda: llmcalc.memory("gpt2", mode="training"),
    "memory_form": lambda: llmcalc.memory_form("gpt2"),
    "params": lambda: llmcalc.params("gpt3"),
    "plan": lambda: llmcalc.plan("gpt2", "h100:2", batch_tokens="32k"),
    "read_training_file": lambda: llmcalc.read_training_file(TRAINING_FILE),
    "scale": lambda: llmcalc.scale(gpu="h100:512", days=30, laws=["hoffmann-3"]),
    "rl": lambda: llmcalc.rl("gpt2", "h100"),
    "serve": lambda: llmcalc.serve("llama3.1-8b", "h100"),
    "serving_front": lambda: llmcalc.serving_front("llama3.1-8b", "h100", isl=1000, osl=500),
    "state": lambda: llmcalc.state("llama3-8b", cache="fp8"),
    "step_time": lambda: llmcalc.step_time("llama3-8b", "h100:8", zero=3),
    "sweep": lambda: llmcalc.sweep("gpt3", "flops.total", {"seq": [1024, 2048]}),
    "traffic": lambda: llmcalc.traffic("llama3-8b", mode="decode", context=9),
    "train": lambda: llmcalc.train("gpt3", gpu="v100-sxm2-32gb:1024"),
    "twin": lambda: llmcalc.twin(llmcalc.load("gpt2").shrink()),
    "verify": lambda: llmcalc.verify("gpt2"),
}
MOST_PRINTED = 1000  # characters


def test_every_public_function_is_called_here() -> None:
    functions = {name for name in llmcalc.__all__ if callable(getattr(llmcalc, name)) and name.islower()}
    assert functions == set(CALLS)


def test_no_module_hides_a_public_function() -> None:
    """An imported submodule becomes an attribute of its package, in place of a function of that name."""
    code = """
import pkgutil, llmcalc
for module in pkgutil.walk_packages(llmcalc.__path__, "llmcalc."):
    if module.name.count(".") == 1:
        __import__(module.name)
print(*(name for name in llmcalc.__all__ if name.islower() and not callable(getattr(llmcalc, name))))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["__version__"]
    assert not {module.name for module in pkgutil.iter_modules(llmcalc.__path__)} & set(llmcalc.__all__)


@pytest.mark.parametrize("name", CALLS)
def test_every_function_answers_in_a_few_lines(name: str) -> None:
    result = CALLS[name]()
    assert 0 < len(repr(result)) < MOST_PRINTED
    if hasattr(result, "to_dict"):
        json.dumps(result.to_dict(), default=str)
    if name not in ("load", "machine", "memory_form", "read_training_file", "twin"):
        assert "<" in result._repr_html_()


def test_results_print_what_matters() -> None:
    assert repr(llmcalc.params("gpt3")) == "Params(gpt3-175b: 174,604,259,328 total)"
    assert repr(llmcalc.load("gpt3")) == "Architecture(gpt3-175b: decoder 96 layers, d_model 12288)"
    assert str(llmcalc.explain("gpt3", depth=1)).startswith("gpt3-175b params = 174,604,259,328 params\n  inputs")


# ------------------------------------------------------------------ one default

SAME = {
    "flops gpt1": lambda: llmcalc.flops("gpt1"),
    "flops gpt3 --mode decode --context 100": lambda: llmcalc.flops("gpt3", mode="decode", context=100),
    "flops bert": lambda: llmcalc.flops("bert"),
    "traffic gpt1": lambda: llmcalc.traffic("gpt1"),
    "traffic gpt2 --mode decode --context 9 --kernels unfused --cache fp8": lambda: llmcalc.traffic(
        "gpt2", mode="decode", context=9, kernels="unfused", cache="fp8"
    ),
    "communication gpt3 --tp 8 --sp --mode train": lambda: llmcalc.communication("gpt3", tp=8, sp=True, mode="train"),
    "communication gpt3 --tp 8 --mode decode --context 9": lambda: llmcalc.communication(
        "gpt3", mesh=llmcalc.Mesh(tp=8), mode="decode", context=9
    ),
    "explain gpt2 communication --tp 2 --depth 2": lambda: llmcalc.explain("gpt2", "communication", tp=2, depth=2),
    "explain gpt2 traffic --kernels unfused --depth 2": lambda: llmcalc.explain(
        "gpt2", "traffic", kernels="unfused", depth=2
    ),
    "latency gpt2 --gpu h100:2 --batch 3": lambda: llmcalc.latency("gpt2", "h100:2", batch=3),
    "latency mixtral --gpu h200:8 --dp 2 --ep 8 --seq 1k --new-tokens 9 --engine sglang": lambda: llmcalc.latency(
        "mixtral", "h200:8", dp=2, ep=8, seq=1024, new_tokens=9, engine="sglang"
    ),
    "memory gpt1": lambda: llmcalc.memory("gpt1"),
    "memory gpt1 --training --dp 8 --zero 1": lambda: llmcalc.memory(
        "gpt1", mode="training", mesh=llmcalc.Mesh(dp=8, zero=1)
    ),
    "fit llama3-8b --gpu h100:2": lambda: llmcalc.fit("llama3-8b", "h100:2"),
    "fit qwen3-32b --gpu all --weights q8_0 --reserve 3GiB": lambda: llmcalc.find_gpus(
        "qwen3-32b", weights="q8_0", reserve="3GiB"
    ),
    "fit gpt2 4GiB --solve recipe --lora-rank 8": lambda: llmcalc.find_recipes("gpt2", "4GiB", lora_rank=8),
    "fit 3GiB --list --seq 512": lambda: llmcalc.find_models("3GiB", seq=512),
    "fit gpt3 --gpu-memory 24GiB --solve gpus": lambda: llmcalc.fit("gpt3", 24 * 2**30, solve="gpus"),
    "train gpt3 --seq 1024": lambda: llmcalc.train("gpt3", seq=1024),
    "diff llama3-8b llama3.1-8b": lambda: llmcalc.diff("llama3-8b", "llama3.1-8b"),
    "compare bert palm": lambda: llmcalc.compare("bert", "palm"),
    "compare gpt2 gpt3 --mode decode --context 9": lambda: llmcalc.compare("gpt2", "gpt3", mode="decode", context=9),
    "explain gpt1 state --depth 2": lambda: llmcalc.explain("gpt1", "state", depth=2),
    "explain gpt3 train": lambda: llmcalc.explain("gpt3", "train"),
    "design llama3 --params 13B": lambda: llmcalc.design("llama3", params="13B"),
    "scale --compute 1e22 --law hoffmann-3": lambda: llmcalc.scale(compute="1e22", laws=["hoffmann-3"]),
}


def without_texts(data: Any) -> Any:
    """JSON without the texts that repeat large integers."""
    if isinstance(data, dict):
        return {key: without_texts(value) for key, value in data.items() if not key.endswith("_str")}
    return [without_texts(value) for value in data] if isinstance(data, list) else data


@pytest.mark.parametrize("line", SAME)
def test_python_and_the_command_line_answer_alike(line: str, capsys: Capture) -> None:
    assert main([*line.split(), "--json"]) in (0, 1)
    printed = without_texts(json.loads(capsys.readouterr().out)["result"])
    ours = json.loads(json.dumps(SAME[line]().to_dict(), default=str))
    assert ours
    for key in ours.keys() & printed.keys():
        if key not in ("timeline", "models", "verdict"):
            assert printed[key] == ours[key], key
    assert len(ours.keys() & printed.keys()) >= len(ours) - 1


@pytest.mark.parametrize("call", [
    lambda: llmcalc.flops("gpt3", mode="decode"),
    lambda: llmcalc.memory("gpt3", optimizer="sgd"),
    lambda: llmcalc.memory("gpt3", mode="training", cache="fp8"),
    lambda: llmcalc.explain("gpt3", "params", seq=5),
    lambda: llmcalc.sweep("gpt3", "params.total", "seq=1,2", batch=3),
    lambda: llmcalc.fit("gpt3"),
    lambda: llmcalc.fit("gpt3", "h100", solve="seq", seq=5),
    lambda: llmcalc.compare("gpt3"),
    lambda: llmcalc.design("llama3"),
    lambda: llmcalc.train("gpt3", "300B", watts=300),
    lambda: llmcalc.scale(days=3),
])  # fmt: skip
def test_a_mistake_is_an_error_in_python_too(call: Callable[[], Any]) -> None:
    with pytest.raises(llmcalc.InputError) as caught:
        call()
    assert "--" not in str(caught.value)


def test_an_unknown_setting_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="sequence"):
        llmcalc.explain("gpt3", "flops", sequence=5)


# ------------------------------------------------------------------ parameters and flags

SOURCES = sorted(Path(llmcalc.__file__).parent.rglob("*.py"))
FLAG = re.compile(r"(?<![-\w(])--[a-z]")
# old names, examples, paths and the flags of other programs
ELSEWHERE = (
    "core/aliases.py", "core/errors.py", "checkpoint/headers/checkpoint.py", "importers/engine_commands.py",
    "importers/training_commands.py", "inputs/serving_settings.py",
)  # fmt: skip


def test_only_the_command_line_knows_flags() -> None:
    found = []
    for file in SOURCES:
        place = file.relative_to(SOURCES[0].parent)
        if (
            place.parts[0] in ("cli", "web")
            or str(place) in ELSEWHERE
            or place.match("report/svg/*")
            or place.name == "html.py"
        ):
            continue
        found += [f"{place}: {line.strip()}" for line in file.read_text("utf-8").splitlines() if FLAG.search(line)]
    assert found == []


def test_every_parameter_of_an_error_is_an_option_or_an_argument() -> None:
    commands = [load_command(name) for name in COMMANDS]
    names = {parameter.name for command in commands for parameter in command.parameters}
    names |= {name for command in commands for option in command.options.values() for name in option.also}
    written = set()
    for file in SOURCES:
        if file.relative_to(SOURCES[0].parent).parts[0] == "web":  # fields of the page's state
            continue
        text = file.read_text("utf-8")
        written |= {(name, file.name) for name in re.findall(r'\bparameter="(\w+)"', text)}
    unknown = {(name, file) for name, file in written if name not in names}
    assert {name for name, _ in unknown} <= {"mesh", "model"}


def test_every_setting_has_an_option() -> None:
    options = {option.name for name in COMMANDS for option in load_command(name).options.values()}
    assert set(setting_names()) - options == {"master", "mesh"}


def test_an_option_accepts_what_its_setting_accepts() -> None:
    """``zero`` is the only integer with choices, which the command line leaves to the setting."""
    command = load_command("explain")
    for each in (setting for found in quantities() for setting in found.explained):
        options = [option for option in command.options.values() if option.name == each.name]
        for option in options:
            assert option.kind is (each.kind if each.kind in (int, bool) else str), each.name
            assert option.repeatable is (each.kind == TEXTS), each.name
            assert option.choices == (() if each.kind is int else each.choices), each.name
        assert options or each.name in ("master", "mesh")


def test_an_option_spells_its_parameter() -> None:
    command = load_command("fit")
    assert command.spell("lora_targets", "") == "--lora-target"
    assert command.spell("lora_rank", "N") == "--lora-rank N"
    assert command.spell("extend", "True") == "--extend"
    assert command.spell("mode", "training") == "--training"
    assert command.spell("count", "") == "--gpu"
    assert all(isinstance(option, Option) for option in command.options.values())


# ------------------------------------------------------------------ old names


def test_an_old_option_still_works(capsys: Capture) -> None:
    line = ["memory", "gpt3", "--training", "--pp", "2", "--json"]
    assert main([*line, "--chunks", "2"]) == 0
    old = capsys.readouterr()
    assert "--chunks is now called --virtual-stages" in old.err
    assert main([*line, "--virtual-stages=2"]) == 0
    assert capsys.readouterr().out == old.out


# ------------------------------------------------------------------ examples

PACKAGE = Path(llmcalc.__file__).parent
WITH_EXAMPLES = [path for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_examples_of_docstrings_hold(path: Path) -> None:
    name = ".".join(("llmcalc", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    assert doctest.testmod(import_module(name)).failed == 0
