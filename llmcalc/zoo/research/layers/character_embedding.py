"""Vocabulary-free character embeddings [clark2021, Section 3.1] from the concatenated rows of several hash tables."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles


@record
class CharacterEmbedding(Layer):
    """``y = [table_1[hash_1(id)], table_2[hash_2(id)], ...]``. The lookup costs bytes but no FLOPs.

    Attributes:
        n_buckets: number of rows of each table.
        n_hashes: number of hash functions and tables; must divide d_out.
        d_out: width of the concatenated rows and of the stream.
        rows: number of distinct ids.
    """

    n_buckets: int
    n_hashes: int
    d_out: int
    rows: int = 0x110000

    PARALLEL: ClassVar[Parallel] = Parallel(vocabulary="V", whole="nh ce")
    ROLES: ClassVar[Roles] = Roles(vocabulary="rows")
    IN_ANY_BLOCK: ClassVar[bool] = False
    table: ClassVar[str] = "token"
    use: ClassVar[str] = "tokens"
    unused: ClassVar[bool] = False
    own_ids: ClassVar[str] = ""
    OUTPUT_WIDTH: ClassVar[str] = "d_out"
    SHRINK: ClassVar[dict[str, str]] = {
        "n_buckets": "10 12 14",
        "n_hashes": "parts 3",
        "d_out": "width",
        "rows": "vocab 97 101 103 107",
    }

    def _complete(self) -> None:
        self.must_divide("n_hashes", "d_out")

    def declare(self) -> Declaration:
        """Declare the tables ``[n_hashes, n_buckets, d_out / n_hashes]``."""
        sizes: dict[str, int | str] = {"nh": self.n_hashes, "V": self.n_buckets, "ce": self.d_out // self.n_hashes}
        declaration = Declaration({**sizes, "d": self.d_out})
        declaration.weights("w[nh; V; ce]", table="token")
        declaration.equations("entries[b q nh ce] = gather(w, ids)", "y[b q d] = copy(entries)")
        return declaration
