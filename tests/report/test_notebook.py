"""Results show themselves in a notebook as the command line's page would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.analysis.quantity import Quantity, quantities
from llmcalc.analysis.results import RESULTS as SHOWN
from llmcalc.api.memory import memory
from llmcalc.core.architecture import Architecture
from llmcalc.core.notebook_display import NotebookDisplay
from llmcalc.core.record import record
from llmcalc.core.tree import Node
from llmcalc.report import notebook

MODEL = llmcalc.load("gpt2")
RESULTS: dict[str, Any] = {
    "Architecture": lambda: MODEL,
    "Params": lambda: llmcalc.params(MODEL),
    "Flops": lambda: llmcalc.flops(MODEL, seq=17),
    "StateSize": lambda: llmcalc.state(MODEL, seq=17),
    "InferenceMemory": lambda: memory(MODEL, seq=17),
    "ParallelMemory": lambda: memory(MODEL, mode="training", seq=17),
    "Communication": lambda: llmcalc.communication(MODEL, tp=2),
    "Plan": lambda: llmcalc.scale(MODEL, tokens=1e10),
    "Traffic": lambda: llmcalc.traffic(MODEL),
    "TrainingTime": lambda: llmcalc.step_time(MODEL, "h100:2", zero=3, seq=17),
    "TrainingPlan": lambda: llmcalc.plan(MODEL, "h100:2", seq=17),
    "Training": lambda: llmcalc.train(MODEL, 10**9, seq=17),
    "Checked": lambda: llmcalc.check(MODEL),
    "Calibration": lambda: llmcalc.calibrate(Path(__file__).parents[1] / "serving_rows.csv"),
    "RlMemory": lambda: llmcalc.rl("gpt2", "h100"),
    "CheckedLog": lambda: llmcalc.check_log(Path(__file__).parents[1] / "server.log", model="gpt2"),
    "Comparison": lambda: llmcalc.compare(MODEL, "gpt1"),
    "Design": lambda: llmcalc.design("gpt2", params="300M"),
    "Diff": lambda: llmcalc.diff(MODEL, "gpt1"),
    "Evidence": lambda: llmcalc.evidence("memory"),
    "Explanation": lambda: llmcalc.explain(MODEL, "params"),
    "RecipeSearch": lambda: llmcalc.find_recipes(MODEL, "h100"),
    "GpuSearch": lambda: llmcalc.find_gpus(MODEL),
    "ModelSearch": lambda: llmcalc.find_models("2GiB"),
    "FitResult": lambda: llmcalc.fit(MODEL, "h100"),
    "Latency": lambda: llmcalc.latency(MODEL, "h100"),
    "Start": lambda: llmcalc.serve(MODEL, "h100"),
    "EncoderServing": lambda: llmcalc.serve("bert", "h100", isl=101, concurrency=7),
    "ServingFront": lambda: llmcalc.serving_front(MODEL, "h100", isl=101, osl=53),
    "ServingGpus": lambda: llmcalc.serve(MODEL, "h100,l4", isl=101, osl=53),
    "ServingPools": lambda: llmcalc.serve(MODEL, "h100:2", isl=101, osl=53, prefill_pool="1x"),
    "ServingSearch": lambda: llmcalc.serve(MODEL, "h100", isl=101, osl=53, sla="tpot<10ms"),
    "ServingResult": lambda: llmcalc.serve(MODEL, "h100", isl=101, osl=53),
    "Sweep": lambda: llmcalc.sweep(MODEL, "flops.total", "seq=16,32"),
    "Verification": lambda: llmcalc.verify(MODEL),
}
TOTALS = {"EncoderServing": "sequences/s", "Params": "124,439,808", "Verification": "checks hold"}


def test_every_result_is_tried() -> None:
    measured = {kind.__name__ for each in quantities() for kind in each.results}
    assert set(RESULTS) == set(SHOWN) | measured
    assert not measured & set(SHOWN)


@record
class Warmth(NotebookDisplay):
    """The result of a quantity that somebody added."""

    architecture: Architecture
    total: int

    def to_dict(self) -> dict[str, Any]:
        return {"total": self.total}


def test_a_new_quantity_shows_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Quantity(
        "warmth", "warmth", "J", lambda architecture, _: Warmth(architecture, 12345), lambda _: Node("x", 12345, "J"),
        evidence={"": {"total": "exact"}}, parts={"total": "J"}, results=(Warmth,),
    )  # fmt: skip
    monkeypatch.setattr(notebook, "quantities", lambda: (own,))
    text = Warmth(MODEL, 12345)._repr_html_()
    assert "12,345" in text
    assert "GPT-2" in text


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_shows_itself(kind: str) -> None:
    result = RESULTS[kind]()
    text = result._repr_html_()
    assert type(result).__name__ == kind
    assert text.startswith('<div class="llmcalc"><style>')
    assert text.endswith("</div>")
    assert "GPT-2" in text or "gpt2" in text or kind == "EncoderServing"
    assert TOTALS.get(kind, "") in text


def test_something_else_is_refused() -> None:
    with pytest.raises(TypeError, match="int has no notebook display"):
        notebook.html(3)


def test_a_count_is_not_made_with_what_shows_it() -> None:
    code = (
        "import sys, llmcalc; llmcalc.params(llmcalc.load('gpt2'));"
        "assert not any(name.startswith('llmcalc.report') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
