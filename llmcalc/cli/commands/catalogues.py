"""The ``llmcalc formats``, ``hardware`` and ``laws`` commands for listing built-in catalogues."""

from __future__ import annotations

from ..options import CHART_OUTPUT, OUTPUT
from ..output import Answer, printed
from ..spec import Argument, Command

ACCELERATOR = Argument("name", "Accelerator name or alias.", complete="accelerators")
LAW = Argument("name", "Scaling law name, such as besiroglu.", complete="laws")


@printed
def list_formats() -> Answer:
    """List all number formats and mixtures."""
    from ...data import tables
    from ...inputs.number_formats import mixtures, number_format
    from ...report.catalogues import formats_document

    return formats_document({name: number_format(name) for name in tables("formats")}, mixtures())


@printed
def list_hardware() -> Answer:
    """List all accelerators."""
    from ...inputs.gpus import accelerators
    from ...report.catalogues import hardware_document

    return hardware_document(accelerators())


@printed
def show_hardware(name: str) -> Answer:
    """Show one accelerator."""
    from ...inputs.gpus import accelerator
    from ...report.catalogues import accelerator_document

    return accelerator_document(accelerator(name))


@printed
def list_laws() -> Answer:
    """List all scaling laws."""
    from ...inputs.laws import laws
    from ...report.catalogues import laws_document

    return laws_document(laws())


@printed
def show_law(name: str) -> Answer:
    """Show one scaling law."""
    from ...inputs.laws import law
    from ...report.catalogues import law_document

    return law_document(law(name))


COMMANDS = (
    Command("formats list", OUTPUT, list_formats),
    Command("hardware list", CHART_OUTPUT, list_hardware),
    Command("hardware show", (ACCELERATOR, *CHART_OUTPUT), show_hardware),
    Command("laws list", OUTPUT, list_laws),
    Command("laws show", (LAW, *OUTPUT), show_law),
)
