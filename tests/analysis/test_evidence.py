"""Every modelled value says what it rests on, and its error on measurements is that of its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

import llmcalc
from llmcalc.analysis.evidence import BASIS, classes, evidence_of, preset_figures
from llmcalc.analysis.quantity import names
from llmcalc.cli.main import main
from llmcalc.core.evidence import CLASSES
from llmcalc.inputs.measurements import Measurements, Row, median, read_measurements
from llmcalc.report.evidence import check_rows, summary_rows
from llmcalc.report.provenance import evidence_notes

FOUND = llmcalc.evidence()
EXACT = ("executed", "exact")
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_every_quantity_is_listed() -> None:
    listed = {one.quantity for one in FOUND.values}
    assert listed >= {*names(), "fit", "serve", "scale"}
    assert all(one.kind in CLASSES for one in FOUND.values)
    assert {(one.quantity, one.mode) for one in FOUND.values} == set(classes())


def test_every_modelled_value_says_what_it_rests_on() -> None:
    modelled = {(one.quantity, one.mode, one.value) for one in FOUND.values if one.kind not in EXACT}
    stated = {(*place, value) for place, texts in BASIS.items() for value in " ".join(texts).split()}
    assert stated == modelled
    assert all(one.basis for one in FOUND.values if one.kind not in EXACT)


def test_every_measurement_belongs_to_a_value() -> None:
    known = {(one.quantity, one.mode, one.value) for one in FOUND.values}
    for table in FOUND.measurements:
        values = {value for row in table.rows for value in (row.value or table.value).split()} | set(
            table.value.split()
        )
        assert {(table.quantity, table.mode, value) for value in values} <= known, table.title
        assert table.source
        assert table.rows or table.cases > table.failures
        assert all(row.measured * row.predicted > 0 for row in table.rows)  # negative: memory that is missing


def test_every_measured_value_has_an_error_or_says_that_it_has_none() -> None:
    for quantity, _, kind, cases, error, by in summary_rows(FOUND):
        if kind not in EXACT:
            assert (cases and error and by) or by in ("no measurement", "used as published"), quantity
    assert "no measurement" not in [row[5] for row in summary_rows(FOUND) if row[2] == "measured"]


def test_errors_are_relative_to_the_measurement() -> None:
    rows = (Row("a", 2.0, 1.0), Row("b", 10.0, 11.0), Row("c", 4.0, 4.0), Row("d", 5.0, 6.0, "activations"))
    table = Measurements("t", "memory", "peak", "training", "A. Author, Table 1", rows=rows)
    fitted = Measurements("f", "memory", "peak", "training", "B", rows=(Row("e", 1.0, 3.0),), in_fit=True)
    bounds = Measurements(
        "g", "memory", "peak", "training", "C", rows=(Row("h, none", 1, 3), Row("h, all", 1, 0.5)), bounds=True
    )
    values = {(one.mode, one.value): one for one in evidence_of((table, fitted, bounds), "memory").values}
    peak = values["training", "peak"]
    assert peak.errors() == pytest.approx([-0.5, 0.1, 0.0])
    assert peak.errors(in_fit=True) == pytest.approx([2.0])
    assert peak.count == 3 + 1 + 1
    assert peak.to_dict()["errors"] == {"median": pytest.approx(0.1), "worst": -0.5}
    assert values["training", "activations"].errors() == pytest.approx([0.2])
    assert not values["serving", "peak"].count


def test_the_state_of_serving_memory_is_the_state() -> None:
    counts = {one.place: one.count for one in FOUND.values}
    assert counts["memory.state (serving)"] == counts["state.bytes"] > 100
    titles = {one.title for one in llmcalc.evidence("memory").measurements}
    assert {"SGLang, KV cache", "QLoRA, Mixtral-8x7B on one A100"} <= titles
    assert "Training hours of other runs" not in titles


def test_figures_of_a_table_are_computed_again() -> None:
    table = next(one for one in FOUND.measurements if one.value == "hours days")
    predicted = {row.case: row.predicted for row in table.rows}
    for case, count in (("gpt3-175b on v100-sxm2-32gb", 10_000), ("deepseek-v3-671b on h800", 2048)):
        model, _, gpu = case.partition(" on ")
        hours = llmcalc.train(model, gpu=f"{gpu}:{count}").hours
        assert hours is not None
        assert predicted[case] == pytest.approx(hours.mid / 1000, rel=1e-4)


def test_published_figures_of_the_presets_are_rows() -> None:
    (figures,) = preset_figures()
    assert len(figures.rows) > 500
    gpt2 = [row for row in figures.rows if row.case.startswith("gpt2-small, total")]
    assert [round(1e9 * row.predicted) for row in gpt2] == [124_439_808] * len(gpt2)
    assert any(row.value == "active" and row.case.startswith("mixtral") for row in figures.rows)
    errors = {one.value: one.errors() for one in llmcalc.evidence("params").values}
    assert len(errors["total"]) + len(errors["active"]) < len(figures.rows)  # the others are of embeddings


def test_figures_of_scripts_have_a_script() -> None:
    scripts = [one for one in FOUND.measurements if one.cases and not one.deviation]
    assert scripts
    if BENCHMARKS.is_dir():
        assert all((BENCHMARKS.parent / one.title).is_file() and one.failure for one in scripts)


def test_wrong_outcomes_of_a_script_are_apart_from_the_errors_of_a_value() -> None:
    (one,) = read_measurements(
        {
            "s": {
                "quantity": "params",
                "value": "total",
                "mode": "",
                "source": "x",
                "cases": 7,
                "failures": 2,
                "failure": "wrong",
            }
        }
    )
    found = evidence_of((one,), "params")
    assert {each.count for each in found.values} == {0}
    assert {row[5] for row in summary_rows(found)} == {"NumPy models"}
    assert check_rows(found) == [("params", "wrong", "2", "7", "s")]
    assert not any(
        each.failure in str(row) for each in FOUND.measurements if each.failure for row in summary_rows(FOUND)
    )


def test_a_screen_states_the_error_of_what_it_models(capsys: pytest.CaptureFixture[str]) -> None:
    peak = next(one for one in FOUND.values if one.place == "memory.peak (training)")
    size = f"{100 * median(peak.errors()):.2g} % on {len(peak.errors())} measurements"
    assert main(["memory", "gpt2", "--training"]) == 0
    assert f"modelled: peak, median error {size} (llmcalc evidence memory)" in " ".join(capsys.readouterr().out.split())
    assert main(["train", "gpt2", "--tokens", "1B", "--gpu", "h100", "--notes"]) == 0
    assert "modelled: hours, median error" in " ".join(capsys.readouterr().out.split())
    assert main(["train", "gpt2", "--tokens", "1B", "--gpu", "h100", "--mfu", "40%", "--notes"]) == 0
    assert "modelled: hours" not in capsys.readouterr().out  # as good as the utilisation that was given
    assert evidence_notes("serve", "available")[0].startswith("modelled: available, median error")
    assert evidence_notes("flops", "other") == ()


def test_the_command_lists_the_measurements_of_a_quantity(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidence", "memory"]) == 0
    text = capsys.readouterr().out
    assert "MooreThreads/SimuMax" in text
    assert "llama3-405b, 4 layers, seq 4096, tp 8" in text
    assert main(["evidence", "memori"]) == 2
    assert "did you mean memory?" in capsys.readouterr().err


def test_a_measurement_in_several_tables_counts_once() -> None:
    (value,) = (one for one in FOUND.values if (one.quantity, one.value) == ("serve", "available"))
    listed = [row.case for one in value.measurements for row in one.rows]
    assert value.count < len(listed)
    assert value.count >= len(set(listed))
