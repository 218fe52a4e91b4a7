"""``llmcalc train MODEL --tokens N``: what a whole training run takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ..machine_options import ADD_GPU, MACHINE, machine, price
from ..memory_options import DTYPE, MESH, OPTIMIZER, RECOMPUTE, mesh
from ..options import EXTEND, MODEL, OUTPUT, READING, SEQ, TARGET_SEQ, reading
from ..spec import Command, Option
from .scale import RESERVE

if TYPE_CHECKING:
    from ...calc.memory.fit import Fit
    from ...core.architecture import Architecture
    from ...estimate.cost import Machine

TOKENS = Option("--tokens", "tokens", "Training tokens, such as 15T (default: as published).", metavar="AMOUNT")
BATCH_TOKENS = Option(
    "--batch-tokens", "batch_tokens", "Tokens of a step of the optimizer, such as 4M.", metavar="AMOUNT"
)
PAIRS = Option(
    "--attention", "attention", "Count the visible pairs of query and key, or all of them.", default="causal",
    choices=("causal", "dense"),
)  # fmt: skip
WATTS = Option("--watts", "watts", "Measured power of an accelerator, in W (default: the rated one).", metavar="W")
PUE = Option("--pue", "pue", "Power usage effectiveness of the data centre, such as 1.1.", metavar="RATIO")
CARBON = Option("--carbon", "carbon", "kg CO2e of a kWh, such as 0.385.", metavar="KG")
MICRO_BATCH = Option(
    "--micro-batch", "micro_batch", "Sequences of a micro-batch on one rank, for the memory.", kind=int, default=1,
    metavar="N",
)  # fmt: skip
ENERGY = (WATTS, PUE, CARBON)
LARGEST_WHOLE = 10**30


def run(
    model: str,
    tokens: str | None,
    seq: int | None,
    target_seq: int | None,
    extend: bool,
    attention: str,
    batch_tokens: str | None,
    form: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Count, and print; exit code 1 if a mesh is given and the step does not fit."""
    from ...api.load import load
    from ...api.train import train
    from ...estimate.amounts import read_amount
    from ...report.train import train_document
    from ...report.workload import usual_seq
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    asked = whole(tokens, "tokens") if tokens is not None else None
    step = whole(batch_tokens, "batch_tokens") if batch_tokens is not None else None
    working = machine(given)
    stated = [option for option in ENERGY if given[option.name] is not None]
    extra: dict[str, Any] = {option.name: read_amount(given[option.name], option.name, "1.1") for option in stated}
    if working is None and (extra or _shares(given)):
        flag = next(iter(extra), "dp")
        raise InputError("speaks of an accelerator", parameter=flag, hint=ADD_GPU)
    if "pue" in extra and extra["pue"] < 1:
        message = f"{extra['pue']:g} is less than the computers themselves take"
        raise InputError(message, parameter="pue", hint="give 1 or more")
    architecture = load(model, **reading(given))
    seen = asked if asked is not None else published_tokens(architecture)
    length = seq if seq is not None else usual_seq(architecture)
    lengths: dict[str, Any] = {"seq": length, "target_seq": target_seq, "extend": extend}
    held = _fit(architecture, working, given, lengths) if working is not None and _shares(given) else None
    found = train(
        architecture, seen, **lengths, attention=attention, batch_tokens=step, machine=working, price=price(given),
        dtype=given["dtype"], optimizer=given["optimizer"] or "adamw", fit=held, **extra,
    )  # fmt: skip
    write(train_document(found, stated=asked is not None), chosen)
    return 1 if held is not None and not held.fits else 0


def published_tokens(architecture: Architecture) -> int:
    """The tokens that the model was trained on, where somebody says so.

    Raises:
        InputError: nobody does.
    """
    from ...report.training_facts import published

    fact = published(architecture, "training_tokens")
    if fact is None:
        message = f"how many tokens {architecture.name} was trained on is not known"
        raise InputError(message, parameter="tokens", hint="say how many, such as --tokens 15T")
    return round(float(fact.value))


def whole(text: str, flag: str) -> int:
    """An amount as a whole number.

    Raises:
        InputError: less than one, or beyond all data.
    """
    from ...estimate.amounts import read_amount

    value = read_amount(text, flag)
    if not 1 <= value <= LARGEST_WHOLE:
        raise InputError(f"{text.strip()} is no number of tokens", parameter=flag, hint="such as 15T")
    return round(value)


def _shares(given: dict[str, Any]) -> bool:
    return any(given[option.name] not in (None, False) for option in MESH)


def _fit(architecture: Architecture, working: Machine, given: dict[str, Any], lengths: dict[str, Any]) -> Fit:
    from ...api.fit import fit

    recompute = given["recompute"] or "none"
    return fit(
        architecture, working.accelerator.memory_bytes, RESERVE, working.count, mode="training", mesh=mesh(given),
        batch=given["micro_batch"], dtype=given["dtype"], optimizer=given["optimizer"] or "adamw", recompute=recompute,
        **lengths,
    )  # fmt: skip


COMMAND = Command(
    "train",
    "Tell what a training run takes: compute, time, cost, energy, files.",
    (
        MODEL, TOKENS, SEQ, TARGET_SEQ, EXTEND, PAIRS, BATCH_TOKENS, *MACHINE, *ENERGY, MICRO_BATCH, DTYPE, OPTIMIZER,
        RECOMPUTE, *MESH, *READING, *OUTPUT,
    ),
    run,
    "llmcalc train llama3-70b --tokens 15T --gpu h100:512",
)  # fmt: skip
