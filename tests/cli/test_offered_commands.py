"""Commands that screens, errors and the page offer start, and give the numbers that were promised: a random sample."""

from __future__ import annotations

import shlex
from importlib import import_module
from pathlib import Path

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.serving.start.start import Start

ROOT = Path(__file__).resolve().parents[2]
KINDS = (
    "start", "start_of_line", "start_of_file", "times", "times_of_line", "times_of_file", "limits", "several", "pools",
    "latency", "rl", "page",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_offered_commands_keep_their_promises(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    offered = import_module("benchmarks.doors.offered")
    found = list(offered.tried(4, 20261202, kind))
    assert len(found) >= 4
    assert [(one.asked, one.offer.text, one.problem) for one in found if one.problem] == []


@pytest.mark.parametrize("line", [
    # llama.cpp moves layers to host memory by itself, and with other settings others
    "serve command-r7b:12-2024 --gpu t4 --engine llama.cpp --cache q8_0 --isl 512 --osl 1000 --concurrency 64",
    # ranks that divide experts have a flag of their own
    "serve granite3-moe:3b-a800m --gpu h200:2 --engine tensorrt-llm --isl 1000 --osl 500 --concurrency 256 "
    "--sla tpot=30ms",
    "serve qwen3.6-35b-a3b --gpu h100 --engine tensorrt-llm --tp 2 --pp 2",
    # the command of a recipe asks for a verdict, not for the recipes again
    "fit mamba:790m --gpu rtx4090:8 --training",
])  # fmt: skip
def test_offered_commands_that_differed_keep_their_promises(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    offers, running = (import_module(f"benchmarks.doors.{name}") for name in ("offers", "running"))
    asked = running.show(shlex.split(line))
    problems = [running.problem(asked, one) for one in offers.offers(asked)]
    assert problems
    assert not any(problems)


def test_a_search_offers_nothing_with_a_length_that_the_engine_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    offers, running = (import_module(f"benchmarks.doors.{name}") for name in ("offers", "running"))
    line = "vllm serve Qwen/Qwen3-1.7B --max-model-len 128k"
    asked = running.show(shlex.split(f"serve --gpu b200:4 --sla tpot=30ms --isl 1000 --osl 500 -- {line}"))
    assert (asked.code, asked.document.title[:1], list(offers.offers(asked))) == (1, "✗", [])


@pytest.mark.parametrize(
    ("line", "gpu", "fewest"),
    [
        ("vllm serve deepseek-ai/DeepSeek-V3 -tp 8 -pp 2", "h100:8", 16),  # the given layout, on enough GPUs
        ("vllm serve Qwen/Qwen3-4B -tp 8 -pp 4", "h100:8", 8),
        ("vllm serve moonshotai/Kimi-K2-Instruct -tp 8", "h100:8", 24),  # three whole nodes
        ("trtllm-serve seed-oss:36b --tp_size 4 --max_seq_len 32768", "h200:2", 2),
    ],
)
def test_the_fewest_gpus_are_suggested_first(line: str, gpu: str, fewest: int) -> None:
    found = llmcalc.serve(command=line, gpu=gpu)
    assert isinstance(found, Start)
    change, first = found.changes[0]
    assert first.ranks == fewest
    again = llmcalc.serve(command=found.line(change), gpu=f"{gpu.partition(':')[0]}:{fewest}")
    assert again.verdict == "starts"
    assert again.tokens == first.tokens


def test_suggestions_for_a_checkpoint_of_another_format_are_options(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["serve", "llama3.3-70b", "--gpu", "l40s", "--weights", "awq-int4-g128", "--tp", "2"]
    found = llmcalc.serve("llama3.3-70b", "l40s", weights="awq-int4-g128", tp=2)
    assert "vllm serve" not in " ".join(one["command"] for one in found.to_dict()["changes"])
    assert main(asked) == 0  # it probably starts
    assert "--max-model-len" in capsys.readouterr().out
    assert main([*asked, "--max-model-len", str(found.changes[0][0]["max_model_len"])]) == 0


def test_a_suggestion_for_a_command_line_is_a_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["serve", "--gpu", "l40s:8", "--isl", "1000", "--osl", "1000", "--concurrency", "1000"]
    assert main([*asked, "--format", "plain", "--", "trtllm-serve", "Qwen/Qwen3-8B", "--tp_size", "4"]) == 0
    row = next(text for text in capsys.readouterr().out.splitlines() if "  1,000 of 1,000  " in text)
    line = row.partition("  ")[0].rpartition(" -- ")[2]
    assert line == "trtllm-serve Qwen/Qwen3-8B --tensor_parallel_size 8"
    assert main([*asked, "--", *shlex.split(line)]) == 0


def test_settings_of_llama_cpp_may_stand_beside_a_modelfile(tmp_path: Path) -> None:
    file = tmp_path / "Modelfile"
    file.write_text("FROM qwen3:32b\nPARAMETER num_ctx 32768\n", "utf-8")
    few, more = (llmcalc.serve(file, "h100", isl=8000, osl=500, cache=kind).time.capacity for kind in (None, "q8_0"))
    assert more > few
    with pytest.raises(llmcalc.InputError, match="cannot be combined with a Modelfile"):
        llmcalc.serve(file, "h100", isl=8000, osl=500, weights="q8_0")
