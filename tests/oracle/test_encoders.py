"""Encoders' classes without a language-model head: poolers, spans that a question selects, pre-training heads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

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
    ("visual_bert", "VisualBertModel", {"visual_embedding_dim": 13}),
    ("flava_text_model", "FlavaTextModel", {"qkv_bias": False}),
    ("clap_text_model", "ClapTextModel", {}),
    ("markuplm", "MarkupLMModel", {"max_depth": 5}),
    ("lilt", "LiltModel", {"channel_shrink_ratio": 2}),
    ("lilt", "LiltModel", {"num_hidden_layers": 1, "channel_shrink_ratio": 2}),
    ("bros", "BrosModel", {"hidden_size": 64, "num_attention_heads": 4}),
]
NO_BIAS = {"has_relative_attention_bias": False, "has_spatial_attention_bias": True}
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
    runs, ids = reference.Runs(built), _asked(changes)
    flops, output = runs._count(input_ids=ids, **runs.places(*ids.shape))
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


@pytest.mark.parametrize("changes", [{}, {"fast_qkv": False, "has_visual_segment_embedding": True}, NO_BIAS])
def test_layoutlmv2(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its backbone, which needs a library of its own, is left out; the tokens of an image stand behind the text."""

    class Backbone(torch.nn.Module):
        def __init__(self, config: Any) -> None:
            super().__init__()
            self.shape = config.image_feature_pool_shape

        def forward(self, image: Any) -> Any:
            rows, columns, channels = self.shape
            return torch.zeros(len(image), rows * columns, channels)

    module = transformers.models.layoutlmv2.modeling_layoutlmv2
    monkeypatch.setattr(module, "requires_backends", lambda *names: None)
    monkeypatch.setattr(module, "LayoutLMv2VisualBackbone", Backbone)
    monkeypatch.setattr(module.LayoutLMv2PreTrainedModel, "_init_weights", lambda *names: None)
    page = {"coordinate_size": 5, "shape_size": 2, "image_feature_pool_shape": [3, 5, 11], **changes}
    built = reference.build("LayoutLMv2Model", "layoutlmv2", {**SIZES, **page}, device="cpu")
    loaded = llmcalc.load(reference.plain_config(built, "LayoutLMv2Model"))
    found = llmcalc.params(loaded)
    assert dict(found.tensors(layout="transformers")) == reference.tensors(built)
    assert found.total == reference.parameters(built)
    more = {"bbox": torch.zeros((2, 24, 4), dtype=torch.long), "image": torch.zeros(2, 3, 8, 8)}
    flops, _ = reference.Runs(built)._count(input_ids=_asked({}), **more)
    image = 3 * 5
    projected = 2 * 2 * image * 11 * SIZES["hidden_size"]
    assert llmcalc.flops(loaded, batch=2, seq=24 + image, convention="torch").matmul == flops - projected
    assert loaded.notes == ("not counted: the visual backbone and the 15 image tokens that follow each text",)
    with pytest.raises(UnsupportedError, match="the input always includes an image"):
        llmcalc.twin(loaded)


VILT = {"image_size": 32, "patch_size": 8, "modality_type_vocab_size": 3}


@pytest.mark.parametrize("class_name", ["ViltModel", "ViltForMaskedLM"])
def test_vilt(class_name: str) -> None:
    """Patches stand behind the text, one token each, and one for the image as a whole."""
    built = reference.build(class_name, "vilt", {**SIZES, **VILT, "qkv_bias": False}, device="cpu")
    loaded = llmcalc.load(reference.plain_config(built, class_name))
    found = llmcalc.params(loaded)
    assert dict(found.tensors(layout="transformers")) == reference.tensors(built)
    assert found.total == reference.parameters(built)
    image = {"pixel_values": torch.zeros(2, 3, 32, 32), "pixel_mask": torch.ones(2, 32, 32, dtype=torch.long)}
    flops, _ = reference.Runs(built)._count(input_ids=_asked({}), **image)
    patches, width, vocab = (32 // 8) ** 2, SIZES["hidden_size"], SIZES["vocab_size"]
    made = 2 * 2 * patches * 3 * 8 * 8 * width
    scored = 2 * 2 * (patches + 1) * width * (width + vocab) if class_name.endswith("LM") else 0  # but not those
    counted = llmcalc.flops(loaded, batch=2, seq=24 + patches + 1, convention="torch").matmul
    assert counted == flops - made + scored


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_queries_of_blip2(layers: int) -> None:
    """They look at an image in every second block, which is not counted."""
    queries, regions, source = 5, 7, 13
    sizes = {**SIZES, "num_hidden_layers": layers, "encoder_hidden_size": source}
    built = reference.build("Blip2QFormerModel", "blip_2_qformer", sizes, device="cpu")
    loaded = llmcalc.load(reference.plain_config(built, "Blip2QFormerModel"))
    width = sizes["hidden_size"]
    given = {"query_embeds": torch.zeros(2, queries, width), "encoder_hidden_states": torch.zeros(2, regions, source)}
    flops, _ = reference.Runs(built)._count(**given)
    looks = 2 * 2 * (2 * queries * width * width + 2 * regions * source * width + 2 * queries * regions * width)
    counted = llmcalc.flops(loaded, batch=2, seq=queries, convention="torch").matmul
    assert counted == flops - looks * ((layers + 1) // 2)
    with pytest.raises(UnsupportedError, match="learned queries"):
        llmcalc.twin(loaded)


def test_a_text_with_two_questions_is_not_run() -> None:
    loaded = llmcalc.load({"model_type": "splinter", **SIZES, "question_token_id": 7})
    with pytest.raises(UnsupportedError, match="one question"):
        llmcalc.twin(loaded).forward(torch.tensor([[3, 7, 7]]).numpy())


def test_a_reader_is_not_run() -> None:
    loaded = llmcalc.load({"model_type": "dpr", **SIZES, "architectures": ["DPRReader"]})
    with pytest.raises(UnsupportedError, match="passage scores"):
        llmcalc.twin(loaded)
