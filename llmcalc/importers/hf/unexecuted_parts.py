"""Parts beside a language model that text does not run: their tensors, under the names that their modules have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...core.architecture import Named, Stack
from ...layers.stored import Stored

Tensors = Iterator[Named]


def part(name: str, tensors: Iterable[Named]) -> Stack:
    """A part of a model, by the name that its tensors stand under in a checkpoint."""
    found = tuple(tensors)
    widths = (layer.d_out for _, layer in found if isinstance(layer, Stored))
    return Stack(name, next(widths, 1), (), (), found, "tower", unused=True)


def under(place: str, *groups: Iterable[Named]) -> Tensors:
    """Tensors within a module of this name."""
    return (Named(f"{place}.{name}", layer) for group in groups for name, layer in group)


def linear(name: str, d_in: int, d_out: int, bias: bool = True) -> Tensors:
    """A matrix ``[d_out, d_in]``."""
    yield Named(name, Stored(d_out, d_in, bias=bias))


def table(name: str, rows: int, width: int) -> Tensors:
    """A table of vectors."""
    yield Named(name, Stored(rows, width))


def norm(name: str, width: int, bias: bool = True) -> Tensors:
    """A norm's factors and offsets."""
    yield Named(name, Stored(width, bias=bias))


def batch_norm(name: str, width: int) -> Tensors:
    """A norm over a batch, whose means and variances are stored too."""
    yield Named(name, Stored(width, bias=True, statistics=True))


def image_conv(name: str, d_in: int, d_out: int, side: int, bias: bool = True) -> Tensors:
    """A convolution over an image."""
    yield Named(name, Stored(d_out, d_in, side=side, bias=bias))


def film_conv(name: str, d_in: int, d_out: int, frames: int, side: int) -> Tensors:
    """A convolution over frames of an image."""
    yield Named(name, Stored(d_out, d_in, side=side, frames=frames, bias=True))


def wave_conv(
    name: str, d_in: int, d_out: int, taps: int, bias: bool = True, transposed: bool = False, normed: bool = False
) -> Tensors:
    """A convolution along time; ``transposed``: one that makes more of less; ``normed``: by weight normalisation."""
    yield Named(name, Stored(d_out, d_in, taps, bias=bias, transposed=transposed, normed=normed))


def lone(name: str, d_out: int, d_in: int | None = None, taps: int | None = None, buffer: bool = False) -> Tensors:
    """A tensor with a name of its own."""
    yield Named(name, Stored(d_out, d_in, taps, lone=True, buffer=buffer))
