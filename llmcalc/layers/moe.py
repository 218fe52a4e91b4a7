"""Mixture of experts: a router sends each token to ``top_k`` of ``n_experts`` feed-forward layers.

[shazeer2017; fedus2021 Switch; jiang2024 Mixtral; dai2024 DeepSeekMoE for shared experts]
"""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.record import record
from .mlp import ACTIVATIONS, BOUNDED, Mlp, check_bounds

# where shares are those of the chosen experts alone, or the router scores others beside them
_OTHER_SHARES = ("mixer_tolerance", "router_scaled", "hash_rows", "n_zero_experts", "n_null_experts", "scaled_input")


@record
class Moe(Layer):
    """``y = Σ_{i in top_k} p_i · expert_i(x) + shared(x)``.

    Attributes:
        d_model: width of input and output.
        d_ff: hidden width of one routed expert.
        n_experts: routed experts.
        top_k: routed experts that a token uses.
        activation, gated, clamp, clamp_late, up_offset, gate_softcap, up_softcap: as in ``mlp``.
        expert_bias: biases of the experts' matrices.
        router: the scoring function: ``softmax``, ``sigmoid`` or ``sqrt_softplus``.
        renormalise: the scores of the chosen experts are divided by their sum.
        renormalise_eps: added to that sum (LFM2).
        renormalise_power: the sum is that of so high powers, and its root is taken (DBRX).
        routed_scale: factor on those scores.
        router_softcap: the router's logits are squashed to this bound (Laguna).
        mixer_tolerance: experts are chosen one by one, and each one's share is its softmax among those not yet chosen
            whose logits come near its own, up to this relative distance (SparseMixer [liu2023]).
        scaled_input: the shares multiply what the experts take instead of what they give (Llama 4).
        shared_scale: factor on the shared experts' result.
        router_bias: a bias on the router's logits (a parameter).
        router_bias_unused: it is stored, but never added (LongCat-Flash).
        router_scaled: the router's input is normalised and scaled by a vector, and each expert's score by a number
            (Gemma 4).
        router_eps: added under the root of that norm.
        hash_rows: experts are not chosen by their scores: a fixed table of so many tokens names them (DeepSeek-V4).
        correction_bias: a per-expert offset that balances load: ``none``, a ``buffer``, or a ``parameter``.
        n_groups: experts are routed by groups.
        top_groups: groups that a token is routed to, before the experts in them.
        group_score: what a group is chosen by: its ``best`` expert, or the sum of its best ``two`` (DeepSeek-V3).
        d_ff_shared: hidden width of the shared experts together; None: no shared expert.
        shared_activation: the shared expert's (default: as the routed ones').
        shared_gated: whether the shared expert has a gate matrix (default: as the routed ones).
        shared_clamped: the shared expert is clamped as the routed ones.
        shared_clamp: or by a bound of its own.
        shared_bias: biases of the shared expert.
        shared_gate: a learned gate ``sigmoid(x w)`` on the shared expert's output (Qwen).
        d_latent: experts work in a space of this width, between a down- and an up-projection (Nemotron-3).
        latent_in_norm: a norm on what the experts take of that space (Muse Spark).
        result_norm: a norm on what each expert gives; its weight, one for all experts, stands before it. The weights of
            both are stored as ``w - 1``.
        result_norm_eps: added under the root of the latter.
        router_gain: constant factor on what the router gives.
        latent_bias: biases of those projections.
        latent_norm: an RMSNorm on the experts' sum before the up-projection (Kimi K3).
        latent_norm_eps: added under its root.
        capacity_factor: tokens beyond ``capacity_factor · tokens · top_k / n_experts`` an expert are dropped (Switch);
            None: nothing is dropped.
        top_k_run: experts that the implementation runs a token, whatever ``top_k`` says (all of them in Llama-4's).
        n_zero_experts: further experts that return their input (LongCat); the router scores them, and the tensors of
            the first matrices hold unused rows for them.
        out_bias: a bias on the sum of the experts' outputs (JetMoE).
        d_router: the router is a network of this width: a projection, a norm, two layers and the scores (ZAYA).
        router_residual: to the result of its projection that of the layer before is added, scaled.
        n_null_experts: further classes that the router scores and that stand for no expert.
        n_shared: shared experts, each as wide as a routed one, that the router scores too, and weighs among the chosen
            ones (Inkling).
        learned_gate_scale: a learned factor on all shares.
        capacity: tokens of a sequence that one expert takes at most; later ones are dropped.
        batch_capacity: these are tokens of the whole batch, first choices before second ones (NLLB).
        capacity_share: with it, instead, so large a share of the batch's tokens.
        priority_by_score: with it, tokens whose best score is highest come first.
        renormalise_late: shares are those of the experts that are not full.
        unused: the layer is stored but never run (experts for images, while there is only text).
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
    d_latent: int | None = None
    latent_in_norm: bool = False
    result_norm: bool = False
    result_norm_eps: float = 1e-6
    router_gain: float = 1.0
    latent_bias: bool = False
    latent_norm: bool = False
    latent_norm_eps: float = 1e-6
    capacity_factor: float | None = None
    top_k_run: int | None = None
    n_zero_experts: int = 0
    out_bias: bool = False
    capacity: int | None = None
    batch_capacity: bool = False
    capacity_share: float | None = None
    priority_by_score: bool = False
    renormalise_late: bool = False
    d_router: int | None = None
    router_residual: bool = False
    n_null_experts: int = 0
    n_shared: int | None = None
    learned_gate_scale: bool = False
    unused: bool = False

    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"n_zero_experts", "n_null_experts"})

    GIVEN: ClassVar[dict[str, str]] = {
        **Layer.GIVEN,
        "unnormed": "the stream in front of the norm",
        "router_before": "the hidden values of the router in the layer before",
    }
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "activation": ACTIVATIONS,
        "shared_activation": ACTIVATIONS,
        "router": ("softmax", "sigmoid", "sqrt_softplus"),
        "group_score": ("best", "two"),
        "correction_bias": ("none", "buffer", "parameter"),
    }

    def __post_init__(self) -> None:
        self.check()
        self.derive(shared_gated=self.gated)
        if self.top_k > self.n_experts:
            raise SizeError(f"top_k ({self.top_k}) is more than n_experts ({self.n_experts})", where="moe")
        if self.renormalise_power <= 0:
            raise SizeError(f"renormalise_power is {self.renormalise_power}; it is above 0", where="moe")
        self.must_divide("n_groups", "n_experts")
        check_bounds(self)
        if self.shared_activation and BOUNDED in {self.shared_activation, self.activation}:
            raise SizeError(f"shared_activation is left out where experts have {BOUNDED}", where="moe")
        if (self.latent_norm or self.latent_in_norm) and not self.d_latent:
            raise SizeError("latent_norm goes with d_latent", where="moe")
        if (self.capacity_share is not None or self.priority_by_score) and not self.batch_capacity:
            raise SizeError("capacity_share and priority_by_score go with batch_capacity: true", where="moe")
        if self.capacity_share is not None and not 0 < self.capacity_share <= 1:
            raise SizeError(f"capacity_share is {self.capacity_share}; it is above 0, and 1 at most", where="moe")
        if self.batch_capacity and (self.capacity is None) == (self.capacity_share is None):
            raise SizeError("batch_capacity goes with capacity or with capacity_share", where="moe")
        for name in _OTHER_SHARES if self.n_shared else ():
            if getattr(self, name):
                raise SizeError(f"n_shared and {name} exclude each other", where="moe")

    def declare(self) -> Declaration:
        """Router, experts (of which a token uses ``top_k``), shared experts as a part with axes of its own."""
        axes: dict[str, int | str] = {"d": self.d_model, "f": self.d_ff, "x": self.n_experts, "j": self.top_k}
        if self.n_zero_experts or self.n_null_experts or self.n_shared:
            axes["xz"] = self.n_experts + self.n_zero_experts + self.n_null_experts + (self.n_shared or 0)
        if self.n_shared:
            axes |= {"m": self.n_shared, "jm": self.top_k + self.n_shared}
        declaration = Declaration(axes, as_torch={"j": self.top_k_run} if self.top_k_run else {})
        self._route(declaration)
        width = "d"
        if self.d_latent:
            width = "l"
            axes["l"] = self.d_latent
            declaration.weights("w_in[d | l]", "w_out[l | d]", *(["b_in[l]", "b_out[d]"] if self.latent_bias else []))
            declaration.equations("xl[b q l] = x[b q d] w_in[d l]")
            declaration.equations(*(["xl[b q l] = add(xl, b_in)"] if self.latent_bias else []))
            if self.latent_in_norm:
                declaration.weights("norm_in[l]")
                declaration.equations("xl[b q l] = rmsnorm(xl, norm_in)")
        self._experts(declaration, width)
        if self.latent_norm:
            declaration.weights("latent_norm[l]")
            declaration.equations("yl[b q l] = rmsnorm(yl, latent_norm)")
        if self.d_latent:
            declaration.equations("y[b q d] = yl[b q l] w_out[l d]")
            declaration.equations(*(["y[b q d] = add(y, b_out)"] if self.latent_bias else []))
        if self.out_bias:
            declaration.weights("bo[d]")
            declaration.equations("y[b q d] = add(y, bo)")
        if self.d_ff_shared:
            shared = Mlp(
                self.d_model,
                self.d_ff_shared,
                self.shared_activation or self.activation,
                gated=bool(self.shared_gated),
                bias=self.shared_bias,
                clamp=self.shared_clamp or (self.clamp if self.shared_clamped else None),
                clamp_late=self.clamp_late,
                gate_softcap=self.gate_softcap,
                up_softcap=self.up_softcap if self.shared_gated else None,
            )
            declaration.include("shared", shared.declare())
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
        if self.mixer_tolerance is not None:  # each has a softmax of its own, among those near it that are left
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
        """Shared experts with shares of their own, which are those of the router."""
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
            declaration.weights(f"norm_out[{width}]")
            declaration.equations(f"z[b q j {width}] = mul(z, norm_out)", f"z[b q j {width}] = rmsnorm(z)")
        target = "yl" if width == "l" else "y"
        declaration.equations(f"z[b q j {width}] = mul(z, share)", f"{target}[b q {width}] = add(z[b q j {width}])")
