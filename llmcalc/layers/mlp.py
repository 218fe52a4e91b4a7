"""Plain or gated [shazeer2020] feed-forward layer [vaswani2017, Section 3.3]."""

from __future__ import annotations

from typing import Any, ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel, Roles
from ._rows import set_rows

ACTIVATIONS = (
    "identity",
    "relu",
    "relu2",
    "gelu",
    "gelu_tanh",
    "gelu_new",
    "quick_gelu",
    "silu",
    "situ",
    "sigmoid",
    "tanh",
    "xielu",
)
LEARNED = frozenset({"xielu"})  # activations with two learned parameters
BOUNDED = "situ"  # an activation with a bound
PLAIN = tuple(name for name in ACTIVATIONS if name not in (*LEARNED, BOUNDED))


def check_bounds(layer: Any) -> None:
    """Check that the soft-cap bounds of a feed-forward or expert layer match its activation.

    Raises:
        SizeError: if a bound is missing or unused.
    """
    if (layer.activation == BOUNDED) != (layer.gate_softcap is not None):
        raise layer.size_error("gate_softcap", f"and activation: {BOUNDED} must be set together")
    if layer.up_softcap is not None and not layer.gated:
        raise layer.size_error("up_softcap", "requires gated: true")


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
        clamp: upper bound of the gate and absolute bound of the up-projection (gpt-oss).
        clamp_late: whether the gate is clamped after its activation (Step 3.7).
        up_offset: offset added to the up-projection before the product (gpt-oss: 1).
        gate_softcap: bound of ``situ``, a SiLU with a soft-capped linear factor [moonshot2026k3].
        up_softcap: soft-cap bound for the up-projection.
        gate_scale, out_scale: scaling factors for the gate before its activation and for the output (Falcon-H1).
        scaled: whether the output has a learned scaling factor.
        sparsity: fraction of gate values set to 0, using a quantile of the normal distribution (Gemma 3n).
        inner_norm: whether there is a norm on the hidden values (BitNet).
        inner_norm_function: function of the inner norm. ``layernorm`` includes a bias (KOSMOS-2).
        on_sphere: whether the gate and the up-projection have learned scales and a normalised product (nGPT).
        sphere_gain: constant factor applied to the learned scales.
        inner_norm_eps: epsilon of the inner norm.
        n_global: number of global tokens that the layer also processes (see ``block_attention``).
        globals_dropped: whether the outputs for global tokens are unused and receive no gradient.
        padded_to: multiple to which implementations pad the number of tokens.
        padded_above: number of tokens above which implementations pad.
        adapter_rank: rank of LoRA adapters on the input projections.
        n_adapters: number of adapters, one per use of a shared layer (Zamba2).
        n_positions: number of vectors that the layer processes, independent of the number of tokens (Perceiver).
        n_latents: number of learned vectors that the layer processes instead of tokens.
        merge: number of tokens merged into each position (Funnel Transformer).
        merge_extra: whether each merge leaves the first token separate.
        merge_whole: whether an incomplete last group is dropped (CANINE).
        unused: whether the layer is stored but never run.
        prompt: number of learned tokens before the sequence.
        streams: number of copies of each token (ProphetNet).
    """

    d_model: int
    d_ff: int
    activation: str = "gelu"
    gated: bool = False
    bias: bool = False
    out_bias: bool | None = None
    clamp: float | None = None
    clamp_late: bool = False
    up_offset: float = 0.0
    gate_softcap: float | None = None
    up_softcap: float | None = None
    inner_norm: bool = False
    inner_norm_function: str = "rmsnorm"
    inner_norm_eps: float = 1e-5
    sparsity: float = 0.0
    on_sphere: bool = False
    sphere_gain: float = 1.0
    gate_scale: float = 1.0
    out_scale: float = 1.0
    scaled: bool = False
    n_global: int | None = None
    globals_dropped: bool = False
    padded_to: int | None = None
    padded_above: int | None = None
    streams: int = 1
    adapter_rank: int | None = None
    n_adapters: int = 1
    n_positions: int | None = None
    n_latents: int | None = None
    merge: int = 1
    merge_extra: bool = False
    merge_whole: bool = False
    prompt: int | None = None
    unused: bool = False

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="f", whole="ar na")
    ROLES: ClassVar[Roles] = Roles(hidden="d_ff")
    IS_FEED_FORWARD: ClassVar[bool] = True
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"globals": "the global tokens"}
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "activation": ACTIVATIONS,
        "inner_norm_function": ("rmsnorm", "layernorm"),
    }
    SHRINK: ClassVar[dict[str, str]] = {"streams n_adapters merge prompt": "keep", "n_positions n_latents": "n_queries"}

    def __post_init__(self) -> None:
        self.check()
        self.derive(out_bias=self.bias)
        check_bounds(self)

    def declare(self) -> Declaration:
        """Declare the up-projection and down-projection, and a gate projection if the layer is gated."""
        declaration = Declaration({"d": self.d_model, "f": self.d_ff})
        if self.gated:
            declaration.weights("wg[d | f]")
        declaration.weights("wu[d | f]", "wd[f | d]")
        if self.bias:
            declaration.weights(*(["bg[f]"] if self.gated else []), "bu[f]")
        if self.out_bias:
            declaration.weights("bd[d]")
        if self.on_sphere:
            declaration.weights(*(["scale_g[f]"] if self.gated else []), "scale_u[f]")
        if self.inner_norm:
            declaration.weights("norm[f]", *(["norm_b[f]"] if self.inner_norm_function == "layernorm" else []))
        if self.adapter_rank:
            declaration.axes |= {"ar": self.adapter_rank, "na": self.n_adapters}
            declaration.weights("w_a[na; d | ar]", *(f"w{n}_b[na; ar | f]" for n in ("gu" if self.gated else "u")))
        if self.activation in LEARNED:
            declaration.axes["one"] = 1
            declaration.weights("alpha_p[one]", "alpha_n[one]")
        if self.scaled:
            declaration.axes["one"] = 1
            declaration.weights("factor[one]")
        declaration.equations(*self._lines())
        set_rows(self, declaration)
        if self.padded_to:
            declaration.axes["Z"] = self.padded_to
            more = f"min(1, max(0, q - {self.padded_above})) * " if self.padded_above else ""
            declaration.as_torch["q"] = f"q + {more}(ceil(q, Z) * Z - q)"
        if self.n_global:
            declaration.axes["gt"] = self.n_global
            tag = " | nograd" if self.globals_dropped else ""
            lines = (line.replace("x[b q", "globals[b q").replace("b q", "b gt") for line in self._lines())
            declaration.equations(*(line + tag for line in lines))
        return declaration.only_stored() if self.unused else declaration

    def _lines(self) -> list[str]:
        lines = []
        lines += ["ga[b q ar] = x[b q d] w_a[d ar]"] if self.adapter_rank else []
        scalars = ", alpha_p, alpha_n" if self.activation in LEARNED else ""
        if self.gated:
            lines += ["g[b q f] = x[b q d] wg[d f]", *(["g[b q f] = add(g, bg)"] if self.bias else [])]
            lines += ["gl[b q f] = ga[b q ar] wg_b[ar f]", "g[b q f] = add(g, gl)"] if self.adapter_rank else []
            lines += ["g[b q f] = mul(g, scale_g)"] if self.on_sphere else []
            lines += ["g[b q f] = clamp(g)"] if self.clamp and not self.clamp_late else []
            lines += ["g[b q f] = cutoff(g)"] if self.sparsity else []
            lines += [f"a[b q f] = {self.activation}(g{scalars})"]
            lines += ["a[b q f] = clamp(a)"] if self.clamp and self.clamp_late else []
        lines += ["u[b q f] = x[b q d] wu[d f]", *(["u[b q f] = add(u, bu)"] if self.bias else [])]
        lines += ["ul[b q f] = ga[b q ar] wu_b[ar f]", "u[b q f] = add(u, ul)"] if self.adapter_rank else []
        lines += ["u[b q f] = mul(u, scale_u)"] if self.on_sphere else []
        if self.gated:
            lines += ["u[b q f] = clamp(u)"] if self.clamp else []
            lines += ["u[b q f] = softcap(u)"] if self.up_softcap else []
            lines += ["m[b q f] = mul(a, u)"]
        else:
            lines += [f"m[b q f] = {self.activation}(u{scalars})"]
        weights = "norm, norm_b" if self.inner_norm_function == "layernorm" else "norm"
        lines += [f"m[b q f] = {self.inner_norm_function}(m, {weights})"] if self.inner_norm else []
        lines += ["m[b q f] = l2norm(m)"] if self.on_sphere else []
        lines += ["y[b q d] = m[b q f] wd[f d]", *(["y[b q d] = add(y, bd)"] if self.out_bias else [])]
        return lines + (["y[b q d] = mul(y, factor)"] if self.scaled else [])
