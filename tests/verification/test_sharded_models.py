"""Training steps of all presets on simulated ranks, with the exchanges between layers and stacks."""

from __future__ import annotations

import os
from functools import cache
from math import isnan
from pathlib import Path

import pytest

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.core.errors import UnsupportedError
from llmcalc.core.ledger import entries, rows
from llmcalc.core.traits import divisions
from llmcalc.schema import preset_files
from llmcalc.twins.weights import Array
from llmcalc.verification import sharded_elementwise, sharded_functions
from llmcalc.verification.sharded_checks import TOLERANCE
from llmcalc.verification.sharded_model import sharded_model_run
from llmcalc.verification.sharded_run import ShardedRun
from llmcalc.verification.sharded_weights import ShardedWeights, Unit

DENSE = {
    "tp": {"tp": 2}, "tp3": {"tp": 3}, "sp": {"tp": 2, "sp": True}, "cp": {"cp": 2}, "tp cp": {"tp": 2, "cp": 2},
    "sp cp": {"tp": 2, "cp": 2, "sp": True}, "dp": {"dp": 2}, "dp tp": {"dp": 2, "tp": 2},
    "zero1": {"dp": 2, "zero": 1}, "zero2 tp": {"dp": 2, "tp": 2, "zero": 2}, "zero1 cp": {"dp": 2, "cp": 2, "zero": 1},
    "zero": {"dp": 2, "zero": 3}, "zero tp": {"dp": 2, "tp": 2, "zero": 3}, "zero cp": {"cp": 2, "zero": 3},
}  # fmt: skip
OF_EXPERTS = {
    "ep": {"dp": 2, "ep": 2}, "ep of tp": {"dp": 2, "tp": 2, "ep": 2}, "ep within tp": {"tp": 2, "ep": 2, "etp": 1},
    "ep sp": {"dp": 2, "tp": 2, "ep": 2, "sp": True}, "ep within tp sp": {"tp": 2, "ep": 2, "etp": 1, "sp": True},
    "ep cp": {"dp": 2, "ep": 2, "cp": 2}, "ep dp": {"dp": 4, "ep": 2}, "ep etp": {"tp": 4, "ep": 2, "etp": 2},
    "ep dp within tp": {"dp": 2, "tp": 2, "ep": 2, "etp": 1}, "ep zero": {"dp": 4, "ep": 2, "zero": 3},
    "ep zero2": {"dp": 4, "ep": 2, "zero": 2},
    "ep across tp": {"dp": 2, "tp": 2, "ep": 4, "etp": 1}, "ep across tp etp": {"dp": 2, "tp": 4, "ep": 4, "etp": 2},
}  # fmt: skip
MESHES = {name: Mesh(**sizes, vocabulary_multiple=1) for name, sizes in (DENSE | OF_EXPERTS).items()}  # type: ignore[arg-type]
PRESETS = sorted(file.stem for file in Path(preset_files.shipped_folder()).glob("*.yaml"))
ON_ALL_MESHES = "SHARDED_MESHES" in os.environ  # many minutes
NOT_MODELLED = "context parallelism is not modelled"


@cache
def meshes(has_experts: bool) -> dict[str, list[str]]:
    """Names of the meshes of each model with or without experts. Each model begins with another one."""
    names = [*(OF_EXPERTS if has_experts else ()), *DENSE]
    models = [preset for preset in PRESETS if is_mixture(preset) == has_experts]
    starts = {preset: number % len(names) for number, preset in enumerate(models)}
    return {preset: names[start:] + names[:start] for preset, start in starts.items()}


@cache
def is_mixture(preset: str) -> bool:
    layers = (entry.layer for entry in entries(llmcalc.load(preset)))
    return any("expert" in divisions(type(layer)).values() for layer in layers)


def differences(result: ShardedRun) -> dict[object, tuple[int, int]]:
    """Exchanged and declared elements where they differ."""
    keys = result.exchanged.keys() | result.declared.keys()
    pairs = {key: (result.exchanged.get(key, 0), result.declared.get(key, 0)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_exchanges_what_it_declares(preset: str) -> None:
    architecture = llmcalc.load(preset)
    n_run = 0
    for name in meshes(is_mixture(preset))[preset]:
        try:
            result = sharded_model_run(architecture, MESHES[name])
        except UnsupportedError as error:
            if NOT_MODELLED in str(error):
                continue
            raise
        assert max(result.errors.values()) < TOLERANCE, name
        assert differences(result) == {}, name
        n_run += 1
        if not ON_ALL_MESHES:
            break
    assert n_run


def test_all_meshes_are_run() -> None:
    for has_experts, names in ((False, DENSE), (True, DENSE | OF_EXPERTS)):
        assert {first for first, *_ in meshes(has_experts).values()} == names.keys()


@pytest.mark.parametrize(("preset", "tokens", "width", "n_reduced"), [("hy4", 15, 22, 9), ("zamba2", 15, 22, 16)])
def test_a_partial_sum_is_reduced_before_a_larger_result(preset: str, tokens: int, width: int, n_reduced: int) -> None:
    """Once per sub-layer and table, and not in each stream of hyper-connections or after a concatenation."""
    result = sharded_model_run(llmcalc.load(preset), MESHES["tp"])
    reduced = result.exchanged["all-reduce", "tp", 2, "forward"]
    assert reduced // (tokens * width) == n_reduced
    assert reduced == result.declared["all-reduce", "tp", 2, "forward"]


def test_an_indexer_has_as_many_heads_as_there_are_key_heads() -> None:
    result = sharded_model_run(llmcalc.load("minimax-m3"), MESHES["tp"])
    assert max(result.errors.values()) < TOLERANCE
    assert differences(result) == {}


def test_a_repeated_reduction_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sharded_elementwise, sharded_functions):
        monkeypatch.setattr(module, "reduce_before_repetition", lambda *_: None)
    result = sharded_model_run(llmcalc.load("hy4"), MESHES["tp"])
    assert differences(result)


def test_the_keys_that_layers_share_are_reduced_once() -> None:
    """Gemma 4 E2B has one head of keys and values, which later layers reuse. Decoder layers of T5, in contrast, have
    matrices of their own for the output of the encoder.
    """
    key = "all-reduce", "tp", 2, "backward"
    shared = sharded_model_run(llmcalc.load("gemma4-e2b"), MESHES["tp"])
    assert shared.exchanged[key] == shared.declared[key] > 0
    whole = sharded_model_run(llmcalc.load("t5"), MESHES["tp"])
    stream, n_layers = 15 * 22, 2
    assert whole.exchanged[key] == whole.declared[key] == (3 * n_layers + 2 * n_layers + n_layers + 1) * stream


def test_weights_are_gathered_each_time_a_block_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """ALBERT has one block, which runs twice. A block that is not gathered has no weights."""
    result = sharded_model_run(llmcalc.load("albert"), MESHES["zero"])
    of_blocks = result.exchanged["all-gather", "dp", 2, "backward"]
    small = llmcalc.load("albert").shrink()
    stored = sum(row.size * row.copies for row in rows(small.stacks) if row.entry.run is not None)
    assert of_blocks == result.declared["all-gather", "dp", 2, "backward"] == 2 * stored
    monkeypatch.setattr(ShardedWeights, "gather", lambda _, __, variable: variable)
    assert isnan(sharded_model_run(llmcalc.load("gpt2"), MESHES["zero"]).errors["output"])


def test_weights_are_gathered_again_for_the_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    enter = ShardedWeights.enter

    def forget(weights: ShardedWeights, unit: Unit) -> None:
        if weights.ranks.phase == "forward":
            enter(weights, unit)

    monkeypatch.setattr(ShardedWeights, "enter", forget)
    errors = sharded_model_run(llmcalc.load("gpt2"), MESHES["zero"]).errors
    assert errors["output"] < TOLERANCE
    assert any(map(isnan, errors.values()))


@pytest.mark.parametrize("stage", [1, 2])
def test_updated_weights_are_gathered_from_the_ranks_that_update_them(
    stage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = Mesh(dp=2, zero=stage, vocabulary_multiple=1)
    result = sharded_model_run(llmcalc.load("gpt2"), mesh)
    updated = [name for name in result.errors if name.startswith("updated ")]
    assert len(updated) > 20
    assert max(result.errors.values()) < TOLERANCE
    exchanged = {kind: size for (kind, *_, phase), size in result.exchanged.items() if phase == "update"}
    assert exchanged["all-gather"] == exchanged["reduce-scatter"] > 0
    shard = ShardedWeights._shard

    def of_first_rank(weights: ShardedWeights, rank: int, axes: object, part: Array) -> Array:
        return shard(weights, rank, axes, part if rank == 0 else 0 * part)  # type: ignore[arg-type]

    monkeypatch.setattr(ShardedWeights, "_shard", of_first_rank)
    wrong = sharded_model_run(llmcalc.load("gpt2"), mesh).errors
    assert min(wrong[name] for name in updated) > TOLERANCE
