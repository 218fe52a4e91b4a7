"""Routing of tokens to the experts of a mixture: scores, selection and weights [shazeer2017]."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ...core.part import Part
from ...core.record import record
from ...core.traits import ROUTER

if TYPE_CHECKING:
    from ...core.declaration import Declaration


@record
class ExpertGroups(Part):
    """Groups of experts. Each token selects groups before it selects experts within them (DeepSeek-V2).

    Attributes:
        n: number of groups.
        top: number of groups selected per token.
        score: score of a group: the highest expert score (``best``) or sum of the top ``two`` (DeepSeek-V3).
    """

    n: int = 1
    top: int = 1
    score: str = "best"

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"score": ("best", "two")}
    SHRINK: ClassVar[dict[str, str]] = {"n": "n_groups", "top": "top_groups"}


@record
class RouterNetwork(Part):
    """Router network with a projection, a norm, two layers and the scores (ZAYA).

    Attributes:
        width: width of the network.
        residual: whether the scaled hidden state of the previous router is added after the projection.
    """

    width: int
    residual: bool = False

    SHRINK: ClassVar[dict[str, str]] = {"width": "d_router"}

    def declare(self, declaration: Declaration) -> None:
        """Declare the network from the layer's input to the router's input ``rh``."""
        declaration.axes |= {"F": self.width, "Fo": self.width}
        declaration.weights("router_in[d | F]", "router_in_b[F]", *(["router_scale[F]"] if self.residual else []))
        declaration.equations("rh[b q F] = x[b q d] router_in[d F]", "rh[b q F] = add(rh, router_in_b)")
        if self.residual:
            declaration.equations("before[b q F] = mul(router_before, router_scale)", "rh[b q F] = add(rh, before)")
        declaration.weights("router_norm[F]")
        declaration.equations("rh[b q F] = rmsnorm(rh, router_norm)")
        for name in ("router_1", "router_2"):
            declaration.weights(f"{name}[F | Fo]", f"{name}_b[Fo]")
            declaration.equations(f"rh[b q Fo] = rh[b q F] {name}[F Fo]", f"rh[b q Fo] = add(rh, {name}_b)")
            declaration.equations("rh[b q Fo] = gelu(rh)")


@record
class Routing(Part):
    """Scores of the experts, selection of ``top_k`` of them, and weights of the selected experts.

    Attributes:
        score: scoring function: ``softmax``, ``sigmoid`` or ``sqrt_softplus``.
        gain: constant factor applied to the logits.
        softcap: soft-cap bound for the logits (Laguna).
        bias: whether the logits have a bias parameter.
        bias_unused: whether the bias is stored but never added (LongCat-Flash).
        scaled: whether the router normalises and scales its input and scales each expert's score (Gemma 4).
        eps: epsilon of the router's norms.
        correction: type of the load-balancing offset per expert: ``none``, ``buffer`` or ``parameter``.
        hash_rows: number of rows of a fixed token-to-expert table (hash routing); None to select by score.
        mixer_tolerance: relative tolerance of SparseMixer for experts with similar scores [liu2023].
        renormalise: whether the scores of the selected experts are divided by their sum.
        renormalise_eps: epsilon added to the sum of the scores (LFM2).
        renormalise_power: order of the norm by which the scores are divided (DBRX). Order 1 (default) is the sum.
        renormalise_late: whether full experts are excluded before renormalising.
        scale: scaling factor for the scores of the selected experts.
        learned_scale: whether all scores are multiplied by a learned factor.
    """

    score: str = "softmax"
    gain: float = 1.0
    softcap: float | None = None
    bias: bool = False
    bias_unused: bool = False
    scaled: bool = False
    eps: float = 1e-6
    correction: str = "none"
    hash_rows: int | None = None
    mixer_tolerance: float | None = None
    renormalise: bool = False
    renormalise_eps: float = 0.0
    renormalise_power: float = 1.0
    renormalise_late: bool = False
    scale: float = 1.0
    learned_scale: bool = False

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "score": ("softmax", "sigmoid", "sqrt_softplus"),
        "correction": ("none", "buffer", "parameter"),
    }
    SHRINK: ClassVar[dict[str, str]] = {"hash_rows": "vocab 97 101 103 107"}

    def _complete(self) -> None:
        if self.renormalise_power <= 0:
            error = self.size_error("renormalise_power", f"must be positive, not {self.renormalise_power}")
            raise error.under(("renormalise_power",))

    def declare(self, declaration: Declaration, scored: str, weighted: str, network: RouterNetwork | None) -> None:
        """Declare the router. ``scored`` is the axis of the scored experts, and ``weighted`` that of the experts of
        a token that are weighted.
        """
        declaration.component = ROUTER
        source, width = "x", "d"
        if network:
            network.declare(declaration)
            source, width = "rh", "F"
        if self.scaled:
            declaration.weights("input_scale[d]", "expert_scale[x]")
            declaration.equations("rx[b q d] = rmsnorm(unnormed[b q d], input_scale)")
            source = source if network else "rx"
        declaration.weights(f"router[{width} | {scored}]")
        declaration.equations(f"r[b q {scored}] = {source}[b q {width}] router[{width} {scored}]")
        if self.bias:
            declaration.weights(f"router_b[{scored}]", unused=self.bias_unused)
            declaration.equations(*([] if self.bias_unused else [f"r[b q {scored}] = add(r, router_b)"]))
        declaration.equations(*([f"r[b q {scored}] = scale(r)"] if self.gain != 1.0 else []))
        if self.mixer_tolerance is None:
            declaration.equations(f"r[b q {scored}] = {self.score}(r)")
        self._select(declaration, scored, "x" if weighted == "jm" else scored)
        self._weight(declaration, scored, weighted)

    def _select(self, declaration: Declaration, scored: str, routed: str) -> None:
        ranked = "r"
        if self.correction != "none":
            declaration.weights(f"correction[{routed}]", buffer=self.correction == "buffer")
            declaration.equations(f"ranked[b q {scored}] = add(r, correction) | nograd")
            ranked = "ranked"
        if self.hash_rows:
            declaration.axes["V"] = self.hash_rows
            declaration.weights("hash[V; j]", buffer=True)
            declaration.equations("chosen[b q j] = gather(hash, ids)")
        else:
            declaration.equations(f"chosen[b q {scored}] = top_k({ranked})")

    def _weight(self, declaration: Declaration, scored: str, weighted: str) -> None:
        if self.mixer_tolerance is not None:  # a softmax per expert, over the remaining near ones
            declaration.equations(f"near[b q j {scored}] = gather(r)", f"mixed[b q j {scored}] = softmax(near)")
            declaration.equations("share[b q j] = add(mixed)")
        else:
            declaration.equations(f"share[b q {weighted}] = gather(r)")
            declaration.equations(*([f"share[b q {weighted}] = shares(share)"] if self.renormalise else []))
        if self.scaled:
            declaration.equations("share[b q j] = mul(share, expert_scale)")
        declaration.equations(*([f"share[b q {weighted}] = scale(share)"] if self.scale != 1.0 else []))
        if self.learned_scale:
            declaration.axes["one"] = 1
            declaration.weights("factor[one]")
            declaration.equations(f"share[b q {weighted}] = mul(share, factor)")
