"""Lookup table for tokens, absolute positions or segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.declaration import Declaration
from ..core.description.part_family import PartFamily
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.part import Part
from ..core.record import changed, record
from ..core.traits import Parallel, Roles
from ..core.type_names import TYPE_CHECKING, ClassVar
from .parts.ids import TOKEN_IDS, Ids

if TYPE_CHECKING:
    from ..core.equation import Equation
    from ..core.shrink import Sizes
    from .parts.fixed_table import FixedTable

MOST_CODEBOOKS = 64
USES = ("tokens", "joined", "copies", "side_tokens", "angles", "everywhere", "prefix", "suffix", "replacement", "array")
_SMALL_ROWS = {
    "token": "vocab 97 101 103 107", "position": "positions 37 41 43",
    "segment": "segments 2 3", "other": "vocab 97 101 103 107",
}  # fmt: skip
_FIXED_ROWS = ("copies", "prefix", "suffix")  # uses whose number of rows stays in small versions
_WHOLE = ("copies", "side_tokens", "everywhere", "prefix", "suffix", "replacement", "array")  # tables without look-ups
_ROWS = {"token": "V", "position": "T", "segment": "S", "other": "V"}


@record
class Embedding(Layer):
    """Lookup ``y = table[ids]`` that reads memory but requires no FLOPs.

    Attributes:
        rows: number of table rows, including padding and offset rows.
        d_model: width of each row.
        table: index type: ``token``, ``position``, ``segment`` or ``other``.
        share: name of the shared table. Tables with the same name are stored once.
        offset: number of rows before the first position (2 in BART and OPT).
        scale: scaling factor for the rows (Gemma: sqrt(d_model)).
        ids: indices other than all token, position or segment ids.
        use: role of the rows: ``tokens`` (added to each token), ``joined`` (concatenated to the stream), ``copies``
            (initial vectors of additional token copies; ProphetNet), ``side_tokens`` (a separate sequence, such as
            global tokens in PEGASUS-X), ``angles`` (sines and cosines of this stack's rotary angles),
            ``everywhere`` (one row added to every token), ``prefix`` (leading tokens, such as a class token),
            ``suffix`` (trailing tokens), ``replacement`` (one row that replaces the embedding of a token), or
            ``array`` (vectors that attend to the stream and then replace the stream; Perceiver).
        codebooks: number of codebooks. The rows of all codebook tables are summed at every position (MusicGen).
        columns: number of columns of the patch position grid.
        fixed: buffer of sinusoids in place of a learned table.
        normed: whether the lookup is followed by an RMSNorm with a weight (Inkling).
        norm_eps: epsilon of the RMSNorm.
        unused: whether the table is stored but never used.
    """

    rows: int
    d_model: int
    table: str = "token"
    share: str | None = None
    offset: int = 0
    scale: float = 1.0
    ids: Ids | None = None
    use: str = "tokens"
    codebooks: int | None = None
    columns: int | None = None
    fixed: FixedTable | None = None
    normed: bool = False
    norm_eps: float = 1e-6
    unused: bool = False

    AXES: ClassVar[str] = """
    Ty  n_rows     rows of a table of grid positions
    Tx  n_columns  columns of a table of grid positions
    Tv  n_learned  vectors that are not looked up
    """
    PARALLEL: ClassVar[Parallel] = Parallel(vocabulary="V", whole="T S nc Ty Tx Tv")
    ROLES: ClassVar[Roles] = Roles(vocabulary="rows")
    IN_ANY_BLOCK: ClassVar[bool] = False
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"table": tuple(_ROWS), "use": USES}
    ZERO_ALLOWED = frozenset({"offset"})
    SHRINK: ClassVar[dict[str, str]] = {"offset codebooks": "keep"}
    PARTS: ClassVar[Mapping[str, Sequence[type[Part]]]] = {"ids": (Ids,), "fixed": PartFamily("parts", "fixed_table")}

    def _complete(self) -> None:
        if self.codebooks and self.codebooks > MOST_CODEBOOKS:
            raise self.size_error("codebooks", f"must be at most {MOST_CODEBOOKS}, not {self.codebooks}")
        if self.codebooks and (self.columns or self.use != "tokens" or self.table == "position"):
            raise self.size_error("codebooks", "requires a plain token table")
        if self.columns:
            self.must_divide("columns", "rows")
        if self.fixed and (self.fixed.blank or 0) >= self.rows:
            text = f"({self.fixed.blank}) must be less than rows ({self.rows})"
            raise self.size_error("fixed.blank", text).under(("fixed", "blank"))
        if (self.use == "replacement") == (self.ids is None or self.ids.replaced is None):
            text = "and use: replacement must be set together"
            raise self.size_error("ids.replaced", text).under(("ids", "replaced"))
        if self.use == "replacement" and self.rows != 1:
            raise SizeError(f"use: replacement requires one row, not {self.rows}", field="rows", where="embedding")

    def equation_component(self, equation: Equation, part: tuple[str, ...] = ()) -> str:
        """Return the component name of the table, such as ``token embedding``."""
        return f"{self.table} embedding"

    def has_order(self) -> bool:
        """Return whether rows are looked up by position."""
        return self.table == "position"

    def shrink_field(self, field: str, sizes: Sizes) -> int | None:
        """Return the row count or width in the small test model, depending on ``table`` and ``use``."""
        if field == "d_model" and self.use == "angles":
            return sizes.size("rotated_head", self.d_model, 10, 14, 22, 26, 34)
        if field != "rows":
            return None
        if self.use in _FIXED_ROWS:
            return self.rows
        if self.use == "array" or (self.use == "side_tokens" and sizes.has("n_queries", self.rows)):
            return sizes.size("n_queries", self.rows)
        return sizes.by_rule("n_global" if self.use == "side_tokens" else _SMALL_ROWS[self.table], field, self.rows)

    def concatenated_width(self) -> int:
        """Return the row width if the rows are concatenated to the stream, or 0 otherwise."""
        return self.d_model if self.use == "joined" else 0

    def n_prefix_tokens(self) -> int:
        """Return the number of leading tokens that the table adds."""
        return self.rows if self.use == "prefix" else 0

    def fit_patches(self, rows: int, columns: int, n_prefix: int) -> Layer:
        """Return a position table with one row per patch and prefix token. Tables with ``columns`` are resized only
        for
        square patch grids.
        """
        if self.table != "position" or (self.columns and rows != columns):
            return self
        grid = {"columns": columns} if self.columns else {}
        return changed(self, rows=rows * columns + (0 if self.columns else n_prefix), **grid)

    def declare(self) -> Declaration:
        """Declare the table ``[rows, d_model]``."""
        rows = "Tv" if self.use in _WHOLE else _ROWS[self.table]
        declaration = Declaration({rows: self.rows, "d": self.d_model})
        declaration.spare_positions = self.offset
        if self.columns:
            declaration.axes |= {"Ty": self.rows // self.columns, "Tx": self.columns}
            rows = "Ty; Tx"
        if self.codebooks:
            declaration.axes["nc"] = self.codebooks
            rows = f"nc; {rows}"
        declaration.weights(f"w[{rows}; d]", share=self.share, table=self.table, buffer=bool(self.fixed))
        declaration.equations("y[b q d] = gather(w, ids)")
        if self.normed:
            declaration.weights("norm[d]", table=self.table)
            declaration.equations("y[b q d] = rmsnorm(y, norm)")
        for _ in range(int((self.codebooks or 1) + (self.ids or TOKEN_IDS).n_lookups() - 2)):
            declaration.equations("z[b q d] = gather(w, ids)", "y[b q d] = add(y, z)")
        return declaration.only_stored() if self.unused else declaration
