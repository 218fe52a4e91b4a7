"""The passes of a pipeline in time, against the closed form of the schedule."""

from itertools import accumulate, groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmcalc
from llmcalc.calc.memory.pipeline import one_f_one_b_in_flight
from llmcalc.calc.sharding import Mesh
from llmcalc.report.train import train_document
from llmcalc.training.timeline import timeline


@given(st.integers(1, 7), st.integers(1, 5), st.integers(1, 4))
def test_equal_stages_take_the_time_of_the_closed_form(n_stages, groups, chunks):
    forward, backward = 3.0, 7.0
    n_batches = groups * n_stages
    found = timeline([(forward, backward)] * n_stages, n_batches, chunks)
    assert len(found) == 2 * n_stages * n_batches * chunks
    bubble = (n_stages - 1) * (forward + backward) / chunks
    assert max(each.end for each in found) == pytest.approx(n_batches * (forward + backward) + bubble)


@given(st.lists(st.tuples(st.floats(0.1, 9), st.floats(0.1, 9)), min_size=1, max_size=6), st.integers(1, 11))
def test_a_stage_computes_one_pass_at_a_time_and_after_its_inputs(seconds, n_batches):
    found = timeline(seconds, n_batches)
    ended = {(each.stage, each.micro_batch, each.is_backward): each.end for each in found}
    for each in found:
        if each.is_backward:
            before = (each.stage + 1, each.micro_batch, True)
            before = before if each.stage + 1 < len(seconds) else (each.stage, each.micro_batch, False)
        else:
            before = (each.stage - 1, each.micro_batch, False)
        assert each.start >= ended.get(before, 0.0)
    for _, own in groupby(sorted(found, key=lambda each: (each.stage, each.start)), key=lambda each: each.stage):
        assert all(one.end <= other.start for one, other in pairwise(own))


@given(st.integers(2, 6), st.integers(2, 4), st.integers(1, 3))
def test_stages_hold_the_micro_batches_that_memory_counts(n_stages, groups, chunks):
    mesh = Mesh(pp=n_stages, micro_batches=groups * n_stages, virtual_stages=chunks)
    found = timeline([(1.0, 2.0)] * n_stages, mesh.batches, chunks)
    for stage in range(n_stages) if chunks == 1 else [0]:
        own = sorted((each for each in found if each.stage == stage), key=lambda each: each.start)
        held = accumulate(-1 if each.is_backward else 1 for each in own)
        micro_batches, of = one_f_one_b_in_flight(mesh, stage)
        assert max(held) == micro_batches * chunks / of


def test_the_report_draws_each_stage_with_its_memory():
    mesh = Mesh(tp=2, pp=4)
    run = llmcalc.train("llama3-8b", "1B", gpu="h100:8", mesh=mesh, batch_tokens=31 * 8192, seq=8192)
    [picture] = [each for each in train_document(run).tables if each.title.startswith("pipeline")]
    assert [row[1] for row in picture.rows] == [stage.peak for stage in run.fit.result.stages]
    first, *_, last = (row[2] for row in picture.rows)
    assert first[0] == "1"
    assert first[-1] == "h"
    assert last.lstrip("·")[0] == "1"
