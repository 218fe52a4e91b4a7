"""Shapes of a model family that meet a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..analysis.axes import Over
from ..analysis.design import SETTINGS, find_shapes
from ..core.setting import check_values, read_length
from ..inputs.defaults import SEQ
from ..inputs.models import Overrides
from ..schema.shapes import MULTIPLE, RANKS, WITHIN, Design

if TYPE_CHECKING:
    from typing import Unpack

    from ..inputs.typed_settings import DesignSettings


def design(
    family: str,
    *,
    params: float | str | None = None,
    active: float | str | None = None,
    flops: float | str | None = None,
    memory: int | str | None = None,
    seq: int | str = SEQ,
    batch: int = 1,
    multiple: int = MULTIPLE,
    tp: int = RANKS,
    within: float | str = WITHIN,
    overrides: Overrides = (),
    over: Over | None = None,
    **settings: Unpack[DesignSettings],
) -> Design:
    """Find shapes of a model family that meet a target.

    >>> import llmcalc
    >>> llmcalc.design("llama3", params="13B").candidates[0].overrides
    ['n_layers=35', 'd_model=5120', 'n_heads=40', 'd_ff=17920', 'n_kv_heads=8']

    Args:
        family: preset family, one of its models, or the path of a preset file, whose proportions to keep.
        params: target number of parameters, such as ``13e9`` or ``"13B"``.
        active: target number of active parameters.
        flops: target forward FLOPs per token at ``seq``.
        memory: target memory at ``batch`` and ``seq``: bytes or ``"24GiB"`` (default settings: serving
            with weights as published or in bf16).
        seq: number of tokens per sequence.
        batch: number of sequences.
        multiple: number that all widths must be a multiple of.
        tp: number of tensor-parallel ranks, which must divide the number of heads.
        within: tolerance relative to the target, such as ``0.02`` or ``"2%"``.
        overrides: values of model variables that do not vary, such as ``"vocab=128000"``.
        over: settings of the target's quantity, or model variables, with the values to try, as in ``sweep``. The result
            describes the first combination, and ``variants`` lists the best shape of each.
        settings: another target, such as ``state="1GiB"``, or settings of the target's quantity, such as
            ``weights="nf4"`` or ``training=True``.

    Raises:
        InputError: there is not exactly one target, the family has no width to vary, or no shape satisfies the rules.
    """
    seq = read_length(seq, "seq")
    check_values(SETTINGS, locals())
    targets = {"params": params, "active": active, "flops": flops, "memory": memory}
    return find_shapes(
        family, seq=seq, batch=batch, multiple=multiple, tp=tp, within=within, overrides=overrides, over=over,
        settings=targets | settings,
    )  # fmt: skip
