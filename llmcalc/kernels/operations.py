"""Operations of a step, such as matrix products and attention, read from the equations of an architecture.

Each operation has the sizes of one rank, as closed forms of the workload:

    Gemm          a contraction of activations with weights. Contractions of the same activation are one product
    GroupedGemm   contractions with the weights of routed experts, and the functions between them
    Attention     contractions over the cached and new tokens, with the functions that a fused kernel computes
    Scan          a recurrence with a state of fixed size
    Convolution   a depthwise convolution over the last tokens
    Elementwise   a sequence of other equations, of which a kernel reads the inputs and writes the outputs
"""

from __future__ import annotations

from functools import cached_property

from ..calc.flops import component
from ..calc.walk import Placed
from ..calc.work import MAC, Work
from ..core.declaration import Tensor
from ..core.form import Form
from ..core.record import record
from ..core.type_names import ClassVar

RECURRENT = "recurrent"  # role of the state of a recurrence
CONVOLVED = "conv"  # role of the tokens that a convolution keeps


@record
class Weight:
    """A weight of an operation, and the number of its elements on one rank."""

    tensor: Tensor
    elements: int


@record
class Operation:
    """Equations of one layer that one kernel, or the kernels of one library call, compute.

    Attributes:
        place: layer of the equations.
        works: equations with their FLOPs on all ranks.
        weights: weights that the operation reads.
        activations: number of elements of activations that a rank reads and writes, in one application of the layer.
        cached: number of elements of cached keys and values that a rank reads and writes.
        states: number of elements of recurrent states that a rank reads and writes.
        number_class: class of number formats of the weights, or empty.
    """

    place: Placed
    works: tuple[Work, ...]
    weights: tuple[Weight, ...]
    activations: Form
    cached: Form
    states: Form
    number_class: str

    @cached_property
    def size(self) -> Form:
        """Size that the cost of a product or of functions depends on: tokens, or elements that are read and written."""
        return self.activations + self.cached + self.states

    @property
    def sizes(self) -> tuple[object, ...]:
        """All values but the layer and its equations."""
        return tuple(map(self.__dict__.__getitem__, self.__match_args__[2:]))

    @property
    def count(self) -> int:
        """Number of applications in one step."""
        return self.place.entry.applied

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the computed tensors."""
        return tuple(dict.fromkeys([work.equation.out.name for work in self.works]))

    @cached_property
    def component(self) -> str:
        """Name of the component in breakdowns."""
        return component(next((work for work in self.works if work.matmul), self.works[0]))

    @property
    def key(self) -> tuple[object, ...]:
        """Position in the model, which is the same in prefill and decode steps."""
        entry = self.place.entry
        return (type(self), entry.stack.name, entry.section, entry.run, entry.number, entry.name, self.place.part)


@record
class Gemm(Operation):
    """``batch`` products of a ``rows`` x ``inner`` matrix of activations with an ``inner`` x ``columns`` matrix."""

    rows: Form
    columns: int
    inner: int
    batch: int

    @cached_property
    def size(self) -> Form:
        """Number of rows."""
        return self.rows

    @property
    def flops(self) -> Form:
        """FLOPs of one application on a rank."""
        return self.rows * (MAC * self.columns * self.inner * self.batch)


@record
class GroupedGemm(Operation):
    """Products of the rows of ``tokens`` tokens with the matrices of the experts that each token selects.

    Attributes:
        tokens: number of tokens.
        experts: number of experts on all ranks.
        chosen: number of experts per token.
        matrices: inner and outer lengths of the matrices of one expert, on one of the ranks that share the expert.
    """

    tokens: Form
    experts: int
    chosen: int
    matrices: tuple[tuple[int, int], ...]

    @cached_property
    def size(self) -> Form:
        """Number of tokens."""
        return self.tokens

    @property
    def flops(self) -> Form:
        """FLOPs of one application over all ranks that have different experts."""
        return self.tokens * (MAC * self.chosen * sum(inner * outer for inner, outer in self.matrices))


@record
class Attention(Operation):
    """Attention of ``queries`` tokens per sequence.

    Attributes:
        sequences: number of sequences.
        queries: number of new tokens per sequence.
        pairs: number of visible (query, key) pairs per sequence.
        heads, key_heads: number of query heads, and of heads of keys and values, on one rank.
        key_width, value_width: widths of a key head and of a value head.
        key_elements: number of elements of keys and values per token on one rank.
        other_flops: FLOPs of contractions that read neither keys nor values, such as sums of scores over heads.
        is_latent: whether keys and values are the same tensor.
        is_expanded: whether keys and values are computed from cached latents.
    """

    sequences: Form
    queries: Form
    pairs: Form
    heads: int
    key_heads: int
    key_width: int
    value_width: int
    key_elements: int
    other_flops: Form
    is_latent: bool
    is_expanded: bool

    @cached_property
    def has_sinks(self) -> bool:
        """Whether a weight is a score of each softmax."""
        weights = {each.tensor.name for each in self.weights}
        equations = (each.equation for each in self.works if (each.equation.function or "").startswith("softmax"))
        return any(operand.name in weights for each in equations for operand in each.operands)

    @property
    def flops(self) -> Form:
        """FLOPs of one application on a rank."""
        widths = self.key_width + self.value_width
        return self.sequences * self.pairs * (MAC * self.heads * widths) + self.other_flops


@record
class Recurrence(Operation):
    """Equations over the tokens of each sequence that keep a state of ``state_elements`` elements on one rank."""

    sequences: Form
    tokens: Form
    state_elements: int

    ROLE: ClassVar[str]  # of the state


@record
class Scan(Recurrence):
    """A recurrence. ``flops`` are the FLOPs of the contractions of one application on a rank."""

    flops: Form

    ROLE: ClassVar[str] = RECURRENT

    @cached_property
    def decays_channels(self) -> bool:
        """Whether each channel of a key has a decay of its own, so that products of queries and keys are weighted."""
        weighted = {
            axis for each in self.works if "elementwise" in each.equation.tags for axis in each.equation.contracted
        }
        return any(weighted & {*state.axes} for state in self.place.states if state.role == RECURRENT)


@record
class Convolution(Recurrence):
    """A depthwise convolution with ``taps`` taps of ``channels`` channels on one rank, over the tokens of sequences."""

    channels: int
    taps: int

    ROLE: ClassVar[str] = CONVOLVED

    @property
    def flops(self) -> Form:
        """FLOPs of one application on a rank."""
        return self.sequences * self.tokens * (MAC * self.channels * self.taps)


@record
class Elementwise(Operation):
    """Functions and small contractions, of which a kernel reads the inputs and writes the outputs.

    ``flops`` are the FLOPs of the contractions of one application on a rank.
    """

    flops: Form
