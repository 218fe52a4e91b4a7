"""Parameter counts. Shared tensors are counted once, and buffers are excluded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from ..core.amount import group_by, summed
from ..core.architecture import Architecture, Stack, model_of
from ..core.ledger import Row, active_elements, model_rows
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..core.type_names import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from ..core.tree import Node


@record
class Params(NotebookDisplay):
    """Parameter counts of an architecture, in elements. ``distinct_rows`` lists the tensors of equal blocks once.

    >>> import llmcalc
    >>> llmcalc.params(llmcalc.load("gpt3")).total
    174604259328
    """

    architecture: Architecture
    distinct_rows: tuple[Row, ...]

    EVIDENCE: ClassVar[dict[str, str]] = dict.fromkeys(
        ("total", "active", "embedding", "non_embedding", "buffers"), "executed"
    )

    @property
    def summary(self) -> str:
        """One-line summary of the total."""
        return f"{self.architecture.name}: {self.total:,} total"

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Every tensor, including those of equal blocks."""
        return model_rows(self.architecture)

    @cached_property
    def total(self) -> int:
        """Number of parameters. Tied tensors are counted once, frozen tables are included, and buffers are
        excluded.
        """
        return sum(row.size * row.copies for row in self.distinct_rows if not row.tensor.buffer)

    @cached_property
    def active(self) -> int:
        """Number of parameters used per token, including embeddings and excluding inactive routed experts."""
        routed = [row for row in self.distinct_rows if row.tensor.active]
        used = sum(active_elements(row.tensor, row.declaration) * row.copies for row in routed)
        return self.total - _elements(routed) + used

    @cached_property
    def embedding(self) -> int:
        """Number of parameters in the input token embedding."""
        return _elements(row for row in self.distinct_rows if row.tensor.table == "token" and not row.tensor.buffer)

    @cached_property
    def non_embedding(self) -> int:
        """Number of parameters excluding token, position and other lookup tables."""
        return self.total - _elements(row for row in self.distinct_rows if row.tensor.table and not row.tensor.buffer)

    @cached_property
    def active_non_embedding(self) -> int:
        """Number of active parameters excluding lookup tables (N in 6·N·D) [kaplan2020, Section 2.1]."""
        return self.active - (self.total - self.non_embedding)

    @cached_property
    def buffers(self) -> int:
        """Number of elements in stored buffers. Buffers are not parameters."""
        return _elements(row for row in self.distinct_rows if row.tensor.buffer)

    def rows_by_run(self, stack: Stack) -> dict[int | None, list[Row]]:
        """Return the tensors of a stack by index of the run, or None for tensors outside the blocks."""
        return group_by((row for row in self.rows if row.entry.stack is stack), lambda row: row.entry.run)

    def rows_by_place(self, buffers: bool = False) -> Iterator[tuple[list[Row], range | None]]:
        """Yield the stored parameters of each run of equal blocks with the block numbers, and those outside the blocks
        with None. A row with one copy is stored in the first of these blocks.

        The blocks of a pipeline stage are numbered as in the model.
        """
        for stack in self.architecture.stacks:
            own = {
                run: [row for row in rows if row.copies and (buffers or not row.tensor.buffer)]
                for run, rows in self.rows_by_run(stack).items()
            }
            outside = own.get(None, [])
            yield [row for row in outside if row.entry.section == "inputs"], None
            first = model_of(self.architecture)[1]
            for index in range(len(stack.runs)):
                rows = own.get(index, [])
                stored = max((row.copies for row in rows), default=0)  # 0 for blocks that are stored elsewhere
                yield rows, range(first, first + stored)
                first += stored
            yield [row for row in outside if row.entry.section == "outputs"], None

    def rows_by_block(self, buffers: bool = False) -> Iterator[tuple[list[Row], int | None]]:
        """Yield the parameters stored in each block with its number, and those outside the blocks with None."""
        for place, numbers in self.rows_by_place(buffers):
            others = [row for row in place if row.copies > 1]
            for number in (None,) if numbers is None else numbers:
                stored = place if numbers is None or number == numbers[0] else others
                if stored:
                    yield stored, number

    def placed_rows(self, buffers: bool = False) -> Iterator[tuple[Row, int | None]]:
        """Yield every stored parameter in model order, with its block number (None outside the blocks)."""
        return ((row, number) for stored, number in self.rows_by_block(buffers) for row in stored)

    @cached_property
    def by_layer(self) -> list[int]:
        """Number of parameters per block, in stack order. A shared tensor is counted only in its first block."""
        layers: list[int] = []
        for stack in self.architecture.stacks:
            by_run = self.rows_by_run(stack)
            for index, run in enumerate(stack.runs):
                inside = by_run.get(index, [])
                own = [(row, bool(row.tensor.share or run.shared)) for row in inside if not row.tensor.buffer]
                once = _elements(row for row, is_shared in own if is_shared)
                each = sum(row.size for row, is_shared in own if not is_shared)
                layers.extend([once + each, *[each] * (run.count - 1)])
        return layers

    @cached_property
    def by_component(self) -> dict[str, int]:
        """Number of parameters per component, such as ``attention``. An unused stack is listed as one component."""
        stored = (row for row in self.distinct_rows if not row.tensor.buffer and row.copies)
        return summed((_group(row), row.size * row.copies) for row in stored)

    def tensors(self) -> list[tuple[str, tuple[int, ...]]]:
        """Return the names and shapes of all parameters as declared."""
        return [(logical_name(row, number), logical_shape(row)) for row, number in self.placed_rows()]

    @cached_property
    def tree(self) -> Node:
        """Derivation of ``total`` as a tree of stacks, sections, sub-layers and tensors with formulas."""
        from .params_tree import params_tree  # not needed by most commands

        return params_tree(self)

    @cached_property
    def active_tree(self) -> Node:
        """Derivation of ``active`` as a tree."""
        from .params_tree import params_tree

        return params_tree(self, active=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        own = self.attributes("total", "active", "embedding", "non_embedding", "buffers", "by_layer", "by_component")
        return {**own, "evidence": self.evidence}


def params(architecture: Architecture) -> Params:
    """Count the parameters of an architecture."""
    return Params(architecture, model_rows(architecture, distinct=True))


def logical_name(row: Row, number: int | str | None) -> str:
    """Return the path of a tensor, composed of the stack, block, sub-layer, layer and tensor names.

    The layer is omitted if it has the same name as its sub-layer.
    """
    entry = row.entry
    block = [] if number is None else ["blocks", str(number), entry.sublayer]
    name = [] if entry.name == entry.sublayer else [entry.name]
    return ".".join((entry.stack.name, *block, *name, *row.part, row.tensor.name))


def logical_shape(row: Row) -> tuple[int, ...]:
    """Return the declared shape of a tensor."""
    return tuple(int(row.declaration.axes[axis]) for axis in row.tensor.axes)


def _elements(chosen: Iterable[Row]) -> int:
    """Return the total number of elements, including all copies."""
    return sum(row.size * row.copies for row in chosen)


def component(row: Row) -> str:
    """Return the component name of a tensor, as used in ``by_component``."""
    return row.entry.layer.tensor_component(row.tensor, row.part)


def _group(row: Row) -> str:
    """Return the component of a tensor, or the name of its stack without a suffix if the stack is unused."""
    stack = row.entry.stack
    return stack.name.partition(".")[0] if stack.unused else component(row)
