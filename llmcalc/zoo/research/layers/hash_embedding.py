"""Hashed n-gram embeddings [pagnoni2024, Section 3.2.1]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.errors import short_repr
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel

FIRST = 3  # length of the shortest n-gram in the paper


@record
class HashEmbedding(Layer):
    """``y = x + Σ table_nf[hash_f(last n tokens) mod rows]``, summed over n-gram lengths n and hash functions f.

    Attributes:
        rows: number of rows per table.
        d_model: width of a row.
        n_lengths: number of n-gram lengths.
        n_functions: number of hash functions; each function has one table per n-gram length.
        lengths: n-gram lengths, separated by spaces (default: consecutive lengths starting at 3, as in the paper).

    Raises:
        SizeError: ``lengths`` does not consist of ``n_lengths`` positive integers.
    """

    rows: int
    d_model: int
    n_lengths: int = 6
    n_functions: int = 1
    lengths: str | None = None

    AXES: ClassVar[str] = """
    nt  n_tables  hash tables of an n-gram embedding
    """
    PARALLEL: ClassVar[Parallel] = Parallel(vocabulary="V")
    IN_ANY_BLOCK: ClassVar[bool] = False
    SHRINK: ClassVar[dict[str, str]] = {"rows": "vocab 97 101 103 107", "n_lengths": "keep"}

    def _complete(self) -> None:
        self.derive(lengths=" ".join(str(FIRST + number) for number in range(self.n_lengths)))
        words = (self.lengths or "").split()
        if len(words) != self.n_lengths or not all(word.isdecimal() and int(word) for word in words):
            problem = f"is {short_repr(self.lengths)}; it must contain n_lengths ({self.n_lengths}) positive integers"
            raise self.size_error("lengths", problem)

    def declare(self) -> Declaration:
        """Declare all tables as one tensor ``[n_functions · n_lengths · rows, d_model]``."""
        tables = self.n_functions * self.n_lengths
        declaration = Declaration({"V": tables * self.rows, "nt": tables, "d": self.d_model})
        declaration.weights("w[V; d]", table="other")
        declaration.equations("z[b q nt d] = gather(w, ids)", "y[b q d] = add(x, z[b q nt d])")
        return declaration
