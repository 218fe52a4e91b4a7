"""Cost of operations and of a step: time, bytes and FLOPs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..calc.kv_cache import BYTES
from ..calc.operand_formats import WeightBits
from ..core.arrays import Number
from ..core.record import NamedTuple, record
from ..core.traits import EXPERTS
from .efficiency import Efficiency
from .layer_groups import ATTENTION
from .operations import Operation

ACTIVATIONS = "bf16"
ACTIVATION_BYTES = BYTES[ACTIVATIONS]
MEMORY, COMPUTE, COMMUNICATION, LAUNCHES, ENGINE = "memory", "compute", "communication", "launches", "engine"


@record
class ClassFormats:
    """Number formats of the weights by class: of routed experts, of layers that mix tokens, and of all others."""

    weights: WeightBits
    experts: WeightBits
    attention: WeightBits

    @property
    def tables(self) -> tuple[WeightBits, WeightBits, WeightBits]:
        """Formats of all classes."""
        return self.weights, self.experts, self.attention

    def of(self, operation: Operation) -> WeightBits:
        """Return the formats of the weights of an operation."""
        return {EXPERTS: self.experts, ATTENTION: self.attention}.get(operation.number_class, self.weights)


class Cost(NamedTuple):
    """Cost of an operation or a component.

    Attributes:
        seconds: time of the kernels.
        moved: bytes that the kernels read and write.
        flops: FLOPs of the contractions.
        memory: time of the bytes at the full bandwidth.
        compute: time of the FLOPs at the peak of the number format.
    """

    seconds: Number
    moved: Number
    flops: Number
    memory: Number
    compute: Number

    def plus(self, other: Cost, times: Number = 1) -> Cost:
        """Return the sum of two costs, the second one ``times`` times."""
        return Cost._make([one + times * two for one, two in zip(self, other, strict=True)])

    @property
    def bound(self) -> str:
        """Resource that limits the kernels."""
        return MEMORY if self.memory >= self.compute else COMPUTE


NO_COST = Cost(0.0, 0.0, 0.0, 0.0, 0.0)


class StepTime(NamedTuple):
    """Time of one step.

    Attributes:
        components: cost of the kernels by component.
        collectives: time of the transfers by group of ranks.
        launches: time between kernels, and of collectives outside their transfers.
        engine: time of the engine's own work.
        efficiencies: coefficients of the kernels, by kind and format.
        list_operations: function that returns ``operations``.
    """

    components: Mapping[str, Cost]
    collectives: Mapping[str, Number]
    launches: Number
    engine: Number
    efficiencies: Mapping[tuple[str, str], Efficiency] = {}
    list_operations: Callable[[], tuple[tuple[Operation, Cost], ...]] = tuple

    @property
    def operations(self) -> tuple[tuple[Operation, Cost], ...]:
        """Each operation with its cost, or nothing in a mean of steps."""
        return self.list_operations()

    @property
    def kernels(self) -> Number:
        """Time of all kernels."""
        return sum([cost.seconds for cost in self.components.values()])

    @property
    def seconds(self) -> Number:
        """Time of the step."""
        return self.kernels + sum(self.collectives.values()) + self.launches + self.engine

    def each(self, function: Callable[..., Number], *others: StepTime) -> StepTime:
        """Return a function of each number of steps, such as their mean. Single operations are left out."""
        components = {
            name: Cost(*map(function, cost, *(other.components[name] for other in others)))
            for name, cost in self.components.items()
        }
        collectives = {
            name: function(seconds, *(other.collectives[name] for other in others))
            for name, seconds in self.collectives.items()
        }
        launches, engine = map(function, *((step.launches, step.engine) for step in (self, *others)))
        return StepTime(components, collectives, launches, engine, self.efficiencies)

    def plus(self, other: StepTime, times: Number = 1) -> StepTime:
        """Return the sum of two steps, the second one ``times`` times. Its single operations are left out."""
        components = {
            name: self.components.get(name, NO_COST).plus(cost, times) for name, cost in other.components.items()
        }
        moved = {name: self.collectives.get(name, 0.0) + times * own for name, own in other.collectives.items()}
        return self._replace(
            components={**self.components, **components}, collectives={**self.collectives, **moved},
            launches=self.launches + times * other.launches, engine=self.engine + times * other.engine,
            efficiencies={**other.efficiencies, **self.efficiencies},
        )  # fmt: skip

    @property
    def total(self) -> Cost:
        """Cost of all kernels."""
        total = NO_COST
        for cost in self.components.values():
            total = total.plus(cost)
        return total


NO_TIME = StepTime({}, {}, 0.0, 0.0)
