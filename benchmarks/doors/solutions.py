"""Probe whether solved sizes are the largest or fewest, more GPUs suffice where fewer do, and more work takes longer.

    python -m benchmarks.doors.solutions [--sample N] [--seed S] [--worst N] [PROBE ...]

Each probe draws ``N`` deployments of presets that answer, asks about them, and counts those that contradict themselves.
A solved size must fit and the next one must not, both by ``fit`` and by the start of the engine in ``serve``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random
from typing import Any

import llmcalc
from llmcalc.fitting.fit import FitResult

from .asking import CARDS, Asking
from .cases import RANKS
from .questions import ALLOWED, faster_times, share_of_tokens

LENGTHS, BATCHES = (1024, 2048, 8192, 32768, 131072), (1, 1, 4, 16, 64, 256)
FORMATS = (None, None, None, "fp8")
COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32)
TRAINED = ({"mode": "training"}, {"mode": "training", "lora_rank": 16}, {"mode": "training", "optimizer": "adam-8bit"})
LAYOUT = ("tp", "pp", "dp", "expert_parallel")
Found = list[str]  # contradictions


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _drawn(random: Random) -> dict[str, Any]:
    return _given(seq=random.choice(LENGTHS), batch=random.choice(BATCHES), weights=random.choice(FORMATS))


def _holds(model: str, gpu: str, asked: FitResult) -> bool:
    """Return whether the engine starts, by ``serve``, on the layout of a fit check and holds the requests."""
    settings = asked.start.settings
    change = {name: size for name, size in asked.change.items() if name not in asked.start.automatic}
    layout = {} if asked.start.placed else {name: settings[name] for name in LAYOUT if settings.get(name)}
    own = {"weights": settings.get("weights"), "engine": asked.start.engine, **change, **layout}
    copies = asked.count // asked.start.ranks
    with suppress(llmcalc.LlmcalcError):
        started = llmcalc.serve(model, gpu, **_given(**own))
        if asked.start.placed:  # its context is that of all requests, and parts of the model may be in host memory
            return bool(started.starts and not started.automatic)
        requests = int(started.to_dict()["requests"]) * settings.get("dp", 1) * copies
        return bool(started.starts and requests >= asked.batch)
    return False


def _solved(name: str, model: str, gpu: str, own: dict[str, Any], value: int, next_one: int) -> Found:
    """Return how a solved size contradicts the checks of it and of the next one."""
    kept, found = {key: each for key, each in own.items() if key != name}, Found()
    for size, fits in ((value, True), (next_one, False)):
        each, on = ({**kept}, f"{gpu}:{size}") if name == "gpus" else ({**kept, name: size}, gpu)
        if size < 1:
            continue
        checked = llmcalc.fit(model, on, **each)
        if checked.fits != fits:
            found.append(f"fit says {checked.fits} at {size:,}, and solved {value:,}")
        if checked.start and _holds(model, on, checked) != fits:
            found.append(f"serve says {not fits} at {size:,}, and solved {value:,}")
    return found


def _largest(name: str) -> Callable[[str, Random], tuple[str, Found] | None]:
    def probe(model: str, random: Random) -> tuple[str, Found] | None:
        own, gpu = _drawn(random), f"{random.choice(CARDS)}:{random.choice(COUNTS)}"
        own.pop(name)
        solved = llmcalc.fit(model, gpu, solve=name, **own)
        value = solved.solution.value if solved.solution else None
        if not isinstance(value, int):
            return None
        is_limit = solved.solution is not None and (solved.solution.in_memory or solved.solution.is_unlimited)
        found = _solved(name, model, gpu, own, value, 0 if is_limit else value + 1)
        return f"fit {model} {gpu} {own} --solve {name}", found

    return probe


def _fewest(model: str, random: Random) -> tuple[str, Found] | None:
    return _fewest_for(model, random.choice(CARDS), _drawn(random))


def _fewest_for(model: str, gpu: str, own: Any) -> tuple[str, Found] | None:
    solved = llmcalc.fit(model, gpu, solve="gpus", **own)
    value = solved.solution.value if solved.solution else None
    if not isinstance(value, int):
        return None
    return f"fit {model} {gpu} {own} --solve gpus", _solved("gpus", model, gpu, own, value, value - 1)


def _fewest_for_training(model: str, random: Random) -> tuple[str, Found] | None:
    gpu = random.choice(CARDS)
    own = {**random.choice(TRAINED), "seq": random.choice(LENGTHS[:3]), "batch": random.choice(BATCHES[:3])}
    return _fewest_for(model, gpu, own)


def _more_gpus(model: str, random: Random) -> tuple[str, Found] | None:
    card, own = random.choice(CARDS), _drawn(random)
    few, many = sorted(random.sample(COUNTS, 2))
    found = Found()
    fits = [llmcalc.fit(model, f"{card}:{count}", **own).fits for count in (few, many)]
    settings = _given(weights=own.get("weights"), max_model_len=own["seq"])
    starts = [llmcalc.serve(model, f"{card}:{count}", **settings).to_dict()["starts"] for count in (few, many)]
    if not fits[0] and not starts[0]:
        return None
    for name, (fewer, more) in (("fit", fits), ("serve", starts)):
        if fewer and not more:
            found.append(f"{name}: {few} GPUs are enough and {many} are not")
    return f"{model} {card}:{few} and {many} {own}", found


def _layout(random: Random) -> dict[str, Any]:
    tp = random.choice(RANKS)
    return {"gpu": f"{random.choice(CARDS)}:{tp}", "tp": tp, **_given(weights=random.choice(FORMATS))}


def _more_requests(model: str, random: Random) -> tuple[str, Found] | None:
    own = {**_layout(random), "isl": random.choice(LENGTHS) // 2, "osl": random.choice((100, 500))}
    number = random.choice((1, 7, 32, 128, 256))
    few, more = (llmcalc.serve(model, concurrency=each, **own) for each in (number, number + 1))
    if not (few.fits and more.fits):
        return None
    ratio = share_of_tokens(few, more)
    is_less = ratio < ALLOWED
    return f"serve {model} {own} --concurrency {number}", [f"{ratio:.3f} of the tokens per second"] if is_less else []


def _longer_inputs(model: str, random: Random) -> tuple[str, Found] | None:
    isl, own = random.choice(LENGTHS[:4]), {**_layout(random), "osl": 100, "concurrency": random.choice(BATCHES[1:])}
    short, long = (llmcalc.serve(model, isl=each, **own) for each in (isl, 2 * isl))
    if not (short.all_run and long.all_run):
        return None
    found = [f"{name} {ratio:.4f}" for name, ratio in faster_times(short, long).items()]
    return f"serve {model} {own} --isl {isl}", found


PROBES: Mapping[str, tuple[str, Callable[[str, Random], tuple[str, Found] | None]]] = {
    "gpus": ("fit --solve gpus is the fewest", _fewest),
    "seq": ("fit --solve seq is the largest", _largest("seq")),
    "batch": ("fit --solve batch is the largest", _largest("batch")),
    "training": ("fit --training --solve gpus is the fewest", _fewest_for_training),
    "more": ("more GPUs are enough where fewer are", _more_gpus),
    "load": ("one request more gives 98 % of the tokens", _more_requests),
    "inputs": ("twice the input takes no less time", _longer_inputs),
}


def main() -> None:
    """Print for each probe how many deployments were asked about and contradict themselves, and some of these."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("probes", nargs="*", metavar="PROBE", help=", ".join(PROBES))
    parser.add_argument("--sample", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worst", type=int, default=5)
    options = parser.parse_args()
    for name in options.probes or PROBES:
        title, probe = PROBES[name]
        asking, wrong, n_asked = Asking(options.seed, None), list[tuple[str, Found]](), 0
        while n_asked < options.sample:
            with suppress(llmcalc.LlmcalcError):  # a model that does not answer
                if answered := probe(asking.model(), asking.random):
                    n_asked += 1
                    wrong += [answered] if answered[1] else []
        print(f"{title:42} {n_asked:6,} asked {len(wrong):6,} wrong", flush=True)
        for asked, found in wrong[: options.worst]:
            print(f"    {asked}: {'; '.join(found)}", flush=True)


if __name__ == "__main__":
    main()
