"""Tables that are looked up by hashes of the last few tokens [pagnoni2024, Section 3.2.1]."""

from __future__ import annotations

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record


@record
class HashEmbedding(Layer):
    """``y = x + Σ table_nf[hash_f(the last n tokens) mod rows]``: bytes, but no matrix products.

    Attributes:
        rows: entries of one table.
        d_model: width of an entry.
        n_lengths: numbers of tokens that are hashed together, each with tables of its own.
        n_functions: hash functions; each has a table for every length.
    """

    rows: int
    d_model: int
    n_lengths: int = 6
    n_functions: int = 1

    def declare(self) -> Declaration:
        """All tables as one ``[n_functions · n_lengths · rows, d_model]``."""
        tables = self.n_functions * self.n_lengths
        declaration = Declaration({"V": tables * self.rows, "nt": tables, "d": self.d_model})
        declaration.weights("w[V; d]", table="other")
        declaration.equations("z[b q nt d] = gather(w, ids)", "y[b q d] = add(x, z[b q nt d])")
        return declaration
