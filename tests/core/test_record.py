"""Records behave like frozen dataclasses."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any, ClassVar

import pytest

from llmcalc.core.record import MISSING, NamedTuple, fields, forget, is_record, record, remembered


@record
class Point:
    WORDS: ClassVar[tuple[str, ...]] = ("a",)
    x: int
    y: int = 7


@record
class Named(Point):
    name: str = "p"


@dataclasses.dataclass(frozen=True)
class Standard:
    x: int
    y: int = 7


def test_values_by_place_and_by_name_are_the_same() -> None:
    assert Point(3, 5) == Point(y=5, x=3) == Point(3, y=5)
    assert (Point(3).x, Point(3).y) == (3, 7)
    assert Point(3) != Point(5)
    assert Point(3) != Named(3)
    assert len({Point(3), Point(3, 7), Point(5)}) == 2


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"x": 2}), ((1,), {"z": 2})])
def test_what_a_dataclass_refuses_is_refused(values: tuple[int, ...], named: dict[str, Any]) -> None:
    for kind in (Point, Standard):
        with pytest.raises(TypeError):
            kind(*values, **named)


def test_a_record_does_not_change() -> None:
    point = Point(3)
    with pytest.raises(AttributeError, match="cannot assign to"):
        point.x = 5  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot assign to"):
        del point.x


def test_fields_come_base_first_and_without_class_variables() -> None:
    assert [field.name for field in fields(Named)] == ["x", "y", "name"]
    assert [field.default for field in fields(Named(1))] == [MISSING, 7, "p"]
    assert [tuple(field) for field in fields(Standard)] == [tuple(field) for field in fields(Point)]
    assert repr(Named(1)) == "Named(x=1, y=7, name='p')"
    match Named(3, 5):
        case Named(x, y, name):
            assert (x, y, name) == (3, 5, "p")


def test_the_functions_of_dataclasses_work_on_records() -> None:
    point = Named(3)
    assert dataclasses.is_dataclass(point)
    assert is_record(point)
    assert [entry.name for entry in dataclasses.fields(point)] == ["x", "y", "name"]
    assert dataclasses.replace(point, y=5) == Named(3, 5)
    assert dataclasses.asdict(point) == {"x": 3, "y": 7, "name": "p"}


def test_copies_are_equal() -> None:
    assert copy.deepcopy(Named(3)) == pickle.loads(pickle.dumps(Named(3))) == Named(3)


def test_a_forgotten_value_is_computed_again_and_the_fields_stay() -> None:
    point = Named(3, name="q")
    assert [remembered(point, "_known", 2, lambda value=value: value) for value in (11, 13)] == [11, 11]
    forget(point)
    assert point == Named(3, name="q")
    assert remembered(point, "_known", 2, lambda: 17) == 17


class _Point(NamedTuple):
    """A point."""

    x: int
    y: int = 0

    @property
    def both(self) -> int:
        return self.x + self.y


def test_a_named_tuple_is_like_that_of_typing() -> None:
    assert _Point(1) == (1, 0) == _Point(x=1)
    assert repr(_Point(1, y=2)) == "_Point(x=1, y=2)"
    assert (_Point._fields, _Point._field_defaults, _Point.__doc__) == (("x", "y"), {"y": 0}, "A point.")
    assert _Point.__annotations__ == {"x": "int", "y": "int"}
    assert (_Point.__module__, _Point.__qualname__) == (__name__, "_Point")
    assert pickle.loads(pickle.dumps(_Point(1, 2))) == _Point(1, 2)
    assert _Point(1, 2).both == 3
    assert _Point(1)._replace(y=5).y == 5
    with pytest.raises(TypeError):
        _Point()  # type: ignore[call-arg]
