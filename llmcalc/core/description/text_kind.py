"""Layer kinds defined in presets instead of Python.

A preset lists the fields, axes, tensors, equations and state of a kind. ``layer_class`` converts this
definition to a layer class. The layers can be declared, counted, compared and pickled like those of any other
kind.

>>> from llmcalc.core.description.text_definition import TextAxis, TextTensor
>>> kind = TextKind(
...     "low_rank",
...     fields=(TextField("d_model"), TextField("rank", default=2)),
...     axes=(TextAxis("d", "d_model"), TextAxis("rank", "rank")),
...     tensors=(TextTensor("left[d | rank]"), TextTensor("right[rank | d]")),
...     equations=("l[b q rank] = x[b q d] left[d rank]", "y[b q d] = l[b q rank] right[rank d]"),
... )
>>> layer_class(kind)(d_model=3).declare().axes
{'d': 3, 'rank': 2}
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from ..axes import GLOSSARY, WORKLOAD
from ..declaration import Declaration
from ..equation import read
from ..errors import SizeError, short_repr
from ..form import Form, symbol
from ..layer import Layer
from ..record import changed, record
from ..traits import Parallel, Roles
from .text_definition import TextField, TextKind, computation_order, evaluated, length_of, size_of, window_of
from .text_sizes import shrink_related, shrink_rules, width_multiple

if TYPE_CHECKING:
    from ..shrink import Sizes

MOST_TERMS = 10_000  # terms of the closed form of one equation


class TextLayer(Layer):
    """Base class for the layers of text kinds."""

    IS_TEXT: ClassVar[bool] = True
    definition: ClassVar[TextKind]
    derived: ClassVar[tuple[TextField, ...]]  # in the order in which they are computed

    def _complete(self) -> None:
        for field in self.derived:
            self.derive(**{field.name: size_of(f"field {field.name}", str(field.default), self.integers())})
        self.check_lengths(self.declare())

    @classmethod
    def kind(cls) -> str:
        """Return the name of the kind."""
        return cls.definition.name

    @classmethod
    def signature(cls) -> str:
        """Return the text that identifies the definition in a fingerprint, excluding descriptions and sources."""
        from .fingerprint import canonical

        return f"{cls.__name__}:{canonical(changed(cls.definition, description='', source=''))}"

    def integers(self) -> dict[str, int]:
        """Return the values of all integer fields that are set."""
        own = ((field.name, getattr(self, field.name)) for field in self.definition.fields if field.type == "int")
        return {name: value for name, value in own if value is not None}

    def declare(self) -> Declaration:
        """Return the axes, tensors, equations and state from the definition."""
        definition, sizes = self.definition, self.integers()
        declaration = Declaration({axis.symbol: length_of(axis, sizes) for axis in definition.axes})
        for tensor in definition.tensors:
            options = {name: value for name, value in vars(tensor).items() if name != "spec"}
            declaration.weights(tensor.spec, **options)
        declaration.equations(*definition.equations)
        for state in definition.states:
            declaration.state(state.spec, state.role)
        mask, width = definition.mask
        declaration.mask = f"{mask}:{size_of('the mask', width, sizes)}" if width else mask
        windows = {axis: window_of(length) for axis, length in declaration.axes.items() if mask and axis != "k"}
        declaration.masks = {axis: f"window:{declaration.axes.get(own, own)}" for axis, own in windows.items() if own}
        return declaration

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return small sizes for which all divisions in the definition are exact."""
        return shrink_related(self, sizes, small)

    def check_lengths(self, declaration: Declaration) -> None:
        """Check that every axis length can be evaluated and that closed forms do not have too many terms."""
        symbols: dict[str, Any] = {name: symbol(name) for name in WORKLOAD}
        symbols |= {axis: length for axis, length in declaration.axes.items() if isinstance(length, int)}
        lengths = {
            axis: evaluated(f"axis {axis}", length, symbols) if isinstance(length, str) else length
            for axis, length in declaration.axes.items()
        }
        terms = {axis: len(length.terms) for axis, length in lengths.items() if isinstance(length, Form)}
        for line in declaration.lines:
            if prod(terms.get(axis, 1) for axis in read(line).loops) > MOST_TERMS:
                raise SizeError(f"the closed form of {short_repr(line)} has too many terms", where=self.kind())

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.definition, tuple(getattr(self, name) for name in type(self).__match_args__))  # type: ignore[attr-defined]


@cache
def layer_class(definition: TextKind) -> type[TextLayer]:
    """Return the layer class for a definition."""
    types = {field.name: f"{field.type} | None" if field.is_derived else field.type for field in definition.fields}
    divided = {
        rule: " ".join(axis.symbol for axis in definition.axes if axis.shard == rule) for rule in vars(Parallel())
    }
    roles = {field.role for field in definition.fields if field.role}
    by_role = {role: " ".join(field.name for field in definition.fields if field.role == role) for role in roles}
    named, meanings = [axis for axis in definition.axes if axis.name], dict(GLOSSARY.values())
    optional = [field for field in definition.fields if field.default is not None]
    members = {
        "__annotations__": types,
        "__doc__": definition.description or f"Layer kind {definition.name}, defined in a preset.",
        "__module__": __name__,
        "definition": definition,
        "AXES": "\n".join(
            f"{axis.symbol}  {axis.name}  {axis.meaning or meanings.get(axis.name, axis.name)}" for axis in named
        ),
        "ROLES": Roles(**by_role),
        "SHRINK": shrink_rules(definition),
        "WIDTH_MULTIPLE": width_multiple(definition),
        "PARALLEL": Parallel(**divided),
        "IS_RECURRENT": any(state.role == "recurrent" for state in definition.states),
        "HAS_ORDER": any(state.role == "conv" for state in definition.states),
        "derived": computation_order(definition.fields),
        **{field.name: None if field.is_derived else field.default for field in optional},
    }
    return record(type(definition.name.title().replace("_", ""), (TextLayer,), members))


def _restore(definition: TextKind, values: tuple[Any, ...]) -> TextLayer:
    """Restore a layer from its pickled state."""
    return layer_class(definition)(*values)
