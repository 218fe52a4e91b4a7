"""Parameter counts of a model."""

from __future__ import annotations

from ..calc.params import Params
from ..calc.params import params as count
from ..inputs.models import Source, read_model


def params(model: Source) -> Params:
    """Count the parameters of a model.

    >>> import llmcalc
    >>> llmcalc.params("gpt3")
    Params(gpt3-175b: 174,604,259,328 total)
    >>> llmcalc.params("mixtral").active
    12879925248

    Args:
        model: an architecture, or anything ``load`` reads.

    Raises:
        InputError: the model cannot be read.
    """
    return count(read_model(model))
