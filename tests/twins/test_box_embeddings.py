"""Tables indexed by the edges of a token's box on the page."""

from __future__ import annotations

import numpy as np
import pytest

from llmcalc.core.architecture import Architecture, Named, Stack
from llmcalc.core.errors import InputError
from llmcalc.layers.embedding import Embedding
from llmcalc.layers.parts.ids import Ids
from llmcalc.twins import twin
from llmcalc.twins.model import Model

WIDTH, VOCAB, ROWS = 6, 11, 20
EDGES = ("left_right", "upper_lower", "height", "width")
IDS = np.array([[3, 7]])
BOXES = np.array([[[1, 2, 5, 9], [4, 3, 4, 13]]])  # left, upper, right, lower


def _model() -> Model:
    tables = (Named(edges, Embedding(ROWS, WIDTH, table="position", ids=Ids(edges=edges))) for edges in EDGES)
    inputs = (Named("token", Embedding(VOCAB, WIDTH)), *tables)
    return twin(Architecture("page", (Stack("encoder", WIDTH, inputs, (), (), role="encoder"),)))


def test_box_edges_height_and_width_index_tables() -> None:
    model = _model()
    token, horizontal, vertical, height, width = (model.tensors[f"encoder.{name}.w"] for name in ("token", *EDGES))
    wanted = token[[3, 7]] + horizontal[[1, 4]] + horizontal[[5, 4]] + vertical[[2, 3]] + vertical[[9, 13]]
    wanted = wanted + height[[7, 10]] + width[[4, 0]]
    assert np.allclose(model.forward(IDS, bbox=BOXES)[0], wanted, atol=1e-12)


def test_missing_boxes_are_zero() -> None:
    model = _model()
    assert np.array_equal(model.forward(IDS), model.forward(IDS, bbox=np.zeros_like(BOXES)))


@pytest.mark.parametrize("boxes", [BOXES[..., [2, 1, 0, 3]], BOXES + 10])
def test_invalid_boxes(boxes: np.ndarray) -> None:
    with pytest.raises(InputError, match="edges must be from 0 to 19"):
        _model().forward(IDS, bbox=boxes)
