"""Structured command output with facts, tables, a tree and notes.

Cells hold values instead of formatted numbers. Each output format decides how to print counts and shares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

from ..core.errors import spelled
from ..core.printable import LONGEST_MESSAGE, LONGEST_NAME, printable
from ..core.record import Record, changed, fields, record
from ..core.setting import Setting
from ..core.type_names import TYPE_CHECKING, Any
from .numbers import BYTES, decimal, exact, percent, readable, short

if TYPE_CHECKING:
    from ..core.tree import Node
    from .pictures import Chart, Picture

Cell = str | int | float | None
ASSUMED = "assumed:"
LONGEST = {"title": 2 * LONGEST_NAME, "label": LONGEST_NAME}  # characters of texts
WORDS = ("text", "name", "group")  # kinds of columns that are not numbers


@record
class Fact:
    """A labelled value, either an integer with a unit or text, with its interval in words."""

    label: str
    value: Cell
    unit: str = ""
    note: str = ""
    interval: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a value."""
        return self.value not in (None, "")

    @property
    def texts(self) -> tuple[str, str, str, str]:
        """Readable value, its decimal form (bytes only), its exact digits (if rounded), and the unit with any note."""
        if not isinstance(self.value, int):
            interval = f"({self.interval})" if self.interval else ""
            return str(self.value or ""), "", "", ", ".join(filter(None, (interval, self.unit, self.note)))
        is_size = self.unit == BYTES
        digits = exact(self.value) if short(self.value, self.unit) else ""
        remark = ", ".join(filter(None, ("" if is_size else self.unit, self.note)))
        return readable(self.value, self.unit), decimal(self.value) if is_size else "", digits, remark


@record
class Column:
    """A column of a table.

    Attributes:
        title: heading, including the unit of numeric cells.
        kind: format of the cells:
            ``text`` wraps and ``name`` does not;
            ``group`` is a name that is printed only when it changes;
            ``number`` is a small number; ``digits`` is an integer of any size, with all digits;
            ``count`` is an integer with a short form such as 174.6 B, followed by all digits if they fit;
            ``bytes`` is a count with a binary short form such as 325.2 GiB;
            ``change`` is a signed count; ``ratio`` is a factor such as ×0.25;
            ``share`` is a fraction printed as a percentage and a bar; ``bar`` is printed only as a bar;
            ``about`` is a rounded count; ``about bytes`` is a rounded number of bytes.
        optional: drop order in narrow terminals (highest first; 0: never dropped).
    """

    title: str
    kind: str = "text"
    optional: int = 0


def columns(*texts: str) -> tuple[Column, ...]:
    """Parse columns written as ``title: kind`` or ``title: kind optional``.

    >>> columns("part: name", "wasted: bytes 2", ": count")[1]
    Column(title='wasted', kind='bytes', optional=2)
    """
    return tuple(map(_column, texts))


def _column(text: str) -> Column:
    title, _, kind = text.rpartition(": ") if ": " in text else (text, "", "text")
    name, _, optional = kind.rpartition(" ") if kind[-1].isdigit() else (kind, "", "0")
    return Column(title, name or "text", int(optional))


@record
class Table:
    """Rows of cells, with an optional last row of totals."""

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Any, ...]]
    total: tuple[Cell, ...] | None = None


def table_of(
    title: str,
    items: Iterable[Any],
    cells: Mapping[str, str | Callable[[Any], Any]],
    total: tuple[Cell, ...] | None = None,
) -> Table:
    """Return a table with a row for each item.

    ``cells`` has, by the heading of each column, the name of an attribute, or the function of the cell.

    >>> table_of("numbers", [1, 2 + 3j], {"number": str, "imaginary: number": "imag"}).rows
    [('1', 0), ('(2+3j)', 3.0)]
    """
    own = [attrgetter(cell) if isinstance(cell, str) else cell for cell in cells.values()]
    return Table(title, columns(*cells), [tuple(cell(item) for cell in own) for item in items], total)


def parts_table(title: str, sizes: Mapping[str, int], name: str = "part", unit: str = "bytes: bytes") -> Table:
    """Build a table of named sizes, such as bytes, with their shares of the total."""
    total = sum(sizes.values())
    rows = [(part, size, size / (total or 1)) for part, size in (*sizes.items(), ("total", total))]
    return Table(title, columns(f"{name}: name", unit, "share: share"), rows[:-1], rows[-1])


def summary_table(facts: Iterable[Fact], title: str = "", whole: float = 0) -> Table:
    """Build the summary of a screen: each value with its interval and what it rests on.

    With a ``whole`` in bytes, sizes have their share of it.
    """

    def row(one: Fact) -> tuple[Cell, ...]:
        share = percent(one.value / whole) if whole and isinstance(one.value, int) else ""
        rests = ", ".join(text for text in (one.unit, one.note) if text not in ("", BYTES))
        return one.label, one.texts[0], one.interval, *([share] if whole else []), rests

    heads = f"{title}: name", "value: number", "interval: name", *(["of memory: number"] if whole else []), "rests on"
    return Table("", columns(*heads), [row(one) for one in facts if one.is_known])


def next_table(found: Iterable[tuple[str, Any]], cells: Mapping[str, Callable[[Any], Any]]) -> Table:
    """Build the table of what to try next: commands or changed settings, with what the result of each gains."""
    rows = [(text, *(cell(result) for cell in cells.values())) for text, result in found]
    return Table("", columns("next: text", *cells), rows)


def assumed_settings(declared: Iterable[Setting], values: Mapping[str, Any]) -> tuple[tuple[Setting, Any], ...]:
    """Return the settings of the command line that have a value, in the order in which they are declared."""
    return tuple((each, values[each.name]) for each in declared if each.help and values.get(each.name))


def shares_table(title: str, name: str, sizes: dict[str, int], unit: str = "bytes: bytes") -> Table:
    """Build a table of named sizes, such as bytes, in descending order."""
    ordered = sorted(((name, size) for name, size in sizes.items() if size), key=lambda item: -item[1])
    return parts_table(title, dict(ordered), name=name, unit=unit)


@record
class Document:
    """Structured output of a command. Empty lines, facts without a value and tables without rows are left out.

    A document with a ``summary`` has a *screen* (``screen.py``): the answer, what was assumed, the summary, what to try
    next, and notes. The rest is shown on request.

    Attributes:
        title: one-line title, such as the model name, or the answer with a sign (✓ yes, ✗ no, ! unknown).
        action: second line of the answer, such as a command that follows from it.
        assumed: settings that the answer depends on, with their values. The command line leaves out what was typed.
        summary: table of the values that answer the question, or None if the document has no screen.
        next: table of commands and changed settings, cheapest first, with what each gains.
        subtitle: lines below the title, such as the structure of the model.
        warnings: important warnings, such as a warning that a model is unpublished.
        facts: main results.
        tables: breakdowns.
        main: index of the table written as CSV, among the tables with rows.
        listing: function that builds the table written as CSV, where the tables have one row for many entries.
        tree: derivation of a number.
        derivation: function that builds the tree for the ``tree`` format.
        notes: lines at the end that bear on the question, such as assumptions and uncounted modules.
        details: further notes, such as misprints in sources. A table shows them on request.
        data: function that builds the JSON object.
        pictures: function that builds the plots.
        charts: function that builds the plots that a table shows, drawn with characters.
    """

    title: str
    data: Callable[[], dict[str, Any]]
    subtitle: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()
    main: int = 0
    listing: Callable[[], Table] | None = None
    tree: tuple[Node, ...] = ()
    notes: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    pictures: Callable[[], Sequence[Picture]] = tuple
    charts: Callable[[], Sequence[Chart]] = tuple
    derivation: Callable[[], tuple[Node, ...]] = tuple
    action: str = ""
    assumed: tuple[tuple[Setting, Any], ...] = ()
    summary: Table | None = None
    next: Table | None = None

    def __post_init__(self) -> None:
        own = self.__dict__
        own["tables"] = tuple(table for table in self.tables if table.rows)
        own["facts"] = tuple(fact for fact in self.facts if fact.is_known)
        own |= {name: tuple(filter(None, own[name])) for name in ("subtitle", "warnings", "notes", "details")}

    @property
    def assumed_flags(self) -> list[str]:
        """What was assumed, as options of the command line or as arguments."""
        return [spelled(f"{{{setting.name}={value}}}") for setting, value in self.assumed]

    @property
    def lines(self) -> tuple[str, ...]:
        """Lines below the title."""
        assumed = f"{ASSUMED} {' '.join(self.assumed_flags)}" if self.assumed else ""
        return tuple(filter(None, (self.action, assumed, *self.subtitle)))

    @property
    def every_table(self) -> tuple[Table, ...]:
        """Summary, breakdowns, and what to try next."""
        return tuple(table for table in (self.summary, *self.tables, self.next) if table and table.rows)

    @property
    def every_note(self) -> tuple[str, ...]:
        """Notes and details."""
        return (*self.notes, *self.details)


def printable_document(document: Document) -> Document:
    """Return the document with every text on one line of printable characters. Long names are cut."""
    listing = document.listing
    return _printable(
        document,
        summary=document.summary and _table(document.summary),
        next=document.next and _table(document.next),
        facts=tuple(map(_printable, document.facts)),
        tables=tuple(map(_table, document.tables)),
        listing=listing and (lambda: _table(listing())),
        tree=tuple(map(_node, document.tree)),
        derivation=lambda: tuple(map(_node, document.derivation())),
    )


def _printable(of: Record, **parts: Any) -> Record:
    """Return a record with printable texts and lists of texts, and with other ``parts``."""
    for field in fields(of):
        value, longest = getattr(of, field.name), LONGEST.get(field.name, LONGEST_MESSAGE)
        if isinstance(value, tuple) and all(isinstance(line, str) for line in value):
            parts.setdefault(field.name, tuple(printable(line, longest) for line in value))
        elif isinstance(value, str):
            parts[field.name] = printable(value, longest)
    return changed(of, **parts)


def _cell(cell: Any, longest: int = LONGEST_MESSAGE) -> Any:
    return printable(cell, longest) if isinstance(cell, str) else cell


def _table(table: Table) -> Table:
    if not any(column.kind in WORDS for column in table.columns):
        return table
    limits = [LONGEST_MESSAGE if column.kind == "text" else LONGEST_NAME for column in table.columns]
    rows = [tuple(map(_cell, row, limits)) for row in table.rows]
    columns = tuple(changed(column, title=printable(column.title, LONGEST_NAME)) for column in table.columns)
    return Table(printable(table.title, 2 * LONGEST_NAME), columns, rows, table.total)


def _node(node: Node) -> Node:
    return _printable(node, children=tuple(map(_node, node.children)))
