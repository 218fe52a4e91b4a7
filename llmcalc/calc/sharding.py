"""Axis sharding for tensor, expert and context parallelism, and tensor sizes on one rank."""

from __future__ import annotations

from ..core.declaration import Declaration, Tensor
from ..core.equation import Equation
from ..core.errors import SizeError, UnsupportedError
from ..core.record import record
from ..core.setting import Setting, check_fields

TENSOR_DIVISIONS = ("tensor", "replicated", "vocabulary")  # axes that tensor parallelism divides

MESH = (
    Setting("dp", int, least=1, usual=1, help="Number of data-parallel ranks."),
    Setting("tp", int, least=1, usual=1, help="Number of tensor-parallel ranks."),
    Setting("pp", int, least=1, usual=1, help="Number of pipeline stages."),
    Setting("ep", int, least=1, usual=1, needs=("experts",),
            help="Number of expert-parallel ranks (a subset of the data- and tensor-parallel ranks)."),
    Setting("etp", int, least=1, like="tp", needs=("experts",),
            help="Number of tensor-parallel ranks per expert (default: {tp}, or the ranks left by {ep})."),
    Setting("cp", int, least=1, usual=1, needs=("training",), help="Training: number of context-parallel ranks."),
    Setting("micro_batches", int, least=1, like="pp", needs=("training",),
            help="Training: number of micro-batches per step (default: {pp})."),
    Setting("vocabulary_multiple", int, least=1, usual=128, needs=("tp",),
            help="Pad the vocabulary to a multiple of N times {tp} (default: 128)."),
    Setting("virtual_stages", int, least=1, usual=1, needs=("training", "pp"),
            help="Training: number of model chunks per pipeline stage (interleaved schedule)."),
    Setting("sp", bool, usual=False, needs=("training", "tp"),
            help="Training: use sequence parallelism (requires {tp})."),
    Setting("zero", int, choices=(0, 1, 2, 3), usual=0, needs=("training", "replicas"), metavar="STAGE",
            help="Training: ZeRO stage (1, 2 or 3; 3 is FSDP)."),
)  # fmt: skip


@record
class Mesh:
    """Number of ranks for each kind of parallelism.

    >>> Mesh(dp=8, tp=2, zero=1).ranks
    16

    Attributes:
        dp: number of data-parallel ranks.
        tp: number of tensor-parallel ranks, which shard heads, hidden widths and the vocabulary.
        pp: number of pipeline stages.
        ep: number of expert-parallel ranks, which are a subset of the data- and tensor-parallel ranks, and with ``etp``
            also of the context-parallel ones.
        cp: number of context-parallel ranks, which shard each sequence.
        etp: number of tensor-parallel ranks per expert (default: ``tp``, or the rest of the data- and tensor-parallel
            ranks if the experts also span tensor-parallel ranks, as in serving engines).
        sp: whether sequence parallelism shards activations that ``tp`` replicates [korthikanti2022].
        zero: ZeRO stage; 1 shards optimizer states, 2 also gradients, 3 also weights [rajbhandari2019].
        micro_batches: number of micro-batches per step (default: ``pp``).
        virtual_stages: number of model chunks per stage of an interleaved pipeline.
        vocabulary_multiple: the vocabulary is padded to a multiple of ``vocabulary_multiple * tp`` (Megatron-LM: 128).
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
        check_fields(self, MESH)
        context = self.cp if self.etp else 1  # experts with ranks of their own are also divided over those of a context
        if self.dp * self.tp * context % (self.ep * (self.etp or 1)):
            hint = "expert-parallel ranks are a subset of the data- and tensor-parallel ranks"
            ranks = f"ep ({self.ep})" if self.etp is None else f"ep · etp ({self.ep * self.etp})"
            product = "dp · tp" if context == 1 else "dp · tp · cp"
            text = f"{ranks} does not divide {product} ({self.dp * self.tp * context})"
            raise SizeError(text, parameter="etp" if self.etp else "ep", hint=hint)
        if self.virtual_stages > 1 and self.pp == 1:
            message = "an interleaved pipeline requires at least two stages"
            raise SizeError(message, parameter="virtual_stages", hint="add {pp=N}")

    @property
    def ranks(self) -> int:
        """Total number of ranks."""
        return self.dp * self.tp * self.pp * self.cp

    @property
    def batches(self) -> int:
        """Number of micro-batches per step."""
        return self.micro_batches or self.pp

    @property
    def replicas(self) -> int:
        """Number of ranks that store the same tensors, excluding routed experts."""
        return self.dp * self.cp

    @property
    def expert_tp(self) -> int:
        """Number of tensor-parallel ranks per expert."""
        return self.etp or (self.dp * self.tp // self.ep if self.dp % self.ep else self.tp)

    @property
    def expert_replicas(self) -> int:
        """Number of ranks that store the same routed experts."""
        return self.dp * self.cp * self.tp // (self.ep * self.expert_tp)

    @property
    def division(self) -> tuple[int | bool | None, ...]:
        """Values that determine the share of a tensor on one rank, which is the same for any number of replicas."""
        return self.tp, self.cp, self.sp, self.ep, self.etp, self.expert_tp, self.vocabulary_multiple

    def division_of(self, *declarations: Declaration) -> tuple[int | bool | None, ...]:
        """Return the values that determine the share of the tensors of layers. Only experts depend on all of them."""
        for declaration in declarations:
            if declaration.has_divided_experts:
                return self.division
        return self.tp, self.cp, self.sp, self.vocabulary_multiple

    def padded(self, length: int) -> int:
        """Return a vocabulary size padded for tensor parallelism."""
        multiple = self.vocabulary_multiple * self.tp
        return length if self.tp == 1 else -(-length // multiple) * multiple

    def group(self, division: str, routed: bool = False) -> tuple[str, int]:
        """Return the name and size of the group of ranks that shards an axis and reduces sums over this axis.

        Args:
            division: name of an attribute of ``Parallel``.
            routed: whether the axis belongs to routed experts.
        """
        if division in ("", "whole"):
            return "", 1
        if division in ("expert", "null_experts"):
            return "ep", self.ep
        is_own = routed and (self.etp is not None or self.expert_tp != self.tp)
        return ("etp", self.expert_tp) if is_own else ("tp", self.tp)

    def divisor(self, declaration: Declaration, axis: str, routed: bool = False) -> int:
        """Return the number of shards of an axis. Key/value heads are replicated if there are fewer heads than
        ranks.
        """
        division, length = declaration.divisions.get(axis, ""), int(declaration.axes[axis])
        group, ranks = self.group(division, routed)
        if division == "replicated" and ranks % length == 0:
            return min(ranks, length)
        if length % ranks and division != "vocabulary":
            name, hint = "ep" if group == "ep" else "tp", f"use a divisor of {length}"
            text = f"{name} ({ranks}) does not divide {declaration.name_of(axis)} ({length})"
            raise SizeError(text, parameter=name, hint=hint)
        return ranks

    def reduction(self, equation: Equation, declaration: Declaration) -> tuple[str, int]:
        """Return the group of ranks over which the result of an equation is summed, and the number of ranks.

        A sum over a sharded axis gives a partial sum on each rank. A lookup in a sharded table also requires a sum
        because only one rank stores the row. The group is empty if every rank already has the full result.
        """
        chosen, named = declaration.expert_axes, (equation.out, *equation.operands)
        routed = bool(chosen) and any(not chosen.isdisjoint(operand.axes) for operand in named)
        summed = set(equation.contracted)
        if equation.function == "gather":
            names = {operand.name for operand in equation.operands}
            tables = (tensor for tensor in declaration.tensors if tensor.name in names)
            summed |= {axis for tensor in tables for axis in tensor.axes} - set(equation.out.axes)
        divisions = [(axis, declaration.divisions.get(axis, "")) for axis in summed]
        shards = [(self.divisor(declaration, axis, routed), own) for axis, own in divisions if own in TENSOR_DIVISIONS]
        ranks, division = max(shards, default=(1, ""))
        return (self.group(division, routed)[0], ranks) if ranks > 1 else ("", 1)

    def shards(self, axes: tuple[str, ...], declaration: Declaration) -> int:
        """Return the number of ranks over which tensor parallelism divides a tensor with these axes."""
        divided = 1
        if 1 == self.tp == self.expert_tp:
            return divided
        routed, division_of = not declaration.expert_axes.isdisjoint(axes), declaration.divisions
        for axis in axes:
            if division_of.get(axis) in TENSOR_DIVISIONS and isinstance(declaration.axes.get(axis), int):
                divided = max(divided, self.divisor(declaration, axis, routed))
        return divided

    def share_of_activation(self, axes: tuple[str, ...], declaration: Declaration, count: int) -> int:
        """Return the number of activation elements on one rank."""
        if self.tp == 1 and self.cp == 1:
            return count
        divided = self.shards(axes, declaration)
        if divided == 1 and self.sp:
            divided = self.tp
        # each rank computes an equal share of the routed tokens
        if self.etp is None and not declaration.expert_axes.isdisjoint(axes):
            divided *= max(1, self.tp // self.expert_tp)
        return -(-count // (divided * self.cp))

    def share_of_weight(self, tensor: Tensor, declaration: Declaration, count: int) -> int:
        """Return the number of weight elements on one rank before ZeRO sharding.

        Raises:
            UnsupportedError: if the layer kind does not declare how tensor parallelism shards an axis.
        """
        if self.tp == self.ep == self.expert_tp == 1:
            return count
        divided = experts = 1
        for axis in tensor.axes:
            division, length = declaration.divisions.get(axis, ""), int(declaration.axes[axis])
            if not division and self.tp > 1:
                raise UnsupportedError(_undeclared(tensor, declaration, axis), parameter="tp")
            if division == "null_experts" and tensor.active:
                routed = next(axis for axis in declaration.axes if declaration.division(axis) == "expert")
                computing = int(declaration.axes[routed])
                own = computing // self.divisor(declaration, routed) + length - computing
                count = count // length * own
            elif division == "expert":
                experts *= self.divisor(declaration, axis) if tensor.active else 1
            elif division in TENSOR_DIVISIONS:
                if division == "vocabulary" and tensor.table != "other":
                    count = count // length * self.padded(length)
                divided = max(divided, self.divisor(declaration, axis, tensor.active is not None))
        return count // (divided * experts)


def _undeclared(tensor: Tensor, declaration: Declaration, axis: str) -> str:
    kind = declaration.layer.kind() if declaration.layer else "the layer kind"
    return f"{kind} does not declare how tensor parallelism divides the axis {axis!r} of {tensor.name}"
