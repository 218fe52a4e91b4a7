"""Shapes for a target: counted exactly, proportioned as the family, and honest where nothing comes near."""

from __future__ import annotations

import json

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.core.architecture import Architecture
from llmcalc.core.errors import InputError, UnknownNameError
from llmcalc.schema.shape_search import Design, Rules, search

Capture = pytest.CaptureFixture[str]


def total(model: Architecture) -> int:
    return llmcalc.params(model).total


LIKE_LLAMA = search("llama3", 13 * 10**9, total)


def test_a_published_size_is_found_again() -> None:
    """The target is a size that exists: it comes first, to the last parameter."""
    for name in ("llama3-70b", "gpt3-13b", "mamba2-2.7b"):
        model = llmcalc.load(name)
        found = search(name.rpartition("-")[0], total(model), total, Rules(ranks=1))
        assert found.base == name
        assert found.candidates[0].off == 0
        assert found.candidates[0].architecture.stacks == model.stacks


def test_candidates_keep_the_rules() -> None:
    for rules in (Rules(), Rules(multiple=64, ranks=16), Rules(multiple=256, ranks=4, within=0.05)):
        found = search("llama3", 13 * 10**9, total, rules)
        assert found.near
        for candidate in found.candidates:
            sizes = candidate.sizes
            assert sizes["d_model"] % rules.multiple == sizes["d_ff"] % rules.multiple == 0
            assert sizes["n_heads"] % rules.ranks == 0
            assert sizes["n_heads"] % sizes["n_kv_heads"] == 0
            assert sizes["d_model"] == 128 * sizes["n_heads"], "heads are as wide as the family's"
            assert candidate.value == total(candidate.architecture)
            assert abs(candidate.off) <= rules.within


def test_the_overrides_make_the_model() -> None:
    best = LIKE_LLAMA.candidates[0]
    again = llmcalc.load(LIKE_LLAMA.base, overrides=best.overrides)
    assert again.stacks == best.architecture.stacks


def test_the_first_is_proportioned_most_like_the_family() -> None:
    unusual = [candidate.unusual for candidate in LIKE_LLAMA.candidates]
    assert unusual == sorted(unusual)
    assert LIKE_LLAMA.candidates[0].sizes["d_model"] == 5120  # as Llama-2-13B


@pytest.mark.parametrize("target", [5 * 10**9, 20 * 10**9, 40 * 10**9])
def test_leaving_a_rule_out_never_makes_it_worse(target: int) -> None:
    found = search("llama3", target, total)
    first = found.candidates[0]
    for label, best in found.without:
        if "the family's ratio" in label:
            assert abs(best.off) <= abs(first.off)
        else:
            assert best.unusual <= first.unusual or abs(best.off) <= found.rules.within < abs(first.off)


@pytest.mark.parametrize("family", ["deepseek-v3", "nemotron-h", "t5", "qwen3-moe", "jamba", "rwkv4", "switch", "bert"])
def test_every_sort_of_family_has_shapes(family: str) -> None:
    target = total(llmcalc.load(family)) // 2
    found = search(family, target, total, Rules(within=0.1))
    assert isinstance(found, Design)
    assert found.candidates
    assert all(candidate.value == total(candidate.architecture) for candidate in found.candidates)


def test_what_is_far_from_everything_is_said_to_be(capsys: Capture) -> None:
    assert main(["design", "nemotron-nas", "--params", "1B"]) in (0, 2)
    capsys.readouterr()
    assert main(["design", "llama3", "--params", "13B", "--within", "0.0001%", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert result["near"] is False
    offs = [abs(candidate["off"]) for candidate in result["candidates"]]
    assert offs == sorted(offs)


def test_an_unknown_family_is_an_error() -> None:
    with pytest.raises(UnknownNameError):
        search("lama33", 10**9, total)
    with pytest.raises(InputError):
        search("llama3", 10**9, total, Rules(ranks=10**6))


@pytest.mark.parametrize("words", [["--active", "3B"], ["--flops", "5e9", "--seq", "512"], ["--memory", "24GiB"]])
def test_other_targets(words: list[str], capsys: Capture) -> None:
    assert main(["design", "qwen3-moe", *words, "--within", "5%", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["result"]["near"]
    assert abs(data["result"]["candidates"][0]["value"] / data["inputs"]["target"] - 1) <= 0.05


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "one target"),
        (["--params", "1B", "--active", "1B"], "one target"),
        (["--params", "-1"], "--params"),
        (["--params", "many"], "--params"),
        (["--memory", "0GiB"], "--memory"),
        (["--params", "1B", "--tp", "0"], "--tp"),
        (["--params", "1B", "--multiple", "0"], "--multiple"),
        (["--params", "1B", "--within", "200%"], "--within"),
    ],
)
def test_bad_input_is_one_message(words: list[str], told: str, capsys: Capture) -> None:
    assert main(["design", "llama3", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told in captured.err
    assert "Traceback" not in captured.err
