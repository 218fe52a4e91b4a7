"""Time of a forward pass or a decode step on GPUs.

seconds: estimated time of one step, or of a prefill
    omits: queueing, tokenisation and the network
    unlike: publications that divide bytes by bandwidth or FLOPs by the peak alone
low: lower end of the interval in which 8 of 10 measured times lie
high: upper end of that interval
tokens_per_s: tokens of the step per second, over all sequences and GPUs
    omits: queueing
"""

from __future__ import annotations

from typing import Any

from ..analysis.quantity import NANOSECONDS, STEPS, Quantity
from ..calc.sharding import MESH
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import changed
from ..core.setting import BATCH, CONTEXT, MODE, SEQ
from ..core.tree import Node
from ..inputs.settings import CACHE_FORMAT, ENGINE, GPU, WEIGHTS
from ..search.default_layout import layout_of_batch
from ..serving.latency import batch_latency
from ..serving.latency_times import DECODE, PREFILL, Latency

STEP = changed(MODE, default=None, usual="decode")  # or "forward" if only the length of a prompt is given
NAMES = ("batch", "tp", "dp", "ep", "weights", "cache", "engine")
UNIT, SECONDS = NANOSECONDS, "s"


def _measure(architecture: Architecture, settings: dict[str, Any]) -> Latency:
    mode, gpu = settings.get("mode"), settings.get("gpu")
    if gpu is None:
        raise InputError("missing GPU", parameter="gpu", hint="add {gpu=h100}")
    if mode == "train":
        raise InputError("a training step has no latency", parameter="mode", hint="use {mode=forward} or {mode=decode}")
    given = {name: settings[name] for name in NAMES if settings.get(name) is not None}
    if mode == DECODE:
        given |= {"mode": DECODE}
    else:
        given |= {"mode": PREFILL if mode else None, "seq": settings.get("seq")}
    return batch_latency(architecture, gpu, {**given, "context": settings.get("context")}, layout_of_batch)


def _layout(architecture: Architecture, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the default layout of a model, unless a layout is given or has pipeline stages."""
    if settings.get("gpu") is None or any(settings.get(name) for name in ("tp", "dp", "ep")):
        return {}
    mesh = _measure(architecture, settings).model.mesh
    return {} if mesh.pp > 1 else {"tp": mesh.tp, "dp": mesh.dp, "ep": mesh.ep}


def _tree(result: Latency) -> Node:
    from ..serving.latency_tree import latency_tree

    return latency_tree(result)


def _compared(result: Latency) -> tuple[str, tuple[str, ...]]:
    step = STEPS["decode" if result.mode == DECODE else "forward"]
    return f"time of a {step} on {result.count} × {result.accelerator.title}", ("seconds", "low", "high")


QUANTITY = Quantity(
    "latency", "latency", UNIT, _measure, _tree,
    settings=(
        GPU, ENGINE, STEP, BATCH, changed(SEQ, needs=("prefill",)), CONTEXT, WEIGHTS,
        CACHE_FORMAT, *(each for each in MESH if each.name in ("tp", "dp", "ep")),
    ),
    parts={"seconds": SECONDS, "low": SECONDS, "high": SECONDS, "tokens_per_s": "tokens/s"},
    target=lambda result: round(result.seconds * 1e9),
    compared=_compared,
    requires=("gpu",),
    on_arrays=lambda result: None if result.has_default_layout else result.part_on,
    most_points=(1000, "each point has its own layout unless {tp}, {dp} or {ep} is given"),
    layout=_layout,
    results=(Latency,),
    evidence={"": Latency.EVIDENCE},
)  # fmt: skip
