"""Reports for ``find_models`` and ``find_gpus``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.errors import spelled
from ..core.tree import Node
from ..core.workload import Workload
from ..inputs.defaults import SEQ
from ..search.gpus import FittingGpus, GpuSearch
from ..search.models import MOST_CONTEXT, ModelSearch
from ..search.recipes import Recipe, RecipeSearch
from .document import Document, Fact, table_of
from .fit import memory_facts
from .heading import derivation, gpus_text, model_document, named_values
from .json_envelope import envelope
from .numbers import BYTES, ends_text, exact


def find_models_document(found: ModelSearch, given: str | None = None) -> Document:
    """Build a report that lists the models that fit, newest first. ``given`` is a memory size of the user."""
    card = found.accelerator
    listed = table_of("newest first, then largest", found.models, {
        "model: name": "name", "year: name": lambda one: str(one.year or ""),
        "parameters: about": "parameters", "weights: name": "format", "bytes: about bytes 1": "weights",
        "largest context: name": lambda one: f"{exact(one.context)}{'+' if one.context == MOST_CONTEXT else ''}",
    })  # fmt: skip
    workload = {"batch": 1, "seq": SEQ, **found.settings}
    workload["seq"] = f"{workload['seq']} or more"
    answer = f"{found.summary}; {spelled('{whole} lists every one')}" if found.is_cut else found.summary
    notes = (
        "plain memory within the share of a GPU that the usual engine uses: fit MODEL asks the engine",
        "weights: the format with the most bits with which the context fits; checkpoint: as published",
        f"{exact(MOST_CONTEXT)}+: longer contexts were not tried. Most models are trained with shorter ones.",
    )
    return Document(
        f"{'✓' if found.models else '✗'} {answer}",
        lambda: envelope("fit", {"accelerator": card.to_dict() if card else None, **found.settings}, found.to_dict()),
        subtitle=(f"workload: {named_values(workload)}",),
        warnings=found.errors,
        facts=memory_facts(found, given, "{reserve=SIZE} changes it"),
        summary=listed,
        derivation=lambda: tuple(Node(f"{one.name} weights, {one.format}", one.weights, BYTES) for one in found.models),
        notes=notes if found.models else (),
    )


def find_gpus_document(found: GpuSearch) -> Document:
    """Build a report that lists the GPUs on which a model fits, cheapest first."""
    listed = table_of("cheapest first, then the least memory", found.gpus, {
        "GPUs: name": _name, "memory: about bytes 2": "fit.memory", "headroom: about bytes 1": "fit.headroom",
        "USD per hour: name": lambda one: ends_text(*(f"{price:.2f}" for price in one.price or ())),
        "dated: name": "dated", "quotes: text 3": "quotes",
    })  # fmt: skip
    answer = found.summary.removeprefix(f"{found.architecture.name} ")
    if found.gpus:
        first = found.gpus[0]
        cost = f", from ${first.price[0]:.2f} per hour" if first.price else ""
        answer += f"{cost}: {first.count} × {first.accelerator.title}"
    small = ", ".join(one.name for one in found.too_small)
    vendors = ", ".join(dict.fromkeys(one.vendor for one in found.unread))  # an engine runs on all of a vendor
    weights = found.settings.get("weights") or "the format of the checkpoint"
    sources = dict.fromkeys(one.accelerator.price_source for one in found.gpus if one.price and not one.instance)
    return model_document(
        found.architecture,
        "fit",
        lambda: ({"reserve": found.reserve, **found.settings}, found.to_dict()),
        " on the fewest of 1, 2, 4 or 8 GPUs of each kind",
        answer=f"{'✓' if found.gpus else '✗'} {answer}",
        workload=_workload(found.settings),
        lines=(f"workload: {named_values(found.settings)}",),
        tables=(listed,),
        derivation=derivation("memory", found.gpus[0].fit.result) if found.gpus else tuple,
        notes=(
            f"not counted: {vendors}, where no engine reads weights in {weights}" if vendors else "",
            "memory, headroom: per GPU; USD per hour: all GPUs, lowest to highest quote; dated: the lowest quote",
            f"sources of quotes: {'; '.join(filter(None, sources))}; see llmcalc hardware show",
        ),
        details=(f"too small, even as a node of up to 8: {small}" if small else "",),
    )


def _workload(settings: Mapping[str, Any]) -> Workload:
    """Return the sequences of a search."""
    return Workload(seq=settings["seq"], extend=bool(settings.get("extend")))


def _name(one: FittingGpus) -> str:
    gpus = f"{one.count} × {one.accelerator.name}"
    return f"{one.instance.name} ({gpus})" if one.instance else gpus


def find_recipes_document(
    found: RecipeSearch, given: str | None = None, spell: Callable[[Recipe], str] | None = None
) -> Document:
    """Build a report that lists the ways to train a model, best first. The title is the answer.

    ``given`` is a memory size of the user. ``spell`` returns the command line of a recipe.
    """
    card, best = found.accelerator, found.best
    listed = table_of(f"recipes for {found.count} GPU{'s' * (found.count > 1)}, best first", found.recipes, {
        "recipe: group": "method", "with: name": "saving",
        "fits: name": lambda one: "yes" if one.fits else "no", "needed: about bytes": "needed",
        "host memory: about bytes 1": lambda one: one.host or None, "batch: number": lambda one: one.batch or None,
    })  # fmt: skip
    inputs = {"accelerator": card.to_dict() if card else None, **found.settings}
    commands = {one.name: spell(one) for one in found.recipes if not one.host} if spell else {}
    return model_document(
        found.architecture,
        "fit",
        lambda: (inputs, {**found.to_dict(), "commands": commands}),
        f" on {gpus_text(found)}",
        answer=f"✓ yes: {best.name}, batch {best.batch}" if best else "✗ no recipe fits",
        workload=_workload(found.settings),
        lines=(f"workload: {named_values(found.settings)}",),
        facts=(
            Fact("command", commands.get(best.name) if best else None),
            *memory_facts(found, given, "{reserve=SIZE} changes it"),
        ),
        derivation=lambda: tuple(Node(one.name, one.needed, BYTES) for one in found.recipes),
        tables=(listed,),
        notes=(
            "needed: bytes per GPU for the smallest batch; batch: largest micro-batch of each GPU",
            "optimizer on the CPU: its states and master weights are in host memory, as in ZeRO-Offload",
            "several GPUs use ZeRO-3" if found.count > 1 else "",
        ),
    )
