"""What every command prints with --json is what the published schema says."""

from __future__ import annotations

import copy
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from llmcalc.cli.main import main
from llmcalc.cli.table import COMMANDS
from llmcalc.core.evidence import CLASSES
from llmcalc.data import table
from llmcalc.inputs.gpus import accelerators
from llmcalc.report.result_schema import command_schema, result_schema

SCHEMA = result_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
PRINT_NO_RESULT = {"schema", "report", "import", "web build", "web serve"}
COMPUTE_NOTHING = {
    "rule",
    "help quantities",
    "presets list",
    "presets search",
    "presets where",
    "presets show",
    "presets kinds",
}
LINES = [
    "explain gpt2",
    "help quantities",
    "sweep gpt2 params.total --over n_layers=0,2 --skip-invalid",
    "params mixtral",
    "params gpt2 --by tensor",
    "params gpt2 --layout transformers",
    "traffic mixtral-8x7b --mode decode --context 5",
    "communication mixtral-8x7b --mode train --tp 4 --pp 2 --zero 1 --dp 2",
    "communication gpt2",
    "flops gpt2",
    "flops t5 --mode train --recompute full",
    "flops gpt3 --mode train --seq 2048 --batch 100000",
    "memory gpt-oss-120b --weights mxfp4 --paged 16",
    "memory mamba2",
    "memory gpt2 --training",
    "memory llama3-8b --training --tp 2 --pp 2 --dp 2 --zero 1",
    "fit gpt2 --gpu h100",
    "fit gpt2 --gpu h100 --solve quant",
    "fit llama3-8b --gpu h100 --solve seq",
    "fit llama3.1-405b --gpu l4",
    "fit gpt2 --gpu all",
    "fit 2GiB --list",
    "fit gpt2 4GiB --solve recipe",
    "compare gpt2 bert mixtral",
    "diff llama3-8b llama3.1-8b",
    "diff gpt2 gpt3",
    "explain gpt2 params",
    "explain mixtral active",
    "explain gpt2 flops",
    "sweep gpt2 params.total flops.total --over seq=1,2",
    "verify gpt2",
    "evidence",
    "evidence memory",
    "evidence params",
    "check gpt2 --max-params 1M",
    f"check-log {shlex.quote(str(Path(__file__).parents[1] / 'server.log'))}",
    "rule",
    "rule HW005",
    "design llama3 --params 13B",
    "design llama3 --params 13B --over vocab=32000,64000",
    "timeline llama",
    "scale --compute 1e23",
    "latency gpt2 --gpu h100",
    "latency mixtral --gpu h100:4 --seq 100 --new-tokens 5",
    "serve llama3.1-8b --gpu h100",
    "serve llama3.1-8b --gpu h100:2 --isl 1k --osl 500 --sla ttft<900ms,tpot<90ms",
    "serve llama3.1-8b --gpu h100:2 --isl 1k --osl 500 --pareto",
    "serve llama3.1-8b --gpu h100:2,l4 --isl 1k --osl 500 --sla tpot=30ms",
    "serve llama3.1-8b --gpu h100:2 --isl 1k --osl 500 --sla tpot=1ms",
    "serve llama3.1-8b --gpu h100:2 --isl 1k --osl 500 --prefill-pool 1x --api-price 0.1/0.2 --watts 500",
    "serve llama3.1-8b --gpu h100:2 --isl 1k --osl 500 --concurrency 7",
    "serve qwen3-32b --gpu h100 --engine-version 0.11",
    "serve qwen3-32b --gpu h100 --engine llama.cpp --gpu-layers 20",
    "serve qwen3-32b --gpu h100:2 --draft qwen3-0.6b --enable-lora --kv-offloading-size 8",
    "fit qwen3-32b --gpu rtx4090 --solve gpu-layers",
    "rl gpt2 --gpu h100",
    f"calibrate {Path(__file__).parents[1] / 'serving_rows.csv'}",
    "scale llama3-8b --tokens 1T",
    "scale --gpu h100:512 --days 30",
    "plan gpt2 --gpu h100:8",
    "plan gpt2 --gpu h100:8 --include tp=2",
    "train gpt2 --tokens 1T --gpu h100:8",
    "train gpt3 --tokens 300B",
    "laws list",
    "laws show hoffmann-3",
    "presets list",
    "presets search moe",
    "presets where gpt2",
    "presets kinds",
    "presets kinds gqa",
    "presets show gpt2",
    "presets show gpt2 --resolved",
    "hardware list",
    "hardware show h100",
    "hardware show tpu-v4",
    "formats list",
]  # fmt: skip


def printed(line: str, capsys: pytest.CaptureFixture[str]) -> Any:
    assert main([*shlex.split(line), "--json"]) in (0, 1)
    return json.loads(capsys.readouterr().out)


def test_it_is_a_schema_of_every_command() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["oneOf"][0]["properties"]["command"]["enum"]) == set(COMMANDS) - PRINT_NO_RESULT
    tried = {command for command in COMMANDS if any(f"{line} ".startswith(f"{command} ") for line in LINES)}
    assert tried == set(COMMANDS) - PRINT_NO_RESULT


@pytest.mark.parametrize("line", LINES)
def test_what_is_printed_fits(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = printed(line, capsys)
    assert [error.message for error in VALIDATOR.iter_errors(data)] == []
    if data["command"] not in COMPUTE_NOTHING:
        assert data["result"]["evidence"]
        assert set(data["result"]["evidence"].values()) <= set(CLASSES)


@pytest.mark.parametrize("change", ["total", "more", "command", "schema"])
def test_what_is_not_described_does_not_fit(change: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = copy.deepcopy(printed("params gpt2", capsys))
    if change == "total":
        del data["result"]["total"]
    elif change == "more":
        data["result"]["more"] = 1
    else:
        data[change] = "other"
    assert not VALIDATOR.is_valid(data)


def test_unverified_specifications_are_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    for checked, expected in (("true", "measured"), ("false", "assumed")):
        name = next(name for name, one in accelerators().items() if one.checked == checked)
        assert printed(f"hardware show {name}", capsys)["result"]["evidence"] == {"figures": expected}


def test_large_integers_have_their_digits_beside_them(capsys: pytest.CaptureFixture[str]) -> None:
    result = printed("flops gpt3 --mode train --batch 100000", capsys)["result"]
    assert result["total_str"] == str(result["total"])


def test_the_workload_hides_no_source(capsys: pytest.CaptureFixture[str]) -> None:
    inputs = printed("flops gpt2", capsys)["inputs"]
    assert inputs["source"] == "radford2019"
    assert "source_tokens" in inputs


def test_the_entries_of_a_command_become_its_schema() -> None:
    check = Draft202012Validator(
        command_schema("flops", {"total": "integer: FLOPs", "note": "maybe string or null: a note"})
    )
    assert check.is_valid({"total": 2**60, "total_str": str(2**60)})
    assert check.is_valid({"total": 7, "note": None})
    for wrong in ({}, {"total": "7"}, {"total": 7, "more": 1}, {"total": 7, "note": 7}):
        assert not check.is_valid(wrong)


def test_every_command_has_a_schema_of_its_keys() -> None:
    for command, keys in table("results").items():
        assert list(SCHEMA["$defs"][command.replace(" ", "_")].get("properties", {})) == list(keys)
