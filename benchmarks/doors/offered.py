"""Run the commands that screens, errors and the page offer, and count those that do not give what was promised."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import llmcalc
from llmcalc.report.fit import fit_document
from llmcalc.web.answers.case import case_of
from llmcalc.web.answers.state import read_state
from llmcalc.web.answers.view import view_of

from .asking import Asking
from .offers import offers
from .running import Offer, Screen, problem, show

PAGE_VALUES = {
    "memory": ("needed", "fits"), "speed and cost": ("tpot_s", "ttft_s", "running", "tokens_per_s_gpu"),
    "time and cost": ("days", "hours", "cost", "compute"),
}  # fmt: skip
PAGE = "page"


class Tried(NamedTuple):
    """An offered command, the command line whose screen offers it, and what is wrong with it, or an empty string."""

    asked: str
    offer: Offer
    problem: str


def tried(commands: int, seed: int, kind: str = "") -> Iterator[Tried]:
    """Yield at least this many offered commands of random questions, or of questions of one kind."""
    with tempfile.TemporaryDirectory() as folder:
        asking, count = Asking(seed, Path(folder)), 0
        while count < commands:
            on_page = kind == PAGE or (not kind and asking.random.random() < 0.1)
            for one in _of_page(asking) if on_page else _of_screen(show(asking.next(kind))):
                count += 1
                yield one


def _of_screen(asked: Screen) -> Iterator[Tried]:
    for offer in offers(asked):
        yield Tried(shlex.join(asked.words), offer, problem(asked, offer))


def _of_page(asking: Asking) -> Iterator[Tried]:
    """Yield the commands that the page copies, with the numbers that it shows."""
    random = asking.random
    state: dict[str, Any] = {
        "model": asking.model(), "gpu": random.choice(("h100", "h200", "a100-sxm-80gb", "rtx4090", "l40s", "mi300x")),
        "n": random.choice((1, 1, 2, 4, 8, 16)), "users": random.choice((1, 4, 32, 128, 500)),
    }  # fmt: skip
    state |= {"context": random.choice((1000, 8192, 32768))} if random.random() < 0.5 else {}
    state |= {"weights": random.choice(("fp8", "q4_k_m", "nf4"))} if random.random() < 0.3 else {}
    state |= {"kv": "fp8"} if random.random() < 0.15 else {}
    if random.random() < 0.25:
        state = {name: state[name] for name in ("model", "gpu", "n")} | {"task": "train"}
        state |= {"method": random.choice(("", "lora", "qlora")), "batch": random.choice((1, 4)),
                  "recompute": random.choice(("", "full"))}  # fmt: skip
    asked = Screen(["page", *(f"{name}={value}" for name, value in state.items())], 0, None, "")
    try:
        case = case_of(read_state(state))
        view = view_of(case)
        lines = view.command_lines(case)
        documents = view.documents(case) if len(lines) > 1 else {}
        promises = {"memory": fit_document(case.fit).data()["result"]}
        if len(lines) > 1:
            promises[lines[1]["title"]] = (documents.get("serve") or documents["train"]).data()["result"]
    except llmcalc.LlmcalcError:
        return
    for one in lines:
        names = PAGE_VALUES[one["title"]]

        def read(found: Screen, names: tuple[str, ...] = names) -> dict[str, Any]:
            return _values(found.result, names)

        promised = _values(promises[one["title"]], names)
        offer = Offer(f"page: {one['title']}", one["line"], shlex.split(one["line"])[1:], promised, read,
                      frozenset((0, 1)))  # fmt: skip
        yield Tried(shlex.join(asked.words), offer, problem(asked, offer))


def _values(result: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    own = {**result, **result.get("times", {})}
    return {name: own.get(name) for name in names}


def print_tried(commands: int, seed: int, worst: int, kind: str = "") -> None:
    """Print how many commands of each kind keep their promise, and some that do not."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    counts, wrong = Counter[str](), defaultdict[str, list[Tried]](list)
    for one in tried(commands, seed, kind):
        counts[one.offer.kind] += 1
        if one.problem:
            wrong[one.offer.kind].append(one)
    print(f"{'offered command':46} {'tried':>6} {'kept':>6} {'wrong':>6}")
    for name, count in sorted(counts.items()):
        print(f"{name:46} {count:6,} {count - len(wrong[name]):6,} {len(wrong[name]):6,}")
        for one in wrong[name][:worst]:
            print(f"    llmcalc {one.asked}\n      offers {one.offer.text}\n      {one.problem[:300]}")
    total = sum(map(len, wrong.values()))
    print(f"{'all':46} {sum(counts.values()):6,} {sum(counts.values()) - total:6,} {total:6,}")
