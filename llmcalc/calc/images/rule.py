"""Size of an image in patches of the encoder and in tokens of the prompt."""

from __future__ import annotations

from typing import ClassVar

from ...core.errors import InputError
from ...core.part import Part
from ...core.record import NamedTuple, record, remembered
from .splits import LARGE, Budget, Fit, Multiples, Padded, Split, Square
from .tilings import Canvas, Slices, Tiles

CHANNELS = 3
SPLITS: tuple[type[Split], ...] = (Square, Multiples, Budget, Padded, Fit, Canvas, Tiles, Slices)


class ImageSize(NamedTuple):
    """An image as a model reads it.

    Attributes:
        width: width of the image in pixels.
        height: height of the image in pixels.
        tokens: tokens of the prompt, including separators.
        embeddings: tokens that are outputs of the encoder.
        grids: rows and columns of patches in each picture that the encoder reads.
        values: values of the pixels in these pictures.
    """

    width: int
    height: int
    tokens: int
    embeddings: int
    grids: tuple[tuple[int, int], ...]
    values: int

    @property
    def patches(self) -> int:
        """Number of patches in all pictures."""
        return sum(rows * columns for rows, columns in self.grids)

    def to_dict(self) -> dict[str, int]:
        """Return the sizes as a plain dictionary."""
        names = ("width", "height", "tokens", "embeddings", "patches")
        return {**{name: getattr(self, name) for name in names}, "pictures": len(self.grids)}


@record
class ImageRule(Part):
    """Rule of an image processor.

    Attributes:
        split: how the processor resizes an image and splits it into pictures.
        patch: side of a patch in pixels.
        merge: side of the square of patches that become one token.
        queries: number of tokens of a picture, if it does not depend on the number of patches.
        image: separator tokens per image.
        tile: separator tokens per tile.
        tile_row: separator tokens per row of tiles.
        row: separator tokens per row of merged patches.
    """

    split: Split
    patch: int
    merge: int = 1
    queries: int | None = None
    image: int = 0
    tile: int = 0
    tile_row: int = 0
    row: int = 0

    ZERO_ALLOWED = frozenset({"image", "tile", "tile_row", "row"})
    PARTS: ClassVar = {"split": SPLITS}

    def measure(self, width: int, height: int) -> ImageSize:
        """Return the size of an image of ``width`` by ``height`` pixels."""
        pieces = self.split.split(width, height, self.patch, self.merge)
        grids = [(high // self.patch, wide // self.patch) for high, wide in pieces.pictures]
        read = pieces.grids or [(rows // self.merge, columns // self.merge) for rows, columns in grids]
        embeddings = sum(self.queries or rows * columns for rows, columns in read)
        separators = self.image + self.tile * pieces.n_tiles + self.tile_row * pieces.tile_rows
        separators += self.row * sum(rows for rows, _ in read)
        values = sum(CHANNELS * high * wide for high, wide in pieces.pictures)
        return ImageSize(width, height, embeddings + separators, embeddings, tuple(grids), values)

    def largest(self) -> ImageSize:
        """Return the size of the image with the most tokens, which is found once for all layouts."""

        def compute() -> ImageSize:
            shapes = self.split.largest(self.patch, self.merge)
            return max((self.measure(*shape) for shape in shapes), key=lambda size: (size.tokens, size.patches))

        return remembered(self, "_largest", None, compute)


def read_image_size(text: str) -> tuple[int, int]:
    """Return the width and height of an image in pixels, written as 1024x768.

    >>> read_image_size("1024x768")
    (1024, 768)
    """
    sides = text.lower().replace("×", "x").split("x")
    numbers = [int(side) for side in sides if side.strip().isdecimal() and len(side) <= len(str(LARGE))]
    if len(sides) != 2 or len(numbers) != 2 or not all(numbers):
        hint = "use a size in pixels such as 1024x768"
        raise InputError(f"invalid image size {text!r}", parameter="image", hint=hint)
    return numbers[0], numbers[1]
