"""Changed settings of a question about requests, as the command that asks it again states them."""

from __future__ import annotations

from collections.abc import Mapping

from ..calc.sharding import Mesh
from ..core.type_names import Any
from ..data import tables
from ..engines.settings import changed_words
from ..importers.modelfile import MODELFILE, RUN, changed_variables
from ..inputs.serving_settings import SERVE
from .memory import engine_layout
from .replicas import SIZES
from .service import Service

BESIDE_COMMAND = [setting.name for setting in SERVE if setting.part in ("requests", "machine")]


def stated(service: Service, change: Mapping[str, Any]) -> dict[str, Any]:
    """Return changed settings as arguments of ``serve``: those in a command line as a changed command line.

    A setting for which the engine has no flag is left out, so that the answer is that of the command.
    """
    pasted = service.command
    if pasted is None or pasted.program == MODELFILE:
        return dict(change)
    beside = {name: value for name, value in change.items() if name in BESIDE_COMMAND}
    inside = {name: value for name, value in change.items() if name not in BESIDE_COMMAND}
    if pasted.program == RUN:
        line = changed_variables(pasted.words, inside)
    else:
        if inside.keys() & set(SIZES):
            tp, pp, dp, ep = (inside.pop(name, None) or service.asked.get(name) or 1 for name in SIZES)
            mesh = Mesh(tp=tp, pp=pp, dp=dp, ep=ep, etp=tp * dp // ep)
            off = {"expert_parallel": False, "attention_dp": False, "ep": None}
            inside |= off | engine_layout(mesh, tables("engines")[service.engine])
        line = changed_words(pasted.words, service.engine, inside)
    return {**beside, "command": line} if inside else beside
