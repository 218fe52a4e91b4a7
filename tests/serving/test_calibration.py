"""Calibration of the times of serving by measurements, from the rows to the file that ``serve`` reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.serving import calibrate as module
from llmcalc.serving.calibration import Calibration, read_calibration
from llmcalc.serving.factors import MeasuredTime, fit_factors
from llmcalc.serving.result import ServingResult
from llmcalc.serving.step.step_models import engine_step

Capture = pytest.CaptureFixture[str]
MODEL = "llama3.1-8b"
USUAL = engine_step("vllm").step_s
LOADS = ((1009, 499, 1), (1009, 499, 17), (1009, 499, 61), (4001, 251, 31), (211, 1009, 13))


def estimate(isl: int, osl: int, concurrency: float, **settings: Any) -> ServingResult:
    result = llmcalc.serve(MODEL, "h100", isl=isl, osl=osl, concurrency=concurrency, **settings)
    assert isinstance(result, ServingResult)
    return result


def row(
    isl: int = 1009, osl: int = 499, concurrency: float = 17, tpot_s: float | None = None, **more: Any
) -> dict[str, Any]:
    found = float(estimate(isl, osl, concurrency).time.tpot_s) * 1.1 if tpot_s is None else tpot_s
    return {"model": MODEL, "gpu": "h100", "isl": isl, "osl": osl, "concurrency": concurrency, "tpot_s": found, **more}


def rows(decode: float = 1.0, prefill: float = 1.0, step: float = 1.0) -> list[dict[str, Any]]:
    """Rows that a deployment with these factors would give."""
    found = []
    for load in LOADS:
        time = estimate(*load).time
        kernels, added = time.step.seconds - time.step.engine, time.tpot_s - time.step.seconds
        seconds = decode * kernels + time.step.engine + (step - 1) * USUAL + prefill * added
        found.append(row(*load, tpot_s=float(seconds)))
    return found


def test_measurements_that_agree_with_the_estimate_change_nothing() -> None:
    (own,) = llmcalc.calibrate([row(*load, tpot_s=estimate(*load).tpot_s) for load in LOADS]).deployments
    assert (own.factors.decode, own.factors.prefill) == pytest.approx((1, 1))
    assert own.error(is_calibrated=True) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("factors", [{"decode": 1.2}, {"decode": 0.9}, {"prefill": 1.5}, {"step": 3.0}])
def test_the_factor_of_a_slower_part_is_found(factors: dict[str, float]) -> None:
    (own,) = llmcalc.calibrate(rows(**factors)).deployments
    ((name, expected),) = factors.items()
    found = own.factors.step_s / USUAL if name == "step" else getattr(own.factors, name)
    assert 0.15 < (found - 1) / (expected - 1) < 1.5
    before, after = own.error(is_calibrated=False), own.error(is_calibrated=True)
    assert before is not None
    assert after is not None
    assert after < before / 2


def test_serving_with_a_calibration_gives_the_calibrated_time_and_a_narrower_interval() -> None:
    result = llmcalc.calibrate(rows(decode=1.2))
    before, after = estimate(*LOADS[1]), estimate(*LOADS[1], calibration=result)
    assert after.tpot_s == pytest.approx(result.deployments[0].rows[1].after_s)
    assert after.tpot_s > before.tpot_s * 1.08
    assert after.tpot_high_s / after.tpot_s < before.tpot_high_s / before.tpot_s
    assert (after.ttft_s, after.ttft_high_s) == (before.ttft_s, before.ttft_high_s)
    step = after.time.step
    added = {name: seconds for name, seconds, _ in after.parts}["prefill of other requests"]
    assert added == pytest.approx(after.tpot_s - step.seconds)
    assert any("calibrated by 5 measurements" in note for note in after.notes)


def test_more_rows_give_a_narrower_interval() -> None:
    found = rows(decode=1.1)
    widths = []
    for count in (1, 3, 5):
        result = estimate(*LOADS[1], calibration=llmcalc.calibrate(found[:count]))
        widths.append(result.tpot_high_s / result.tpot_s)
    assert widths[0] > widths[1] > widths[2]


def test_a_search_uses_the_calibration() -> None:
    settings: dict[str, Any] = {"isl": 1009, "osl": 499, "sla": "tpot<90ms"}
    slower = llmcalc.calibrate(rows(decode=1.3))
    one, other = (llmcalc.serve(MODEL, "h100", **settings, **more) for more in ({}, {"calibration": slower}))
    assert one.layouts[0].tokens_per_s_gpu > other.layouts[0].tokens_per_s_gpu


def test_a_row_that_fails_a_check_is_left_out() -> None:
    fine = row()
    seconds = estimate(1009, 499, 17).tpot_s
    bad = {
        "repeats row 1": fine,
        "does not fit": {**fine, "model": "llama3.1-70b"},
        "check the unit": row(tpot_s=seconds * 1000),
        "Little's law": row(tpot_s=seconds, requests_per_s=1, latency_s=5.0),
        "a single output token": {**fine, "osl": 1},
        "not 61": row(concurrency=61, tpot_s=seconds, requests_per_s=1, ttft_ms=100),
    }
    result = llmcalc.calibrate([fine, *bad.values()])
    assert result.n_rows == 1
    assert list(result.left_out) == [f"row {place}" for place in range(2, 8)]
    assert all(text in reason for text, reason in zip(bad, result.left_out.values(), strict=True))


def test_rows_that_keep_the_law_are_used() -> None:
    seconds = estimate(1009, 499, 17).tpot_s
    latency = 0.1 + 498 * seconds
    assert llmcalc.calibrate([row(tpot_s=seconds, requests_per_s=17 / latency, ttft_ms=100)]).n_rows == 1


def test_the_same_configuration_with_other_times_is_a_warning() -> None:
    result = llmcalc.calibrate([row(tpot_s=0.010), row(tpot_s=0.013), row(tpot_s=0.0101)])
    assert (result.n_rows, len(result.warnings)) == (3, 1)
    assert "row 1 and row 2" in result.warnings[0]


def test_deployments_are_fitted_apart() -> None:
    fast, slow = row(), row(tpot_s=0.02, engine="sglang")
    one, other = llmcalc.calibrate([fast, slow]).deployments
    assert (one.engine, other.engine) == ("vllm", "sglang")
    assert one.factors == llmcalc.calibrate([fast]).deployments[0].factors
    result = llmcalc.calibrate([slow])
    assert estimate(1009, 499, 17, calibration=result).engine == "sglang"
    with pytest.raises(llmcalc.InputError, match="several engines"):
        estimate(1009, 499, 17, calibration=llmcalc.calibrate([fast, slow]))


@pytest.mark.parametrize("change", [{"weights": "fp8"}, {"engine": "sglang"}])
def test_another_deployment_is_refused(change: dict[str, str]) -> None:
    result = llmcalc.calibrate([row()])
    with pytest.raises(llmcalc.InputError, match=r"has no measurements of llama3\.1-8b on h100-sxm"):
        estimate(1009, 499, 17, calibration=result, **change)


@pytest.mark.parametrize("name", ["own.yaml", "own.json"])
def test_a_saved_calibration_gives_the_same_times(name: str, tmp_path: Path, capsys: Capture) -> None:
    source, saved = tmp_path / "rows.csv", tmp_path / name
    found = rows(decode=1.1)
    source.write_text("\n".join([",".join(found[0]), *(",".join(map(str, one.values())) for one in found)]))
    assert main(["calibrate", str(source), "-o", str(saved)]) == 0
    assert f"writtento{saved}" in "".join(capsys.readouterr().out.split())
    assert name != "own.json" or json.loads(saved.read_text())["deployments"][0]["rows"] == 5
    result = read_calibration(saved)
    assert isinstance(result, Calibration)
    expected = estimate(*LOADS[1], calibration=llmcalc.calibrate(found))
    assert estimate(*LOADS[1], calibration=saved).tpot_s == pytest.approx(expected.tpot_s, rel=1e-5)
    assert estimate(*LOADS[1], calibration=saved).tpot_high_s == pytest.approx(expected.tpot_high_s, rel=1e-5)
    assert main(["calibrate", str(source), "-o", str(saved)]) == 2
    assert "file exists" in capsys.readouterr().err
    line = f"serve {MODEL} --gpu h100 --isl 1009 --osl 499 --calibration {saved}"
    assert main(line.split()) == 0
    assert "calibrated by 5 measurements" in capsys.readouterr().out


HEAD, FINE = "model,gpu,isl,osl,concurrency,tpot_ms", "gpt2,h100,101,103,7,1.3"
BAD_FILES = {
    "is empty": "",
    "has no rows": HEAD,
    "unknown column 'users'": f"{HEAD},users\n{FINE},3",
    "two columns 'isl'": f"{HEAD},isl\n{FINE},3",
    "5 values in 6 columns": f"{HEAD}\n{FINE.rpartition(',')[0]}",
    "no time per output token": f"{HEAD}\n{FINE.rpartition(',')[0]},",
    "no gpu": f"{HEAD}\n{FINE.replace('h100', ' ')}",
    "tpot_ms must be a number, not 'fast'": f"{HEAD}\n{FINE.replace('1.3', 'fast')}",
    "tpot_ms must be a number above 0, not 'nan'": f"{HEAD}\n{FINE.replace('1.3', 'nan')}",
    "tpot_ms must be a number above 0, not '-1.3'": f"{HEAD}\n{FINE.replace('1.3', '-1.3')}",
    "concurrency must be a number above 0": f"{HEAD}\n{FINE.replace('7', '0')}",
    "isl: ": f"{HEAD}\n{FINE.replace('101', 'many')}",
    "tp: must be an integer of at least 1": f"{HEAD},tp\n{FINE},0",
    "tp: invalid length 'two'": f"{HEAD},tp\n{FINE},two",
    "tpot is given twice": f"{HEAD},tpot_s\n{FINE},0.0013",
    "unknown accelerator": f"{HEAD}\n{FINE.replace('h100', 'h1000')}",
    "unknown model": f"{HEAD}\n{FINE.replace('gpt2', 'gpt-two')}",
    "none of 1 rows can be used; line 2": f"{HEAD}\n{FINE.replace('1.3', '1300')}",
    "the layout needs 3 GPUs": f"{HEAD},tp\n{FINE},3",
    "invalid CSV": f'{HEAD}\n"{FINE}',
}


@pytest.mark.parametrize("message", BAD_FILES)
def test_a_bad_file_gives_one_message(message: str, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(BAD_FILES[message])
    assert main(["calibrate", str(file)]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert message in error
    assert str(file) in error
    assert "Traceback" not in error


@pytest.mark.parametrize("size", [[101], {}, True, 101.5, "101.5"])
def test_a_size_that_is_no_whole_number_is_refused(size: object) -> None:
    with pytest.raises(llmcalc.InputError, match="isl"):
        llmcalc.calibrate([{**row(tpot_s=0.01), "isl": size}])


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 3)
    with pytest.raises(llmcalc.InputError, match="more than 3 rows"):
        llmcalc.calibrate(row() for _ in iter(int, 1))


def test_a_long_calibration_can_be_read_again(tmp_path: Path) -> None:
    seconds = estimate(1009, 499, 17).tpot_s
    result = llmcalc.calibrate(row(tpot_s=seconds * (1 + place / 1e6)) for place in range(2003))
    saved = tmp_path / "own.yaml"
    saved.write_text(result.text())
    assert read_calibration(saved).n_rows == 2003


DEPLOYMENT: dict[str, Any] = {
    "model": "gpt2-small", "gpu": "h100-sxm", "engine": "vllm", "weights": None, "decode": 1.1, "prefill": 0.9,
    "step_ms": 0.7, "rows": 3,
}  # fmt: skip
BAD_ENTRIES: dict[str, Callable[[], object]] = {
    "is not the file of a calibration": lambda: {"deployments": []},
    "must have keys": lambda: {"deployments": [7]},
    "has no model": lambda: {"deployments": [{**DEPLOYMENT, "model": None}]},
    "decode must be a number above 0": lambda: {"deployments": [{**DEPLOYMENT, "decode": -1}]},
    "prefill must be a number above 0": lambda: {"deployments": [{**DEPLOYMENT, "prefill": "fast"}]},
    "step_ms 1e+09 is not between": lambda: {"deployments": [{**DEPLOYMENT, "step_ms": 1e9}]},
    "rows must be an integer of at least 1": lambda: {"deployments": [{**DEPLOYMENT, "rows": 0}]},
}


@pytest.mark.parametrize("message", BAD_ENTRIES)
def test_a_bad_calibration_file_gives_one_message(message: str, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "own.json"
    file.write_text(json.dumps(BAD_ENTRIES[message]()))
    assert main(["serve", "gpt2", "--gpu", "h100", "--isl", "101", "--osl", "103", "--calibration", str(file)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert str(file) in error


def test_a_calibration_without_a_load_is_refused(capsys: Capture) -> None:
    assert main(["serve", "gpt2", "--gpu", "h100", "--calibration", "own.yaml"]) == 2
    assert "--calibration" in capsys.readouterr().err


def test_forcing_needs_a_file(capsys: Capture) -> None:
    assert main(["calibrate", "rows.csv", "--force"]) == 2
    assert "--force: has no effect without a file" in capsys.readouterr().err


def test_comments_and_empty_lines_of_a_file_count_as_lines_only(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(f"# measured in May\n\n{HEAD}\n# first run\n{FINE}\n\n")
    (own,) = llmcalc.calibrate(file).deployments
    assert [one.row for one in own.rows] == ["line 5"]


def test_measurements_up_to_ten_times_the_estimate_are_used() -> None:
    usual = float(estimate(1009, 499, 17).time.tpot_s)
    times = (usual / 11, usual / 7, usual * 7, usual * 11)
    for tpot_s in times[1:3]:
        assert not llmcalc.calibrate([row(tpot_s=tpot_s)]).left_out
    found = llmcalc.calibrate([row(tpot_s=times[0]), row(), row(tpot_s=times[3])])
    assert [*found.left_out] == ["row 1", "row 3"]
    assert all("check the unit" in reason for reason in found.left_out.values())


def test_a_measurement_changes_each_factor_by_its_share_and_its_deviation() -> None:
    """The logarithm of a factor is in proportion to its part of the time and to the square of its deviation."""
    row, usual = MeasuredTime(kernels=0.011, scheduler=0.0013, prefill=0.0037, measured=0.019), 0.0017
    found = fit_factors([row], usual)
    parts = (found.decode * row.kernels, found.prefill * row.prefill, found.step_s)
    deviations = (0.15, 0.3, 1.0)
    logarithms = (log(found.decode), log(found.prefill), log(found.step_s / usual))
    ratios = [value / part / own**2 for value, part, own in zip(logarithms, parts, deviations, strict=True)]
    assert ratios == pytest.approx([ratios[0]] * 3, rel=1e-3)
    assert ratios[0] > 0
