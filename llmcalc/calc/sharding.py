"""Sharding: which axes a mesh divides, and what one rank holds of a tensor."""

from __future__ import annotations

from ..core.axes import name_of
from ..core.declaration import Declaration, Tensor
from ..core.errors import SizeError, short_repr
from ..core.record import record

# axes that tensor parallelism divides: heads, hidden widths, vocabulary, channels
TENSOR_AXES = frozenset(("h", "f", "V", "g", "H", "i", "vh", "kh", "G"))
# of these, the ones that are replicated where there are fewer than ranks
REPLICATED_AXES = frozenset(("g", "kh", "G"))
EXPERT_AXIS, IDLE_AXIS, VOCABULARY_AXIS = "x", "xz", "V"  # experts; with those that compute nothing; vocabulary


@record
class Mesh:
    """How many ranks share the work, and how.

    Attributes:
        dp: replicas that see different sequences (data parallelism).
        tp: ranks that share heads, hidden widths and the vocabulary.
        pp: stages that share the layers.
        ep: ranks that share the routed experts; they are part of the data-parallel ranks.
        cp: ranks that share each sequence.
        etp: ranks that share the hidden width of each expert (default: as ``tensor``).
        sp: what tensor parallelism leaves whole is divided along the sequence [korthikanti2022].
        zero: ZeRO stage [rajbhandari2019]: 1 divides optimizer states over the replicas, 2 also gradients, 3 also
            weights.
        micro_batches: micro-batches of a step (default: as many as stages).
        virtual_stages: model chunks of a stage in an interleaved pipeline.
        vocabulary_multiple: the vocabulary is padded to a multiple of this times ``tensor`` (128 in Megatron-LM).
    """

    dp: int = 1
    tp: int = 1
    pp: int = 1
    ep: int = 1
    cp: int = 1
    etp: int | None = None
    sp: bool = False
    zero: int = 0
    micro_batches: int | None = None
    virtual_stages: int = 1
    vocabulary_multiple: int = 128

    def __post_init__(self) -> None:
        flags = {"dp": self.dp, "tp": self.tp, "pp": self.pp, "ep": self.ep, "cp": self.cp}
        optional = {"etp": self.etp, "micro-batches": self.micro_batches}
        flags |= {"vocabulary-multiple": self.vocabulary_multiple, "chunks": self.virtual_stages}
        flags |= {**{flag: size for flag, size in optional.items() if size is not None}}
        for flag, size in flags.items():
            if type(size) is not int or size < 1:
                raise SizeError(f"{flag} is {short_repr(size)}; it is a whole number from 1 on", where=f"--{flag}")
        if self.zero not in (0, 1, 2, 3):
            raise SizeError(f"{short_repr(self.zero)} is no ZeRO stage", where="--zero", hint="0, 1, 2 or 3")
        if self.dp * self.tp % (self.ep * (self.etp or self.tp)):
            hint = "experts are spread over the data-parallel ranks"
            if self.etp is None:
                raise SizeError(f"ep ({self.ep}) does not divide dp ({self.dp})", where="--ep", hint=hint)
            ranks = f"ep · etp ({self.ep * self.etp})"
            raise SizeError(f"{ranks} does not divide dp · tp ({self.dp * self.tp})", where="--etp", hint=hint)
        if self.virtual_stages > 1 and self.pp == 1:
            raise SizeError("an interleaved pipeline has at least two stages", where="--chunks")

    @property
    def ranks(self) -> int:
        """All ranks."""
        return self.dp * self.tp * self.pp * self.cp

    @property
    def batches(self) -> int:
        """Micro-batches of a step."""
        return self.micro_batches or self.pp

    @property
    def replicas(self) -> int:
        """Ranks that hold the same tensors, those of experts aside."""
        return self.dp * self.cp

    @property
    def expert_replicas(self) -> int:
        """Ranks that hold the same experts."""
        return self.dp * self.tp // (self.ep * (self.etp or self.tp))

    def padded(self, length: int) -> int:
        """The vocabulary as it is stored by tensor-parallel ranks."""
        multiple = self.vocabulary_multiple * self.tp
        return length if self.tp == 1 else -(-length // multiple) * multiple

    def divisor(self, axis: str, length: int, expert: bool = False) -> int:
        """By how much the mesh divides an axis. Key/value heads fewer than the ranks are replicated.

        Raises:
            SizeError: the ranks do not divide the axis.
        """
        if axis == EXPERT_AXIS:
            return _dividing("ep", self.ep, axis, length)
        ranks = (self.etp or self.tp) if expert else self.tp
        if axis not in TENSOR_AXES or ranks == 1:
            return 1
        if axis == VOCABULARY_AXIS:
            return ranks
        if axis in REPLICATED_AXES and ranks % length == 0:
            return length
        return _dividing("tp", ranks, axis, length)

    def share_of_activation(self, axes: tuple[str, ...], declaration: Declaration, count: int) -> int:
        """Elements of an activation on one rank."""
        if self.tp == 1 and self.cp == 1:
            return count
        divided = 1
        for axis in axes:
            length = declaration.axes.get(axis)
            if isinstance(length, int) and axis != EXPERT_AXIS:
                divided = max(divided, self.divisor(axis, length, "j" in axes))
        if divided == 1 and self.sp:
            divided = self.tp
        return -(-count // (divided * self.cp))

    def share_of_weight(self, tensor: Tensor, declaration: Declaration, count: int) -> int:
        """Elements of a weight on one rank of the tensor- and expert-parallel groups."""
        divided = experts = 1
        for axis in tensor.axes:
            length = declaration.axes[axis]
            assert isinstance(length, int)
            if axis == EXPERT_AXIS and tensor.active:
                experts = self.divisor(axis, length)
            elif axis == IDLE_AXIS and tensor.active:  # rows of experts that compute nothing are on every rank
                computing = declaration.axes[EXPERT_AXIS]
                assert isinstance(computing, int)
                own = computing // self.divisor(EXPERT_AXIS, computing) + length - computing
                count = count // length * own
            elif axis != EXPERT_AXIS:
                if axis == VOCABULARY_AXIS and tensor.table != "other":
                    count = count // length * self.padded(length)
                divided = max(divided, self.divisor(axis, length, tensor.active is not None))
        return count // (divided * experts)


def _dividing(flag: str, ranks: int, axis: str, length: int) -> int:
    if length % ranks:
        hint = f"give a number that divides {length}"
        raise SizeError(f"{flag} ({ranks}) does not divide {name_of(axis)} ({length})", where=f"--{flag}", hint=hint)
    return ranks
