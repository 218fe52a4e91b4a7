"""Inefficient shapes: matrix units work on tiles, and sizes that are not multiples of a tile are padded."""

from __future__ import annotations

from collections.abc import Iterator

from .finding import Case, Finding, Site

ALIGNED = 8  # 16-bit numbers in 16 bytes
TILE = 64  # 16-bit numbers in 128 bytes
HEADS = ("d_head", "d_head_v", "v_head_dim", "d_ssm_head")
HIDDEN = ("d_ff", "d_ff_shared", "d_inner")


def round_up(size: int, multiple: int) -> int:
    """The smallest multiple of ``multiple`` that is at least ``size``."""
    return -(-size // multiple) * multiple


def hw001(case: Case) -> Iterator[Finding]:
    """Heads whose width is not a multiple of 8."""
    yield from _unaligned(case, "HW001", HEADS, ALIGNED)


def hw002(case: Case) -> Iterator[Finding]:
    """Heads whose width is a multiple of 8, but not of 64."""
    for site, field, size in _sizes(case, HEADS):
        if size % TILE and size % ALIGNED == 0:
            yield _finding("HW002", site, field, size, TILE)


def hw003(case: Case) -> Iterator[Finding]:
    """A residual stream whose width is not a multiple of 64."""
    for stack in case.architecture.stacks:
        if stack.role != "tower" and stack.d_model % TILE:
            padded = round_up(stack.d_model, TILE)
            yield Finding(
                "HW003", f"{stack.name}.d_model", _padding_text("d_model", stack.d_model, padded), f"{padded}"
            )


def hw004(case: Case) -> Iterator[Finding]:
    """Hidden widths that are not multiples of 64."""
    yield from _unaligned(case, "HW004", HIDDEN, TILE)


def hw005(case: Case) -> Iterator[Finding]:
    """A vocabulary that is not a multiple of 64: the head is the largest matrix of many models."""
    seen = set()
    for site in case.sites:
        rows = getattr(site.layer, "vocab", None) or (
            site.layer.rows if getattr(site.layer, "table", "") == "token" else None
        )
        if rows and rows % TILE and rows not in seen:
            seen.add(rows)
            padded = round_up(rows, TILE)
            width = getattr(site.layer, "d_model", site.stack.d_model)
            cost = f"padding to {padded} adds {(padded - rows) * width:,} parameters per table"
            yield Finding("HW005", site.place, f"{rows} rows are not a multiple of {TILE}; {cost}", f"pad to {padded}")


def _unaligned(case: Case, code: str, names: tuple[str, ...], multiple: int) -> Iterator[Finding]:
    for site, field, size in _sizes(case, names):
        if size % multiple:
            yield _finding(code, site, field, size, multiple)


def _sizes(case: Case, names: tuple[str, ...]) -> Iterator[tuple[Site, str, int]]:
    """The layers' fields with these names; of fields with equal values, the first."""
    for site in case.sites:
        seen = set()
        for field in names:
            size = getattr(site.layer, field, None)
            if size and size not in seen:
                seen.add(size)
                yield site, field, size


def _finding(code: str, site: Site, field: str, size: int, multiple: int) -> Finding:
    padded = round_up(size, multiple)
    sizes = [str(aligned) for aligned in (padded - multiple, padded) if aligned]
    return Finding(code, f"{site.place}.{field}", _padding_text(field, size, padded, multiple), " or ".join(sizes))


def _padding_text(field: str, size: int, padded: int, multiple: int = TILE) -> str:
    share = 100 * (padded - size) / padded
    return (
        f"{field} {size} is not a multiple of {multiple}; in tiles of {multiple}, {share:.1f} % of the work is padding"
    )
