"""Normalisation layers such as LayerNorm [ba2016] and RMSNorm [zhang2019]."""

from __future__ import annotations

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.part import Part
from ..core.record import record
from ..core.traits import NORM, Parallel
from ..core.type_names import ClassVar
from .parts.sequence import SequenceRows, set_rows


@record
class Norm(Layer):
    """Normalisation over the last axis: ``y = x / rms(x) · w`` or ``y = (x - mean) / std · w + b``.

    Attributes:
        d_model: width of the input.
        function: ``rmsnorm``, ``layernorm`` or ``l2norm`` (scales vectors to length 1).
        scale: whether there is a weight ``w [d_model]``.
        bias: whether there is a bias ``b [d_model]``.
        eps: epsilon of the norm.
        gate_rank: rank of the output gate ``sigmoid(silu(y w_in) w_out)`` (A.X K2).
        merge: number of tokens merged into each position (Funnel Transformer).
        sequence: vectors that the layer normalises instead of, or in addition to, the tokens.
        unused: whether the parameters are stored but never used.
        weights_of: name of another norm in the block whose weights are used (X-MOD: ``mlp.pre_norm``), or empty.
        unit_offset: whether the weight is stored as ``w - 1`` (Gemma).
        activation: elementwise function applied to the output.
        weighted_first: whether the weight is applied before instead of after the norm (Muse Spark).
        concat_previous: whether the layer normalises the stream of the previous stack and concatenates it to its input
            (multi-token prediction).
    """

    d_model: int
    function: str = "rmsnorm"
    scale: bool = True
    bias: bool = False
    eps: float = 1e-5
    unit_offset: bool = False
    weights_of: str = ""
    gate_rank: int | None = None
    merge: int = 1
    sequence: SequenceRows | None = None
    unused: bool = False
    weighted_first: bool = False
    activation: str = "identity"
    concat_previous: bool = False

    PARALLEL: ClassVar[Parallel] = Parallel(whole="rank out")
    NUMBER_CLASS: ClassVar[str] = NORM
    HAS_NORM: ClassVar[bool] = True
    IN_ANY_BLOCK: ClassVar[bool] = False
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"globals": "the global tokens", "its_w": "another norm's scale"}
    EXTERNAL_TENSORS |= {"its_b": "another norm's bias", "previous": "the stream of the previous stack"}
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "function": ("rmsnorm", "layernorm", "l2norm"),
        "activation": ("identity", "relu", "gelu", "gelu_tanh", "silu"),
    }
    SHRINK: ClassVar[dict[str, str]] = {"merge": "keep"}
    PARTS: ClassVar[dict[str, tuple[type[Part], ...]]] = {"sequence": (SequenceRows,)}

    def _complete(self) -> None:
        n_global = self.sequence and self.sequence.n_global
        if self.activation != "identity" and (self.gate_rank or n_global or self.weighted_first):
            raise self.size_error("activation", "cannot be combined with gate_rank, n_global or weighted_first")
        if self.weighted_first and (not self.scale or self.bias or self.weights_of or n_global or self.gate_rank):
            raise self.size_error("weighted_first", "requires scale; omit bias, weights_of, n_global and gate_rank")
        if self.concat_previous and (self.weighted_first or self.sequence or self.merge > 1):
            raise self.size_error("concat_previous", "cannot be combined with weighted_first, sequence or merge")

    def declare(self) -> Declaration:
        """Declare an optional weight and bias ``[d_model]`` and an optional gate."""
        declaration = Declaration({"d": self.d_model})
        set_rows(declaration, self.merge, self.sequence)
        weights = ["w"] * self.scale + ["b"] * self.bias
        if not self.weights_of:
            declaration.weights(*(f"{name}[d]" for name in weights), unused=self.unused)
        if self.unused:
            return declaration.only_stored()
        if self.weighted_first:
            declaration.equations("v[b q d] = mul(x, w)", f"y[b q d] = {self.function}(v)")
            return declaration
        own = [f"its_{name}" if self.weights_of else name for name in weights]
        source = "previous" if self.concat_previous else "x"
        declaration.equations(f"y[b q d] = {self.function}({', '.join([source, *own])})")
        if self.activation != "identity":
            declaration.equations(f"y[b q d] = {self.activation}(y)")
        if self.sequence and self.sequence.n_global:
            declaration.axes["gt"] = self.sequence.n_global
            given = ", ".join(["globals", *own])
            declaration.equations(f"yg[b gt d] = {self.function}({given}){self.sequence.global_tag()}")
        if self.gate_rank:
            declaration.axes |= {"rank": self.gate_rank, "out": self.d_model}
            declaration.weights("gate_in[d | rank]", "gate_out[rank | out]")
            declaration.equations("m[b q rank] = y[b q d] gate_in[d rank]", "m[b q rank] = silu(m)")
            declaration.equations("gate[b q out] = m[b q rank] gate_out[rank out]", "gate[b q out] = sigmoid(gate)")
            declaration.equations("y[b q d] = mul(y, gate)")
        if self.concat_previous:
            declaration.axes["in"] = 2 * self.d_model
            declaration.elsewhere = ("previous",)
            declaration.equations("yc[b q in] = copy(x, y)")
        return declaration
