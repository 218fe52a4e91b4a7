"""Classes beside a family's language model: spans that a question selects, passages, pre-training heads."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import llmcalc
from llmcalc.core.errors import UnsupportedError

from . import exact, reference

pytestmark = pytest.mark.filterwarnings("ignore")

SIZES = {"vocab_size": 101, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
SIZES |= {"intermediate_size": 52, "max_position_embeddings": 47}
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("splinter", "SplinterForPreTraining", {"question_token_id": 7}),
    ("splinter", "SplinterForQuestionAnswering", {"question_token_id": 9, "type_vocab_size": 5}),
    ("dpr", "DPRContextEncoder", {"projection_dim": 11}),
    ("dpr", "DPRContextEncoder", {}),
    ("dpr", "DPRReader", {}),
    ("dpr", "DPRReader", {"projection_dim": 24}),
    ("visual_bert", "VisualBertForPreTraining", {"visual_embedding_dim": 13}),
    ("visual_bert", "VisualBertForPreTraining", {"tie_word_embeddings": False, "bypass_transformer": True}),
]
NAMES = [f"{class_name} {' '.join(changes)}" for _, class_name, changes in CASES]


def _asked(config: dict[str, Any], length: int = 24) -> Any:
    """Token ids, one of which in each text is the question."""
    ids = torch.randint(10, 60, (2, length), generator=torch.Generator().manual_seed(3))
    ids[0, 5] = ids[1, 2] = config.get("question_token_id", 8)
    return ids


@pytest.mark.parametrize(("model_type", "class_name", "changes"), CASES, ids=NAMES)
def test_tensors_and_work(model_type: str, class_name: str, changes: dict[str, Any]) -> None:
    built = reference.build(class_name, model_type, {**SIZES, **changes}, device="cpu")
    loaded = llmcalc.load(reference.plain_config(built, class_name))
    found = llmcalc.params(loaded)
    assert dict(found.tensors(layout="transformers")) == reference.tensors(built)
    assert found.total == reference.parameters(built)
    flops, output = reference.Runs(built)._count(input_ids=_asked(changes))
    assert llmcalc.flops(loaded, batch=2, seq=24, convention="torch").matmul == flops
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        sum(part.sum() for part in output.to_tuple() if part.requires_grad).backward()
    trained = llmcalc.flops(loaded, batch=2, seq=24, mode="train", convention="torch").matmul
    assert trained - flops == counter.get_total_flops()


@pytest.mark.parametrize(("model_type", "class_name", "changes"), CASES[:4], ids=NAMES[:4])
def test_results(model_type: str, class_name: str, changes: dict[str, Any]) -> None:
    with reference.quiet(), exact.float64(), torch.no_grad():
        built = exact.model(class_name, model_type, {**SIZES, **changes})
        ids = _asked(changes)
        output = built(input_ids=ids)
    twin = llmcalc.twin(llmcalc.load(reference.plain_config(built, class_name)))
    twin.load(exact.weights(built))
    found = twin.forward(ids.numpy())
    if model_type == "dpr":
        assert exact.difference(found[:, 0], output.pooler_output.numpy()) <= 1e-6
    else:
        ends = [scores.reshape(ids.shape).numpy() for scores in (output.start_logits, output.end_logits)]
        assert all(exact.difference(found[..., end], ends[end]) <= 1e-6 for end in (0, 1))


def test_a_text_with_two_questions_is_not_run() -> None:
    loaded = llmcalc.load({"model_type": "splinter", **SIZES, "question_token_id": 7})
    with pytest.raises(UnsupportedError, match="one question"):
        llmcalc.twin(loaded).forward(torch.tensor([[3, 7, 7]]).numpy())


def test_a_reader_is_not_run() -> None:
    loaded = llmcalc.load({"model_type": "dpr", **SIZES, "architectures": ["DPRReader"]})
    with pytest.raises(UnsupportedError, match="scores of passages"):
        llmcalc.twin(loaded)
