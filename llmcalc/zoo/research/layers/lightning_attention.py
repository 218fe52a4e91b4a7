"""Lightning attention [qin2024, Section 3], computed block by block with a fixed decay per head."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers.mlp import ACTIVATIONS


@record
class LightningAttention(Layer):
    """``S = λ S + k vᵀ; y = (norm(q S) * sigmoid(x wgate)) wo``, after applying an activation function to q, k and v.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads.
        d_head: width of a query, key or value head.
        block: number of tokens per block. Attention within a block is computed directly, without a softmax.
        norm_eps: epsilon of the norm.
        activation: activation function applied to queries, keys and values.
    """

    d_model: int
    n_heads: int
    d_head: int
    block: int = 256
    norm_eps: float = 1e-6
    activation: str = "silu"

    AXES: ClassVar[str] = """
    zz  n_chunk_pairs    pairs of new tokens in the same chunk
    qf  n_first          new tokens in the first chunk
    qn  n_behind_first   new tokens after the first chunk
    zb  n_states_before  interior chunk boundaries
    qm  n_before_last    new tokens before the last chunk
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="e v")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", head_widths="d_head")
    IS_RECURRENT: ClassVar[bool] = True
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
    SHRINK: ClassVar[dict[str, str]] = {"block": "always 5 3"}

    def declare(self) -> Declaration:
        """Declare the projections, sums within and across blocks, norm, gate, output, and one state per head."""
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": self.d_head, "v": self.d_head}
        axes |= {"Z": self.block, "zz": "q * Z - mod(q, Z) * Z + mod(q, Z) * mod(q, Z)"}
        axes |= {"qf": "min(q, Z)", "qn": "q - min(q, Z)", "ql": "mod(q - 1, Z) + 1", "qm": "q - 1 - mod(q - 1, Z)"}
        axes |= {"zs": "min(1, q - 1 - mod(q - 1, Z))", "zb": "max(0, ceil(q, Z) - 2)"}
        declaration = Declaration(axes)
        declaration.weights("wq[d | h e]", "wk[d | h e]", "wv[d | h v]", "norm[h v]", "wgate[d | h v]", "wo[h v | d]")
        for name, axis in (("q", "e"), ("k", "e"), ("v", "v")):
            declaration.equations(f"{name}[b q h {axis}] = x[b q d] w{name}[d h {axis}]")
            declaration.equations(f"{name}[b q h {axis}] = {self.activation}({name})")
        declaration.equations(*_SCAN)
        declaration.equations("o[b q h v] = rmsnorm(o, norm) | row:q", "gate[b q h v] = x[b q d] wgate[d h v]")
        declaration.equations("gate[b q h v] = sigmoid(gate)", "o[b q h v] = mul(o, gate)")
        declaration.equations("y[b q d] = o[b q h v] wo[h v d]")
        declaration.state("S[b h e v]", "recurrent")
        return declaration


# The first block reads an empty state, which is a constant. Training does not use the last state.
_SCAN = [
    "of[b qf h v] = q[b qf h e] S[b h e v] | prefill scan constant",
    "qd[b qn h e] = mul(q, decay) | prefill scan",
    "kd[b qm h e] = mul(k, decay) | prefill scan",
    "S[b zs h e v] = kd[b qm h e] v[b qm h v] | prefill scan",
    "more[b zb h e v] = keep(S) | prefill scan",
    "on[b qn h v] = qd[b qn h e] S[b zs h e v] | prefill scan",
    "s[b h zz] = q[b zz h e] k[b zz h e] | prefill scan",
    "s[b h zz] = scale(s) | prefill scan",
    "oi[b h zz v] = s[b h zz] v[b zz h v] | prefill scan",
    "o[b q h v] = add(oi, of) | prefill scan",
    "o[b q h v] = add(o, on) | prefill scan",
    "S[b h e v] = k[b ql h e] v[b ql h v] | prefill scan nograd",
    "S[b q h e v] = k[b q h e] v[b q h v] | decode",
    "S[b q h e v] = mul(S, decay) | decode",
    "o[b q h v] = q[b q h e] S[b q h e v] | decode",
]
