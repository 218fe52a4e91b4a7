"""A method of quantisation as it is read from a config, and how its keys are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...core.errors import DescriptionError, UnsupportedError, shown
from ..packing import Part, Shape
from .module_patterns import WHERE

LARGEST, WIDEST = 1 << 20, 32
Pack = Callable[..., list[Part]]
_FLOATS = ("BF16", "F16", "F32")


class Matrix(NamedTuple):
    """A stored matrix: the module it belongs to, its shape, and whether it is the head, all experts of a layer in one
    (3-D), one of a routed expert, or of a tower beside the language model.
    """

    module: str
    shape: Shape
    head: bool = False
    experts: bool = False
    routed: bool = False
    tower: bool = False


class Own(NamedTuple):
    """Modules that are stored in a way of their own; without a ``pack``, as they were."""

    holds: Callable[[str], object]
    pack: Pack | None


def nothing(_: str) -> bool:
    """No module is named."""
    return False


class Quantisation(NamedTuple):
    """A method, as read from a config.

    Attributes:
        name: what the choice is called.
        pack: the tensors that a matrix [out, in] becomes; None: only those are quantised that ``own`` names.
        left: whether a module is named as one that stays.
        own: modules with a way of their own; the first that holds counts.
        head: whether the head is quantised unless it is named.
        experts_only: of 3-D experts alone (MXFP4).
        apart: the lists may name one expert of a layer and not another.
        language: of the language model alone, whose config it stands in.
        routed: whether experts that are stored one by one are quantised.
        pack_experts: what a matrix of a routed expert becomes, if it is something else.
        compared: whether its packing was compared with what the maker's tools write.
        unread: keys of the config that nobody read, and that are not known to change nothing.
    """

    name: str
    pack: Pack | None
    left: Callable[[str], bool] = nothing
    own: tuple[Own, ...] = ()
    head: bool = False
    experts_only: bool = False
    apart: bool = False
    language: bool = False
    routed: bool = True
    pack_experts: Pack | None = None
    compared: bool = True
    unread: tuple[str, ...] = ()

    def parts(self, matrix: Matrix) -> list[Part] | None:
        """What a matrix is stored as; None: as it was."""
        if self.left(matrix.module) or (matrix.head and not self.head) or self.experts_only != matrix.experts:
            return None
        if (matrix.tower and self.language) or (matrix.routed and not self.routed):
            return None
        pack = self.pack_experts if matrix.routed and self.pack_experts else self.pack
        pack = next((own.pack for own in self.own if own.holds(matrix.module)), pack)
        return None if pack is None else pack(*matrix.shape)


class Told(dict[str, Any]):
    """The keys of a config, which remembers which of them were asked for."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.read = {"quant_method", "producer", "transformers_version"}

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, which counts as read."""
        self.read.add(key)
        return super().get(key, default)


def scale_type(dtype: str) -> str:
    """The type of scales that follow the checkpoint's own."""
    return dtype if dtype in _FLOATS else "BF16"


def only(data: Mapping[str, Any], key: str, known: tuple[str, ...]) -> None:
    """Refuse a value that is not among those whose meaning is known."""
    value = data.get(key)
    if value is not None and value not in known:
        raise UnsupportedError(f"{key} {shown(value)} is not understood; {' and '.join(known)} are", where=WHERE)


def texts(data: Mapping[str, Any], key: str) -> list[str]:
    """A list of texts; none if it is left out."""
    value = data.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise DescriptionError(f"{key} is {shown(value)}; it is a list of texts", where=WHERE)
    return list(value)


def number(data: Mapping[str, Any], key: str, default: int) -> int:
    """A positive whole number, or -1."""
    value = data.get(key)
    if value is None:
        return default
    if type(value) is not int or not (value == -1 or 1 <= value <= LARGEST):
        raise DescriptionError(f"{key} is {shown(value)}; it is a positive whole number or -1", where=WHERE)
    return value


def width(data: Mapping[str, Any], key: str, default: int) -> int:
    """The bits of a number."""
    value = number(data, key, default)
    if not 1 <= value <= WIDEST:
        raise DescriptionError(f"{key} is {shown(value)}; it is from 1 to {WIDEST}", where=WHERE)
    return value


def pair(value: Any, key: str) -> tuple[int, int]:
    """Two positive whole numbers."""
    whole = isinstance(value, list) and len(value) == 2 and all(type(one) is int for one in value)
    if not whole or not all(0 < one <= LARGEST for one in value):
        raise DescriptionError(f"{key} is {shown(value)}; it is two positive whole numbers", where=WHERE)
    return value[0], value[1]


def mapping(value: Any, key: str) -> Mapping[str, Any]:
    """A mapping whose keys are texts."""
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value):
        raise DescriptionError(f"{key} is {shown(value)}; it maps names to settings", where=WHERE)
    return value


def rewritten(data: Mapping[str, Any]) -> bool:
    """Whether transformers 5 or later wrote the config, which keeps the experts of a layer in one tensor."""
    version = data.get("transformers_version")
    major = version.partition(".")[0] if isinstance(version, str) else ""
    return major.isdecimal() and len(major) < 4 and int(major) >= 5
