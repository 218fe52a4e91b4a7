"""Logs of engines are compared with their prediction."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

import llmcalc
from llmcalc.cli import main

# the figures of a published log of vLLM 0.19 on an H100 (docs/data/engine_vllm.csv)
LINES = (Path(__file__).parents[1] / "server.log").read_text("utf-8")


def written(folder: Path, text: str = LINES) -> str:
    path = folder / "server.log"
    path.write_text(text, "utf-8")
    return str(path)


def test_a_log_agrees(tmp_path: Path) -> None:
    checked = llmcalc.check_log(written(tmp_path))
    assert checked.ok
    assert [each.name for each in checked.figures] == [
        "weights_gib", "activation_gib", "non_torch_gib", "kv_cache_gib", "kv_cache_tokens", "concurrency",
    ]  # fmt: skip
    assert all(abs(each.difference) <= each.slack for each in checked.figures)
    assert checked.unread == ("--flag-of-tomorrow",)
    assert checked.result.settings["max_model_len"] == 8192
    assert "6 of 6" in checked.summary


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("57.5 GiB", "55.5 GiB", "kv_cache_gib"), ("418,688", "401,111", "kv_cache_tokens"),
        ("51.11x", "53.3x", "concurrency"), ("took 15.27", "took 15.47", "weights_gib"),
        ("2.21GiB", "2.51GiB", "activation_gib"),
    ],
)  # fmt: skip
def test_each_figure_can_be_outside(tmp_path: Path, old: str, new: str, name: str) -> None:
    checked = llmcalc.check_log(written(tmp_path, LINES.replace(old, new)))
    assert [each.name for each in checked.figures if not each.is_within] == [name]


def test_the_command_answers_with_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["check-log", written(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("✓ The log agrees")
    path = written(tmp_path, LINES.replace("57.5 GiB", "55.5 GiB"))
    assert main.main(["check-log", path, "--json"]) == 1
    result = json.loads(capsys.readouterr().out)["result"]
    assert (result["ok"], result["engine"], result["version"]) == (False, "vllm", "0.19.0")
    assert [each["name"] for each in result["figures"] if not each["within"]] == ["kv_cache_gib"]
    assert result["predicted"]["starts"] is True


def test_options_override_the_log(tmp_path: Path) -> None:
    text = LINES.replace("total_memory=79.19GiB", "").replace("Qwen/Qwen3-8B", "/data/own/model")
    path = written(tmp_path, text)
    with pytest.raises(llmcalc.InputError, match=r"GPU|gpu"):
        llmcalc.check_log(path, model="qwen3-8b")
    assert llmcalc.check_log(path, "h100-sxm", model="qwen3-8b", gpu_memory="79.19GiB").ok
    older = llmcalc.check_log(path, "h100-sxm", model="qwen3-8b", gpu_memory="79.19GiB", engine_version="0.12")
    assert not older.ok


CRASH = """INFO 11-28 [core.py:58] Initializing a V1 LLM engine (v0.10.2) with config: model='Qwen/Qwen3-8B'
INFO 11-28 [utils.py:326] non-default args: {'model': 'Qwen/Qwen3-8B', 'max_model_len': 32768, 'max_num_seqs': 16}
INFO 11-28 [gpu_model_runner.py:2338] Model loading took 15.2683 GiB and 4.2 seconds
ValueError: To serve at least one request with the models's max seq len (32768), (4.50 GiB KV cache is needed, which is
""".replace(
    "is\n", "is larger than the available KV cache memory (4.80 GiB). the estimated maximum model length is 34944\n"
)


def test_a_start_that_failed_is_no_agreement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked = llmcalc.check_log(written(tmp_path, CRASH), gpu_memory="24GiB")
    assert [each.name for each in checked.figures] == ["weights_gib", "kv_cache_gib", "request_gib", "longest_tokens"]
    assert (checked.ok, checked.log.failure.startswith("ValueError: To serve")) == (False, True)
    request = next(each for each in checked.figures if each.name == "request_gib")
    assert request.predicted.best == 4.5
    assert checked.summary.startswith("The start failed: ValueError")
    assert main.main(["check-log", written(tmp_path, CRASH), "--gpu-memory", "24GiB"]) == 1
    assert capsys.readouterr().out.startswith("✗ The start failed")


def test_a_log_is_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(LINES))
    assert llmcalc.check_log("-").ok
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(llmcalc.InputError, match="no figures"):
        llmcalc.check_log("-")


def test_the_report_says_what_was_read_and_what_was_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["check-log", written(tmp_path, LINES.replace("57.5 GiB", "55.5 GiB"))]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "read from the log: model_tag Qwen/Qwen3-8B" in out
    assert "enable_prefix_caching False note" in out  # not the flag that is not read
    assert "possible causes of a difference: another program" in out
    assert "+3.61 %" in out
    assert out.count("KV cache") > out.count("KV cache size") > 0
    text = BUFFER + "llama_context: CUDA0 compute buffer size = 304.00 MiB\n"
    checked = llmcalc.check_log(written(tmp_path, text), "rtx3090", model="llama3.1-8b")
    assert checked.uncompared == ("compute_mib",)


def test_buffers_of_devices_are_the_cache_of_llama_cpp(tmp_path: Path) -> None:
    buffers = "".join(f"llama_kv_cache_unified: {name} KV buffer size = 512.00 MiB\n" for name in ("CUDA0", "CPU"))
    text = "\n".join([*BUFFER.splitlines()[:-1], buffers])
    checked = llmcalc.check_log(written(tmp_path, text), "rtx3090", model="llama3.1-8b")
    assert [(each.name, each.logged, each.is_within) for each in checked.figures] == [("kv_mib", 1024.0, True)]


@pytest.mark.parametrize("text", ["", "hello\n", "\0" * 99, "vLLM starts\n"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(llmcalc.InputError, match="no figures"):
        llmcalc.check_log(written(tmp_path, text))


BUFFER = """build: 5943 (b4d9e3c0) with cc
llama_context: n_ctx         = 8192
llama_context: n_ubatch      = 512
llama_kv_cache_unified: size = 1024.00 MiB (  8192 cells,  32 layers,  1 seqs), K (f16):  512.00 MiB, V (f16):  512.00
"""


def test_the_cache_of_llama_cpp_is_exact(tmp_path: Path) -> None:
    checked = llmcalc.check_log(written(tmp_path, BUFFER), "rtx3090", model="llama3.1-8b")
    assert (checked.ok, checked.evidence["figures"]) == (True, "exact")
    other = llmcalc.check_log(written(tmp_path, BUFFER.replace("1024.00", "1024.03")), "rtx3090", model="llama3.1-8b")
    assert not other.ok


def test_the_weights_of_llama_cpp_are_compared_if_their_format_is_known(tmp_path: Path) -> None:
    """A log of ggml-org/llama.cpp#13729."""
    text = (
        "build: 5466 (cc74d5be) with cc\n"
        "load_tensors: offloaded 30/49 layers to GPU\n"
        "load_tensors:        CUDA0 model buffer size = 10750.86 MiB\n"
        "load_tensors:   CPU_Mapped model buffer size =  6940.48 MiB\n"
        "llama_context: n_ctx         = 4096\n"
        "llama_kv_cache_unified: size =  384.00 MiB (  4096 cells,  48 layers,  1 seqs), K (f16):  192.00 MiB\n"
    )
    path = written(tmp_path, text)
    known = llmcalc.check_log(path, "rtx3090", model="Qwen3-30B-A3B-Q4_K_M.gguf")
    assert {figure.name for figure in known.figures} == {"weights_gib", "host_weights_gib", "kv_mib"}
    assert known.ok
    other = llmcalc.check_log(path, "rtx3090", model="Qwen3-30B-A3B-Q5_K_M.gguf")
    assert [figure.name for figure in other.figures if not figure.is_within] == ["weights_gib", "host_weights_gib"]
    unknown = llmcalc.check_log(path, "rtx3090", model="unsloth/Qwen3-30B-A3B-GGUF")
    assert {figure.name for figure in unknown.figures} == {"kv_mib"}


def test_a_log_without_predicted_figures_is_refused(tmp_path: Path) -> None:
    text = BUFFER.replace("llama_kv_cache_unified: size", "CUDA0 compute buffer size")
    with pytest.raises(llmcalc.InputError, match="none of its figures"):
        llmcalc.check_log(written(tmp_path, text), "rtx3090", model="llama3.1-8b")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("\ud800", "invalid path"), ("a\0b", "invalid path"), ("/dev/zero", "is a pipe or device"),
        (".", "is a folder"), ("/no/such.log", "cannot be read: No such file"),
    ],
)  # fmt: skip
def test_a_path_that_is_no_file_is_one_error(path: str, message: str) -> None:
    with pytest.raises(llmcalc.InputError, match=message):
        llmcalc.check_log(path)
