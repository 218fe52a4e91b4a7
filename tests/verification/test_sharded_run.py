"""Runs on simulated ranks: outputs and gradients are those of one rank, and the exchanged elements are declared."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.core.architecture import Block, Branch, Named, Run, Stack, Sublayer, shared_declaration
from llmcalc.core.declaration import Declaration
from llmcalc.core.equation import renamed
from llmcalc.core.errors import InputError, UnsupportedError
from llmcalc.core.layer import Layer
from llmcalc.core.ledger import entries
from llmcalc.core.traits import divisions
from llmcalc.layers import Attention, Embedding, Head, Hyena, Mla, Mlp, Moe, Norm, RwkvTimeMix, find, kinds
from llmcalc.layers.parts.inner_norm import InnerNorm
from llmcalc.layers.parts.qk_norm import QkNorm
from llmcalc.layers.parts.rope import Rope
from llmcalc.layers.parts.sphere import Sphere
from llmcalc.schema import preset_files
from llmcalc.verification.ranks import Ranks
from llmcalc.verification.sharded_array import ShardedArray, divide
from llmcalc.verification.sharded_checks import run_alone, sharded_checks
from llmcalc.verification.sharded_run import ShardedRun, divisible, group_length, sharded_run

MESHES = {
    "tp2": Mesh(tp=2), "tp3": Mesh(tp=3), "sp": Mesh(tp=2, sp=True), "cp": Mesh(cp=2), "tp cp": Mesh(tp=2, cp=2),
    "ep": Mesh(dp=2, ep=2), "ep of tp": Mesh(dp=2, tp=2, ep=2), "ep within tp": Mesh(tp=2, ep=2, etp=1),
    "ep sp": Mesh(dp=2, tp=2, ep=2, sp=True), "ep within tp sp": Mesh(tp=2, ep=2, etp=1, sp=True),
    "ep cp": Mesh(dp=2, ep=2, cp=2), "ep dp": Mesh(dp=4, ep=2), "ep etp": Mesh(tp=4, ep=2, etp=2),
    "ep dp within tp": Mesh(dp=2, tp=2, ep=2, etp=1), "ep across tp": Mesh(dp=2, tp=2, ep=4, etp=1),
}  # fmt: skip
COLLECTIVES = "llmcalc.calc.layer_collectives"
VOCAB = 30
SEQ = 6
TOLERANCE = 1e-8
IN_A_STACK = {"embedding", "head", "per_layer_table"}
NEEDS_MORE = "earlier layer|per-layer table|only on patches|index_heads|not modelled|must equal|must be 1 or"


def is_at_home(kind: str) -> bool:
    return "zoo" not in find(kind)[0].__module__.split(".")


DIVIDED = [kind for kind in kinds() if is_at_home(kind) and {*divisions(find(kind)[0]).values()} - {"whole"}]


@cache
def small_layers() -> dict[str, list[Layer]]:
    """Different small layers of all presets that need nothing but their input, by kind."""
    found: dict[str, dict[Layer, None]] = {}
    for file in sorted(Path(preset_files.shipped_folder()).glob("*.yaml")):
        for entry in entries(llmcalc.load(file.stem).shrink()):
            layer: Any = entry.layer
            other = getattr(layer, "cross", None) or (getattr(layer, "inputs", None) and layer.inputs.width)
            own = not (other or layer.NEEDS_SQUARE_IMAGE)
            if entry.run is not None and (own or layer.kind() == "short_conv") and not getattr(layer, "unused", False):
                found.setdefault(layer.kind(), {})[layer] = None
    return {kind: list(layers) for kind, layers in found.items()}


def stack(layer: Any, *, is_whole: bool = False) -> Stack:
    """Two blocks with a layer, optionally between an embedding and a head."""
    d = layer.d_model
    block = Block("block", (Sublayer("part", (Branch("part", layer),), Norm(d)),))
    inputs = (Named("token", Embedding(VOCAB, d)),) * is_whole
    outputs = (Named("norm", Norm(d)), Named("head", Head(VOCAB, d))) if is_whole else ()
    return Stack("decoder", d, inputs, (Run(block, 2),), outputs)


def run(layer: Layer, mesh: Mesh, **settings: Any) -> ShardedRun:
    """Run a small layer, on sequences of which each rank has whole groups of tokens."""
    is_divided = mesh.cp > 1 or mesh.sp
    seq = SEQ * group_length(layer) if is_divided else SEQ
    return sharded_run(
        stack(divisible(layer, mesh), **settings), mesh, batch=1 if is_divided or mesh.dp > 2 else 2, seq=seq
    )


def differences(result: ShardedRun) -> dict[object, tuple[int, int]]:
    """Exchanged and declared elements where they differ."""
    keys = result.exchanged.keys() | result.declared.keys()
    pairs = {key: (result.exchanged.get(key, 0), result.declared.get(key, 0)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def check(layer: Layer, name: str) -> bool:
    """Check a layer on a mesh, and return whether it could be run."""
    try:
        result = run(layer, MESHES[name])
    except (InputError, UnsupportedError) as error:
        if any(text in str(error) for text in NEEDS_MORE.split("|")):
            return False
        raise
    assert max(result.errors.values()) < TOLERANCE, (layer, result.errors)
    assert differences(result) == {}, layer
    return True


@pytest.mark.parametrize("kind", [kind for kind in DIVIDED if kind not in IN_A_STACK])
def test_a_divided_kind_gives_the_results_of_one_rank_with_the_declared_exchanges(kind: str) -> None:
    has_experts = "expert" in divisions(find(kind)[0]).values()
    names, n_run = [name for name in MESHES if has_experts or not name.startswith("ep")], 0
    for number, layer in enumerate(small_layers()[kind]):
        for name in names if number < 2 - has_experts else [names[number % len(names)]]:
            n_run += check(layer, name)
    assert n_run >= 3


@pytest.mark.parametrize("name", ["tp2", "tp3", "sp"])
def test_the_tables_and_the_head_are_divided_along_the_vocabulary(name: str) -> None:
    for layer in (Mlp(11, 13, bias=True), Attention(11, 6, 6, 5, o_bias=True)):
        result = run(layer, MESHES[name], is_whole=True)
        assert max(result.errors.values()) < TOLERANCE
        assert differences(result) == {}
        assert result.exchanged["all-reduce", "tp", MESHES[name].tp, "forward"] >= 3 * 6  # the loss


@pytest.mark.parametrize(
    ("kv_heads", "mesh"),
    [(1, Mesh(tp=3)), (2, Mesh(tp=4)), (2, Mesh(tp=4, sp=True)), (1, Mesh(tp=2, cp=2)), (1, Mesh(tp=2, cp=2, sp=True))],
    ids=str,
)
def test_fewer_key_heads_than_ranks(kv_heads: int, mesh: Mesh) -> None:
    layer = Attention(11, 12, kv_heads, 6, qk_norm=QkNorm(), rope=Rope(dim=4))
    result = sharded_run(stack(layer), mesh, batch=1, seq=8)
    assert max(result.errors.values()) < TOLERANCE
    assert differences(result) == {}


@pytest.mark.parametrize("name", ["tp2", "sp", "cp"])
def test_parallel_branches_share_their_reductions(name: str) -> None:
    branches = Branch("attention", Attention(11, 6, 6, 5, o_bias=True)), Branch("mlp", Mlp(11, 26, bias=True))
    block = Block("block", (Sublayer("both", branches, Norm(11)),))
    result = sharded_run(Stack("decoder", 11, (), (Run(block, 2),), ()), MESHES[name], batch=1)
    assert max(result.errors.values()) < TOLERANCE
    assert differences(result) == {}


@pytest.mark.parametrize("name", ["ep of tp", "ep sp", "ep within tp", "ep etp", "ep across tp"])
def test_outputs_of_experts_are_normalised_before_they_are_added(name: str) -> None:
    """Each rank that has an expert normalises the outputs of this expert, with a weight that all ranks store."""
    result = run(Moe(11, 26, n_experts=6, top_k=2, result_norm=True), MESHES[name])
    assert max(result.errors.values()) < TOLERANCE
    assert differences(result) == {}


def test_experts_of_sequence_and_context_parallel_ranks() -> None:
    """The ranks of an expert get tokens along three axes of the mesh."""
    result = sharded_run(stack(Moe(11, 26, n_experts=6, top_k=2)), Mesh(dp=2, tp=2, ep=2, cp=2, sp=True), seq=8)
    assert max(result.errors.values()) < TOLERANCE
    assert differences(result) == {}


def test_the_input_has_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parallel branches share their input, whatever their equations call it."""
    declared = Mlp.declare

    def with_another_name(layer: Mlp) -> Declaration:
        found = declared(layer)
        found.input, found.lines = "u", [renamed(line, {"x": "u"}, {}) for line in found.lines]
        return found

    monkeypatch.setattr(Mlp, "declare", with_another_name)
    shared_declaration.cache_clear()
    try:
        test_parallel_branches_share_their_reductions("sp")
    finally:
        shared_declaration.cache_clear()


def test_the_declarations_that_the_run_has_corrected() -> None:
    """Sums that an earlier version did not declare."""
    rows = 2 * 2 * 6  # blocks, sequences and tokens
    stream = rows * 11
    cases: dict[str, tuple[Layer, str, int]] = {
        "a layer norm has two sums": (Mlp(11, 26, inner_norm=InnerNorm("layernorm")), "forward", 2),
        "so has a cutoff": (Mlp(11, 26, gated=True, sparsity=0.5), "forward", 2),
        "a vector of length 1 has one": (Mlp(11, 26, sphere=Sphere()), "forward", 1),
        "all heads share a rotary key": (
            Mla(11, 6, kv_lora_rank=5, qk_nope_head_dim=7, qk_rope_head_dim=4, v_head_dim=3), "backward", 4 + 5,
        ),
        "a part of a key is rotated": (Attention(11, 2, 1, 10, rope=Rope(dim=4)), "backward", 10 + 10),
    }  # fmt: skip
    for name, (layer, phase, width) in cases.items():
        result = run(layer, Mesh(tp=2))
        assert result.exchanged["all-reduce", "tp", 2, phase] == stream + rows * width, name
        assert differences(result) == {}, name
    filters = run(Hyena(d_model=10, order=3, d_filter=7, filter_length=13, d_position=5), Mesh(tp=2))
    assert filters.exchanged["all-reduce", "tp", 2, "update"] > 0
    assert differences(filters) == {}


NORMALISED = Attention(11, 4, 2, 6, qk_norm=QkNorm("projection", "layernorm"), o_bias=True)
RULES: dict[str, tuple[Layer, Mesh]] = {
    "replicated_tensors.enter": (NORMALISED, Mesh(tp=2, sp=True)),
    "replicated_tensors._reduce_weight_gradient": (NORMALISED, Mesh(tp=2, sp=True)),
    "replicated_tensors.exchange": (NORMALISED, Mesh(cp=2)),
    "replicated_tensors.receive_halo": (RwkvTimeMix(11, 26), Mesh(tp=2, sp=True)),
    "partial_sums.reduce": (NORMALISED, Mesh(tp=2, sp=True)),
    "rows.reduce_statistics": (NORMALISED, Mesh(tp=2, sp=True)),
    "experts._all_to_all": (Moe(11, 26, n_experts=6, top_k=2), Mesh(dp=2, ep=2)),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_missing_declaration_is_found(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, mesh = RULES[rule]
    assert differences(sharded_run(stack(layer), mesh, batch=1)) == {}
    monkeypatch.setattr(f"{COLLECTIVES}.{rule}", lambda *_, **__: None)
    assert differences(sharded_run(stack(layer), mesh, batch=1)) != {}


def test_a_rank_sends_only_the_rows_that_the_next_rank_needs() -> None:
    """A shift by one of three tokens per rank. A shift by four tokens skips a rank."""
    tokens, channels = 9, 2
    ranks = Ranks({"cp": ("cp", 3)}, tokens)
    x = divide(np.arange(tokens * channels, dtype=float).reshape(1, tokens, channels), ranks, {"cp": 1})

    def added(n: int) -> ShardedArray:
        """Add to each token the token ``n`` places before it."""
        before: Any = np.concatenate([np.zeros((1, n, channels)), x[:, :-n]], axis=1)
        total: ShardedArray = x + before
        return total

    whole = x.whole()
    np.testing.assert_array_equal(added(1).whole()[:, 1:], whole[:, 1:] + whole[:, :-1])
    assert ranks.exchanged == {("send", "cp", 3, "forward"): channels}
    with pytest.raises(NotImplementedError, match="further than to the next rank"):
        added(4)


def test_a_wrongly_divided_axis_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two biases of the width of the stream that are divided without an exchange."""
    layer = Mlp(12, 26, bias=True)
    wrong = {"d": "tensor"}  # of this kind alone: declarations of other layers, such as norms, are kept
    monkeypatch.setattr(
        "llmcalc.core.declaration.divisions", lambda kind: divisions(kind) | (wrong if kind is Mlp else {})
    )
    result = sharded_run(stack(layer), Mesh(tp=2))
    assert differences(result) != {}


def test_verify_compares_the_collectives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parallel branches share their input and their reduction, and a norm can follow the sum."""
    for name in ("palm", "bert", "mixtral-8x7b", "mamba-130m"):
        (found,) = sharded_checks(llmcalc.load(name).shrink())
        assert found.ok, (name, found)
        assert found.observed > 0
    monkeypatch.setattr(f"{COLLECTIVES}.replicated_tensors.enter", lambda *_: None)
    run_alone.cache_clear()
    (found,) = sharded_checks(llmcalc.load("gpt2").shrink())
    run_alone.cache_clear()
    assert not found.ok
    assert found.declared < found.observed
    assert "attention, mlp" in found.detail


def test_kinds_without_a_divided_axis_are_whole() -> None:
    assert "norm" not in DIVIDED
    assert set(DIVIDED) >= {"attention", "mlp", "moe", "mla", "mamba2", "embedding", "head"}
