"""The Pareto front of all layouts of a state, which is searched in pieces between other messages."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from time import perf_counter
from typing import Any

from ...core.errors import LlmcalcError
from ...inputs.gguf_names import file_format
from ...report.serving_front import front_document
from ...search.front import ServingFront, front_steps
from ...search.space import Space
from ...serving.formats import check_formats, format_choices
from ...serving.requests import read_requests
from ...serving.service import FORMATS, Service
from ...serving.terms import read_terms
from .case import Case, said
from .charts import drawn
from .state import State

PIECE = 0.04  # seconds of work between two messages
Search = Generator[int, None, ServingFront]
_searches: dict[State, Search] = {}  # at most one, which another state replaces


def advance(case: Case, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Go on with the search for a state. Return the number of layouts ``tried`` so far, or the ``chart`` at the end.

    The chart has an ``error`` if there is none.
    """
    state = case.state
    try:
        search = _searches.pop(state, None) or find_layouts(case)
        _searches.clear()
        end = perf_counter() + PIECE
        tried = next(search)
        while perf_counter() < end:
            tried = next(search)
    except LlmcalcError as error:
        return {"chart": {"error": said(error)}}
    except StopIteration as finished:
        return {"chart": _chart(finished.value, asked)}
    _searches[state] = search
    return {"tried": tried}


def find_layouts(case: Case) -> Search:
    """Return the search for the front that ``serving_front`` finds."""
    if case.only_reads:
        raise LlmcalcError("the model generates no tokens")
    if case.answer < 2:
        raise LlmcalcError("a request has only one output token")
    given = {name: case.formats.get(name) for name in FORMATS}
    check_formats(case.model, given)
    requests = read_requests(case.prompt, case.answer)
    given["weights"] = given["weights"] or file_format(case.model, case.engine_name)
    formats = format_choices(case.model, case.gpu, given, case.engine_name)
    terms = read_terms(case.gpu, None, None, None)
    service = Service(case.model, case.gpu, case.state.n, requests, case.engine_name, formats[0], terms=terms)
    return front_steps(Space(service, formats))


def _chart(found: ServingFront, asked: Mapping[str, Any]) -> dict[str, str]:
    pictures = front_document(found).pictures()
    return drawn(pictures[0], asked) if pictures else {"error": "no layout fits with more than one number of users"}
