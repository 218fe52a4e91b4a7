"""Closed forms of the numbers of a state, as texts with the names of axes."""

from __future__ import annotations

import re

from ...api.memory_form import memory_form
from ...core.amount import WORKLOAD
from ...core.compiled import form_text
from ...core.form import symbol
from .state import Case

Line = tuple[str, str]


def closed_forms(case: Case, name: str) -> list[Line]:
    """Return the closed form of a quantity, line by line: what each line defines, and its text.

    >>> from .state import case_of, read_state
    >>> case = case_of(read_state({"model": "llama3.1-8b", "gpu": "h100"}))
    >>> closed_forms(case, "flops")[0]
    ('matrix products', '15,009,316,864·batch·new_tokens + 524,288·batch·pairs(new_tokens, n_keys)')
    """
    if name == "flops":
        step = case.step_flops
        values = {letter: symbol(each) for letter, each in WORKLOAD.items()}
        forms = {"matrix products": step.matmul_form, "other operations": step.other_form}
        return [(label, _readable(form_text(form(**values)))) for label, form in forms.items()]
    if name in ("memory", "state"):
        return _memory(case, "peak" if name == "memory" else "state")
    return []


def _memory(case: Case, part: str) -> list[Line]:
    """Return the closed form of one GPU's memory that is valid for the sizes of the state."""
    sizes = {"batch": case.users, "seq": case.context}
    form = memory_form(case.model, part=part, mesh=case.fit.result.mesh, **case.formats)
    form(**sizes)
    found = next((piece.to_dict() for piece in form.pieces if piece.functions[0](**sizes)), None)
    if found is None:  # the code of memory cannot be traced for this model
        return []
    names = {name: f"t{number}" for number, name in enumerate(found["let"], 1)}

    def text(form: str) -> str:
        return _readable(re.sub(r"\bt\d+\b", lambda match: names[match[0]], form))

    definitions = [(names[name], text(form)) for name, form in found["let"].items()]
    guards = " and ".join(f"{text(guard)} ≥ 0" for guard in found["where"])
    return [(f"{part}, in bytes", text(found["value"])), *definitions, *([("valid if", guards)] if guards else [])]


def _readable(text: str) -> str:
    """Return a form with separators between digits, signs of multiplication and names of sizes."""
    text = re.sub(r"\d{4,}", lambda match: f"{int(match[0]):,}", text)
    return re.sub(r"\bseq\b", "context", text.replace("*", "·"))
