"""Training runs and budgets: accelerators, utilisation and prices by name, and what they make of FLOPs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..calc.flops import flops
from ..calc.memory.fit import Fit
from ..core.architecture import Architecture, declare
from ..core.errors import InputError, SizeError, short_repr
from ..data import table
from ..estimate.amounts import HOURS_A_DAY
from ..estimate.cost import Machine, Span, emission, number_format_of, quoted_prices, utilisation
from ..estimate.hardware import Accelerator
from ..estimate.training_run import Budget, Price, Training
from .memory import memory
from .names import accelerator

AS_GIVEN = "as given"
MOST_WRITTEN = 10**12  # larger amounts are written with an exponent


def machine(name: str, count: int = 1, mfu: float | None = None, precision: str | None = None) -> Machine:
    """Accelerators at work.

    Args:
        name: the accelerator, as ``llmcalc hardware list`` shows it.
        count: how many.
        mfu: model FLOPs utilisation; None: as published for it.
        precision: number format of the matrix products; None: 16 bits.

    Raises:
        InputError: no such accelerator, no peak in that format, no published utilisation.
    """
    found = accelerator(name)
    if type(count) is not int or count < 1:
        raise SizeError(f"the number of GPUs must be a positive integer, not {short_repr(count)}", parameter="gpu")
    chosen = number_format_of(found, precision)
    if mfu is None:
        span, source = utilisation(found, chosen, table("utilisation"))
    elif 0 < mfu <= 1:
        span, source = Span(mfu, mfu, mfu), AS_GIVEN
    else:
        raise InputError(
            f"utilisation {mfu:g} is out of range", parameter="mfu", hint="must be more than 0 and at most 1 (100%)"
        )
    return Machine(found, count, chosen, span, source)


def price_of(one: Accelerator, dollars: float | None = None) -> Price | None:
    """US dollars an hour: as given, else as quoted; None: nobody quotes any."""
    if dollars is not None:
        return Price(dollars, dollars, AS_GIVEN)
    found = quoted_prices(one)
    return Price(*found, f"quoted: {one.price}") if found else None


def budget(
    of: Machine,
    *,
    compute: float | None = None,
    days: float | None = None,
    hours: float | None = None,
    dollars: float | None = None,
    price: float | None = None,
) -> Budget:
    """What a machine makes of FLOPs, days, accelerator-hours or money.

    Args:
        of: what ``machine`` returned.
        compute: model FLOPs; the hours follow from the utilisation.
        days: days on all the accelerators.
        hours: accelerator-hours.
        dollars: US dollars, at ``price`` an accelerator-hour.
        price: US dollars of an accelerator-hour; None: as quoted.

    Raises:
        InputError: not exactly one budget, or money without a price.
    """
    asked = [(name, value) for name, value in (("compute", compute), ("days", days), ("gpu-hours", hours)) if value]
    asked += [("dollars", dollars)] if dollars else []
    if len(asked) != 1:
        what = f"{asked[0][0]} and {asked[1][0]} are both given" if asked else "a GPU alone is not a budget"
        hint = "give one of {compute}, {days}, {hours} and {dollars}"
        raise InputError(what, parameter="" if asked else "gpu", hint=hint)
    (name, amount), on = asked[0], f"{of.count} × {of.accelerator.name}"
    cost = price_of(of.accelerator, price)
    if name == "compute":
        said, spent = f"{about(amount)} FLOPs on {on}", of.hours(amount)
        return Budget(said, of, spent, Span(amount, amount, amount), cost)
    if name == "days":
        said, worked = f"{amount:g} days on {on}", amount * HOURS_A_DAY * of.count
    elif name == "gpu-hours":
        said, worked = f"{about(amount)} accelerator-hours of {of.accelerator.name}", amount
    elif price is None:
        listed = f" (quoted: {of.accelerator.price})" if of.accelerator.price else ""
        hint = f"give the price of an accelerator-hour, such as {{price=2.50}}{listed}"
        raise InputError("dollars requires a price", parameter="dollars", hint=hint)
    else:
        said, worked = f"{about(amount)} US dollars of {of.accelerator.name}", amount / price
    return Budget(said, of, Span(worked, worked, worked), of.flops(worked), cost)


def about(amount: float) -> str:
    """An amount in few digits.

    >>> about(1e6), about(5.76e23)
    ('1,000,000', '5.76e+23')
    """
    return f"{amount:,.0f}" if amount < MOST_WRITTEN else f"{amount:.4g}"


def train(
    architecture: Architecture,
    tokens: float,
    *,
    seq: int,
    target_seq: int | None = None,
    attention: str = "causal",
    batch_tokens: int | None = None,
    machine: Machine | None = None,
    price: float | None = None,
    watts: float | None = None,
    pue: float | None = None,
    carbon: float | None = None,
    dtype: str = "bf16",
    optimizer: str = "adamw",
    fit: Fit | None = None,
    extend: bool = False,
) -> Training:
    """What training a model on tokens takes.

    Args:
        architecture: what ``load`` returned.
        tokens: tokens to train on; whole sequences of ``seq`` are counted.
        seq: tokens of a sequence.
        target_seq: the decoder's length in an encoder-decoder model.
        attention: ``causal`` or ``dense``.
        batch_tokens: tokens of a step of the optimizer.
        machine: what ``machine`` returned.
        price: US dollars of an accelerator-hour.
        watts: measured power of an accelerator, its share of the system included.
        pue: power usage effectiveness of the data centre.
        carbon: kg CO2e of a kWh.
        dtype: number format of the weights in a checkpoint.
        optimizer: whose states a checkpoint to go on from holds.
        fit: memory on each accelerator.
        extend: count sequences beyond a learned table of positions.

    Raises:
        SizeError: fewer tokens than a sequence or a step has.
    """
    if isinstance(tokens, float) and tokens.is_integer():
        tokens = int(tokens)  # 15e12
    if type(tokens) is not int or tokens < 1:
        raise SizeError(
            f"invalid number of tokens {short_repr(tokens)}", parameter="tokens", hint="must be a positive whole number"
        )
    one = flops(architecture, seq=seq, target_seq=target_seq, mode="train", attention=attention, extend=extend)
    for name, least in (("one sequence", one.tokens), ("one step", batch_tokens or 0)):
        if tokens < least:
            message = f"{tokens:,} tokens are fewer than {name} ({least:,} tokens)"
            raise SizeError(message, parameter="tokens", hint="use more tokens, or shorten it")
    step = flops(
        architecture, batch=-(-tokens // one.tokens), seq=seq, target_seq=target_seq, mode="train",
        attention=attention, extend=extend,
    )  # fmt: skip
    held = memory(architecture, mode="training", seq=1, dtype=dtype, optimizer=optimizer)
    run = Training(
        architecture, step, tokens, batch_tokens, machine, price_of(machine.accelerator, price) if machine else None,
        (), held.weights, held.weights + held.optimizer, vocabulary(architecture), fit,
    )  # fmt: skip
    if machine is None or run.hours is None:
        return run
    found = emissions(machine.accelerator, run.hours, watts, pue, carbon)
    return Training(**{**run.__dict__, "emissions": found})


def emissions(
    one: Accelerator, hours: Span, watts: float | None, pue: float | None, carbon: float | None
) -> tuple[Any, ...]:
    """Energy and CO2e of accelerator-hours by every convention, and by what was given."""
    found = []
    conventions: Mapping[str, Any] = table("energy")
    for name, entry in conventions.items():
        power = watts if watts and entry["power"] == "measured" else one.power
        if power is not None:
            found.append(emission(name, entry, hours, power))
    power = watts or one.power
    if power is not None and pue is not None and carbon is not None:
        entry = {"title": AS_GIVEN, "pue": pue, "kg_per_kwh": carbon, "source": AS_GIVEN}
        found.append(emission("given", entry, hours, power))
    return tuple(found)


def vocabulary(architecture: Architecture) -> int | None:
    """Rows of the token table; None: there is none."""
    for stack in architecture.stacks:
        for _, layer in stack.inputs:
            for tensor in declare(layer).tensors:
                if tensor.table == "token":
                    return int(getattr(layer, "rows", 0)) or None
    return None
