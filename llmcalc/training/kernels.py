"""Work of the operations of a training step, with the forms and coefficients of the kernels of serving.

The backward pass of a product is two products: the gradient of the activations, with the same weights, and the gradient
of the weights, a product that sums over the tokens. That of attention computes the scores again, so that it has five
products for the two of the forward pass. Kernels without contractions read and write the elements that autograd needs.

Attention whose scores are stored computes all pairs of queries and keys, in products and kernels that read and write
the scores.
"""

from __future__ import annotations

from collections.abc import Hashable

from ..calc.memory.number_formats import BITS_A_BYTE, Format
from ..calc.memory.optimizer import Adapters
from ..calc.sharding import Mesh
from ..core.arrays import Number
from ..core.record import changed, record
from ..core.type_names import Any
from ..estimate.hardware import Accelerator
from ..kernels import kernels
from ..kernels.cost import ACTIVATION_BYTES
from ..kernels.efficiency import Efficiencies, Operands
from ..kernels.kernel_costs import KernelCosts, Values
from ..kernels.operations import CONVOLVED, RECURRENT, Attention, Elementwise, Gemm, GroupedGemm, Operation
from ..kernels.step_operations import PREFILL
from .schedule import Work

SIXTEEN_BITS = Format("bf16", 16)
STATES = {RECURRENT: 4.0, CONVOLVED: 2.0}  # bytes per element
ATTENTION_BACKWARD = 2.5 / 0.85  # five products instead of two, at a lower rate (FlashAttention-2 and -3)
CAST_BYTES = 4  # per element of an operand in 8 bits: read in 16, and written twice (also transposed)
LOGIT_BYTES = 36  # per logit: casts to 32 bits and back, log-softmax, loss, and their gradients
SCORE_BYTES = 9, 11  # per stored score: masked softmax and dropout, read and written in 16 bits, with a mask of a byte
FLASH, STORED = "flash", "eager"  # attention without and with stored scores
# kernels of the forward and the backward pass
OF_PRODUCT, OF_CASTS, OF_EXPERTS, OF_ATTENTION, OF_STORED, OF_SCAN, OF_FUNCTIONS, OF_SUM, OF_LOSS = (
    (1, 2), (1, 2), (8, 14), (2, 3), (7, 9), (6, 10), (1.3, 2), (1, 1), (6, 6),
)  # fmt: skip

Passes = tuple[Work, Work]  # of the forward and the backward pass


@record
class Execution:
    """How a program executes the operations of a step.

    Attributes:
        attention: ``flash``, or ``eager`` if it stores the scores.
        slower_attention: time of its attention kernels, relative to the measured ones.
        is_compiled: whether a compiler fuses functions.
        adapters: low-rank adapters, if only these are trained.
        dispatcher: ``deepep`` if a token is sent to its experts once per rank and node, or empty.
        gradient_bits: bits per element of gradients that replicas exchange.
    """

    attention: str = FLASH
    slower_attention: float = 1.0
    is_compiled: bool = False
    adapters: Adapters | None = None
    dispatcher: str = ""
    gradient_bits: int = 16


class TrainingKernels(KernelCosts):
    """Work of the operations of a micro-batch on one rank.

    Matrices of blocks are multiplied in one number format, and those outside the blocks in 16 bits. All experts receive
    the same number of tokens.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        mesh: Mesh,
        number_format: Format,
        measured: Efficiencies,
        execution: Execution,
    ) -> None:
        super().__init__(accelerator, mesh, SIXTEEN_BITS, STATES, measured)
        self.in_blocks = measured.operands(accelerator, number_format)
        self.execution = execution

    @property
    def identity(self) -> tuple[Hashable, ...]:
        """What the work of an operation depends on, with its sizes and the division of the mesh."""
        return self.measured, self.accelerator.name, self.device, self.plain, self.in_blocks, self.execution

    def operands(self, operation: Operation) -> Operands:
        """Return how the accelerator computes with the weights of an operation."""
        return self.plain if operation.place.entry.run is None else self.in_blocks

    def received(self, tokens: Number, operation: GroupedGemm) -> tuple[Number, Number]:
        """Return the rows and the touched experts of each expert-parallel rank."""
        rows = tokens * operation.chosen / self.mesh.ep
        return rows, min(operation.experts / self.mesh.ep, rows)

    def passes(self, operation: Operation, both: Operation, values: Values) -> Passes:
        """Return the work of an operation. ``both`` moves the elements of the forward and the backward pass."""
        if isinstance(operation, Elementwise):
            return self._elementwise(operation, both, values)
        if isinstance(operation, Gemm):
            return self._product(operation, float(operation.rows(**values)))
        if isinstance(operation, GroupedGemm):
            return self._experts(operation, float(operation.tokens(**values)))
        if isinstance(operation, Attention) and self.execution.attention == STORED:
            return self._stored_attention(operation, values)
        if isinstance(operation, Attention):
            forward = _seconds(self.attention(operation, PREFILL, values, 1)) * self.execution.slower_attention
            return _passes(OF_ATTENTION, attention=(forward, forward * ATTENTION_BACKWARD))
        forward = _seconds(self.recurrence(operation, PREFILL, values))
        return _passes(OF_SCAN, attention=(forward, 2 * forward))

    def loss(self, logits: float) -> Passes:
        """Return the work of the cross-entropy and its gradient."""
        moved = self.moving(logits * LOGIT_BYTES) if logits else 0.0
        return _passes(OF_LOSS if logits else (0, 0), memory=(0.0, moved))

    def summed(self, elements: float, sums: int) -> Passes:
        """Return the work of adding to the residual stream, with two reads and a write."""
        moved = self.moving(elements * 3 * ACTIVATION_BYTES)
        return _passes((OF_SUM[0] * sums, OF_SUM[1] * sums), memory=(moved, moved))

    def moving(self, moved: Number) -> Number:
        """Return the time to read and write a number of bytes."""
        return kernels.elementwise(moved, self.device, self.coefficients("elementwise"))

    def _product(self, operation: Gemm, rows: float) -> Passes:
        own, n, k, batch = self.operands(operation), operation.columns, operation.inner, operation.batch
        width, adapters = own.activation_bytes, self.execution.adapters
        weights = _elements(operation) * width
        forward = _seconds(self.gemm(operation, rows, weights))
        backward = _seconds(self.gemm(changed(operation, columns=k, inner=n), rows, weights))
        if not adapters:
            backward += _seconds(self.gemm(changed(operation, inner=rows), float(k), rows * n * batch * width))
        if width >= ACTIVATION_BYTES:
            found = _passes(OF_PRODUCT, products=(forward, backward))
        else:
            casts = self.moving(CAST_BYTES * rows * k * batch), self.moving(CAST_BYTES * rows * n * batch)
            found = _passes(OF_CASTS, memory=casts)
            found = _added(found, _passes(OF_PRODUCT, low_bits=(forward, backward)))
        return _added(found, self._adapters(operation, rows, adapters)) if adapters else found

    def _adapters(self, operation: Gemm, rows: float, adapters: Adapters) -> Passes:
        """Return the work of the adapters of the matrices of a product, in 16 bits."""
        found, rank = (Work(), Work()), adapters.rank
        for weight in operation.weights:
            if weight.tensor.name in adapters.targets:
                columns = weight.elements // (operation.inner * operation.batch)
                # inputs, the small activations twice, and outputs: written, read, and added to those of the matrix
                moved = rows * (operation.inner + 2 * rank + 3 * columns) * ACTIVATION_BYTES * operation.batch
                seconds = self.moving(moved)
                found = _added(found, _passes((4, 7), memory=(seconds, 2 * seconds)))
        return found

    def _experts(self, operation: GroupedGemm, tokens: float) -> Passes:
        weights, width = _elements(operation), self.operands(operation).activation_bytes
        forward = _seconds(self.grouped(operation, tokens, weights * width))
        of_weights = _seconds(self.grouped(operation, tokens, weights * 2 * ACTIVATION_BYTES))  # read and written
        backward = forward if self.execution.adapters else forward + of_weights
        return _passes(OF_EXPERTS, experts=(forward, backward))

    def _stored_attention(self, operation: Attention, values: Values) -> Passes:
        queries, own = float(operation.queries(**values)), self.coefficients("gemm", self.plain.kernel)
        products = float(operation.sequences(**values)) * operation.heads

        def product(columns: float, inner: float) -> float:
            second = columns * inner * products * ACTIVATION_BYTES
            sizes = queries, columns, inner, second, self.device, self.plain.peak
            return float(kernels.gemm(*sizes, own, batch=products))

        seconds = product(queries, operation.key_width) + product(operation.value_width, queries)
        moved = [self.moving(each * products * queries**2) for each in SCORE_BYTES]
        return _passes(OF_STORED, products=(seconds, 2 * seconds), memory=(moved[0], moved[1]))

    def _elementwise(self, operation: Elementwise, both: Operation, values: Values) -> Passes:
        weights = _elements(operation) * SIXTEEN_BITS.bits_per_weight / BITS_A_BYTE
        elements, total = float(operation.size(**values)), float(both.size(**values))
        forward = _seconds(self.elementwise(operation, elements, weights))
        rest = max(total - elements, 0.0)
        backward = _seconds(self.elementwise(operation, rest, weights)) if rest else 0.0
        fused = 0.5 if self.execution.is_compiled else 1.0
        return _passes((OF_FUNCTIONS[0] * fused, OF_FUNCTIONS[1] * fused), memory=(forward, backward))


def _passes(kernels: tuple[float, float], **seconds: tuple[float, float]) -> Passes:
    """Return the work of both passes, with the numbers of kernels, and the seconds of one or more kinds."""
    found = [Work(kernels=own, **{name: each[at] for name, each in seconds.items()}) for at, own in enumerate(kernels)]
    return found[0], found[1]


def _added(one: Passes, other: Passes) -> Passes:
    return one[0].plus(other[0]), one[1].plus(other[1])


def _elements(operation: Operation) -> int:
    """Return the number of elements of all weights of an operation on one rank."""
    return sum(weight.elements for weight in operation.weights)


def _seconds(found: tuple[Any, Any]) -> float:
    return float(found[0].seconds)
