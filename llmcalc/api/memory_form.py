"""Memory as closed forms of the workload's sizes, compiled for integers and arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..analysis.quantity import quantity
from ..core.architecture import Architecture
from ..core.description.compiled import ClosedForm, CompiledFunction
from ..core.errors import InputError, SizeError
from ..core.record import record
from ..core.setting import BATCH, SEQ, TARGET_SEQ, known_choice, read_texts
from ..fitting.memory import SETTINGS, read_arguments
from ..inputs.defaults import default_seq
from ..inputs.effects import check_effects
from ..inputs.models import Source, load

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


def memory_form(
    model: Source, *, free: Iterable[str] = ("batch", "seq"), part: str = "peak", **settings: Any
) -> MemoryForm:
    """Compute the memory of ``memory`` as closed forms of the workload's sizes.

    The computation runs once with symbols. Wherever it depends on a comparison whose outcome is not the same for all
    sizes, the form has a guard, and other sizes get a form of their own when they first occur.

    >>> import llmcalc
    >>> form = llmcalc.memory_form("gpt2", mode="training")
    >>> form(batch=8, seq=1024) == llmcalc.memory("gpt2", mode="training", batch=8, seq=1024).peak
    True
    >>> print(form.pieces[0])
    max(901,844 × seq × batch + 1,742,157,312, 2,145,426,432) if seq ≤ 1,024

    Args:
        model: an architecture, or anything ``load`` reads.
        free: sizes that are arguments of the form: ``batch``, ``seq`` or ``target_seq``.
        part: value to compute: ``peak``, ``weights``, ``gradients``, ``optimizer``, ``activations`` or ``state``.
        settings: all other parameters of ``memory``.

    Raises:
        InputError: an unknown size or part, or settings that ``memory`` does not accept.
    """
    names, memory = read_texts(free, "free"), quantity("memory")
    for name in names:
        known_choice("size", name, tuple(FREE), "free")
        if name in settings:
            raise InputError("cannot be both fixed and free", parameter=name, hint="omit it")
    known_choice("part", part, tuple(memory.parts))
    known = {setting.name: setting.default for setting in SETTINGS}
    for name in settings.keys() - known.keys():
        raise TypeError(f"unexpected keyword argument {name!r}")
    given = read_arguments(known | settings)
    architecture = load(model)
    seq = default_seq(architecture) if given["seq"] is None else given["seq"]
    example = {name: size for name, size in {"batch": 1, "seq": seq, "target_seq": seq}.items() if name in names}
    check_effects(SETTINGS, given | example, architecture)
    own = {**given, "training": given["mode"] == "training"}
    found = MemoryForm(architecture, part, names, settings, memory.compiled(architecture, own, part, names))
    found(**example)  # checks settings that depend on each other
    return found
