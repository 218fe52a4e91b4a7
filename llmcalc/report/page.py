"""HTML page of ``report`` about one or more models, with plots and expandable derivations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .. import __version__
from ..api.compare import compare
from ..calc.params import params
from ..core.architecture import Architecture
from ..core.fingerprint import fingerprint
from ..core.record import changed
from .compare import compare_document
from .cost_curves import flops_document, memory_document, state_document
from .document import Document, Fact, Table
from .formats.html import page
from .heading import title
from .params import params_document
from .pictures import bars_of
from .published_figures import training_table


def report_page(
    models: Sequence[Architecture], lengths: Sequence[int], batch: int, seq: int, card: tuple[str, int] | None
) -> str:
    """Build the HTML page."""
    return page(" · ".join(map(title, models)), _documents(models, lengths, batch, seq, card))


def _documents(
    models: Sequence[Architecture], lengths: Sequence[int], batch: int, seq: int, card: tuple[str, int] | None
) -> Iterator[Document]:
    if len(models) > 1:
        yield compare_document(compare(*models, batch=batch, seq=seq))
    for model in models:
        document = params_document(params(model))
        picture = bars_of(document.title, document.tables[0])
        yield changed(document, tree=document.derivation(), pictures=lambda drawn=picture: [drawn] if drawn else [])
    yield flops_document(models, lengths)
    yield state_document(models, lengths)
    for model in models:
        yield memory_document(model, lengths, batch, card)
    tables = {model.name: training_table(model) for model in models}
    published = tuple(Table(name, table.columns, table.rows) for name, table in tables.items() if table)
    if published:
        yield Document("Training, as published", dict, tables=published)
    hashes = (Fact(model.name, fingerprint(model)) for model in models)
    yield Document("How this page was made", dict, facts=(Fact("llmcalc", __version__), *hashes))
