"""Computed sinusoids match a computed table at every position."""

import numpy as np
import pytest

import llmcalc
from llmcalc.twins.model import Model

ARRANGED = ("interleaved", "halves", "fairseq")
TABLE = {"rows": 29, "table": "position", "fixed": True}


def model(position):
    return Model(
        llmcalc.load(
            {
                "name": "waves",
                "architecture": {
                    "stacks": {
                        "decoder": {
                            "d_model": 14,
                            "inputs": {"token": {"embedding": {"rows": 23}}, "position": position},
                            "blocks": {"block": {"attention": {"mha": {"n_heads": 7}}}},
                            "order": ["block * 2"],
                            "outputs": {"head": {"head": {"vocab": 23}}},
                        }
                    }
                },
            }
        )
    )


@pytest.mark.parametrize("arranged", ARRANGED)
def test_sinusoids_match_a_computed_table(arranged):
    waves = model({"sinusoids": {"sinusoids": arranged}})
    table = model({"embedding": {**TABLE, "fixed": {"order": arranged}}})
    for name in waves.tensors:
        waves.tensors[name][...] = table.tensors[name]
    ids = np.arange(22).reshape(2, 11)
    assert waves.forward(ids) == pytest.approx(table.forward(ids), rel=1e-12)
