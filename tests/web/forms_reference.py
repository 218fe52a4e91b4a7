"""What Python computes for the quantities that the page has closed forms of, and workloads to compare them at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import llmcalc
from llmcalc.core.errors import InputError
from llmcalc.core.form import FUNCTIONS
from llmcalc.fitting.memory import memory_of
from llmcalc.web.forms import CACHES, WEIGHTS

Workload = dict[str, Any]
SIZES = ((1, 1), (3, 127), (7, 509), (61, 1021), (2, 8191), (257, 32749), (8209, 131), (5, 1048573), (1, 16777259))


def workloads(first: int, count: int) -> list[Workload]:
    """Return ``count`` workloads of prime sizes from an endless list of combinations of settings."""
    return [
        {
            "batch": SIZES[number % len(SIZES)][0],
            "seq": SIZES[number % len(SIZES)][1],
            "weights": WEIGHTS[7 * number % len(WEIGHTS)],
            "cache": CACHES[number // 3 % len(CACHES)],
        }
        for number in range(first, first + count)
    ]


def reference(model: llmcalc.Source, workloads: Iterable[Workload]) -> list[dict[str, int | None]]:
    """Return the quantities of ``page/quantities.js`` for each workload, or None where llmcalc raises an error."""
    architecture = llmcalc.load(model)
    return [_values(architecture, workload) for workload in workloads]


def _values(model: llmcalc.Architecture, workload: Workload) -> dict[str, int | None]:
    batch, seq = workload["batch"], workload["seq"]
    found: dict[str, int | None] = {"params": llmcalc.params(model).total, "active": llmcalc.params(model).active}
    decode = {"seq": 1, "mode": "decode", "context": seq}
    for name, step in (("prefill", {"seq": seq}), ("decode", decode)):
        is_known = name == "prefill" or model.main.role != "encoder"
        flops = _or_none(lambda step=step: llmcalc.flops(model, batch=batch, **step).count) if is_known else None
        found |= {name: flops and flops.forward, f"{name}_other": flops and flops.other}
    settings = {
        "batch": batch, "weights": workload["weights"] or None, "cache": workload["cache"] or None,
    }  # fmt: skip
    memory = _or_none(lambda: memory_of(model, **settings, seq=seq))
    one = memory or _or_none(lambda: memory_of(model, **settings, seq=1))  # weights do not depend on positions
    for name in ("weights", "host"):
        found[name] = None if one is None else getattr(one, name)
    for name in ("state", "activations", "peak"):
        found[name] = None if memory is None else getattr(memory, name)
    return found | {"needed": None if memory is None else memory.peak - memory.host}


def _or_none(compute: Callable[[], Any]) -> Any:
    try:
        return compute()
    except InputError:
        return None


def evaluated(text: str, sizes: Mapping[str, int]) -> int | None:
    """Return the value of a form as the page evaluates it, with the functions of ``core/form.py``."""
    functions = FUNCTIONS | {"min": min, "max": max, "floor": lambda a, b: a // b}
    for piece in text.split("|"):
        values = dict(sizes)
        for step in piece.split(";"):
            name, _, form = step.rpartition("=")
            values[name] = eval(form, {"__builtins__": {}}, functions | values)
            if name == "?" and values["?"] < 0:
                break
        else:
            return values[""]
    return None


def texts(content: Any) -> Iterator[str]:
    """Yield all forms of sizes in the content of a file."""
    if isinstance(content, dict | list | tuple):
        for each in content.values() if isinstance(content, dict) else content:
            yield from texts(each)
    elif isinstance(content, str) and re.search(r"[*(]", content) and not content.endswith(";"):
        yield content
