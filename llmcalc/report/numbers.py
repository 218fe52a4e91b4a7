"""Numbers as people read them, beside the exact ones."""

from __future__ import annotations

_SCALES = ((12, "T"), (9, "B"), (6, "M"), (3, "K"))
_DIGITS = 4


def exact(number: int) -> str:
    """All digits, in groups.

    >>> exact(174604259328)
    '174,604,259,328'
    """
    return f"{number:,}"


def human(number: int) -> str:
    """Four digits and a scale: K thousand, M million, B billion (1e9), T trillion (1e12); empty below a thousand.

    Integers all the way: a large one may not fit a float.

    >>> human(174604259328), human(46702792704), human(999999), human(950), human(-1500), human(10**18)
    ('174.6 B', '46.70 B', '1.000 M', '', '-1.500 K', '1.000e18')
    """
    sign, size = "-" if number < 0 else "", abs(number)
    unit = 10 ** max(len(str(size)) - _DIGITS, 0)
    size = (size + unit // 2) // unit * unit
    if len(str(size)) > _SCALES[0][0] + _DIGITS:
        digits = str(size)
        return f"{sign}{digits[0]}.{digits[1:_DIGITS]}e{len(digits) - 1}"
    for exponent, letter in _SCALES:
        whole, part = divmod(size, 10**exponent)
        if whole:
            decimals = max(_DIGITS - len(str(whole)), 0)
            fraction = f".{part // 10 ** (exponent - decimals):0{decimals}d}" if decimals else ""
            return f"{sign}{whole}{fraction} {letter}"
    return ""


def percent(share: float) -> str:
    """A share of 1 in percent; what is there, but rounds to nothing, says so.

    >>> percent(0.66418), percent(1.0), percent(0.0001), percent(0)
    ('66.4 %', '100.0 %', '<0.1 %', '0.0 %')
    """
    return "<0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def change(number: int) -> str:
    """A difference, with its sign.

    >>> change(1200), change(0)
    ('+1,200', '0')
    """
    return f"{number:+,}" if number else "0"


def ratio(value: float) -> str:
    """A multiple of something else.

    >>> ratio(0.25), ratio(1612.3), ratio(1.0)
    ('×0.25', '×1,612', '×1')
    """
    return f"×{value:,.0f}" if value >= 100 else f"×{value:.4g}"
