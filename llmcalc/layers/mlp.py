"""Plain or gated [shazeer2020] feed-forward layer [vaswani2017, Section 3.3]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.declaration import Declaration
from ..core.description.part_family import PartFamily
from ..core.layer import Layer
from ..core.part import Part
from ..core.record import record
from ..core.traits import GATED_MLP, ModuleTensors, Parallel, Roles
from ..core.type_names import TYPE_CHECKING, ClassVar
from .parts.bounds import BOUNDED, UNBOUNDED, Bounds, check_bounds
from .parts.sequence import SequenceRows, set_rows

if TYPE_CHECKING:
    from .parts.inner_norm import InnerNorm
    from .parts.lora import Lora
    from .parts.multipliers import MlpMultipliers
    from .parts.padding import Padding
    from .parts.sphere import Sphere

ACTIVATIONS = (
    "identity", "relu", "relu2", "gelu", "gelu_tanh", "gelu_new", "quick_gelu", "silu", "situ", "sigmoid", "tanh",
)  # fmt: skip
LEARNED = ("xielu",)  # activations with two learned parameters
PLAIN = tuple(name for name in ACTIVATIONS if name != BOUNDED)


@record
class Mlp(Layer):
    """``y = act(x w1) w2``, or ``y = (act(x wg) * x wu) wd`` if gated (SwiGLU, GEGLU).

    Attributes:
        d_model: input and output width.
        d_ff: hidden width.
        activation: elementwise function applied to the hidden values, or to the gate if gated.
        gated: whether a gate projection multiplies the up-projection.
        bias: whether the matrices have biases.
        out_bias: whether the down-projection has a bias (default: ``bias``).
        bounds: clamps, soft caps and offsets of the hidden values.
        multipliers: factors of the gate and the output.
        sparsity: fraction of gate values set to 0, using a quantile of the normal distribution (Gemma 3n).
        inner_norm: norm on the hidden values (BitNet).
        sphere: learned scales of the gate and the up-projection, and a normalised product (nGPT).
        lora: LoRA adapters on the input projections, one per use of a shared layer (Zamba2).
        merge: number of tokens merged into each position (Funnel Transformer).
        sequence: vectors that the layer processes instead of, or in addition to, the tokens.
        padding: padding of the number of tokens by implementations.
        unused: whether the layer is stored but never run.
    """

    d_model: int
    d_ff: int
    activation: str = "gelu"
    gated: bool = False
    bias: bool = False
    out_bias: bool | None = None
    bounds: Bounds | None = None
    inner_norm: InnerNorm | None = None
    sparsity: float = 0.0
    sphere: Sphere | None = None
    multipliers: MlpMultipliers | None = None
    lora: Lora | None = None
    merge: int = 1
    sequence: SequenceRows | None = None
    padding: Padding | None = None
    unused: bool = False

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="f", whole="ar na")
    ROLES: ClassVar[Roles] = Roles(hidden="d_ff")
    IS_FEED_FORWARD: ClassVar[bool] = True
    MODULE_TENSORS: ClassVar[ModuleTensors] = GATED_MLP
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"globals": "the global tokens"}
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": (*ACTIVATIONS, *LEARNED)}
    SHRINK: ClassVar[dict[str, str]] = {"merge": "keep"}
    PARTS: ClassVar[Mapping[str, Sequence[type[Part]]]] = {
        "bounds": (Bounds,),
        "inner_norm": PartFamily("parts", "inner_norm"),
        "sphere": PartFamily("parts", "sphere"),
        "multipliers": PartFamily("parts", "multipliers.MlpMultipliers"),
        "lora": PartFamily("parts", "lora"),
        "sequence": (SequenceRows,),
        "padding": PartFamily("parts", "padding"),
    }

    def _complete(self) -> None:
        self.derive(out_bias=self.bias)
        check_bounds(self)

    def declare(self) -> Declaration:
        """Declare the up-projection and down-projection, and a gate projection if the layer is gated."""
        declaration = Declaration({"d": self.d_model, "f": self.d_ff})
        inner = "gu" if self.gated else "u"
        declaration.weights(*(f"w{name}[d | f]" for name in inner), "wd[f | d]")
        if self.bias:
            declaration.weights(*(f"b{name}[f]" for name in inner))
        if self.out_bias:
            declaration.weights("bd[d]")
        if self.sphere:
            declaration.weights(*self.sphere.tensors(inner))
        if self.inner_norm:
            declaration.weights(*self.inner_norm.tensors())
        if self.lora:
            declaration.axes |= self.lora.axes()
            declaration.weights(*self.lora.tensors(inner))
        if self.activation in LEARNED:
            declaration.axes["one"] = 1
            declaration.weights("alpha_p[one]", "alpha_n[one]")
        if self.multipliers and self.multipliers.learned:
            declaration.axes["one"] = 1
            declaration.weights("factor[one]")
        declaration.equations(*self._lines())
        set_rows(declaration, self.merge, self.sequence)
        if self.padding:
            self.padding.pad(declaration)
        if self.sequence and self.sequence.n_global:
            declaration.axes["gt"] = self.sequence.n_global
            from ..core.equation import renamed

            lines = (renamed(line, {"x": "globals"}, {"q": "gt"}) for line in self._lines())
            declaration.equations(*(line + self.sequence.global_tag() for line in lines))
        return declaration.only_stored() if self.unused else declaration

    def _lines(self) -> list[str]:
        bounds, scalars = self.bounds or UNBOUNDED, ", alpha_p, alpha_n" if self.activation in LEARNED else ""
        lines = self.lora.narrow_lines() if self.lora else []
        if self.gated:
            lines += [*self._project("g"), *bounds.gate_lines()]
            lines += ["g[b q f] = cutoff(g)"] if self.sparsity else []
            lines += [f"a[b q f] = {self.activation}(g{scalars})", *bounds.activation_lines()]
        lines += self._project("u")
        lines += [*bounds.up_lines(), "m[b q f] = mul(a, u)"] if self.gated else []
        lines += [] if self.gated else [f"m[b q f] = {self.activation}(u{scalars})"]
        lines += self.inner_norm.lines() if self.inner_norm else []
        lines += self.sphere.product_lines() if self.sphere else []
        lines += ["y[b q d] = m[b q f] wd[f d]", *(["y[b q d] = add(y, bd)"] if self.out_bias else [])]
        return lines + (["y[b q d] = mul(y, factor)"] if self.multipliers and self.multipliers.learned else [])

    def _project(self, name: str) -> list[str]:
        """Return the equations of the gate ``g`` or the up-projection ``u``."""
        lines = [f"{name}[b q f] = x[b q d] w{name}[d f]"]
        lines += [f"{name}[b q f] = add({name}, b{name})"] if self.bias else []
        lines += self.lora.wide_lines(name) if self.lora else []
        return lines + (self.sphere.scale_lines(name) if self.sphere else [])
