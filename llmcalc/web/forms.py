"""Closed forms of a model as texts, which the page evaluates before Python has started.

A form is a text in the grammar of ``core/expression.py`` with definitions and guards:
``t1=min(seq,64);?=4096-seq;2*t1*batch`` is 2·min(seq, 64)·batch if 4096 - seq is not negative. Forms for other sizes
follow after ``|``. ``page/forms.js`` evaluates them. Where no form applies, only Python has the answer.

>>> from ..api.load import load
>>> forms_of(load("gpt2")).memory.states[0]
'?=1024-seq;36864*seq*batch'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

from ..calc.flops import Flops, flops
from ..calc.memory.inference import inference_memory
from ..calc.params import params
from ..core.architecture import Architecture
from ..core.description.compiled import ClosedForm, CompiledFunction, form_text
from ..core.form import Form, symbol
from ..core.record import NamedTuple, changed
from ..core.workload import positions, stack_positions
from ..data import table
from ..fitting.formats import FORMATS
from ..fitting.memory import serving_stages, serving_weights
from ..inputs.defaults import LLAMA_CPP_STEP_TOKENS, STEP_TOKENS, step_limit
from ..inputs.number_formats import number_format

WEIGHTS = ("", *FORMATS)  # as published, and the common formats
CACHES = ("", "fp8", "q8_0", "q4_0")  # bf16, and quantised formats
STEPS = [step_limit(None, is_llama_cpp=name in table("mixtures")) for name in WEIGHTS]  # tokens of a step
LIMITS = (STEP_TOKENS, LLAMA_CPP_STEP_TOKENS)
LONGEST = 2**24
LENGTHS, BATCHES = (1, 5, 64, 127, 132, 1000, 8191, 2**17), (1, 7, 2**12)  # sizes for which forms are searched


class MemoryForms(NamedTuple):
    """Memory of a model on one GPU.

    Attributes:
        weights: bytes in each of ``WEIGHTS``.
        host: bytes of them that stay in host memory, or 0 if none do in any format.
        states: forms of ``batch`` and ``seq`` in each of ``CACHES``.
        activations: form of ``batch``, ``seq`` and ``step``, the tokens of a step.
    """

    weights: list[int]
    host: list[int] | int
    states: list[str | None]
    activations: str | None


class ModelForms(NamedTuple):
    """Parameters of a model, and forms of its other quantities.

    Attributes:
        active: number of active parameters, or 0 if all are active.
        matmul: FLOPs of matrix products, as ``flops_forms`` returns them.
        other: FLOPs of other operations.
    """

    name: str
    total: int
    active: int
    matmul: list[str | None]
    other: list[str | None]
    memory: MemoryForms


def forms_of(model: Architecture) -> ModelForms:
    """Compile the forms of a model."""
    found = params(model)
    active = 0 if found.active == found.total else found.active
    return ModelForms(model.name, found.total, active, *flops_forms(model), memory_forms(model))


def flops_forms(model: Architecture) -> tuple[list[str | None], list[str | None]]:
    """Return the FLOPs of matrix products and of other operations, each of a prefill of ``seq`` tokens and of a decode
    step after ``seq`` tokens.

    The second form is empty if it is the same, and None for encoders, which decode no tokens.
    """
    matmul, other = _flops_texts(flops(model, seq=1))
    if model.main.role == "encoder":
        return [matmul, None], [other, None]
    decode, decode_other = _flops_texts(flops(model, seq=1, mode="decode", context=1))
    return [matmul, "" if decode == matmul else decode], [other, "" if decode_other == other else decode_other]


def _flops_texts(found: Flops) -> tuple[str, str]:
    return _flops_text(found.architecture, found.matmul_form), _flops_text(found.architecture, found.other_form)


def _flops_text(model: Architecture, form: Form) -> str:
    """Return FLOPs without images and audio as a form of the workload symbols."""
    values: dict[str, Any] = {name: symbol(name) for name in "bqkcsn"} | {"p": 0, "a": 0}
    if not model.is_encoder_decoder:
        values |= {"s": values["c"], "n": 0}
    substituted = form(**values)
    guards = dict.fromkeys(_position_guards(model))
    return ";".join((*guards, _compact(form_text(substituted) if isinstance(substituted, Form) else str(substituted))))


def _position_guards(model: Architecture) -> Iterator[str]:
    """Yield the guard of each table of learned positions."""
    for stack in model.stacks:
        limit = stack_positions(stack) if stack.role != "tower" else None
        if limit is not None:
            tokens = "n" if stack.role == "encoder" and model.is_encoder_decoder else "k"
            yield f"?={limit}-{tokens}"


def memory_forms(model: Architecture) -> MemoryForms:
    """Compile the memory of serving a model on one GPU."""
    (known,) = serving_stages(model, seq=1, weights="bf16")
    size = known.state_size
    formats = [serving_weights(model, weights, "bf16", (), ()) for weights in (None, *FORMATS)]
    stored = [inference_memory(model, known.workload, each, size, 2) for each in formats]
    host = [each.host for each in stored]

    def state(cache: str) -> Callable[..., int]:
        chosen = number_format(cache) if cache else None
        return lambda **sizes: changed(size, workload=changed(known.workload, **sizes), cache=chosen).bytes

    def activations(batch: int, seq: int, step: int) -> int:  # results with symbols must not be remembered
        (stage,) = serving_stages(changed(model), batch=batch, seq=seq, step_tokens=step, weights="bf16")
        return stage.activations

    states = [_form_of(model, state(name)) for name in CACHES]
    weights = [each.weights for each in stored]
    return MemoryForms(weights, host if any(host) else 0, states, _form_of(model, activations, step=LIMITS))


def _form_of(model: Architecture, compute: Callable[..., int], **more: Sequence[int]) -> str | None:
    """Return a function of ``batch``, ``seq`` and ``more`` sizes as a form, or None if it has none."""
    longest = positions(model) or LONGEST
    examples = {"batch": BATCHES, "seq": [longest, *(size for size in LENGTHS if size < longest)], **more}
    found = CompiledFunction(compute, dict.fromkeys(examples, 1))
    for values in product(*examples.values()):
        found(**dict(zip(examples, values, strict=True)))
    return "|".join(map(_piece, found.pieces)) or None


def _piece(form: ClosedForm) -> str:
    """Return a closed form as text. Definitions are numbered from 1, because equal texts take fewer bytes."""
    found = form.to_dict()
    guards, value = [f"?={guard}" for guard in found["where"]], found["value"]
    texts = [f"{name}={text}" for name, text in found["let"].items()]
    if texts and texts[-1].startswith(f"{value}="):
        texts[-1:] = [*guards, texts[-1].partition("=")[2]]
    else:
        texts += [*guards, value]
    names = {name: f"t{number}" for number, name in enumerate(found["let"], 1)}
    return _compact(re.sub(r"\bt\d+\b", lambda match: names[match[0]], ";".join(texts)))


def _compact(text: str) -> str:
    return text.replace(" ", "")
