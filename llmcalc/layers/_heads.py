"""Lines that kinds of attention share: the way from the stream to heads, and back."""

from __future__ import annotations

from ..core.declaration import Declaration

HEADS = (("q", "h e"), ("k", "g e"), ("v", "g v"))


def project(declaration: Declaration, names: str = "qkv", rows: str = "q") -> None:
    """Heads ``[b rows h e]`` of the stream, with a bias, for each of ``names``: queries, keys and values."""
    declaration.weights(*(f"w{name}[d | h e]" for name in names), *(f"b{name}[h e]" for name in names))
    for name in names:
        declaration.equations(f"{name}[b {rows} h e] = x[b {rows} d] w{name}[d h e]")
        declaration.equations(f"{name}[b {rows} h e] = add({name}, b{name})")


def join(declaration: Declaration, rows: str = "q") -> None:
    """The heads' values back in the stream, with a bias."""
    declaration.weights("wo[h e | d]", "bo[d]")
    declaration.equations(f"y[b {rows} d] = o[b {rows} h e] wo[h e d]", f"y[b {rows} d] = add(y, bo)")


def convolve_values(declaration: Declaration, taps: int | None) -> None:
    """A depthwise convolution over the values, one filter a head, beside the mix; None: there is none."""
    if taps:
        declaration.axes["K"] = taps
        declaration.weights("conv[h; K]")
        declaration.equations("vc[b q h e] = v[b q h e] conv[h K]", "o[b q h e] = add(o, vc)")


def corrected(own: str) -> list[str]:
    """Queries, keys and values with low-rank corrections beside them, of the input with the axis ``own``."""
    lines = []
    for name, axes in HEADS:
        lines += [
            f"{name}a[b q ar] = x[b q {own}] w{name}_a[{own} ar]",
            f"{name}l[b q {axes}] = {name}a[b q ar] w{name}_b[ar {axes}]",
            f"{name}[b q {axes}] = add({name}, {name}l)",
        ]
    return lines
