"""EAGLE heads as stacks of layers that share tables with their target.

A layer that belongs to the target has a name in ``share``. All other layers are stored with the draft.
"""

from __future__ import annotations

from ...core.architecture import Architecture, Named, PipelineStage, Run, Stack
from ...core.ledger import rows
from ...core.record import changed
from ...inputs.extras import shares_tables, tables_of
from ...layers.embedding import Embedding
from ...layers.head import Head
from ...layers.linear import Linear


def eagle_stack(
    architecture: Architecture, runs: tuple[Run, ...], d_model: int, vocabulary: int, *, features: int = 1,
    second_inputs: int = 0, own_vocabulary: int = 0,
) -> Stack:  # fmt: skip
    """Return a head that reads vectors of the target and the embedding of the last token.

    Args:
        architecture: the target.
        runs: layers of the head.
        d_model: width of the head.
        vocabulary: tokens of the input table, which is that of the target if the widths are equal.
        features: vectors of the target that the projection reads. One of them: it also reads the embedding.
        second_inputs: columns on a rank of the matrices with which the first layer reads the embedding.
        own_vocabulary: tokens of an output table of its own, or 0 if the output table is that of the target.
    """
    main = shares_tables(architecture.main)
    is_wider = d_model != main.d_model
    inputs = [Named("token", Embedding(vocabulary, d_model))] if is_wider else tables_of(main.inputs)
    joined = features * main.d_model + (d_model if features == 1 else 0)
    inputs.append(Named("projection", Linear(joined, d_model, bias=False)))
    if second_inputs:
        inputs.append(Named("second_input", Linear(d_model, second_inputs, bias=False)))
    outputs = [Named("head", Head(own_vocabulary, d_model))] if own_vocabulary else tables_of(main.outputs)
    return Stack("eagle", d_model, tuple(inputs), runs, tuple(outputs))


def part_of(architecture: Architecture, stack: Stack, first: int = 0) -> PipelineStage:
    """Return a stack as a part of a model, which has the number formats of the model."""
    return PipelineStage(architecture.name, (stack,), layout=architecture.layout, model=architecture, first_layer=first)


def outside_blocks(architecture: Architecture, stack: Stack) -> PipelineStage:
    """Return the layers before and after the blocks that are stored with a draft."""
    shared = {row.entry.name for row in rows((stack,)) if row.entry.run is None and row.tensor.share}
    inputs, outputs = (tuple(each for each in own if each.name not in shared) for own in (stack.inputs, stack.outputs))
    return part_of(architecture, changed(stack, inputs=inputs, runs=(), outputs=outputs))
