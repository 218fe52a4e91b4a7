"""Bytes of a step: hand counts of five models, and the bytes that the NumPy models move."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.calc.explain import traffic_tree
from llmcalc.calc.flops import component
from llmcalc.calc.kernels import TOUCHED, WEIGHTS, Access
from llmcalc.calc.traffic import Traffic
from llmcalc.core.architecture import Architecture
from llmcalc.core.errors import InputError
from llmcalc.core.ledger import entries
from llmcalc.report.flops import flops_document
from llmcalc.schema.preset_files import names
from llmcalc.twins import moe, twin
from llmcalc.twins.observer import Observer

verification = import_module("llmcalc.verification.compare")

BF16, FP32 = 2, 4
MODELS = ["gpt3", "t5-small", "mixtral-8x7b", "deepseek-v3", "jamba", "mamba2-130m", "gpt-oss-20b", "qwen3-next"]


def decode(model: str, context: int = 1000, **settings: Any) -> Traffic:
    return llmcalc.traffic(model, mode="decode", context=context, **settings)


# ------------------------------------------------------------------ hand counts


def test_gpt3() -> None:
    layers, d, vocab, keys = 96, 12288, 50257, 1001
    found = decode("gpt3")
    weights = layers * (12 * d * d + 13 * d) + 2 * d + vocab * d  # matrices, biases and norms, and the tied head
    rows = 2 * d  # a row of the token table and a row of the position table
    attention = 2 * d + (2 + 2) * d + 2 * (2 + 1) * d + 2 * d + (2 + 2) * d  # norm, q, k and v, core, output
    mlp = 2 * d + (d + 4 * d) + 2 * 4 * d + (4 * d + d) + 2 * d  # norm, up, bias and gelu, down, bias
    outside = 2 * d + 2 * d + d + vocab  # embeddings, norm, head
    assert found.by_kind == {
        "weights": BF16 * (weights + rows),
        "cache": BF16 * layers * 2 * d * (keys + 1),  # read, and one token written
        "state": 0,
        "activations": BF16 * (layers * (attention + mlp) + outside),
    }
    assert str(found.form) == "349,158,187,008 + 99,362,978·b·q + 4,718,592·b·k"


def test_llama3_70b() -> None:
    layers, d, d_ff, d_kv, vocab, keys = 80, 8192, 28672, 1024, 128256, 1001
    matrices = 2 * d * d + 2 * d * d_kv + 3 * d * d_ff
    weights = layers * (matrices + 2 * d) + d + vocab * d + d  # the last term is a row of the token table
    found = decode("llama3-70b")
    assert found.by_kind["weights"] == BF16 * weights
    assert found.by_kind["cache"] == BF16 * layers * 2 * d_kv * (keys + 1)
    large = decode("llama3-70b", batch=32)
    assert large.by_kind["weights"] == BF16 * (weights + 31 * d)  # 31 other rows of the token table
    assert large.by_kind["cache"] == 32 * found.by_kind["cache"]
    fp8 = decode("llama3-70b", cache="fp8")
    assert 2 * fp8.by_kind["cache"] == found.by_kind["cache"]
    assert fp8.by_kind["activations"] == found.by_kind["activations"]


def test_deepseek_v3() -> None:
    d, heads, q_rank, kv_rank, nope, rope, keys = 7168, 128, 1536, 512, 128, 64, 1001
    found = decode("deepseek-v3")
    queries = d * q_rank + q_rank + q_rank * heads * (nope + rope)
    keys_and_values = d * (kv_rank + rope) + kv_rank + kv_rank * heads * 2 * nope  # absorbed: read once, as one latent
    attention = queries + keys_and_values + heads * nope * d
    assert weights_of(found, "mla") == BF16 * 61 * attention
    assert found.by_kind["cache"] == BF16 * 61 * (kv_rank + rope) * (keys + 1)  # one read serves scores and values
    expert = 3 * d * 2048
    assert weights_of(found, "routed experts") == BF16 * 58 * 8 * expert
    touched = 256 * (1 - (1 - 8 / 256) ** 64)
    large = weights_of(decode("deepseek-v3", batch=64), "routed experts")
    assert large == pytest.approx(BF16 * 58 * touched * expert, rel=1e-12)
    assert "5,108,662,272·touched(256, 8, b·q)" in str(found.form)


def test_gpt_oss() -> None:
    d, experts, width, keys = 2880, 128, 8 * 64, 1001
    found = decode("gpt-oss-120b", weights="mxfp4")
    local, everywhere = 18 * 128, 18 * keys  # tokens in windows of 128, and all tokens
    assert found.by_kind["cache"] == BF16 * 2 * width * (local + everywhere + 36)
    matrix = d * d * 17 // 32  # bytes: 4 bits per element and 8 bits per block of 32
    biases = BF16 * 3 * d
    assert weights_of(found, "routed experts") == 36 * 4 * (3 * matrix + biases)
    assert weights_of(found, "router") == BF16 * 36 * (d * experts + experts)


def test_mamba2() -> None:
    heads, d_head, d_state, channels, taps = 80, 64, 128, 80 * 64 + 2 * 128, 4
    for batch in (1, 7):
        found = decode("mamba2-2.7b", batch=batch)
        ssm, conv = FP32 * heads * d_head * d_state, BF16 * channels * (taps - 1)
        assert found.by_kind["state"] == batch * 64 * 2 * (ssm + conv)  # read and written
        assert found.by_kind["cache"] == 0
    assert decode("mamba2-2.7b", context=10).total == decode("mamba2-2.7b", context=100000).total


def weights_of(found: Traffic, part: str) -> int:
    """Bytes of the weights of a component, without buffers such as the correction of a router."""
    chosen = ((access, size) for access, size in found.sizes if access.kind == WEIGHTS)
    return sum(size for access, size in chosen if component(access.work) == part and access.label != "correction")


@pytest.mark.parametrize("name", ["llama3-8b", "mixtral-8x7b", "qwen3-next", "jamba", "rwkv6-finch-1.6b", "gpt2"])
def test_a_decode_step_reads_every_weight_once_and_one_row_of_each_table(name: str) -> None:
    model = llmcalc.load(name)
    counted = llmcalc.params(model)
    tables = {row.tensor.table: row for row in counted.rows if row.tensor.table}
    rows = sum(int(row.declaration.axes["d"]) for row in tables.values())
    token = tables["token"]
    is_tied = not any(row.entry.name == "head" and row.copies for row in counted.rows)
    expected = counted.active_non_embedding + rows + is_tied * token.size
    assert decode(name, weights="bf16").by_kind["weights"] == BF16 * expected


# ------------------------------------------------------------------ invariants


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mode", ["forward", "train", "decode"])
def test_totals_are_sums_of_what_is_explained(name: str, mode: str) -> None:
    fused, unfused = (
        llmcalc.traffic(name, mode=mode, batch=3, seq=7, context=11 if mode == "decode" else None, kernels=kernels)
        for kernels in ("fused", "unfused")
    )
    for found in (fused, unfused):
        tree = traffic_tree(found)
        assert tree.value == found.total == found.read + found.written
        assert found.total == sum(found.by_kind.values()) == sum(found.by_component.values())
        assert found.form(**found.values) == pytest.approx(found.total, rel=1e-6)
        assert all(node.formula for _, node in tree.walk() if not node.children)
        assert found.intensity == found.flops.total / found.total
    assert fused.total < unfused.total
    assert fused.by_kind["weights"] == unfused.by_kind["weights"] or mode == "train"


def test_a_fused_kernel_never_writes_scores() -> None:
    fused, unfused = (llmcalc.traffic("llama3-8b", seq=64, kernels=kernels).form for kernels in ("fused", "unfused"))
    assert not any(monomial.count("q") == 1 and "k" in monomial for monomial in fused.terms)
    scores = 32 * 32 * BF16 * 6  # written by the product, scaled, normalised and read by the weighted sum
    assert unfused.terms["b", "q", "k"] == scores


def test_equations_without_rows_read_no_weights() -> None:
    text = llmcalc.traffic("qwen3-vl-2b", seq=64, patches=0)
    assert all(size == 0 for access, size in text.sizes if access.work.entry.stack.role == "tower")
    assert "min(b·p, 1)" in str(text.form)
    first, later = (decode("t5-small", context=context, source=64) for context in (1, 9))
    assert first.by_kind["weights"] == later.by_kind["weights"] < BF16 * llmcalc.params("t5-small").total


def test_a_backward_pass_moves_each_operand_of_a_contraction() -> None:
    found = llmcalc.traffic("llama3-8b", mode="train", seq=64)
    chosen = [access for access in found.accesses if access.work.equation.text == "u[b q f] = x[b q d] wu[d f]"]
    forward, backward = chosen[:3], chosen[3:]
    assert [(access.label, access.is_write) for access in forward] == [("x", False), ("wu", False)] or len(forward) == 3
    moved = sorted((access.label, access.is_write) for access in backward)
    assert moved == [("du", False), ("du", False), ("dwu", True), ("dx", True), ("wu", False), ("x", False)]


def test_wrong_settings() -> None:
    for settings in (
        {"kernels": "some"}, {"dtype": "fp8"}, {"mode": "train", "weights": "fp8"}, {"mode": "train", "cache": "fp8"},
        {"only": ["mlp"]}, {"mode": "decode"}, {"mode": "forward", "context": 5},
    ):  # fmt: skip
        with pytest.raises(InputError):
            llmcalc.traffic("gpt2", **settings)
    with pytest.raises(InputError, match="no effect on flops"):
        llmcalc.explain("gpt2", "flops", kernels="fused")


# ------------------------------------------------------------------ NumPy models

# Hyena writes a sequence of equal layers as one equation, which hides that each layer reads the previous result
ABBREVIATED = {"hyena"}
SELECTING = {"compressed_attention"}  # each query reads summaries of its own, which is one set only in a decode step
RECURRENT = {"recurrent", "conv"}


class Contractions(Observer):
    """Number of elements of the operands and results of all contractions."""

    elements = 0

    def count(self, what: Any, inputs: tuple[Any, ...], output: Any) -> None:
        if what in (np.einsum, np.matmul):
            arrays = [array for array in (*inputs, output) if isinstance(array, np.ndarray)]
            self.elements += sum(array.size for array in arrays)


def presets() -> Iterator[str]:
    """One preset per set of kinds."""
    seen = set()
    for name in names():
        kinds = frozenset(entry.layer.kind() for entry in entries(llmcalc.load(name)))
        if kinds not in seen and not kinds & ABBREVIATED:
            seen.add(kinds)
            yield name


def touched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that receives the number of experts that each layer touches."""
    found: list[int] = []
    run = moe._experts

    def record(layer: Any, weights: Any, x: Any, chosen: Any, *rest: Any) -> Any:
        found.append(len(np.unique(chosen[chosen >= 0])))
        return run(layer, weights, x, chosen, *rest)

    monkeypatch.setattr(moe, "_experts", record)
    return found


def elements(found: Traffic, touched: list[int]) -> float:
    """Elements that the contractions of a step move, with the numbers of experts that were really touched."""

    def size(access: Access) -> float:
        total = float(access.work.entry.applied)
        for name, factor in access.factors:
            mean = sum(touched) / max(len(touched), 1)
            total *= mean if name == TOUCHED else factor if isinstance(factor, int) else factor(**found.values)
        return total

    def is_counted(access: Access) -> bool:
        if not access.between_steps:
            return access.work.equation.function is None
        # a convolution reads the cached columns together with the new one
        roles = {state.name: state.role for state in access.work.place.states}
        return not access.is_write and roles[access.label] == "conv"

    return sum(size(access) for access in found.accesses if is_counted(access))


def has_recurrence(small: Architecture) -> bool:
    return any(state.role in RECURRENT for entry in entries(small) for state in entry.layer.declare().states)


@pytest.mark.parametrize("name", list(presets()))
def test_numpy_models_move_the_same_elements(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small = llmcalc.load(name).shrink()
    model = twin(small)
    verification._exclude_zero_experts(model)
    inputs = verification._inputs(small, model)
    sizes = {key: value for key, value in inputs.sizes.items() if key != "attention"}
    counts = touched(monkeypatch)
    formats = {"kernels": "unfused", "weights": "fp32", "dtype": "fp32"}
    kinds = {entry.layer.kind() for entry in entries(small)}
    if not has_recurrence(small) and not kinds & SELECTING:  # a chunked recurrence is computed in another order
        observer = Contractions()
        with observer.weights_of(model):
            model.forward(*inputs.first(verification.SEQ))
            if inputs.pixels is not None:
                model.see(inputs.pixels, inputs.grid)
        found = llmcalc.traffic(small, **sizes, **formats)
        assert elements(found, counts) == pytest.approx(observer.elements, rel=1e-12)
    if small.main.role != "decoder":
        return
    _, cache = model.prefill(*inputs.first(verification.SEQ))
    counts.clear()
    observer = Contractions()
    with observer.weights_of(model):
        model.decode(inputs.main[:, verification.SEQ : verification.SEQ + 1], cache)
    source = {"source": verification.SEQ} if small.is_encoder_decoder else {}
    step = {**sizes, "seq": 1, "patches": 0, "mode": "decode", "context": verification.SEQ, **source}
    found = llmcalc.traffic(small, **step, **formats)
    assert elements(found, counts) == pytest.approx(observer.elements, rel=1e-12)


def test_flops_need_no_readable_weight_format() -> None:
    model = llmcalc.load({"model_type": "llama", "quantization_config": {"quant_method": "strange"}})
    with pytest.raises(InputError):
        llmcalc.traffic(model)
    labels = [fact.label for fact in flops_document(llmcalc.flops(model)).facts]
    assert "matmul" in labels
    assert "bytes moved" not in labels
    assert "bytes moved" in [fact.label for fact in flops_document(llmcalc.flops("gpt2")).facts]
