"""Memory as closed forms of the workload's sizes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..analysis.memory_form import FREE, MemoryForm, compile_memory
from ..core.errors import InputError
from ..core.setting import known_choice, read_texts
from ..inputs.models import Source

if TYPE_CHECKING:
    from typing import Unpack

    from ..inputs.typed_settings import MemoryFormSettings


def memory_form(
    model: Source, *, free: Iterable[str] = ("batch", "seq"), part: str = "peak", **settings: Unpack[MemoryFormSettings]
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
    names = read_texts(free, "free")
    for name in names:
        known_choice("size", name, tuple(FREE), "free")
        if name in settings:
            raise InputError("cannot be both fixed and free", parameter=name, hint="omit it")
    return compile_memory(model, names, part, {**settings})
