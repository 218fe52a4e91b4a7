"""Heads of classes for a task: every class of transformers' mappings, of families with a row in the table."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.data import table
from llmcalc.importers.hf import families
from llmcalc.importers.hf.class_defaults import is_transformers_class

from . import perturb, reference

pytestmark = pytest.mark.filterwarnings("ignore")
LABELS = 13
auto = reference.modeling_auto
MAPPINGS = {
    "ForSequenceClassification": auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "ForTokenClassification": auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    "ForQuestionAnswering": auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    "ForMultipleChoice": auto.MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES,
    "ForNextSentencePrediction": auto.MODEL_FOR_NEXT_SENTENCE_PREDICTION_MAPPING_NAMES,
}
# not in the table: heads that no other family has, and classes that cannot be built here
OTHERS = {
    "ForSequenceClassification": "layoutlmv2 modernvbert perceiver ultravbert",
    "ForTokenClassification": "layoutlmv2 modernvbert openai_privacy_filter ultravbert",
    "ForQuestionAnswering": "layoutlmv2 led lxmert splinter xlm xlnet flaubert",
    "ForMultipleChoice": "xlm flaubert",
    "ForNextSentencePrediction": "mobilebert",
}


def _rows() -> list[tuple[str, str]]:
    """(task, family) of the table."""
    tasks = {task: rows for task, rows in table("task_heads").items() if "Reward" not in task}  # not in transformers
    return [(task, name) for task, rows in tasks.items() for row in rows for name in row["families"].split()]


def test_the_table_has_every_class_of_transformers() -> None:
    known = set(families.names())
    listed: dict[str, set[str]] = {}
    for task, name in _rows():
        listed.setdefault(task, set()).add(name)
    for task, mapping in MAPPINGS.items():
        missing = {name for name in mapping if name in known} - listed[task]
        assert missing <= set(OTHERS[task].split()), (task, missing - set(OTHERS[task].split()))


@pytest.mark.parametrize(("task", "model_type"), _rows())
def test_stored_tensors(task: str, model_type: str) -> None:
    named = MAPPINGS.get(task, {}).get(model_type)
    class_name = named if isinstance(named, str) else _class_of(task, model_type)
    labels = {"num_labels": 2 if class_name == "DistilBertForQuestionAnswering" else LABELS}
    compared = 0
    for seed in (0, 1, 2):
        changes = next(filter(None, (perturb.tiny(model_type, name, seed) for name in _bases(model_type))), None)
        if changes is None:
            continue
        try:
            model = reference.build(class_name, model_type, {**changes, **labels})
        except Exception:
            continue
        config = reference.plain_config(model, class_name)
        try:
            found = llmcalc.load(config)
        except llmcalc.InputError:
            continue  # sizes that contradict each other; test_parameters checks that the class does not run either
        assert not any("not counted: the head" in note for note in found.notes)
        params = llmcalc.params(found)
        assert params.total == reference.parameters(model), changes
        try:
            stored = dict(params.tensors(layout="transformers"))
        except llmcalc.UnsupportedError:
            stored = {}
        wanted = reference.tensors(model)
        if "transformer" in {name.partition(".")[0] for name in wanted} and _has_own_prefix(task, model_type):
            assert sorted(stored.values()) == sorted(wanted.values())  # the prefix of these classes is their own
        elif stored:
            assert stored == wanted
        compared += 1
    if not compared:
        pytest.skip(f"{class_name} cannot be built here")


def _has_own_prefix(task: str, model_type: str) -> bool:
    return task == "ForQuestionAnswering" or model_type in ("t5", "mt5", "umt5")


def _bases(model_type: str) -> list[str]:
    return reference.classes(model_type, headless=True)


def _class_of(task: str, model_type: str) -> str:
    """Return the class of a family that no mapping names, by its other classes."""
    for name in _bases(model_type):
        for end in ("Model", "ForMaskedLM", "WithLMHeadModel"):
            found = name.removesuffix(end) + task
            if name.endswith(end) and hasattr(reference.transformers, found):
                return found
    pytest.skip(f"no class for {task}")


HEADS = ("bert", "deberta-v2", "distilbert", "modernbert", "roberta")
DECODERS = ("gpt_neo", "llama", "qwen2")


@pytest.mark.parametrize("model_type", [*HEADS, *DECODERS])
def test_work(model_type: str) -> None:
    class_name = MAPPINGS["ForSequenceClassification"][model_type]
    changes = next(filter(None, (perturb.tiny(model_type, name, 1) for name in _bases(model_type))))
    model = reference.build(class_name, model_type, {**changes, "num_labels": LABELS, "pad_token_id": 0}, device="cpu")
    ids = reference.torch.randint(10, 60, (2, 16))
    with reference.FlopCounterMode(display=False) as counter:
        model(input_ids=ids)
    found = llmcalc.load(reference.plain_config(model, class_name))
    assert llmcalc.flops(found, batch=2, seq=16, convention="torch").matmul == counter.get_total_flops()


def test_labels() -> None:
    plain: dict[str, Any] = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
    plain |= {"vocab_size": 101, "hidden_size": 44, "intermediate_size": 53, "num_hidden_layers": 3}
    plain |= {"num_attention_heads": 4}
    named = {"id2label": {str(number): f"label {number}" for number in range(7)}}
    assert is_transformers_class("bert")
    for more in ({}, {"num_labels": 3}, {"num_labels": 1}, named, {**named, "num_labels": 7}):
        with reference.quiet(), reference.torch.device("meta"):
            config = reference.config_class("bert").from_dict({**plain, **more})
            model = reference.transformers.BertForSequenceClassification(config)
        assert llmcalc.params(llmcalc.load({**plain, **more})).total == reference.parameters(model), more
