"""What the page shows for a state: verdicts, numbers with their evidence, charts, blocks and exports."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.core.evidence import CLASSES
from llmcalc.report.fit_answer import fit_answer
from llmcalc.report.numbers import dollars
from llmcalc.report.serving_front import front_document
from llmcalc.web.answers import PANELS, answers, front
from llmcalc.web.answers.case import case_of
from llmcalc.web.answers.charts import points
from llmcalc.web.answers.state import read_state

ELEMENTS = {"svg", "title", "style", "rect", "line", "text", "tspan", "circle", "polyline"}
SERVED = {"model": "llama3.1-8b", "gpu": "h100", "users": 7, "context": 4099, "osl": 101}
LARGE = {"model": "llama3-70b", "gpu": "h100", "users": 3, "context": 4099}
STATES = (
    SERVED, LARGE,
    {"model": "deepseek-v3", "gpu": "h200", "n": 8, "users": 17},
    {"model": "qwen3-30b-a3b", "gpu": "rtx-4090", "n": 2, "weights": "q4_k_m", "kv": "fp8"},
    {"model": "bert-large", "gpu": "l4", "users": 5},
    {"model": "t5-base", "gpu": "l4"},
    {"model": "gpt2", "gpu": "m3-max-40c-48gb", "context": 5003},
    {"model": "mamba-2.8b", "gpu": "a100-80gb"},
)  # fmt: skip


def panel(name: str, state: dict[str, Any], **asked: Any) -> Any:
    found = answers({**state, "panels": [name], **asked})
    assert "error" not in found, found
    return found["panels"][name]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state["model"])
@pytest.mark.parametrize("name", PANELS)
def test_every_panel_answers_in_plain_json(name: str, state: dict[str, Any]) -> None:
    found = panel(name, state, compare=["gpt2"])
    assert json.loads(json.dumps(found)) == found
    assert "error" not in found


def test_the_verdict_agrees_with_fit() -> None:
    for state in (SERVED, LARGE):
        found, fit = (
            panel("verdict", state),
            llmcalc.fit(state["model"], "h100", seq=4099, batch=state["users"]),
        )
        assert found["fits"] is fit.fits
        assert fit_answer(fit)[2:] in found["text"]
        assert sum(part["bytes"] for part in found["memory"]["parts"]) == found["memory"]["total"]
        fact = next(fact for fact in found["facts"] if fact["why"] == "memory")
        assert fact["value"] == fit.needed


def test_the_verdict_states_the_speed_the_limit_and_the_cost() -> None:
    text = panel("verdict", SERVED)["text"]
    serving = llmcalc.serve("llama3.1-8b", "h100", isl=4099 - 101, osl=101, concurrency=7)
    assert text.startswith("Llama 3.1 8B on one NVIDIA H100 SXM5 80GB fits in vLLM: 7 requests of 4,099 tokens")
    assert f"{serving.tokens_per_s_user:.1f} tokens/s each" in text
    assert "limited by memory bandwidth" in text
    assert f"{dollars(serving.usd_per_million)} per million tokens" in text
    cost = next(fact for fact in panel("verdict", SERVED)["facts"] if fact["why"] == "cost")
    assert (cost["low"], cost["high"]) == serving.usd_per_million
    assert float(cost["text"].removeprefix("$")) == pytest.approx(cost["low"], rel=0.05)
    assert float(cost["after"].removeprefix("to $")) == pytest.approx(cost["high"], rel=0.05)
    assert dollars(serving.usd_per_million_output) in cost["note"]


def test_a_verdict_that_fails_names_changes_that_help() -> None:
    found = panel("verdict", LARGE)
    assert found["lead"] == "Does not fit"
    assert found["changes"]
    for change in found["changes"]:
        assert panel("verdict", {**LARGE, **change["set"]})["fits"], change
        assert change["text"] in found["text"] or change != found["changes"][0]
    assert not panel("verdict", LARGE, quick=True)["changes"]


def test_users_who_wait_are_stated() -> None:
    tight = {"model": "llama3.1-8b", "gpu": "h100", "context": 8192, "osl": 512}
    running = int(panel("verdict", {**tight, "users": 2})["facts"][-3]["value"])
    some, all_run, none = (panel("verdict", {**tight, "users": users}) for users in (running + 3, running, 2 * running))
    assert (some["fits"], some["waiting"], some["lead"]) == (True, 3, f"Runs {running} of {running + 3} users at once")
    assert (all_run["waiting"], all_run["lead"]) == (0, "Fits")
    facts = {fact["why"]: fact for fact in some["facts"]}
    assert facts["capacity"]["label"] == "Users vLLM runs"
    assert all(f"{running} users" in facts[name]["note"] for name in ("latency", "throughput", "cost"))
    assert (none["fits"], none["waiting"]) == (True, running)
    for found, users in ((some, running + 3), (none, 2 * running)):
        assert {"users": running} in [change["set"] for change in found["changes"]]
        for change in found["changes"]:
            better = panel("verdict", {**tight, "users": users, **change["set"]})
            assert (better["fits"], better["waiting"], change["lead"]) == (True, 0, "All run"), change
    assert none["memory"]["total"] == panel("verdict", {**tight, "users": running})["memory"]["total"]


def test_changes_are_those_that_serve_the_users() -> None:
    state = {"model": "llama3.3-70b", "gpu": "h100", "users": 16, "context": 8192}
    found = panel("verdict", state)
    assert not found["fits"]
    for change in found["changes"]:
        better = panel("verdict", {**state, **change["set"]})
        assert (better["fits"], better["waiting"]) == (True, 0), change


def test_stages_of_a_pipeline_have_times() -> None:
    found = panel("verdict", {"model": "llama3.3-70b", "gpu": "h100", "n": 3})
    assert "pp 3" in found["memory"]["layout"]
    assert not found["time_error"]
    assert "tokens/s" in found["text"]


def test_an_output_longer_than_the_context_is_stated() -> None:
    notes = panel("verdict", {**SERVED, "context": 509, "osl": 2053})["notes"]
    assert any("cut to 508 tokens" in note for note in notes)
    assert not any("cut to" in note for note in panel("verdict", SERVED)["notes"])


def test_an_encoder_has_a_throughput() -> None:
    state = {"model": "bert-large", "gpu": "l4", "users": 5, "context": 128}
    serving = llmcalc.serve("bert-large", "l4", isl=128, concurrency=5)
    facts = {fact["why"]: fact for fact in panel("verdict", state)["facts"]}
    assert facts["throughput"]["value"] == pytest.approx(5 / facts["latency"]["value"])
    assert (facts["throughput"]["value"], facts["latency"]["value"]) == (serving.requests_per_s, serving.latency_s)
    assert (facts["cost"]["low"], facts["cost"]["high"]) == serving.usd_per_million
    assert facts["flops"]["value"] == llmcalc.flops("bert-large", seq=128).total
    assert panel("derivation", state, quantity="throughput")["tree"]["text"] == facts["throughput"]["text"]


def test_a_model_that_does_not_fit_states_what_is_missing() -> None:
    facts = {fact["why"]: fact for fact in panel("verdict", LARGE)["facts"]}
    fit = llmcalc.fit("llama3-70b", "h100", seq=4099, batch=3)
    assert list(facts) == ["memory", "missing", "state", "params", "flops"]
    assert facts["missing"]["value"] == -fit.headroom
    assert facts["state"]["value"] * 3 == fit.result.state
    assert panel("derivation", LARGE, quantity="missing")["tree"]["text"].startswith(facts["missing"]["text"])


def test_the_classes_of_the_numbers_are_explained() -> None:
    for state in (SERVED, LARGE):
        found = panel("verdict", state)
        assert found["classes"].keys() == {fact["evidence"] for fact in found["facts"]}
        assert all(CLASSES[name] == meaning for name, meaning in found["classes"].items())


@pytest.mark.parametrize("state", STATES, ids=lambda state: state["model"])
def test_numbers_have_evidence_and_lie_in_their_intervals(state: dict[str, Any]) -> None:
    for fact in panel("verdict", state)["facts"]:
        assert fact["evidence"] in CLASSES
        if "low" in fact:
            assert fact["low"] <= fact.get("value", fact["low"]) <= fact["high"]
        assert "error" not in panel("derivation", state, quantity=fact["why"])


def test_derivations_add_up_to_the_numbers() -> None:
    found = {fact["why"]: fact for fact in panel("verdict", SERVED)["facts"]}
    for name in ("params", "memory", "flops"):
        tree = panel("derivation", SERVED, quantity=name)["tree"]
        assert int(tree["exact"].replace(",", "")) == found[name]["value"]


@pytest.mark.parametrize("state", [SERVED, {**SERVED, "users": 1}, STATES[2], {**SERVED, "users": 59, "context": 8192}])
def test_derivations_of_times_add_up(state: dict[str, Any]) -> None:
    serving = case_of(read_state(state)).serving
    facts = {fact["why"]: fact for fact in panel("verdict", state)["facts"]}
    tree = panel("derivation", state, quantity="latency")["tree"]
    assert tree["text"] == f"{facts['latency']['text']} tokens/s"
    (token,) = tree["children"]
    assert sum(map(seconds, token["children"])) == pytest.approx(serving.tpot_s, rel=0.02)
    if "prefill" in facts:
        first = panel("derivation", state, quantity="prefill")["tree"]
        assert first["text"].split(" ") == [facts["prefill"]["text"], facts["prefill"]["after"]]
        assert sum(map(seconds, first["children"])) == pytest.approx(serving.ttft_s, rel=0.02)
        assert sum(map(seconds, first["children"][0]["children"])) == pytest.approx(serving.time.prefill_s, rel=0.02)


@pytest.mark.parametrize(
    ("model", "gpu", "n", "users"),
    [("deepseek-v4-pro", "h100", 16, 1), ("deepseek-v3", "h200", 6, 61), ("llama3.3-70b", "l40s", 8, 59)],
)
def test_several_gpus_have_the_layout_of_fit(model: str, gpu: str, n: int, users: int) -> None:
    own: dict[str, Any] = {"model": model, "gpu": gpu, "n": n, "users": users, "context": 8192}
    case = case_of(read_state(own))
    expected = llmcalc.fit(model, f"{gpu}:{n}", seq=8192, batch=users)
    own = expected.to_dict()
    mesh = expected.result.mesh
    assert (case.layout, case.running) == (mesh, own["requests_running"])
    assert case.replicas == own["gpus_used"] // mesh.ranks
    assert case.running > 0


@pytest.mark.parametrize(("model", "gpu"), [("deepseek-v4-pro", "h100"), ("deepseek-v3", "h200")])
def test_no_change_is_offered_with_which_no_request_runs(model: str, gpu: str) -> None:
    offered = panel("verdict", {"model": model, "gpu": gpu, "n": 3, "users": 64, "context": 8192})["changes"]
    assert offered
    assert not any(" 0 users" in change["text"] for change in offered)


def seconds(node: dict[str, Any]) -> float:
    number, unit = node["text"].replace(",", "").split(" ")
    return float(number) * {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "microseconds": 1e-6, "ns": 1e-9}[unit]


def test_the_context_is_cut_to_what_the_model_accepts() -> None:
    found = answers({"model": "gpt2", "context": "8k", "panels": ["verdict"]})
    assert found["state"]["context"] == 1024
    assert any("1,024" in note for note in found["panels"]["verdict"]["notes"])


def test_charts_are_drawn_in_the_width_of_the_page() -> None:
    found = panel("charts", SERVED, width=320)
    assert set(found) == {"memory", "roofline", "memory_context", "speed_context", "users"}
    for chart in found.values():
        assert chart["svg"].startswith('<svg xmlns="http://www.w3.org/2000/svg" class="pic" role="img" width="320"')
        assert chart["csv"].count("\n") > 1
    assert "decode" in found["roofline"]["svg"]
    assert "prefill" in found["roofline"]["svg"]
    assert list(panel("charts", SERVED, charts=["roofline"])) == ["roofline"]


WIDTHS = {"large": (10**400, 760), "a word": ("wide", 760), "nan": (math.nan, 240), "-1": (-1, 240), "1e9": (1e9, 1600)}


@pytest.mark.parametrize(("width", "drawn"), WIDTHS.values(), ids=WIDTHS)
def test_a_width_that_no_page_has_is_replaced(width: object, drawn: int) -> None:
    assert f'width="{drawn}"' in panel("charts", SERVED, charts=["roofline"], width=width)["roofline"]["svg"]


def test_a_chart_that_is_not_possible_states_why() -> None:
    assert "fits" in panel("charts", LARGE)["speed_context"]["error"]


def test_an_encoder_has_the_texts_that_it_reads_per_second() -> None:
    state = {"model": "bert-large", "gpu": "l4", "users": 5, "context": 128}
    found, verdict = panel("charts", state), panel("verdict", state)
    assert verdict["only_reads"]
    batch = next(fact for fact in verdict["facts"] if fact["why"] == "latency")
    estimate = next(row for row in found["speed_context"]["csv"].splitlines() if row.startswith("estimate,128"))
    assert float(estimate.split(",")[2]) == pytest.approx(5 / batch["value"])
    rate = next(row for row in found["users"]["csv"].splitlines() if row.split(",")[1] in ("5", "5.0"))
    assert float(rate.split(",")[2]) == pytest.approx(5 / batch["value"])
    assert panel("front", state)["chart"]["error"] == "the model generates no tokens"


@pytest.mark.parametrize(
    ("gpu", "engine"), [("m4-max-128gb", "llama.cpp"), ("rx-7900-xtx", "llama.cpp"), ("l4", "vllm")]
)
def test_the_front_runs_in_the_engine_that_serve_assumes(gpu: str, engine: str) -> None:
    state = {
        "model": "llama3.1-8b",
        "gpu": gpu,
        "context": 1201,
        "osl": 101,
        "weights": "q4_k_m" if gpu != "l4" else "",
    }
    found = panel("front", state, width=320)
    while "tried" in found:
        found = panel("front", state, width=320)
    weights = state["weights"] or None
    whole = llmcalc.serving_front("llama3.1-8b", gpu, isl=1100, osl=101, weights=weights)
    assert whole.engine == engine
    (chart,) = front_document(whole).pictures()
    assert found["chart"]["csv"] == points(chart)


def test_the_front_of_layouts_is_searched_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "PIECE", 1e-9)
    state = {"model": "llama3.1-8b", "gpu": "h100", "n": 2, "context": 4099, "osl": 101}
    found, tried, others = panel("front", state, width=320), list[int](), 0
    while "tried" in found:
        tried.append(found["tried"])
        others += len(panel("verdict", state)["facts"])  # other messages come between
        found = panel("front", state, width=320)
    whole = llmcalc.serving_front("llama3.1-8b", "h100:2", isl=4099 - 101, osl=101)
    (chart,) = front_document(whole).pictures()
    assert found["chart"]["csv"] == points(chart)
    assert tried == sorted(tried)
    assert len(tried) > whole.tried
    assert whole.tried >= tried[-1] > 0


def test_another_state_ends_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "PIECE", 1e-9)
    states = [{"model": "gpt2", "gpu": "l4", "n": n} for n in (1, 2)]
    for state in (*states, states[0]):
        assert panel("front", state)["tried"] == 0
        assert len(front._searches) == 1


def test_blocks_contain_every_parameter_once() -> None:
    for model in ("llama3.1-8b", "deepseek-v3", "gemma3-4b", "albert-base", "t5-base"):
        found, total = panel("blocks", {"model": model}), 0
        for stack in found["stacks"]:
            inside = [layer for block in stack["blocks"] for one in block["sublayers"] for layer in one["layers"]]
            total += sum(layer["stored"] for layer in (*stack["inputs"], *inside, *stack["outputs"]))
            assert sum(block["count"] for block in stack["blocks"]) == stack["n_layers"]
        assert total == llmcalc.params(model).total


def test_blocks_show_equations_and_tensors() -> None:
    block = panel("blocks", SERVED)["stacks"][0]["blocks"][0]
    layers = {layer["name"]: layer for one in block["sublayers"] for layer in one["layers"]}
    assert "q[b q h e] = x[b q d] wq[d h e]" in layers["attention"]["equations"]
    wq = next(tensor for tensor in layers["attention"]["tensors"] if tensor["name"] == "wq")
    assert (wq["axes"], wq["shape"]) == ("d_model × n_heads·d_head", "4096 × 4096")


def test_axes_of_equations_are_named() -> None:
    block = panel("blocks", SERVED)["stacks"][0]["blocks"][0]
    layer = next(layer for one in block["sublayers"] for layer in one["layers"] if layer["name"] == "attention")
    axes = {axis: rest for axis, *rest in layer["axes"]}
    assert axes["d"][:2] == ["d_model", "4096"]
    assert axes["b"] == ["", "", "sequences in the batch"]


def test_hostile_titles_do_not_become_markup(tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>\"'&"
    config = {"model_type": "llama", "_name_or_path": hostile, "hidden_size": 64, "intermediate_size": 128,
              "num_hidden_layers": 3, "num_attention_heads": 8, "vocab_size": 101}  # fmt: skip
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    found = answers({"model": str(file), "panels": ["verdict", "card", "charts"]})["panels"]
    assert "<img" in found["verdict"]["text"]
    for svg in (found["card"], *(chart["svg"] for chart in found["charts"].values())):
        assert {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(svg).iter()} <= ELEMENTS


def test_models_side_by_side_have_the_same_rows() -> None:
    found = panel("comparison", SERVED, compare=["qwen3-8b", "no-such-model"])
    assert [one["title"] for one in found["models"][:2]] == ["Llama 3.1 8B", "Qwen3 8B"]
    assert "unknown model" in found["models"][2]["error"]
    rows = {row["label"]: row["cells"] for row in found["rows"]}
    assert rows["Parameters"][1]["value"] == llmcalc.params("qwen3-8b").total
    assert rows["Parameters"][2] is None
    best = {row["label"]: row["best"] for row in found["rows"]}
    assert best["Parameters"] is None
    speeds = [cell["value"] for cell in rows["Speed per user"][:2]]
    assert best["Speed per user"] == speeds.index(max(speeds))


@pytest.mark.parametrize(
    "state",
    [
        SERVED,
        {"model": "llama3.1-8b", "gpu": "rtx-4090", "weights": "q4_k_m"},
        {"model": "bert-large", "gpu": "l4", "n": 4, "users": 37, "context": 509},
    ],
)
def test_command_lines_give_the_same_answers(state: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    results = panel("json", state)
    for command in panel("commands", state):
        words = command["line"].split()
        assert main([*words[1:], "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["result"] == results[words[1]]["result"]


@pytest.mark.parametrize(
    ("state", "parameter"),
    [
        ({"model": "no-such-model"}, ""), ({"model": "-"}, "model"), ({}, "model"),
        ({"model": "gpt2", "gpu": "no-such-gpu"}, "gpu"), ({"model": "gpt2", "gpu": "24GB"}, "gpu"),
        ({"model": "gpt2", "users": 0}, "users"), ({"model": "gpt2", "users": "many"}, "users"),
        ({"model": "gpt2", "n": 10**9}, "n"), ({"model": ["gpt2"]}, "model"),
        ({"model": "gpt2", "compare": ["gpt2"] * 4}, "compare"), ({"model": "gpt2", "panels": 7}, "panels"),
        ({"model": "gpt2", "panels": [["verdict"]]}, "panels"), ({"model": "gpt2", "compare": [7]}, "compare"),
    ],
)  # fmt: skip
def test_an_invalid_state_is_an_error_with_its_field(state: dict[str, Any], parameter: str) -> None:
    error = answers(state)["error"]
    assert error["message"]
    assert error["parameter"] == parameter


def test_errors_of_a_panel_leave_the_others() -> None:
    found = answers({"model": "gpt2", "weights": "no-such-format", "panels": ["verdict", "blocks", "no-such-panel"]})
    assert "no-such-format" in found["panels"]["verdict"]["error"]["message"]
    assert found["panels"]["blocks"]["stacks"]
    assert "unknown panel" in found["panels"]["no-such-panel"]["error"]["message"]


@pytest.mark.parametrize("names", [7, "memory", [["memory"]]])
def test_names_of_charts_must_be_a_list(names: Any) -> None:
    error = answers({"model": "gpt2", "panels": ["charts"], "charts": names})["panels"]["charts"]["error"]
    assert error["parameter"] == "charts"


def test_results_of_a_state_are_kept() -> None:
    state = read_state(SERVED)
    assert case_of(state) is case_of(read_state(SERVED))
    assert case_of(state).fit is case_of(state).fit


def test_models_that_run_different_numbers_of_users_have_no_best_speed() -> None:
    load = {"model": "llama3.1-8b", "gpu": "h100-sxm", "n": 2, "users": 16, "context": 32768, "weights": "fp8"}
    for other, is_best in (("llama3.3-70b", False), ("qwen3-8b", True)):
        rows = {row["label"]: row["best"] for row in panel("comparison", load, compare=[other])["rows"]}
        assert (rows["Speed per user"] is not None) is is_best
        assert rows["Needed per GPU"] is not None


def test_a_second_mac_is_not_proposed() -> None:
    load = {"model": "llama3.3-70b", "gpu": "m4-max-40c-64gb", "users": 1, "context": 32768, "weights": "q4_k_m"}
    assert not any("GPUs" in change["text"] for change in panel("verdict", load)["changes"])
