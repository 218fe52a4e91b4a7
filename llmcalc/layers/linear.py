"""A dense projection: poolers, head transforms, embedding factorisation, projectors."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.record import record
from ._heard import results
from .mlp import ACTIVATIONS


@record
class Linear(Layer):
    """``y = act(x w + b)``.

    Attributes:
        d_in: input width.
        d_out: output width.
        bias: whether there is a bias.
        activation: elementwise function on the result.
        positions: how many positions it runs on: ``all``, ``logits`` (those whose logits are computed), ``one`` a
            sequence (a pooler).
        pooled: which ``one`` that is: the ``first``, the ``last``, the first ``of_id``, or the first of the
            ``highest`` id.
        pooled_id: the id of that token (CLIP's end of the text); where a text has none, it is the first.
        neighbours: so many positions around each one stand side by side as its input, the last one first (MobileBERT).
        merge: so many positions become one before it, pooled, or side by side as the width ``d_in`` (patch merging).
        merge_whole: positions that are too few to become one are left out.
        span, chunk: it runs on one position for so many frames of sound, of chunks apart, see ``conv``.
        upsample: it runs on so many positions for every token of the stack, which a layer behind it makes fewer.
        merge_by_channel: of those side by side, each channel's values stand together.
        n_latents: it runs on this many learned vectors, if there is any token that they could see.
        prompt: this many learned tokens stand before the sequence.
        dropped: it is computed, but its result is not used, so that no gradient flows (a pooler beside a
            language-model head).
        unused: stored, but never run.
        stream: number of the residual stream that it makes of the first one, brought to the magnitude of the first
            (Gemma 3n).
        recomputed_per_step: implementations recompute this projection of the encoder's output in every decode step.
        restores_stream: it runs after the blocks and projects that stream back.
        share: identity of the matrix; matrices that share one are stored once, also if one is the other's transpose.
    """

    d_in: int
    d_out: int
    bias: bool = True
    activation: str = "identity"
    positions: str = "all"
    pooled: str = "first"
    pooled_id: int = 0
    neighbours: int = 1
    merge: int = 1
    merge_whole: bool = False
    upsample: int = 1
    span: int | None = None
    chunk: int | None = None
    merge_by_channel: bool = False
    n_latents: int | None = None
    prompt: int | None = None
    dropped: bool = False
    unused: bool = False
    share: str | None = None
    stream: int | None = None
    recomputed_per_step: bool = False
    restores_stream: bool = False

    GIVEN: ClassVar[dict[str, str]] = {
        **Layer.GIVEN,
        "own": "the residual stream that is taken back",
        "first": "the first of the streams",
    }
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "activation": ACTIVATIONS,
        "positions": ("all", "logits", "one"),
        "pooled": ("first", "last", "of_id", "highest"),
    }
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"pooled_id"})

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("neighbours", "d_in")
        if self.upsample > 1 and (self.span or self.merge > 1 or self.positions != "all" or self.recomputed_per_step):
            raise SizeError("upsample goes with neither span nor merge, nor with fewer positions", where="linear")

    def declare(self) -> Declaration:
        """Weight ``[d_in, d_out]``."""
        rows = {"all": "b q", "logits": "b o", "one": "b"}[self.positions]
        axes: dict[str, int | str] = {"in": self.d_in, "out": self.d_out}
        if self.merge > 1 and self.positions == "all":
            left = self.merge - 1 if self.merge_whole else 0
            rows, axes["qg"] = "b qg", f"ceil(max(0, q - {left}), {self.merge})" if left else f"ceil(q, {self.merge})"
        if self.upsample > 1:
            rows, axes["qs"] = "b qs", f"q * {self.upsample}"
        if self.span:
            rows, axes["qs"] = "b qs", results(self.span, self.chunk)
        if self.prompt:
            axes |= {"pt": self.prompt, "q": "q + max(0, 1 - c) * min(q, 1) * pt"}
        if self.n_latents:
            axes["q"] = f"min(q, 1) * {self.n_latents}"
        declaration = Declaration(axes)
        declaration.weights("w[in | out]", share=self.share, unused=self.unused)
        declaration.weights(*(["b[out]"] if self.bias else []), unused=self.unused)
        if self.unused:
            return declaration
        tag = " | nograd" if self.dropped else ""
        source = "own" if self.restores_stream else "x"
        declaration.equations(f"y[{rows} out] = {source}[{rows} in] w[in out]{tag}")
        if self.recomputed_per_step:
            declaration.equations(
                "yd[b s out] = x[b s in] w[in out] | decode torch again",
                *(["yd[b s out] = add(yd, b) | decode torch again"] if self.bias else []),
            )
        if self.bias:
            declaration.equations(f"y[{rows} out] = add(y, b){tag}")
        if self.activation != "identity":
            declaration.equations(f"y[{rows} out] = {self.activation}(y){tag}")
        if self.restores_stream:
            declaration.equations(f"y[{rows} out] = rescaled(y, first[{rows} out])")
        elif self.stream is not None:
            declaration.equations(
                f"y[{rows} out] = rescaled(y, x[{rows} out])", f"stream[{rows} out] = copy(x[{rows} out])"
            )
        return declaration
