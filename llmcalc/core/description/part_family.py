"""Classes of parts that are imported on first use, so that a layer kind only loads the options that a model has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib import import_module

from ..type_names import TYPE_CHECKING, overload
from ..zoo_search import find_module, module_names

if TYPE_CHECKING:
    from ..part import Part


class PartFamily(Sequence["type[Part]"]):
    """The parts in the modules of a folder under ``layers/`` and in folders of the same name in the zoo.

    >>> [part.kind() for part in PartFamily("parts", "gate")]
    ['gate']

    Args:
        folder: name of the folder.
        names: modules to include (default: all modules of the folder). A module such as ``multipliers`` that defines
            several parts is named with the class, as in ``multipliers.MlpMultipliers``.
    """

    def __init__(self, folder: str, *names: str) -> None:
        self.folder = folder
        self.names = names

    @cached_property
    def classes(self) -> tuple[type[Part], ...]:
        """The classes, in the order of the modules. A module defines one part with the name of the module."""
        return tuple(map(self._load, self.names or module_names(self.folder, "layers")))

    def _load(self, name: str) -> type[Part]:
        place, _, wanted = name.partition(".")
        module = import_module(find_module(self.folder, place, "layers") or place)
        wanted = wanted.lower() or place.replace("_", "")
        found: type[Part] = next(value for key, value in vars(module).items() if key.lower() == wanted)
        return found

    def __len__(self) -> int:
        return len(self.names or module_names(self.folder, "layers"))

    def __contains__(self, cls: object) -> bool:
        return cls in self.classes

    @overload
    def __getitem__(self, index: int) -> type[Part]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[type[Part], ...]: ...
    def __getitem__(self, index: int | slice) -> type[Part] | tuple[type[Part], ...]:
        return self.classes[index]
