"""Times of the kernels of a training step, with the forms and coefficients of serving.

The backward pass of a product is two products: the gradient of the activations, with the same weights, and the gradient
of the weights, a product that sums over the tokens. That of attention computes the scores again, so that it has five
products for the two of the forward pass. Kernels without contractions read and write the elements that autograd needs.

Two coefficients are fitted to published steps (``data/training_time.yaml``): how much longer a product takes than in a
brief measurement, because the clock of a busy accelerator is lower, and the time of each operation that the forms lack,
such as launches and kernels that a framework does not fuse.
"""

from __future__ import annotations

from typing import Any

from ..calc.memory.number_formats import BITS_A_BYTE, Format
from ..calc.sharding import Mesh
from ..core.arrays import Number
from ..core.record import NamedTuple, changed, record
from ..estimate.hardware import Accelerator
from ..kernels import kernels
from ..kernels.cost import ACTIVATION_BYTES
from ..kernels.efficiency import Efficiencies, Operands
from ..kernels.kernel_costs import KernelCosts, Values
from ..kernels.operations import CONVOLVED, RECURRENT, Attention, Elementwise, Gemm, GroupedGemm, Operation
from ..kernels.step_operations import PREFILL
from ..kernels.tiles import MICRO

SIXTEEN_BITS = Format("bf16", 16)
STATES = {RECURRENT: 4.0, CONVOLVED: 2.0}  # bytes per element
ATTENTION_BACKWARD = 2.5 / 0.85  # five products instead of two, at a lower rate (FlashAttention-2 and -3)
CAST_BYTES = 4  # per element of an operand in 8 bits: read in 16, and written twice (also transposed)
LOGIT_BYTES = 36  # per logit: casts to 32 bits and back, log-softmax, loss, and their gradients


@record
class TrainingCoefficients:
    """Coefficients that are fitted to published steps.

    Attributes:
        sustained: time of products, attention and recurrences, relative to that of a brief measurement.
        operation_us: microseconds of an operation in each pass.
    """

    sustained: float
    operation_us: float


class Passes(NamedTuple):
    """Seconds of an operation in the forward and the backward pass."""

    forward: float
    backward: float


class TrainingKernels(KernelCosts):
    """Times of the operations of a micro-batch on one rank.

    Matrices of blocks are multiplied in one number format, and those outside the blocks in 16 bits. All experts receive
    the same number of tokens.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        mesh: Mesh,
        number_format: Format,
        measured: Efficiencies,
        coefficients: TrainingCoefficients,
    ) -> None:
        super().__init__(accelerator, mesh, SIXTEEN_BITS, STATES, measured)
        self.in_blocks = measured.operands(accelerator, number_format)
        self.fitted = coefficients

    def operands(self, operation: Operation) -> Operands:
        """Return how the accelerator computes with the weights of an operation."""
        return self.plain if operation.place.entry.run is None else self.in_blocks

    def received(self, tokens: Number, operation: GroupedGemm) -> tuple[Number, Number]:
        """Return the rows and the touched experts of each expert-parallel rank."""
        rows = tokens * operation.chosen / self.mesh.ep
        return rows, min(operation.experts / self.mesh.ep, rows)

    def passes(self, operation: Operation, both: Operation, values: Values) -> Passes:
        """Return the times of an operation. ``both`` moves the elements of the forward and the backward pass."""
        if isinstance(operation, Elementwise):
            found = self._elementwise(operation, both, values)
        else:
            found = Passes(*(self.fitted.sustained * each for each in self._computed(operation, values)))
        own = self.fitted.operation_us * MICRO
        return Passes(found.forward + own, found.backward + 2 * own)

    def loss(self, logits: float) -> float:
        """Return the time of the cross-entropy and its gradient."""
        return self.moving(logits * LOGIT_BYTES)

    def moving(self, moved: float) -> float:
        """Return the time to read and write a number of bytes."""
        return float(kernels.elementwise(moved, self.device, self.coefficients("elementwise")))

    def _computed(self, operation: Operation, values: Values) -> Passes:
        if isinstance(operation, Gemm):
            return self._product(operation, float(operation.rows(**values)))
        if isinstance(operation, GroupedGemm):
            return self._experts(operation, float(operation.tokens(**values)))
        if isinstance(operation, Attention):
            forward = _seconds(self.attention(operation, PREFILL, values, 1))
            return Passes(forward, forward * ATTENTION_BACKWARD)
        forward = _seconds(self.recurrence(operation, PREFILL, values))
        return Passes(forward, 2 * forward)

    def _product(self, operation: Gemm, rows: float) -> Passes:
        own, n, k, batch = self.operands(operation), operation.columns, operation.inner, operation.batch
        width = own.activation_bytes
        weights = _elements(operation) * width
        forward = _seconds(self.gemm(operation, rows, weights))
        of_inputs = _seconds(self.gemm(changed(operation, columns=k, inner=n), rows, weights))
        of_weights = _seconds(self.gemm(changed(operation, inner=rows), float(k), rows * n * batch * width))
        if width < ACTIVATION_BYTES:
            forward += self.moving(CAST_BYTES * rows * k * batch)
            of_inputs += self.moving(CAST_BYTES * rows * n * batch)
        return Passes(forward, of_inputs + of_weights)

    def _experts(self, operation: GroupedGemm, tokens: float) -> Passes:
        weights, width = _elements(operation), self.operands(operation).activation_bytes
        forward = _seconds(self.grouped(operation, tokens, weights * width))
        of_weights = _seconds(self.grouped(operation, tokens, weights * 2 * ACTIVATION_BYTES))  # read and written
        return Passes(forward, forward + of_weights)

    def _elementwise(self, operation: Elementwise, both: Operation, values: Values) -> Passes:
        weights = _elements(operation) * SIXTEEN_BITS.bits_per_weight / BITS_A_BYTE
        elements, total = float(operation.size(**values)), float(both.size(**values))
        forward = _seconds(self.elementwise(operation, elements, weights))
        rest = max(total - elements, 0.0)
        return Passes(forward, _seconds(self.elementwise(operation, rest, weights)) if rest else 0.0)


def _elements(operation: Operation) -> int:
    """Return the number of elements of all weights of an operation on one rank."""
    return sum(weight.elements for weight in operation.weights)


def _seconds(found: tuple[Any, Any]) -> float:
    return float(found[0].seconds)
