"""The workload in one line, and the meaning of its symbols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.form import Form
from ..core.record import fields
from ..core.workload import Workload

LETTERS = {
    "b": "batch",
    "q": "new tokens",
    "k": "keys: cached and new tokens",
    "c": "cached tokens",
    "n": "tokens of the encoder",
    "s": "encoder tokens that are attended to",
    "p": "patches",
    "a": "audio frames",
}
ALWAYS_SAID = ("batch", "seq", "mode", "attention", "logits")


def workload_line(workload: Workload, also: Sequence[str] = ALWAYS_SAID) -> str:
    """``workload: batch 1 · seq 2048 · mode forward · attention causal · logits all``."""
    said = [
        (field.name.replace("_", " "), getattr(workload, field.name))
        for field in fields(workload)
        if field.name in also or getattr(workload, field.name) != field.default
    ]
    return f"workload: {' · '.join(name if value is True else f'{name} {value}' for name, value in said)}"


def workload_inputs(workload: Workload) -> dict[str, Any]:
    """The workload as plain data; its ``source`` is renamed, because that key names the model's publication."""
    sizes = {field.name: getattr(workload, field.name) for field in fields(workload)}
    return {"source_tokens" if name == "source" else name: value for name, value in sizes.items()}


def formula_note(what: str, form: Form) -> str:
    """A closed form with the meaning of its symbols."""
    named = [f"{letter}: {meaning}" for letter, meaning in LETTERS.items() if letter in form.symbols()]
    return f"{what} = {form} ({', '.join(named)})"
