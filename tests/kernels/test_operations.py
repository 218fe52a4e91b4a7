"""Operations of all presets and kinds: their FLOPs, weights and collectives are those of the other calculators."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc import layers
from llmcalc.calc.kernels import WEIGHTS
from llmcalc.calc.sharding import Mesh
from llmcalc.calc.walk import Conventions
from llmcalc.calc.work import works
from llmcalc.core.architecture import Architecture, Block, Branch, Run, Stack, Sublayer
from llmcalc.core.errors import InputError
from llmcalc.core.form import Form, lift, touched
from llmcalc.core.layer import Layer
from llmcalc.kernels.cost import ClassFormats
from llmcalc.kernels.layer_groups import ATTENTION
from llmcalc.kernels.layer_operations import operations
from llmcalc.kernels.operations import Attention, Convolution, Elementwise, Gemm, GroupedGemm, Operation, Scan
from llmcalc.kernels.step_operations import all_pairs, collectives, groups, step_conventions
from llmcalc.schema.preset_files import names
from llmcalc.serving.request_times import weight_bytes
from llmcalc.serving.step.step_models import weight_bits
from llmcalc.testing import layers as layers_of

PHASES = ("prefill", "decode")
thorough = settings(max_examples=6, suppress_health_check=list(HealthCheck), deadline=None)
every_model = pytest.mark.parametrize(
    "model", sorted({location.file: name for name, location in names().items()}.values())
)


def conventions(phase: str, logits: str = "all") -> Conventions:
    return Conventions(phase, "causal", None, logits)


def matmul(architecture: Architecture, phase: str) -> Form:
    """FLOPs of all contractions."""
    counted = works(architecture, conventions(phase))
    return sum((work.flops * work.entry.applied for work in counted if work.matmul), lift(0))


def total(found: tuple[Operation, ...]) -> Form:
    return sum((each.flops * each.count for each in found), lift(0))  # type: ignore[attr-defined]


def alone(layer: Layer) -> Architecture:
    """A decoder of three blocks with one layer."""
    block = Block("block", (Sublayer("part", (Branch("part", layer),)),))
    return Architecture("test", (Stack("decoder", getattr(layer, "d_model", 12), (), (Run(block, 3),), (), "decoder"),))


@every_model
@pytest.mark.parametrize("phase", PHASES)
def test_the_flops_of_a_model_are_those_of_its_operations(model: str, phase: str) -> None:
    architecture = llmcalc.load(model)
    assert total(operations(architecture, Mesh(), conventions(phase))) == matmul(architecture, phase)


@pytest.mark.parametrize("kind", layers.kinds())
@thorough
@given(data=st.data())
def test_the_flops_and_weights_of_a_kind_are_those_of_its_operations(kind: str, data: st.DataObject) -> None:
    architecture = alone(data.draw(layers_of(kind, 2)))
    for phase in PHASES:
        try:
            found = operations(architecture, Mesh(), conventions(phase))
        except llmcalc.UnknownNameError:  # frames of an audio encoder
            return
        assert total(found) == matmul(architecture, phase)
        with suppress(InputError):
            found += operations(architecture, Mesh(tp=2), conventions(phase))
        for each in found:
            selected = any(inner in weight.tensor.axes for weight in each.weights for work in each.works
                           for inner, _ in work.equation.select)  # fmt: skip
            if isinstance(each, Gemm) and not selected:
                assert each.columns * each.inner * each.batch == sum(weight.elements for weight in each.weights)


def read_weights(found: tuple[Operation, ...], values: dict[str, Any]) -> float:
    """Elements of the weights that are read, which are the touched experts and the weights of products with rows."""
    count = 0
    for each in found:
        rows = each.rows if isinstance(each, Gemm) else each.activations
        for weight in each.weights if rows(**values) else ():
            share = 1.0
            if isinstance(each, GroupedGemm) and weight.tensor.active:
                share = touched(each.experts, each.chosen, each.tokens(**values)) / each.experts
            count += each.count * weight.elements * share
    return count


@every_model
def test_the_weights_are_those_that_traffic_counts(model: str) -> None:
    architecture = llmcalc.load(model)
    step = llmcalc.traffic(architecture, mode="decode", context=100, batch=3, weights="bf16")
    rows_of_tables = (access.work.equation.function == "gather" for access, _ in step.sizes)
    sizes = (size for (access, size), is_row in zip(step.sizes, rows_of_tables, strict=True)
             if access.kind == WEIGHTS and not is_row)  # fmt: skip
    found = operations(architecture, Mesh(), Conventions("decode", "dense", None, "all"))
    assert 2 * read_weights(found, step.values) == pytest.approx(sum(sizes), rel=1e-6)


MESHES = ({"tp": 2}, {"tp": 4, "ep": 4}, {"dp": 2, "tp": 2, "ep": 4}, {"dp": 4, "ep": 4})


@pytest.mark.parametrize("mesh", MESHES, ids=str)
@pytest.mark.parametrize("model", ["mixtral-8x7b", "deepseek-v3", "qwen3-next", "gpt-oss-20b"])
def test_the_collectives_are_those_that_communication_counts(model: str, mesh: dict[str, int]) -> None:
    architecture = llmcalc.load(model)
    step = llmcalc.communication(architecture, mode="decode", context=100, batch=3, logits="last", **mesh)
    found = collectives(architecture, Mesh(**mesh), Conventions("decode", "dense", None, "last"), 16)
    assert sum(each.sizes(step.values)[1] for each in found) == step.sent > 0


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_ranks_share_the_flops_and_weights_of_a_model(ranks: int) -> None:
    architecture = llmcalc.load("llama3-70b")
    meshes = Mesh(vocabulary_multiple=1), Mesh(tp=ranks, vocabulary_multiple=1)
    whole, own = (total(operations(architecture, mesh, conventions("decode"))) for mesh in meshes)
    assert own * ranks == whole


def by_names(model: str, phase: str = "decode", **mesh: int) -> dict[tuple[str, ...], Operation]:
    found = operations(llmcalc.load(model), Mesh(**mesh), conventions(phase, "last"))
    return {each.names: each for each in found}


def test_llama3_8b() -> None:
    found = by_names("llama3-8b", tp=2)
    product = found["q", "k", "v"]
    assert isinstance(product, Gemm)
    assert product.number_class == ATTENTION
    assert (product.columns, product.inner, product.count) == ((4096 + 2 * 1024) // 2, 4096, 32)
    gates = found["g", "u"]
    assert isinstance(gates, Gemm)
    assert gates.number_class == "matrix"
    assert gates.columns == 2 * 14336 // 2
    head = found["logits",]
    assert isinstance(head, Gemm)
    assert head.number_class == "head"
    assert str(head.rows) == "b"
    core = next(each for each in found.values() if isinstance(each, Attention))
    assert (core.heads, core.key_heads, core.key_width, core.value_width) == (16, 4, 128, 128)
    assert core.key_elements == 2 * 4 * 128
    assert not core.is_latent
    functions = found["a", "m"]  # merged products leave one kernel of functions
    assert isinstance(functions, Elementwise)
    assert str(functions.activations) == f"{3 * 14336 // 2:,}·b·q"


def test_absorbed_latent_attention() -> None:
    found = by_names("deepseek-v3", tp=8)
    core = next(each for each in found.values() if isinstance(each, Attention))
    assert core.is_latent
    assert core.heads == 16
    assert core.key_heads == 1
    assert (core.key_width, core.value_width, core.key_elements) == (576, 512, 576)
    absorbed = found["ql",]
    assert isinstance(absorbed, Gemm)
    assert (absorbed.batch, absorbed.inner, absorbed.columns) == (16, 128, 512)
    experts = next(each for each in found.values() if isinstance(each, GroupedGemm))
    assert (experts.experts, experts.chosen, experts.number_class) == (256, 8, "experts")
    assert experts.matrices == ((7168, 256), (7168, 256), (256, 7168))
    router = found["r",]
    assert isinstance(router, Gemm)
    assert router.number_class == "router"


def test_recurrences_have_a_state_and_a_convolution() -> None:
    for phase in PHASES:
        found = operations(llmcalc.load("qwen3-next"), Mesh(tp=2), conventions(phase))
        scan = next(each for each in found if isinstance(each, Scan))
        assert scan.state_elements == 32 * 128 * 128 // 2
        is_read = phase == "decode"  # and written after each step
        assert str(scan.states) == f"{(1 + is_read) * scan.state_elements:,}·b"
        convolution = next(each for each in found if isinstance(each, Convolution))
        assert (convolution.channels, convolution.taps) == ((2 * 16 * 128 + 32 * 128) // 2, 4)


def test_only_latents_are_expanded_in_a_prefill() -> None:
    """Keys wider than values are not enough, as in MiMo-V2-Flash."""
    found = {
        name: {each.is_expanded for each in operations(llmcalc.load(name), Mesh(), step_conventions("prefill"))
               if isinstance(each, Attention) and each.value_width}
        for name in ("deepseek-v3", "glm-4.7-flash", "mimo-v2-flash", "deepseek-v4")
    }  # fmt: skip
    assert found == {"deepseek-v3": {True}, "glm-4.7-flash": {True}, "mimo-v2-flash": {False}, "deepseek-v4": {False}}


@pytest.mark.parametrize("name", ["mixtral-8x7b", "gemma3n-e4b", "deepseek-v4-flash"])
def test_a_layout_does_not_change_those_that_follow(name: str) -> None:
    """Equal layers are evaluated once for all layouts, but each layout has its own operations and collectives."""

    def found(architecture: Architecture, mesh: Mesh) -> object:
        step = step_conventions("decode", "dense")
        moved = [each._replace(place=None) for each in collectives(architecture, mesh, step, 16)]
        own = [(type(each), each.names, each.sizes) for each in operations(architecture, mesh, step)]
        return moved, own

    known = llmcalc.load(name)
    ep = 1 if name == "gemma3n-e4b" else 2
    meshes = [Mesh(tp=2), Mesh(), Mesh(dp=2, ep=ep, etp=1), Mesh(tp=2, ep=ep, etp=1)]
    for mesh in meshes:
        assert found(known, mesh) == found(llmcalc.load(name), mesh)


def test_equal_layers_are_grouped() -> None:
    """The groups of a model whose blocks differ count all operations."""
    architecture = llmcalc.load("gemma3n-e4b")
    formats = ClassFormats(*[weight_bits(architecture, None)] * 3)
    found, pairs = groups(architecture, Mesh(tp=2), formats).values(), all_pairs(architecture, Mesh(tp=2))
    counts = [pair["decode"].count for pair in pairs if "decode" in pair]
    assert sum(group.applied for group in found if "decode" in group.phases) == sum(counts)
    assert 2 * len(found) < len(pairs)


@pytest.mark.parametrize("name", ["gemma2-9b", "gemma3-4b", "qwen3-8b"])
def test_equal_layers_with_other_formats_read_their_own_weights(name: str) -> None:
    """Q4_K_M gives some layers more bits, whose average differs between the runs of windows and of full attention."""
    latency = llmcalc.latency(name, "rtx4090", weights="q4_k_m", engine="llama.cpp")
    traffic = llmcalc.traffic(name, mode="decode", weights="q4_k_m", context=2048)
    row = latency.architecture.main.d_model * 6.5625 / 8  # of the table, which is looked up
    assert weight_bytes(latency.model) == pytest.approx(traffic.by_kind["weights"] - row, abs=1e4)
