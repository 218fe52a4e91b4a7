"""Construction of architectures from plain data.

    stacks:
      decoder:
        d_model: 768
        norms: {pre: {layernorm: {}}}                    # the default for all sub-layers
        inputs: {token: {embedding: {rows: 50257, share: token_embedding}}}
        blocks:
          block:
            attention: {mha: {n_heads: 12}}              # a sub-layer with one or more parallel layers
            mlp: {mlp: {d_ff: 3072}}
        order: [block * 12]
        outputs: {norm: {layernorm: {}}, head: {head: {vocab: 50257, share: token_embedding}}}

A layer's ``d_model`` defaults to the width of its stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager

from .. import layers
from ..core.architecture import PREDICTION, Block, Branch, Named, Run, Stack, Sublayer
from ..core.errors import DescriptionError, InputError, SizeError, UnknownNameError, nearest, short_repr
from ..core.expression import evaluate
from ..core.layer import LARGEST_SIZE, Layer, is_integer, is_number
from ..core.layer_history import with_n_sums
from ..core.record import MISSING, fields
from ..core.type_names import Any
from .order import names_in_order, read_order
from .plain_data import changed_errors, mapping_at

Path = tuple[Any, ...]
Fail = Callable[[InputError, Path], InputError]

STACK_NUMBERS = {"patch": 1, "extra_patches": 0}
STACK_FLAGS = ("frozen", "unused", "reversible", "replaces_placeholder_tokens")
_PARTS = ("norms", "inputs", "blocks", "order", "outputs")
STACK_KEYS = ("d_model", "role", "tokens", *STACK_NUMBERS, *STACK_FLAGS, *_PARTS)
SUMS = ("scale", "residual_scale")  # scale factors of the output and the residual
FLAGS = {"residual": True, "residual_normed": False, "depth_scaled": False, "concat_input": False}
TEXTS = ("share", "input_from", "residual_from")
SUM_KEYS = (*FLAGS, *SUMS, *TEXTS)
SUBLAYER_KEYS = ("norms", "branches", *SUM_KEYS)  # all other keys are layer kinds
NORM_PLACES = ("pre", "post", "after", "each", "each_post")
BRANCH_NORMS = ("pre", "post")
BRANCH_KEYS = (*BRANCH_NORMS, "joins")
_STACK_TO_SUBLAYER = len(("blocks", "block", "sublayer"))  # keys between a stack's path and a sub-layer's path
ROLES = {"encoder": "encoder", "decoder": "decoder"}
ROLE_NAMES = (*ROLES, "auxiliary", "tower", PREDICTION)


class Builder:
    """Builds stacks from plain data.

    ``fail`` adds key paths to errors, ``kinds`` contains the layer kinds that the preset defines, and ``known`` keeps
    the layers by their descriptions.
    """

    def __init__(
        self, fail: Fail, kinds: Mapping[str, type[Layer]] | None = None, known: dict[Any, Layer] | None = None
    ) -> None:
        self.fail, self.kinds = fail, kinds or {}
        self.known: dict[Any, Layer] = {} if known is None else known

    def stacks(self, data: Any, path: Path) -> tuple[Stack, ...]:
        """Return all stacks in execution order."""
        self.mapping(data, path, "stacks")
        if not data:
            raise self.error("an architecture must have at least one stack", path)
        return tuple(self.stack(name, value, (*path, name)) for name, value in data.items())

    def stack(self, name: str, data: Any, path: Path) -> Stack:
        """Return one stack with its inputs, blocks and outputs."""
        data = self.mapping(data, path, "a stack", STACK_KEYS)
        width = self.require(data, "d_model", path)
        if not is_integer(width) or width < 1:
            raise self.wrong("d_model", "a positive integer", width, path, SizeError)
        role = data.get("role", ROLES.get(name, "decoder"))
        if role not in ROLE_NAMES:
            raise self.wrong("role", f"one of {', '.join(ROLE_NAMES)}", role, path)
        tokens = self.tokens(data.get("tokens", ""), role, (*path, "tokens"))
        norms = mapping_at(data, "norms")
        blocks = {
            key: self.block(key, value, width, norms, (*path, "blocks", key))
            for key, value in self.stated(mapping_at(data, "blocks"), (*path, "blocks"), "blocks").items()
        }
        built = Stack(
            name,
            width,
            self.named_layers(mapping_at(data, "inputs"), width, (*path, "inputs")),
            self.runs([] if data.get("order") is None else data["order"], blocks, (*path, "order")),
            self.named_layers(mapping_at(data, "outputs"), width, (*path, "outputs")),
            role,
            tokens,
            **self.stack_options(data, path),
        )
        return with_n_sums(built)

    def stack_options(self, data: Any, path: Path) -> dict[str, Any]:
        """Return the patch settings and flags of a stack."""
        found = {key: data[key] for key in (*STACK_NUMBERS, *STACK_FLAGS) if data.get(key) is not None}
        for key, value in found.items():
            least = STACK_NUMBERS.get(key)
            if least is None and type(value) is not bool:
                raise self.wrong(key, "true or false", value, path)
            if least is not None and (not is_integer(value) or not least <= value <= LARGEST_SIZE):
                raise self.wrong(key, f"an integer of at least {least}", value, path, SizeError)
        return found

    def tokens(self, text: Any, role: str, path: Path) -> str:
        """Return the token count of an encoder as an expression in ``a`` (audio frames) or ``p`` (patches)."""
        if not isinstance(text, str) or (text and role != "tower"):
            raise self.wrong("tokens", "an expression of a or p in a tower stack", text, path[:-1])
        if text:
            from ..core.form import FUNCTIONS, symbol

            with self.located(path):
                evaluate(text, {name: symbol(name) for name in "ap"}, FUNCTIONS)
        return text

    def runs(self, data: Any, blocks: Mapping[str, Block], path: Path) -> tuple[Run, ...]:
        """Return the block order as runs of equal blocks."""
        with self.located(path):
            order = read_order(data, blocks)
        unused = set(blocks) - names_in_order(data)
        if unused:
            raise self.error(f"block {sorted(unused)[0]!r} does not appear in the order", path)
        if data and not order:
            raise self.error("the order has 0 layers; omit it if the stack has no blocks", path, SizeError)
        runs = {item: Run(blocks[item[0]], *item[1:]) for item in set(order)}
        return tuple(map(runs.__getitem__, order))

    def named_layers(self, data: Any, width: int, path: Path) -> tuple[Named, ...]:
        """Return the layers described by ``name: {kind: {fields}}``."""
        given = self.stated(data, path, "the layers")
        return tuple(Named(key, self.single_layer(value, width, (*path, key))) for key, value in given.items())

    def block(self, name: str, data: Any, width: int, norms: Any, path: Path) -> Block:
        """Return a block with its sub-layers in order."""
        given = self.stated(data, path, "a block")
        found = tuple(self.sublayer(key, value, width, norms, (*path, key)) for key, value in given.items())
        with self.located(path):
            return Block(name, found)

    def sublayer(self, name: str, data: Any, width: int, norms: Any, path: Path) -> Sublayer:
        """Return a sub-layer with its norms and a single layer, parallel layers or named branches."""
        self.mapping(data, path, "a sub-layer")
        around, where = (data["norms"], path) if "norms" in data else (norms, path[:-_STACK_TO_SUBLAYER])
        places = {
            place: self.single_layer(value, width, (*where, "norms", place))
            for place, value in self.stated(around, (*where, "norms"), "norms", NORM_PLACES).items()
        }
        kinds = {key: value for key, value in data.items() if key not in SUBLAYER_KEYS}
        named = self.mapping(mapping_at(data, "branches"), (*path, "branches"), "branches")
        if bool(kinds) == bool(named):
            raise self.error("a sub-layer must have either layer kinds or branches", path)
        single = len(kinds) == 1
        each = (places.get("each"), places.get("each_post"))
        branches = tuple(
            Branch(name if single else kind, self.layer(kind, value, width, (*path, kind)), *each)
            for kind, value in kinds.items()
        ) + tuple(self.branch(key, value, width, (*path, "branches", key)) for key, value in named.items())
        sums: dict[str, Any] = {}
        for key, usual in {**FLAGS, **dict.fromkeys(SUMS, 1.0)}.items():
            sums[key] = value = data.get(key, usual)
            if not is_number(value) if key in SUMS else type(value) is not bool:
                raise self.wrong(key, "a finite number" if key in SUMS else "true or false", value, path)
        sums |= {key: self.string(data, key, path) for key in TEXTS} | {key: float(sums[key]) for key in SUMS}
        return Sublayer(name, branches, places.get("pre"), places.get("post"), places.get("after"), **sums)

    def branch(self, name: str, data: Any, width: int, path: Path) -> Branch:
        """Return a named branch with one layer and optional ``pre`` and ``post`` norms."""
        self.mapping(data, path, "a branch")
        norms = {
            key: self.single_layer(data[key], width, (*path, key)) for key in BRANCH_NORMS if data.get(key) is not None
        }
        layer = self.single_layer({key: value for key, value in data.items() if key not in BRANCH_KEYS}, width, path)
        return Branch(name, layer, norms.get("pre"), norms.get("post"), self.string(data, "joins", path))

    def single_layer(self, data: Any, width: int, path: Path) -> Layer:
        """Return the layer described by ``{kind: {fields}}``."""
        self.mapping(data, path, "a layer")
        if len(data) != 1:
            raise self.error(f"expected one layer kind such as {{rmsnorm: {{}}}}, found {len(data)}", path)
        kind, values = next(iter(data.items()))
        return self.layer(kind, values, width, (*path, kind))

    def layer(self, kind: str, values: Any, width: int, path: Path) -> Layer:
        """Return a layer with the given kind and fields. Layers with the same description are built once."""
        try:
            key = kind, width, _frozen(values)
            known = self.known.get(key)
        except TypeError:  # not plain data; building the layer raises an error that names the value
            return self._layer(kind, values, width, path)
        if known is None:
            known = self.known[key] = self._layer(kind, values, width, path)
        return known

    def _layer(self, kind: str, values: Any, width: int, path: Path) -> Layer:
        try:
            found, fixed = (self.kinds[kind], {}) if kind in self.kinds else layers.find(kind)
        except UnknownNameError:
            known = [*self.kinds, *layers.kinds(), *layers.ALIASES]
            raise self.fail(UnknownNameError("layer kind", kind, known), path) from None
        known = [entry.name for entry in fields(found)]
        given = self.mapping({} if values is None else values, path, f"the fields of {kind}")
        for key in given:
            if key not in known and key not in found.SHORT_FORMS:
                similar = known if nearest(str(key), known) else _fields_of_parts(found)
                raise self.fail(UnknownNameError(f"{kind} field", key, similar), (*path, key))
        everything = _without_short_forms(
            found, {**({"d_model": width} if "d_model" in known else {}), **fixed, **given}
        )
        required = [entry.name for entry in fields(found) if entry.default is MISSING]
        missing = [name for name in required if name not in everything]
        if missing:
            message = f"{kind} requires {' and '.join(missing)}"
            raise self.fail(DescriptionError(message, hint=_described(found, missing)), path)
        try:
            return found(**everything)
        except InputError as error:
            inner, error.path = error.path or (error.field,), None
            raise self.fail(error, (*path, *inner) if error.field in given else path) from None

    def located(self, path: Path) -> AbstractContextManager[None]:
        """Return a context in which errors get a key path."""
        return changed_errors(lambda error: self.fail(error, path))

    def mapping(self, data: Any, path: Path, what: str, keys: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return ``data`` after checking that it is a mapping with known keys."""
        if not isinstance(data, dict):
            raise self.error(f"{what} must be a mapping, not {short_repr(data)}", path)
        for key in data:
            if keys and key not in keys:
                raise self.fail(UnknownNameError(f"key of {what}", key, keys), (*path, key))
        return data

    def stated(self, data: Any, path: Path, what: str, keys: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return a mapping with known keys, without those that are null."""
        return {key: value for key, value in self.mapping(data, path, what, keys).items() if value is not None}

    def string(self, data: Mapping[str, Any], key: str, path: Path) -> str:
        """Return the string at a key, or an empty string if the key is missing."""
        found = data.get(key, "")
        if not isinstance(found, str):
            raise self.wrong(key, "a string", found, path)
        return found

    def require(self, data: Mapping[str, Any], key: str, path: Path) -> Any:
        """Return the value of a required key."""
        if data.get(key) is None:
            raise self.error(f"{(path[-1] if path else 'the description')} requires {key}", path)
        return data[key]

    def wrong(
        self, key: str, wanted: str, value: object, path: Path, kind: type[InputError] = DescriptionError
    ) -> InputError:
        """Return an error for an invalid value at a key."""
        return self.fail(kind(f"{key} must be {wanted}, not {short_repr(value)}"), (*path, key))

    def error(self, message: str, path: Path, kind: type[InputError] = DescriptionError) -> InputError:
        """Return an error located at a key path."""
        return self.fail(kind(message), path)


def _without_short_forms(kind: type[Layer], given: dict[str, Any]) -> dict[str, Any]:
    """Return fields with short forms such as ``positions: rope`` replaced by the fields that hold the parts."""
    found = {key: value for key, value in given.items() if key not in kind.SHORT_FORMS}
    for short, (field, part) in kind.SHORT_FORMS.items():
        if short in given:
            is_part = given[short] == part
            found[field] = None if is_part else given[short]
            found[part] = (found.get(part) or True) if is_part else None
    return found


def _fields_of_parts(kind: type[Layer]) -> list[str]:
    """Return the paths of fields of parts, such as ``rope.theta``, for suggestions."""
    parts = ((name, choice) for name, choices in kind.PARTS.items() for choice in choices if len(choices) == 1)
    return [f"{name}.{entry.name}" for name, choice in parts for entry in fields(choice)]


def _frozen(value: Any) -> Any:
    """Return plain data as a key, in which numbers of different types differ."""
    if isinstance(value, dict):
        return tuple([(key, _frozen(item)) for key, item in value.items()])
    if isinstance(value, list):
        return (list, *map(_frozen, value))
    return type(value), repr(value) if type(value) is float else value


def _described(kind: type, names: Iterable[str]) -> str:
    """Return the descriptions of fields, such as ``d_ff: hidden width``."""
    from .field_descriptions import field_descriptions  # imports inspect, which is slow

    known = field_descriptions(kind)
    return "; ".join(f"{name}: {known[name].rstrip('.')}" for name in names if name in known)
