"""What transformers' eager code computes in a model that runs: its number formats, and the tensors that autograd saves.

Tensors are described relative to the input and output of their module in the words of ``llmcalc/core/functions.py``, so
the facts don't depend on sizes.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torch.nn.functional as functional
from torch.overrides import TorchFunctionMode

from tests.oracle import perturb

SEQ = 29  # tokens
JITTER = 0.1  # of the input of a router
WIDE, FP32 = torch.float32, "fp32"
SOFTMAX = {functional.softmax, torch.softmax, torch.Tensor.softmax}
PRODUCTS = {torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.baddbmm, torch.Tensor.baddbmm,
            torch.einsum}  # fmt: skip
FUNCTIONS = {"gelu"}
BOUNDS = {torch.tanh, torch.Tensor.tanh, functional.tanh}
ADDS = {torch.Tensor.index_add_, torch.Tensor.index_add}
SIGMOIDS = {torch.sigmoid, torch.Tensor.sigmoid, functional.sigmoid}
MULTIPLICATIONS = {torch.mul, torch.Tensor.mul, torch.Tensor.__mul__, torch.Tensor.__rmul__}
LOSSES = {functional.cross_entropy, functional.log_softmax, torch.log_softmax}
ATTENTION = re.compile(r"Attention|Attn|MLA")
MIXER = re.compile(r"Mixer|Delta|Mamba|LSTM|Recurrent|Conv|Rwkv|KDA|Linear|Lightning")
OTHER = re.compile(r"Indexer|Pooler")  # modules whose norms are not counted as norms of layers
STREAMS = re.compile(r"HyperConnection|HyperHead")
ACTIVATION = re.compile(r"Activation|elu|GELU|SiLU|ReLU|Sigmoid|Tanh")
EXPERTS = re.compile(r"Experts|M[oO]E|Attention")
ROUTER = re.compile(r"Router|Gate$|Gating")


class Noise(TorchFunctionMode):
    """Record the number formats of random factors."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.found = size, list[str]()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        if function is torch.Tensor.uniform_ and out.shape[-1] == self.size:
            self.found.append("input" + "32" * (width(out) == FP32))
        return out


def noise_words(model: Any, inputs: dict[str, Any]) -> str:
    """Describe the factors with which a model multiplies the input of each router in training."""
    for module in model.modules():
        for key in [key for key in vars(module) if "jitter" in key]:
            setattr(module, key, JITTER)
            module.training = True
    with Noise(model.get_input_embeddings().embedding_dim) as noise:
        model(**inputs)
    routers = sum(bool(ROUTER.search(type(module).__name__)) for module in model.modules())
    return " ".join(noise.found[: len(noise.found) // max(routers, 1)])


class Observer(TorchFunctionMode):
    """Record the number formats of softmax, scores and loss, and the calls of small modules."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.found: dict[str, Counter[str]] = {}
        self.calls: dict[str, tuple[Any, Any, Any]] = {}
        self.stack: list[Any] = []
        self.product, self.weights = "", None
        self.packed: list[Any] = []
        self.bounded: set[int] = set()  # soft caps of scores
        self.products: dict[str, Counter[str]] = {}  # number formats by class of module
        self.attention: set[str] = set()  # classes with a softmax
        self.vocab = perturb.VOCAB
        self.gate: tuple[Any, Any] | None = None
        self.output_gate: Any = None  # result of a sigmoid in fp32
        self.parents = {id(child): parent for parent in model.modules() for child in parent.children()}
        for module in model.modules():
            if callable(gate := getattr(module, "_apply_gate", None)):
                module._apply_gate = partial(self.enter_gate, gate)
        space = vars(sys.modules[type(model).__module__])
        for name in FUNCTIONS & {name for name, value in space.items() if inspect.isfunction(value)}:
            space[name] = self.enter_function(space[name])  # an activation function that is not a module
        self.handles = [
            handle
            for module in model.modules()
            for handle in (
                module.register_forward_pre_hook(self.enter, with_kwargs=True),
                module.register_forward_hook(lambda *_: self.stack.pop() and None),
            )
        ]

    def enter(self, module: Any, args: Any, kwargs: Any) -> None:
        """Remember the first call of a norm, an activation function and a router at each kind of place."""
        self.stack.append(module)
        if site := self.site(module):
            self.calls.setdefault(site, (module, args, kwargs))

    def site(self, module: Any) -> str:
        """Return which kind of place a module has in the model, or an empty string for other modules."""
        name, parent = type(module).__name__, type(self.parents.get(id(module))).__name__
        if ROUTER.search(name):
            return "router"
        if OTHER.search(parent) or ROUTER.search(parent) or next(module.children(), None) is not None:
            return ""
        if "Norm" in name and STREAMS.search(parent):
            return "stream_norm"
        if "Norm" in name:
            plain = "plain_" * (getattr(module, "weight", None) is None)
            place = "qk_norm" if ATTENTION.search(parent) else "mixer_norm" if MIXER.search(parent) else "norm"
            return "gated_norm" if "Gated" in name else plain + place
        return "activation" if ACTIVATION.search(name) and not MIXER.search(parent) else ""

    def enter_function(self, function: Any) -> Any:
        """Return an activation function that remembers its first call, as that of a module."""
        module = torch.nn.Module()
        module.forward = function

        def call(*args: Any) -> Any:
            self.calls.setdefault("activation", (module, args, {}))
            return function(*args)

        return call

    def enter_gate(self, gate: Any, hidden: Any) -> Any:
        """Remember the first call of the function that multiplies experts' hidden values by their gate."""
        self.gate = self.gate or (gate, hidden)
        return gate(hidden)

    def pack(self, tensor: Any) -> Any:
        """Remember a tensor that autograd saves."""
        self.packed += [tensor] if tensor.is_floating_point() else []
        return tensor

    def note(self, site: str, value: str) -> None:
        self.found.setdefault(site, Counter())[value] += 1

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        owner = next((type(each).__name__ for each in reversed(self.stack)), "")
        is_attention, is_product = ATTENTION.search(owner), function in PRODUCTS
        if is_attention and is_product and self.weights is not None:
            self.note("softmax" if self.weights.shape[-2] == SEQ else "block_softmax", self.scores())
            self.weights = None
        if is_attention and is_product:
            self.product, self.packed = width(*args), []
        out = function(*args, **(kwargs or {}))
        if is_product and (is_attention or MIXER.search(owner)):
            self.packed = []
            self.products.setdefault(owner, Counter())[width(*args[:2])] += 1
        if function in LOSSES:
            self.note("loss", width(args[0]))
        if function in BOUNDS and out.shape[-1] == self.vocab:
            self.note("softcap", width(out))
        if function in BOUNDS:
            self.bounded.add(out.untyped_storage().data_ptr())
        if function in SIGMOIDS and width(out) == FP32 and (is_attention or "Norm" in owner):
            self.output_gate = out
        if function in MULTIPLICATIONS and self.output_gate is not None:
            others = [each for each in args if each is not self.output_gate]
            if len(others) == 1:
                self.note("output_gate", f"input{'32' * (width(*others) == FP32)} output32")
                self.output_gate = None
        if function in ADDS and EXPERTS.search(owner):
            self.note("combine", "output32" if width(args[-1]) == FP32 else "output")
        if is_attention and function in SOFTMAX and out.ndim >= 3 and self.product:
            self.note("scores", self.product)
            self.weights, self.product = out, ""
            self.attention.add(owner)
        return out

    def scores(self) -> str:
        """Describe what autograd saves between the product of queries and keys and that of weights and values."""
        result, seen = [], set()
        rows = self.weights.numel() // self.weights.shape[-1]
        for tensor in self.packed:
            pointer, size = tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes()
            size //= tensor.element_size()
            if pointer not in seen and size == rows:
                result.append("row")
            elif pointer not in seen | self.bounded and 0 <= self.weights.numel() - size <= rows:
                name = "output" if pointer == self.weights.untyped_storage().data_ptr() else "hidden"
                result.append(name + ("32" if tensor.dtype == WIDE else ""))
            seen.add(pointer)
        return " ".join(sorted(result)) or "nothing"


def width(*values: Any) -> str:
    """Return whether tensors are in fp32 or in the number format of the model."""
    return FP32 if any(getattr(each, "dtype", None) == WIDE for each in values) else "compute"


@contextlib.contextmanager
def saved(known: set[int]) -> Iterator[dict[int, Any]]:
    """Collect floating-point tensors that autograd saves, by storage, except those in ``known``."""
    found: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        own = tensor.untyped_storage().data_ptr()
        if tensor.is_floating_point() and own not in known:
            found.setdefault(own, tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield found


def words(module: Any, args: Any, kwargs: Any) -> str | None:
    """Run a module alone and describe what autograd saves relative to its input and output."""
    fresh = [detached(each) for each in args]
    named = {name: detached(each) for name, each in kwargs.items()}
    x = next((each for each in [*fresh, *named.values()] if isinstance(each, torch.Tensor)), None)
    if x is None or not x.is_floating_point():
        return None
    known = {each.untyped_storage().data_ptr() for each in (*module.parameters(), *module.buffers())}
    with saved(known) as found:
        out = module(*fresh, **named)
    outputs = [each for each in (out if isinstance(out, tuple) else (out,)) if isinstance(each, torch.Tensor)]
    own = {each.untyped_storage().data_ptr() for each in outputs}
    weights = {each.numel() for each in module.parameters() if each.ndim > 1}
    rows = x.numel() // x.shape[-1]
    scores = {rows * module.weight.shape[0]} if getattr(module, "weight", None) is not None else set()
    result: list[str] = []
    for pointer, tensor in found.items():
        wide = "32" if tensor.dtype == WIDE else ""
        size = tensor.untyped_storage().nbytes() // tensor.element_size()
        if pointer == x.untyped_storage().data_ptr():
            result.append("input")
        elif size == x.numel():
            is_copy = wide and tensor.numel() == size and torch.equal(tensor.reshape(x.shape), x.to(WIDE))
            result.append("input32" if is_copy else ("output" if pointer in own else "hidden") + wide)
        elif size in (scores or {each.numel() for each in outputs if each.numel() > 4 * rows}):
            result.append(f"score{wide}")
        elif size == rows:
            result.append("row")
        elif size in weights:
            result.append(f"weight{wide}")
    return " ".join(sorted(result))


def stream_words(module: Any, args: Any, kwargs: Any) -> str | None:
    """Describe what a norm of residual streams in fp32 saves, including its result, which a product saves."""
    (x,) = args
    if x.dtype != WIDE or getattr(module, "weight", None) is not None:
        return None
    return " ".join(["hidden32"] * (module(x).numel() == x.numel()) + ["input32", "row"])


def gate_words(gate: Any, hidden: Any) -> str:
    """Describe what autograd saves for a gate of experts, relative to its result and its input of twice the width."""
    x = detached(hidden)
    with saved(set()) as found:
        gate(x)
    result = []
    for pointer, tensor in found.items():
        copies = 2 * tensor.untyped_storage().nbytes() // tensor.element_size() // x.numel()
        is_input = pointer == x.untyped_storage().data_ptr()
        result += ["input"] if is_input else ["hidden" + ("32" if tensor.dtype == WIDE else "")] * copies
    return " ".join(sorted(result))


def detached(value: Any) -> Any:
    """Return a copy of a tensor with the same number format that requires a gradient."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    return value.detach().clone().requires_grad_()
