"""Closed forms of the numbers of a state, line by line: the name of a value, and the formula of the state's sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...calc.memory.inference import InferenceMemory
from ...core.description.compiled import ClosedForm, CompiledFunction
from ...core.description.notation import Notation, signs_in
from ...core.form import symbol
from ...core.record import NamedTuple, changed, fields
from ...core.workload import symbol_values
from ...fitting.memory import serving_stages, worst_stage
from .case import Case

SIZES = {"seq": "context"}  # names of the sizes of memory
PEAK, PLAIN_PEAK, STATE = "peak, in bytes", "peak without an engine, in bytes", "state, in bytes"
ROLES = {"kv": "KV cache", "index": "indexer keys", "recurrent": "recurrent states", "conv": "convolution states"}
MEANINGS = {
    "context": "tokens of a request with its answer",
    "batch": "requests at once on a replica",
    "sequences": "requests in a step that reads prompts",
    "tokens": "tokens of each of them in this step",
    "decoding": "requests in a decode step",
}
Line = tuple[str, str]
Piece = tuple[str, ClosedForm | None]  # with the name of its value


class Formula(NamedTuple):
    """Lines of names and formulas, and the meanings of the symbols in them."""

    lines: list[Line]
    symbols: list[Line]


def closed_form(case: Case, name: str) -> Formula:
    """Return the closed form of a quantity, which is empty if there is none.

    >>> from .case import case_of
    >>> from .state import read_state
    >>> case = case_of(read_state({"model": "llama3.1-8b", "gpu": "h100"}))
    >>> for line in closed_form(case, "flops").lines:
    ...     print(*line, sep=" = ")
    FLOPs = attention + attention core + mlp + head + other operations
    attention = 2,684,354,560
    attention core = 524,288 × context
    mlp = 11,274,289,152
    head = 1,050,673,152
    other operations = 6,144 × context + 3,850,240
    """
    made: dict[str, Callable[[Case], list[Line]]] = {"flops": _flops, "memory": _memory, "state": _state}
    lines = made[name](case) if name in made and not case.state.task else []
    text = " ".join(formula for _, formula in lines)
    sizes = [(size, meaning) for size, meaning in MEANINGS.items() if size in text]
    return Formula(lines, [*sizes, *signs_in(text)])


def _flops(case: Case) -> list[Line]:
    step, context = case.step_flops, symbol("context")
    sizes = {field.name: getattr(step.workload, field.name) for field in fields(step.workload)}
    sizes |= {"seq": context} if case.only_reads else {"context": context - 1}
    values = symbol_values(case.only_reads and case.model.is_encoder_decoder, sizes)
    forms = {**step.matmul_forms, "other operations": step.other_form}
    return [("FLOPs", " + ".join(forms)), *((label, Notation().text(form(**values))) for label, form in forms.items())]


def _memory(case: Case) -> list[Line]:
    """Return the memory of one GPU. Pipeline stages are compared as a whole."""
    result, states = case.fit.result, _states(case)
    peak = PLAIN_PEAK if case.fit.start else PEAK
    if result.mesh.pp > 1:
        return _lines([(peak, _piece(case, lambda stages: worst_stage(case.model, stages).peak, **case.formats))])
    names = ["weights", *(name for name, _ in states), "transient"]
    step: dict[str, Any] = {"weights": "bf16", "step_tokens": result.steps.limit or "all"}  # their format has no effect
    lines = _lines([*states, ("transient", _piece(case, lambda stages: stages[0].activations, **step))])
    return [(peak, " + ".join(names)), ("weights", f"{result.weights:,}"), *lines] if lines else []


def _state(case: Case) -> list[Line]:
    states = _states(case)
    whole = [(STATE, " + ".join(name for name, _ in states))]
    return [*whole, *_lines(states)] if len(states) > 1 else _lines((STATE, piece) for _, piece in states)


def _states(case: Case) -> list[Piece]:
    """Return the forms of the state of one GPU by role."""
    size, dp = case.fit.result.state_size, case.fit.result.mesh.dp

    def of_role(role: str) -> Callable[..., int]:
        def compute(batch: int, seq: int) -> int:
            found: int = changed(size, workload=changed(size.workload, batch=-(-batch // dp), seq=seq)).by_role[role]
            return found

        return compute

    return [(ROLES[role], _traced(case, of_role(role))) for role in size.by_role]


def _piece(case: Case, part: Callable[[Sequence[InferenceMemory]], int], **settings: Any) -> ClosedForm | None:
    """Return the form of a number of the pipeline stages of a replica."""
    mesh = case.fit.result.mesh

    def compute(batch: int, seq: int) -> int:  # results with symbols must not be remembered
        return part(serving_stages(changed(case.model), batch=batch, seq=seq, mesh=mesh, **settings))

    return _traced(case, compute)


def _traced(case: Case, compute: Callable[..., int]) -> ClosedForm | None:
    """Return the form of a function that is valid for the sizes of the state, or None if there is none."""
    sizes = {"batch": case.fitted_users, "seq": case.context}
    found = CompiledFunction(compute, dict.fromkeys(sizes, 1))
    found(**sizes)
    return next((piece for piece in found.pieces if piece.functions[0](**sizes)), None)


def _lines(pieces: Iterable[Piece]) -> list[Line]:
    """Return a line for each form, and one for each of several forms of which the largest counts.

    The named sizes follow, and the conditions.
    """
    lines: list[Line] = []
    where, conditions = dict[str, str](), list[str]()
    for name, piece in pieces:
        if piece is None:
            return []
        writer = Notation(piece.definitions, SIZES | piece.names)
        largest = piece.largest
        lines += [(name, writer.text(piece.result))] if len(largest) == 1 else [(name, "the largest of")]
        lines += [(f"· {piece.labels.get(form, name)}", writer.text(form)) for form in largest if len(largest) > 1]
        conditions += writer.conditions(piece.guards)
        where |= dict(writer.where())
    valid = [("valid if", " and ".join(dict.fromkeys(conditions)))] if conditions else []
    return [*lines, *where.items(), *valid]
