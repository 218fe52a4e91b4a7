"""The memory of one GPU that closed forms give before Python has answered."""

from __future__ import annotations

import itertools
from typing import Any

from playwright.sync_api import Browser

import llmcalc
from llmcalc.report.fit import memory_parts

from .conftest import Host, Visit

EVALUATE = """async states => {
    const page = name => import(new URL(name, document.baseURI));
    const [{load}, {instant}] = await Promise.all(["load.js", "instant.js"].map(page));
    const names = ["first", "memory", "catalogue"];
    const files = Object.fromEntries(await Promise.all(names.map(async name => [name, await load(name)])));
    return states.map(state => instant(files, files.catalogue, state, state.model, "x"));
}"""
MODELS = (
    "llama3.1-8b", "llama3-70b", "qwen3-30b-a3b", "mixtral-8x7b", "deepseek-v3-671b", "mamba2-2.7b", "gpt2-xl",
    "gemma3-27b", "bert-base-uncased",
)  # fmt: skip
GPUS, COUNTS, USERS = ("h100-sxm", "rtx-4090", "l4", "gb200"), (1, 2), (1, 37)


def test_it_is_what_python_computes(browser: Browser, host: Host) -> None:
    states: list[dict[str, Any]] = [
        {"model": model, "gpu": gpu, "n": n, "users": users, "context": 509, "weights": "", "kv": ""}
        for model, gpu, n, users in itertools.product(MODELS, GPUS, COUNTS, USERS)
    ]
    visit = Visit(browser, host)
    found = visit.open(with_python=False).evaluate(EVALUATE, states)
    visit.close()
    known = [(state, one) for state, one in zip(states, found, strict=True) if one]
    for state, one in known:
        assert "fits" not in one, state  # the verdict is that of the engine
        assert one["lead"] == "Memory without an engine"
        fit = llmcalc.fit(state["model"], state["gpu"], batch=state["users"], seq=509, engine="none")
        parts, shown = [*memory_parts(fit).values()], one["memory"]
        assert (shown["total"], shown["size"]) == (fit.needed + fit.reserve, fit.memory), state
        assert [part["bytes"] for part in shown["parts"]] == parts, state
    assert {state["n"] for state, _ in known} == {1}
    assert {"llama3.1-8b", "mixtral-8x7b", "mamba2-2.7b", "bert-base-uncased"} <= {state["model"] for state, _ in known}
