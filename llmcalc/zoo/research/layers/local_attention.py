"""Sliding-window encoder attention (Longformer) [beltagy2020], computed in overlapping chunks."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....core.traits import Roles
from ....layers._attention_parts import MultiHead, project_inputs, project_output


@record
class LocalAttention(MultiHead):
    """``y = softmax(q kᵀ) v · wo`` over ``window / 2`` tokens on each side. All projections have biases.

    Tokens with global attention use additional query, key and value projections. Without such tokens, these
    projections are stored but not used.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads, each of width d_model / n_heads.
        window: total number of tokens on both sides; must be even.
        padded_to: the sequence length is padded to a multiple of this number (default: window).
    """

    window: int
    padded_to: int | None = None

    AXES: ClassVar[str] = """
    wh  half_window     queries in half a window
    wp  window_weights  attention weights per query: one per token of the window, and that of the query itself
    wd  padded_weights  attention weights per query as the implementation pads them to shift each row by one
    """
    SHRINK: ClassVar[dict[str, str]] = {"window": "local 6", "padded_to": "padded 12"}
    ROLES: ClassVar[Roles] = Roles(windows="window")
    HAS_ORDER: ClassVar[bool] = True
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"ones": "1 per token", "padding": "a mask of padding tokens"}

    def _complete(self) -> None:
        super()._complete()
        self.derive(padded_to=self.window)
        self.must_divide("window", "padded_to")
        if self.window % 2:
            raise self.size_error("window", f"must be even, not {self.window}")

    def declare(self) -> Declaration:
        """Declare the projections, scores in half-overlapping chunks, weighted values, and output projection."""
        half, length = self.window // 2, int(self.padded_to or self.window)
        chunks = f"{length // half} * ceil(q, Z)"  # each half a window long, as implemented
        declaration = Declaration({**self._head_axes(), "Z": length, "qz": "q"}, as_torch={"qz": "ceil(q, Z) * Z"})
        declaration.axes |= {"w": self.window, "wk": self.window, "wh": half, "wv": 3 * half}
        declaration.axes |= {"ys": f"{chunks} - 1", "y": chunks}
        declaration.axes |= {"wp": self.window + 1, "wd": 3 * half + 2}
        for name in "qkv":  # the implementation transposes the tokens, so each projection makes a copy of its own
            declaration.equations("x[b qz d] = identity(x) | torch")
            project_inputs(declaration, name, rows="qz")
        declaration.weights("wq_global[d | h e]", "wk_global[d | h e]", "wv_global[d | h e]", unused=True)
        declaration.weights("bq_global[h e]", "bk_global[h e]", "bv_global[h e]", unused=True)
        declaration.equations(
            "s[b h q k] = q[b q h e] k[b k h e] | model",
            "s[b h ys w wk] = q[b ys w h e] k[b ys wk h e] | torch",
            "mask[b ys w wk] = ones[b ys w] padding[b ys wk] | torch elementwise nograd",
            "s[b h qz wp] = copy(s) | torch",
            "p[b h qz wp] = softmax(s) | torch",
            "p[b h y wh wd] = copy(p) | torch",
            "p[b h q k] = softmax(s) | model",
            "o[b q h e] = p[b h q k] v[b k h e] | model",
            "o[b y wh h e] = p[b h y wh wv] v[b y wv h e] | torch",
        )
        project_output(declaration, "qz")
        declaration.mask = f"local:{half + 1}"
        return declaration
