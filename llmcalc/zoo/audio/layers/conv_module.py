"""The convolution module of the Conformer [gulati2020, Section 2.2]."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers._attention_parts import projection
from ....layers.mlp import ACTIVATIONS

if TYPE_CHECKING:
    from ....core.shrink import Sizes


@record
class ConvModule(Layer):
    """``y = act(norm(depthwise(v * gate(g)))) w_out``, where v and g are projections of the input.

    Attributes:
        d_model: width of input and output.
        d_conv: kernel size of the depthwise convolution.
        d_inner: number of channels of the depthwise convolution (default: d_model).
        gate: activation of the gate, such as ``sigmoid`` for a gated linear unit.
        activation: elementwise function after the convolution and its norm.
        norm: norm after the convolution (``none``, ``rmsnorm``, ``layernorm`` or ``batchnorm``); a batchnorm
            stores its running mean and variance as buffers.
        eps: epsilon of an RMSNorm.
        bias: whether the projections have biases.
        conv_bias: whether the convolution has a bias.
        gate_bias: whether v and g have a second bias (Phi-4-multimodal).
        separable: whether a pointwise convolution follows the depthwise convolution.
        kernels: whether projections are stored as convolution kernels of size 1.
        overrun: whether the implementation computes ``d_conv - 1`` extra positions and discards them.
        chunk: number of positions per chunk; longer sequences are convolved chunk by chunk.
        causal: whether the convolution is causal.
    """

    d_model: int
    d_conv: int
    d_inner: int | None = None
    gate: str = "sigmoid"
    activation: str = "silu"
    norm: str = "none"
    eps: float = 1e-6
    bias: bool = False
    conv_bias: bool = False
    gate_bias: bool = False
    separable: bool = False
    kernels: bool = False
    overrun: bool = False
    chunk: int | None = None
    causal: bool = False

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="i", whole="io K")
    ROLES: ClassVar[Roles] = Roles(hidden="d_inner", chunks="chunk")
    HAS_ORDER: ClassVar[bool] = True
    HAS_NORM: ClassVar[bool] = True
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "gate": ACTIVATIONS,
        "activation": ACTIVATIONS,
        "norm": ("none", "rmsnorm", "layernorm", "batchnorm"),
    }
    SHRINK: ClassVar[dict[str, str]] = {"d_conv": "at most 4", "chunk": "5 3"}

    def _complete(self) -> None:
        self.derive(d_inner=self.d_model)

    def shrink_field(self, field: str, sizes: Sizes) -> int | None:
        """Return a small value for ``chunk`` if the module is not causal."""
        return sizes.PATCH_WINDOW if field == "chunk" and not self.causal else None

    def declare(self) -> Declaration:
        """Declare two input projections ``[d_model, d_inner]``, a depthwise kernel, and an output projection."""
        inner = self.d_inner or self.d_model
        axes: dict[str, int | str] = {"d": self.d_model, "i": inner, "io": inner, "K": self.d_conv, "one": 1}
        declaration = Declaration({**axes, "qc": "q"})
        if self.overrun:
            runs = f"ceil(q, {self.chunk})" if self.chunk else "min(q, 1)"
            declaration.as_torch["qc"] = f"q + {runs} * (K - 1)"
        declaration.weights(self._matrix("wv", "d", "i"), self._matrix("wg", "d", "i"), "conv[i; K]")
        declaration.weights(*([self._matrix("mix", "io", "i")] if self.separable else []))
        declaration.weights(self._matrix("wo", "i", "d"))
        if self.bias:
            declaration.weights("bv[i]", "bg[i]", *(["mix_b[i]"] if self.separable else []), "bo[d]")
        declaration.weights(*(["conv_b[i]"] if self.conv_bias else []))
        declaration.weights(*(["gate_bv[i]", "gate_bg[i]"] if self.gate_bias else []))
        declaration.weights(*(["norm[i]"] if self.norm != "none" else []))
        declaration.weights(*(["norm_b[i]"] if self.norm in ("layernorm", "batchnorm") else []))
        if self.norm == "batchnorm":
            declaration.weights("mean[i]", "variance[i]", buffer=True, unused=True)
        declaration.equations(*self._lines())
        return declaration

    def _matrix(self, name: str, inputs: str, outputs: str) -> str:
        return f"{name}[{outputs}; {inputs}; one]" if self.kernels else f"{name}[{inputs} | {outputs}]"

    def _lines(self) -> list[str]:
        lines = []
        for name in "vg":
            lines += projection(name, "b q", "d", "i", self.bias)
            lines += [f"{name}[b q i] = add({name}, gate_b{name})"] if self.gate_bias else []
        lines += [f"g[b q i] = {self.gate}(g)", "u[b q i] = mul(v, g)", "u[b qc i] = u[b qc i] conv[i K]"]
        lines += ["u[b q i] = add(u, conv_b)"] if self.conv_bias else []
        if self.separable:
            lines += ["m[b qc io] = copy(u)", "m[b qc i] = m[b qc io] mix[io i]"]
            lines += [*["m[b qc i] = add(m, mix_b)"] * self.bias, "u[b q i] = copy(m[b qc i])"]
        if self.norm == "batchnorm":
            lines += ["u[b q i] = mul(u, norm)", "u[b q i] = add(u, norm_b)"]
        elif self.norm != "none":
            more = ", norm_b" if self.norm == "layernorm" else ""
            lines += [f"u[b q i] = {self.norm}(u, norm{more})"]
        lines += [f"u[b q i] = {self.activation}(u)", "y[b q d] = u[b q i] wo[i d]"]
        return lines + (["y[b q d] = add(y, bo)"] if self.bias else [])
