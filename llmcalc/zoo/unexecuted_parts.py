"""Modules that a text-only forward pass never runs, such as an audio codec. Only their tensors are declared.

One YAML file per ``model_type`` lists the modules, in ``zoo/<package>/unexecuted_parts/``:

    keys          config keys by type (``sizes``, ``flags``, ...); keys are read on first use
    choices       config keys with a fixed set of words that expressions can refer to
    words         additional words that expressions can refer to
    ignored       config keys that do not affect shapes
    functions     expressions with parameters, such as ``is_wide(level)``
    values        named expressions over keys and other values (core/expression.py, with ``FUNCTIONS``)
    checks        ``require`` (an expression that must be true) and ``error`` (the message if it is false)
    include       another file whose keys, values and modules are added
    modules       named groups of tensors with parameters, such as ``block(width)``
    parts         stacks of the architecture, named by the prefix of their tensors

In a part or a module, ``name: linear(width, 4 * width)`` declares a tensor or the tensors of a module.
``name: {...}`` adds a prefix. ``for i in count:`` and ``for i, item in list:`` repeat entries, and
``if value:`` makes them conditional. ``{i}`` in a name is replaced by its value. The name ``""`` adds no prefix.
"""

from __future__ import annotations

import math
import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from ..core.architecture import Named, Stack
from ..core.errors import InputError, SizeError, UnsupportedError, short_repr
from ..core.expression import evaluate
from ..core.layer import MOST_LAYERS
from ..data import read_table
from ..importers.hf.config import Config
from ..layers import Stored

AUDIO_CODEC_NOTE = "stored but not counted in FLOPs: the audio codec"
IMAGE_TOKENIZER_NOTE = "stored but not counted in FLOPs: the image tokenizer"
_ARITHMETIC = (TypeError, ValueError, IndexError, OverflowError, ZeroDivisionError)

TENSORS: dict[str, Callable[..., Stored]] = {
    "linear": lambda d_in, d_out, bias=True: Stored(d_out, d_in, bias=bool(bias)),
    "table": lambda rows, width: Stored(rows, width),
    "norm": lambda width, bias=True: Stored(width, bias=bool(bias)),
    "batch_norm": lambda width: Stored(width, bias=True, statistics=True),
    "conv1d": lambda d_in, d_out, taps, bias=True: Stored(d_out, d_in, taps, bias=bool(bias)),
    "conv_transpose1d": lambda d_in, d_out, taps, bias=True: Stored(
        d_out, d_in, taps, bias=bool(bias), transposed=True
    ),
    "weight_norm_conv1d": lambda d_in, d_out, taps: Stored(d_out, d_in, taps, bias=True, normed=True),
    "weight_norm_conv_transpose1d": lambda d_in, d_out, taps: Stored(
        d_out, d_in, taps, bias=True, transposed=True, normed=True
    ),
    "conv2d": lambda d_in, d_out, side: Stored(d_out, d_in, side=side, bias=True),
    "conv3d": lambda d_in, d_out, frames, side: Stored(d_out, d_in, side=side, frames=frames, bias=True),
    "parameter": lambda d_out, d_in=None, taps=None: Stored(d_out, d_in, taps, bare=True),
    "buffer": lambda d_out, d_in=None: Stored(d_out, d_in, bare=True, buffer=True),
}
MOST_TENSORS = 20_000  # of a part, which lists the tensors of each layer
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "floor": lambda value, divisor: int(value // divisor),
    "ceil": lambda value, divisor: -(-value // divisor),
    "quotient": lambda value, divisor: value / divisor,
    "whole": int,
    "power": pow,
    "log2": math.log2,
    "bits": lambda count: math.ceil(math.log2(count)),
    "product": math.prod,
    "len": len,
    "list": lambda *values: list(values),
    "item": lambda values, index: values[index],
    "last": lambda values: values[-1],
    "reversed": lambda values: values[::-1],
    "scaled": lambda values, factor: [factor * value for value in values],
    "prepend": lambda value, values: [value, *values],
    "contains": lambda values, value: value in values,
    "default": lambda value, otherwise: value or otherwise,
    "equal": lambda left, right: left == right,
    "both": lambda left, right: bool(left and right),
    "negated": lambda value: not value,
    "max": max,
    "select": lambda condition, value, otherwise: value if condition else otherwise,
}


def read_parts(config: Config, prefix: str) -> list[Stack]:
    """Return the unexecuted parts for the config's ``model_type``. All tensor names start with ``prefix``.

    Raises:
        UnsupportedError: No file lists the tensors of this ``model_type``.
        UnknownNameError: The config has an unknown key.
    """
    stacks = list_parts(config, prefix, config.model_type)
    config.check_all_read()
    return stacks


def list_parts(config: Config, prefix: str, name: str, **values: int) -> list[Stack]:
    """Return the parts listed in the file ``name``. Expressions in the file can also use ``values``."""
    try:
        parts = _PartReader(config, name, values).parts()
        return [_stack(f"{prefix}{part}", tensors) for part, tensors in parts]
    except InputError as error:
        raise error.at(config.where) from None
    except _ARITHMETIC as error:
        message = f"the sizes of {name} are inconsistent ({short_repr(str(error))})"
        raise config.size_error(message) from error


def _stack(name: str, tensors: list[Named]) -> Stack:
    widths = (layer.d_out for _, layer in tensors if isinstance(layer, Stored))
    return Stack(name, next(widths, 1), (), (), tuple(tensors), "tower", unused=True)


@cache
def _file(name: str) -> dict[str, Any]:
    if name.isidentifier():
        for file in Path(__file__).parent.glob(f"*/unexecuted_parts/{name}.*"):
            return read_table(file.with_suffix(""))
    raise UnsupportedError(f"modules of type {short_repr(name)} are not supported")


class _Values(dict[str, Any]):
    """Named values, computed on first use by reading a config key or evaluating an expression."""

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if isinstance(value, partial):
            value = self[name] = value()
        return value


class _PartReader:
    """Evaluator of a parts file for one config."""

    def __init__(self, config: Config, name: str, values: Mapping[str, int]) -> None:
        self.config, self.data, self.values = config, _file(name), _Values(no_bias=False)
        self.functions: dict[str, Callable[..., Any]] = {**FUNCTIONS, **TENSORS}
        self._add(self.data)
        self.values |= values

    def _add(self, data: Mapping[str, Any]) -> None:
        config = self.config
        readers: dict[str, Callable[[str], Any]] = {
            "sizes": config.size,
            "optional_sizes": config.optional_size,
            "counts": config.count,
            "flags": config.flag,
            "numbers": config.number,
            "size_lists": config.sizes,
            "count_lists": config.layer_indices,
            "unchecked": config.get,
        }
        if "include" in data:
            self._add(_file(data["include"]))
        self.values |= {word: word for word in data.get("words", "").split()}
        for key, words in data.get("choices", {}).items():
            self.values |= {word: word for word in words} | {key: partial(config.one_of, key, *words)}
        for kind, keys in data.get("keys", {}).items():
            self.values |= {key: partial(readers[kind], key) for key in keys.split()}
        for name, text in data.get("values", {}).items():
            self.values[name] = partial(self._value, str(text), self.values)
        for signature, body in {**data.get("functions", {}), **data.get("modules", {})}.items():
            name, _, parameters = signature.rstrip(")").partition("(")
            self.functions[name] = partial(self._call, body, parameters.split(", "))
        config.ignore(data.get("ignored", ""))

    def parts(self) -> Iterator[tuple[str, list[Named]]]:
        """Yield the name and the tensors of each part."""
        for check in self.data.get("checks", []):
            if not self._value(check["require"], self.values):
                raise SizeError(self._fill(check["error"], self.values))
        for name, body in self.data["parts"].items():
            tensors = list(islice(self._tensors({"": body}, ChainMap({}, self.values)), MOST_TENSORS + 1))
            if len(tensors) > MOST_TENSORS:
                raise SizeError(f"{name} has more than {MOST_TENSORS:,} tensors")
            yield name, tensors

    def _call(self, body: Any, parameters: list[str], *arguments: Any) -> Any:
        names = ChainMap(dict(zip(parameters, arguments, strict=True)), self.values)
        return self._value(body, names) if isinstance(body, str) else list(self._tensors(body, names))

    def _tensors(self, body: Mapping[str, Any], names: ChainMap[str, Any]) -> Iterator[Named]:
        for key, content in body.items():
            word, _, rest = key.partition(" ")
            if word == "for":
                variables, _, text = rest.partition(" in ")
                for values in self._items(self._value(text, names)):
                    inner = names.new_child(dict(zip(variables.split(", "), values, strict=True)))
                    yield from self._tensors(content, inner)
            elif word == "if":
                if self._value(rest, names):
                    yield from self._tensors(content, names)
            else:
                name = self._fill(key, names)
                result = self._value(content, names) if isinstance(content, str) else self._tensors(content, names)
                if isinstance(result, Stored):
                    yield Named(name, result)
                else:
                    prefix = f"{name}." if name else ""
                    yield from (Named(f"{prefix}{part}", layer) for part, layer in result)

    def _items(self, values: Any) -> Iterator[tuple[Any, ...]]:
        count = values if isinstance(values, int) else len(values)
        if count > MOST_LAYERS:
            raise SizeError(f"{count:,} repeated modules exceed the limit of {MOST_LAYERS:,}")
        yield from ((index,) for index in range(values)) if isinstance(values, int) else enumerate(values)

    def _value(self, text: str, names: MutableMapping[str, Any]) -> Any:
        return evaluate(text, names, self.functions)

    def _fill(self, text: str, names: MutableMapping[str, Any]) -> str:
        """Return ``text`` with every ``{expression}`` replaced by its value."""
        return re.sub(r"\{(.+?)\}", lambda match: str(self._value(match[1], names)), text)
