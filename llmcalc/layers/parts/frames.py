"""Audio frames per position of an audio encoder."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class Frames(Part):
    """Positions of a layer that processes audio frames instead of the tokens of its stack.

    Attributes:
        span: number of audio frames per position (2 after a stride of 2).
        chunk: number of audio frames per separately processed chunk. The last chunk is padded.
        reach: number of audio frames that affect each position of a convolution without padding.
    """

    span: int
    chunk: int | None = None
    reach: int | None = None

    SHRINK: ClassVar[dict[str, str]] = {"chunk": "5 3"}

    def _complete(self) -> None:
        if self.chunk and self.reach:
            raise self.size_error("chunk", "and reach cannot be combined")

    def positions(self) -> str:
        """Return an expression for the number of positions for ``a`` audio frames.

        If ``chunk`` is set, chunks are processed separately, and the last chunk is padded. If ``reach`` is set, the
        ends are not padded.

        >>> Frames(2).positions(), Frames(8, 100).positions(), Frames(20, reach=50).positions()
        ('ceil(a, 2)', 'ceil(min(a, 100), 8) * ceil(a, 100)', 'ceil(max(0, a - 49), 20)')
        >>> Frames(1).positions(), Frames(1, 100).positions(), Frames(1, reach=3).positions()
        ('a', 'min(a, 100) * ceil(a, 100)', 'max(0, a - 2)')
        """
        reach = self.reach or 1
        frames = f"min(a, {self.chunk})" if self.chunk else f"max(0, a - {reach - 1})" if reach > 1 else "a"
        once = f"ceil({frames}, {self.span})" if self.span > 1 else frames
        return f"{once} * ceil(a, {self.chunk})" if self.chunk else once
