"""Kinds that no module implements, as a user writes them, and what is said of each if one line is wrong."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.core.architecture import Architecture
from llmcalc.core.errors import InputError
from llmcalc.schema.preset import load_text

PRESET = """
name: own
kinds:
{kind}
architecture:
  stacks:
    decoder:
      d_model: 48
      norms: {{pre: {{rmsnorm: {{}}}}}}
      inputs: {{token: {{embedding: {{rows: 64, share: token_embedding}}}}}}
      blocks: {{block: {{own: {fields}, mlp: {{swiglu: {{d_ff: 96}}}}}}}}
      order: [block * 2]
      outputs: {{norm: {{rmsnorm: {{}}}}, head: {{head: {{vocab: 64, share: token_embedding}}}}}}
"""
# Linear attention with a decay per key channel, keys that a short convolution mixes, and a gate.
DECAYED = """\
  decayed_linear:
    fields: {n_heads: int, d_head: $d_model / n_heads, d_conv: 4}
    axes:
      d: d_model
      h: {size: n_heads, shard: tensor}
      e: {size: d_head, shard: whole}
      v: {size: d_head, shard: whole}
      K: {size: d_conv, shard: whole}
      Kt: K - 1
    tensors: ["wq[d | h e]", "wk[d | h e]", "wv[d | h v]", "wa[d | h e]", "ba[h e]", "wg[d | h v]", "taps[h e; K]",
              "norm[v]", "wo[h v | d]"]
    equations:
      - q[b q h e] = x[b q d] wq[d h e]
      - k[b q h e] = x[b q d] wk[d h e]
      - k[b q h e] = k[b q h e] taps[h e K]
      - k[b q h e] = silu(k)
      - v[b q h v] = x[b q d] wv[d h v]
      - a[b q h e] = x[b q d] wa[d h e]
      - a[b q h e] = add(a, ba)
      - a[b q h e] = sigmoid(a)
      - o[b q h v] = decayed_state(S[b h e v], q, k, v, a)
      - o[b q h v] = rmsnorm(o, norm)
      - g[b q h v] = x[b q d] wg[d h v]
      - g[b q h v] = silu(g)
      - o[b q h v] = mul(o, g)
      - y[b q d] = o[b q h v] wo[h v d]
    state:
      - {tensor: "S[b h e v]", role: recurrent}
      - {tensor: "taps[b h e Kt]", role: conv}
"""
# A delta rule whose write strength is a vector over value channels, and whose decay is shared by all heads.
DELTA = """\
  channel_delta:
    fields: {n_heads: int, d_k: int, d_v: int}
    axes:
      d: d_model
      h: {size: n_heads, shard: tensor}
      e: {size: d_k, shard: whole}
      v: {size: d_v, shard: whole}
    tensors: ["wq[d | h e]", "wk[d | h e]", "wv[d | h v]", "wb[d | h v]", "wa[d | e]", "wo[h v | d]"]
    equations:
      - q[b q h e] = x[b q d] wq[d h e]
      - q[b q h e] = l2norm(q)
      - k[b q h e] = x[b q d] wk[d h e]
      - k[b q h e] = l2norm(k)
      - v[b q h v] = x[b q d] wv[d h v]
      - beta[b q h v] = x[b q d] wb[d h v]
      - beta[b q h v] = sigmoid(beta)
      - a[b q e] = x[b q d] wa[d e]
      - a[b q e] = sigmoid(a)
      - o[b q h v] = gated_delta(S[b h e v], q, k, v, beta, a)
      - y[b q d] = o[b q h v] wo[h v d]
    state: [{tensor: "S[b h e v]", role: recurrent}]
"""
# Full heads over near tokens, and one narrow head over a longer window, whose keys are also its values.
TWO_LEVELS = """\
  two_level_window:
    fields: {n_heads: int, d_head: int, near: int, far: int, d_far: int}
    axes:
      d: d_model
      h: {size: n_heads, shard: tensor}
      e: {size: d_head, shard: whole}
      l: {size: d_far, shard: whole}
      w: near
      W: far
      k: min(c, w - 1) + q
      kf: min(c, W - 1) + q
      t: min(c + q, w - 1)
      tf: min(c + q, W - 1)
    tensors: ["wq[d | h e]", "wk[d | h e]", "wv[d | h e]", "wo[h e | d]", "wql[d | l]", "wl[d | l]", "wol[l | d]"]
    equations:
      - q[b q h e] = x[b q d] wq[d h e]
      - k[b q h e] = x[b q d] wk[d h e]
      - v[b q h e] = x[b q d] wv[d h e]
      - s[b h q k] = q[b q h e] k[b k h e]
      - s[b h q k] = scale(s)
      - p[b h q k] = softmax(s)
      - o[b q h e] = p[b h q k] v[b k h e]
      - on[b q d] = o[b q h e] wo[h e d]
      - ql[b q l] = x[b q d] wql[d l]
      - latent[b q l] = x[b q d] wl[d l]
      - sl[b q kf] = ql[b q l] latent[b kf l]
      - sl[b q kf] = scale(sl)
      - pl[b q kf] = softmax(sl)
      - ol[b q l] = pl[b q kf] latent[b kf l]
      - of[b q d] = ol[b q l] wol[l d]
      - y[b q d] = add(on, of)
    state: ["k[b t h e]", "v[b t h e]", "latent[b tf l]"]
    mask: {window: near}
"""
FIELDS = {
    DECAYED: "{decayed_linear: {n_heads: 6}}",
    DELTA: "{channel_delta: {n_heads: 6, d_k: 10, d_v: 14}}",
    TWO_LEVELS: "{two_level_window: {n_heads: 6, d_head: 8, near: 20, far: 50, d_far: 12}}",
}
READ, RUN = "when it is read", "by verify"
STEPS = "logits, step by step"
MISTAKES = [  # the wrong line, the right one, who finds it, and what is said
    (DECAYED, "decayed_state(S, q", "decayed_state(S[b h e v], q", READ, "but e is not in its FLOPs"),
    (DECAYED, 'taps[b h e K]"', 'taps[b h e Kt]"', RUN, "state"),
    (DECAYED, '"T[b h e v]"', '"S[b h e v]"', READ, "unknown tensor 'S'"),
    (DECAYED, "k[b q h e] = silu(u)", "k[b q h e] = silu(k)", READ, "unknown tensor 'u'"),
    (DELTA, "S[b h e e], q", "S[b h e v], q", READ, "reads e"),
    (DELTA, '"S[b h v e]"', '"S[b h e v]"', READ, "S has the axes b h v e"),
    (DELTA, "gated_delta(v, q, k, v, beta, a)", "gated_delta(S[b h e v], q, k, v, beta, a)", READ, "recurrence"),
    (TWO_LEVELS, '"latent[b t l]"', '"latent[b tf l]"', READ, "latent at 49 of 1,000 earlier tokens, but"),
    (TWO_LEVELS, "mask: causal", "mask: {window: near}", READ, "has the keys of a window"),
    (TWO_LEVELS, "latent[b k l]\n      - sl", "latent[b kf l]\n      - sl", READ, "axis kf of sl is in no tensor"),
    (TWO_LEVELS, "kf: c + q", "kf: min(c, W - 1) + q", READ, "latent at 1,000 of 1,000 earlier tokens"),
]  # fmt: skip


def read(kind: str, text: str = "") -> Architecture:
    return load_text(PRESET.format(kind=text or kind, fields=FIELDS[kind]), "own.yaml")


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.strip().partition(":")[0])
def test_a_new_kind_is_verified(kind: str) -> None:
    verification = llmcalc.verify(read(kind))
    assert verification.ok, [check for check in verification.checks if not check.ok]
    assert {"state", STEPS} <= {check.quantity for check in verification.checks}


@pytest.mark.parametrize(("kind", "wrong", "right", "by", "message"), MISTAKES, ids=lambda item: item[:40])
def test_a_wrong_line_is_found(kind: str, wrong: str, right: str, by: str, message: str) -> None:
    text = kind.replace(right, wrong)
    assert text != kind
    if by == READ:
        with pytest.raises(InputError, match=message) as caught:
            read(kind, text)
        assert caught.value.where.startswith("own.yaml:")
        return
    try:
        found = {check.quantity for check in llmcalc.verify(read(kind, text)).checks if not check.ok}
    except InputError as error:
        found = {str(error)}
    assert any(message in one for one in found), found
