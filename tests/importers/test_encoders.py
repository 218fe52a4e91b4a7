"""The tables of encoders: every row can be read, and every row is used."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from llmcalc.core.zoo_search import PACKAGE, ZOO, find_module
from llmcalc.data import read_table, table
from llmcalc.importers.hf.encoders import TRANSFORMER, find_encoder
from llmcalc.importers.hf.vision_encoders.transformer import COUNTS, Transformer

FILES = sorted({file.with_suffix("") for file in Path(PACKAGE, ZOO).glob("*/encoders.*")})
ROWS = {**table("encoders"), **{name: row for file in FILES for name, row in read_table(file).items()}}


@pytest.mark.parametrize("model_type", ROWS)
def test_rows(model_type: str) -> None:
    """Each row names a function, and a vision transformer has fields of that class alone."""
    encoder = find_encoder(model_type)
    assert encoder is not None
    folder, name, function = encoder.place.split(".")
    module = find_module(folder, name, parent="importers/hf")
    assert module is not None
    assert callable(getattr(import_module(module), function))
    if encoder.place == TRANSFORMER:
        fields = Transformer(**encoder.fields)
        assert {fields.rows, fields.window} <= {"", *COUNTS}


def test_no_row_stands_twice() -> None:
    assert len(ROWS) == len(table("encoders")) + sum(len(read_table(file)) for file in FILES)


def test_an_unknown_type_has_no_row() -> None:
    assert find_encoder("no_such_encoder") is None
