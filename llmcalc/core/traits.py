"""Layer kind traits that cannot be derived from equations, such as the axes that parallelism shards.

Calculators, the linter and reports use these traits and do not depend on specific kinds or field names.
"""

from __future__ import annotations

from functools import cache

from .axes import GLOSSARY, read_axes
from .record import record
from .type_names import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from .declaration import Tensor
    from .equation import Equation

# classes of number formats (see ``Traits.number_class``)
MATRIX, EMBEDDING, HEAD, NORM, ROUTER, EXPERTS = "matrix", "embedding", "head", "norm", "router", "experts"


@record
class Parallel:
    """Sharding of a kind's axes across ranks. Each attribute lists axes, separated by spaces.

    A contraction over a sharded axis produces a partial sum on each rank. Partial sums are reduced over the
    expert-parallel ranks for ``expert`` axes, and over the tensor-parallel ranks for all other sharded axes.

    Attributes:
        tensor: axes sharded by tensor parallelism, such as heads and hidden widths.
        replicated: tensor-parallel axes that are replicated if they are shorter than the number of ranks.
        vocabulary: tensor-parallel axes that are padded to a multiple of the number of ranks.
        expert: axes sharded by expert parallelism.
        null_experts: expert axes that end with null experts. The entries of null experts are replicated.
        whole: axes that are never sharded.
    """

    tensor: str = ""
    replicated: str = ""
    vocabulary: str = ""
    expert: str = ""
    null_experts: str = ""
    whole: str = ""


@record
class Roles:
    """Roles of a kind's size fields. Each attribute lists fields or paths in parts, separated by spaces.

    Attributes:
        heads: number of query heads.
        state_heads: number of state-space heads.
        kv_heads: number of key/value heads.
        head_widths: width of a head.
        hidden: hidden width of a feed-forward layer or mixer.
        experts: number of routed experts.
        active_experts: number of routed experts per token.
        windows: length of a sliding attention window.
        chunks: chunk length of attention or of a scan.
        vocabulary: number of rows of a token table.
        widths: input and output widths other than ``d_model``.
    """

    heads: str = ""
    state_heads: str = ""
    kv_heads: str = ""
    head_widths: str = ""
    hidden: str = ""
    experts: str = ""
    active_experts: str = ""
    windows: str = ""
    chunks: str = ""
    vocabulary: str = ""


@record
class ModuleTensors:
    """Tensors of a kind that belong to one module of eager code, for which it is known what autograd saves.

    Attributes:
        gate: gate of a gated feed-forward layer.
        up: up-projection of this layer.
        activated: gate after the activation function.
        gated: product of the gate and the up-projection.
        output_gate: gate of the output of a recurrence.
        output_norm: weight of the norm of this output.
        decay: weight of the decay in a recurrence.
    """

    gate: str = ""
    up: str = ""
    activated: str = ""
    gated: str = ""
    output_gate: str = ""
    output_norm: str = ""
    decay: str = ""


@record
class Stored:
    """States of a kind by what they store. Each attribute lists states or axes, separated by spaces.

    Attributes:
        values: states that store values of attention, which an engine may cache in a format of their own.
        latents: states that stand for the keys and values of all heads. The first one also stands for the values.
        pending: states of tokens that the next summary covers, with a value and a gate for each.
        head_keys: axes of these keys.
        head_values: axes of these values.
    """

    values: str = ""
    latents: str = ""
    pending: str = ""
    head_keys: str = ""
    head_values: str = ""


GATED_MLP = ModuleTensors(gate="g", up="u", activated="a", gated="m")


class Traits:
    """Base class for layers that defines the default traits.

    Attributes:
        KIND: name of the kind if its module defines several kinds; not inherited.
        AXES: lines with the letters, name and meaning of each axis that only this kind uses.
        PARALLEL: axes that parallelism shards, in addition to those of the base classes.
        ROLES: fields by role, in addition to those of the base classes.
        MODULE_TENSORS: tensors of modules of eager code.
        STORED: states by what they store.
        LAYOUT_NAMES: names in checkpoint layouts of layers that set a field, by field.
        NUMBER_CLASS: class of number formats for the weights.
        HAS_ORDER: whether the output always depends on the order of the tokens.
        HAS_NORM: whether the kind is a norm over the full width or contains one.
        IS_RECURRENT: whether the kind mixes tokens with a recurrence or a long convolution instead of attention.
        IS_FEED_FORWARD: whether the kind is the feed-forward layer of a block, which never mixes tokens.
        IS_TEXT: whether a preset defines the kind, so that its NumPy model follows from its equations.
        IN_ANY_BLOCK: whether the kind can be a sub-layer of any block because it accesses only the residual stream.
        COUNTS_SUMS: whether the kind attends to the sums of earlier layer groups (see ``core/layer_history.py``).
    """

    KIND: ClassVar[str] = ""
    AXES: ClassVar[str] = ""
    PARALLEL: ClassVar[Parallel] = Parallel(whole="d one")
    ROLES: ClassVar[Roles] = Roles()
    MODULE_TENSORS: ClassVar[ModuleTensors] = ModuleTensors()
    STORED: ClassVar[Stored] = Stored()
    LAYOUT_NAMES: ClassVar[dict[str, str]] = {}
    NUMBER_CLASS: ClassVar[str] = MATRIX
    HAS_ORDER: ClassVar[bool] = False
    HAS_NORM: ClassVar[bool] = False
    IS_RECURRENT: ClassVar[bool] = False
    IS_FEED_FORWARD: ClassVar[bool] = False
    IS_TEXT: ClassVar[bool] = False
    IN_ANY_BLOCK: ClassVar[bool] = True
    COUNTS_SUMS: ClassVar[bool] = False

    @classmethod
    def kind(cls) -> str:
        """Return the name of the kind, which is the name of its module unless the class sets ``KIND``."""
        return vars(cls).get("KIND") or cls.__module__.rpartition(".")[2]

    def layout_name(self) -> str:
        """Return the name of the layer in checkpoint layouts, which is the kind or a name in ``LAYOUT_NAMES``."""
        return next((name for field, name in self.LAYOUT_NAMES.items() if getattr(self, field)), self.kind())

    def component(self) -> str:
        """Return the name under which breakdowns list the layer, such as ``short conv``."""
        return self.kind().replace("_", " ")

    def tensor_component(self, tensor: Tensor, part: tuple[str, ...] = ()) -> str:
        """Return the name under which parameter breakdowns list a tensor of this layer or its inner layer ``part``."""
        return tensor.component or (f"{tensor.table} embedding" if tensor.table else self.component())

    def equation_component(self, equation: Equation, part: tuple[str, ...] = ()) -> str:
        """Return the name under which FLOP breakdowns list an equation of this layer or its inner layer ``part``."""
        return f"{self.component()} core" if "core" in equation.tags else self.component()

    def number_class(self, tensor: Tensor) -> str:
        """Return the class of number formats for a tensor of this layer."""
        return EMBEDDING if tensor.table else self.NUMBER_CLASS

    def has_order(self) -> bool:
        """Return whether the output depends on token order for reasons other than a causal mask."""
        return self.HAS_ORDER or self.IS_RECURRENT

    def attention_direction(self) -> str:
        """Return ``causal`` or ``both`` for self-attention, or an empty string for other kinds."""
        return ""

    def idle_parameters(self) -> Iterator[tuple[str, str, int]]:
        """Yield (field, reason, number of parameters) for trained parameters that do not affect the output."""
        return iter(())

    def expert_groups_of(self) -> tuple[int, int]:
        """Return the number of groups of experts, and of those that a token's experts are in."""
        return 1, 1

    def undeclared_collectives(self) -> str:
        """Return which collectives of tensor parallelism do not follow from the equations, or an empty string."""
        return ""

    def ends_group(self) -> bool:
        """Return whether this layer ends a group of layers. Later layers attend to the sum of the group."""
        return False

    def with_sums(self, n_sums: int) -> Self:
        """Return a layer that attends to ``n_sums`` earlier sums. Without ``COUNTS_SUMS``, the layer is unchanged."""
        return self

    def sizes(self, role: str) -> Iterator[tuple[str, int]]:
        """Yield (field, value) for every nonzero field with the given role, such as ``heads`` or ``frames.chunk``."""
        for name in role_fields(type(self))[role]:  # type: ignore[arg-type]
            first, _, inner = name.partition(".")
            value = vars(self)[first]
            value = getattr(value, inner) if inner and value else value
            if value:
                yield name, value


@cache
def role_fields(kind: type[Traits]) -> dict[str, tuple[str, ...]]:
    """Return the fields of a kind by role, including inherited fields."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys(vars(Roles()), ())
    for base in _bases(kind):
        for role, names in vars(base.ROLES).items():
            found[role] = tuple(dict.fromkeys((*found[role], *names.split())))
    return found


@cache
def glossary(kind: type[Traits]) -> dict[str, tuple[str, str]]:
    """Return the name and meaning of each common axis and of each axis that only this kind uses."""
    found = dict(GLOSSARY)
    for base in _bases(kind):
        found |= read_axes(base.AXES.splitlines())
    return found


@cache
def divisions(kind: type[Traits]) -> dict[str, str]:
    """Return a mapping from the axes of a kind to the attributes of ``Parallel`` that list them."""
    found: dict[str, str] = {}
    for base in _bases(kind):
        for rule, axes in vars(base.PARALLEL).items():
            found |= dict.fromkeys(axes.split(), rule)
    return found


def _bases(kind: type[Traits]) -> list[type[Traits]]:
    return [base for base in reversed(kind.__mro__) if issubclass(base, Traits)]
