"""Single-neuron experts retrieved by product keys (PEER) [he2024], as in Doge."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, Any, ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers.mlp import ACTIVATIONS

if TYPE_CHECKING:
    from ....core.shrink import Sizes


@record
class ProductKeyExperts(Layer):
    """``y = Σ_{i in top_k} p_i · act(x · down_i) up_i``. Each expert score is the sum of two key scores.

    Attributes:
        d_model: width of input and output.
        n_experts: number of experts. Each expert has one row in both tables.
        top_k: number of experts per token.
        activation: activation function, as in ``mlp``.
        renormalise: whether the weights of the selected experts are divided by their sum.
        together: whether the router logits of all tokens are flattened before they are split into the two key sets.
            This mixes scores of different tokens (Doge).
    """

    d_model: int
    n_experts: int
    top_k: int
    activation: str = "silu"
    renormalise: bool = False
    together: bool = False

    AXES: ClassVar[str] = """
    xs  n_product_keys    keys in each of the two sets of product keys
    xt  2 n_product_keys  keys in both sets of product keys
    """
    PARALLEL: ClassVar[Parallel] = Parallel(expert="x", whole="xt")
    ROLES: ClassVar[Roles] = Roles(experts="n_experts", active_experts="top_k")
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}

    def _complete(self) -> None:
        self.must_not_exceed("top_k", "n_experts")
        reachable = isqrt(self.n_experts) ** 2
        if self.top_k > reachable:
            problem = f"is {self.n_experts}; only {reachable} of them have keys, fewer than top_k ({self.top_k})"
            raise self.size_error("n_experts", problem)

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return test expert counts. Some experts are inactive unless the original layer activates all experts."""
        from ....layers._small_sizes import shrink_experts  # needed only by tests

        return shrink_experts(self, sizes)

    def declare(self) -> Declaration:
        """Declare a router with two sets of ``sqrt(n_experts)`` keys, and two tables ``[n_experts, d_model]``.

        PyTorch copies the selected rows before multiplying, and saves the copies for the backward pass.
        """
        keys = isqrt(self.n_experts)
        declaration = Declaration({"d": self.d_model, "x": self.n_experts, "j": self.top_k, "xs": keys, "xt": 2 * keys})
        declaration.weights("router[d | xt]")
        declaration.weights("down[x; d]", "up[x; d]", active=("x", "j"))
        declaration.equations(
            "r[b q xt] = x[b q d] router[d xt]",
            "chosen[b q xt] = top_k(r)",
            "r2[b q xs xt] = add(r)",
            "chosen[b q xs xt] = top_k(r2)",
            "best[b q j] = copy(chosen)",
            "p[b q j] = softmax(best)",
            *(["p[b q j] = shares(p)"] if self.renormalise else []),
            "rows[b q j d] = keep(down) | torch",
            "u[b q j] = x[b q d] down[x d] | x:j",
            f"a[b q j] = {self.activation}(u)",
            "a[b q j] = mul(a, p)",
            "rows[b q j d] = keep(up) | torch",
            "y[b q d] = a[b q j] up[x d] | x:j",
        )
        return declaration
