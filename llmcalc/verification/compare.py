"""Comparison of a small architecture with its NumPy model, such as parameters, FLOPs, traffic, state and experts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..calc.flops import flops
from ..calc.kv_cache import state
from ..calc.memory.saved_tensors import FP32_BYTES, ActivationPolicy
from ..calc.memory.training import saved_tensors
from ..calc.params import params
from ..calc.sharding import Mesh
from ..core.architecture import Architecture, declare
from ..core.equation import read
from ..core.errors import UnsupportedError
from ..core.ledger import declarations
from ..core.record import NamedTuple
from ..core.shrink import SEQ
from ..core.shrink_tower import grid_of
from ..core.workload import Workload
from ..twins import twin
from ..twins.model import Model
from ..twins.observer import Observer
from ..twins.step import Step
from ..twins.training import tower_step, train_step
from ..twins.weights import Array
from . import traffic
from .equation_model import generated_models
from .result import Check
from .sharded_checks import sharded_checks
from .zero_experts import exclude_zero_experts

BATCH = 2
STEPS = 3  # number of decode steps
FIRST_ID = 3  # smaller ids often mean padding, which some models position differently
LOGITS_TOLERANCE = 1e-9
MOST_NAMED = 3  # number of tensors named in a difference


class _Inputs(NamedTuple):
    """Random model inputs."""

    main: Array  # token ids [b, SEQ + STEPS] of the main stack
    source: Array | None  # token ids or audio of an encoder
    pixels: Array | None  # patches of a vision encoder
    grid: tuple[int, int]  # rows and columns of patches

    @property
    def sizes(self) -> dict[str, Any]:
        """Workload sizes of a pass over these inputs."""
        patches = 0 if self.pixels is None else self.grid[0] * self.grid[1]
        return {"batch": BATCH, "seq": SEQ, "patches": patches, "attention": "dense"}

    def first(self, tokens: int) -> tuple[Array, ...]:
        """Return the inputs with the main token ids truncated to ``tokens`` tokens."""
        head = self.main[:, :tokens]
        return (head,) if self.source is None else (self.source, head)


def compare(small: Architecture) -> Iterator[Check]:
    """Yield all checks of a small architecture."""
    model = twin(small, modules=generated_models(small))
    exclude_zero_experts((layer for stack in model.stacks for layer in stack.layers()), model.tensors)
    texts = _inputs(small, model)
    parameters = _parameters(small, model)
    yield parameters
    yield from _active(small, model, texts)
    yield from _forward(small, model, texts)
    yield from _training(small, model, texts)
    if small.main.role == "decoder":
        yield from _decode(small, model, texts)
    if parameters.ok:
        yield from sharded_checks(small)


def _inputs(small: Architecture, model: Model) -> _Inputs:
    rng = np.random.default_rng(0)
    texts = (stack for stack in model.stacks if stack.stack.role != "tower" and not stack.takes_handover)
    vocab = min(stack.vocab for stack in texts if not stack.input_shape(1))
    if vocab <= FIRST_ID:
        raise UnsupportedError(f"a vocabulary of {vocab} tokens is too small for verification", where=small.name)
    codebooks = max((int(declare(layer).axes.get("nc", 1)) for _, layer in small.main.inputs), default=1)
    main = rng.integers(FIRST_ID, vocab, (BATCH * codebooks, SEQ + STEPS))
    source = rng.integers(FIRST_ID, vocab, (BATCH, SEQ))
    inputs: dict[str, Array] = {"encoder": source if small.is_encoder_decoder else None}
    grid = grid_of(small.stacks)
    for stack in model.stacks:
        if shape := stack.input_shape(grid[0] * grid[1] if stack.stack.role == "tower" else SEQ):
            inputs[stack.stack.role] = rng.standard_normal((BATCH, *shape))
    return _Inputs(main, inputs["encoder"], inputs.get("tower"), grid)


def _parameters(small: Architecture, model: Model) -> Check:
    """Check tensor names and shapes, and the number of parameters."""
    declared = dict(params(small).tensors())
    observed = {name: tuple(array.shape) for name, array in model.parameters.items()}
    different = sorted(name for name in declared.keys() | observed.keys() if declared.get(name) != observed.get(name))
    texts = (f"{name}: declared {declared.get(name)}, observed {observed.get(name)}" for name in different[:MOST_NAMED])
    total = sum(array.size for array in model.parameters.values())
    note = f"{len(observed)} tensors, by name and shape"
    return Check("parameters", params(small).total, total, "params", detail="; ".join(texts), note=note)


def _active(small: Architecture, model: Model, texts: _Inputs) -> Iterator[Check]:
    """Check the numbers of active experts and active parameters per token."""
    mixtures = [layer for stack in model.stacks for layer in stack.layers() if hasattr(layer.module, "route")]
    if not mixtures:
        return
    used = idle = 0
    rng = np.random.default_rng(1)
    for placed in mixtures:
        x = rng.standard_normal((1, 1, placed.layer.d_model))
        chosen, _ = placed.module.route(placed.layer, placed.weights_in(model.tensors), x, Step(texts.main[:1, :1]))
        n_chosen = len(set(chosen.ravel().tolist()))
        weights = [weight for weight in placed.weights if weight.per_expert]
        used += n_chosen
        idle += sum(weight.size - weight.size // weight.shape[0] * n_chosen for weight in weights)
    total = sum(array.size for array in model.parameters.values())
    yield Check("active experts", _declared_experts(small), used, "experts", note=f"of {len(mixtures)} layers")
    yield Check("active parameters", params(small).active, total - idle, "params")


def _declared_experts(small: Architecture) -> int:
    """Return the declared number of active experts, summed over all layers with expert tensors."""
    n_active = 0
    for entry, _, declaration in declarations(*small.stacks):
        used = [declaration.axes[tensor.active[1]] for tensor in declaration.tensors if tensor.active]
        n_active += entry.stored * int(used[0]) if used else 0
    return n_active


def _forward(small: Architecture, model: Model, texts: _Inputs) -> Iterator[Check]:
    """Check the FLOPs and the traffic of a forward pass."""
    observer, step = Observer(), traffic.unfused_traffic(small, **texts.sizes)
    excluded = traffic.reordered_kinds(model, step)
    with observer.weights_of(counted := traffic.without_traffic_of(excluded, model, observer)):
        counted.forward(*texts.first(SEQ))
        if texts.pixels is not None:
            counted.see(texts.pixels, texts.grid)
    yield Check("matmul FLOPs, forward", flops(small, **texts.sizes).matmul, observer.matmul_flops, "FLOPs")
    yield traffic.check("forward", [step], model, observer, excluded)


def _training(small: Architecture, model: Model, texts: _Inputs) -> Iterator[Check]:
    """Check the backward FLOPs and saved activations of a training step."""
    has_head = any(declare(layer).logits for _, layer in small.main.outputs)
    observer = Observer()
    with observer.weights_of(model):
        saved_sizes = train_step(model, *texts.first(SEQ), targets=FIRST_ID if has_head else None).saved_sizes
        if texts.pixels is not None:
            saved_sizes += tower_step(model, texts.pixels, texts.grid).saved_sizes
    declared = flops(small, mode="train", **texts.sizes)
    forward = flops(small, **texts.sizes).matmul
    yield Check("matmul FLOPs, backward", declared.matmul - forward, observer.matmul_flops - forward, "FLOPs")
    yield _saved(small, saved_sizes, texts)


def _saved(small: Architecture, observed: tuple[int, ...], texts: _Inputs) -> Check:
    """Check the saved activations, assuming eager attention and recomputation only in chunked recurrences."""
    policy = ActivationPolicy(attention="eager", bytes=FP32_BYTES, scan="chunks")
    workload = Workload(mode="train", **texts.sizes)
    saved = [(name, size // FP32_BYTES) for name, size in saved_tensors(small, workload, policy, Mesh())]
    declared = sum(size for _, size in saved)
    unmatched, declared_only = Counter(observed), []
    for name, size in saved:  # tensors are matched by size
        if unmatched[size]:
            unmatched[size] -= 1
        else:
            declared_only.append(f"{name} ({size})")
    detail = ""
    if declared != sum(observed):
        sizes = ", ".join(str(size) for size in sorted(unmatched.elements(), reverse=True)[:MOST_NAMED])
        detail = f"declared only: {', '.join(declared_only[:MOST_NAMED]) or 'none'}; observed only: {sizes or 'none'}"
    recurrent = any("scan" in read(line).tags for _, _, inner in declarations(*small.stacks) for line in inner.lines)
    note = "scans save their inputs" if recurrent else ""
    return Check("saved activations", declared, sum(observed), "elements", detail=detail, note=note)


def _decode(small: Architecture, model: Model, texts: _Inputs) -> Iterator[Check]:
    """Check the state, FLOPs and traffic of decode steps after a prefill, and compare logits with a single pass."""
    whole = model.forward(*texts.first(SEQ + STEPS))
    logits, cache = model.prefill(*texts.first(SEQ))
    yield Check("state", state(small, batch=BATCH, seq=SEQ, contents=True).elements, cache.elements, "elements")
    source: dict[str, Any] = {"source": SEQ} if small.is_encoder_decoder else {}
    observer, steps, declared, moved = Observer(), [np.asarray(logits)], 0, []
    excluded = traffic.reordered_kinds(model)
    with observer.weights_of(counted := traffic.without_traffic_of(excluded, model, observer)):
        for at in range(SEQ, SEQ + STEPS):
            steps.append(np.asarray(counted.decode(texts.main[:, at : at + 1], cache)))
            step = {"batch": BATCH, "seq": 1, "context": at, "mode": "decode", "attention": "dense", **source}
            declared += flops(small, **step).matmul
            moved.append(traffic.unfused_traffic(small, **step))
    yield Check(f"matmul FLOPs, {STEPS} decode steps", declared, observer.matmul_flops, "FLOPs")
    yield traffic.check(f"{STEPS} decode steps", moved, model, observer, excluded)
    layers = (placed for stack in model.stacks for placed in stack.layers() if hasattr(placed.module, "is_stepwise"))
    if all(placed.module.is_stepwise(placed.layer) for placed in layers):
        yield _logits("logits, step by step", whole, np.concatenate(steps, axis=1))
    else:  # later tokens change earlier results
        yield _logits("logits, with a cache", model.forward(*texts.first(SEQ)), steps[0])


def _logits(quantity: str, expected: Array, observed: Array) -> Check:
    error = float(np.abs(observed - expected).max() / np.abs(expected).max())
    detail = "" if error <= LOGITS_TOLERANCE else f"the largest difference is {error:.1e} of the largest logit"
    return Check(quantity, expected.size, expected.size, "logits", detail=detail)
