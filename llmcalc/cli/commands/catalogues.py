"""``llmcalc formats``, ``hardware`` and ``laws``: what is known by name."""

from __future__ import annotations

from ..options import OUTPUT
from ..spec import Argument, Command

ACCELERATOR = Argument("name", "Name or alias of an accelerator.", complete="accelerators")
LAW = Argument("name", "Name of a scaling law, such as besiroglu.", complete="laws")


def list_formats(form: str | None, as_json: bool) -> int:
    """List number formats, and mixtures of them."""
    from ...api.names import number_format
    from ...data import table, tables
    from ...report.catalogues import formats_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    write(formats_document({name: number_format(name) for name in tables("formats")}, table("mixtures")), chosen)
    return 0


def list_hardware(form: str | None, as_json: bool) -> int:
    """List the accelerators."""
    from ...api.names import accelerators
    from ...report.catalogues import hardware_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    write(hardware_document(accelerators()), chosen)
    return 0


def show_hardware(name: str, form: str | None, as_json: bool) -> int:
    """Show one accelerator."""
    from ...api.names import accelerator
    from ...report.catalogues import accelerator_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    write(accelerator_document(accelerator(name)), chosen)
    return 0


def list_laws(form: str | None, as_json: bool) -> int:
    """List the scaling laws."""
    from ...api.scale import laws
    from ...report.catalogues import laws_document
    from ..output import chosen_format, write

    write(laws_document(laws()), chosen_format(form, as_json))
    return 0


def show_law(name: str, form: str | None, as_json: bool) -> int:
    """Show one scaling law."""
    from ...api.scale import law
    from ...report.catalogues import law_document
    from ..output import chosen_format, write

    write(law_document(law(name)), chosen_format(form, as_json))
    return 0


COMMANDS = (
    Command("formats list", OUTPUT, list_formats, "llmcalc formats list"),
    Command("hardware list", OUTPUT, list_hardware, "llmcalc hardware list"),
    Command("hardware show", (ACCELERATOR, *OUTPUT), show_hardware, "llmcalc hardware show h100"),
    Command("laws list", OUTPUT, list_laws, "llmcalc laws list"),
    Command("laws show", (LAW, *OUTPUT), show_law, "llmcalc laws show besiroglu"),
)
