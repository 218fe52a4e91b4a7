"""Sharding: which axes a mesh divides, and what one rank holds of a tensor."""

from __future__ import annotations

from ..core.declaration import Declaration, Tensor
from ..core.errors import SizeError
from ..core.record import record

# axes that tensor parallelism divides: whole heads, hidden widths, vocabulary, channels
TENSOR_AXES = ("h", "f", "V", "g", "H", "i", "vh", "kh", "G")
EXPERT_AXIS = "x"


@record
class Mesh:
    """How many ranks share the work, and how.

    Attributes:
        data: replicas that see different sequences (data parallelism).
        tensor: ranks that share heads, hidden widths and the vocabulary.
        pipeline: stages that share the layers.
        expert: ranks that share the routed experts; part of the data-parallel ranks.
        sequence: whether tensors that tensor parallelism leaves whole are divided along the sequence
            [korthikanti2022].
        zero: ZeRO stage: 1 shards optimizer states, 2 also gradients, 3 also weights over the data-parallel ranks.
        context: ranks that share each sequence.
    """

    data: int = 1
    tensor: int = 1
    pipeline: int = 1
    expert: int = 1
    sequence: bool = False
    zero: int = 0
    context: int = 1

    @property
    def ranks(self) -> int:
        """All ranks."""
        return self.data * self.tensor * self.pipeline * self.context

    def divisor(self, axis: str, length: int) -> int:
        """By how much the mesh divides an axis; key/value heads fewer than the ranks are replicated."""
        if axis == EXPERT_AXIS:
            if length % self.expert:
                raise SizeError(f"ep ({self.expert}) does not divide n_experts ({length})", where="--ep")
            return self.expert
        if axis not in TENSOR_AXES or self.tensor == 1:
            return 1
        if axis in ("g", "kh", "G") and self.tensor % length == 0:
            return length
        if length % self.tensor:
            from ..core.axes import name_of

            raise SizeError(f"tp ({self.tensor}) does not divide {name_of(axis)} ({length})", where="--tp")
        return self.tensor

    def share_of_activation(self, axes: tuple[str, ...], declaration: Declaration, count: int) -> int:
        """Elements of an activation on one rank."""
        if self.tensor == 1 and self.expert == 1 and self.context == 1:
            return count
        divided = 1
        for axis in axes:
            length = declaration.axes.get(axis)
            if isinstance(length, int) and axis != EXPERT_AXIS:
                divided = max(divided, self.divisor(axis, length))
        if divided == 1 and self.sequence:
            divided = self.tensor
        return -(-count // (divided * self.context))

    def share_of_weight(self, tensor: Tensor, declaration: Declaration, count: int) -> int:
        """Elements of a weight on one rank of the tensor- and expert-parallel groups."""
        divided = {"tensor": 1, "expert": 1}
        for axis in tensor.axes:
            length = declaration.axes[axis]
            if isinstance(length, int):
                kind = "expert" if axis == EXPERT_AXIS else "tensor"
                divided[kind] = max(divided[kind], self.divisor(axis, length))
        return count // (divided["tensor"] * divided["expert"])
