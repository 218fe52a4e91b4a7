"""Attention of an encoder to a window on both sides: Longformer's [beltagy2020], computed in overlapping chunks."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.errors import SizeError
from ....core.layer import Layer
from ....core.record import record
from ....layers._attention_parts import project_inputs, project_output


@record
class LocalAttention(Layer):
    """``y = softmax(q kᵀ) v · wo``, where a token sees ``window / 2`` tokens on each side; biases on all projections.

    Chosen tokens may see all others and be seen by them, by further projections of queries, keys and values; without a
    choice these are not used, and are not counted as work.

    Attributes:
        d_model: width of input and output.
        n_heads: heads; a head is d_model / n_heads wide.
        window: tokens on both sides together; even.
        padded_to: implementations pad the tokens to a multiple of this (default: window).
    """

    d_model: int
    n_heads: int
    window: int
    padded_to: int | None = None

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        **Layer.EXTERNAL_TENSORS,
        "ones": "1 for every token of a chunk",
        "padding": "which tokens are padding",
    }

    def __post_init__(self) -> None:
        self.check()
        self.derive(padded_to=self.window)
        self.must_divide("n_heads", "d_model")
        self.must_divide("window", "padded_to")
        if self.window % 2:
            raise SizeError(f"window is {self.window}; it is even", where="local_attention")

    def declare(self) -> Declaration:
        """Projections; scores of chunks of a window's length that overlap by half; mix; output projection."""
        half, length = self.window // 2, int(self.padded_to or self.window)
        chunks = f"{length // half} * ceil(q, Z)"  # as implemented, of half a window each
        declaration = Declaration(
            {"d": self.d_model, "h": self.n_heads, "e": self.d_model // self.n_heads, "Z": length, "qz": "q"},
            as_torch={"qz": "ceil(q, Z) * Z"},
        )
        declaration.axes |= {"w": self.window, "wk": self.window, "wh": half, "wv": 3 * half}
        declaration.axes |= {"ys": f"{chunks} - 1", "y": chunks}
        project_inputs(declaration, rows="qz")
        declaration.weights("wq_global[d | h e]", "wk_global[d | h e]", "wv_global[d | h e]", unused=True)
        declaration.weights("bq_global[h e]", "bk_global[h e]", "bv_global[h e]", unused=True)
        declaration.equations(
            "s[b h q k] = q[b q h e] k[b k h e] | model",
            "s[b h ys w wk] = q[b ys w h e] k[b ys wk h e] | torch",
            "mask[b ys w wk] = ones[b ys w] padding[b ys wk] | torch elementwise nograd",
            "p[b h q k] = softmax(s) | model",
            "o[b q h e] = p[b h q k] v[b k h e] | model",
            "o[b y wh h e] = p[b h y wh wv] v[b y wv h e] | torch",
        )
        project_output(declaration, "qz")
        declaration.mask = f"local:{half + 1}"
        return declaration
