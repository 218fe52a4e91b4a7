"""Tiles of a matrix product, which the multiprocessors compute in whole waves.

Most libraries have a few sizes of tiles. Others compile a kernel for each shape, with tiles of any width, and their
coefficients state the bytes per second at which a multiprocessor loads operands (``load_gb``). Both are assumed to use
the fastest size, so that no larger product takes less time.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.arrays import Number, namespace
from ..core.type_names import Any

MICRO, NANO, GIGA = 1e-6, 1e-9, 1e9
TILES = ((256, 128), (128, 128), (64, 128), (64, 64), (16, 64), (8, 256))  # rows and columns of a tile
FULL_TILE = 128 * 128  # elements of a tile above which larger ones do not reuse shared memory better
K_STEP = 64  # contracted elements of a step of the main loop
SPLITS = (1, 2, 4, 8)  # parts of the contracted axis that different multiprocessors sum
COMPILED_ROWS = (64, 128)  # of the tiles of kernels that are compiled for a shape
COMPILED_COLUMNS = range(16, 129, 8)
SCALED_COLUMNS = 128  # columns that share a scale. Tiles with a width that does not divide them need two scales


def fastest_tiles(
    m: Number, n: Number, k: Number, batch: Number, sms: Number, flops: Number, bandwidth: Number,
    c: Mapping[str, float], alone: bool,
) -> Number:  # fmt: skip
    """Return the computing time of a product with the fastest size of tiles and number of splits.

    Args:
        m: rows.
        n: columns.
        k: contracted elements.
        batch: number of products.
        sms: number of multiprocessors.
        flops: FLOP/s of a multiprocessor.
        bandwidth: bytes per second at which partial sums are written and read.
        c: ``step_ns`` and ``splits``.
        alone: whether the kernel is measured alone.
    """
    xp = namespace(m, n, k, batch, sms)
    best: Number = float("inf")
    rows = {height: xp.ceil(m / height) for height in {height for height, _ in TILES}}
    columns = {width: xp.ceil(n / width) for width in {width for _, width in TILES}}
    allowed = [splits for splits in SPLITS if not alone or splits <= c["splits"]]
    steps = {splits: c["step_ns"] * NANO * xp.ceil(k / splits / K_STEP) for splits in allowed}
    sums = {splits: batch * m * n * 8.0 * splits / bandwidth for splits in allowed}  # partial ones in 32 bits
    for height, width in TILES:
        tiles = batch * rows[height] * columns[width]
        work = 2.0 * height * width * k / (flops * min(1.0, (height * width / FULL_TILE) ** 0.25))
        for splits in allowed:
            time = xp.ceil(tiles * splits / sms) * xp.maximum(work / splits, steps[splits])
            if splits > 1:  # partial sums are written and read
                time = time + sums[splits] + MICRO
            best = xp.minimum(best, time)
    return best


def compiled_tiles(
    m: Number, n: Number, k: Number, batch: Number, sms: Number, flops: Number, width_bytes: float, c: Mapping[str, Any]
) -> Number:
    """Return the computing time of a product with the fastest tiles of a kernel that is compiled for its shape.

    A tile takes its FLOPs, or the time to load its rows and columns.

    Args:
        m: rows.
        n: columns.
        k: contracted elements.
        batch: number of products.
        sms: number of multiprocessors.
        flops: FLOP/s of a multiprocessor.
        width_bytes: bytes of an element of the operands.
        c: ``load_gb``, ``tile_us`` and ``two_scales``.
    """
    xp = namespace(m, n, k, batch, sms)
    columns = {width: xp.ceil(n / width) for width in COMPILED_COLUMNS}
    best: Number = float("inf")
    for height in COMPILED_ROWS:
        rows = batch * xp.ceil(m / height)
        for width in COMPILED_COLUMNS:
            waves = xp.ceil(rows * columns[width] / sms)
            scales = 1.0 if SCALED_COLUMNS % width == 0 else c["two_scales"]
            loading = (height + width) * width_bytes / (c["load_gb"] * GIGA)
            each = k * xp.maximum(2.0 * height * width * scales / flops, loading) + c["tile_us"] * MICRO
            best = xp.minimum(best, waves * each)
    return best
