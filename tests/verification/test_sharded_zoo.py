"""Runs of all kinds of the zoo on simulated ranks. The layers are those of the default configs of all families."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

import pytest

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.core.architecture import Block, Branch, Run, Stack, Sublayer
from llmcalc.core.errors import InputError
from llmcalc.core.traits import divisions
from llmcalc.core.zoo_search import ZOO
from llmcalc.importers.hf import families
from llmcalc.layers import Norm, find, kinds
from llmcalc.testing import smallest
from llmcalc.verification.sharded_checks import TOLERANCE, run_alone, sharded_checks
from llmcalc.verification.sharded_model import sharded_model_run
from llmcalc.verification.sharded_run import divisible, sharded_run
from llmcalc.zoo.research.layers.chunked_attention import ChunkedAttention
from llmcalc.zoo.research.layers.compressed_convolutional_attention import CompressedConvolutionalAttention
from llmcalc.zoo.research.layers.differential_attention import DifferentialAttention
from llmcalc.zoo.research.layers.dynamic_attention import DynamicAttention
from llmcalc.zoo.research.layers.nystrom_attention import NystromAttention

MESHES = {"tp2": Mesh(tp=2), "tp3": Mesh(tp=3)}
MOST = 4  # sub-layers per kind
DIVIDED = [
    kind
    for kind in kinds()
    if ZOO in find(kind)[0].__module__.split(".") and {*divisions(find(kind)[0]).values()} - {"whole"}
]
MODELS = {  # models with kinds that read more than the residual stream
    "box_attention": "bros",
    "box_embedding": "layoutlmv3",
    "character_embedding": "canine",
    "merged_attention": "t5gemma2",
    "ngram_attention": "prophetnet",
    "patch_attention": "blt",
    "path_embedding": "markuplm",
}
NOT_RUN = {  # kinds that read more than a text
    "grid_attention": "a grid of patches",
    "latent_attention": "learned queries",
    "lilt_attention": "boxes",
    "prefix": "an attention layer that reads the keys",
    "query_attention": "learned queries",
}
NOT_ALONE = MODELS | NOT_RUN


def alone(layer: Any) -> Sublayer:
    return Sublayer("part", (Branch("part", layer),), Norm(layer.d_model))


@cache
def sublayers() -> dict[str, dict[tuple[int, Sublayer], None]]:
    """Small sub-layers of the default configs of all families, by kind, with the width of their stack."""
    found: dict[str, dict[tuple[int, Sublayer], None]] = {}
    for name in families.names():
        with suppress(InputError):
            for stack in llmcalc.load({"model_type": name}).shrink().stacks:
                for sublayer in (sublayer for run in stack.runs for sublayer in run.block.sublayers):
                    for _, layer in sublayer.layers():
                        found.setdefault(layer.kind(), {})[stack.d_model, sublayer] = None
    return found


@pytest.mark.parametrize("kind", DIVIDED)
def test_a_kind_of_the_zoo_exchanges_what_it_declares(kind: str) -> None:
    layers = list(sublayers().get(kind, {}))[:MOST]
    smaller: Any = find(kind)[0](**smallest(kind))
    if not layers and kind not in NOT_ALONE:
        layers = [(smaller.d_model, alone(smaller))]
    results = [run_alone(*layer, mesh) for layer in layers for mesh in MESHES.values()]
    runs = [result for result in results if result]
    for result in runs:
        assert max(result.errors.values()) < TOLERANCE
        assert result.exchanged == result.declared
    is_declared = not smaller.undeclared_collectives()
    assert bool(runs) == (is_declared and kind not in NOT_ALONE)


OPTIONS: dict[str, Any] = {
    "a gate of the scores": DynamicAttention(12, 6, 2, 4, v_bias=True, keep_window=3),
    "padded chunks": ChunkedAttention(12, 6, 5, 4, padded_to=15, padded_above=3, causal=True),
}


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_of_the_zoo_exchanges_what_it_declares(option: str, mesh: str) -> None:
    result = run_alone(12, alone(OPTIONS[option]), MESHES[mesh])
    assert result
    assert max(result.errors.values()) < TOLERANCE
    assert result.exchanged == result.declared


UNDECLARED: dict[str, Any] = {
    "convolved heads": CompressedConvolutionalAttention(12, 6, 2, 4),
    "pairs of heads": DifferentialAttention(12, 12, 4, d_head=2),
    "landmarks": NystromAttention(12, 6, n_landmarks=3),
}


@pytest.mark.parametrize("name", UNDECLARED)
def test_collectives_that_are_not_declared_are_stated(name: str) -> None:
    """The results are equal, but the ranks exchange more. ``verify`` and ``communication`` state this."""
    layer = divisible(UNDECLARED[name], MESHES["tp2"])
    stack = Stack("decoder", 12, (), (Run(Block("block", (alone(layer),)), 1),), ())
    result = sharded_run(stack, MESHES["tp2"], batch=1)
    assert max(result.errors.values()) < TOLERANCE
    assert result.exchanged != result.declared
    assert run_alone(12, alone(layer)) is None
    architecture = llmcalc.Architecture(name, (stack,))
    (check,) = sharded_checks(architecture)
    assert check.note == "of 0 sub-layers, not run: part"
    found = llmcalc.communication(architecture, tp=2, seq=6, mode="train")
    (note,) = found.notes
    assert note == f"not counted: {layer.undeclared_collectives()} of {layer.kind()}"
    assert note in found.to_dict()["notes"]
    assert llmcalc.communication(architecture, seq=6).notes == ()


# Differences that the NumPy model explains.
DIFFERENT = {
    "bros": "the gradients of the boxes in all layers are added before they are reduced",
    "prophetnet": "the model predicts with one copy of the stream",
    "pegasus_x": "no layer reads the last side tokens",
}


@pytest.mark.parametrize("name", [*MODELS.values(), "funnel", "pegasus_x"])
def test_a_model_exchanges_what_it_declares(name: str) -> None:
    for mesh in MESHES.values():
        result = sharded_model_run(llmcalc.load({"model_type": name}), mesh)
        assert max(result.errors.values()) < TOLERANCE
        assert (result.exchanged == result.declared) == (name not in DIFFERENT)
