"""Mixture of experts with a router that sends each token to ``top_k`` of ``n_experts`` feed-forward layers.

[shazeer2017; fedus2021 for Switch; jiang2024 for Mixtral; dai2024 for shared experts, DeepSeekMoE]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..core.declaration import Declaration, Tensor
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import EXPERTS, ROUTER, Parallel, Roles
from .mlp import ACTIVATIONS, Mlp
from .parts.bounds import BOUNDED, Bounds, check_bounds
from .parts.expert_capacity import Capacity
from .parts.latent import Latent

if TYPE_CHECKING:
    from ..core.equation import Equation
    from ..core.part import Part
    from ..core.shrink import Sizes

# fields that cannot be combined with n_shared
_OTHER_SHARES = ("mixer_tolerance", "router_scaled", "hash_rows", "n_zero_experts", "n_null_experts", "scaled_input")

_ROUTED, _SHARED = "routed experts", "shared experts"  # components besides the router


@record
class Moe(Layer):
    """``y = Σ_{i in top_k} p_i · expert_i(x) + shared(x)``.

    Attributes:
        d_model: input and output width.
        d_ff: hidden width of each routed expert.
        n_experts: number of routed experts.
        top_k: number of routed experts per token.
        activation, gated, clamp, clamp_late, up_offset, gate_softcap, up_softcap: as in ``mlp``.
        expert_bias: whether the expert matrices have biases.
        router: scoring function: ``softmax``, ``sigmoid`` or ``sqrt_softplus``.
        renormalise: whether the scores of the selected experts are divided by their sum.
        renormalise_eps: epsilon added to the sum of the scores (LFM2).
        renormalise_power: order of the norm by which the scores are divided (DBRX). Order 1 (default) is the sum.
        routed_scale: scaling factor for the scores of the selected experts.
        router_softcap: soft-cap bound for the router logits (Laguna).
        mixer_tolerance: relative tolerance of SparseMixer for experts with similar scores [liu2023].
        scaled_input: whether the scores multiply the experts' inputs instead of their outputs (Llama 4).
        shared_scale: scaling factor for the output of the shared experts.
        router_bias: whether the router logits have a bias parameter.
        router_bias_unused: whether the router bias is stored but never added (LongCat-Flash).
        router_scaled: whether the router normalises and scales its input and scales each expert's score (Gemma 4).
        router_eps: epsilon of the router's norm.
        hash_rows: number of rows of a fixed token-to-expert table (hash routing); None to select by score.
        correction_bias: type of the load-balancing offset per expert: ``none``, ``buffer`` or ``parameter``.
        n_groups: number of expert groups.
        top_groups: number of groups selected per token before experts are selected within the groups.
        group_score: score of a group: the highest expert score (``best``) or sum of the top ``two`` (DeepSeek-V3).
        d_ff_shared: total hidden width of the shared experts; None for no shared experts.
        shared_activation: activation of the shared expert (default: ``activation``).
        shared_gated: whether the shared expert is gated (default: ``gated``).
        shared_clamped: whether the shared expert is clamped like the routed experts.
        shared_clamp: clamp bound of the shared expert, if different.
        shared_bias: whether the shared expert has biases.
        shared_gate: whether a learned gate ``sigmoid(x w)`` scales the shared expert's output (Qwen).
        latent: latent space in which the routed experts run.
        result_norm: whether each expert output is scaled by a shared weight (stored as ``w - 1``) and normalised.
        result_norm_eps: epsilon of the norm on expert outputs.
        router_gain: constant factor applied to the router logits.
        expert_capacity: maximum number of tokens per expert, beyond which tokens are dropped (default: none).
        top_k_run: number of experts per token that the implementation runs (all experts in Llama 4).
        n_zero_experts: number of additional experts that return their input. The stored rows are unused (LongCat).
        out_bias: whether there is a bias on the sum of the expert outputs (JetMoE).
        d_router: width of a router network with a projection, a norm, two layers and the scores (ZAYA).
        router_residual: whether the scaled hidden state of the previous router is added after the projection.
        n_null_experts: number of additional router classes without an expert. Tokens routed there skip the experts.
        n_shared: number of shared experts of width ``d_ff`` whose outputs are weighted by the router (Inkling).
        learned_gate_scale: whether all scores are multiplied by a learned factor.
        renormalise_late: whether full experts are excluded before renormalising.
        unused: whether the layer is stored but never run (image experts in a text-only pass).
    """

    d_model: int
    d_ff: int
    n_experts: int
    top_k: int
    activation: str = "silu"
    gated: bool = True
    clamp: float | None = None
    clamp_late: bool = False
    up_offset: float = 0.0
    gate_softcap: float | None = None
    up_softcap: float | None = None
    expert_bias: bool = False
    router: str = "softmax"
    renormalise: bool = False
    renormalise_eps: float = 0.0
    renormalise_power: float = 1.0
    routed_scale: float = 1.0
    router_softcap: float | None = None
    mixer_tolerance: float | None = None
    scaled_input: bool = False
    shared_scale: float = 1.0
    router_bias: bool = False
    router_bias_unused: bool = False
    router_scaled: bool = False
    router_eps: float = 1e-6
    correction_bias: str = "none"
    hash_rows: int | None = None
    n_groups: int = 1
    top_groups: int = 1
    group_score: str = "best"
    d_ff_shared: int | None = None
    shared_activation: str | None = None
    shared_gated: bool | None = None
    shared_clamped: bool = True
    shared_clamp: float | None = None
    shared_bias: bool = False
    shared_gate: bool = False
    latent: Latent | None = None
    result_norm: bool = False
    result_norm_eps: float = 1e-6
    router_gain: float = 1.0
    expert_capacity: Capacity | None = None
    top_k_run: int | None = None
    n_zero_experts: int = 0
    out_bias: bool = False
    renormalise_late: bool = False
    d_router: int | None = None
    router_residual: bool = False
    n_null_experts: int = 0
    n_shared: int | None = None
    learned_gate_scale: bool = False
    unused: bool = False

    AXES: ClassVar[str] = """
    xz  n_experts_scored  number of experts that the router scores: routed, null and shared
    jm  n_weighed         number of weighted experts per token, routed and shared
    m   n_shared_experts  number of shared experts, which process every token
    l   d_latent          width of the latent space of experts
    """
    PARALLEL: ClassVar[Parallel] = Parallel(
        tensor="f",
        vocabulary="V",
        expert="x",
        null_experts="xz",
        whole="j m l F Fo",
    )
    ROLES: ClassVar[Roles] = Roles(hidden="d_ff d_ff_shared", experts="n_experts", active_experts="top_k")
    IS_FEED_FORWARD: ClassVar[bool] = True
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"n_zero_experts", "n_null_experts"})

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        "unnormed": "stream before the norm",
        "router_before": "hidden state of the previous layer's router",
    }
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "activation": ACTIVATIONS,
        "shared_activation": ACTIVATIONS,
        "router": ("softmax", "sigmoid", "sqrt_softplus"),
        "group_score": ("best", "two"),
        "correction_bias": ("none", "buffer", "parameter"),
    }
    SHRINK: ClassVar[dict[str, str]] = {
        "hash_rows": "vocab 97 101 103 107",
        "n_zero_experts": "keep",
    }
    PARTS: ClassVar[dict[str, tuple[type[Part], ...]]] = {"latent": (Latent,), "expert_capacity": (Capacity,)}

    def __post_init__(self) -> None:
        self.check()
        self.derive(shared_gated=self.gated)
        self.must_not_exceed("top_k", "n_experts")
        if self.renormalise_power <= 0:
            raise self.size_error("renormalise_power", f"must be positive, not {self.renormalise_power}")
        self.must_divide("n_groups", "n_experts")
        check_bounds(self, self)
        if self.shared_activation and BOUNDED in {self.shared_activation, self.activation}:
            raise self.size_error("shared_activation", f"cannot be combined with activation: {BOUNDED}")
        for name in _OTHER_SHARES if self.n_shared else ():
            if getattr(self, name):
                raise self.size_error("n_shared", f"and {name} cannot be combined")

    def tensor_component(self, tensor: Tensor, part: tuple[str, ...] = ()) -> str:
        """Return the component of a tensor. Tensors that all tokens use are listed with the router."""
        return tensor.component or ROUTER

    def equation_component(self, equation: Equation, part: tuple[str, ...] = ()) -> str:
        """Return the component of an equation without an own component."""
        return _ROUTED

    def number_class(self, tensor: Tensor) -> str:
        """Return the number format class of a tensor. Routed experts and the router have separate classes."""
        if tensor.active:
            return EXPERTS
        return ROUTER if self.tensor_component(tensor) == ROUTER else super().number_class(tensor)

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return expert and group counts for the small test layer, and a capacity at which no tokens are dropped."""
        from ._small_sizes import shrink_experts  # needed only by tests

        found = shrink_experts(self, sizes)
        if self.top_k == self.n_experts:
            found |= {"n_groups": 1, "top_groups": 1}
        elif self.n_groups > 1:
            each = sizes.size("experts_per_group", self.n_experts // self.n_groups, 4, 5)
            found |= {"n_experts": 3 * each, "n_groups": 3, "top_groups": min(self.top_groups, 2)}
        if self.expert_capacity and self.expert_capacity.batch:
            found["expert_capacity"] = self.expert_capacity.without_drops()
        return found

    def declare(self) -> Declaration:
        """Declare the router, ``top_k`` routed experts per token, and the shared experts."""
        axes: dict[str, int | str] = {"d": self.d_model, "f": self.d_ff, "x": self.n_experts, "j": self.top_k}
        if self.n_zero_experts or self.n_null_experts or self.n_shared:
            axes["xz"] = self.n_experts + self.n_zero_experts + self.n_null_experts + (self.n_shared or 0)
        if self.n_shared:
            axes |= {"m": self.n_shared, "jm": self.top_k + self.n_shared}
        declaration = Declaration(axes, as_torch={"j": self.top_k_run} if self.top_k_run else {})
        declaration.idle_experts = self.n_zero_experts
        declaration.component = ROUTER
        self._route(declaration)
        declaration.component = ""
        if self.latent:
            self.latent.project_in(declaration)
        declaration.component = _ROUTED
        self._experts(declaration, "l" if self.latent else "d")
        declaration.component = ""
        if self.latent:
            self.latent.project_out(declaration)
        if self.out_bias:
            declaration.weights("bo[d]")
            declaration.equations("y[b q d] = add(y, bo)")
        declaration.component = _SHARED
        if self.d_ff_shared:
            shared = Mlp(
                self.d_model,
                self.d_ff_shared,
                self.shared_activation or self.activation,
                gated=bool(self.shared_gated),
                bias=self.shared_bias,
                bounds=Bounds(
                    self.shared_clamp or (self.clamp if self.shared_clamped else None),
                    self.clamp_late,
                    gate_softcap=self.gate_softcap,
                    up_softcap=self.up_softcap if self.shared_gated else None,
                ),
            )
            declaration.include("shared", shared)
            declaration.equations("y[b q d] = add(y, shared)")
        if self.n_shared:
            self._scored_shared(declaration)
        if self.shared_gate:
            declaration.weights("shared_gate[d |]")
            declaration.equations(
                "sg[b q] = x[b q d] shared_gate[d]", "sg[b q] = sigmoid(sg)", "sy[b q d] = mul(sg, shared[b q d])"
            )
        return declaration.only_stored() if self.unused else declaration

    def _route(self, declaration: Declaration) -> None:
        scored = "xz" if self.n_zero_experts or self.n_null_experts or self.n_shared else "x"
        weighed = "jm" if self.n_shared else "j"
        if self.d_router:
            self._router_network(declaration)
        if self.router_scaled:
            declaration.weights("input_scale[d]", "expert_scale[x]")
            declaration.equations("rx[b q d] = rmsnorm(unnormed[b q d], input_scale)")
        source, width = ("rh", "F") if self.d_router else ("rx" if self.router_scaled else "x", "d")
        declaration.weights(f"router[{width} | {scored}]")
        declaration.equations(f"r[b q {scored}] = {source}[b q {width}] router[{width} {scored}]")
        if self.router_bias:
            declaration.weights(f"router_b[{scored}]", unused=self.router_bias_unused)
            declaration.equations(*([] if self.router_bias_unused else [f"r[b q {scored}] = add(r, router_b)"]))
        declaration.equations(*([f"r[b q {scored}] = scale(r)"] if self.router_gain != 1.0 else []))
        if self.mixer_tolerance is None:
            declaration.equations(f"r[b q {scored}] = {self.router}(r)")
        if self.correction_bias != "none":
            routed = "x" if self.n_shared else scored
            declaration.weights(f"correction[{routed}]", buffer=self.correction_bias == "buffer")
            declaration.equations(f"ranked[b q {scored}] = add(r, correction) | nograd")
        ranked = "r" if self.correction_bias == "none" else "ranked"
        if self.hash_rows:
            declaration.axes["V"] = self.hash_rows
            declaration.weights("hash[V; j]", buffer=True)
            declaration.equations("chosen[b q j] = gather(hash, ids)")
        else:
            declaration.equations(f"chosen[b q {scored}] = top_k({ranked})")
        if self.mixer_tolerance is not None:  # a softmax per expert, over the remaining near ones
            declaration.equations(f"near[b q j {scored}] = gather(r)", f"mixed[b q j {scored}] = softmax(near)")
            declaration.equations("share[b q j] = add(mixed)")
        else:
            declaration.equations(f"share[b q {weighed}] = gather(r)")
            declaration.equations(*([f"share[b q {weighed}] = shares(share)"] if self.renormalise else []))
        if self.router_scaled:
            declaration.equations("share[b q j] = mul(share, expert_scale)")
        declaration.equations(*([f"share[b q {weighed}] = scale(share)"] if self.routed_scale != 1.0 else []))
        if self.learned_gate_scale:
            declaration.axes["one"] = 1
            declaration.weights("factor[one]")
            declaration.equations(f"share[b q {weighed}] = mul(share, factor)")

    def _router_network(self, declaration: Declaration) -> None:
        declaration.axes |= {"F": self.d_router or 0, "Fo": self.d_router or 0}
        declaration.weights(
            "router_in[d | F]", "router_in_b[F]", *(["router_scale[F]"] if self.router_residual else [])
        )
        declaration.equations("rh[b q F] = x[b q d] router_in[d F]", "rh[b q F] = add(rh, router_in_b)")
        if self.router_residual:
            declaration.equations("before[b q F] = mul(router_before, router_scale)", "rh[b q F] = add(rh, before)")
        declaration.weights("router_norm[F]")
        declaration.equations("rh[b q F] = rmsnorm(rh, router_norm)")
        for name in ("router_1", "router_2"):
            declaration.weights(f"{name}[F | Fo]", f"{name}_b[Fo]")
            declaration.equations(f"rh[b q Fo] = rh[b q F] {name}[F Fo]", f"rh[b q Fo] = add(rh, {name}_b)")
            declaration.equations("rh[b q Fo] = gelu(rh)")

    def _scored_shared(self, declaration: Declaration) -> None:
        """Declare shared experts whose outputs are weighted by the router."""
        up = (["wg"] if self.gated else []) + ["wu"]
        declaration.weights(*(f"shared_{name}[m; d | f]" for name in up), "shared_wd[m; f | d]")
        for name in up:
            declaration.equations(f"s{name[1]}[b q m f] = x[b q d] shared_{name}[m d f]")
        gated = [f"sa[b q m f] = {self.activation}(sg)", "sm[b q m f] = mul(sa, su)"]
        declaration.equations(*(gated if self.gated else [f"sm[b q m f] = {self.activation}(su)"]))
        declaration.equations(
            "sm[b q m f] = mul(sm, share)",
            "sy[b q m d] = sm[b q m f] shared_wd[m f d]",
            "y[b q d] = add(y, sy[b q m d])",
        )

    def _experts(self, declaration: Declaration, width: str) -> None:
        active = ("x", "j")
        up = (["wg"] if self.gated else []) + ["wu"]
        held = "xz" if self.n_zero_experts else "x"
        declaration.weights(*(f"{name}[{held}; {width} | f]" for name in up), active=(held, "j"))
        declaration.weights(f"wd[x; f | {width}]", active=active)
        if self.expert_bias:
            declaration.weights(*(f"b{name[1]}[x; f]" for name in up), f"bd[x; {width}]", active=active)
        declaration.equations(f"xe[b q j {width}] = gather({'xl' if width == 'l' else 'x'})")
        for name in up:
            declaration.equations(f"{name[1]}[b q j f] = xe[b q j {width}] {name}[{held} {width} f] | {held}:j")
            declaration.equations(*([f"{name[1]}[b q j f] = add({name[1]}, b{name[1]})"] if self.expert_bias else []))
            clamped = self.clamp and not (self.clamp_late and name == "wg")
            declaration.equations(*([f"{name[1]}[b q j f] = clamp({name[1]})"] if clamped else []))
        if self.gated:
            declaration.equations(*(["u[b q j f] = softcap(u)"] if self.up_softcap else []))
            declaration.equations(f"a[b q j f] = {self.activation}(g)")
            declaration.equations(*(["a[b q j f] = clamp(a)"] if self.clamp and self.clamp_late else []))
            declaration.equations("m[b q j f] = mul(a, u)")
        else:
            declaration.equations(f"m[b q j f] = {self.activation}(u)")
        declaration.equations(f"z[b q j {width}] = m[b q j f] wd[x f {width}] | x:j")
        declaration.equations(*([f"z[b q j {width}] = add(z, bd)"] if self.expert_bias else []))
        if self.result_norm:
            declaration.component = ""
            declaration.weights(f"norm_out[{width}]")
            declaration.equations(f"z[b q j {width}] = mul(z, norm_out)", f"z[b q j {width}] = rmsnorm(z)")
        target = "yl" if width == "l" else "y"
        declaration.equations(f"z[b q j {width}] = mul(z, share)", f"{target}[b q {width}] = add(z[b q j {width}])")
