"""A small architecture's declarations against its NumPy model: parameters, FLOPs, state, gradients, experts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..calc.flops import flops
from ..calc.params import params
from ..calc.state import state
from ..core.architecture import Architecture
from ..core.shrink import SEQ
from ..twins import twin
from ..twins.model import Model
from ..twins.observer import Observer
from ..twins.step import Step
from ..twins.training import train_step
from ..twins.weights import Array
from .result import Check

BATCH = 2
STEPS = 3  # decode steps
FIRST_ID = 3  # ids below are often padding, which some models place differently
LOGITS_TOLERANCE = 1e-9


class _Texts(NamedTuple):
    """Random token ids [b, SEQ + STEPS] for the (main) stack, and those of an encoder beside it."""

    main: Array
    source: Array | None

    def first(self, tokens: int) -> tuple[Array, ...]:
        """The inputs of a pass over so many tokens."""
        head = self.main[:, :tokens]
        return (head,) if self.source is None else (self.source, head)


def compare(small: Architecture) -> Iterator[Check]:
    """Every check of a small architecture, in reading order."""
    model = twin(small)
    texts = _texts(small, model)
    yield _parameters(small, model)
    yield from _active(small, model, texts)
    yield _forward(small, model, texts)
    yield _backward(small, model, texts)
    if small.main.role == "decoder":
        yield from _decode(small, model, texts)


def _texts(small: Architecture, model: Model) -> _Texts:
    rng = np.random.default_rng(0)
    vocab = min(stack.vocab for stack in model.stacks)
    main, source = (rng.integers(FIRST_ID, vocab, (BATCH, length)) for length in (SEQ + STEPS, SEQ))
    return _Texts(main, source if small.is_encoder_decoder else None)


def _parameters(small: Architecture, model: Model) -> Check:
    """Each tensor by name and shape, and their sum."""
    declared = dict(params(small).tensors())
    observed = {name: tuple(array.shape) for name, array in model.parameters.items()}
    wrong = sorted(name for name in declared.keys() | observed.keys() if declared.get(name) != observed.get(name))
    detail = "; ".join(f"{name}: declared {declared.get(name)}, observed {observed.get(name)}" for name in wrong[:3])
    total = sum(array.size for array in model.parameters.values())
    note = f"{len(observed)} tensors, by name and shape"
    return Check("parameters", params(small).total, total, "params", detail=detail, note=note)


def _active(small: Architecture, model: Model, texts: _Texts) -> Iterator[Check]:
    """Parameters that one token uses: of routed experts, those that the router sends it to."""
    mixtures = [layer for stack in model.stacks for layer in stack.layers() if hasattr(layer.module, "route")]
    if not mixtures:
        return
    idle = 0
    rng = np.random.default_rng(1)
    for placed in mixtures:
        w = placed.weights_in(model.tensors)
        chosen, _ = placed.module.route(
            placed.layer, w, rng.standard_normal((1, 1, placed.layer.d_model)), Step(texts.main[:1, :1])
        )
        experts = sum(weight.size for weight in placed.weights if weight.per_expert)
        idle += experts - experts // placed.layer.n_experts * len(set(chosen.ravel().tolist()))
    total = sum(array.size for array in model.parameters.values())
    yield Check("active parameters", params(small).active, total - idle, "params")


def _forward(small: Architecture, model: Model, texts: _Texts) -> Check:
    observer = Observer()
    with observer.weights_of(model):
        model.forward(*texts.first(SEQ))
    declared = flops(small, batch=BATCH, seq=SEQ, attention="dense").matmul
    return Check("matmul FLOPs, forward", declared, observer.matmul_flops, "FLOPs")


def _backward(small: Architecture, model: Model, texts: _Texts) -> Check:
    inputs = texts.first(SEQ)
    positions = model.forward(*inputs).shape[1]
    observer = Observer()
    with observer.weights_of(model):
        train_step(model, *inputs, targets=np.full((BATCH, positions), FIRST_ID))
    declared = flops(small, batch=BATCH, seq=SEQ, attention="dense", mode="train")
    forward = flops(small, batch=BATCH, seq=SEQ, attention="dense").matmul
    return Check("matmul FLOPs, backward", declared.matmul - forward, observer.matmul_flops - forward, "FLOPs")


def _decode(small: Architecture, model: Model, texts: _Texts) -> Iterator[Check]:
    """Step after step behind a prefill: state, FLOPs of each step, and logits equal to those of one pass."""
    whole = model.forward(*texts.first(SEQ + STEPS))
    logits, cache = model.prefill(*texts.first(SEQ))
    yield Check("state", state(small, batch=BATCH, seq=SEQ).elements, cache.elements, "elements")
    source: dict[str, Any] = {"source": SEQ} if small.is_encoder_decoder else {}
    observer, found, declared = Observer(), [np.asarray(logits)], 0
    with observer.weights_of(model):
        for at in range(SEQ, SEQ + STEPS):
            found.append(np.asarray(model.decode(texts.main[:, at : at + 1], cache)))
            work = flops(small, batch=BATCH, seq=1, context=at, mode="decode", attention="dense", **source)
            declared += work.matmul
    yield Check(f"matmul FLOPs, {STEPS} decode steps", declared, observer.matmul_flops, "FLOPs")
    gap = float(np.abs(np.concatenate(found, axis=1) - whole).max() / np.abs(whole).max())
    detail = "" if gap <= LOGITS_TOLERANCE else f"they differ by {gap:.1e} of the largest"
    yield Check("logits, step by step", whole.size, whole.size, "logits", detail=detail)
