"""The NumPy model that is generated from the equations of a text kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.core.architecture import Architecture
from llmcalc.core.description.text_tokens import SCANS
from llmcalc.core.errors import DescriptionError, InputError, UnsupportedError
from llmcalc.core.functions import FUNCTIONS
from llmcalc.schema.preset import build_preset
from llmcalc.verification.equation_scans import RUNNING

WIDTH = {"d": "d_model"}
LOW_RANK: dict[str, Any] = {
    "fields": {"rank": "int", "norm_eps": 1e-6},
    "axes": WIDTH | {"rank": "rank"},
    "tensors": ["left[d | rank]", "right[rank | d]", "norm[d]"],
    "equations": [
        "l[b q rank] = x[b q d] left[d rank]",
        "y[b q d] = l[b q rank] right[rank d]",
        "y[b q d] = rmsnorm(y, norm)",
        "y[b q d] = add(y, x)",
    ],
}
GATED: dict[str, Any] = {
    "fields": {"d_ff": "$4 * d_model"},
    "axes": WIDTH | {"f": "d_ff"},
    "tensors": ["wg[d | f]", "wu[d | f]", "wd[f | d]"],
    "equations": [
        "g[b q f] = x[b q d] wg[d f]",
        "a[b q f] = silu(g)",
        "u[b q f] = x[b q d] wu[d f]",
        "m[b q f] = mul(a, u)",
        "y[b q d] = m[b q f] wd[f d]",
    ],
}
HEADS: dict[str, Any] = {
    "fields": {"n_heads": "int", "n_kv_heads": "$n_heads", "d_head": "$d_model / n_heads"},
    "axes": WIDTH | {"h": "n_heads", "g": "n_kv_heads", "e": "d_head", "t": "c + q"},
    "tensors": ["wq[d | h e]", "wk[d | g e]", "wv[d | g e]", "wo[h e | d]"],
    "state": ["k[b t g e]", "v[b t g e]"],
    "mask": "causal",
}
PROJECTED = ["q[b q h e] = x[b q d] wq[d h e]", "k[b q g e] = x[b q d] wk[d g e]", "v[b q g e] = x[b q d] wv[d g e]"]
SCORED = ["s[b h q k] = q[b q h e] k[b k g e] | g:h", "s[b h q k] = scale(s)"]
MIXED = ["o[b q h e] = p[b h q k] v[b k g e] | g:h", "y[b q d] = o[b q h e] wo[h e d]"]
SOFTMAX = ["p[b h q k] = softmax(s)"]
ATTENTION = HEADS | {"equations": [*PROJECTED, *SCORED, *SOFTMAX, *MIXED]}
ROTATED = ATTENTION | {
    "fields": {"n_heads": "int", "d_head": "int", "rope_theta": 500.0},
    "axes": WIDTH | {"h": "n_heads", "g": "n_heads", "e": "d_head", "t": "c + q"},
    "equations": [
        *PROJECTED, "q[b q h e] = rope(q)", "k[b q g e] = rope(k)", "q[b q h e] = l2norm(q)",
        "s[b h q k] = q[b q h e] k[b k g e] | g:h",
        *SOFTMAX, *MIXED,
    ],
}  # fmt: skip
WINDOW = ATTENTION | {
    "fields": HEADS["fields"] | {"window": "int"},
    "axes": HEADS["axes"] | {"w": "window", "k": "min(c, w - 1) + q", "t": "min(c + q, w - 1)"},
    "mask": {"window": "window"},
}
CHUNK = ATTENTION | {
    "fields": HEADS["fields"] | {"chunk": "int"},
    "axes": HEADS["axes"] | {"Z": "chunk", "k": "mod(c, Z) + q", "t": "mod(c + q, Z)"},
    "mask": {"chunk": "chunk"},
}
RETENTION = HEADS | {"equations": [*PROJECTED, *SCORED, *(line.replace("p[", "s[") for line in MIXED)]}
LINEAR: dict[str, Any] = {  # parallel in a prefill, and a recurrent state of fixed size between steps
    "fields": {"n_heads": "int", "d_head": "$d_model / n_heads"},
    "axes": WIDTH | {"h": "n_heads", "e": "d_head", "v": "d_head"},
    "tensors": ["wq[d | h e]", "wk[d | h e]", "wv[d | h v]", "wo[h v | d]", "norm[h v]"],
    "equations": [
        "q[b q h e] = x[b q d] wq[d h e]",
        "k[b q h e] = x[b q d] wk[d h e]",
        "v[b q h v] = x[b q d] wv[d h v]",
        "s[b h q k] = q[b q h e] k[b k h e] | prefill",
        "o[b q h v] = s[b h q k] v[b k h v] | prefill",
        "u[b h e v] = k[b q h e] v[b q h v]",
        "S[b h e v] = add(S, u)",
        "o[b q h v] = q[b q h e] S[b h e v] | decode",
        "o[b q h v] = rmsnorm(o, norm) | row:q",
        "y[b q d] = o[b q h v] wo[h v d]",
    ],
    "state": [{"tensor": "S[b h e v]", "role": "recurrent"}],
    "mask": "causal",
}
SHIFTED: dict[str, Any] = {
    "axes": WIDTH,
    "tensors": ["mix[d]", "w[d | d]"],
    "equations": [
        "m[b q d] = mul(shifted[b q d], mix)",
        "m[b q d] = add(m, x)",
        "m[b q d] = gelu(m)",
        "y[b q d] = mul(m, mix)",
    ],
    "state": [{"tensor": "shift[b d]", "role": "recurrent"}],
}
SHIFTED["tensors"] = ["mix[d]"]


def convolved(name: str, axes: str, kernel: str) -> list[str]:
    """The equations of a short convolution and its activation."""
    phases = (("qc", "prefill"), ("qd", "decode"))
    lines = [f"{name}[b {q} {axes}] = {name}[b {q} {axes}] {kernel}[{axes} K] | {phase}" for q, phase in phases]
    return [*lines, f"{name}[b q {axes}] = silu({name})"]


CONVOLVED = {"K": "d_conv", "Kt": "K - 1", "qc": "q", "qd": "q"}
SHORT_CONV: dict[str, Any] = {
    "fields": {"d_conv": 4},
    "axes": WIDTH | CONVOLVED | {"i": "d_model"},
    "tensors": ["w_B[d | i]", "w_C[d | i]", "wx[d | i]", "conv[i; K]", "wo[i | d]"],
    "equations": [
        "B[b q i] = x[b q d] w_B[d i]",
        "C[b q i] = x[b q d] w_C[d i]",
        "u[b q i] = x[b q d] wx[d i]",
        "u[b q i] = mul(B, u)",
        *convolved("u", "i", "conv")[:2],
        "u[b q i] = mul(C, u)",
        "y[b q d] = u[b q i] wo[i d]",
    ],
    "state": [{"tensor": "conv[b i Kt]", "role": "conv"}],
}
MAMBA: dict[str, Any] = {
    "fields": {"d_inner": "int", "d_state": "int", "d_conv": 4, "dt_rank": "int"},
    "axes": WIDTH | CONVOLVED | {"i": "d_inner", "N": "d_state", "R": "dt_rank"},
    "tensors": [
        "wx[d | i]", "wz[d | i]", "conv[i; K]", "conv_b[i]", "w_dt[i | R]", "w_B[i | N]", "w_C[i | N]",
        "dt_up[R | i]", "dt_b[i]", "A_log[i; N]", "D[i]", "wo[i | d]",
    ],
    "equations": [
        "u[b q i] = x[b q d] wx[d i]",
        "z[b q i] = x[b q d] wz[d i]",
        *convolved("u", "i", "conv")[:2],
        "u[b q i] = add(u, conv_b)",
        "u[b q i] = silu(u)",
        "dt[b q R] = u[b q i] w_dt[i R]",
        "B[b q N] = u[b q i] w_B[i N]",
        "C[b q N] = u[b q i] w_C[i N]",
        "delta[b q i] = dt[b q R] dt_up[R i]",
        "delta[b q i] = add(delta, dt_b)",
        "delta[b q i] = softplus(delta)",
        "h[b q i N] = selective_scan(u, delta, B, A_log)",
        "y[b q i] = h[b q i N] C[b q N]",
        "skip[b q i] = mul(u, D)",
        "y[b q i] = add(y, skip)",
        "gz[b q i] = silu(z)",
        "y[b q i] = mul(y, gz)",
        "y[b q d] = y[b q i] wo[i d]",
    ],
    "state": [{"tensor": "conv[b i Kt]", "role": "conv"}, {"tensor": "ssm[b i N]", "role": "recurrent"}],
}  # fmt: skip
DELTA: dict[str, Any] = {
    "fields": {"n_heads": "int", "d_k": "int", "d_v": "int", "d_conv": 4, "norm_eps": 1e-24},
    "axes": WIDTH | CONVOLVED | {"h": "n_heads", "e": "d_k", "v": "d_v"},
    "tensors": [
        "wq[d | h e]", "wk[d | h e]", "wv[d | h v]", "wb[d | h]", "conv_q[h e; K]", "conv_k[h e; K]", "conv_v[h v; K]",
        "norm[v]", "wo[h v | d]",
    ],
    "equations": [
        *(
            line
            for name, axes in (("q", "h e"), ("k", "h e"), ("v", "h v"))
            for line in (f"{name}[b q {axes}] = x[b q d] w{name}[d {axes}]", *convolved(name, axes, f"conv_{name}"))
        ),
        "beta[b q h] = x[b q d] wb[d h]",
        "beta[b q h] = sigmoid(beta)",
        "q[b q h e] = l2norm(q)",
        "k[b q h e] = l2norm(k)",
        "o[b q h v] = gated_delta(S[b h e v], q, k, v, beta)",
        "o[b q h v] = rmsnorm(o, norm)",
        "y[b q d] = o[b q h v] wo[h v d]",
    ],
    "state": [
        {"tensor": "S[b h e v]", "role": "recurrent"},
        *({"tensor": f"conv_{name}[b h {axis} Kt]", "role": "conv"} for name, axis in zip("qkv", "eev", strict=True)),
    ],
}  # fmt: skip
RWKV: dict[str, Any] = {  # RWKV-4, and the state matrix of RWKV-6
    "fields": {"n_heads": "int", "d_head": "$d_model / n_heads"},
    "axes": WIDTH | {"h": "n_heads", "e": "d_head", "v": "d_head"},
    "tensors": [
        "mix[d]", "wr[d | h e]", "wk[d | h e]", "wv[d | h v]", "decay[h e]", "first[h e]", "fading[h v]", "bonus[h v]",
        "wo[h v | d]",
    ],
    "equations": [
        "m[b q d] = mul(x, mix)",
        "m[b q d] = add(m, shifted[b q d])",
        "r[b q h e] = m[b q d] wr[d h e]",
        "k[b q h e] = m[b q d] wk[d h e]",
        "v[b q h v] = m[b q d] wv[d h v]",
        "w[h e] = exp(decay)",
        "o[b q h v] = matrix_wkv(S[b h e v], r, k, v, w, first)",
        "a[b q h v] = wkv(o, v, fading, bonus)",
        "y[b q d] = a[b q h v] wo[h v d]",
    ],
    "state": [
        {"tensor": tensor, "role": "recurrent"}
        for tensor in ("shift[b d]", "S[b h e v]", *(f"{name}[b h v]" for name in RUNNING))
    ],
}  # fmt: skip
AVERAGE: dict[str, Any] = {  # two diagonal recurrences, and a plain cumulative sum
    "axes": WIDTH,
    "tensors": ["wa[d]"],
    "equations": [
        "a[b q d] = mul(x, wa)",
        "a[b q d] = sigmoid(a)",
        "u[b q d] = rg_lru(x, a)",
        "m[b q d] = cumulative_sum(u, a)",
        "t[b q d] = cumulative_sum(m)",
        "y[b q d] = add(t, u)",
    ],
    "state": [{"tensor": f"{name}[b d]", "role": "recurrent"} for name in "umt"],
}
RUN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "low rank": (LOW_RANK, {"rank": 7}),
    "gated": (GATED, {}),
    "attention": (ATTENTION, {"n_heads": 6, "n_kv_heads": 2}),
    "multi-query": (ATTENTION, {"n_heads": 6, "n_kv_heads": 1, "d_head": 5}),
    "rotated": (ROTATED, {"n_heads": 6, "d_head": 10}),
    "window": (WINDOW, {"n_heads": 6, "window": 5}),
    "chunk": (CHUNK, {"n_heads": 6, "n_kv_heads": 3, "chunk": 4}),
    "retention": (RETENTION, {"n_heads": 6, "n_kv_heads": 2}),
    "linear": (LINEAR, {"n_heads": 6}),
    "shifted": (SHIFTED, {}),
    "short convolution": (SHORT_CONV, {}),
    "mamba": (MAMBA, {"d_inner": 60, "d_state": 5, "dt_rank": 7}),
    "delta rule": (DELTA, {"n_heads": 6, "d_k": 5, "d_v": 7}),
    "rwkv": (RWKV, {"n_heads": 6}),
    "average": (AVERAGE, {}),
}


def built(kind: dict[str, Any], values: dict[str, Any], other: dict[str, Any] | None = None) -> Architecture:
    """A model with two equal blocks of a layer of the kind, or of another layer in its place."""
    layer = {"own_kind": values} if other is None else other
    decoder = {
        "d_model": 36,
        "norms": {"pre": {"rmsnorm": {}}},
        "inputs": {"token": {"embedding": {"rows": 31, "share": "token_embedding"}}},
        "blocks": {"block": {"own": layer}},
        "order": ["block * 2"],
        "outputs": {"norm": {"rmsnorm": {}}, "head": {"head": {"vocab": 31, "share": "token_embedding"}}},
    }
    data = {"name": "own", "kinds": {"own_kind": kind}, "architecture": {"stacks": {"decoder": decoder}}}
    return build_preset(data, None, (), None)


def wrong(model: Architecture) -> set[str]:
    return {check.quantity for check in llmcalc.verify(model).checks if not check.ok}


@pytest.mark.parametrize("name", RUN)
def test_its_counts_are_those_of_the_arrays(name: str) -> None:
    verification = llmcalc.verify(built(*RUN[name]))
    assert verification.ok, [check for check in verification.checks if not check.ok]
    assert {"parameters", "state", "saved activations", "logits, step by step"} <= {
        check.quantity for check in verification.checks
    }


DIVIDED = {"h": "tensor", "f": "tensor", "i": "tensor", "g": "replicated", **dict.fromkeys("devKNR", "whole")}
WITH_HEADS = [
    name for name, (kind, _) in RUN.items() if {*kind["axes"]} & {"h", "f", "i"} and name != "short convolution"
]


@pytest.mark.parametrize("name", WITH_HEADS)
def test_its_collectives_are_those_of_simulated_ranks(name: str) -> None:
    kind, values = RUN[name]
    axes = {
        axis: {"size": size, "shard": DIVIDED[axis]} if axis in DIVIDED else size for axis, size in kind["axes"].items()
    }
    (check,) = (
        check for check in llmcalc.verify(built(kind | {"axes": axes}, values)).checks if "tp 2" in check.quantity
    )
    assert check.ok, check
    assert check.note == "of 1 sub-layer"
    assert check.declared > 0


def test_verify_says_that_it_is_no_independent_implementation() -> None:
    from llmcalc.report.verify import outcome, verify_document

    model = built(*RUN["gated"])
    verification = llmcalc.verify(model)
    assert verification.generated == ("own_kind",)
    assert verification.to_dict()["generated"] == ["own_kind"]
    assert any("not an independent implementation" in note for note in verify_document(model, outcome(model)).notes)
    assert "generated" not in llmcalc.verify("gpt2").to_dict()


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("low rank", {"laurel": {"rank": 7}}),
        ("gated", {"swiglu": {"d_ff": 144}}),
        ("attention", {"gqa": {"n_heads": 6, "n_kv_heads": 2}}),
        ("window", {"gqa": {"n_heads": 6, "window": 5}}),
        ("chunk", {"gqa": {"n_heads": 6, "n_kv_heads": 3, "chunk": 4}}),
        ("short convolution", {"short_conv": {}}),
        ("mamba", {"mamba": {"d_inner": 60, "d_state": 5, "d_conv": 4, "dt_rank": 7}}),
        (
            "delta rule",
            {
                "gated_delta_net": {
                    "n_k_heads": 6,
                    "n_v_heads": 6,
                    "d_k": 5,
                    "d_v": 7,
                    "norm_eps": 1e-24,
                    "decays": False,
                    "gated": False,
                }
            },
        ),
    ],
)
def test_it_computes_what_the_independent_model_computes(name: str, other: dict[str, Any]) -> None:
    own, twin = llmcalc.twin(built(*RUN[name])), llmcalc.twin(built(*RUN[name], other))
    assert own.tensors.keys() == twin.tensors.keys()
    own.tensors.update(twin.tensors)
    ids = np.arange(22).reshape(2, 11)
    assert np.allclose(own.forward(ids), twin.forward(ids), rtol=1e-12, atol=1e-12)


def changed(kind: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return kind | parts


def test_mistakes_are_found() -> None:
    heads = {"n_heads": 6, "n_kv_heads": 2}
    assert wrong(built(ATTENTION, heads)) == set()
    assert wrong(built(changed(ATTENTION, mask=""), heads)) == {"logits, step by step"}
    forgotten = [line for line in LINEAR["equations"] if not line.startswith(("S[", "u["))]
    with pytest.raises(DescriptionError, match="no equation computes the state S"):
        built(changed(LINEAR, equations=forgotten), {"n_heads": 6})
    always = [line.replace(" | decode", "") if "S[b h e v] |" in line else line for line in LINEAR["equations"]]
    with pytest.raises(DescriptionError, match=r"no equation reads o, which 'o.*prefill' computes"):
        built(changed(LINEAR, equations=always), {"n_heads": 6})
    update = "S[b h e v] = add(S, u)"
    late = [line for line in LINEAR["equations"] if line != update]
    late.insert(late.index("o[b q h v] = q[b q h e] S[b h e v] | decode") + 1, update)
    assert "logits, step by step" in wrong(built(changed(LINEAR, equations=late), {"n_heads": 6}))
    with pytest.raises(DescriptionError, match="reads k at earlier tokens, which are not in state"):
        built(changed(ATTENTION, state=["v[b t g e]"]), heads)
    short = changed(ATTENTION, axes=HEADS["axes"] | {"t": "min(c + q, 5)"})
    with pytest.raises(DescriptionError, match="reads k at 10 of 10 earlier tokens, but state keeps 5"):
        built(short, heads)
    longer = changed(WINDOW, axes=WINDOW["axes"] | {"t": "c + q"})  # more than the window reads
    assert wrong(built(longer, {"n_heads": 6, "window": 5})) == set()


ONE = ["y[b q d] = {}(x)", "y[b q d] = {}(x, w)", "y[b q d] = {}(x, w, v)"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_computed_or_refused_by_name(function: str) -> None:
    messages = []
    for number, line in enumerate(ONE):
        names = ["w", "v"][:number]
        kind = {
            "axes": WIDTH | {"d2": "d_model"},
            "tensors": [*(f"{name}[d]" for name in names), "wo[d | d2]"],
            "equations": [line.format(function), "z[b q d2] = y[b q d] wo[d d2]", "y[b q d] = copy(z)"],
            "state": [{"tensor": "y[b d]", "role": "recurrent"}] if function in SCANS else [],
        }
        try:
            assert "matmul FLOPs, forward" not in wrong(built(kind, {}))
        except UnsupportedError as error:
            messages.append(str(error))
    assert all(function in message for message in messages)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("y[b q] = x[b q d] conv[d K]", "a sum over an axis of one tensor"),
        ("y[b q d] = selective_scan(x, conv)", "selective_scan of other than 4 to 4 tensors"),
        ("y[b q d] = x[b q d] conv[d K] | scan", "the tag 'scan'"),
        ("y[b q d] = fft(x) | over:q", "transforms along an axis"),
    ],
)
def test_what_cannot_run_is_refused_by_name(line: str, message: str) -> None:
    kind = {
        "axes": WIDTH | {"K": 4},
        "tensors": ["conv[d; K]"],
        "equations": [line, "y[b q d] = mul(x, y)", "y[b q d] = y[b q d] conv[d K]"],
        "state": [{"tensor": "conv[b d K]", "role": "conv"}, {"tensor": "y[b d]", "role": "recurrent"}],
    }
    with pytest.raises(UnsupportedError, match=message):
        llmcalc.verify(built(kind, {}))


MANY = {f"a{number}": 11 for number in range(9)}
ALL = " ".join(MANY)


@pytest.mark.parametrize(
    ("tensors", "lines", "state"),
    [
        ([f"w[{'; '.join(MANY)}]"], [f"z[b q] = x[b q d] w[{ALL}]", "x[b q d] = mul(x, z)"], []),
        (
            [f"w{axis}[{axis}]" for axis in MANY],
            [f"z[{ALL}] = add({', '.join(f'w{axis}' for axis in MANY)})", f"x[b q d] = x[b q d] z[{ALL}]"],
            [],
        ),
        ([], ["z[b q d] = scale(x)"], [{"tensor": f"z[{ALL}]", "role": "recurrent"}]),
    ],
)
def test_a_run_that_would_be_too_large_is_refused(tensors: list[str], lines: list[str], state: list[Any]) -> None:
    kind = {"axes": WIDTH | MANY, "tensors": tensors, "equations": [*lines, "y[b q d] = scale(x)"], "state": state}
    with pytest.raises(UnsupportedError, match=r"as large as|as many products"):
        llmcalc.verify(built(kind, {}))


LINES = st.sampled_from([
    *ATTENTION["equations"], *LINEAR["equations"], "y[b q d] = add(y, x)", "y[b q d] = mul(y, shifted)",
    "y[b q d] = copy(x)",
    "o[b q h e] = rmsnorm(o)", "o[b q h e] = l2norm(o) | row:q", "S[b h e] = k[b q g e] q[b q h e] | g:h",
    "y[b d q] = copy(y)",
    "q[b q h e] = rope(q)", "k[b t g e] = copy(k[b k g e])", "v[b q g e] = softmax(v)", "s[b h q k] = add(s, s)",
    "y[b q d] = o[b q h e] wo[h e d] | nograd", "p[b h q t] = softmax(s)", "y[b k d] = scale(y)", "z[b q] = add(z, z)",
    "y[b q d] = cumulative_sum(x)", "y[b q d] = cumulative_sum(y, x)", "y[b q d] = rg_lru(x, y)",
    "o[b q h e] = decayed_state(S[b h e], q, q, q)", "q[b q h e] = gated_delta(S[b h e], q, k)",
    "o[b q h e] = selective_scan(q, q, q, q)", "y[b q d] = y[b q d] wq[d h e]", "o[b q h] = wkv(q, q, q, q)",
])  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(LINES, min_size=1, max_size=4),
    st.permutations(ATTENTION["equations"]),
    st.sampled_from(["causal", "", {"window": 5}, {"chunk": "n_heads"}]),
    st.lists(
        st.sampled_from(
            [
                "k[b t g e]",
                "v[b t g e]",
                "S[b h e]",
                "shift[b d]",
                "q[b q h e]",
                "y[b d]",
                *({"tensor": tensor, "role": "recurrent"} for tensor in ("S[b h e]", "y[b d]", "o[b h e]")),
            ]
        ),
        max_size=3,
    ),
    st.dictionaries(
        st.sampled_from("tkqe"), st.sampled_from(["c + q", "min(c, h) + q", "q", "c - 3", "d_head"]), max_size=2
    ),
)
def test_any_kind_runs_or_is_refused(
    more: list[str], lines: list[str], mask: Any, state: list[Any], axes: dict[str, str]
) -> None:
    for equations in ([*ATTENTION["equations"], *more], [*more, *ATTENTION["equations"]], [*lines, *more]):
        kind = changed(ATTENTION, equations=equations, mask=mask, state=state, axes=HEADS["axes"] | axes)
        try:
            model = built(kind, {"n_heads": 6, "n_kv_heads": 2})
            verification = llmcalc.verify(model)
        except InputError:
            continue
        assert next(iter(verification.checks)).ok  # parameters
        if not llmcalc.state(model).elements:  # no token reads another
            assert "logits, step by step" not in {check.quantity for check in verification.checks if not check.ok}


@pytest.mark.parametrize("is_per_token", [True, False])
@pytest.mark.parametrize("axes", ["h", "e", "h e", "h v"])
@pytest.mark.parametrize("rule", ["decayed_state(S[b h e v], q, k, v, a)", "gated_delta(S[b h e v], q, k, v, a, a)"])
def test_a_decay_has_any_axes_of_the_state(rule: str, axes: str, is_per_token: bool) -> None:
    linear = LINEAR | {"tensors": [tensor for tensor in LINEAR["tensors"] if not tensor.startswith("norm")]}
    first, rows = (f"x[b q d] wa[d {axes}]", "b q ") if is_per_token else ("", "")
    decay = [f"a[{rows}{axes}] = {first}"] if first else [f"a[{axes}] = copy(wa)"]
    equations = [
        *LINEAR["equations"][:3],
        "k[b q h e] = l2norm(k)",
        *decay,
        f"a[{rows}{axes}] = sigmoid(a)",
        f"o[b q h v] = {rule}",
        LINEAR["equations"][-1],
    ]
    weight = f"wa[d | {axes}]" if is_per_token else f"wa[{axes}]"
    kind = linear | {"tensors": [*linear["tensors"], weight], "equations": equations, "mask": ""}
    assert wrong(built(kind, {"n_heads": 6})) == set()
