"""``flops``, ``memory``, ``fit`` and ``sweep``: the library's numbers, exit codes, and one message for bad input."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.calc.touched_experts import expected_active_experts
from llmcalc.cli.main import main
from llmcalc.inputs.measurements import errors_of

Capture = pytest.CaptureFixture[str]
GIB = 2**30


def answer(capsys: Capture, line: str, code: int = 0) -> dict[str, Any]:
    assert main([*line.split(), "--json"]) == code
    data = json.loads(capsys.readouterr().out)
    assert set(data) == {"schema", "command", "inputs", "result"}
    return dict(data["result"])


def test_flops_says_what_the_library_says(capsys: Capture) -> None:
    found = answer(capsys, "flops deepseek-v3 --mode train --batch 2 --seq 1000 --recompute full")
    ours = llmcalc.flops(llmcalc.load("deepseek-v3"), mode="train", batch=2, seq=1000)
    for name in ("total", "matmul", "other", "forward", "backward", "tokens"):
        assert found[name] == getattr(ours, name)
    assert found["recomputed"] == ours.recomputed("full")
    assert sum(part["total"] for part in found["by_component"].values()) == ours.total
    assert found["per_sequence"] == ours.total / 2


HEARING = {
    "model_type": "glmasr",
    "text_config": {"model_type": "llama", "hidden_size": 40, "intermediate_size": 52, "num_hidden_layers": 2,
                    "num_attention_heads": 4, "vocab_size": 101},
    "audio_config": {"num_mel_bins": 7, "hidden_size": 24, "intermediate_size": 72, "num_attention_heads": 2,
                     "num_hidden_layers": 3},
}  # fmt: skip


def test_frames_of_sound(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(HEARING), "utf-8")
    deaf, heard = (answer(capsys, f"flops {file} --seq 8{more}") for more in ("", " --frames 60"))
    ours = llmcalc.flops(llmcalc.load(HEARING), seq=8, frames=60)
    assert heard["total"] == ours.total > deaf["total"]
    assert heard["matmul"] == ours.matmul > deaf["matmul"]


@pytest.mark.parametrize("name", ["frames", "patches"])
def test_a_model_without_a_tower_takes_neither_frames_nor_patches(name: str, capsys: Capture) -> None:
    assert main(["flops", "gpt3", f"--{name}", "60"]) == 2
    assert f"--{name}: gpt3-175b has no encoder for {name}" in capsys.readouterr().err


def test_frames_are_a_whole_number(capsys: Capture) -> None:
    assert main(["flops", "gpt3", "--frames", "-1"]) == 2
    assert "--frames: invalid value '-1'" in capsys.readouterr().err


def test_the_rule_of_thumb_is_near_for_short_sequences(capsys: Capture) -> None:
    found = answer(capsys, "flops gpt3 --mode train --seq 128")
    assert found["rule_of_thumb"] == 6 * llmcalc.params(llmcalc.load("gpt3")).non_embedding * 128
    assert found["matmul"] == pytest.approx(found["rule_of_thumb"], rel=5e-3)


def test_published_conventions_stand_beside_a_training_step(capsys: Capture) -> None:
    found = answer(capsys, "flops gpt3 --mode train")["published_conventions"]
    model = llmcalc.params(llmcalc.load("gpt3"))
    assert found["kaplan-6nd"] == 6 * model.non_embedding * 2048
    assert found["palm"] == 6 * model.total * 2048 + 12 * 96 * 12288 * 2048 * 2048
    mixtral = llmcalc.params(llmcalc.load("mixtral-8x7b"))
    found = answer(capsys, "flops mixtral-8x7b --mode train")["published_conventions"]
    assert found["kaplan-6nd"] == 6 * (mixtral.active - mixtral.embedding) * 2048
    assert answer(capsys, "flops gpt3")["published_conventions"] == {}
    assert answer(capsys, "flops mamba2-130m --mode train")["published_conventions"] == {}


def test_usual_lengths_fit_the_model(capsys: Capture) -> None:
    assert answer(capsys, "flops bert")["tokens"] == 512
    assert answer(capsys, "flops llama3-8b")["tokens"] == 2048
    assert answer(capsys, "flops gpt3 --mode decode --context 100")["tokens"] == 1


def test_memory_says_what_the_library_says(capsys: Capture) -> None:
    found = answer(capsys, "memory gpt-oss-120b --weights mxfp4 --only routed-experts --batch 8 --seq 100 --paged 16")
    model = llmcalc.load("gpt-oss-120b")
    ours = llmcalc.memory(model, weights="mxfp4", only=["routed experts"], batch=8, seq=100, page=16)
    assert round(found["weights"] / GIB, 1) == 60.8
    assert found["peak"] == ours.peak == found["weights"] + found["state"] + found["activations"]
    assert found["state_without_blocks"] == llmcalc.state(model, batch=8, seq=100).bytes < found["state"]
    (experts,) = found["experts"]
    assert (experts["n_experts"], experts["top_k"]) == (128, 4)
    assert experts["touched_by_decode"] == expected_active_experts(128, 4, 8) == 128 * (1 - (1 - 4 / 128) ** 8)


def test_a_training_step_has_stages_and_a_timeline(capsys: Capture) -> None:
    found = answer(capsys, "memory gpt3 --training --tp 8 --pp 8 --sp --recompute full --zero 1 --dp 4")
    assert len(found["peaks"]) == 8
    assert found["peaks"][found["worst_stage"]] == found["peak"] == max(found["peaks"])
    assert max(found["timeline"].values()) == found["peak"]
    parts = found["at_peak"]
    assert sum(size for part, size in parts.items() if part != "phase") == found["peak"]


def test_unconfirmed_figures_say_so(capsys: Capture) -> None:
    assert main(["memory", "llama3-8b", "--weights", "gptq", "--format", "plain"]) == 0
    assert "gptq-int4-g128: not verified" in capsys.readouterr().out
    assert main(["memory", "llama3-8b", "--weights", "mxfp4", "--format", "plain"]) == 0
    assert "not verified" not in capsys.readouterr().out
    assert main(["fit", "gpt2", "--gpu", "m4-16gb", "--format", "plain"]) == 0
    assert "warning: the specifications of Apple M4 16GB are unverified" in capsys.readouterr().out


def test_the_first_line_of_a_fit_is_the_answer(capsys: Capture) -> None:
    assert main(["fit", "llama3-8b", "--gpu", "h100"]) == 0
    assert capsys.readouterr().out.startswith("✓ fits in vLLM: 1 request of 2,048 tokens at once, at most ")
    assert main(["fit", "llama3-70b", "--gpu", "h100:1", "--batch", "13"]) == 1
    assert capsys.readouterr().out.startswith("✗ does not fit in vLLM: ")
    assert main(["fit", "llama3-8b", "--gpu", "h100", "--engine", "none"]) == 0
    assert capsys.readouterr().out.startswith("✓ fits in plain memory with ")
    assert main(["fit", "llama3-70b", "--gpu", "h100:1", "--batch", "13", "--engine", "none"]) == 1
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("✗ does not fit in plain memory with ")
    answer, _, assumed = " ".join([first, *rest]).partition(" assumed: ")
    assert answer.endswith(" short")
    assert assumed.startswith("--")


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("fit llama3-70b --gpu h100", ["--weights fp8", "--gpu h100-sxm:2"]),
        ("fit llama3-70b h100 --reserve 2GiB --keep mlp --weights fp8", ["--gpu h100-sxm:2"]),
        ("fit deepseek-v3 h100:8 --seq 32500 --batch 16", ["--weights awq-int4-g128", "--gpu h100-sxm:16"]),
        ("fit llama3-8b --gpu 23.5GiB --batch 130 --seq 3000", ["--batch 18", "--seq 429", "--gpu 23.5GiB:4"]),
        ("fit llama3-70b --gpu-memory 40GB x2", ["--weights fp8", "--gpu 40GB:4"]),
        ("fit llama3-8b --gpu 17GB --seq 8192 --step-tokens all --batch 2", ["--weights fp8", "--gpu 17GB:2"]),
        (
            "fit llama3-8b --gpu l4 --training --lora-rank 8 --batch 4 --seq 1021",
            ["--cross-entropy fused --recompute full", "--weights nf4 --recompute full", "--seq 201"],
        ),
        (
            "fit llama3.2-1b --gpu 12GB:2 --training --dp 2 --zero 3",
            ["--optimizer adam-8bit --recompute op", "--lora-rank 16", "--gpu 12GB:6 --dp 6"],
        ),
        (
            "fit deepseek-v4-flash h100:4 --seq 1M --batch 64",
            ["--batch 29", "--seq 484352", "--gpu h100-sxm:8"],
        ),
        ("fit llama3.3-70b h100:2 --weights fp8 --seq 131072 --batch 3", ["--cache fp8", "--batch 1", "--seq 77824"]),
        (
            "fit qwen3-32b rtx-4090 --seq 32k --batch 4",
            ["--gpu rtx-4090:5", "--cache q8_0 --weights q4_k_m --seq 4096"],
        ),
    ],
)
def test_each_change_that_a_fit_names_makes_the_model_fit(capsys: Capture, line: str, changes: list[str]) -> None:
    found = answer(capsys, line, code=1)["fits_with"]
    assert [one["change"] for one in found][: len(changes)] == changes
    for one in found:
        name, *words = shlex.split(one["command"])
        assert name == "llmcalc"
        assert answer(capsys, " ".join(words))["needed"] == one["needed"]


def test_a_fit_answers_by_its_exit_code(capsys: Capture) -> None:
    assert answer(capsys, "fit llama3-8b --gpu h100")["start"]["verdict"] == "starts"
    assert answer(capsys, "fit llama3-70b --gpu h100", code=1)["start"]["verdict"] == "will not start"
    fits = answer(capsys, "fit llama3-8b --gpu h100 --engine none")
    assert fits["fits"]
    assert fits["usable"] == round(79.11 * GIB) - GIB == fits["needed"] + fits["headroom"]
    too_large = answer(capsys, "fit llama3-70b --gpu h100 --engine none", code=1)
    assert too_large["verdict"] == f"does not fit: {-too_large['headroom'] / GIB:.2f} GiB short"
    more = answer(capsys, "fit llama3-70b x4 --gpu h100")
    assert (more["fits"], more["count"]) == (True, 4)
    assert answer(capsys, "fit llama3-8b --gpu-memory 16GiB --reserve 10%", code=1)["reserve"] == round(16 * GIB * 0.1)


def test_solving_for_the_largest_context(capsys: Capture) -> None:
    line = "fit llama3-70b --gpu h100:4 --prefill 4096 --extend"
    tokens = answer(capsys, f"{line} --solve seq")["value"]
    assert answer(capsys, f"{line} --seq {tokens}")["fits"]
    assert not answer(capsys, f"{line} --seq {tokens + 1}", code=1)["fits"]


def test_solving_for_the_format_and_the_number(capsys: Capture) -> None:
    found = answer(capsys, "fit llama3-70b --gpu rtx4090:2 --seq 4096 --solve quant")
    assert found["value"] == next(one["format"] for one in found["candidates"] if one["fits"])
    assert answer(capsys, "fit llama3-70b --gpu rtx4090:2 --seq 4096 --weights " + found["value"])["fits"]
    assert main(["fit", "llama3-70b", "--gpu", "rtx4090:2", "--seq", "4096", "--solve", "quant"]) == 0
    assert capsys.readouterr().out.startswith("✓ best format in llama.cpp: q4_k_m, for 1 sequence of 4,096 tokens\n")
    assert (
        main(["fit", "llama3-70b", "--gpu", "rtx4090:2", "--seq", "4096", "--solve", "quant", "--engine", "none"]) == 0
    )
    assert capsys.readouterr().out.startswith(
        "✓ best format in plain memory: nf4; in llama.cpp: q4_k_m, for 1 sequence of"
    )
    assert answer(capsys, "fit llama3-70b --gpu h100 --solve gpus")["value"] == 2
    assert answer(capsys, "fit gpt3 --gpu h100 --solve batch", code=1)["value"] is None


def test_a_sweep_prints_every_point(capsys: Capture) -> None:
    words = ["sweep", "gpt3", "flops.total", "state.bytes", "--over", "seq=256..2k:x2", "--over", "batch=1,8"]
    assert main([*words, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["seq"], row["batch"]) for row in rows[:3]] == [("256", "1"), ("256", "8"), ("512", "1")]
    assert len(rows) == 8
    last = llmcalc.flops(llmcalc.load("gpt3"), seq=2048, batch=8).total
    assert float(rows[-1]["flops.total (FLOPs)"]) == last
    found = answer(capsys, " ".join(words))
    assert found["exact"] is False
    assert found["values"]["flops.total"][-1][-1] == last


@pytest.mark.parametrize("form", ["table", "plain", "markdown"])
@pytest.mark.parametrize(
    "line",
    [
        "flops t5-small --by layer --mode train",
        "memory mixtral-8x7b --weights q4_k_m --paged 16",
        "memory t5-small --training",
        "fit llama3-8b --gpu l4 --weights nf4 --solve seq",
        "sweep gpt2 memory.peak --over seq=1,10,1000",
        "formats list",
        "hardware list",
        "hardware show b300",
    ],
)
def test_every_format_prints_every_answer(line: str, form: str, capsys: Capture) -> None:
    assert main([*line.split(), "--format", form]) == 0
    assert capsys.readouterr().out.count("\n") > 5


def test_hours_are_beside_those_of_published_runs(capsys: Capture) -> None:
    def printed(line: str) -> str:
        assert main(line.split()) == 0
        return " ".join(capsys.readouterr().out.split())

    assert re.search(r"published run 7\.00M GPU-hours, \d\.\d\d times", printed("train llama3.1-70b --gpu h100:512"))
    assert "published run 221K GPU-hours" in printed("train smollm3 --gpu h100:384")  # from GPUs and days
    other = printed("train llama3.1-70b --gpu h100:512 --tokens 1T")
    assert "published run " not in other
    assert "published runs took" in other
    assert "published runs took" not in printed("train llama3.1-70b --gpu h100:512 --mfu 37%")


def test_hours_with_the_restarts_of_published_runs(capsys: Capture) -> None:
    line = "train llama3.1-8b --tokens 3T --gpu h100:521 --price 3"
    found = answer(capsys, line)
    other = found["as_other_runs"]
    shares = [other["hours"][name] / found["hours"]["mid"] for name in ("low", "mid", "high")]
    published = sorted(1 / (1 + error) for error in errors_of("train", "hours"))
    assert shares == pytest.approx([published[round(q * (len(published) - 1))] for q in (0.1, 0.5, 0.9)])
    assert other["days"]["mid"] == pytest.approx(other["hours"]["mid"] / 521 / 24)
    assert other["cost"] == pytest.approx({name: 3 * other["hours"][name] for name in ("low", "high")})
    assert found["expected"]["hours"] == found["hours"]
    assert found["expected"]["basis"] == "steps"
    given = answer(capsys, f"{line} --mfu 37%")
    assert given["as_other_runs"] is None
    assert given["expected"]["basis"] == "given MFU"
    assert given["step_time"]["seconds"] == found["step_time"]["seconds"]


def test_published_hours_of_other_accelerators_name_them(capsys: Capture) -> None:
    assert main(["train", "gpt3", "--tokens", "300B", "--gpu", "a100-sxm-80gb:1024"]) == 0
    assert re.search("published run +3.55M +on NVIDIA V100\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("train switch-c --tokens 1T --gpu tpu-v5p:64", True),  # steps of two stacks are not modelled
        ("train switch-c --tokens 1T --gpu h800:64", False),  # whose utilisation is that of a mixture
        ("train switch-c --tokens 1T --gpu h100:64 --mfu 20%", False),
        ("train t5-11b --tokens 1T --gpu h100:64", False),
        ("train gpt-oss-120b --tokens 1T --gpu tpu-v5p:64", False),
    ],
)
def test_a_mixture_of_experts_with_the_mfu_of_dense_models_is_warned_of(
    line: str, expected: bool, capsys: Capture
) -> None:
    assert main(line.split()) == 0
    assert ("the MFU is that of dense models" in " ".join(capsys.readouterr().out.split())) == expected


def test_a_step_that_fits_on_no_layout_is_warned_of(capsys: Capture) -> None:
    def printed(line: str) -> str:
        assert main(line.split()) == 0
        return " ".join(capsys.readouterr().out.split())

    expected = "! no usual layout fits in memory; with more memory"
    assert expected in printed("train llama3.1-8b --tokens 1B --gpu rtx3060")
    found = printed("train llama3.1-8b --tokens 1B --gpu h100:8")
    assert "does not fit" not in found
    mesh = re.search(r"(--dp .*?--zero 3)", found)
    assert mesh
    assert main(f"train llama3.1-8b --tokens 1B --gpu h100:8 {mesh[1]}".split()) == 0
