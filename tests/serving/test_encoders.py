"""Throughput of encoders: batches of whole sequences, Little's law, and what has no effect on them."""

from __future__ import annotations

import json

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.core.errors import InputError
from llmcalc.serving.encoders import EncoderServing

Capture = pytest.CaptureFixture[str]


def serve(**settings: object) -> EncoderServing:
    result = llmcalc.serve("bert", **{"gpu": "h100", "isl": 101, "concurrency": 37, **settings})  # type: ignore[arg-type]
    assert isinstance(result, EncoderServing)
    return result


def test_a_forward_pass_reads_the_sequences_that_run_at_once() -> None:
    result = serve()
    alone = llmcalc.latency("bert", "h100", batch=37, seq=101)
    assert (result.batch, result.step.seconds) == (37, alone.seconds)
    assert result.requests_per_s == pytest.approx(37 / alone.seconds)
    assert result.latency_s == pytest.approx(alone.seconds)


def test_requests_wait_if_a_forward_pass_is_full() -> None:
    result = serve(max_num_batched_tokens=707)
    assert result.batch == 7
    assert result.latency_s == pytest.approx(37 / 7 * result.step.seconds)
    assert result.tokens_per_s == pytest.approx(101 * result.requests_per_s)


def test_each_gpu_has_different_sequences() -> None:
    one, four = serve(concurrency=31), serve(concurrency=124, gpu="h100:4")
    assert (four.step.model.mesh.dp, four.step.model.mesh.tp) == (4, 1)
    assert four.requests_per_s == pytest.approx(4 * one.requests_per_s)
    assert four.usd_per_million == pytest.approx(one.usd_per_million)


def test_the_price_follows_from_the_throughput() -> None:
    result = serve(price=3.7)
    low, high = result.usd_per_million or (0, 0)
    assert (low * high) ** 0.5 == pytest.approx(3.7 / 3600 / result.tokens_per_s * 1e6)
    assert high / low == pytest.approx(result.width**2)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"osl": 3}, "osl"),
        ({"sla": "ttft<1s"}, "sla"),
        ({"isl": 8209}, "isl"),
        ({"concurrency": 0}, "concurrency"),
        ({"cache": "fp8"}, "cache"),
    ],
)
def test_a_setting_without_an_effect_is_refused(change: dict[str, object], name: str) -> None:
    with pytest.raises(InputError) as caught:
        serve(**change)
    assert caught.value.parameter == name


def test_a_sequence_beyond_the_learned_positions_is_an_answer_without_times() -> None:
    result, text = serve(isl=521), "exceed the 512 learned positions of the model. The longest: isl=512"
    assert result.summary == f"Requests of 521 tokens {text}"
    found = result.to_dict()
    assert found["reason"] == result.summary
    assert [found[name] for name in ("fits", "requests_per_s", "latency_s")] == [False, None, None]


def test_the_command_line_has_the_same_figures(capsys: Capture) -> None:
    assert main(["serve", "bert", "--gpu", "h100", "--isl", "101", "--concurrency", "37", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["result"]["times"]
    assert found["requests_per_s"] == pytest.approx(serve().requests_per_s)
    assert main(["latency", "bert", "--gpu", "h100", "--batch", "37", "--seq", "101"]) == 0
    assert "sequences/s" in capsys.readouterr().out


def test_one_request_is_assumed(capsys: Capture) -> None:
    line = ["serve", "bert", "--gpu", "h100", "--isl", "101"]
    assert main(line) == 0
    assert "one request at a time is assumed" in capsys.readouterr().out
    assert main([*line, "--concurrency", "1"]) == 0
    assert "assumed: --concurrency" not in capsys.readouterr().out
