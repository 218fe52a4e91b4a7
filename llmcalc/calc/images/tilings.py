"""Processors that split an image into tiles, and often add an overview of the whole image."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from math import ceil, log, prod, sqrt
from typing import ClassVar

from ...core.errors import InputError
from ...core.record import record
from .splits import Pieces, Split

ROUND_OFF = 7  # digits after which processors ignore the difference of two sides
ALL = "all"  # arrangements
SHORTER = 1.1  # ratio above which the tokens of a large image are interpolated


def tiled_shapes(side: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield the widths and heights of all arrangements of at most ``most`` tiles."""
    for rows, columns in product(range(1, most + 1), repeat=2):
        if rows * columns <= most:
            yield columns * side, rows * side


@record
class Canvas(Split):
    """Fit an image to an arrangement of square tiles.

    Attributes:
        side: side of a tile in pixels.
        most: maximum number of tiles.
        choose: ``ratio`` takes the arrangement with the closest ratio of sides (InternVL), ``scale`` the one that
            reduces the image least (Llama 4), ``resolution`` the one that keeps the most pixels (LLaVA-NeXT), and
            ``cover`` the one that covers the image if it has at most ``most`` tiles (Phi-4). The last two remove the
            padding from the tokens, and add a separator to each row.
        shapes: allowed heights and widths in pixels, such as ``336x672 672x336`` (default: ``all`` within ``most``).
        overview: whether a picture of the whole image is added to several tiles, or to any
            number of tiles if rows have separators.
        limit: number of tiles whose tokens are the most of an image; more are interpolated (LLaVA-OneVision).
    """

    side: int
    most: int
    choose: str = "ratio"
    shapes: str = ALL
    overview: bool = True
    limit: int | None = None

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"choose": ("ratio", "scale", "resolution", "cover")}

    def split(self, width: int, height: int, patch: int, merge: int) -> Pieces:
        """Return the tiles and the overview."""
        choose = {
            "ratio": self._closest_ratio, "scale": self._least_scaling, "resolution": self._most_pixels,
            "cover": self._covering,
        }  # fmt: skip
        rows, columns = choose[self.choose](width, height)
        count, tile = rows * columns, (self.side, self.side)
        if self.choose == "resolution":
            n_tokens = self.side // (patch * merge)
            high, wide = self._unpadded(width, height, rows * n_tokens, columns * n_tokens)
            if self.limit and (ratio := sqrt(high * wide / self.limit) / n_tokens) > SHORTER:
                high, wide = int(high // ratio), int(wide // ratio)
            return Pieces([tile] * (count + self.overview), grids=[(n_tokens, n_tokens), (high, wide + 1)])
        if self.choose == "cover":
            n_tokens, scale = self.side // (patch * merge), min(columns / width, rows / height) * self.side
            high, wide = (ceil(int(side * scale) / (patch * merge)) for side in (height, width))
            return Pieces([tile] * (count + self.overview), grids=[(n_tokens, n_tokens + 1), (high, wide + 1)])
        return Pieces([tile] * (count + self.overview), count, rows) if count > 1 else Pieces([tile])

    def largest(self, patch: int, merge: int) -> Iterator[tuple[int, int]]:
        """Yield the shapes of all arrangements of tiles."""
        yield from tiled_shapes(self.side, self.most)

    def _arrangements(self) -> Iterator[tuple[int, int]]:
        """Yield the numbers of rows and columns of the allowed arrangements, with the fewest tiles first."""
        if self.shapes != ALL:
            for shape in self.shapes.split():
                sides = [int(number) // self.side for number in shape.split("x") if number.isdecimal()]
                if len(sides) != 2 or not all(sides):
                    raise InputError(f"invalid shape {shape!r}", parameter="shapes", hint="use a shape such as 336x672")
                yield sides[0], sides[1]
            return
        yield from sorted(tiled_shapes(1, self.most), key=prod)

    def _closest_ratio(self, width: int, height: int) -> tuple[int, int]:
        """Return the arrangement with the closest ratio. Of equal ones, the last whose half the image covers."""
        best, least = (1, 1), float("inf")
        for rows, columns in self._arrangements():
            difference = abs(width / height - columns / rows)
            covers = width * height > rows * columns * self.side**2 / 2
            if difference < least or (difference == least and covers):
                best, least = (rows, columns), difference
        return best

    def _least_scaling(self, width: int, height: int) -> tuple[int, int]:
        """Return the arrangement that enlarges the image least, or reduces it least if none is large enough."""
        sizes = {shape: (self.side * shape[0], self.side * shape[1]) for shape in self._arrangements()}
        scales = {shape: min(wide / width, high / height) for shape, (high, wide) in sizes.items()}
        scale = min((scale for scale in scales.values() if scale >= 1), default=max(scales.values()))
        return min((shape for shape, own in scales.items() if own == scale), key=prod)

    def _covering(self, width: int, height: int) -> tuple[int, int]:
        """Return the arrangement that covers the image, or the closest ratio if it has too many tiles."""
        rows, columns = ceil(height / self.side), ceil(width / self.side)
        return (rows, columns) if rows * columns <= self.most else self._closest_ratio(width, height)

    def _most_pixels(self, width: int, height: int) -> tuple[int, int]:
        """Return the arrangement that keeps the most pixels of the image, and of these the smallest."""
        return max(self._arrangements(), key=partial(self._kept_pixels, width, height))

    def _kept_pixels(self, width: int, height: int, shape: tuple[int, int]) -> tuple[int, int]:
        """Return the pixels that an arrangement keeps, and the negative number of its unused pixels."""
        high, wide = shape[0] * self.side, shape[1] * self.side
        scale = min(wide / width, high / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        return kept, kept - high * wide

    def _unpadded(self, width: int, height: int, rows: int, columns: int) -> tuple[int, int]:
        """Return the rows and columns of tokens that show the image."""
        if width / height > columns / rows:
            own = int(round(height * (columns / width), ROUND_OFF))
            rows -= (rows - own) // 2 * 2
        else:
            own = int(round(width * (rows / height), ROUND_OFF))
            columns -= (columns - own) // 2 * 2
        return rows, columns


@record
class Tiles(Split):
    """Resize the longer side of every image, and split it into tiles with an overview (Idefics 3, SmolVLM).

    Attributes:
        side: side of a tile in pixels.
        longest: length of the longer side in pixels.
    """

    side: int
    longest: int

    def split(self, width: int, height: int, patch: int, merge: int) -> Pieces:
        """Return the tiles and the overview."""
        long, short = max(width, height), min(width, height)
        other = int(self.longest * short / long)
        n_long = ceil(self.longest / self.side)
        n_short = max(1, ceil(int(n_long * self.side * short / long) / self.side)) if other else 1
        rows, columns = (n_short, n_long) if width >= height else (n_long, n_short)
        count, tile = rows * columns, (self.side, self.side)
        return Pieces([tile] * (count + 1), count, rows) if count > 1 else Pieces([tile])

    def largest(self, patch: int, merge: int) -> Iterator[tuple[int, int]]:
        """Yield the shapes of all arrangements of tiles."""
        yield from tiled_shapes(self.side, ceil(self.longest / self.side) ** 2)


@record
class Slices(Split):
    """Split an image into slices of about the same number of pixels, with an overview (MiniCPM-V).

    Attributes:
        side: side of a square with the pixels of a slice.
        most: maximum number of slices.
    """

    side: int
    most: int

    def split(self, width: int, height: int, patch: int, merge: int) -> Pieces:
        """Return the overview and the slices."""
        n_slices = min(ceil(width * height / self.side**2), self.most)
        if n_slices <= 1:
            return Pieces([self._resized(width, height, patch)])
        counts = [count for count in (n_slices - 1, n_slices, n_slices + 1) if 1 < count <= self.most]
        shapes = [(count // wide, wide) for count in counts for wide in range(1, count + 1) if count % wide == 0]
        rows, columns = min(shapes, key=lambda shape: abs(log(width / height) - log(shape[1] / shape[0])))
        wide, high = (max(round(side / n) * n, n) / n for side, n in ((width, columns), (height, rows)))
        overview = self._resized(width, height, patch)
        return Pieces([overview] + [self._resized(wide, high, patch)] * (rows * columns), rows * columns, rows)

    def largest(self, patch: int, merge: int) -> Iterator[tuple[int, int]]:
        """Yield the shapes of all arrangements of tiles."""
        yield from tiled_shapes(self.side, self.most)

    def _resized(self, width: float, height: float, patch: int) -> tuple[int, int]:
        """Return the height and width of a picture with the pixels of a slice."""
        ratio = width / height
        high = int(self.side / sqrt(ratio))
        wide = int(high * ratio)
        return max(round(high / patch) * patch, patch), max(round(wide / patch) * patch, patch)
