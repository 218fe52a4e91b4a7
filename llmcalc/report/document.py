"""What a command has to say, before anybody decides how it looks: facts, tables, a tree and notes.

Cells hold values, never text made from numbers: each format decides how a count or a share is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..core.record import record

if TYPE_CHECKING:
    from ..core.tree import Node
    from .pictures import Picture

Cell = str | int | float | None


@record
class Fact:
    """A labelled value: an integer of some unit, or a text."""

    label: str
    value: Cell
    unit: str = ""
    note: str = ""


@record
class Column:
    """A column of a table.

    Attributes:
        title: its heading, with the unit where the cells are numbers.
        kind: how its cells are read:
            ``text`` is broken into lines where it has to be, ``name`` is not;
            ``group`` is a name that a person needs to read only where it changes;
            ``number`` is a small integer, ``count`` an exact one, with 174.6 B beside it;
            ``bytes`` is a count with 325.2 GiB beside it;
            ``change`` is a count with its sign, ``ratio`` a multiple of the first;
            ``share`` is a part of 1, drawn as a bar; ``bar`` is the bar alone;
            ``about`` is a count that need not be read to the last digit, ``about bytes`` one of bytes.
        optional: what a narrow terminal leaves out first (the highest number goes first; 0: never).
    """

    title: str
    kind: str = "text"
    optional: int = 0


@record
class Table:
    """Rows of cells under columns; ``total`` is a last row that sums them up, if there is one."""

    title: str
    columns: tuple[Column, ...]
    rows: list[tuple[Cell, ...]]
    total: tuple[Cell, ...] | None = None


@record
class Document:
    """The answer of a command.

    Attributes:
        title: the model or question, one line.
        subtitle: lines below the title: the structure.
        warnings: what must not be overlooked, such as a rumoured model.
        facts: the numbers that were asked for.
        tables: breakdowns.
        main: which of them stands alone where there is room for one (CSV).
        tree: a derivation; the explanation of a number.
        notes: visible lines below: assumptions, what is not counted, misprints.
        data: makes the JSON object; called only when it is wanted.
        pictures: makes the pictures that go with it; called only when they are wanted.
    """

    title: str
    data: Callable[[], dict[str, Any]]
    subtitle: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()
    main: int = 0
    tree: tuple[Node, ...] = ()
    notes: tuple[str, ...] = ()
    pictures: Callable[[], Sequence[Picture]] = tuple
