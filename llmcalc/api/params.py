"""Parameter counts of a model."""

from __future__ import annotations

from ..calc import params as counts
from ..core.record import record
from ..inputs.models import Source, read_model


@record
class Params(counts.Params):
    """Parameter counts of an architecture, and the tensors that its checkpoints store."""

    def tensors(self, layout: str | None = None) -> list[tuple[str, tuple[int, ...]]]:
        """Return the names and shapes of all parameters, either as declared or as stored in a checkpoint ``layout``.

        Raises:
            UnknownNameError: if the architecture does not have this layout.
        """
        if layout is None:
            return super().tensors()
        from ..checkpoint.stored_tensors import stored_tensors

        return stored_tensors(self, layout)


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
    counted = counts.params(read_model(model))
    return Params(counted.architecture, counted.distinct_rows)
