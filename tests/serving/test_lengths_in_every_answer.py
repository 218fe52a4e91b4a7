"""Every answer refuses the same lengths in the same words, and says it where a longer request is computed."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.cli.main import main
from llmcalc.core.workload import positions
from llmcalc.engines.lengths import length_limit
from llmcalc.engines.served_models import unserved
from llmcalc.report.encoder_serving import encoder_document
from llmcalc.report.latency import latency_document
from llmcalc.report.serve import serve_document
from llmcalc.report.serving import serving_document
from llmcalc.schema.preset_files import names

ENGINES = ("vllm", "sglang", "tensorrt-llm", "llama.cpp")
REFUSING = {"vllm": "VLLM_ALLOW_LONG_MAX_MODEL_LEN", "sglang": "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN"}
BEYOND = (0, 1, 5000)
GPU = "h200"


def answers(model: Any, engine: str, tokens: int) -> dict[str, Any]:
    """Return what each door says of requests of some tokens: why they are refused, and what is computed beyond."""
    sizes: dict[str, int] = {"seq": tokens - 2, "new_tokens": 2}
    if model.main.role == "encoder":
        times: Any = llmcalc.serve(model, GPU, engine=engine, isl=tokens, max_num_batched_tokens=tokens)
        found, too_long, sizes = {}, times.step.too_long, {"seq": tokens}
        documents = [encoder_document(times)]
    else:
        start, times = (
            llmcalc.serve(model, GPU, engine=engine, **own)
            for own in ({"max_model_len": tokens}, {"isl": tokens - 2, "osl": 2})
        )
        found = {"start": (next((text for text in start.refusals if "requests of" in text), ""), start.excess)}
        too_long, documents = times.too_long, [serving_document(times), serve_document(start)]
    latency = llmcalc.latency(model, GPU, engine=engine, **sizes)
    for result, text in ((times, too_long), (latency, latency.too_long)):
        assert not (text and result.fits)
        reason = text.partition(". The longest")[0]
        found[type(result).__name__] = (reason[:1].lower() + reason[1:], result.excess)
    for document in (*documents, latency_document(latency)):
        assert bool(times.excess) is (document.warnings[:1] == (times.excess,))
    return found


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(names())), st.sampled_from(ENGINES), st.sampled_from(BEYOND))
def test_all_answers_about_an_engine_go_by_its_rule(name: str, engine: str, beyond: int) -> None:
    model = llmcalc.load(name)
    limit = length_limit(model, engine)
    if limit.tokens is None:
        assert limit.excess(10**9) == limit.refusal(10**9) == ""
        return
    tokens = limit.tokens + beyond
    if unserved(engine, model):
        sizes = {"isl": 10} if model.main.role == "encoder" else {"isl": 10, "osl": 10}
        for ask in (llmcalc.serve, llmcalc.latency):
            with pytest.raises(llmcalc.InputError, match="does not serve"):
                ask(model, GPU, engine=engine, **(sizes if ask is llmcalc.serve else {"seq": 10}))
        if model.main.role == "encoder":
            return
        assert unserved(engine, model) in llmcalc.serve(model, GPU, engine=engine, max_model_len=tokens).refusals
        return
    if beyond and positions(model) is not None:
        if model.main.role != "encoder":
            assert "learned positions" in llmcalc.serve(model, GPU, engine=engine, max_model_len=tokens).refusals[-1]
        assert "learned positions" in llmcalc.latency(model, GPU, engine=engine, seq=tokens).too_long
        return
    found = answers(model, engine, tokens)
    assert len({*found.values()}) == 1, found
    refused, excess = found["Latency"]
    text = f"requests of {tokens:,} tokens exceed the {limit.tokens:,} that the model accepts"
    expected = {
        "vllm": (f"{text}; {REFUSING['vllm']}=1 allows them", ""),
        "sglang": (f"{text}; {REFUSING['sglang']}=1 allows them", ""),
    }
    assert (refused, excess) == (expected.get(engine, ("", text)) if beyond else ("", ""))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(names())), st.sampled_from(BEYOND), st.booleans())
def test_an_exact_quantity_says_once_that_the_sequences_are_longer(name: str, beyond: int, extend: bool) -> None:
    model = llmcalc.load(name)
    most = length_limit(model).tokens
    if most is None or (positions(model) is not None and not extend):
        return
    from llmcalc.report.memory import memory_document
    from llmcalc.report.traffic import traffic_document

    sizes: dict[str, Any] = {"seq": most + beyond, "extend": extend}
    documents = (
        memory_document(llmcalc.memory(model, **sizes)), traffic_document(llmcalc.traffic(model, **sizes)),
    )  # fmt: skip
    text = f"beyond the {most:,} tokens that the model accepts"
    for document in documents:
        is_said = bool(beyond) and not extend
        assert document.title.endswith(f", {text}") is is_said
        assert (text in document.data()["inputs"]["warnings"]) is is_said


@pytest.mark.parametrize(
    "words",
    [
        "flops gemma2-9b --seq 9000", "explain gemma2-9b flops --seq 9000",
        "communication gemma2-9b --seq 9000 --tp 2", "sweep gemma2-9b flops.total --over seq=1k,9k",
        "memory gemma2-9b --training --seq 9000", "flops gemma2-9b --mode decode --context 8192",
    ],
)  # fmt: skip
def test_the_first_line_names_the_longer_sequences(
    words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(words.split()) == 0
    first, rest = capsys.readouterr().out.split("\n", 1)
    assert first.endswith(", beyond the 8,192 tokens that the model accepts")
    assert "beyond the" not in rest


def test_a_comparison_and_a_training_run_name_the_longer_sequences(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["compare", "gemma2-9b", "llama3.1-8b", "--seq", "9000"]) == 0
    assert ", with sequences too long for gemma2-9b\n" in capsys.readouterr().out
    assert main(["train", "gemma2-9b", "--tokens", "1B", "--seq", "9000"]) == 0
    assert "! beyond the 8,192 tokens that the model accepts" in capsys.readouterr().out


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "more", [{"sla": "tpot=1s"}, {"pareto": True}, {"prefill_pool": "1x"}, {"gpu": "h100:2,h200:2"}]
)
def test_searches_refuse_and_accept_the_same_lengths(engine: str, more: dict[str, Any]) -> None:
    if engine == "llama.cpp" and "prefill_pool" in more:
        return  # it has no pools
    own = {"gpu": "h100:2", "isl": 9000, "osl": 100, "engine": engine, **more}
    found: Any = llmcalc.serve("gemma2-9b", own.pop("gpu"), **own)
    told = found.refusal if "gpu" in more else found.too_long
    if engine in REFUSING:
        assert told.startswith("Requests of 9,100 tokens exceed the 8,192 that the model accepts")
        assert told.endswith("The longest: isl=8092")
    else:
        assert told == ""
        excesses = [each.result.excess for each in found.gpus] if "gpu" in more else [found.excess]
        assert {*excesses} == {"requests of 9,100 tokens exceed the 8,192 that the model accepts"}


LONG, LONGER = "--isl 9000 --osl 100", json.dumps({"max_position_embeddings": 16384})


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["vllm", "serve", "google/gemma-2-9b-it"], 1),
        (["VLLM_ALLOW_LONG_MAX_MODEL_LEN=1", "vllm", "serve", "google/gemma-2-9b-it", "--max-model-len", "10000"], 0),
        (
            ["vllm", "serve", "google/gemma-2-9b-it", "--hf-overrides", LONGER],
            0,
        ),
        (["trtllm-serve", "google/gemma-2-9b-it"], 1),  # its default is the length of the model
        (["trtllm-serve", "google/gemma-2-9b-it", "--max_seq_len", "10000"], 0),
    ],
)
def test_flags_and_variables_of_a_command_line_change_the_limit(
    command: Sequence[str], expected: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--gpu", "h100", *LONG.split(), "--", *command]) == expected
    assert ("✗ Requests of 9,100 tokens exceed the 8,192" in capsys.readouterr().out) is bool(expected)


@pytest.mark.parametrize(("sizes", "longest"), [
    ({"isl": 8500, "osl": 500}, "isl=7692"), ({"isl": 100, "osl": 9000}, "osl=8092"),
    ({"isl": 3000, "osl": 500, "turns": 3}, "isl=2230"),
])  # fmt: skip
def test_the_suggested_length_is_the_longest(sizes: dict[str, Any], longest: str) -> None:
    found = llmcalc.serve("gemma2-9b", "h100", **sizes)
    assert found.too_long.endswith(f"The longest: {longest}")
    name, value = longest.split("=")
    assert llmcalc.serve("gemma2-9b", "h100", **{**sizes, name: int(value)}).too_long == ""
    assert llmcalc.serve("gemma2-9b", "h100", **{**sizes, name: int(value) + 1}).too_long


def test_kernels_of_a_model_that_no_engine_serves_are_estimated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["latency", "t5-3b", "--gpu", "h100"]) == 0
    assert (
        "; no known engine serves encoder-decoder models of text\n"
        in capsys.readouterr().out.replace("\n", " ", 1) + "\n"
    )
    assert main(["latency", "t5-3b", "--gpu", "h100", "--engine", "sglang"]) == 2
    assert "SGLang does not serve encoder-decoder models of text" in capsys.readouterr().err


@pytest.mark.parametrize("options", [
    "fit {} --gpu h100 --engine none", "fit {} --gpu h100 --training", "fit {} --gpu all", "fit {} --gpu 24GB",
    "fit {} --gpu h100 --training --recompute full", "fit {} --gpu h100 --solve batch --engine none",
])  # fmt: skip
def test_a_fit_without_an_engine_says_it_in_the_first_line(options: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*options.format("gpt2").split(), "--seq", "1025"]) == 1
    first = capsys.readouterr().out.replace("\n", " ")
    assert first.startswith(
        "✗ 1025 tokens exceed the 1024 learned positions of gpt2-small: pass --extend to allow longer"
    )
    main([*options.format("gpt2").split(), "--seq", "1025", "--extend"])
    assert "model's length" not in capsys.readouterr().out
    main([*options.format("gemma2-2b").split(), "--seq", "8193"])
    assert ", beyond the model's length" in capsys.readouterr().out.partition("\n!")[0].replace("\n", " ")
    main([*options.format("gemma2-2b").split(), "--seq", "8192"])
    assert "model's length" not in capsys.readouterr().out
