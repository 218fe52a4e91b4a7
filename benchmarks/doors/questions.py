"""Questions that several doors answer: one number or verdict of a deployment, by the name of the door.

A *door* is a public function with certain arguments. It answers with a number, with True or False, or it refuses with
an error (None). ``disagreement`` says how far the answers are from each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from math import floor, inf
from typing import Any, NamedTuple

import llmcalc
from llmcalc.serving.result import ServingResult
from llmcalc.serving.start.start import Start

from .cases import Case

Answers = Mapping[str, float | bool | None]
HUGE = 90_000  # requests, more than any cache holds
FEW = 100  # output tokens
NEAR = 1e-9  # relative difference of equal times
ALLOWED = 0.98  # of the tokens per second with one request less


class Question(NamedTuple):
    """A question with the doors that answer it.

    Attributes:
        title: what is asked.
        ask: function that returns the answer of each door.
        allowed: largest ratio of two answers that still agree.
        is_verdict: whether the answers are True or False, and a refusal counts as False.
        exceptions: rules of engines by which answers differ, each with a function that says whether it applies.
    """

    title: str
    ask: Callable[[Case], Answers]
    allowed: float = 1.0
    is_verdict: bool = False
    exceptions: Mapping[str, Callable[[Case, Answers], bool]] = {}

    def exception(self, case: Case, answers: Answers) -> str:
        """Return the rule of the engine by which answers differ, or an empty text."""
        if self.disagreement(answers) <= self.allowed:
            return ""
        return next((rule for rule, applies in self.exceptions.items() if applies(case, answers)), "")

    def disagreement(self, answers: Answers) -> float:
        """Return the largest ratio of two answers: 1 if they are equal, and infinite if one refuses or is zero."""
        if self.is_verdict:
            return 1.0 if len({bool(answer) for answer in answers.values()}) <= 1 else inf
        found = [float(answer) for answer in answers.values() if answer is not None]
        if not found:
            return 1.0
        if len(found) < len(answers) or min(found) <= 0:
            return inf if any(found) else 1.0
        return max(found) / min(found)


def _start(case: Case, **layout: int) -> Start:
    """Return how the engine starts. vLLM refuses more sequences than a hybrid has states for, also by default."""
    settings: dict[str, Any] = {"max_model_len": case.length, **case.deployment, **layout}
    found: Start = llmcalc.serve(case.model, **settings)
    if found.most_sequences < found.settings["max_num_seqs"]:
        return llmcalc.serve(case.model, **settings, max_num_seqs=found.most_sequences)
    return found


def _requests_at_once(case: Case) -> Answers:
    """Return how many requests of a length the KV cache holds."""
    found: dict[str, float | None] = dict.fromkeys(("start", "times", "fit"))
    with suppress(llmcalc.LlmcalcError):
        start = _start(case, **case.layout)
        found["start"] = floor(start.to_dict()["requests"]) if start.starts else 0
    with suppress(llmcalc.LlmcalcError):
        load = {"isl": case.length - 2, "osl": 2, "concurrency": HUGE}
        times = llmcalc.serve(case.model, **case.layout, **load, **case.deployment).to_dict()
        found["times"] = floor(times["capacity"] + 1e-9)
    with suppress(llmcalc.LlmcalcError):
        fit = llmcalc.fit(case.model, solve="batch", **case.layout, **case.fit)
        found["fit"] = fit.to_dict()["value"] if fit.fits else 0
        if fit.start and fit.start.automatic:
            del found["fit"]  # it counts the whole model on the GPUs
    return found


def _does_it_start(case: Case) -> Answers:
    """Return whether the engine starts and runs one request. If llama.cpp keeps a part of the model in host memory,
    ``latency`` and ``fit`` are not asked, which count the whole model on the GPUs.
    """
    found: dict[str, bool | None] = dict.fromkeys(("start", "times", "latency", "fit"))
    with suppress(llmcalc.LlmcalcError):
        start = _start(case, **case.layout)
        found["start"] = start.starts and start.to_dict()["requests"] >= 1
        if start.automatic:
            found = dict.fromkeys(("start", "times"), found["start"])
    with suppress(llmcalc.LlmcalcError):
        load = {"isl": case.length - 2, "osl": 2, "concurrency": 1}
        found["times"] = llmcalc.serve(case.model, **case.layout, **load, **case.deployment).to_dict()["fits"]
    if "latency" not in found:
        return found
    with suppress(llmcalc.LlmcalcError):
        load = {"seq": case.length - 2, "new_tokens": 2}
        found["latency"] = llmcalc.latency(case.model, **case.layout, **load, **case.deployment).to_dict()["fits"]
    with suppress(llmcalc.LlmcalcError):
        found["fit"] = llmcalc.fit(case.model, **case.layout, **case.fit).fits
    return found


def _one_request(case: Case) -> Answers:
    """Return how long an output token of a single request takes."""
    found: dict[str, float | None] = dict.fromkeys(("times", "latency"))
    isl = case.length - FEW
    with suppress(llmcalc.LlmcalcError):
        if _start(case, **case.layout).automatic:  # ``latency`` has no part of the model in host memory
            return found
    with suppress(llmcalc.LlmcalcError):
        load = {"isl": isl, "osl": FEW, "concurrency": 1}
        times = llmcalc.serve(case.model, **case.layout, **load, **case.deployment).to_dict()
        found["times"] = times["tpot_s"] if times["fits"] else None
    with suppress(llmcalc.LlmcalcError):
        load = {"seq": isl, "new_tokens": FEW}
        batch = llmcalc.latency(case.model, **case.layout, **load, **case.deployment).to_dict()
        found["latency"] = (batch["seconds"] - batch["first_token_s"]) / (FEW - 1) if batch["fits"] else None
    return found


def _more_gpus(case: Case) -> Answers:
    """Return whether the number of GPUs that was solved for suffices, and more of them: an answer for each number."""
    name = case.gpu.partition(":")[0]
    asked = {key: value for key, value in case.fit.items() if key != "gpu"}
    with suppress(llmcalc.LlmcalcError):
        fewest = llmcalc.fit(case.model, name, solve="gpus", **asked).to_dict()["value"]
        if fewest is None:
            return {}
        more = {fewest, fewest + 1, fewest + 3, 2 * fewest, 2 * fewest + 1}
        found = {f"{n} GPUs": llmcalc.fit(case.model, name, count=n, **asked).fits for n in sorted(more)}
        if fewest > 1:
            found[f"not {fewest - 1}"] = not llmcalc.fit(case.model, name, count=fewest - 1, **asked).fits
        return found
    return {}


def _default_layout(case: Case) -> Answers:
    """Return whether the deployment starts where no layout is given."""
    found: dict[str, bool | None] = dict.fromkeys(("start", "times", "fit"))
    with suppress(llmcalc.LlmcalcError):
        start = _start(case)
        found["start"] = start.starts and start.to_dict()["requests"] >= 1
    with suppress(llmcalc.LlmcalcError):
        load = {"isl": case.length - 2, "osl": 2, "concurrency": 1}
        found["times"] = llmcalc.serve(case.model, **load, **case.deployment).to_dict()["fits"]
    with suppress(llmcalc.LlmcalcError):
        fit = llmcalc.fit(case.model, **{**case.fit, "gpu": case.gpu})
        found["fit"] = fit.fits or bool(fit.start and fit.start.automatic)  # by llama.cpp, with a part in host memory
    return found


def faster_times(short: ServingResult, long: ServingResult) -> dict[str, float]:
    """Return which times get shorter if the input doubles, with the ratio.

    If the steps are full of prompts, prompts wait for each other and fewer sequences are decoded at once. A token then
    takes less time, and only the time of a whole request grows.
    """
    is_full = long.time.decoding < long.time.batch
    times = [(one.point.times.e2e_s,) if is_full else (one.tpot_s, one.ttft_s) for one in (short, long)]
    names = ("e2e_s",) if is_full else ("tpot_s", "ttft_s")
    found = {name: many / few for name, few, many in zip(names, *times, strict=True) if few and many}
    return {name: ratio for name, ratio in found.items() if ratio < 1 - NEAR}


def share_of_tokens(few: ServingResult, more: ServingResult) -> float:
    """Return the ratio of tokens per second with one request more, without what kernels lose to their tiles.

    Kernels compute whole tiles of rows. A request that starts a new tile makes each decode step longer by more than its
    share, and a token that is decoded in a step of prefill has a tile of attention of its own.
    """
    steps, prefills = more.time.step.seconds / few.time.step.seconds, more.time.prefill_s / few.time.prefill_s
    tiles = max(steps * few.load.concurrency / more.load.concurrency, prefills, 1.0)
    return more.tokens_per_s_gpu / few.tokens_per_s_gpu * tiles


def _longer_inputs(case: Case) -> Answers:
    """Return whether the times of twice the input are at least as long."""
    with suppress(llmcalc.LlmcalcError):
        short, long = (
            llmcalc.serve(case.model, **case.layout, isl=isl, osl=FEW, concurrency=8, **case.deployment)
            for isl in (case.length // 4, case.length // 2)
        )
        if short.all_run and long.all_run:
            return {**dict.fromkeys(faster_times(short, long), False), "longer": True}
    return {}


def _more_requests(case: Case) -> Answers:
    """Return whether tokens per second fall by at most 2 % for a request more, at some numbers of requests."""
    found: dict[str, bool | None] = {}
    with suppress(llmcalc.LlmcalcError):
        for concurrency in (1, 7, 32, 128, 256):
            load = {"isl": case.length // 2, "osl": FEW}
            few, more = (
                llmcalc.serve(case.model, **case.layout, concurrency=n, **load, **case.deployment)
                for n in (concurrency, concurrency + 1)
            )
            if few.fits and more.fits:
                found[f"{concurrency} requests"] = share_of_tokens(few, more) >= ALLOWED
    return {**found, "more": True} if found else {}


MOST_SEQUENCES = 1024  # that an engine runs at once by its defaults
OF_REQUESTS: dict[str, Callable[[Case, Answers], bool]] = {
    "each sequence beyond the engine's default number has buffers, which fit counts": lambda case, answers: (
        min(answer or 0 for answer in answers.values()) > MOST_SEQUENCES
    ),
    "buffers of llama.cpp grow with the context of all requests, for which fit asks": lambda case, answers: (
        case.engine == "llama.cpp" and 0 < (answers["fit"] or 0) < min(answers["start"] or 0, answers["times"] or 0)
    ),
}
SEQUENCE_S = 20e-6  # most that TensorRT-LLM's scheduler takes for a sequence
OF_LATENCY: dict[str, Callable[[Case, Answers], bool]] = {
    "TensorRT-LLM schedules no sequences in a batch of which all arrive at once, as measured": lambda case, answers: (
        case.engine == "tensorrt-llm" and 0 < (answers["times"] or 0) - (answers["latency"] or 0) < SEQUENCE_S
    ),
}
QUESTIONS: dict[str, Question] = {
    "requests": Question("requests that the KV cache holds", _requests_at_once, 1.05, exceptions=OF_REQUESTS),
    "starts": Question("whether the engine starts", _does_it_start, is_verdict=True),
    "latency": Question("time per output token of one request", _one_request, 1.01, exceptions=OF_LATENCY),
    "gpus": Question("whether the fewest GPUs and more suffice", _more_gpus, is_verdict=True),
    "layout": Question("whether it starts without a given layout", _default_layout, is_verdict=True),
    "inputs": Question("whether longer inputs take longer", _longer_inputs, is_verdict=True),
    "load": Question("whether more requests give no fewer tokens", _more_requests, is_verdict=True),
}
