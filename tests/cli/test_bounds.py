"""Sizes, amounts and times that are too large for a number are errors in every option of every command."""

from __future__ import annotations

import pytest

from llmcalc.cli.main import BAD_INPUT, main

LARGE = "1" + "0" * 309
SERVE = "vllm serve meta-llama/Llama-3.1-8B"


@pytest.mark.parametrize(
    "line",
    [
        *(f"fit gpt2 --gpu h100 --{option} {LARGE}GiB" for option in ("gpu-memory", "reserve")),
        *(f"serve llama3-8b --gpu h100 --{option} {LARGE}GiB" for option in ("gpu-memory", "kv-cache-memory")),
        *(f"check gpt2 --max-{bound} {LARGE}GiB" for bound in ("communication", "memory", "state", "traffic")),
        f"fit gpt2 --gpu h100 --step-tokens {LARGE}k",
        f"serve llama3-8b --gpu h100 --max-model-len {LARGE}k",
        f"fit gpt2 --gpu {LARGE}GiB",
        "fit gpt2 --gpu 1e309GiB",
        f"check gpt2 --max-latency {LARGE}ms",
        f"scale --compute {LARGE}",
    ],
)
def test_a_number_out_of_range_is_an_error_of_the_input(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == BAD_INPUT
    assert "set LLMCALC_DEBUG=1" not in capsys.readouterr().err


@pytest.mark.parametrize("value", ["abc", "1e309", "-5", "true", LARGE])
def test_a_length_that_no_config_can_have_is_an_error(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"{SERVE} --hf-overrides.max_position_embeddings {value}"
    assert main(["serve", "--gpu", "h100", "--command", line]) == BAD_INPUT
    assert "max_position_embeddings must be an integer from 1" in capsys.readouterr().err
