"""Dense projection for poolers, head transforms, factorised embeddings and projectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel, Roles
from ._rows import with_prompt
from .conv import output_frames
from .mlp import ACTIVATIONS

if TYPE_CHECKING:
    from ..core.shrink import Sizes


@record
class Linear(Layer):
    """``y = act(x w + b)``.

    Attributes:
        d_in: input width.
        d_out: output width.
        bias: whether there is a bias.
        activation: elementwise function applied to the output.
        positions: positions to project: ``all``, ``logits`` (positions with logits), or ``one`` (a pooler).
        pooled: position for ``one``: ``first``, ``last``, ``of_id`` (``pooled_id``) or ``highest`` (highest id).
        pooled_id: token id for ``pooled: of_id`` (CLIP's end-of-text token). If absent, the first token is used.
        neighbours: number of adjacent positions concatenated as the input, in reverse order (MobileBERT).
        merge: number of positions merged into one, by pooling or concatenation, before the projection.
        merge_whole: whether an incomplete last group of positions is dropped.
        span, chunk: numbers of audio frames per position and per chunk (see ``conv``).
        upsample: number of positions per token of the stack, reduced by a later layer.
        merge_by_channel: whether concatenated values are ordered by channel.
        n_latents: number of learned vectors that the layer processes instead of tokens.
        prompt: number of learned tokens before the sequence.
        dropped: whether the output is unused and receives no gradient (a pooler next to a language-model head).
        unused: whether the layer is stored but never run.
        stream: index of the residual stream to create, rescaled to the first stream's magnitude (Gemma 3n).
        recomputed_per_step: whether implementations recompute this encoder projection in every decode step.
        restores_stream: whether the layer projects the stream back after the blocks.
        share: name of the shared matrix. Matrices with the same name are stored once, even if one is transposed.
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

    PARALLEL: ClassVar[Parallel] = Parallel(whole="in out")
    ROLES: ClassVar[Roles] = Roles(chunks="chunk")
    IN_ANY_BLOCK: ClassVar[bool] = False
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        "own": "the residual stream that is projected back",
        "first": "the first residual stream",
    }
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "activation": ACTIVATIONS,
        "positions": ("all", "logits", "one"),
        "pooled": ("first", "last", "of_id", "highest"),
    }
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"pooled_id"})
    INPUT_WIDTH: ClassVar[str] = "d_in"
    OUTPUT_WIDTH: ClassVar[str] = "d_out"
    SHRINK: ClassVar[dict[str, str]] = {
        "d_in d_out": "width",
        "pooled_id neighbours merge upsample prompt stream": "keep",
        "chunk": "5 3",
        "n_latents": "n_queries",
    }

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("neighbours", "d_in")
        if self.upsample > 1 and (self.span or self.merge > 1 or self.positions != "all" or self.recomputed_per_step):
            problem = "requires positions: all and cannot be combined with span, merge or recomputed_per_step"
            raise self.size_error("upsample", problem)

    def shrink_field(self, field: str, sizes: Sizes) -> int | None:
        """Return the input width in the small test model if neighbouring positions are concatenated."""
        if field == "d_in" and self.neighbours > 1:
            return self.neighbours * sizes.width(self.d_in // self.neighbours)
        return None

    def declare(self) -> Declaration:
        """Declare the weight ``[d_in, d_out]`` and an optional bias."""
        rows = {"all": "b q", "logits": "b o", "one": "b"}[self.positions]
        axes: dict[str, int | str] = {"in": self.d_in, "out": self.d_out}
        if self.merge > 1 and self.positions == "all":
            rest = self.merge - 1 if self.merge_whole else 0
            rows, axes["qg"] = "b qg", f"ceil(max(0, q - {rest}), {self.merge})" if rest else f"ceil(q, {self.merge})"
        if self.upsample > 1:
            rows, axes["qs"] = "b qs", f"q * {self.upsample}"
        if self.span:
            rows, axes["qs"] = "b qs", output_frames(self.span, self.chunk)
        if self.prompt:
            axes |= {"pt": self.prompt, "q": with_prompt()}
        if self.n_latents:
            axes["q"] = f"min(q, 1) * {self.n_latents}"
        declaration = Declaration(axes)
        declaration.weights("w[in | out]", share=self.share)
        declaration.weights(*["b[out]"] * self.bias)
        if self.unused:
            return declaration.only_stored()
        tag = " | nograd" if self.dropped else ""
        source = "own" if self.restores_stream else "x"
        declaration.equations(f"y[{rows} out] = {source}[{rows} in] w[in out]{tag}")
        if self.recomputed_per_step:
            declaration.equations("yd[b s out] = x[b s in] w[in out] | decode torch again")
            declaration.equations(*["yd[b s out] = add(yd, b) | decode torch again"] * self.bias)
        if self.bias:
            declaration.equations(f"y[{rows} out] = add(y, b){tag}")
        if self.activation != "identity":
            declaration.equations(f"y[{rows} out] = {self.activation}(y){tag}")
        if self.restores_stream:
            declaration.equations(f"y[{rows} out] = rescaled(y, first[{rows} out])")
        elif self.stream is not None:
            declaration.equations(f"y[{rows} out] = rescaled(y, x[{rows} out])")
            declaration.equations(f"stream[{rows} out] = copy(x[{rows} out])")
        return declaration
