"""Closed forms of all presets as compact JSON, which the page evaluates before Python has started.

A form is a text in the grammar of ``core/expression.py`` with definitions and guards:
``t1=min(seq,64);?=4096-seq;2*t1*batch`` is 2·min(seq, 64)·batch if 4096 - seq is not negative. Forms for other sizes
follow after ``|``. ``page/forms.js`` evaluates them. Where no form applies, only Python has the answer.

Each file describes one quantity of all models, because this takes fewer bytes than one file per model:

- ``first.json.gz``: parameters
- ``flops.json.gz``: FLOPs of matrix products and of other operations, in a prefill and in a decode step
- ``memory.json.gz``: weights, state and activations on one of several tensor-parallel ranks
- ``catalogue.json.gz``: models, GPUs and number formats
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from typing import Any, NamedTuple

from ..api.defaults import LLAMA_CPP_STEP_TOKENS, STEP_TOKENS, step_limit
from ..api.fit_formats import FORMATS
from ..api.memory import memory_of, serving_weights
from ..api.names import number_format
from ..calc.flops import Flops, flops
from ..calc.memory.inference import InferenceMemory, inference_memory
from ..calc.memory.weight_formats import ServedWeights
from ..calc.params import params
from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.compiled import ClosedForm, CompiledFunction, form_text
from ..core.errors import InputError
from ..core.form import Form, symbol
from ..core.record import changed
from ..core.workload import positions, stack_positions
from ..data import table
from ..schema.preset import load_file
from ..schema.preset_files import files_in, read_preset, shipped_folder
from .forms_catalogue import catalogue

RANKS = (1, 2, 4, 8)
WEIGHTS = ("", *FORMATS)  # as published, and the common formats
CACHES = ("", "fp8", "q8_0", "q4_0")  # bf16, and quantised formats
DIVIDED = "floor(whole+more,ranks)"
TOTALS = {"peak": "weights+state+activations", "needed": "weights+state+activations-host"}
LIMITS = (STEP_TOKENS, LLAMA_CPP_STEP_TOKENS)  # tokens of a step
STEPS = [step_limit(None, is_llama_cpp=name in table("mixtures")) for name in WEIGHTS]
LONGEST = 2**24
LENGTHS, BATCHES = (1, 5, 64, 127, 132, 1000, 8191, 2**17), (1, 7, 2**12)  # sizes for which forms are searched
INPUTS = {
    "prefill": "b=batch;q=seq;k=seq;c=0;s=seq;n=seq;",
    "decode": "b=batch;q=1;k=seq+1;c=seq;s=seq;n=0;",
}


def files() -> dict[str, bytes]:
    """Return the compressed forms of all shipped presets and the catalogue by file name. All processors compile."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        rows = [row for found in pool.map(_rows_of, sorted(files_in(shipped_folder()))) for row in found]
    found = contents(rows) | {"catalogue": catalogue()}
    return {f"{name}.json.gz": _packed(content) for name, content in found.items()}


class Row(NamedTuple):
    """Everything that the files say about a model."""

    name: str
    total: int
    active: int
    matmul: list[str | None]
    other: list[str | None]
    memory: list[list[Any] | None]


def _rows_of(family: str) -> list[Row]:
    return list(map(row, shipped_models(family)))


def row(model: Architecture) -> Row:
    """Compile the forms of a model."""
    found = params(model)
    active = 0 if found.active == found.total else found.active
    matmul, other = (steps(model, is_matmul=is_matmul) for is_matmul in (True, False))
    return Row(model.name, found.total, active, matmul, other, memory(model))


def contents(rows: Iterable[Row]) -> dict[str, Any]:
    """Return the contents of the files, as columns of all models because equal texts should stand near each other.

    The number of active parameters is 0 if it is that of all parameters. Models have the same order in each file.
    """
    names, total, active, matmul, other, memories = (list(column) for column in zip(*rows, strict=True))
    matmul, other = (list(zip(*column, strict=True)) for column in (matmul, other))
    return {
        "first": {"models": names, "total": total, "active": active},
        "flops": {"inputs": INPUTS, "matmul": matmul, "other": other},
        "memory": {
            "ranks": RANKS, "weights": WEIGHTS, "steps": STEPS, "caches": CACHES, "divided": DIVIDED, "totals": TOTALS,
            "models": memories,
        },
    }  # fmt: skip


def _packed(content: Any) -> bytes:
    return gzip.compress(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), 9, mtime=0)


def shipped_models(*families: str) -> Iterator[Architecture]:
    """Yield the models of the presets in the package, or only of some presets."""
    for family, file in sorted(files_in(shipped_folder()).items()):
        if not families or family in families:
            for size in read_preset(file).get("sizes") or [None]:
                yield load_file(file, None if size is None else str(size))


def steps(model: Architecture, *, is_matmul: bool) -> list[str | None]:
    """Return the FLOPs of a prefill of ``seq`` tokens and of a decode step after ``seq`` tokens.

    The second form is empty if it is the same, and None for encoders, which decode no tokens.
    """
    prefill = _step(flops(model, seq=1), is_matmul)
    if model.main.role == "encoder":
        return [prefill, None]
    decode = _step(flops(model, seq=1, mode="decode", context=1), is_matmul)
    return [prefill, "" if decode == prefill else decode]


def _step(found: Flops, is_matmul: bool) -> str:
    """Return FLOPs without images and audio as a form of the workload symbols."""
    form, model = found.matmul_form if is_matmul else found.other_form, found.architecture
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


def memory(model: Architecture) -> list[list[Any] | None]:
    """Return the weights in each format, the state in each cache format, and the activations, for each of ``RANKS``.

    An entry is None if the ranks cannot divide the model. Weights on several ranks are given by ``DIVIDED``, because
    the number that they need ``more`` is the same for many formats.
    """
    found: list[list[Any] | None] = []
    formats = [serving_weights(model, name or None, "bf16", (), ()) for name in WEIGHTS]
    for ranks in RANKS:
        try:
            weights, *rest = _on_ranks(model, Mesh(tp=ranks), formats)
        except InputError:
            found.append(None)
            continue
        whole = found[0][0] if found and found[0] else None
        more = [size * ranks - one for size, one in zip(weights, whole, strict=True)] if whole else weights
        found.append([more, *rest])
    return found


def _on_ranks(model: Architecture, mesh: Mesh, formats: Iterable[ServedWeights]) -> list[Any]:
    """Return the bytes of weights in each format, those of them that stay in host memory, and the forms."""
    known = memory_of(model, mesh=mesh, seq=1)
    assert isinstance(known, InferenceMemory)
    size = known.state_size

    def state(cache: str) -> Callable[..., int]:
        stored = number_format(cache) if cache else None
        return lambda **sizes: changed(size, workload=changed(known.workload, **sizes), cache=stored).bytes

    def activations(step: int, **sizes: int) -> int:  # results with symbols must not be remembered
        return memory_of(changed(model), mesh=mesh, step_tokens=step, **sizes).activations

    stored = [inference_memory(model, known.workload, each, size, 2, mesh) for each in formats]
    host = [each.host for each in stored]
    return [
        [each.weights for each in stored],
        host if any(host) else 0,
        [_traced(model, state(name)) for name in CACHES],
        _traced(model, activations, step=LIMITS),
    ]


def _traced(model: Architecture, compute: Callable[..., int], **more: Sequence[int]) -> str | None:
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
