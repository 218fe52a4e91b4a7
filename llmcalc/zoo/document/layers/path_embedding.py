"""XPath embeddings [li2021, Section 3.1] of the tags and indices on a text node's path in the markup tree."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles


@record
class PathEmbedding(Layer):
    """``y = relu(z w1 + b1) w2 + b2``, where z is the concatenation of a path's step embeddings.

    A step embedding is the sum of a tag embedding and an index embedding. Every step has separate tables.

    Attributes:
        depth: number of steps in a path; shorter paths are padded.
        n_tags: number of distinct tags.
        n_numbers: number of distinct indices.
        d_unit: width of a step embedding.
        d_ff: hidden width.
        d_out: width of the output, equal to the width of the stream.
        tag_id: row of the tag tables for a missing step.
        number_id: row of the index tables for a missing step.
    """

    depth: int
    n_tags: int
    n_numbers: int
    d_unit: int
    d_ff: int
    d_out: int
    tag_id: int = 0
    number_id: int = 0

    AXES: ClassVar[str] = """
    xd  depth      steps of a path in the document tree
    ps  n_tags     tags of a path step
    xn  n_numbers  indices of a path step among its siblings
    pu  d_unit     width of the embedding of a path step
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="f", whole="out xd ps xn pu")
    ROLES: ClassVar[Roles] = Roles(hidden="d_ff")
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"tag_id", "number_id"})
    OUTPUT_WIDTH: ClassVar[str] = "d_out"
    SHRINK: ClassVar[dict[str, str]] = {"d_out": "width", "tag_id": "3", "number_id": "5"}

    def declare(self) -> Declaration:
        """Declare tables ``[depth, n_tags, d_unit]`` and ``[depth, n_numbers, d_unit]``, and two matrices."""
        sizes: dict[str, int | str] = {"xd": self.depth, "ps": self.n_tags, "xn": self.n_numbers, "pu": self.d_unit}
        declaration = Declaration({**sizes, "f": self.d_ff, "out": self.d_out})
        declaration.weights("tags[xd; ps; pu]", "numbers[xd; xn; pu]", table="other")
        declaration.weights("w1[xd pu | f]", "b1[f]", "w2[f | out]", "b2[out]")
        declaration.equations(
            "z[b q xd pu] = gather(tags, ids)",
            "zn[b q xd pu] = gather(numbers, ids)",
            "z[b q xd pu] = add(z, zn)",
            "u[b q f] = z[b q xd pu] w1[xd pu f]",
            "u[b q f] = add(u, b1)",
            "m[b q f] = relu(u)",
            "y[b q out] = m[b q f] w2[f out]",
            "y[b q out] = add(y, b2)",
        )
        return declaration
