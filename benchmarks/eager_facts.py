"""Measure how transformers' eager code computes: which modules use fp32, and which tensors autograd saves in them.

    python benchmarks/eager_facts.py [--write] [MODEL_TYPE ...]

A tiny bf16 model of each type runs forward once. Its norms, activation functions and routers then run once more on
their own, to see which tensors autograd saves in each. Softmax, scores and loss are observed in the whole model.
``--write`` updates ``llmcalc/data/eager.yaml``. The script needs torch and transformers.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from eager_observer import SEQ, Observer, gate_words, noise_words, stream_words, words

from llmcalc.data import read_table
from tests.oracle import perturb, reference
from tests.oracle.families import cases

FILE = Path(__file__).resolve().parent.parent / "llmcalc" / "data" / "eager.yaml"
BATCH, SEEDS, MODELS = 3, 8, 2
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
GROUPED = "_can_set_experts_implementation"

# sizes for types of which no random model runs
FIXED: dict[str, dict[str, Any]] = {
    "gemma3n_text": {
        "hidden_size": 64, "intermediate_size": 40, "num_hidden_layers": 10, "num_kv_shared_layers": 0,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": perturb.VOCAB,
        "vocab_size_per_layer_input": perturb.VOCAB, "hidden_size_per_layer_input": 24, "sliding_window": 8,
    }
}  # fmt: skip


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
