"""Processors that resize an image to one picture, whose sides are multiples of the patch size."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor, sqrt

from ...core.errors import InputError
from ...core.part import Part
from ...core.record import NamedTuple, record

LARGE = 2**14  # pixels of a side that every processor reduces


class Pieces(NamedTuple):
    """Pictures that an encoder reads, as heights and widths in pixels.

    Attributes:
        pictures: height and width of each picture.
        n_tiles: number of pictures that are parts of the image.
        tile_rows: number of rows of these parts.
        grids: rows and columns of the tokens, if they differ from those of the pictures.
    """

    pictures: list[tuple[int, int]]
    n_tiles: int = 0
    tile_rows: int = 0
    grids: list[tuple[int, int]] | None = None


class Split(Part):
    """Base class for ways to resize an image and to split it into pictures."""

    def split(self, width: int, height: int, patch: int, merge: int) -> Pieces:
        """Return the pictures of an image."""
        raise NotImplementedError

    def largest(self, patch: int, merge: int) -> Iterator[tuple[int, int]]:
        """Yield candidate image sizes (width, height), one of which gives the most tokens."""
        yield LARGE, LARGE


@record
class Square(Split):
    """Resize every image to a square, and add crops of elongated images (Gemma 3's pan and scan).

    Attributes:
        side: side of the square in pixels.
        crops: maximum number of crops. 0 turns crops off.
        least_crop: minimum side of a crop in pixels.
        least_ratio: ratio of the sides of an image from which on crops are added.
    """

    side: int
    crops: int = 0
    least_crop: int = 256
    least_ratio: float = 1.2

    ZERO_ALLOWED = frozenset({"crops"})

    def split(self, width: int, height: int, patch: int, merge: int) -> Pieces:
        """Return the square and the crops, which are resized to squares as well."""
        long, short = max(width, height), min(width, height)
        count = 0
        if self.crops and long / short >= self.least_ratio:
            count = min(max(2, min(long // self.least_crop, floor(long / short + 0.5))), self.crops)
            count = count if min(ceil(long / count), short) >= self.least_crop else 0
        return Pieces([(self.side, self.side)] * (1 + count), count)


@record
class Multiples(Split):
    """Round both sides to multiples of a merged patch, and scale the image into a range of pixels (Qwen2-VL).

    Attributes:
        least: minimum number of pixels.
        most: maximum number of pixels.
    """

    least: int
    most: int

    def split(self, width: int, height: int, patch: int, merge: int) -> Pieces:
        """Return the resized image."""
        unit = patch * merge
        high, wide = (max(unit, round(side / unit) * unit) for side in (height, width))
        if high * wide > self.most:
            scale = sqrt(height * width / self.most)
            high, wide = (max(unit, floor(side / scale / unit) * unit) for side in (height, width))
        elif high * wide < self.least:
            scale = sqrt(self.least / (height * width))
            high, wide = (ceil(side * scale / unit) * unit for side in (height, width))
        return Pieces([(high, wide)])


@record
class Budget(Split):
    """Scale every image to the largest size within a number of tokens (Gemma 4).

    Attributes:
        tokens: maximum number of tokens.
    """

    tokens: int

    def split(self, width: int, height: int, patch: int, merge: int) -> Pieces:
        """Return the resized image. A side that would vanish is one token."""
        unit = patch * merge
        scale = sqrt(self.tokens * unit**2 / (height * width))
        high, wide = (floor(scale * side / unit) * unit for side in (height, width))
        if not high and not wide:
            raise InputError("must allow at least one token", parameter="tokens", hint="use a larger number")
        if not high:
            high, wide = unit, min(width // height, self.tokens) * unit
        elif not wide:
            high, wide = min(height // width, self.tokens) * unit, unit
        return Pieces([(high, wide)])

    def largest(self, patch: int, merge: int) -> Iterator[tuple[int, int]]:
        """Yield the shapes that use all tokens."""
        unit = patch * merge
        divisors = (count for count in range(1, self.tokens + 1) if self.tokens % count == 0)
        yield from ((count * unit, self.tokens // count * unit) for count in divisors)


@record
class Padded(Split):
    """Reduce an image to a number of patches, and pad both sides to multiples of a merged patch (Kimi-VL).

    Attributes:
        patches: maximum number of patches.
        side: maximum number of patches of a side.
    """

    patches: int
    side: int = 512

    def split(self, width: int, height: int, patch: int, merge: int) -> Pieces:
        """Return the padded image."""
        n_patches = max(1, width // patch) * max(1, height // patch)
        scale = min(1.0, sqrt(self.patches / n_patches), self.side * patch / width, self.side * patch / height)
        unit = patch * merge
        high, wide = (ceil(max(1, int(side * scale)) / unit) * unit for side in (height, width))
        return Pieces([(high, wide)])

    def largest(self, patch: int, merge: int) -> Iterator[tuple[int, int]]:
        """Yield the largest image with each number of whole rows of patches. The rest of a patch counts in tokens."""
        for rows in range(1, min(self.side, self.patches + 1)):
            yield (min(self.side - 1, self.patches // rows) + 1) * patch - 1, (rows + 1) * patch - 1


@record
class Fit(Split):
    """Reduce an image until its longer side fits, and round both sides up to merged patches (Pixtral).

    Attributes:
        longest: maximum length of a side in pixels.
    """

    longest: int

    def split(self, width: int, height: int, patch: int, merge: int) -> Pieces:
        """Return the resized image."""
        scale, unit = max(height / self.longest, width / self.longest, 1.0), patch * merge
        high, wide = (ceil(max(1, floor(side / scale)) / unit) * unit for side in (height, width))
        return Pieces([(high, wide)])
