"""Attention with a relative position bias mixed from learned profiles (Inkling) [tml2026]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles, Stored
from ....layers._recurrent import CONV_AXES, TORCH_CONV_AXES, convolve

if TYPE_CHECKING:
    from ....core.shrink import Sizes


@record
class RelativeProfileAttention(Layer):
    """``y = softmax(q kᵀ · scale + (x wr · profiles)[distance]) v · wo``. Keys and values have short convolutions.

    Attributes:
        d_model: width of input and output.
        n_heads: number of query heads.
        n_kv_heads: number of key and value heads; must divide n_heads.
        d_head: width of a head.
        d_profile: number of profiles, equal to the width of each head's mixing vector.
        reach: number of distances covered by the profiles; larger distances have no bias.
        d_conv: kernel size of the convolutions. Each convolution has a residual connection.
        window: number of tokens that a query attends to, including itself; None: all.
        norm: ``rmsnorm`` on queries and keys, or ``clip``. With ``clip``, queries and mixing vectors have learned
            scales and, like keys, a maximum length. Values have an RMSNorm, and convolutions are scaled down.
        clip: maximum length of queries and keys.
        profile_clip: maximum length of mixing vectors.
        norm_eps: epsilon of the norms.
        dynamic: whether each token adds a kernel per head to the convolution kernels.
        own_inputs: whether the inputs of queries, keys and values have separate norms.
        separate: whether queries, keys and values have separate inputs.
        gated: whether the head outputs are multiplied by a gate ``sigmoid(x w)``.
        sinks: whether the softmax includes a sink logit per head and token.
        scale: scale of the scores (default: 1 / sqrt(d_head)).
        stretch: queries and mixing vectors are multiplied by ``1 + stretch · ln(max(1, position / stretch_from))``.
        stretch_from: position at which the ``stretch`` factor starts to grow.
    """

    d_model: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_profile: int
    reach: int
    d_conv: int = 4
    window: int | None = None
    norm: str = "rmsnorm"
    clip: float = 1.0
    profile_clip: float = 1.0
    norm_eps: float = 1e-6
    dynamic: bool = False
    own_inputs: bool = False
    separate: bool = False
    gated: bool = False
    sinks: bool = False
    scale: float | None = None
    stretch: float = 0.0
    stretch_from: int = 1

    AXES: ClassVar[str] = """
    pw  d_profile  width of the mixing vector of relative profiles
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", replicated="g", whole="e K pw pd")
    STORED: ClassVar[Stored] = Stored(values="v")
    ROLES: ClassVar[Roles] = Roles(
        heads="n_heads",
        kv_heads="n_kv_heads",
        head_widths="d_head",
        windows="window",
    )
    HAS_NORM: ClassVar[bool] = True
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"for_k": "the input of the keys", "for_v": "the input of the values"}
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"norm": ("rmsnorm", "clip")}
    SHRINK: ClassVar[dict[str, str]] = {"n_kv_heads": "3 2 5 7", "d_conv": "at most 4", "window": "7 11 13 5"}

    def _complete(self) -> None:
        self.must_divide("n_kv_heads", "n_heads")
        if self.separate and not self.own_inputs:
            raise self.size_error("separate", "requires own_inputs: true")

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return test head counts such that the key/value head count divides the query head count."""
        from ....layers._small_sizes import shrink_heads  # needed only by tests

        return shrink_heads(self, sizes)

    def declare(self) -> Declaration:
        """Declare the projections, convolutions, profiles, scores, weighted values, gate, and output projection."""
        declaration = Declaration(self._axes(), as_torch={**TORCH_CONV_AXES})
        self._weights(declaration)
        declaration.equations(*self._queries(), *self._keys_and_values(), *self._attend(), *self._output())
        for name in "kv":
            declaration.state(f"{name}[b t g e]")
            declaration.state(f"conv_{name}[b g e Kt]", "conv")
        declaration.mask = f"window:{self.window}" if self.window else "causal"
        return declaration

    def _axes(self) -> dict[str, int | str]:
        sizes = {"d": self.d_model, "h": self.n_heads, "g": self.n_kv_heads, "e": self.d_head}
        sizes |= {"pw": self.d_profile, "pd": self.reach, "K": self.d_conv}
        axes: dict[str, int | str] = {**sizes, **CONV_AXES, "t": "c + q"}
        if self.window:
            axes |= {"w": self.window, "k": "min(c, w - 1) + q", "t": "min(c + q, w - 1)"}
        return axes

    def _weights(self, declaration: Declaration) -> None:
        declaration.weights(*(["q_input[d]", "k_input[d]", "v_input[d]"] if self.own_inputs else []))
        declaration.weights("wq[d | h e]", "wk[d | g e]", "wv[d | g e]", "wr[d | h pw]", "profiles[pw; pd]")
        if self.norm == "rmsnorm":
            declaration.weights("q_norm[e]", "k_norm[e]")
        else:
            declaration.weights("q_scale[h; e]", "r_scale[h; pw]")
        if self.dynamic:
            declaration.weights("taps_k[K; g e]", "taps_v[K; g e]", "wck[d | g K]", "wcv[d | g K]")
        else:
            declaration.weights("conv_k[g e; K]", "conv_v[g e; K]")
        declaration.weights(*(["wgate[d | h e]"] if self.gated else []), *(["wsink[d | h]"] if self.sinks else []))
        declaration.weights("wo[h e | d]")

    def _queries(self) -> list[str]:
        x, lines = self._input("q"), []
        if self.own_inputs:
            read = ("x", "for_k", "for_v") if self.separate else ("x", "x", "x")
            lines += [f"x{name}[b q d] = rmsnorm({of}, {name}_input)" for name, of in zip("qkv", read, strict=True)]
        lines += [f"q[b q h e] = {x}[b q d] wq[d h e]", f"r[b q h pw] = {x}[b q d] wr[d h pw]"]
        if self.norm == "rmsnorm":
            lines += ["q[b q h e] = rmsnorm(q, q_norm)"]
        else:
            lines += ["q[b q h e] = mul(q, q_scale)", "q[b q h e] = shortened(q)"]
            lines += ["r[b q h pw] = mul(r, r_scale)", "r[b q h pw] = shortened(r)"]
        if self.stretch:
            lines += ["q[b q h e] = scale(q)", "r[b q h pw] = scale(r)"]
        return [*lines, "t[b q h pd] = r[b q h pw] profiles[pw pd]"]

    def _keys_and_values(self) -> list[str]:
        lines = []
        for name in "kv":
            lines += [f"{name}[b q g e] = {self._input(name)}[b q d] w{name}[d g e]", *self._convolve(name)]
            lines += [f"{name}[b q g e] = add(c{name}, {name})"]
            lines += [f"{name}[b q g e] = scale({name})"] if self.norm == "clip" else []
        if self.norm == "rmsnorm":
            return [*lines, "k[b q g e] = rmsnorm(k, k_norm)"]
        return [*lines, "k[b q g e] = shortened(k)", "v[b q g e] = rmsnorm(v)"]

    def _convolve(self, name: str) -> list[str]:
        if not self.dynamic:
            return convolve(name, "g e", f"conv_{name}", result=f"c{name}")
        return [
            f"taps[b q g K] = {self._input(name)}[b q d] wc{name}[d g K]",
            f"taps[b q g e K] = add(taps, taps_{name})",
            f"c{name}[b q g e] = {name}[b q g e] taps[b q g e K] | elementwise",
        ]

    def _attend(self) -> list[str]:
        sink = [f"sink[b q h] = {self._input('q')}[b q d] wsink[d h]"] if self.sinks else []
        return [
            *sink,
            "s[b h q k] = q[b q h e] k[b k g e] | g:h core",
            "s[b h q k] = scale(s) | core",
            "s[b h q k] = add(s, t) | core",
            f"p[b h q k] = softmax({'s, sink' if self.sinks else 's'}) | core",
            "p[b h q k] = dropout(p) | core dropout",
            "o[b q h e] = p[b h q k] v[b k g e] | g:h core",
            "statistics[b h q] = log_sum_exp(o) | flash",
        ]

    def _output(self) -> list[str]:
        lines = []
        if self.gated:
            lines += [f"gate[b q h e] = {self._input('q')}[b q d] wgate[d h e]", "gate[b q h e] = sigmoid(gate)"]
            lines += ["o[b q h e] = mul(o, gate)"]
        return [*lines, "y[b q d] = o[b q h e] wo[h e d]"]

    def _input(self, name: str) -> str:
        return f"x{name}" if self.own_inputs else "x"
