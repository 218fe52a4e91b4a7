"""The closed forms of every preset, as the browser evaluates the files of the built page."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from llmcalc.web.form_files import shipped_models

from ..web.forms_reference import reference, workloads
from .conftest import Host, Visit

PARTS = 8
EVALUATE = """async cases => {
    const page = name => import(new URL(name, document.baseURI));
    const [{load}, {quantities}, {memory}] = await Promise.all(["load.js", "quantities.js", "memory.js"].map(page));
    const names = ["first", "flops", "memory"];
    const files = Object.fromEntries(await Promise.all(names.map(async name => [name, await load(name)])));
    return cases.map(([model, settings]) =>
        Object.fromEntries(Object.entries({...quantities(files, model, settings), ...memory(files, model, settings)})
            .map(([name, value]) => [name, value === null ? null : String(value)])));
}"""


@pytest.mark.parametrize("part", range(PARTS))
def test_the_browser_computes_what_python_computes(part: int, browser: Browser, host: Host) -> None:
    models = list(shipped_models())[part::PARTS]
    cases: list[tuple[str, dict[str, Any]]] = [
        (model.name, workload) for at, model in enumerate(models) for workload in workloads(part * len(models) + at, 1)
    ]
    visit = Visit(browser, host)
    found = visit.open(with_python=False).evaluate(EVALUATE, cases)
    visit.close()
    for model, (name, workload), values in zip(models, cases, found, strict=True):
        (expected,) = reference(model, [workload])
        shown = {key: None if value is None else int(value) for key, value in values.items()}
        assert shown == {key: expected[key] for key in shown}, (name, workload)
