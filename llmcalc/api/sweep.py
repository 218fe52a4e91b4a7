"""Quantities on a grid of sizes, settings and model variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..analysis.axes import Over, read_axes
from ..analysis.sweep import Sweep, evaluate_grid
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.setting import Setting, read_texts
from ..inputs.models import Overrides, Source, read_model, read_overrides

if TYPE_CHECKING:
    from typing import Unpack

    from ..inputs.typed_settings import QuantitySettings

SKIP_INVALID = Setting("skip_invalid", bool, False)


def sweep(
    model: Source,
    quantities: str | Sequence[str],
    over: Over,
    *,
    overrides: Overrides = (),
    as_: str | None = None,
    allow_unknown: Sequence[str] = (),
    strict: bool = False,
    extras: Sequence[str] = (),
    skip_invalid: bool = False,
    **settings: Unpack[QuantitySettings],
) -> Sweep:
    """Evaluate quantities on a grid of workload sizes, settings and model variables.

    >>> import llmcalc
    >>> llmcalc.sweep("gpt3", "flops.total", over={"seq": [1024, 2048]}).values["flops.total"].tolist()
    [360083220332544.0, 725172225048576.0]
    >>> llmcalc.sweep("gpt3", "params.total", over="n_layers=24,96").values["params.total"].tolist()
    [44133126144.0, 174604259328.0]

    Args:
        model: an architecture, or anything ``load`` reads. Model variables can vary only if it is not an architecture.
        quantities: one or more names, such as ``flops.total``, ``state.bytes`` or ``memory.peak``.
        over: values by name, such as ``{"seq": [1024, 2048]}``; or one or more strings such as ``"seq=1k..1M:x2"``,
            ``"n_layers=24,32"``, ``"weights=bf16,nf4"`` or ``"tp=1,2,4"``.
        overrides: overrides of model variables, as in ``load``.
        as_: ``model_type`` to read a config as, as in ``load``.
        allow_unknown: unknown config keys to ignore, as in ``load``.
        strict: whether every unknown config key is an error, as in ``load``.
        extras: modules outside the totals that are counted with the model, as in ``load``.
        skip_invalid: whether to leave out points that are an error, with the reason, unless all points are.
        settings: parameters of ``flops`` and of ``memory``; ``training=True``
            evaluates the memory of a training step.

    Raises:
        UnknownNameError: an unknown quantity, or a name that is neither a setting nor a variable of the model.
        InputError: a setting that has no effect at any point, or an invalid workload.
    """
    SKIP_INVALID.check(skip_invalid)
    names = (quantities,) if isinstance(quantities, str) else read_texts(quantities, "quantities")
    axes = read_axes(over)
    for name in settings.keys() & {axis.name for axis in axes}:
        raise InputError("cannot be both fixed and swept", parameter=name, hint="omit it, or remove it from {over}")
    fixed = read_overrides(overrides)

    def read(changes: Sequence[str]) -> Architecture:
        if isinstance(model, Architecture) and not (changes or fixed or extras):
            return model
        texts = (*fixed, *changes)
        return read_model(model, overrides=texts, as_=as_, allow_unknown=allow_unknown, strict=strict, extras=extras)

    return evaluate_grid(read, axes, names, settings, skip_invalid=skip_invalid)
