"""Rows of a layer that does not process exactly one row per token."""

from __future__ import annotations

from ...core.declaration import Declaration
from ...core.part import Part
from ...core.record import record
from ...core.type_names import ClassVar


@record
class SequenceRows(Part):
    """Vectors that a layer processes instead of, or in addition to, the tokens of its stack.

    Attributes:
        prompt: number of learned tokens before the sequence.
        n_latents: number of learned vectors that the layer processes instead of tokens.
        n_positions: number of input vectors, independent of the number of tokens (Perceiver).
        streams: number of copies of each token (ProphetNet).
        merge_extra: whether each merge leaves the first token unmerged (Funnel Transformer).
        merge_whole: whether an incomplete last group of merged tokens is dropped (CANINE).
        n_global: number of global tokens that the layer also processes (see ``block_attention``).
        globals_dropped: whether the outputs for the global tokens are unused and receive no gradient.
    """

    prompt: int | None = None
    n_latents: int | None = None
    n_positions: int | None = None
    streams: int = 1
    merge_extra: bool = False
    merge_whole: bool = False
    n_global: int | None = None
    globals_dropped: bool = False

    SHRINK: ClassVar[dict[str, str]] = {"streams prompt": "keep", "n_latents n_positions": "n_queries"}

    def global_tag(self) -> str:
        """Return the tag of equations for the global tokens."""
        return " | nograd" if self.globals_dropped else ""


@record
class InputRows(Part):
    """Vectors that a projection reads instead of one vector per token of its stack.

    Attributes:
        prompt: number of learned tokens before the sequence.
        n_latents: number of learned vectors that the layer processes instead of tokens.
        neighbours: number of adjacent positions concatenated as the input, in reverse order (MobileBERT).
        merge_whole: whether an incomplete last group of merged positions is dropped.
        merge_by_channel: whether concatenated values are ordered by channel.
    """

    prompt: int | None = None
    n_latents: int | None = None
    neighbours: int = 1
    merge_whole: bool = False
    merge_by_channel: bool = False

    SHRINK: ClassVar[dict[str, str]] = {"neighbours prompt": "keep", "n_latents": "n_queries"}


@record
class LogitRows(Part):
    """Positions for which logits are computed, if not one per token.

    Attributes:
        n_positions: number of positions with logits, independent of the number of tokens (Perceiver).
        streams: number of copies of each token for which logits are computed (future tokens in ProphetNet).
    """

    n_positions: int | None = None
    streams: int = 1

    SHRINK: ClassVar[dict[str, str]] = {"n_positions": "n_queries", "streams": "keep"}


TOKENS = SequenceRows()
INPUT_TOKENS = InputRows()


def with_prompt(rows: str = "q") -> str:
    """Return an expression for ``rows`` plus the ``pt`` learned prompt tokens in the first step of a sequence."""
    return f"{rows} + max(0, 1 - c) * min(q, 1) * pt"


def set_rows(declaration: Declaration, merge: int, sequence: SequenceRows | None) -> None:
    """Set the row axis ``q`` of a layer that merges tokens or processes other vectors than tokens."""
    if merge == 1 and sequence is None:
        return
    other, axes, rows = sequence or TOKENS, declaration.axes, "q"
    if other.streams > 1:
        axes |= {"ms": other.streams, "q": "q * ms"}
    if merge > 1:
        rows = axes["q"] = f"ceil(q + {merge - 1 if other.merge_extra else 0}, {merge})"
    if merge > 1 and other.merge_whole:
        rows = axes["q"] = f"ceil(max(0, q - {merge - 1}), {merge})"
    if other.prompt:
        axes |= {"pt": other.prompt, "q": with_prompt(rows)}
    if other.n_positions:
        axes["q"] = other.n_positions
    if other.n_latents:
        axes["q"] = f"min(q, 1) * {other.n_latents}"
