"""Parameters and costs of several models under the same workload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..analysis.compare import Comparison, compare_models
from ..core.errors import InputError
from ..inputs.models import Source

if TYPE_CHECKING:
    from typing import Unpack

    from ..inputs.typed_settings import QuantitySettings


def compare(*models: Source, **settings: Unpack[QuantitySettings]) -> Comparison:
    """Compare the parameters, FLOPs, memory, traffic and communication of several models under the same workload.

    >>> import llmcalc
    >>> round(llmcalc.compare("bert", "palm").to_first[0]["ratio"]["total"])
    4936

    Args:
        models: two or more architectures, or anything ``load`` reads.
        settings: parameters of ``flops``, ``memory``, ``traffic``, ``communication`` and ``latency``; ``training=True``
            compares a training step. Communication requires a mesh, and latency ``gpu``.

    Raises:
        InputError: fewer than two models, conflicting settings, or a setting that has no effect on any of the models.
    """
    if len(models) < 2:
        raise InputError("at least two models are required", parameter="models")
    return compare_models(models, settings)
