"""Sharding: all ranks together hold the model and its declared replicas."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.core.architecture import declare
from llmcalc.core.declaration import Declaration
from llmcalc.core.equation import read
from llmcalc.core.layer import Layer
from llmcalc.core.ledger import entries, rows
from llmcalc.core.record import record
from llmcalc.core.traits import Parallel
from llmcalc.layers import Attention

MODELS = ("gpt2-small", "llama3-8b", "mixtral-8x7b", "deepseek-v3", "mamba2-130m", "gemma3-4b", "qwen3-next-80b-a3b")
powers = st.sampled_from((1, 2, 4))


@given(name=st.sampled_from(MODELS), tensor=powers, expert=powers)
@settings(deadline=None)
def test_ranks_hold_the_whole_and_named_replicas(name, tensor, expert):
    """A tensor on all ranks is the tensor, or a replica on each; a padded vocabulary adds its padding."""
    mesh = Mesh(dp=4, tp=tensor, ep=expert)
    for row in rows(llmcalc.load(name).stacks):
        share = mesh.share_of_weight(row.tensor, row.declaration, row.size)
        divided = {mesh.divisor(row.declaration, axis) for axis in row.tensor.axes if axis != "x"} - {1}
        ranks = max(divided, default=1) * (expert if row.tensor.active else 1)
        padding = 0
        if "V" in row.tensor.axes:
            vocabulary = row.declaration.axes["V"]
            padding = row.size // vocabulary * (mesh.padded(vocabulary) - vocabulary)
        assert share * ranks == row.size + padding
        if ranks == 1 and tensor > 1:  # replicated: no axis that a mesh divides, or fewer key/value heads than ranks
            assert not {row.declaration.division(axis) for axis in row.tensor.axes} & {"tensor", "vocabulary"}


@record
class Undeclared(Layer):
    """A kind that forgets to say how ranks divide its hidden width."""

    d_model: int
    hidden: int

    def declare(self):
        declaration = Declaration({"d": self.d_model, "f": self.hidden})
        declaration.weights("w[d | f]")
        return declaration


@record
class Declared(Undeclared):
    """The same kind, which says so."""

    PARALLEL = Parallel(tensor="f")


def test_a_weight_that_nobody_says_how_to_divide_is_refused():
    declaration = declare(Undeclared(5, 14))
    (tensor,) = declaration.tensors
    assert Mesh(dp=2, zero=3).share_of_weight(tensor, declaration, 70) == 70
    with pytest.raises(llmcalc.UnsupportedError, match="does not declare how tensor parallelism divides the axis 'f'"):
        Mesh(tp=2).share_of_weight(tensor, declaration, 70)
    assert Mesh(tp=2).share_of_weight(tensor, declare(Declared(5, 14)), 70) == 35


@pytest.mark.parametrize(
    ("division", "routed", "group"),
    [
        ("whole", False, ("", 1)),
        ("", False, ("", 1)),
        ("tensor", False, ("tp", 4)),
        ("replicated", False, ("tp", 4)),
        ("vocabulary", False, ("tp", 4)),
        ("tensor", True, ("etp", 2)),
        ("expert", True, ("ep", 6)),
    ],
)
def test_a_sum_over_a_divided_axis_is_reduced_over_its_ranks(division, routed, group):
    assert Mesh(dp=3, tp=4, ep=6, etp=2).group(division, routed) == group


@pytest.mark.parametrize(
    ("multiple", "tensor", "rows"), [(128, 1, 50257), (128, 2, 50432), (128, 8, 51200), (1, 3, 50259)]
)
def test_a_vocabulary_is_padded_by_rule(multiple, tensor, rows):
    assert Mesh(tp=tensor, vocabulary_multiple=multiple).padded(50257) == rows


@given(name=st.sampled_from(("gpt2-small", "llama3-8b", "mistral-7b-v0.1")), stages=st.sampled_from((1, 2, 4)))
@settings(deadline=None)
def test_stages_hold_all_layers(name, stages):
    model = llmcalc.load(name)
    whole = llmcalc.memory(model, mode="training", seq=64)
    parts = llmcalc.memory(model, mode="training", seq=64, mesh=Mesh(pp=stages))
    tied = model.main.outputs[-1].layer.share is not None and stages > 1
    table = llmcalc.params(model).embedding * 2 if tied else 0  # the last stage keeps a copy of a tied table
    assert sum(stage.weights for stage in parts.stages) == whole.weights + table


@given(zero=st.integers(0, 3), data=st.sampled_from((1, 2, 8)))
@settings(deadline=None)
def test_zero_divides_by_stage(zero, data):
    model = llmcalc.load("gpt2-small")
    total = llmcalc.params(model).total
    memory = llmcalc.memory(model, mode="training", seq=64, mesh=Mesh(dp=data, zero=zero))
    assert memory.optimizer == -(-12 * total // (data if zero >= 1 else 1))
    assert memory.gradients == -(-2 * total // (data if zero >= 2 else 1))
    assert memory.weights == -(-2 * total // (data if zero >= 3 else 1))


@given(tensor=powers, batch=st.integers(1, 3), seq=st.sampled_from((64, 128)))
@settings(deadline=None)
def test_sequence_parallel_ranks_share_every_activation(tensor, batch, seq):
    """All but what is not divided: one number for each row of a norm, whose rows are."""
    model = llmcalc.load("gpt3", overrides=("n_layers=3", "d_model=512", "n_heads=8", "vocab=51200"))
    alone, shared = (
        llmcalc.memory(model, mode="training", batch=batch, seq=seq, mesh=mesh).activations
        for mesh in (Mesh(), Mesh(tp=tensor, sp=True))
    )
    assert shared * tensor == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize(
    ("mesh", "parameter"),
    [
        ({"tp": 5}, "tp"),
        ({"tp": 0}, "tp"),
        ({"pp": 13}, "pp"),
        ({"pp": 13, "virtual_stages": 2}, "pp"),
        ({"zero": 4}, "zero"),
        ({"ep": 3, "dp": 2}, "ep"),
        ({"virtual_stages": 2}, "virtual_stages"),
        ({"dp": -1}, "dp"),
        ({"cp": 1.5}, "cp"),
        ({"vocabulary_multiple": 0}, "vocabulary_multiple"),
    ],
)
def test_ranks_that_do_not_divide_are_refused(mesh, parameter):
    with pytest.raises(llmcalc.InputError) as caught:
        llmcalc.memory(llmcalc.load("gpt2-small"), mode="training", seq=64, mesh=Mesh(**mesh))
    assert caught.value.parameter == parameter


def test_experts_that_ranks_do_not_divide_are_refused():
    with pytest.raises(llmcalc.SizeError) as caught:
        llmcalc.memory(llmcalc.load("mixtral-8x7b"), mode="training", seq=64, mesh=Mesh(dp=3, ep=3))
    assert caught.value.parameter == "ep"
    assert "n_experts (8)" in str(caught.value)


@pytest.mark.parametrize("recompute", ["none", "selective", "full"])
def test_more_work_never_needs_less(recompute):
    model = llmcalc.load("llama3.2-1b")
    peaks = [
        llmcalc.memory(model, mode="training", batch=b, seq=s, attention="eager", recompute=recompute).peak
        for b, s in ((1, 512), (1, 1024), (2, 1024), (4, 4096))
    ]
    assert peaks == sorted(peaks)


def test_recomputation_keeps_less():
    model = llmcalc.load("llama3.2-1b")
    none, selective, full = (
        llmcalc.memory(model, mode="training", batch=2, seq=2048, attention="eager", recompute=recompute).activations
        for recompute in ("none", "selective", "full")
    )
    assert full < selective < none


def test_the_peak_is_a_moment_with_its_parts():
    memory = llmcalc.memory(llmcalc.load("gpt2-small"), mode="training", batch=4, seq=1024)
    moment = memory.largest
    assert memory.peak == sum(size for part, size in moment._asdict().items() if part != "phase")
    assert memory.peak < memory.weights + memory.gradients + memory.optimizer + memory.activations + 2**33
    assert all(memory.peak >= other.total for other in memory.timeline)


def reductions(name, mesh):
    """The equations of each layer whose results ranks sum, with the group and its size."""
    found = {}
    for entry in entries(llmcalc.load(name)):
        for part, declaration in declare(entry.layer).walk():
            for line in map(read, declaration.lines):
                group, ranks = mesh.reduction(line, declaration)
                if group:
                    found[".".join((entry.name, *part)), line.out.name] = group, ranks
    return found


def test_a_block_of_megatron_sums_twice_in_a_forward_pass():
    """[narayanan2021, Section 3.2] after the attention and after the MLP; and the divided table of tokens."""
    assert reductions("gpt3", Mesh(tp=8)) == {
        ("token", "y"): ("tp", 8),
        ("attention", "y"): ("tp", 8),
        ("mlp", "y"): ("tp", 8),
    }
    assert reductions("gpt3", Mesh(dp=8, pp=2)) == {}


def test_routed_experts_sum_over_their_own_ranks():
    found = reductions("deepseek-v3", Mesh(dp=4, tp=4, ep=8, etp=2))
    assert found["mlp", "z"] == ("etp", 2)
    assert found["mlp.shared", "y"] == found["attention", "y"] == found["token", "y"] == ("tp", 4)


@record
class Table(Layer):
    """A table whose rows are whole and whose columns, which the result has, are divided."""

    rows: int
    heads: int

    PARALLEL = Parallel(tensor="h", whole="T")

    def declare(self):
        declaration = Declaration({"T": self.rows, "h": self.heads})
        declaration.weights("w[T; h]", table="other")
        declaration.equations("y[b q h] = gather(w, ids)", "z[b q] = add(y[b q h])")
        return declaration


def test_a_look_up_of_divided_columns_sums_nothing():
    declaration = declare(Table(5, 6))
    look_up, add = map(read, declaration.lines)
    assert Mesh(tp=3).reduction(look_up, declaration) == ("", 1)
    assert Mesh(tp=3).reduction(add, declaration) == ("tp", 3)


def test_a_divided_mamba_sums_what_all_channels_share():
    """The time step, B and C are projections of the divided channels [gu2023, Section 3]."""
    found = {out for (_, out), group in reductions("mamba-130m", Mesh(tp=2)).items() if group == ("tp", 2)}
    assert found == {"y", "dt", "B", "C", "out"}


def test_scarce_key_value_heads_divide_over_as_many_ranks_as_there_are_heads():
    layer = Attention(d_model=30, n_heads=6, n_kv_heads=3, d_head=5)
    declaration = declare(layer)
    assert [Mesh(tp=ranks).divisor(declaration, "g") for ranks in (1, 3, 6)] == [1, 3, 3]
    assert [Mesh(tp=ranks).divisor(declaration, "h") for ranks in (1, 3, 6)] == [1, 3, 6]
    with pytest.raises(llmcalc.SizeError, match=r"tp \(2\) does not divide n_kv_heads \(3\)"):
        Mesh(tp=2).divisor(declaration, "g")
