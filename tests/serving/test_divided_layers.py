"""Times of llama.cpp: GPUs with different layers compute one after the other, and a part in host memory has no time."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.cli.main import main

MODEL, GPU = "llama3-70b", "rtx3090"


def test_more_gpus_do_not_make_a_step_faster() -> None:
    alone = llmcalc.latency(MODEL, GPU, weights="q4_k_m", context=1021)
    for count in (2, 3, 7):
        found = llmcalc.latency(MODEL, f"{GPU}:{count}", weights="q4_k_m", context=1021)
        assert (found.model.mesh.pp, found.model.mesh.tp) == (count, 1)
        sent = sum(found.steps[0][0].collectives.values())
        assert sent > 0
        assert found.seconds == pytest.approx(alone.seconds + sent)
    assert llmcalc.latency(MODEL, f"{GPU}:2", weights="q4_k_m").fits
    assert not alone.fits


def test_stages_compute_one_batch_of_all_sequences() -> None:
    """In vLLM, stages compute as many parts of the batch at once."""
    several = {
        engine: llmcalc.latency(MODEL, "h100:2", engine=engine, pp=2, batch=34) for engine in ("llama.cpp", "vllm")
    }
    whole, part = (llmcalc.latency(MODEL, "h100", engine="llama.cpp", batch=batch) for batch in (34, 17))
    stages = several["llama.cpp"]
    assert stages.steps[0][0].kernels == pytest.approx(whole.steps[0][0].kernels)
    assert stages.steps[0][0].kernels > part.steps[0][0].kernels
    assert "wait (pp)" not in stages.steps[0][0].collectives
    assert several["vllm"].steps[0][0].collectives["wait (pp)"] > 0


def test_serve_has_the_times_of_latency() -> None:
    served = llmcalc.serve(MODEL, f"{GPU}:2", weights="q4_k_m", isl=1009, osl=2, concurrency=1)
    step = llmcalc.latency(MODEL, f"{GPU}:2", weights="q4_k_m", context=1010)
    assert (served.mesh.pp, served.mesh.tp) == (2, 1)
    assert served.tpot_s == pytest.approx(step.seconds, rel=1e-3)


def test_the_cache_of_a_batch_is_divided_over_all_stages() -> None:
    two, four = (
        llmcalc.serve(MODEL, f"{GPU}:{count}", weights="q4_k_m", isl=1009, osl=101, concurrency=3) for count in (2, 4)
    )
    assert two.running == four.running == 3
    assert four.time.capacity > two.time.capacity > 3
    assert four.tpot_s == pytest.approx(two.tpot_s, rel=0.01)


def test_rows_can_be_divided_instead() -> None:
    layers, rows = (llmcalc.latency("llama3-8b", f"{GPU}:2", weights="q4_k_m", **own) for own in ({}, {"tp": 2}))
    assert (rows.model.mesh.tp, rows.model.mesh.pp) == (2, 1)
    assert rows.seconds < layers.seconds
    served = llmcalc.serve("llama3-8b", f"{GPU}:2", weights="q4_k_m", isl=1009, osl=101, tp=2)
    assert (served.mesh.tp, served.mesh.pp) == (2, 1)


def test_a_search_divides_layers() -> None:
    found = llmcalc.serve(MODEL, f"{GPU}:4", weights="q4_k_m", isl=1009, osl=101, sla="tpot=97ms")
    assert found.is_found
    assert {one.mesh.tp for one in found.layouts} == {1}
    assert all(one.mesh.pp > 1 for one in found.layouts)


def test_more_gpus_are_not_offered_as_faster(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"latency {MODEL} --gpu {GPU}:2 --weights q4_k_m --context 512".split()) == 0
    out = capsys.readouterr().out
    assert "\nnext  " in out
    assert "--batch 8" in out
    assert "--gpu rtx-3090:4" not in out
    assert main(["latency", MODEL, "--gpu", "h100:2", "--weights", "fp8"]) == 0
    assert "--gpu h100-sxm:4" in capsys.readouterr().out
    assert main(f"latency {MODEL} --gpu {GPU} --weights q4_k_m".split()) == 1
    assert "--gpu rtx-3090:2" in capsys.readouterr().out


def test_published_speeds_of_several_gpus_are_in_the_interval() -> None:
    for gpu, published in (("rtx3090:2", 16.29), ("rtx3090:4", 16.89), ("rtx4090:2", 19.06)):
        found = llmcalc.latency(MODEL, gpu, weights="q4_k_m", context=512)
        assert found.low < 1 / published < found.high


def test_both_forms_of_serve_agree_on_what_is_in_host_memory(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["serve", "gpt-oss-120b", "--gpu", "rtx4090", "--engine", "llama.cpp"]
    assert main([*words, "--isl", "1021", "--osl", "199", "--notes"]) == 0
    timed = " ".join(capsys.readouterr().out.split())
    assert main([*words, "--max-model-len", "1220"]) == 0
    assert "Starts with the experts of 24 of 36 layers in host memory" in " ".join(capsys.readouterr().out.split())
    assert "llama.cpp starts with the experts of 24 of 36 layers in host memory, which it chooses by itself" in timed
    assert "the bandwidth of host memory is assumed: 89.6 GB/s" in timed


def test_what_does_not_start_is_not_placed() -> None:
    found = llmcalc.serve(MODEL, "m4-16gb", weights="q4_k_m", isl=1009, osl=101)
    assert found.placed is None
    assert found.summary.startswith("Will not start")
    assert not found.changes  # no engine connects several Macs
    assert llmcalc.serve("llama3-8b", GPU, weights="q4_k_m", isl=1009, osl=101).placed is None
    assert llmcalc.serve(MODEL, GPU, engine="vllm", isl=1009, osl=101).placed is None


def test_the_memory_has_the_weights_of_the_times() -> None:
    """llama.cpp would take q4_k_m without a format, with which the model fits, but times are those of 16 bits."""
    found = llmcalc.serve(MODEL, "m4-max-64gb", isl=1009, osl=101)
    assert not found.fits
    assert [change for change, _ in found.changes] == [{"weights": "q4_k_m"}]
    assert llmcalc.serve("llama3-8b", "m4-max-64gb", isl=1009, osl=101).fits
