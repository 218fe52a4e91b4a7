"""Search for shapes of a model family that meet a parameter, FLOPs or memory target."""

from __future__ import annotations

from ..calc.memory.fit import read_size
from ..core.errors import InputError
from ..core.record import changed
from ..core.setting import AMOUNT, BATCH, SIZE, Setting, check_values
from ..estimate.amounts import amount, share
from ..schema.shape_search import MULTIPLE, RANKS, WITHIN, Design, Measure, Rules, search
from .defaults import SEQ

SETTINGS = (
    Setting("family", str, ""), Setting("params", AMOUNT), Setting("active", AMOUNT), Setting("flops", AMOUNT),
    Setting("memory", SIZE, least=1), Setting("seq", int, SEQ, least=1), BATCH,
    Setting("multiple", int, MULTIPLE, least=1), Setting("tp", int, RANKS, least=1), Setting("within", AMOUNT, WITHIN),
)  # fmt: skip


def design(
    family: str,
    *,
    params: float | str | None = None,
    active: float | str | None = None,
    flops: float | str | None = None,
    memory: int | str | None = None,
    seq: int = SEQ,
    batch: int = 1,
    multiple: int = MULTIPLE,
    tp: int = RANKS,
    within: float | str = WITHIN,
) -> Design:
    """Find shapes of a model family that meet a target.

    >>> import llmcalc
    >>> llmcalc.design("llama3", params="13B").candidates[0].overrides
    ['n_layers=35', 'd_model=5120', 'n_heads=40', 'd_ff=17920', 'n_kv_heads=8']

    Args:
        family: preset family, or one of its models, whose proportions to keep.
        params: target number of parameters, such as ``13e9`` or ``"13B"``.
        active: target number of active parameters.
        flops: target forward FLOPs per token at ``seq``.
        memory: target serving memory in bf16 at ``batch`` and ``seq``: bytes or ``"24GiB"``.
        seq: number of tokens per sequence.
        batch: number of sequences.
        multiple: number that all widths must be a multiple of.
        tp: number of tensor-parallel ranks, which must divide the number of heads.
        within: tolerance relative to the target, such as ``0.02`` or ``"2%"``.

    Raises:
        InputError: there is not exactly one target, the family has no width to vary, or no shape satisfies the rules.
    """
    check_values(SETTINGS, locals())
    targets = {"params": params, "active": active, "flops": flops, "memory": memory}
    chosen = {name: value for name, value in targets.items() if value is not None}
    if len(chosen) != 1:
        raise InputError("design requires exactly one target", hint="set {params}, {active}, {flops} or {memory}")
    ((quantity, value),) = chosen.items()
    rules = Rules(multiple, tp, share(within, "within"))
    return changed(search(family, _target(quantity, value), _measure(quantity, batch, seq), rules), quantity=quantity)


def _target(quantity: str, value: float | str) -> int:
    if quantity != "memory":
        return max(1, int(amount(value, quantity, "13B")))
    size = read_size(value, "memory") if isinstance(value, str) else int(value)
    if size < 1:
        raise InputError("must be positive", parameter="memory", hint="use a size such as 24GiB")
    return size


def _measure(quantity: str, batch: int, seq: int) -> Measure:
    from ..calc.flops import flops
    from ..calc.params import params
    from .memory import memory

    measures: dict[str, Measure] = {
        "params": lambda model: params(model).total,
        "active": lambda model: params(model).active,
        "flops": lambda model: flops(model, seq=seq).total // seq,
        "memory": lambda model: memory(model, batch=batch, seq=seq).peak,
    }
    return measures[quantity]
