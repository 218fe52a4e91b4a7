"""``scale``, ``train`` and ``laws``: the library's numbers, every assumption in sight, one message for bad input."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.inputs.scaling_laws import USUAL_LAWS, laws
from llmcalc.training.published_runs import as_other_runs

Capture = pytest.CaptureFixture[str]


def answer(capsys: Capture, line: str, code: int = 0) -> dict[str, Any]:
    assert main([*line.split(), "--json"]) == code
    data = json.loads(capsys.readouterr().out)
    assert set(data) == {"schema", "command", "inputs", "result"}
    return dict(data["result"])


def screen(capsys: Capture, line: str, form: str = "plain") -> str:
    assert main([*line.split(), "--format", form]) == 0
    return capsys.readouterr().out


def words(capsys: Capture, line: str) -> str:
    """The table, with one space between words."""
    return " ".join(screen(capsys, line, "table").split())


def test_scale_says_what_the_library_says(capsys: Capture) -> None:
    found = answer(capsys, "scale --compute 3640PF-days --inference 10T --law hoffmann-3 --law besiroglu")
    ours = llmcalc.scale(compute=3640 * 8.64e19, inference=1e13, laws=["hoffmann-3", "besiroglu"])
    assert found["points"] == json.loads(json.dumps(ours.to_dict()["points"]))
    assert found["median"]["parameters"] == ours.middle("parameters")
    assert found["warnings"] == list(ours.warnings)


def test_amounts_have_scales(capsys: Capture) -> None:
    by_letter = answer(capsys, "scale --params 70B --tokens 1.4T")["points"]
    by_number = answer(capsys, "scale --params 70e9 --tokens 1400G")["points"]
    assert by_letter == by_number
    assert by_letter[0]["parameters"] == 70e9


def test_512_accelerators_for_30_days(capsys: Capture) -> None:
    """What should I train? N, D, loss by law, shapes, memory, cost, and every assumption, on one screen."""
    line = "scale --gpu h100:512 --days 30"
    found = answer(capsys, line)
    assert found["budget"]["hours"]["mid"] == 512 * 30 * 24
    share = found["budget"]["share"]  # hours of published runs as multiples of those at their MFU
    assert share > 1
    assert found["budget"]["flops"]["mid"] == pytest.approx(512 * 30 * 86400 * 989.4e12 * 0.41 / share)
    run = llmcalc.train("llama3.1-70b", 10**12, gpu="h100:512")
    others = as_other_runs(run)
    assert others is not None
    assert run.hours is not None
    assert others.mid == pytest.approx(share * run.hours.mid)  # as train computes them
    assert {point["law"] for point in found["points"]} == set(USUAL_LAWS)
    (large,) = found["shapes"]  # of similar size
    assert large["model"] == "llama3.1-70b"
    step = llmcalc.flops(llmcalc.load("llama3.1-70b"), seq=4096, mode="train")
    assert large["tokens"] * step.matmul / 4096 == pytest.approx(found["budget"]["flops"]["mid"], rel=1e-6)
    assert large["fit"]["count"] == 512
    text = screen(capsys, line)
    for said in (
        "extrapolated",
        "MFU 41.0 %",
        "38.0 % to 47.0 %",
        "$2.30 to $12.29 per hour",
        "ZeRO-3",
        "grattafiori2024",
        "not comparable",
    ):
        assert said in text, said


def test_a_budget_in_money(capsys: Capture) -> None:
    found = answer(capsys, "scale --gpu h100:8 --dollars 1M --price 2.50 --mfu 40%")
    assert found["budget"]["hours"]["mid"] == 400_000
    assert found["budget"]["cost"] == {"low": 1e6, "high": 1e6}
    assert found["budget"]["flops"]["low"] == found["budget"]["flops"]["high"]


def test_shapes_that_were_asked_for(capsys: Capture) -> None:
    found = answer(capsys, "scale --compute 1e22 --shape qwen3-4b --shape qwen3-14b")
    assert [shape["model"] for shape in found["shapes"]] == ["qwen3-4b", "qwen3-14b"]
    assert found["shapes"][0]["fit"] is None


def test_a_model_is_judged(capsys: Capture) -> None:
    found = answer(capsys, "scale llama3-8b --tokens 15T --law besiroglu")["points"][0]
    assert found["parameters"] == 8030261248
    assert found["overtraining"] > 80
    assert found["excess"] == pytest.approx(5.5, abs=0.05)
    wider = answer(capsys, "scale gpt2 --tokens 10B --set n_layers=24 --law besiroglu")["points"][0]
    assert wider["parameters"] == llmcalc.params(llmcalc.load("gpt2", overrides=["n_layers=24"])).total


def test_huge_prices_and_watts_have_an_exponent(capsys: Capture) -> None:
    line = "train gpt2 --tokens 1B --gpu h100:64"
    assert re.search(r"cost \$\d\.\d\de30 \$\d\.\d\de30 to \$\d\.\d\de30", words(capsys, f"{line} --price 1e30"))
    assert re.search(r"energy \d\.\d\de24 \d\.\d\de2\d to \d\.\d\de24", words(capsys, f"{line} --watts 1e30"))


def test_train_says_what_the_library_says(capsys: Capture) -> None:
    line = "train llama3-70b --tokens 15T --seq 8192 --gpu h100:512 --price 2.5 --batch-tokens 4M"
    found = answer(capsys, line)
    ours = llmcalc.train(
        llmcalc.load("llama3-70b"), 15 * 10**12, seq=8192, gpu=llmcalc.machine("h100", 512), price=2.5,
        batch_tokens=4 * 10**6,
    )  # fmt: skip
    for name in ("compute", "six_nd", "sequences", "steps", "weights_bytes", "resume_bytes", "read_bytes"):
        assert found[name] == getattr(ours, name)
    assert found["hours"]["mid"] == pytest.approx(ours.hours.mid if ours.hours else 0)
    assert found["compute_str"] == str(ours.compute)
    text = screen(capsys, line)
    for said in ("by published MFU", "LLaMA, Table 15", "Patterson 2021", "as given", "restarts", "backward"):
        assert said in text, said


def test_a_run_is_stated_in_tokens_and_costs_are_ranges(capsys: Capture) -> None:
    text = words(capsys, "train llama3-70b --tokens 15T --gpu h100:512 --all")
    for said in (
        "workload: tokens 15.00 T · sequences 7.324 B · seq 2048 · attention causal",
        "published run 6.40M",
        "by published MFU 4.45M 3.88M to 4.80M",
        "; quotes from $2.30 to $12.29",
        "without restarts; published runs took",
    ):
        assert said in text, said
    assert "cost $20.0M at $2.00 per hour" in words(capsys, "scale --gpu h100 --dollars 20M --price 2")
    explained = words(capsys, "explain llama3-70b train --tokens 15T --depth 0")
    assert "workload: sequences 7.324 B · seq 2048 · attention causal" in explained


def test_without_gpus_the_next_step_is_stated(capsys: Capture) -> None:
    text = words(capsys, "train llama3-70b --tokens 15T")
    assert "time and cost not known add the GPUs, such as --gpu h100:512" in text


def test_a_mesh_shows_the_memory_and_its_exit_code(capsys: Capture) -> None:
    line = "train llama3-70b --tokens 1T --gpu h100:64 --dp 8 --tp 8 --zero 1"
    fits = answer(capsys, f"{line} --recompute full --sp")["fit"]
    assert fits["fits"]
    assert fits["count"] == 64
    assert not answer(capsys, f"{line} --micro-batch-size 64", code=1)["fit"]["fits"]


def test_without_an_accelerator_there_is_compute_alone(capsys: Capture) -> None:
    found = answer(capsys, "train gpt3 --tokens 300B")
    assert found["hours"] is None
    assert found["cost"] is None
    assert found["emissions"] == []
    assert found["six_nd"] == 6 * 174604259328 * 300 * 10**9


def test_tokens_as_published_are_an_assumption(capsys: Capture) -> None:
    """[patterson2021, Table 4]: 10,000 V100 for 14.8 days, slightly more than at the published utilisation."""
    line = "train gpt3 --gpu v100-sxm2-32gb:10000"
    found = answer(capsys, line)
    assert found["tokens"] == 300 * 10**9
    forward = 2 * (96 * 12 * 12288**2 + 12288 * 50257) + 4 * 96 * 2048 * 12288  # per token, with all pairs
    days = found["other_hours"]["mid"] / 10_000 / 24  # at the published utilisation
    assert days == pytest.approx(3 * forward * 300e9 / (125e12 * 0.213 * 10_000 * 86400), rel=0.0006)
    assert days == pytest.approx(14.8, rel=0.07)
    text = screen(capsys, line)
    assert "assumed: tokens as published, 300B, brown2020" in text
    assert "3,552,000" in text
    assert "assumed: tokens" not in screen(capsys, f"{line} --tokens 300B")


def test_a_price_that_nobody_quotes_is_asked_for(capsys: Capture) -> None:
    assert "--price 2.50" in screen(capsys, "train gpt2 --tokens 1B --gpu rtx3060 --mfu 40%")


def test_training_compute_is_explained(capsys: Capture) -> None:
    found = answer(capsys, "explain llama3-8b train --tokens 15T --seq 8192 --depth 1")
    (tree,) = found["trees"]
    run = llmcalc.train(llmcalc.load("llama3-8b"), 15 * 10**12, seq=8192)
    assert tree["value"] == run.compute < run.step.total
    assert sum(child["value"] for child in tree["children"]) == tree["value"]


def test_every_law_can_be_shown(capsys: Capture) -> None:
    assert [one["name"] for one in answer(capsys, "laws list")["laws"]] == list(laws())
    for name in laws():
        found = answer(capsys, f"laws show {name}")
        assert found["constants"] == dict(laws()[name].constants)
        assert found["formula"]
    text = screen(capsys, "laws show besiroglu")
    assert "±1293.23" in text
    assert "Besiroglu et al. 2024" in text
    assert "no published figure is reproduced by: abnar" in screen(capsys, "scale --compute 1e21 --n-experts 8")
    assert "reproduces deepseek2024 Table 3" in words(capsys, "laws show deepseek")
    assert "warning: the constants were verified in one transcription" in screen(capsys, "laws show besiroglu-outliers")


def test_rows_for_a_spreadsheet(capsys: Capture) -> None:
    rows = list(csv.DictReader(io.StringIO(screen(capsys, "scale --compute 1e22", "csv"))))
    assert [row["law"] for row in rows] == list(USUAL_LAWS)
    assert float(rows[2]["loss"]) == pytest.approx(2.117, abs=0.01)


@pytest.mark.parametrize("form", ["table", "plain", "markdown", "csv"])
@pytest.mark.parametrize(
    "line",
    [
        "scale --compute 1e22 --unique 10B",
        "scale --loss 2.1 --law all",
        "scale --compute 1e22 --n-experts 16 --granularity 4",
        "scale mixtral-8x7b --tokens 1T --law besiroglu --inference 1T",
        "train t5-small --tokens 1T",
        "train mamba2-130m --tokens 1T --gpu tpu-v4:8",
        "train jamba --tokens 1T --gpu a100-sxm-80gb:64 --dp 64 --zero 3",
        "laws list",
        "laws show kaplan-path",
    ],
)
def test_every_format_prints_every_answer(line: str, form: str, capsys: Capture) -> None:
    assert main([*line.split(), "--format", form]) in (0, 1)
    printed = capsys.readouterr().out
    assert printed.count("\n") > 1
    assert "None" not in printed
    assert "nan" not in printed.split()


@pytest.mark.parametrize("columns", ["40", "80", "100"])
def test_screens_fit_the_terminal(columns: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for line in ("scale --gpu h100:512 --days 30", "train llama3-8b --tokens 1T --gpu h100:8"):
        printed = screen(capsys, line, "table")
        widest = max(map(len, printed.splitlines()))
        assert widest <= int(columns) or columns == "40"


BAD = {
    "scale": "nothing to solve for",
    "scale --compute -1e24": "-1e24 is negative",
    "scale --compute=-5": "negative",
    "scale --compute 0": "out of range",
    "scale --compute many": "3640PF-days",
    "scale --compute 1e999": "out of range",
    "scale --compute 1e24 --loss 2": "cannot solve for a combination",
    "scale --compute 1e24 --days 3 --gpu h100": "cannot be combined",
    "scale --days 30": "add --gpu",
    "scale --price 3": "add --gpu",
    "scale --gpu h100:512": "--gpu-hours",
    "scale --gpu h100:0 --days 30": "GPU count must be at least 1",
    "scale --gpu 24GB --days 30": "requires a named accelerator",
    "scale --gpu h101 --days 30": "did you mean h100?",
    "scale --gpu rtx4090:8 --days 30": "--mfu 40%",
    "scale --gpu h100 --dollars 1M": "set the price per accelerator-hour",
    "scale --gpu h100 --days -3": "negative",
    "scale --gpu h100 --days 3 --mfu 150%": "invalid share",
    "scale --loss 1.2 --law hoffmann-3": "irreducible",
    "scale --loss 0.1": "irreducible",
    "scale --params 1B --loss 1.9 --law hoffmann-3": "never reach",
    "scale --params -7B --tokens 1T": "negative",
    "scale --compute 1e22 --law besirogl": "did you mean besiroglu",
    "scale --compute 1e22 --law clark": "--n-experts 8",
    "scale --compute 1e22 --n-experts 0": "out of range",
    "scale gpt2 --params 1B": "cannot be combined with a model",
    "scale --compute 1e22 --set n_layers=2": "add a model",
    "scale --compute 1e22 --seq 0": "--seq",
    "scale gpt5000 --tokens 1T": "unknown model",
    "train bert-large --tokens 1": "fewer than one sequence",
    "train gpt3 --tokens 100": "fewer than one sequence",
    "train gpt3 --tokens 1M --batch-tokens 4M": "fewer than one step",
    "train gpt3 --tokens -1": "negative",
    "train gpt3 --tokens 1e39": "invalid number of tokens",
    "train gpt3 --tokens 1T --seq 4096": "exceed the 2048 learned positions",
    "train gpt3 --tokens 1T --mfu 40%": "add --gpu",
    "train gpt3 --tokens 1T --dp 8": "add --gpu",
    "train gpt3 --tokens 1T --watts 500": "add --gpu",
    "train gpt3 --tokens 1T --gpu h100:8 --tp 3": "tp · pp · cp is 3, but there are 8 GPUs",
    "train gpt3 --tokens 1T --gpu h100 --precision fp4": "known formats: ",
    "train gpt3 --tokens 1T --gpu h100 --pue 0.5": "must be a number of at least 1",
    "train gpt3 --tokens 1T --gpu h100 --price 0": "--price",
    "train gpt3 --tokens 1T --optimizer adamm": "did you mean",
    "explain qwen3-next train": "--tokens 15T",
    "explain gpt3 params --tokens 1T": "has no effect on params",
    "laws show besirogl": "did you mean besiroglu",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_message_and_exit_code_2(line: str, refused: Callable[[str, str], None]) -> None:
    refused(line, BAD[line])


STEP_LINE = r"[\d.]+ m?s a step, [\d.,K]+ tokens/s per GPU, MFU [\d.]+ %: "
FIRST_LINES = {
    "train llama3-8b --tokens 1T --gpu h100:512": STEP_LINE + r"[\d.]+ days \([\d.]+ to [\d.]+\), \$\d",
    "train gpt2 --tokens 1G --gpu h100:8": STEP_LINE + r"\d+ s \(\d+ to \d+ s\), \$\d",
    "train gpt2 --tokens 1G --gpu h100:8 --mfu 37%": r"\d+ s, \$[\d.]+ at the given MFU of 37.0 %",
    "train llama3-8b --tokens 1T --gpu h100": "! no usual layout fits in memory; with more memory; " + STEP_LINE,
    "train t5-11b --tokens 1T --gpu h100:8": r"[\d,.]+ days .* at the published MFU of 41.0 %",
    "train llama3-8b": r"\d.* FLOPs, \d.* PF-days",
    "scale --compute 1e22": r"laws disagree: \d.* to \d.* parameters on \d.* to \d.* tokens \(9 laws\)",
    "scale llama3-8b --tokens 15T": r"laws disagree: 15.00 T tokens are \d.* to \d.*× the optimum for 8.030 B",
    "design llama3 --params 8B": r"✓ n_layers \d+ · d_model \d+: \d.* parameters, .* % from the target",
    "compare gpt2 llama3-8b": r"gpt2-small 124.4 M · llama3-8b 8.030 B parameters",
}


@pytest.mark.parametrize("line", FIRST_LINES)
def test_the_first_line_is_the_answer(line: str, capsys: Capture) -> None:
    assert re.match(FIRST_LINES[line], screen(capsys, line).splitlines()[0])


def test_a_step_that_does_not_fit_has_both_answers(capsys: Capture) -> None:
    assert main(["train", "llama3-70b", "--tokens", "1T", "--gpu", "h100:8", "--tp", "8"]) == 1
    first = r"✗ does not fit: [\d.]+ GiB short per GPU; [\d.]+ h a step, \d+ tokens/s per GPU"
    assert re.match(first, " ".join(capsys.readouterr().out.split()))


def test_the_components_of_a_run_add_up_to_its_compute(capsys: Capture) -> None:
    found = answer(capsys, "train qwen3-0.6b --tokens 13B --seq 1019")
    counts = (count for count in found["by_component"].values() if isinstance(count, int))  # and their texts
    assert sum(counts) == found["compute"]
    shown = words(capsys, "train qwen3-0.6b --tokens 13B --seq 1019")
    assert f"{found['compute']:,} 100.0 %" in shown


def test_a_default_length_is_stated(capsys: Capture) -> None:
    line, note = "train qwen3-0.6b --tokens 13B", "assumed: sequences of 2,048 tokens; set their length with --seq"
    assert note in words(capsys, line)
    assert note not in words(capsys, f"{line} --seq 1019")


def test_a_share_without_a_percent_sign(capsys: Capture) -> None:
    assert main(["train", "qwen3-0.6b", "--tokens", "13B", "--gpu", "h100", "--mfu", "37"]) == 2
    assert "did you mean 37%?" in capsys.readouterr().err
