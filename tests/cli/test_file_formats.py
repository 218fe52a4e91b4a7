"""Weights without a given format are in the published one, in every command."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.cli.main import main

LINE = "weights: bf16, as published; --weights q4_k_m is the usual format of GGUF files"
MAC = "--gpu m4-max-40c-64gb"


@pytest.mark.parametrize("words", ["serve", "serve --isl 1k --osl 100", "fit", "latency"])
def test_llama_cpp_has_weights_as_published(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, *more = words.split()
    main([name, "qwen3-8b", *MAC.split(), *more])
    notes = " ".join(capsys.readouterr().out.partition("note: ")[2].split())
    assert notes.startswith(LINE)


@pytest.mark.parametrize(
    "command", ["serve qwen3-8b --gpu h100", "fit qwen3-8b --gpu h100", f"fit qwen3-8b {MAC} --weights q4_k_m",
                f"serve qwen3-8b {MAC} --weights q8_0", f"serve qwen3-8b {MAC} --weights q8_0 --isl 1k --osl 100",
                f"serve --isl 1k --osl 100 {MAC} -- ollama run qwen3:8b", f"latency gpt-oss-20b {MAC}"],
)  # fmt: skip
def test_other_engines_and_formats_need_no_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(command.split())
    assert "usual format of GGUF" not in capsys.readouterr().out


def test_names_of_files_and_of_ollama_state_the_format() -> None:
    plain = llmcalc.serve("llama3.1-8b", "m4-max-40c-64gb")
    assert plain.placed
    assert plain.placed.largest.weights + plain.placed.host.weights == 2 * llmcalc.params("llama3.1-8b").total
    for line in ("ollama run llama3.1:8b", "llama-server -hf bartowski/Meta-Llama-3.1-8B-Instruct-GGUF"):
        assert llmcalc.serve(command=line, gpu="m4-max-40c-64gb").settings["weights"] == "q4_k_m"
