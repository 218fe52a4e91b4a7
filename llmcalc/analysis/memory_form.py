"""Memory as closed forms of the workload's sizes, compiled for integers and arrays."""

from __future__ import annotations

from typing import Any

from ..core.architecture import Architecture
from ..core.description.compiled import ClosedForm, CompiledFunction
from ..core.errors import SizeError
from ..core.record import record
from ..core.setting import BATCH, SEQ, TARGET_SEQ, known_choice
from ..fitting.memory import SETTINGS
from ..inputs.arguments import read_values
from ..inputs.defaults import default_seq
from ..inputs.effects import check_effects
from ..inputs.models import Source, read_model
from .quantity import quantity

FREE = {each.name: each for each in (BATCH, SEQ, TARGET_SEQ)}


@record
class MemoryForm:
    """Memory as a function of sizes, which calls evaluate exactly.

    Attributes:
        architecture: model that was evaluated.
        part: value that is computed, such as ``peak``.
        free: names of the sizes.
        settings: all other settings.
        function: compiled function of the sizes.
    """

    architecture: Architecture
    part: str
    free: tuple[str, ...]
    settings: dict[str, Any]
    function: CompiledFunction

    def __repr__(self) -> str:
        return f"MemoryForm({self.architecture.name}: {self.part} of {', '.join(self.free)})"

    def __call__(self, **sizes: Any) -> Any:
        """Return the number of bytes for integers, or an array of numbers for arrays of integers.

        Raises:
            InputError: a size that ``memory`` does not accept.
        """
        if sizes.keys() != set(self.free):
            raise TypeError(f"a form of {', '.join(self.free)} requires exactly these sizes")
        for name, size in sizes.items():
            if not hasattr(size, "__array_namespace__"):
                FREE[name].check(size)
            elif size.dtype.kind not in "iu":
                raise SizeError(f"must be an array of integers, not of {size.dtype}", parameter=name)
            elif size.size:
                FREE[name].check(int(size.min()))
        return self.function(**sizes)

    @property
    def pieces(self) -> tuple[ClosedForm, ...]:
        """Closed forms that have been traced so far. The first one whose guards hold applies."""
        return tuple(self.function.pieces)

    def to_dict(self) -> dict[str, Any]:
        """Return the known closed forms as texts of integer arithmetic.

        In ``let``, each name stands for ``ceil(a, b)``, ``floor(a, b)`` (quotients that are rounded), ``min(a, ...)``
        or ``max(a, ...)``. A piece applies if no text in ``where`` is negative.
        """
        return {"part": self.part, "free": list(self.free), "pieces": [piece.to_dict() for piece in self.pieces]}


def compile_memory(model: Source, names: tuple[str, ...], part: str, settings: dict[str, Any]) -> MemoryForm:
    """Compile a part of the memory for the sizes ``names``, with all other settings of ``memory``."""
    memory = quantity("memory")
    known_choice("part", part, tuple(memory.parts))
    known = {setting.name: setting.default for setting in SETTINGS}
    for name in settings.keys() - known.keys():
        raise TypeError(f"unexpected keyword argument {name!r}")
    given = read_values(SETTINGS, known | settings)
    architecture = read_model(model)
    seq = default_seq(architecture) if given["seq"] is None else given["seq"]
    example = {name: size for name, size in {"batch": 1, "seq": seq, "target_seq": seq}.items() if name in names}
    check_effects(SETTINGS, given | example, architecture)
    own = {**given, "training": given["mode"] == "training"}
    found = MemoryForm(architecture, part, names, settings, memory.compiled(architecture, own, part, names))
    found(**example)  # checks settings that depend on each other
    return found
