"""The same question through every door: random deployments of all presets, engines, GPUs and formats."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))
CASES: list[Any] = import_module("benchmarks.doors.cases").every_case()
QUESTIONS: dict[str, Any] = import_module("benchmarks.doors.questions").QUESTIONS
MOST_RULED = 0.03  # share of the cells that differ by a rule of the engine


@pytest.mark.parametrize("name", ["requests", "starts", "layout", "latency"])
def test_all_doors_have_one_answer(name: str) -> None:
    question, asked, ruled = QUESTIONS[name], [0], [0]

    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(CASES))
    def ask(case: Any) -> None:
        assume(case.generates)
        answers = question.ask(case)
        assume(set(answers.values()) != {None})
        asked[0] += 1
        if question.exception(case, answers):
            ruled[0] += 1
        else:
            assert question.disagreement(answers) <= question.allowed, f"{case.title}: {answers}"

    ask()
    assert ruled[0] <= MOST_RULED * asked[0] + 1
