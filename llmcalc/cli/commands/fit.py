"""The ``llmcalc fit`` command for checking whether a model fits on GPUs, or for finding what fits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError, LengthError
from ...core.record import changed, fields
from ...fitting.fit import FIT
from ...inputs.defaults import RESERVE as DEFAULT
from ..memory_options import MEMORY, MESH, TABLE, settings
from ..options import ALL, READING, SIZES, is_given, refuse
from ..output import Answer, answered, printed
from ..spec import Argument, Command, Option, option_of
from ..training_options import TRAINED_MODEL, TRAINING_FILE, load_trained

if TYPE_CHECKING:
    from ...calc.memory.fit import Fit
    from ...core.architecture import Architecture
    from ...fitting.advice import Change
    from ...search.recipes import Recipe
    from ...training.files import TrainingFile

RECIPE = "recipe"
OPTIONAL_MODEL = changed(TRAINED_MODEL, least=0)
TIMES = Argument("times", "GPUs such as h100:8 (same as --gpu), or their count such as x8.", least=0, metavar="GPUS")
GPU, GPU_MEMORY, RESERVE, ENGINE, SOLVING = (option_of(setting) for setting in FIT if setting.help)
SOLVING = changed(SOLVING, choices=(*SOLVING.choices, RECIPE))
LIST = Option("--list", "List the models that fit on --gpu, without MODEL.", name="listing", kind=bool)
SETTINGS = (changed(GPU, also=("count",)), GPU_MEMORY, RESERVE, ENGINE, SOLVING, LIST)
# settings of a search for recipes
TRAINED = ("batch", "seq", "target_seq", "extend", "training", "dtype", "attention", "dropout", "scan", "lora_rank",
           "lora_targets")  # fmt: skip
ADAPTED = ("lora_rank", "lora_targets")
LISTED = ("batch", "seq", "dtype", "weights", "cache", "page", "prefill", "step_tokens", "beams")
EVERY_GPU, RECIPES = "all", "on a search for recipes to train"
_TIMES = r"[x×:]?\s*(\d{1,6})"


@printed
def run(model: str | None, **given: Any) -> Answer:
    """Print the result of the fit check. The exit code is 1 if the model does not fit."""
    try:
        return _answer(model, **given)
    except LengthError as error:
        if model is None:
            raise
        from ...report.fit_answer import refused_length_document

        return refused_length_document(load_trained(model, given)[0], error), False


def _answer(
    model: str | None,
    times: str | None,
    gpu: str | None,
    gpu_memory: str | None,
    reserve: str | None,
    engine: str | None,
    solve: str | None,
    listing: bool,
    **given: Any,
) -> Answer:
    """Return the report of a fit check or of a search, and whether the answer is yes."""
    kept = DEFAULT if reserve is None else reserve
    budget: dict[str, Any] = {"gpu_memory": gpu_memory, "reserve": kept}
    if listing:
        return _models([model, times, gpu], {**given, "solve": solve, "engine": engine}, budget)
    if model is None:
        raise InputError("missing MODEL", where="fit", hint="to list the models that fit, add {listing}")
    match = re.fullmatch(_TIMES, times.strip().lower()) if times is not None else None
    if times is not None and (not match or (gpu is None and times.strip().isdigit())):  # a name such as h100 or 4090
        if gpu is not None:
            raise InputError(f"invalid GPU count {times!r}", where="fit", hint="use a count such as x8")
        gpu, match = times, None
    if gpu is not None and gpu.strip().lower() == EVERY_GPU:
        return _gpus(model, {**given, "solve": solve, "engine": engine, "gpu_memory": gpu_memory}, kept)
    from ...api.fit import fit
    from ...report.fit import fit_document

    count = int(match[1]) if match else None
    budget["reserve"] = reserve
    typed = {**given, **budget, "engine": engine, "model": model, "times": times if gpu is None else None}
    typed["gpu"] = f"{gpu}:{count}" if gpu and count else gpu
    asked = {**given, "model": model}
    architecture, given, file = _load_solved(model, given, count or _count(gpu), solve)
    if solve == RECIPE:
        refuse(MEMORY[:1], typed, f"{RECIPES}, which all train")
    if solve == RECIPE or (solve is None and _asks_for_recipe(given)):
        refuse((ENGINE,), typed, RECIPES)
        return _recipes(architecture, typed, {"gpu": gpu, "count": count, **budget, "reserve": kept}, given)
    own = settings(given, (*SIZES, *MEMORY))
    result = fit(architecture, gpu, count=count, solve=solve, engine=engine, **budget, **own)
    if file and solve is None:
        gpus = {"gpu": gpu, "count": count, **budget}
        result = changed(result, find_changes=partial(_changes_of_file, architecture, gpus, own, asked))
    solved = result.solution is None or result.solution.value is not None or result.solution.is_unlimited
    is_yes = result.fits and solved and not result.is_undecided
    return fit_document(result, kept, gpu_memory, lambda change: _line(typed, change)), is_yes


def _load_solved(
    model: str, given: dict[str, Any], count: int | None, solve: str | None
) -> tuple[Architecture, dict[str, Any], TrainingFile | None]:
    """Load the model and the settings of a training program's file, without the one that is being solved for."""
    is_open = solve == "gpus" and given["dp"] is None
    architecture, found, file = load_trained(model, {**given, "dp": 2} if is_open else given, count)
    if file is None:
        return architecture, given, None
    solved = {"dp": None} if is_open else {solve: given[solve]} if solve in ("seq", "batch") else {}
    return architecture, {**found, **solved}, file


def _changes_of_file(
    architecture: Architecture, gpus: dict[str, Any], own: dict[str, Any], asked: dict[str, Any]
) -> Iterator[Change]:
    """Yield changes with which training fits, for each of which the training program's file is read again."""
    from ...api.fit import fit
    from ...fitting.fit import SETTINGS as OF_FIT
    from ...fitting.fit import read_question
    from ...fitting.fit_changes import fit_changes
    from ...fitting.question import FileQuestion, Question
    from ...inputs.settings import read_settings

    question = read_question(architecture, **gpus, solve=None, settings=read_settings("a fit", OF_FIT, own))

    def read(change: dict[str, Any]) -> Fit:
        others = {name: value for name, value in change.items() if name not in ("gpu", "count")}
        on: dict[str, Any] = {**gpus, **{name: change[name] for name in ("gpu", "count") if name in change}}
        model, given, _ = load_trained(asked["model"], {**asked, **others}, on["count"] or _count(on["gpu"]))
        return fit(model, **on, **settings(given, (*SIZES, *MEMORY)))

    known = {field.name: getattr(question, field.name) for field in fields(Question)}
    return fit_changes(FileQuestion(**known, read=read))


def _count(gpu: str | None) -> int | None:
    """Return the number of GPUs in a specification such as ``h100:8``, or None if it has none."""
    from ...inputs.gpus import read_gpus

    return None if gpu is None else read_gpus(gpu, None).count


def _models(words: list[str | None], given: dict[str, Any], budget: dict[str, Any]) -> Answer:
    """List the models that fit. The GPU is the only one of the words."""
    from ...api.find_models import find_models
    from ...report.screen import ROWS

    gpus = [word for word in words if word is not None]
    if len(gpus) > 1:
        raise InputError("cannot be combined with a model", parameter="listing", hint="use {gpu=h100} {listing}")
    others = [
        option for option in (SOLVING, ENGINE, TRAINING_FILE, *SIZES, *MEMORY, *READING) if option.name not in LISTED
    ]
    refuse(others, given, "on a list of models")
    chosen = [option for option in (*SIZES, *MEMORY) if option.name in LISTED]
    found = find_models(gpus[0] if gpus else None, **budget, most=ROWS.get(), **settings(given, chosen))
    return answered(found, budget["gpu_memory"])


def _gpus(model: str, given: dict[str, Any], reserve: str) -> Answer:
    """List the GPUs on which a model fits."""
    from ...api.find_gpus import find_gpus

    refuse((SOLVING, ENGINE, GPU_MEMORY, *MESH), given, "on a search for GPUs")
    architecture, given, _ = load_trained(model, given)
    chosen = [option for option in (*SIZES, *MEMORY) if option not in MESH]
    return answered(find_gpus(architecture, reserve=reserve, **settings(given, chosen)))


def _asks_for_recipe(given: dict[str, Any]) -> bool:
    """Return whether the question is how to train a model, without an option that says how."""
    chosen = (option for option in MEMORY if option.name not in TRAINED or option.name in ADAPTED)
    return bool(given["training"]) and not any(is_given(option, given) for option in chosen)


def _recipes(architecture: Architecture, typed: dict[str, Any], gpus: dict[str, Any], given: dict[str, Any]) -> Answer:
    """List the ways to train a model on GPUs."""
    from ...api.find_recipes import find_recipes

    refuse([option for option in MEMORY if option.name not in TRAINED], given, RECIPES)
    chosen = [option for option in (*SIZES, *MEMORY) if option.name in TRAINED and option.name != "training"]
    found = find_recipes(architecture, **gpus, **settings(given, chosen))

    def spell(recipe: Recipe) -> str:
        own = {**typed, "lora_rank": None, "lora_targets": [], "recompute": "none", **recipe.settings}  # asks for one
        own["lora_targets"] = list(own["lora_targets"])
        return COMMANDS[0].line({**own, "training": True, "batch": recipe.batch or typed["batch"]})

    return answered(found, gpus["gpu_memory"], spell)


def _line(typed: dict[str, Any], change: Change) -> str:
    """Return the command line with the changed settings."""
    settings = dict(change.settings)
    count, mesh = settings.pop("count", None), settings.pop("mesh", None)
    if count:
        settings |= {"gpu": f"{settings['gpu']}:{count}", "times": None}
        settings |= {"gpu_memory": None} if typed["gpu"] is None else {}  # the size is the GPU
    return COMMANDS[0].line({**typed, **settings, **({"dp": mesh.dp} if mesh else {})})


COMMANDS = (Command("fit", (OPTIONAL_MODEL, TIMES, *SETTINGS, TRAINING_FILE, *TABLE, ALL), run),)
