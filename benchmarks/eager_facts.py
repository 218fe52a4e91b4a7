"""Measure how transformers' eager code computes: which modules use fp32, and which tensors autograd saves in them.

    python benchmarks/eager_facts.py [--write] [MODEL_TYPE ...]

A tiny bf16 model of each type runs forward once. Its norms, activation functions and routers then run once more on
their own, to see which tensors autograd saves in each. Tensors are described relative to the input and output of the
module in the words of ``llmcalc/core/functions.py``, so the facts don't depend on sizes. Softmax, scores and loss are
observed in the whole model. ``--write`` updates ``llmcalc/data/eager.yaml``. The script needs torch and transformers.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torch.nn.functional as functional
from torch.overrides import TorchFunctionMode

from llmcalc.data import read_table
from tests.oracle import perturb, reference
from tests.oracle.families import cases

FILE = Path(__file__).resolve().parent.parent / "llmcalc" / "data" / "eager.yaml"
BATCH, SEQ, SEEDS, MODELS = 3, 29, 8, 2
JITTER = 0.1  # of the input of a router
HEAD = """\
# How the eager code of transformers computes the modules of each model type in bf16.
# Written by benchmarks/eager_facts.py from transformers {transformers} and torch {torch}.
# scores, scan, loss, softcap: number format of queries and keys in their product, of chunked recurrences, of logits in
#   the loss and of their soft cap (fp32, or compute for the format of the model)
# softmax: tensors that autograd saves between the products of attention
# block_softmax: the same for queries in blocks, if it differs
# output_gate: tensors saved by a sigmoid in fp32 and its product with a tensor, as the input
# stream_norm: tensors saved by the norm of residual streams that are mixed in fp32
# combine: tensors that it saves when a loop adds the outputs of experts
# noise: random factors of a router's input in training, if the config has them
# experts: loop if transformers has no grouped kernel for the experts
# others: tensors that it saves in a module. All are described in the words of llmcalc/core/functions.py.
"""
WIDE, FP32 = torch.float32, "fp32"
SOFTMAX = {functional.softmax, torch.softmax, torch.Tensor.softmax}
PRODUCTS = {torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.baddbmm, torch.Tensor.baddbmm,
            torch.einsum}  # fmt: skip
FUNCTIONS = {"gelu"}
GROUPED = "_can_set_experts_implementation"
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


# sizes for types of which no random model runs
FIXED: dict[str, dict[str, Any]] = {
    "gemma3n_text": {
        "hidden_size": 64, "intermediate_size": 40, "num_hidden_layers": 10, "num_kv_shared_layers": 0,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": perturb.VOCAB,
        "vocab_size_per_layer_input": perturb.VOCAB, "hidden_size_per_layer_input": 24, "sliding_window": 8,
    }
}  # fmt: skip


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


def measure(model_type: str, class_name: str) -> dict[str, str] | None:
    """Return the facts of a class from several tiny models, or None if no model runs."""
    facts: dict[str, str] = {}
    drawn = (perturb.tiny(model_type, class_name, seed, runs=True) for seed in range(SEEDS))
    for changes in islice((each for each in drawn if each is not None), MODELS):
        try:
            own = observe(model_type, class_name, {**changes, **with_experts(model_type, changes)})
        except Exception:  # the lists have other words, or other keys decide
            own = observe(model_type, class_name, changes)
        facts = {**own, **facts}
    if not facts and model_type in FIXED:
        facts = observe(model_type, class_name, FIXED[model_type])
    return facts or None


def with_experts(model_type: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Return changes after which all layers but the first have experts, if the class has such a key."""
    layers = changes.get("num_hidden_layers", 0)
    values = {"first_k_dense_replace": 1, "mlp_layer_types": ["dense", *["sparse"] * (layers - 1)]}
    values |= {"n_group": 1, "topk_group": 1}
    return {key: value for key, value in values.items() if layers and key in reference.defaults(model_type)}


def observe(model_type: str, class_name: str, changes: dict[str, Any]) -> dict[str, str]:
    """Return the facts of one model."""
    with reference.quiet():
        model = reference.build(class_name, model_type, changes, device="cpu").to(torch.bfloat16)
        runs = reference.Runs(model)
        inputs: dict[str, Any] = {"input_ids": runs.ids(BATCH, SEQ), "labels": runs.labels(BATCH, SEQ)}
        inputs |= runs.places(BATCH, SEQ)
        if runs.seq2seq:
            inputs["decoder_input_ids"] = runs.targets(BATCH, SEQ)
        observer = Observer(model)
        with observer, torch.autograd.graph.saved_tensors_hooks(observer.pack, lambda tensor: tensor):
            model(**inputs)
        for handle in observer.handles:
            handle.remove()
        facts = {site: counts.most_common(1)[0][0] for site, counts in observer.found.items()}
        if facts.get("block_softmax") == facts.get("softmax"):
            facts.pop("block_softmax", "")
        scans = [counts for owner, counts in observer.products.items() if owner not in observer.attention]
        facts |= {"scan": scans[0].most_common(1)[0][0]} if scans else {}
        for site, call in observer.calls.items():
            facts[site] = (stream_words if site == "stream_norm" else words)(*call) or ""
        facts |= {"gate": gate_words(*observer.gate)} if observer.gate else {}
        facts |= {"noise": noise_words(model, inputs)}
        if "combine" in facts and not any(getattr(each, GROUPED, bool)() for each in model.modules()):
            facts["experts"] = "loop"
    return {site: fact for site, fact in facts.items() if fact}


def merge(classes: list[dict[str, str]]) -> dict[str, str]:
    """Return the facts of a type. A fact on which its classes disagree is left out."""
    values = {site: {facts[site] for facts in classes if site in facts} for facts in classes for site in facts}
    return {site: next(iter(each)) for site, each in values.items() if len(each) == 1}


def head() -> str:
    """Return the comments of the data file."""
    return HEAD.format(transformers=reference.transformers.__version__, torch=torch.__version__)


def text(facts: dict[str, dict[str, str]]) -> str:
    """Return the content of the data file."""
    lines = []
    for model_type, own in sorted(facts.items()):
        lines.append(f"{model_type}: {{{', '.join(f'{site}: {own[site]}' for site in sorted(own))}}}\n")
    return head() + "".join(lines)


def main() -> None:
    """Measure the named types, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("types", nargs="*")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found: dict[str, list[dict[str, str]]] = {}
    for model_type, class_name in cases(headless=False):
        if options.types and model_type not in options.types:
            continue
        try:
            facts = measure(model_type, class_name)
        except Exception as error:
            print(f"{model_type} {class_name}: {type(error).__name__}: {str(error)[:100]}", file=sys.stderr)
            continue
        if facts is None:
            print(f"{model_type} {class_name}: no tiny model runs", file=sys.stderr)
            continue
        found.setdefault(model_type, []).append(facts)
        own = {model_type: merge(found[model_type])}
        if options.write:
            FILE.write_text(text({**(read_table(FILE.with_suffix("")) if FILE.is_file() else {}), **own}))
        else:
            print(text(own).removeprefix(head()), end="")


if __name__ == "__main__":
    main()
