"""Mixture of experts with a router that sends each token to ``top_k`` of ``n_experts`` feed-forward layers.

[shazeer2017; fedus2021 for Switch; jiang2024 for Mixtral; dai2024 for shared experts, DeepSeekMoE]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..core.declaration import Declaration, Tensor
from ..core.layer import Layer
from ..core.record import changed, record
from ..core.traits import EXPERTS, GATED_MLP, ROUTER, ModuleTensors, Parallel, Roles
from .mlp import ACTIVATIONS
from .parts.bounds import BOUNDED, UNBOUNDED, Bounds, check_bounds
from .parts.expert_capacity import Capacity
from .parts.latent import Latent
from .parts.routing import ExpertGroups, RouterNetwork, Routing
from .parts.shared_experts import ScoredSharedExperts, SharedExperts

if TYPE_CHECKING:
    from ..core.equation import Equation
    from ..core.part import Part
    from ..core.shrink import Sizes

# fields that cannot be combined with scored shared experts
_UNSCORED = ("n_zero_experts", "n_null_experts", "scaled_input")
_UNSCORED_ROUTING = ("mixer_tolerance", "scaled", "hash_rows")
_ROUTED = "routed experts"  # component of the breakdowns


@record
class Moe(Layer):
    """``y = Σ_{i in top_k} p_i · expert_i(x) + shared(x)``.

    Attributes:
        d_model: input and output width.
        d_ff: hidden width of each routed expert.
        n_experts: number of routed experts.
        top_k: number of routed experts per token.
        activation, gated, bounds: as in ``mlp``.
        expert_bias: whether the expert matrices have biases.
        scaled_input: whether the scores multiply the experts' inputs instead of their outputs (Llama 4).
        routing: scores, selection and weights of the experts.
        router_network: network that computes the input of the router.
        expert_groups: groups of experts. Each token first selects groups, and then experts in these groups.
        shared: shared experts, which process every token.
        scored_shared: shared experts whose outputs are weighted by the router.
        latent: latent space in which the routed experts run.
        result_norm: whether each expert output is scaled by a shared weight (stored as ``w - 1``) and normalised.
        result_norm_eps: epsilon of the norm on expert outputs.
        expert_capacity: maximum number of tokens per expert, beyond which tokens are dropped (default: none).
        top_k_run: number of experts per token that the implementation runs (all experts in Llama 4).
        n_zero_experts: number of additional experts that return their input. The stored rows are unused (LongCat).
        out_bias: whether there is a bias on the sum of the expert outputs (JetMoE).
        n_null_experts: number of additional router classes without an expert. Tokens routed there skip the experts.
        unused: whether the layer is stored but never run (image experts in a text-only pass).
    """

    d_model: int
    d_ff: int
    n_experts: int
    top_k: int
    activation: str = "silu"
    gated: bool = True
    bounds: Bounds | None = None
    expert_bias: bool = False
    scaled_input: bool = False
    routing: Routing = Routing()
    router_network: RouterNetwork | None = None
    expert_groups: ExpertGroups | None = None
    shared: SharedExperts | None = None
    scored_shared: ScoredSharedExperts | None = None
    latent: Latent | None = None
    result_norm: bool = False
    result_norm_eps: float = 1e-6
    expert_capacity: Capacity | None = None
    top_k_run: int | None = None
    n_zero_experts: int = 0
    out_bias: bool = False
    n_null_experts: int = 0
    unused: bool = False

    AXES: ClassVar[str] = """
    xz  n_experts_scored  number of experts that the router scores: routed, null and shared
    jm  n_weighed         number of weighted experts per token, routed and shared
    m   n_shared_experts  number of shared experts, which process every token
    l   d_latent          width of the latent space of experts
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="f", expert="x", null_experts="xz", whole="j m l F Fo V")
    ROLES: ClassVar[Roles] = Roles(hidden="d_ff shared.d_ff", experts="n_experts", active_experts="top_k")
    IS_FEED_FORWARD: ClassVar[bool] = True
    MODULE_TENSORS: ClassVar[ModuleTensors] = GATED_MLP
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"n_zero_experts", "n_null_experts"})

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        "unnormed": "stream before the norm",
        "router_before": "hidden state of the previous layer's router",
    }
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
    SHRINK: ClassVar[dict[str, str]] = {"n_zero_experts": "keep"}
    PARTS: ClassVar[dict[str, tuple[type[Part], ...]]] = {
        "bounds": (Bounds,),
        "routing": (Routing,),
        "router_network": (RouterNetwork,),
        "expert_groups": (ExpertGroups,),
        "shared": (SharedExperts,),
        "scored_shared": (ScoredSharedExperts,),
        "latent": (Latent,),
        "expert_capacity": (Capacity,),
    }

    def _complete(self) -> None:
        self.must_not_exceed("top_k", "n_experts")
        check_bounds(self)
        if self.expert_groups and self.n_experts % self.expert_groups.n:
            groups, path = self.expert_groups.n, ("expert_groups", "n")
            text, hint = f"({groups}) does not divide n_experts ({self.n_experts})", f"n must divide {self.n_experts}"
            raise self.size_error("expert_groups.n", text, hint=hint, divides="n_experts").under(path)
        if self.shared:
            self._fit_shared(self.shared)
        if self.scored_shared:
            others = [name for name in _UNSCORED if getattr(self, name)]
            others += [f"routing.{name}" for name in _UNSCORED_ROUTING if getattr(self.routing, name)]
            if others:
                raise self.size_error("scored_shared", f"and {others[0]} cannot be combined")

    def _fit_shared(self, shared: SharedExperts) -> None:
        """Set whether the shared experts are gated, and check their activation."""
        if shared.activation and BOUNDED in {shared.activation, self.activation}:
            text = f"cannot be combined with activation: {BOUNDED}"
            raise self.size_error("shared.activation", text).under(("shared", "activation"))
        if shared.gated is None:
            object.__setattr__(self, "shared", changed(shared, gated=self.gated))

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

    def expert_groups_of(self) -> tuple[int, int]:
        """Return the number of groups of experts, and of those that a token selects."""
        return (self.expert_groups.n, self.expert_groups.top) if self.expert_groups else (1, 1)

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return expert and group counts for the small test layer, and a capacity at which no tokens are dropped."""
        from ._small_sizes import shrink_experts  # needed only by tests

        found = shrink_experts(self, sizes)
        groups = self.expert_groups
        if groups and self.top_k == self.n_experts:
            found["expert_groups"] = changed(groups, n=1, top=1)
        elif groups and groups.n > 1:
            each = sizes.size("experts_per_group", self.n_experts // groups.n, 4, 5)
            found |= {"n_experts": 3 * each, "expert_groups": changed(groups, n=3, top=min(groups.top, 2))}
        if self.expert_capacity and self.expert_capacity.batch:
            found["expert_capacity"] = self.expert_capacity.without_drops()
        return found

    def declare(self) -> Declaration:
        """Declare the router, ``top_k`` routed experts per token, and the shared experts."""
        axes: dict[str, int | str] = {"d": self.d_model, "f": self.d_ff, "x": self.n_experts, "j": self.top_k}
        n_shared = self.scored_shared.n if self.scored_shared else 0
        n_scored = self.n_experts + self.n_zero_experts + self.n_null_experts + n_shared
        if n_scored > self.n_experts:
            axes["xz"] = n_scored
        if n_shared:
            axes |= {"m": n_shared, "jm": self.top_k + n_shared}
        declaration = Declaration(axes, as_torch={"j": self.top_k_run} if self.top_k_run else {})
        declaration.idle_experts = self.n_zero_experts
        scored, weighted = "xz" if n_scored > self.n_experts else "x", "jm" if n_shared else "j"
        self.routing.declare(declaration, scored, weighted, self.router_network)
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
        for shared in (self.scored_shared, self.shared):
            if shared:
                shared.declare(declaration, self)
        return declaration.only_stored() if self.unused else declaration

    def _experts(self, declaration: Declaration, width: str) -> None:
        active, bounds = ("x", "j"), self.bounds or UNBOUNDED
        up = (["wg"] if self.gated else []) + ["wu"]
        held = "xz" if self.n_zero_experts else "x"
        declaration.weights(*(f"{name}[{held}; {width} | f]" for name in up), active=(held, "j"))
        declaration.weights(f"wd[x; f | {width}]", active=active)
        if self.expert_bias:
            declaration.weights(*(f"b{name[1]}[x; f]" for name in up), f"bd[x; {width}]", active=active)
        declaration.equations(f"xe[b q j {width}] = gather({'xl' if width == 'l' else 'x'})")
        declaration.equations(*[f"xe[b q j {width}] = mul(xe, share)"] * self.scaled_input)
        for name in up:
            inner = name[1]
            declaration.equations(f"{inner}[b q j f] = xe[b q j {width}] {name}[{held} {width} f] | {held}:j")
            declaration.equations(*([f"{inner}[b q j f] = add({inner}, b{inner})"] if self.expert_bias else []))
            declaration.equations(*(bounds.gate_lines("b q j") if inner == "g" else bounds.up_lines("b q j")))
        if self.gated:
            declaration.equations(f"a[b q j f] = {self.activation}(g)", *bounds.activation_lines("b q j"))
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
        declaration.equations(*[f"z[b q j {width}] = mul(z, share)"] * (not self.scaled_input))
        declaration.equations(f"{target}[b q {width}] = add(z[b q j {width}])")
