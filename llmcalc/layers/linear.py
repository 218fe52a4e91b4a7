"""Dense projection for poolers, head transforms, factorised embeddings and projectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from ..core.declaration import Declaration
from ..core.description.part_family import PartFamily
from ..core.layer import Layer
from ..core.part import Part
from ..core.record import record
from ..core.traits import Parallel, Roles
from .mlp import ACTIVATIONS
from .parts.sequence import INPUT_TOKENS, InputRows, with_prompt

if TYPE_CHECKING:
    from ..core.shrink import Sizes
    from .parts.frames import Frames
    from .parts.pooler import Pooler
    from .parts.residual_stream import ResidualStream


@record
class Linear(Layer):
    """``y = act(x w + b)``, computed separately for each group of channels if ``groups`` is set.

    Attributes:
        d_in: input width.
        d_out: output width.
        bias: whether there is a bias.
        activation: elementwise function applied to the output.
        positions: positions to project: ``all``, ``logits`` (positions with logits), or ``one`` (a pooler).
        pooler: position for ``one`` (default: the first).
        merge: number of positions merged into one, by pooling or concatenation, before the projection.
        sequence: vectors that the layer reads instead of one vector per token.
        frames: audio frames per position, in place of tokens.
        upsample: number of positions per token of the stack, reduced by a later layer.
        dropped: whether the output is unused and receives no gradient (a pooler next to a language-model head).
        unused: whether the layer is stored but never run.
        residual_stream: residual stream that the layer creates or projects back (Gemma 3n).
        recomputed_per_step: whether implementations recompute this encoder projection in every decode step.
        share: name of the shared matrix. Matrices with the same name are stored once, even if one is transposed.
        groups: number of channel groups, each with its own matrix [iandola2020]; None: one matrix.
    """

    d_in: int
    d_out: int
    bias: bool = True
    activation: str = "identity"
    positions: str = "all"
    pooler: Pooler | None = None
    merge: int = 1
    sequence: InputRows | None = None
    frames: Frames | None = None
    upsample: int = 1
    dropped: bool = False
    unused: bool = False
    share: str | None = None
    residual_stream: ResidualStream | None = None
    recomputed_per_step: bool = False
    groups: int | None = None

    AXES: ClassVar[str] = """
    xi  d_group_in   input width of a group
    xo  d_group_out  output width of a group
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="in out xg xi xo")
    ROLES: ClassVar[Roles] = Roles(chunks="frames.chunk")
    IN_ANY_BLOCK: ClassVar[bool] = False
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        "own": "the residual stream that is projected back",
        "first": "the first residual stream",
    }
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS, "positions": ("all", "logits", "one")}
    INPUT_WIDTH: ClassVar[str] = "d_in"
    OUTPUT_WIDTH: ClassVar[str] = "d_out"
    SHRINK: ClassVar[dict[str, str]] = {"d_in d_out": "width", "groups": "3 2", "merge upsample": "keep"}
    PARTS: ClassVar[Mapping[str, Sequence[type[Part]]]] = {
        "pooler": PartFamily("parts", "pooler"),
        "sequence": (InputRows,),
        "frames": PartFamily("parts", "frames"),
        "residual_stream": PartFamily("parts", "residual_stream"),
    }

    def _complete(self) -> None:
        if self.groups:
            self.must_divide("groups", "d_in")
            self.must_divide("groups", "d_out")
        if self.sequence and self.d_in % self.sequence.neighbours:
            problem = f"({self.sequence.neighbours}) does not divide d_in ({self.d_in})"
            raise self.size_error("sequence.neighbours", problem).under(("sequence", "neighbours"))
        if self.upsample > 1 and (self.frames or self.merge > 1 or self.positions != "all" or self.recomputed_per_step):
            problem = "requires positions: all and cannot be combined with frames, merge or recomputed_per_step"
            raise self.size_error("upsample", problem)

    def width_multiple(self) -> int:
        """Return a multiple of the small numbers of groups."""
        return 6 if self.groups else super().width_multiple()

    def shrink_field(self, field: str, sizes: Sizes) -> int | None:
        """Return the input width in the small test model if neighbouring positions are concatenated."""
        if field == "d_in" and self.sequence and self.sequence.neighbours > 1:
            return self.sequence.neighbours * sizes.width(self.d_in // self.sequence.neighbours)
        return None

    def declare(self) -> Declaration:
        """Declare the weight ``[d_in, d_out]`` or ``[groups, d_in / groups, d_out / groups]``, and an optional bias."""
        inputs = self.sequence or INPUT_TOKENS
        rows = {"all": "b q", "logits": "b o", "one": "b"}[self.positions]
        axes: dict[str, int | str] = {"in": self.d_in, "out": self.d_out}
        weight, matrix, d_in, d_out = "in | out", "in out", "in", "out"
        if self.groups:
            axes = {"xg": self.groups, "xi": self.d_in // self.groups, "xo": self.d_out // self.groups}
            weight, matrix, d_in, d_out = "xg; xi | xo", "xg xi xo", "xg xi", "xg xo"
        if self.merge > 1 and self.positions == "all":
            rest = self.merge - 1 if inputs.merge_whole else 0
            rows, axes["qg"] = "b qg", f"ceil(max(0, q - {rest}), {self.merge})" if rest else f"ceil(q, {self.merge})"
        if self.upsample > 1:
            rows, axes["qs"] = "b qs", f"q * {self.upsample}"
        if self.frames:
            rows, axes["qs"] = "b qs", self.frames.positions()
        if inputs.prompt:
            axes |= {"pt": inputs.prompt, "q": with_prompt()}
        if inputs.n_latents:
            axes["q"] = f"min(q, 1) * {inputs.n_latents}"
        declaration = Declaration(axes)
        declaration.weights(f"w[{weight}]", share=self.share)
        declaration.weights(*[f"b[{d_out}]"] * self.bias)
        if self.unused:
            return declaration.only_stored()
        tag = "nograd" if self.dropped else ""
        source = "own" if self.residual_stream and self.residual_stream.restores else "x"
        declaration.equations(f"y[{rows} {d_out}] = {source}[{rows} {d_in}] w[{matrix}]", tag=tag)
        if self.recomputed_per_step:
            declaration.equations(f"yd[b s {d_out}] = x[b s {d_in}] w[{matrix}] | decode torch again")
            declaration.equations(*[f"yd[b s {d_out}] = add(yd, b) | decode torch again"] * self.bias)
        declaration.equations(*[f"y[{rows} {d_out}] = add(y, b)"] * self.bias, tag=tag)
        if self.activation != "identity":
            declaration.equations(f"y[{rows} {d_out}] = {self.activation}(y)", tag=tag)
        if self.residual_stream:
            declaration.equations(*self.residual_stream.lines(f"{rows} {d_out}"))
        return declaration
