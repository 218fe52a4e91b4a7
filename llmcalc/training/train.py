"""Training runs and budgets, with conversions between FLOPs, GPU time and cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..calc.flops import flops
from ..calc.memory.fit import Fit, read_size
from ..calc.memory.inference import InferenceMemory
from ..calc.memory.pipeline import ParallelMemory
from ..calc.sharding import Mesh
from ..core.aliases import accepts_aliases
from ..core.architecture import Architecture, declare
from ..core.errors import InputError, SizeError, short_repr
from ..core.record import changed
from ..core.setting import AMOUNT, COUNT, SIZES, Setting, check_values, read_lengths, read_texts
from ..data import table
from ..estimate.amounts import HOURS_A_DAY, amount, share
from ..estimate.cost import (
    AS_GIVEN,
    FROM_OPERATIONS,
    UNKNOWN,
    Machine,
    Span,
    emission,
    is_of_mixtures,
    number_format_of,
    price_quotes,
    usual_format,
    utilisation,
)
from ..estimate.hardware import Accelerator
from ..fitting.check import check_fit
from ..fitting.memory import memory_of
from ..inputs.defaults import RESERVE, default_seq
from ..inputs.effects import check_effects
from ..inputs.gpus import read_gpus
from ..inputs.models import Source, read_model
from ..inputs.settings import ADAPTERS, DTYPE, IS_TRAINING, OPTIMIZER, RECOMPUTE, WHOLE_MESH
from .layouts import Run, judged, layout_on, training_time, usual_step_tokens
from .published_runs import published_tokens, shares_of_runs
from .run import Budget, Price, Training
from .step_time import TrainingTime

LARGEST_WHOLE = 10**30
PRICE = Setting("price", float, above=0)
MACHINE, OF_GPU = Setting("machine", (Machine, str)), ("machine",)
OF_MACHINE = (
    Setting("name", str, ""), Setting("count", int, least=1), Setting("mfu", AMOUNT), Setting("precision"),
)  # fmt: skip
SETTINGS = (
    Setting("tokens", AMOUNT), *SIZES[1:], COUNT, Setting("batch_tokens", AMOUNT), MACHINE,
    changed(WHOLE_MESH, needs=OF_GPU), Setting("micro_batch", int, 1, least=1, needs=(*OF_GPU, "mesh")),
    changed(RECOMPUTE, default="none", needs=(*OF_GPU, "mesh", "stored_scores")), changed(PRICE, needs=OF_GPU),
    Setting("watts", float, above=0, needs=OF_GPU), Setting("pue", float, least=1, needs=(*OF_GPU, "carbon")),
    Setting("carbon", float, least=0, needs=(*OF_GPU, "pue")), DTYPE,
    changed(OPTIMIZER, default="adamw", needs=()), Setting("fit", Fit), *ADAPTERS,
)  # fmt: skip
MOST_WRITTEN = 10**12  # larger amounts are written with an exponent


def machine(
    name: str, count: int | None = None, mfu: float | str | None = None, precision: str | None = None
) -> Machine:
    """Return a description of GPUs and their utilisation for ``train`` and ``scale``.

    >>> import llmcalc
    >>> llmcalc.machine("h100:512", mfu=0.4).count
    512

    Args:
        name: accelerator with an optional count, such as ``"h100"`` or ``"h100:512"``.
        count: number of GPUs (default: 1).
        mfu: model FLOPs utilisation, such as ``0.4`` or ``"40%"`` (default: the published range).
        precision: number format of matrix products (default: 16-bit, or a format with published utilisation).

    Raises:
        InputError: the accelerator is unknown, or has no peak in this format or no published utilisation.
    """
    check_values(OF_MACHINE, locals())
    gpus = read_gpus(name, count)
    found = gpus.accelerator
    if found is None:
        raise InputError("requires a named accelerator", parameter="gpu", hint="use a name, as in {gpu=h100:512}")
    measured = table("utilisation")
    if mfu is not None:
        value = share(mfu, "mfu")
        known = (Span(value, value, value), AS_GIVEN)
        return Machine(found, gpus.count or 1, number_format_of(found, precision), *known)
    chosen = number_format_of(found, precision) if precision else usual_format(found, measured)
    return Machine(found, gpus.count or 1, chosen, *utilisation(found, chosen, measured))


def machine_or_operations(
    name: str, count: int | None = None, mfu: float | str | None = None, precision: str | None = None
) -> Machine:
    """Return a description of GPUs as ``machine`` does, also of GPUs without a published utilisation.

    ``train`` computes the time of their steps from the operations.
    """
    try:
        return machine(name, count, mfu, precision)
    except InputError as error:
        if error.parameter != "mfu" or mfu is not None:
            raise
    gpus = read_gpus(name, count)
    assert gpus.accelerator is not None
    chosen = number_format_of(gpus.accelerator, precision)
    return Machine(gpus.accelerator, gpus.count or 1, chosen, Span(1, 1, 1), UNKNOWN)


def price_of(one: Accelerator, dollars: float | None = None) -> Price | None:
    """Return the given or quoted price in US dollars per hour, or None if the price is unknown."""
    if dollars is not None:
        return Price(dollars, dollars, AS_GIVEN)
    quotes = price_quotes(one)
    if not quotes:
        return None
    texts = "; ".join(dict.fromkeys(quote.text for quote in quotes))
    source = f" ({one.price_source})" if any(quote.text in one.price for quote in quotes) else ""
    return Price(min(quotes).usd, max(quotes).usd, f"quoted: {texts}{source}")


def budget(
    of: Machine,
    *,
    compute: float | None = None,
    days: float | None = None,
    hours: float | None = None,
    dollars: float | None = None,
    price: float | None = None,
) -> Budget:
    """Convert a training budget between FLOPs, days, accelerator-hours and US dollars on a machine.

    Published runs took longer than their utilisation says, so a published utilisation holds for a part of the time.
    """
    budgets = {"compute": compute, "days": days, "gpu-hours": hours, "dollars": dollars}
    amounts = [(name, value) for name, value in budgets.items() if value]
    if len(amounts) != 1:
        what = f"{amounts[0][0]} and {amounts[1][0]} cannot be combined" if amounts else "no budget"
        hint = "set one amount: {compute}, {days}, {hours} or {dollars}"
        raise InputError(what, parameter="" if amounts else "gpu", hint=hint)
    (name, amount), on = amounts[0], f"{of.count} × {of.accelerator.name}"
    cost = price_of(of.accelerator, price)
    shares = shares_of_runs() if of.mfu_source != AS_GIVEN else None
    longer = shares.mid if shares else 1.0
    if name == "compute":
        said, spent = f"{about(amount)} FLOPs on {on}", of.hours(amount).times(longer)
        return Budget(said, of, spent, Span(amount, amount, amount), cost, longer)
    if name == "days":
        said, worked = f"{amount:g} days on {on}", amount * HOURS_A_DAY * of.count
    elif name == "gpu-hours":
        said, worked = f"{about(amount)} accelerator-hours of {of.accelerator.name}", amount
    elif price is None:
        listed = f" (quoted: {of.accelerator.price})" if of.accelerator.price else ""
        hint = f"set the price per accelerator-hour, such as {{price=2.50}}{listed}"
        raise InputError("requires a price", parameter="dollars", hint=hint)
    else:
        said, worked = f"{about(amount)} US dollars of {of.accelerator.name}", amount / price
    return Budget(said, of, Span(worked, worked, worked), of.flops(worked / longer), cost, longer)


def about(amount: float) -> str:
    """Format an amount, using an exponent for large values.

    >>> about(1e6), about(5.76e23)
    ('1,000,000', '5.76e+23')
    """
    return f"{amount:,.0f}" if amount < MOST_WRITTEN else f"{amount:.4g}"


@accepts_aliases(attention="count", gpu="machine")
def train(
    model: Source,
    tokens: float | str | None = None,
    *,
    seq: int | str | None = None,
    target_seq: int | str | None = None,
    count: str = "causal",
    batch_tokens: float | str | None = None,
    machine: Machine | str | None = None,
    mesh: Mesh | None = None,
    micro_batch: int = 1,
    recompute: str = "none",
    price: float | None = None,
    watts: float | None = None,
    pue: float | None = None,
    carbon: float | None = None,
    dtype: str = "bf16",
    optimizer: str = "adamw",
    fit: Fit | None = None,
    lora_rank: int | None = None,
    lora_targets: Iterable[str] | None = None,
    extend: bool = False,
) -> Training:
    """Estimate the compute, time, cost, energy and checkpoint sizes of a training run.

    >>> import llmcalc
    >>> llmcalc.train("gpt3", "300B", machine="v100-sxm2-32gb:1024").compute
    318565498060800000000000

    Args:
        model: an architecture, or anything ``load`` reads.
        tokens: training tokens, such as ``15e12`` or ``"15T"`` (default: as published), rounded to whole sequences.
        seq: tokens per sequence (default: 2048, or the model's learned positions if fewer).
        target_seq: number of decoder tokens of an encoder-decoder model (default: ``seq``).
        count: ``causal`` counts visible query-key pairs, ``dense`` all pairs.
        batch_tokens: number of tokens per optimizer step, such as ``"4M"``.
        machine: GPUs: the result of ``machine``, or a string such as ``"h100:512"``.
        mesh: number of ranks of each kind of parallelism (adds the memory per GPU to the result).
        micro_batch: sequences per micro-batch on each rank, for the memory per GPU and the time of a step.
        recompute: activation recomputation, for the memory per GPU and the time of a step.
        price: US dollars per accelerator-hour (default: quoted prices).
        watts: measured power per accelerator in W, including its share of the system (default: the rated power).
        pue: power usage effectiveness of the data centre.
        carbon: kg CO2e per kWh.
        dtype: number format of the weights in a checkpoint.
        optimizer: optimizer whose states are part of a resumable checkpoint.
        fit: memory per GPU, if already computed.
        lora_rank: train only LoRA adapters of this rank, so that no gradients of weights are computed.
        lora_targets: matrices to adapt (default: ``wq``, ``wk``, ``wv`` and ``wo``).
        extend: allow sequences longer than the learned positions.

    Raises:
        SizeError: fewer tokens than one sequence or one step.
        InputError: settings that conflict or require ``machine``.
    """
    given = read_lengths(locals())
    check_values(SETTINGS, given)
    seq, target_seq = given["seq"], given["target_seq"]
    adapters: dict[str, Any] = {
        "lora_rank": lora_rank,
        "lora_targets": lora_targets and read_texts(lora_targets, "lora_targets"),
    }
    tokens = _whole(tokens, "tokens") if tokens is not None else None
    batch_tokens = _whole(batch_tokens, "batch_tokens") if batch_tokens is not None else None
    working = machine_or_operations(machine) if isinstance(machine, str) else machine
    architecture = read_model(model)
    check_effects((*SETTINGS, IS_TRAINING), {**given, "training": True}, architecture)
    tokens = published_tokens(architecture) if tokens is None else tokens
    seq = int(default_seq(architecture) if seq is None else seq)
    sizes: dict[str, Any] = {"seq": seq, "target_seq": target_seq, "extend": extend}
    if working is not None and mesh is not None and fit is None:
        fit = check_fit(
            architecture, working.accelerator.usable_bytes, read_size(RESERVE, "reserve"), working.count,
            mode="training", mesh=mesh, batch=micro_batch, dtype=dtype, optimizer=optimizer, recompute=recompute,
            **sizes, **adapters,
        )  # fmt: skip
    one = flops(architecture, **sizes, mode="train", attention=count)
    for name, least in (("one sequence", one.tokens), ("one step", batch_tokens or 0)):
        if tokens < least:
            message = f"{tokens:,} tokens are fewer than {name} ({least:,} tokens)"
            raise SizeError(
                message,
                parameter="tokens",
                hint="increase the number of tokens, or reduce the sequence length or batch size",
            )
    step = flops(architecture, **sizes, batch=-(-tokens // one.tokens), mode="train", attention=count)
    stored = memory_of(architecture, mode="training", seq=1, dtype=dtype, optimizer=optimizer)
    timed = published = None
    if working is not None and working.mfu_source != AS_GIVEN:
        published = None if working.mfu_source == UNKNOWN else working
        step_tokens = batch_tokens or usual_step_tokens(working.count, step.matmul)
        of_step = Run(seq, count, step_tokens, {"dtype": dtype, "optimizer": optimizer}, _state_bytes(stored))
        layout = layout_on(mesh, micro_batch, recompute, of_step) if mesh else None
        timed = training_time(architecture, working, of_step, layout)
        working = _with_utilisation(architecture, working, timed)
    run = Training(
        architecture, step, tokens, batch_tokens, working,
        price_of(working.accelerator, price) if working else None, (), stored.weights,
        stored.weights + stored.optimizer, vocabulary(architecture), fit, step_time=timed, published=published,
    )  # fmt: skip
    if lora_rank:
        run = with_adapters(run, {"dtype": dtype, "optimizer": optimizer, **adapters})
    if working is None or run.hours is None:
        return run
    return changed(run, emissions=emissions(working.accelerator, run.hours, watts, pue, carbon))


def with_adapters(run: Training, settings: Mapping[str, Any]) -> Training:
    """Return a run that trains and stores only LoRA adapters, given the arguments of ``memory`` for a step."""
    stored = memory_of(run.architecture, **{**settings, "mode": "training", "mesh": None, "batch": 1, "seq": 1})
    assert isinstance(stored, ParallelMemory)
    recipe = stored.worst.recipe
    adapters = recipe.adapters
    assert adapters is not None
    n_parameters = stored.gradients // recipe.gradient_bytes
    weights = n_parameters * recipe.weight_bytes
    return changed(
        run, weights_bytes=weights, resume_bytes=weights + stored.optimizer, adapters=adapters,
        adapter_flops=run.step.with_adapters(adapters.rank, adapters.targets), step_time=None,
    )  # fmt: skip


def _state_bytes(stored: ParallelMemory | InferenceMemory) -> float:
    """Return the bytes of optimizer states and master copy per parameter."""
    assert isinstance(stored, ParallelMemory)
    n_weights: int = stored.weights // stored.worst.recipe.weight_bytes
    return float(stored.optimizer / max(n_weights, 1))


def _with_utilisation(architecture: Architecture, machine: Machine, timed: TrainingTime | None) -> Machine:
    """Return a machine with the utilisation of the answer that was the better one where its source was left out."""
    if machine.mfu_source == UNKNOWN and timed is None:
        text = f"no published utilisation for {machine.accelerator.title} in {machine.number_format}"
        raise InputError(text, parameter="mfu", hint="set the expected model FLOPs utilisation, such as {mfu=40%}")
    errors = judged(architecture, machine)
    is_better = errors["operations"] < errors["published"] and not is_of_mixtures(machine, table("utilisation"))
    if timed and (is_better or machine.mfu_source == UNKNOWN):
        return changed(machine, mfu=timed.utilisation, mfu_source=FROM_OPERATIONS, mfu_count=None)
    return machine


def _whole(value: float | str, parameter: str) -> int:
    """Parse a positive number of tokens."""
    found = amount(value, parameter) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 1 <= found <= LARGEST_WHOLE:
        hint = "use a positive number such as 15T"
        raise SizeError(f"invalid number of tokens {short_repr(value)}", parameter=parameter, hint=hint)
    if found != int(found) and not isinstance(value, str):
        raise SizeError(f"invalid number of tokens {short_repr(value)}", parameter=parameter, hint="use a whole number")
    return round(found)


def emissions(
    one: Accelerator, hours: Span, watts: float | None, pue: float | None, carbon: float | None
) -> tuple[Any, ...]:
    """Estimate the energy use and CO2e emissions of the given accelerator-hours under each convention.

    ``watts`` replaces the rated power in all of them. If both ``pue`` and ``carbon`` are given, they form an additional
    convention.
    """
    power = one.power if watts is None else watts
    if power is None:
        return ()
    conventions: dict[str, Any] = dict(table("energy"))
    if pue is not None and carbon is not None:
        conventions["given"] = {"title": AS_GIVEN, "pue": pue, "kg_per_kwh": carbon, "source": AS_GIVEN}
    return tuple(emission(name, entry, hours, power) for name, entry in conventions.items())


def vocabulary(architecture: Architecture) -> int | None:
    """Return the number of token embedding rows, or None if there is no token embedding."""
    for stack in architecture.stacks:
        for _, layer in stack.inputs:
            if any(tensor.table == "token" for tensor in declare(layer).tensors):
                return next((rows for _, rows in layer.sizes("vocabulary")), None)
    return None
