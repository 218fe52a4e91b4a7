"""Quantisation method read from a config, and typed access to config keys and module lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ...core.errors import DescriptionError, UnsupportedError, short_repr
from ...core.record import NamedTuple
from .packing import PackedTensor, Packing, Shape

WHERE = "quantization_config"
LONGEST_PATTERN = 300
MOST_PATTERNS = 20_000
MOST_REPETITIONS = 4
LARGEST, MOST_BITS = 1 << 20, 32
_FLOATS = ("BF16", "F16", "F32")
# Regular expressions run on names of some hundred characters; expressions that might run long are rejected.
_ALLOWED = r"[\w.^$|()\[\]\\*+?:-]+"
_REPEATED_GROUP = r"\)[*+{]|[*+?][*+]|\{"
_ANY_BLOCK = r"re:(?:[A-Za-z_^$|()-]|\\\.|\.\*)*|(?!re:)[A-Za-z_.*-]*"  # patterns that name no block number


class Matrix(NamedTuple):
    """A stored matrix, its module and shape, and properties of the layer that contains the matrix."""

    module: str
    shape: Shape  # [out, in], or [experts, out, in]
    is_head: bool = False
    is_stacked: bool = False  # whether it holds all experts of a layer
    is_one_module: bool = False  # whether these are the weight of one module (Granite)
    is_routed: bool = False  # whether it belongs to routed experts
    in_tower: bool = False  # whether it belongs to an encoder of images or audio
    is_table: bool = False  # whether it is an embedding table
    is_router: bool = False


class ModuleOverride(NamedTuple):
    """A packing that overrides the default for matching modules, or None if these modules are not quantised."""

    matches: Callable[[str], object]
    packing: Packing | None


class Quantisation(NamedTuple):
    """A quantisation method read from a config."""

    name: str  # shown in results, such as ``gptq int4 g128``
    packing: Packing | None  # storage of a matrix [out, in]; None: only modules in ``overrides`` are quantised
    is_excluded: Callable[[str], bool] = lambda _: False  # whether the config excludes a module
    overrides: tuple[ModuleOverride, ...] = ()  # the first match applies
    includes_head: bool = False  # applies to modules that are not excluded
    includes_tables: bool = False
    includes_routers: bool = False
    includes_stacked: bool = False  # whether stacked experts are quantised as well
    stacked_only: bool = False  # whether only stacked experts are quantised (MXFP4)
    row_multiple: int = 1  # matrices whose number of inputs is not a multiple are not quantised
    lists_experts: bool = False  # whether the config may list single experts of a layer
    text_only: bool = False  # whether the method is in the language model's config
    includes_routed: bool = True  # packing of routed experts that are stored separately
    expert_packing: Packing | None = None  # packing of routed experts, if different
    tile: Shape | None = None  # outputs and inputs of a matrix that share a scale
    expert_name: str = ""  # name of the packing of routed experts, if different
    is_tested: bool = True  # whether the packing was compared with the output of the tool that defines it
    unknown_keys: tuple[str, ...] = ()  # unread keys that may change what is stored
    patterns: Collection[str] | None = None  # names and patterns of modules in the config, or None if unknown

    @property
    def names_blocks(self) -> bool:
        """Whether the packing of a matrix may depend on the number of its block."""
        return self.patterns is None or not all(re.fullmatch(_ANY_BLOCK, pattern) for pattern in self.patterns)

    def tensors(self, matrix: Matrix) -> list[PackedTensor] | None:
        """Return the tensors that store a matrix, or None if the matrix is not quantised."""
        packing = self.packing_of(matrix)
        return None if packing is None else packing(*matrix.shape)

    def packing_of(self, matrix: Matrix) -> Packing | None:
        """Return the packing of a matrix, or None if the matrix is not quantised."""
        if self.is_excluded(matrix.module) or (matrix.is_head and not self.includes_head):
            return None
        if (matrix.is_table and not self.includes_tables) or (matrix.is_router and not self.includes_routers):
            return None
        is_stored_otherwise = self.stacked_only != matrix.is_stacked or matrix.is_one_module
        if (
            (is_stored_otherwise and not self.includes_stacked)
            or (matrix.in_tower and self.text_only)
            or matrix.shape[-1] % self.row_multiple
        ):
            return None
        if matrix.is_routed and not self.includes_routed:
            return None
        packing = self.expert_packing if matrix.is_routed and self.expert_packing else self.packing
        return next((override.packing for override in self.overrides if override.matches(matrix.module)), packing)


class QuantizationConfig(dict[str, Any]):
    """A ``quantization_config`` that records which keys were read."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.read = {"quant_method", "producer", "transformers_version"}

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key and mark the key as read."""
        self.read.add(key)
        return super().get(key, default)


def scale_type(dtype: str) -> str:
    """Return the data type of scales, which is ``dtype`` if it is a supported float type and BF16 otherwise."""
    return dtype if dtype in _FLOATS else "BF16"


def check_known(data: Mapping[str, Any], key: str, known: tuple[str, ...]) -> None:
    """Check that the value of a key, if present, is supported."""
    value = data.get(key)
    if value is not None and value not in known:
        raise unsupported(f"{key} {short_repr(value)} is not supported; use {' or '.join(known)}")


def strings(data: Mapping[str, Any], key: str) -> list[str]:
    """Return the list of strings under a key, or an empty list if the key is missing."""
    value = data.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DescriptionError(f"{key} must be a list of strings, not {short_repr(value)}", where=WHERE)
    return list(value)


def integer(data: Mapping[str, Any], key: str, default: int) -> int:
    """Return the value of a key as a positive integer or -1."""
    value = data.get(key)
    if value is None:
        return default
    if type(value) is not int or not (value == -1 or 1 <= value <= LARGEST):
        raise DescriptionError(f"{key} must be a positive integer or -1, not {short_repr(value)}", where=WHERE)
    return value


def bit_width(data: Mapping[str, Any], key: str, default: int) -> int:
    """Return the number of bits per element specified by a key."""
    value = integer(data, key, default)
    if not 1 <= value <= MOST_BITS:
        raise DescriptionError(f"{key} must be from 1 to {MOST_BITS}, not {short_repr(value)}", where=WHERE)
    return value


def integer_pair(value: Any, key: str) -> tuple[int, int]:
    """Check that a value is a pair of positive integers, and return the pair."""
    is_pair = isinstance(value, list) and len(value) == 2 and all(type(item) is int for item in value)
    if not is_pair or not all(0 < item <= LARGEST for item in value):
        raise DescriptionError(f"{key} must be a list of two positive integers, not {short_repr(value)}", where=WHERE)
    return value[0], value[1]


def mapping(value: Any, key: str) -> Mapping[str, Any]:
    """Check that a value is a mapping with string keys, and return the mapping."""
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise DescriptionError(f"{key} must map names to settings, not {short_repr(value)}", where=WHERE)
    return value


def is_from_transformers_5(data: Mapping[str, Any]) -> bool:
    """Return whether transformers 5 or later wrote the config. These versions stack the experts of a layer."""
    version = data.get("transformers_version")
    major = version.partition(".")[0] if isinstance(version, str) else ""
    return major.isdecimal() and len(major) < 4 and int(major) >= 5


def unsupported(message: str) -> UnsupportedError:
    """Return the error for an unsupported quantisation variant."""
    return UnsupportedError(message, where=WHERE)


def is_listed(module: str, names: list[str]) -> bool:
    """Return whether a listed name matches consecutive components of a module name."""
    framed = f".{module}."
    return any(f".{name.strip('.')}." in framed for name in names if name)


def in_modules(names: Collection[str]) -> Callable[[str], bool]:
    """Return a function that checks in constant time whether ``names`` contains a module or one of its parents."""
    known = frozenset(names)

    def matches(module: str) -> bool:
        while module:
            if module in known:
                return True
            module = module.rpartition(".")[0]
        return False

    return matches


def pattern_matcher(patterns: list[str], anywhere: bool = False) -> Callable[[str], bool]:
    """Return a function that matches a module and its parents against names, ``*`` patterns and ``re:`` expressions.
    With ``anywhere``, a name may also match the last component of a module name (``lm_head``).
    """
    if len(patterns) > MOST_PATTERNS or any(len(pattern) > LONGEST_PATTERN for pattern in patterns):
        raise DescriptionError("a module list exceeds the size limit", where=WHERE)
    expressions = [safe_expression(pattern[3:]) for pattern in patterns if pattern.startswith("re:")]
    plain = {pattern for pattern in patterns if not pattern.startswith("re:")}
    prefixes = {pattern[:-1] for pattern in plain if pattern.endswith("*") and "*" not in pattern[:-1]}
    prefixes |= {f"{pattern}." for pattern in plain if "*" not in pattern}
    names = {pattern for pattern in plain if "*" not in pattern}
    wildcards = [pattern for pattern in plain if "*" in pattern[:-1]]
    if wildcards:
        from fnmatch import translate  # most configs have no such patterns

        expressions += [translate(name) for pattern in wildcards for name in (pattern, f"{pattern}.*")]
    compiled = [re.compile(expression) for expression in expressions]
    lengths = sorted({len(prefix) for prefix in prefixes})

    def matches(module: str) -> bool:
        if anywhere and module.rpartition(".")[2] in names:
            return True
        if module in names or any(module[:length] in prefixes for length in lengths):
            return True
        return any(pattern.match(module) for pattern in compiled)

    return matches


def safe_expression(text: str) -> str:
    """Validate a regular expression and return its text. Repeated groups are rejected to bound the running time."""
    repetitions = text.count("*") + text.count("+")
    if not re.fullmatch(_ALLOWED, text) or re.search(_REPEATED_GROUP, text) or repetitions > MOST_REPETITIONS:
        raise unsupported(f"unsupported regular expression {short_repr(text)}")
    try:
        re.compile(text)
    except re.error as error:
        raise DescriptionError(f"invalid regular expression {short_repr(text)}: {error}", where=WHERE) from None
    return text
