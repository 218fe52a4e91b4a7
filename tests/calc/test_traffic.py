"""Bytes of a step: hand counts of five models, invariants, and what NumPy models move.

``verify`` compares all presets and kinds (``tests/twins``).
"""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.calc.explain import traffic_tree
from llmcalc.calc.flops import component
from llmcalc.calc.kernels import WEIGHTS
from llmcalc.calc.traffic import Traffic
from llmcalc.core.errors import InputError
from llmcalc.report.flops import flops_document
from llmcalc.verification.result import Check

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
    found = decode("deepseek-v3", weights="bf16")  # published in fp8
    queries = d * q_rank + q_rank + q_rank * heads * (nope + rope)
    keys_and_values = d * (kv_rank + rope) + kv_rank + kv_rank * heads * 2 * nope  # absorbed: read once, as one latent
    attention = queries + keys_and_values + heads * nope * d
    assert weights_of(found, "mla") == BF16 * 61 * attention
    assert found.by_kind["cache"] == BF16 * 61 * (kv_rank + rope) * (keys + 1)  # one read serves scores and values
    expert = 3 * d * 2048
    assert weights_of(found, "routed experts") == BF16 * 58 * 8 * expert
    touched = 256 * (1 - (1 - 8 / 256) ** 64)
    large = weights_of(decode("deepseek-v3", batch=64, weights="bf16"), "routed experts")
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


def moved(model: str, **changes: Any) -> dict[str, Check]:
    """The checks of traffic of a small model."""
    found = llmcalc.verify(llmcalc.load({"model_type": model, **changes} if changes else model))
    return {check.quantity: check for check in found.checks if "traffic" in check.quantity}


INDEXER = {"indexer_n_heads": 4, "indexer_head_dim": 256, "indexer_budget": 2048, "indexer_compress_ratio": 64}
OPENELM: dict[str, Any] = {
    "num_query_heads": [12, 16], "num_kv_heads": [3, 4], "ffn_multipliers": [0.5, 1.0], "num_transformer_layers": 2,
    "model_dim": 1280, "head_dim": 64, "ffn_dim_divisor": 256,
}  # fmt: skip


@pytest.mark.parametrize(
    ("model", "changes"),
    [("phimoe", {"num_hidden_layers": 2}), ("openelm", OPENELM), ("qwen4_exp_text", INDEXER),
     ("qwen4_exp", {"text_config": {"model_type": "qwen4_exp_text", **INDEXER}})],
)  # fmt: skip
def test_models_without_a_preset_move_the_declared_elements(model: str, changes: dict[str, Any]) -> None:
    checks = moved(model, **changes)
    assert len(checks) == 2
    assert all(check.ok and check.declared > 0 for check in checks.values())


def test_kinds_that_numpy_evaluates_in_another_order_are_named() -> None:
    forward, decode = moved("jamba").values()
    assert forward.ok
    assert decode.ok
    assert forward.note == "without mamba (reordered by NumPy)"
    assert decode.note == ""
    assert forward.declared > 0


def test_flops_need_no_readable_weight_format() -> None:
    model = llmcalc.load({"model_type": "llama", "quantization_config": {"quant_method": "strange"}})
    with pytest.raises(InputError):
        llmcalc.traffic(model)
    labels = [fact.label for fact in flops_document(llmcalc.flops(model)).facts]
    assert "matmul" in labels
    assert "bytes moved" not in labels
    assert "bytes moved" in [fact.label for fact in flops_document(llmcalc.flops("gpt2")).facts]
