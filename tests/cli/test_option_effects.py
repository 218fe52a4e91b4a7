"""Every option of every command changes the output, is refused, or has a stated reason to leave it as it is."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import llmcalc
from llmcalc.analysis.quantity import quantities
from llmcalc.cli.commands import load
from llmcalc.cli.main import BAD_INPUT, main
from llmcalc.cli.options import MODEL_OUTPUT, READING
from llmcalc.cli.spec import Command, Option
from llmcalc.cli.table import COMMANDS, split
from llmcalc.core.setting import WORKLOAD
from llmcalc.inputs.effects import CONDITIONS

AUDIO = {
    "model_type": "qwen2_audio", "some_new_key": 3,
    "text_config": {"hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 96, "num_attention_heads": 4,
                    "num_key_value_heads": 2, "vocab_size": 1009},
}  # fmt: skip
# a dense, a sparse, an encoder-decoder, a recurrent, an encoder-only and a vision-language model
DENSE, SPARSE, BOTH, RECURRENT, ENCODER, VISION = "gpt2", "mixtral", "t5-small", "mamba2", "bert", "qwen3-vl-2b"
PREDICTING = "qwen3.5-0.8b"  # tokens that follow the next one
LINES = (
    *(f"flops {model} --seq 96" for model in (DENSE, SPARSE, RECURRENT, ENCODER, VISION)),
    f"flops {SPARSE} --seq 96 --mode train",
    *(f"{command} {PREDICTING}" for command in ("params", "flops", "memory --training", "train --tokens 10B")),
    f"flops {BOTH} --mode decode --context 100",
    "flops {config} --allow-unknown some_new_key --seq 96",
    *(f"traffic {model} --seq 96" for model in (ENCODER, VISION)),
    *(f"traffic {model} --mode decode --context 100" for model in (DENSE, SPARSE, BOTH, RECURRENT)),
    f"traffic {DENSE} --mode train --seq 96",
    "traffic {config} --allow-unknown some_new_key --seq 96",
    f"communication {DENSE} --seq 96",
    f"communication {SPARSE} --seq 96 --mode train --dp 4 --tp 2 --pp 2 --ep 2",
    f"communication {RECURRENT} --seq 96 --mode train --dp 4 --tp 2",
    f"communication {DENSE} --mode decode --context 100 --tp 2",
    *(f"memory {model} --seq 96" for model in (DENSE, BOTH, RECURRENT, ENCODER)),
    f"memory {SPARSE} --seq 96 --dp 2 --tp 2 --weights q8_0",
    *(f"memory {model} --seq 96 --training" for model in (DENSE, RECURRENT, ENCODER)),
    f"memory {SPARSE} --seq 96 --training --dp 2 --tp 2 --pp 2",
    f"memory {BOTH} --seq 96 --training --dp 2 --dtype fp32",
    f"memory {DENSE} --seq 96 --training --convention torch",
    f"memory {DENSE} --seq 96 --training --lora-rank 4 --attention eager",
    f"fit {DENSE} --gpu h100",
    f"fit {RECURRENT} --gpu 24GiB",
    f"fit {SPARSE} --gpu h100:4 --weights q8_0",
    f"fit {DENSE} --gpu h100:4 --training --dp 4",
    *(f"explain {DENSE} {name}" for name in ("params", "flops", "memory", "state", "train --tokens 1B")),
    f"explain {SPARSE} traffic",
    f"explain {SPARSE} latency --gpu h100:2",
    f"explain {SPARSE} communication --tp 2",
    f"sweep {DENSE} flops.total state.bytes --over seq=64,128",
    f"sweep {SPARSE} memory.peak memory.state memory.activations memory.gradients memory.optimizer"
    " --over training=true,false",
    f"compare {DENSE} {ENCODER}",
    f"compare {DENSE} {SPARSE} --training --dp 2",
    f"compare {DENSE} {SPARSE} --gpu h100:4 --tp 2",
    f"check {DENSE} --max-latency 1ms --gpu h100:4",
    f"check {DENSE}",
    f"check {SPARSE} --max-memory 1GiB",
    f"check {DENSE} --max-compute 1e20 --tokens 1B",
    f"rl {DENSE} --gpu h100",
    f"rl {DENSE} --gpu h100 --sleep 1 --algorithm ppo",
    f"train {DENSE} --tokens 10B",
    f"train {DENSE} --tokens 10B --gpu h100:8",
    f"train {DENSE} --tokens 10B --lora-rank 8",
    f"train {DENSE} --tokens 10B --gpu h100:4 --dp 4 --pue 1.1 --carbon 0.4",
    f"plan {DENSE} --gpu h100:4",
    f"latency {DENSE} --gpu h100:4",
    f"latency {SPARSE} --gpu h200:4 --seq 96",
    f"latency {SPARSE} --gpu h200:4 --tp 2 --seq 96 --new-tokens 5",
    f"latency {ENCODER} --gpu h100:4",
    "latency gpt2 --gpu h100",
    "scale --compute 1e22",
    f"scale {DENSE} --tokens 1T",
    "scale --gpu h100:512 --days 30",
    f"params {DENSE}",
    f"params {DENSE} --layout transformers",
    f"report {RECURRENT} -o -",
    "timeline",
)
# further lines for the options without an effect on any of these lines
MEMORY = (
    f"{DENSE} --seq 2000", BOTH, f"{SPARSE} --weights q8_0", f"{DENSE} --tp 2", f"{SPARSE} --batch 4 --dp 2 --tp 2",
    f"{DENSE} --training --gradient-buffer", f"{DENSE} --training", f"{DENSE} --training --tp 2",
    f"{DENSE} --training --lora-rank 4", f"{DENSE} --training --convention torch --seq 8",
    f"{SPARSE} --training --dp 2 --tp 2 --pp 2",
    f"{SPARSE} --training --convention torch --optimizer sgd --seq 32k --extend", f"{RECURRENT} --training",
)  # fmt: skip
STEPS = (f"{DENSE} --seq 2000", f"{SPARSE} --mode decode --context 100", BOTH)
SWEPT = "memory.peak memory.weights memory.optimizer --over batch=1,2"
MORE = (
    *(f"memory {rest}" for rest in MEMORY),
    f"memory {VISION}",
    f"rl {DENSE} --gpu h100 --lora-rank 4",
    f"rl {DENSE} --gpu h100 --dp 4",
    f"rl {DENSE} --gpu h100 --zero 2 --dp 2",
    *(f"fit {rest} --gpu h100" for rest in MEMORY),
    "fit --gpu 2GiB",
    *(f"explain {model} memory {rest}" for model, _, rest in (line.partition(" ") for line in MEMORY)),
    *(f"sweep {model} {SWEPT} {rest}" for model, _, rest in (line.partition(" ") for line in MEMORY)),
    *(f"compare {DENSE} {rest}" for rest in (*MEMORY, *STEPS)),
    *(f"check {rest} --max-memory 1GiB" for rest in MEMORY),
    *(f"check {rest} --max-flops 1" for rest in (*STEPS, f"{DENSE} --max-traffic 1GiB")),
    *(f"explain {model} flops {rest}" for model, _, rest in (line.partition(" ") for line in STEPS)),
    *(
        f"sweep {model} flops.total --over batch=1,2 {rest}"
        for model, _, rest in (line.partition(" ") for line in STEPS)
    ),
    f"sweep {DENSE} traffic.total --over batch=1,2",
    f"sweep {SPARSE} latency.seconds --gpu h100:2 --over batch=1,64",
    f"sweep {DENSE} train.compute --over seq=64,96 --tokens 1B",
    f"sweep {DENSE} memory.peak --over tp=1,5",
    *(
        f"{name} {DENSE} --seq 2000 {rest}"
        for name, rest in (("flops", ""), ("traffic", ""), ("communication", "--tp 2"))
    ),
    *(f"{name} {BOTH}" for name in ("flops", "traffic", "communication --tp 2")),
    f"traffic {SPARSE} --weights q8_0",
    f"compare {BOTH} {BOTH}",
    f"train {BOTH} --tokens 1B",
    f"train {DENSE} --tokens 1B --gpu h100:2",
    f"train {DENSE} --tokens 1B --gpu h100:2 --batch-tokens 1M",
    f"train {DENSE} --seq 2000 --tokens 1B",
    *(
        f"train {model} --tokens 1B --gpu h100:4 {rest}"
        for model, rest in (
            (DENSE, "--tp 4"),
            (DENSE, "--dp 2 --tp 2"),
            (SPARSE, "--dp 2 --tp 2"),
            (DENSE, "--dp 2"),
            (DENSE, "--dp 4 --zero 3"),
            (SPARSE, "--pp 2 --tp 2 --micro-batch-size 8 --optimizer sgd"),
        )
    ),
    f"plan {DENSE} --gpu h100:16",
    f"scale {SPARSE} --tokens 1T",
    "scale --compute 1e22 --inference 1T",
    "scale --compute 1e22 --law krajewski --n-experts 8",
    "scale --gpu h100:512 --price 2.5",
    "scale",
)
CALIBRATED = str(Path(__file__).parents[1] / "calibration.yaml")
STEPS_OF_GPT2 = str(Path(__file__).parents[1] / "training_calibration.yaml")
VALUES = {
    "active": "1B", "batch": "3", "batch_tokens": "1M", "beams": "4", "budget": "1e21", "cache": "fp8",
    "calibration": CALIBRATED,
    "carbon": "0.2", "completion": "97", "completions": "3", "compute": "1e22", "context": "50", "cp": "2",
    "days": "3", "depth": "1", "dollars": "1M", "dp": "2", "engine_tp": "2",
    "engine_version": "0.6", "ep": "2", "etp": "1", "extras": "mtp",
    "explain select": "attention",
    "fix": "tp=2", "include": "tp=2", "max_pp": "1", "node": "2", "network_gbytes_per_gpu": "7",
    "frames": "100", "gpu": "a100-sxm-80gb:4", "gpu_memory": "30GiB",
    "max_latency": "2ms",
    "granularity": "4", "hours": "1M", "image": "97x61", "ignore": "HW", "inference": "1T", "inference_cost": "0.5",
    "keep": "attention", "laws": "hoffmann-1", "layout": "transformers", "lengths": "1k,2k", "lora_rank": "8",
    "lora_targets": "wq", "loss": "2.1", "max_active": "1B", "max_communication": "1GiB", "max_flops": "1e9",
    "max_memory": "2GiB", "max_params": "1B", "max_state": "1MiB", "max_traffic": "1GiB", "mfu": "40%",
    "recompute": "full", "stack": "torchtitan",
    "micro_batch": "2", "micro_batches": "3", "n_experts": "8", "only": "attention", "optimizer": "sgd",
    "output": "/dev/null", "over": "batch=1,2", "page": "48", "parameters": "7B", "patches": "64", "pp": "2",
    "precision": "fp8", "prefill": "40", "price": "2.5", "prompt": "89", "pue": "1.3", "reserve": "3GiB",
    "select": "HW", "share": "0.4", "sleep": "2", "seq": "80", "shapes": "gpt3", "step_tokens": "32",
    "target_seq": "50", "tokens": "2B", "tp": "2", "unique": "1T", "virtual_stages": "2",
    "vocabulary_multiple": "1000", "watts": "300", "weights": "q4_0", "zero": "1",
    "zero_group": "2", "attention_weights": "fp8",
    "experts": "fp8", "new_tokens": "7", "train calibration": STEPS_OF_GPT2,
    "step_time": "7s", "tokens_per_s": "60k", "scale over": "params=1B,2B",
}  # fmt: skip
# options of the input and the form of the output
ELSEWHERE = {option.name for option in (*READING, *MODEL_OUTPUT)} | {"output", "force", "training_file", "whole"}
# options that may leave an output as it is, by name, or by name and value, and the reason
COINCIDENTAL = {
    "loss shifted": "default with LoRA; without, the loss may not be at the peak",
    "loss parallel": "the loss may not be at the peak",
    "gradients fp32": "default with LoRA",
    "attention eager": "a model without attention",
    "batch": "a size",
    "convention": "eager code may need as much",
    "count": "a convention, and encoders see all pairs",
    "dp": "a rank of the mesh may need as much on any number of ranks",
    "dtype fp16": "as wide as bf16",
    "dtype fp32": "nothing is sent on a single rank",
    "engine llama.cpp": "the default for formats of llama.cpp",
    "engine none": "the only answer for training",
    "engine vllm": "the default, except on Apple silicon and for formats of llama.cpp",
    "ep": "experts on tensor-parallel ranks send as much as their shards",
    "etp": "1 is the default without tensor parallelism",
    "extend": "a permission, which these sequences do not need",
    "granularity": "no law of the selection depends on it",
    "gradient_buffer": "gradients already accumulate over several micro-batches",
    "gradients fp16": "as wide as bf16",
    "ignore": "no finding of this rule",
    "logits": "a step with one new token",
    "micro_batches": "more micro-batches than the pipeline has in flight",
    "mode": "the mode is that of --training, or nothing is sent on a single rank",
    "network_gbytes_per_gpu": "a network between servers, of which there is one",
    "pp": "no finding",
    "select": "a selection of all findings",
    "seq": "a size",
    "skip_invalid": "a permission, which these points do not need",
    "step_tokens": "an encoder reads one sequence at once",
    "prefill": "no larger than the step",
    "tp": "no finding",
    "vocabulary_multiple": "the vocabulary is a multiple of both",
}


@cache
def run(line: str) -> tuple[int, str, str]:
    """Run a command line and return its exit code, output without the inputs, and errors."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(line.split())
    text = out.getvalue()
    if line.endswith("--json") and code != 2:
        text = json.dumps({name: value for name, value in json.loads(text).items() if name != "inputs"})
    return code, text, err.getvalue()


def command_of(line: str) -> Command:
    return load(split(line.split())[0])


def options_of(command: Command) -> Iterator[Option]:
    seen = {option.name: option for option in command.options.values() if option.name not in ELSEWHERE}
    return iter(seen.values())


def values_of(option: Option, command: str) -> list[str]:
    """Return the values to try, which are not the default of the option."""
    if option.kind is bool:
        return [""]
    if option.choices:
        return [value for value in option.choices if value != option.default]
    return [VALUES.get(f"{command} {option.name}") or VALUES[option.name]]


def is_default(line: str, name: str, value: str) -> bool:
    """Return whether a value has the same effect as no value."""
    width = re.findall(r"--dtype (\S+)", line) or ["bf16"]
    settings = [setting for each in quantities() for setting in each.settings if setting.name == name]
    return any(value in (setting.usual, setting.default) or (setting.like == "dtype" and value == width[0])
               for setting in settings)  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("audio") / "config.json"
    path.write_text(json.dumps(AUDIO))
    return str(path)


def without(line: str, option: Option) -> str:
    """Return a line without an option."""
    flag = option.flag if option.kind is bool else rf"{option.flag} \S+"
    return line if option.repeatable else re.sub(rf" {flag}(?= |$)", "", line)


def effect(line: str, option: Option, value: str) -> str:
    """Return what an option does to a line: ``effect``, ``refused`` or ``nothing``."""
    line = without(line, option)
    is_json = any(each.name == "as_json" for each in load(split(line.split())[0]).options.values())
    form = "--format plain" if option.name == "by" else "--json" if is_json else ""
    before, after = run(f"{line} {form}"), run(f"{line} {option.flag} {value} {form}")
    if after[0] == BAD_INPUT:
        return "nothing" if before[0] == BAD_INPUT else "refused"
    return "effect" if after[:2] != before[:2] else "nothing"


@pytest.mark.parametrize("name", dict.fromkeys(split(line.split())[0] for line in LINES))
def test_an_option_without_effect_is_refused(name: str, config: str) -> None:
    lines = [line.format(config=config) for line in LINES if split(line.split())[0] == name]
    failures = [f"{line}: {run(line)[2]}" for line in lines if run(line)[0] == BAD_INPUT]
    for option in options_of(load(name)):
        found = {(line, value): effect(line, option, value) for line in lines for value in values_of(option, name)}
        more = (line for line in MORE if split(line.split())[0] == name)
        tries = ((line, value) for line in more for value in values_of(option, name))
        if "effect" not in found.values() and all(effect(line, option, value) != "effect" for line, value in tries):
            failures.append(f"{name} {option.flag}: no effect on any line")
        failures += [
            f"{line} {option.flag} {value}: no effect, and not refused"
            for (line, value), result in found.items()
            if result == "nothing" and not is_default(line, option.name, value)
            and COINCIDENTAL.keys().isdisjoint((option.name, f"{option.name} {value}"))
        ]  # fmt: skip
    assert not failures, "\n".join(failures)


def test_every_condition_is_defined_and_needed() -> None:
    from llmcalc.api import scale
    from llmcalc.inputs import serving_settings
    from llmcalc.training import run

    settings = [
        *serving_settings.SERVE,
        *serving_settings.LATENCY,
        *run.SETTINGS,
        *scale.SETTINGS,
        *WORKLOAD,
        *(setting for each in quantities() for setting in each.settings),
    ]
    assert {name for setting in settings for name in setting.needs} == set(CONDITIONS)


def test_a_coincidence_has_an_option() -> None:
    names = {option.name for name in COMMANDS for option in options_of(load(name))}
    assert {name.partition(" ")[0] for name in COINCIDENTAL} <= names


def test_only_an_axis_as_a_whole_needs_an_effect() -> None:
    swept = llmcalc.sweep("gpt2", "memory.peak", {"training": [False, True], "tp": [1, 2]}, recompute="full", sp=True)
    serving, training = swept.values["memory.peak"].tolist()
    assert serving == [llmcalc.memory("gpt2", mesh=llmcalc.Mesh(tp=tp)).peak for tp in (1, 2)]
    meshes = (llmcalc.Mesh(), llmcalc.Mesh(tp=2, sp=True))
    assert training == [llmcalc.memory("gpt2", mode="training", recompute="full", mesh=mesh).peak for mesh in meshes]
    with pytest.raises(llmcalc.InputError, match="sp: has no effect without tensor parallelism"):
        llmcalc.sweep("gpt2", "memory.peak", {"dp": [1, 2]}, training=True, sp=True)
    with pytest.raises(llmcalc.InputError, match="ep: has no effect on gpt2-small, which has no routed experts"):
        llmcalc.sweep("gpt2", "memory.peak", {"ep": [1, 2]}, dp=2)
    assert llmcalc.compare("gpt2", "mixtral", dp=2, ep=2)
    assert llmcalc.sweep("gpt2", "flops.total", {"mode": ["forward", "decode"]}, context=5, seq=3)


def test_an_error_says_why_and_what_to_add() -> None:
    with pytest.raises(llmcalc.InputError) as found:
        llmcalc.memory("gpt2", recompute="full")
    assert str(found.value) == 'recompute: has no effect in serving\n  add mode="training"'
    assert run("memory gpt2 --recompute full")[2] == (
        "error: --recompute: has no effect in serving\n  add --training\n"
    )
    assert run("traffic gpt2 --recompute full")[0] == BAD_INPUT
    assert "add --mode train" in run("communication gpt2 --tp 2 --gradients fp32")[2]
    assert "add --training" in run("compare gpt2 bert --optimizer sgd")[2]
    assert "add --training" in run("sweep gpt2 memory.peak --over seq=64 --optimizer sgd")[2]


REFUSED = {
    "fit gpt2 --gpu h100 --solve recipe --recompute full": "--recompute: has no effect on a search for recipes",
    "fit gpt2 --gpu h100 --list": "--list: cannot be combined with a model",
    "fit 2GiB --list --tp 2": "--tp: has no effect on a list of models",
    "fit gpt2 --gpu all --solve seq": "--solve: has no effect on a search for GPUs",
    "fit --gpu h100": "missing MODEL",
    "design llama3 --params 3B --seq 384": "--seq: has no effect on params",
    "import gpt2 --force": "--force: has no effect on standard output",
    "params gpt2 --layout transformers --by layer": "--by: has no effect on the tensors of a layout",
    "params {config} --allow-unknown some_new_key --set model_type=llama": "add --as llama",
    "report gpt2 -o - --force": "--force: has no effect on standard output",
    "scale --compute 1e22 --price 2.5": "--price: has no effect without a GPU\n  add --gpu h100:512",
    "scale --compute 1e22 --seq 384": "--seq: has no effect without a model",
    "scale --compute 1e22 --set n_layers=3": "--set: has no effect without a model",
    "timeline llama --all": "--all: has no effect on a search",
    "train gpt2 --tokens 1B --gpu h100 --pue 1.1": "--pue: has no effect without the carbon intensity",
    "train gpt2 --tokens 1B --recompute full": "--recompute: has no effect without a GPU",
    "train gpt2 --tokens 1B --watts 300": "--watts: has no effect without a GPU",
}


@pytest.mark.parametrize("line", REFUSED)
def test_other_options_without_effect_are_refused(line: str, config: str) -> None:
    code, out, error = run(line.format(config=config))
    assert (code, out) == (BAD_INPUT, "")
    assert REFUSED[line] in error


@pytest.mark.parametrize("line", ["memory gpt2 --recompute none", "memory gpt2 --tp 1 --zero 0 --batch 1",
                                  "memory mamba2 --cache bf16", "fit gpt2 --gpu h100 --cross-entropy eager",
                                  "flops gpt2 --context 0", "memory gpt2 --training --gradients bf16"])  # fmt: skip
def test_an_explicit_default_is_no_error(line: str) -> None:
    assert run(line)[0] == 0
