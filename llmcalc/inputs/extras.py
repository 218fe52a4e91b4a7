"""Extras of an architecture: modules outside its totals, such as pre-training heads and multi-token prediction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..core.architecture import PREDICTION, PREDICTION_LAYERS, Architecture, Extra, Named, Run, Stack
from ..core.errors import InputError, UnknownNameError
from ..core.record import changed
from ..layers.embedding import Embedding
from ..layers.head import Head
from ..layers.norm import Norm

NAME, MTP = "multi_token_prediction", "mtp"  # of modules for multi-token prediction
ASSUMED = "assumed to be like the last layer, with a projection of the stream and of the next token"
NOT_COUNTED = "not counted: modules for multi-token prediction"  # beginning of a note about a config


def extras_of(architecture: Architecture) -> tuple[Extra, ...]:
    """Return the modules outside the totals, also those for multi-token prediction of which only the number is known.

    >>> from llmcalc import load
    >>> [[each.stack.name for each in extras_of(load(name))] for name in ("deepseek-v3", "glm-4.5", "llama3.1-8b")]
    [['multi_token_prediction'], ['multi_token_prediction'], []]
    """
    number, extras = architecture.inputs.get(PREDICTION_LAYERS, 0), architecture.extras
    is_described = architecture.predictions or any(extra.stack.role == PREDICTION for extra in extras)
    return extras if is_described or not number else (*extras, like_last_layer(architecture, number))


def prediction_of(architecture: Architecture) -> Extra | None:
    """Return the modules for multi-token prediction, or None if the model has none."""
    return next((extra for extra in extras_of(architecture) if extra.stack.role == PREDICTION), None)


def with_extras(architecture: Architecture, names: Sequence[str]) -> Architecture:
    """Return an architecture that counts some of its extras, and everything else that it has.

    >>> from llmcalc import load
    >>> [stack.name for stack in with_extras(load("deepseek-v3"), ["mtp"]).stacks]
    ['decoder', 'multi_token_prediction']
    """
    known = {extra.stack.name: extra for extra in extras_of(architecture)}
    if not known:
        raise InputError(f"{architecture.name} has no extras", parameter="extras", hint="omit it")
    short = {MTP if extra.stack.role == PREDICTION else name: name for name, extra in known.items()}
    chosen: dict[str, Extra] = {}
    for name in names:
        key = short.get(name, name.replace("-", "_").replace(" ", "_"))
        if key not in known:
            raise UnknownNameError("extra", name, short, parameter="extras", hint=f"use {' or '.join(short)}")
        chosen[key] = known[key]
    stacks = [shares_tables(stack) if stack is architecture.main else stack for stack in architecture.stacks]
    stacks += [
        changed(extra.stack, name=f"{name}_{number}" if number > 1 else name)
        for name, extra in chosen.items()
        for number in range(1, extra.count + 1)
    ]
    assumed = [f"{name}: {extra.reason}" for name, extra in chosen.items() if extra.reason == ASSUMED]
    return changed(
        architecture, stacks=tuple(stacks), extras=tuple(extra for name, extra in known.items() if name not in chosen),
        inputs={**architecture.inputs, "extras": [*architecture.inputs.get("extras", ()), *chosen]},
        notes=(*assumed, *(note for note in architecture.notes if not note.startswith(NOT_COUNTED))), expect=(),
    )  # fmt: skip


def like_last_layer(architecture: Architecture, number: int = 1) -> Extra:
    """Return modules like the last layer, which share the vocabulary tables [deepseek2024v3, Section 2.2]."""
    from ..layers.linear import Linear

    main = shares_tables(architecture.main)
    norm = next((layer for _, layer in main.outputs if isinstance(layer, Norm)), Norm(main.d_model))
    inputs = (
        *tables_of(main.inputs), Named("token_norm", norm), Named("hidden_norm", changed(norm, concat_previous=True)),
        Named("projection", Linear(2 * main.d_model, main.d_model, bias=False)),
    )  # fmt: skip
    stack = Stack(NAME, main.d_model, inputs, (Run(main.runs[-1].block, 1),), main.outputs, PREDICTION)
    return Extra(NAME.replace("_", " "), stack, ASSUMED, number)


def tables_of(layers: Iterable[Named]) -> list[Named]:
    """Return the vocabulary tables among layers."""
    return [named for named in layers if isinstance(named.layer, (Embedding, Head))]


def shares_tables(stack: Stack) -> Stack:
    """Return a stack whose vocabulary tables have names, by which other stacks share them."""

    def named(layers: tuple[Named, ...]) -> tuple[Named, ...]:
        tables = {named.name for named in tables_of(layers) if not getattr(named.layer, "share", None)}
        return tuple(
            Named(name, changed(layer, share=f"{stack.name}_{name}") if name in tables else layer)
            for name, layer in layers
        )

    return changed(stack, inputs=named(stack.inputs), outputs=named(stack.outputs))
