"""Tables with separate ids, several segment ids per token, and positions within table cells."""

from __future__ import annotations

import numpy as np
import pytest

import llmcalc
from llmcalc.core.architecture import Architecture, Named, Stack
from llmcalc.core.errors import InputError, UnknownNameError
from llmcalc.layers.embedding import Embedding
from llmcalc.layers.linear import Linear
from llmcalc.layers.parts.ids import Ids
from llmcalc.layers.parts.pooler import Pooler
from llmcalc.twins import twin
from llmcalc.twins.model import Model

WIDTH, VOCAB = 6, 11
IDS = np.array([[3, 7, 2, 9, 5]])
TASKS = np.array([[1, 0, 4, 2, 2]])


def _model(*tables: Named, outputs: tuple[Named, ...] = ()) -> Model:
    inputs = (Named("token", Embedding(VOCAB, WIDTH)), *tables)
    return twin(Architecture("text", (Stack("encoder", WIDTH, inputs, (), outputs, role="encoder"),)))


TASK = Named("task", Embedding(5, WIDTH, table="other", ids=Ids(own="task_type_ids")))


def test_tables_with_separate_ids() -> None:
    model = _model(TASK)
    token, task = (model.tensors[f"encoder.{name}.w"] for name in ("token", "task"))
    assert np.allclose(model.forward(IDS, task_type_ids=TASKS)[0], token[IDS[0]] + task[TASKS[0]])
    assert np.allclose(model.forward(IDS)[0], token[IDS[0]] + task[0])


def test_joined_tables_widen_the_stream() -> None:
    joined = Embedding(5, 4, table="other", ids=Ids(own="input_shape_ids"), use="joined")
    model = _model(Named("shape", joined), Named("join", Linear(WIDTH + 4, WIDTH, bias=False)))
    token, shape, w = (model.tensors[f"encoder.{name}.w"] for name in ("token", "shape", "join"))
    wanted = token[IDS[0]] @ w[:WIDTH] + shape[TASKS[0]] @ w[WIDTH:]
    assert np.allclose(model.forward(IDS, input_shape_ids=TASKS)[0], wanted)


def test_invalid_ids() -> None:
    with pytest.raises(UnknownNameError, match="task_ids"):
        _model(TASK).forward(IDS, task_ids=TASKS)
    with pytest.raises(InputError, match="the table has 5 rows"):
        _model(TASK).forward(IDS, task_type_ids=TASKS + 1)
    with pytest.raises(InputError, match="has shape"):
        _model(TASK).forward(IDS, task_type_ids=TASKS[:, :2])


def test_positions_restart_in_every_cell() -> None:
    place = Embedding(2, WIDTH, table="position", ids=Ids(by_cell=True))
    kinds = [Named(f"segment{n}", Embedding(3, WIDTH, table="segment", ids=Ids(column=n))) for n in range(3)]
    model = _model(Named("position", place), *kinds)
    cells = np.array([[[0, 1, 1], [1, 1, 1], [0, 2, 1], [2, 1, 1], [0, 2, 1]]])  # of a column and a row
    token, position = (model.tensors[f"encoder.{name}.w"] for name in ("token", "position"))
    segments = sum(model.tensors[f"encoder.segment{n}.w"][cells[0, :, n]] for n in range(3))
    wanted = token[IDS[0]] + position[[0, 1, 0, 1, 1]] + segments  # as far as there are positions
    assert np.allclose(model.forward(IDS, token_type_ids=cells)[0], wanted)
    with pytest.raises(InputError, match="several segment IDs"):
        model.forward(IDS, token_type_ids=cells[..., 0])


@pytest.mark.parametrize(
    ("pooled", "place"), [("first", 0), ("last", 4), ("of_id", 2), ("highest", 3)], ids=lambda value: str(value)
)
def test_pooled_token(pooled: str, place: int) -> None:
    head = Linear(WIDTH, 3, positions="one", pooler=Pooler(pooled, 2))
    model = _model(outputs=(Named("head", head),))
    x, w, b = model.tensors["encoder.token.w"][IDS[0, place]], *(model.tensors[f"encoder.head.{n}"] for n in "wb")
    assert np.allclose(model.forward(IDS)[0], [x @ w + b])


def test_decoder_input_ids_need_an_encoder_decoder() -> None:
    with pytest.raises(InputError, match="text is not an encoder-decoder"):
        _model(TASK).forward(IDS, IDS)
    both = twin(llmcalc.load({"model_type": "t5", "num_layers": 2, "d_model": 6, "d_kv": 5, "d_ff": 7, "num_heads": 3}))
    with pytest.raises(InputError, match="requires decoder_input_ids"):
        both.forward(IDS)
