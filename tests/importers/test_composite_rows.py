"""The tables of composite models: every row can be read, and every row is used."""

from __future__ import annotations

import pytest

from llmcalc.data import table
from llmcalc.importers.hf.composite_models import composite_model
from llmcalc.importers.hf.encoders import find_encoder
from llmcalc.importers.hf.family_table import find, zoo_table

ROWS = {**table("composite_models"), **zoo_table("composite_models")}


@pytest.mark.parametrize("model_type", ROWS)
def test_rows(model_type: str) -> None:
    """Each row names a known family, language model, encoders and projectors."""
    row = composite_model(model_type)
    assert find(model_type) is not None
    assert find(row.text) is not None
    assert row.parts
    for part in row.parts:
        assert find_encoder(part.encoder) is not None
        assert part.projector is None or callable(part.projector)


def test_rows_that_differ_from_another() -> None:
    """``like`` adds the fields of another row."""
    assert composite_model("smolvlm").dropped == composite_model("idefics3").dropped
    assert composite_model("instructblipvideo").tie == "inner"
