"""Parameter counts of a model."""

from __future__ import annotations

from functools import cached_property

from ..calc import params as counts
from ..core.architecture import Extra
from ..core.record import record
from ..core.type_names import Any
from ..inputs.extras import extras_of, with_extras
from ..inputs.models import Source, read_model


@record
class Params(counts.Params):
    """Parameter counts of an architecture and its extras, and the tensors that its checkpoints store."""

    @cached_property
    def extras(self) -> list[tuple[Extra, int]]:
        """Modules excluded from ``total``, and the number of unshared parameters in each module."""
        found = []
        for extra in extras_of(self.architecture):
            whole = counts.params(with_extras(self.architecture, [extra.stack.name]))
            found.append((extra, whole.total - self.total))
        return found

    def tensors(self, layout: str | None = None) -> list[tuple[str, tuple[int, ...]]]:
        """Return the names and shapes of all parameters, either as declared or as stored in a checkpoint ``layout``.

        Raises:
            UnknownNameError: if the architecture does not have this layout.
        """
        if layout is None:
            return super().tensors()
        from ..checkpoint.stored_tensors import stored_tensors

        return stored_tensors(self, layout)

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        found = super().to_dict()
        evidence = found.pop("evidence")
        extras = [{"name": extra.name, "params": count, "reason": extra.reason} for extra, count in self.extras]
        return {**found, "extras": extras, "evidence": evidence}


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
