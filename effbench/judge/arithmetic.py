"""Arithmetic that never overflows: an array of numbers with their signs and the logarithms of their magnitudes.

e^1000 is beyond doubles, its logarithm is not, and models have to be ordered by it. Each number is kept both as it is,
which is exact where doubles reach, and as sign and logarithm, which takes over where they do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from effbench.judge.terms import Floats


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers of one shape.

    Attributes:
        value: as doubles; infinite beyond them, NaN where undefined.
        sign: −1, 0 or 1; NaN where undefined.
        log: ln |x|; −inf for 0.
    """

    value: Floats
    sign: Floats
    log: Floats


def numbers(value: Floats | float) -> Numbers:
    """Returns plain doubles as such numbers."""
    import numpy as np

    found = np.asarray(value, dtype=np.float64)
    return Numbers(found, np.sign(found), np.log(np.abs(found)))


def _repaired(value: Floats, sign: Floats, log: Floats) -> Numbers:
    """Returns numbers whose doubles come from the logarithm where a step on the way left the doubles."""
    import numpy as np

    undefined = np.isnan(sign) | np.isnan(log)
    whole = np.where(np.isfinite(value), value, sign * np.exp(log))
    return Numbers(np.where(undefined, np.nan, whole), np.where(undefined, np.nan, sign), log)


def add(a: Numbers, b: Numbers) -> Numbers:
    """Returns a + b."""
    import numpy as np

    value = a.value + b.value
    large = np.where(a.log >= b.log, a.sign, b.sign)
    top, gap = np.maximum(a.log, b.log), -np.abs(a.log - b.log)
    gap = np.where(np.isnan(gap), 0.0, gap)  # two zeros, or two that are infinite even as logarithms
    same = a.sign * b.sign >= 0
    log = top + np.where(same, np.log1p(np.exp(gap)), np.log1p(-np.exp(gap)))
    plain = np.isfinite(value) & (value != 0)
    sign = np.where(np.isneginf(log), 0.0, large) + 0.0 * (a.sign + b.sign)
    return _repaired(value, np.where(plain, np.sign(value), sign), np.where(plain, np.log(np.abs(value)), log))


def negative(a: Numbers) -> Numbers:
    """Returns −a."""
    return Numbers(-a.value, -a.sign, a.log)


def multiply(a: Numbers, b: Numbers) -> Numbers:
    """Returns a · b."""
    import numpy as np

    sign = a.sign * b.sign
    return _repaired(a.value * b.value, sign, np.where(sign == 0, -np.inf, a.log + b.log))


def divide(a: Numbers, b: Numbers) -> Numbers:
    """Returns a / b; undefined where b is 0."""
    import numpy as np

    sign = np.where(b.sign == 0, np.nan, a.sign * b.sign)
    return _repaired(a.value / b.value, sign, np.where(a.sign == 0, -np.inf, a.log - b.log))


def power(a: Numbers, b: Numbers) -> Numbers:
    """Returns a to the b; undefined for 0 to a negative power and for a negative number to one that is not whole."""
    import numpy as np

    whole = b.value == np.floor(b.value)
    parity = np.where(np.mod(b.value, 2.0) == 0, 1.0, -1.0)
    sign = np.select(
        [b.value == 0, a.sign > 0, (a.sign == 0) & (b.value > 0), (a.sign < 0) & whole], [1.0, 1.0, 0.0, parity], np.nan
    )
    log = np.where(b.value == 0, 0.0, a.log * b.value)
    return _repaired(np.power(a.value, b.value), sign + 0.0 * (a.sign + b.sign), log)


def absolute(a: Numbers) -> Numbers:
    """Returns |a|."""
    import numpy as np

    return Numbers(np.abs(a.value), np.abs(a.sign), a.log)


def exponential(a: Numbers) -> Numbers:
    """Returns e to the a."""
    import numpy as np

    return _repaired(np.exp(a.value), np.where(np.isnan(a.sign), np.nan, 1.0), a.value)


def square_root(a: Numbers) -> Numbers:
    """Returns √a; undefined below 0."""
    import numpy as np

    return _repaired(np.sqrt(a.value), np.where(a.sign < 0, np.nan, a.sign), a.log / 2)


def logarithm(base: float) -> Callable[[Numbers], Numbers]:
    """Returns the function that takes logarithms to a base; undefined at 0 and below."""

    def log(a: Numbers) -> Numbers:
        import numpy as np

        # Where doubles reach, numpy's own functions give log10(1000) = 3 exactly.
        exact: Callable[[Floats], Floats] = {2.0: np.log2, 10.0: np.log10}.get(base, np.log)
        reached = np.isfinite(a.value) & (a.value > 0)
        value = np.where(reached, exact(np.where(reached, a.value, 1.0)), a.log / math.log(base))
        return numbers(np.where(a.sign > 0, value, np.nan))

    return log


def least(*items: Numbers) -> Numbers:
    """Returns the least of each place."""
    import numpy as np

    best, *others = items
    for item in others:
        plain = np.isfinite(item.value) & np.isfinite(best.value)
        takes = np.where(plain, item.value < best.value, ordered(item) < ordered(best))
        undefined = np.isnan(best.sign) | np.isnan(item.sign)
        pairs = ((item.value, best.value), (item.sign, best.sign), (item.log, best.log))
        best = Numbers(*(np.where(undefined, np.nan, np.where(takes, new, old)) for new, old in pairs))
    return best


def greatest(*items: Numbers) -> Numbers:
    """Returns the greatest of each place."""
    return negative(least(*(negative(item) for item in items)))


def ordered(a: Numbers) -> Floats:
    """Returns sign · ln(1 + |x|), which rises with x, is finite where x is beyond doubles, and takes any sign."""
    import numpy as np

    found: Floats = a.sign * np.where(np.isfinite(a.value), np.log1p(np.abs(a.value)), a.log)
    return found


def ordered_from_zero(a: Numbers) -> Floats:
    """Returns ln x of numbers that are never negative, from the doubles where they reach: equal ones stay equal."""
    import numpy as np

    plain = np.isfinite(a.value) & (a.value > 1e-300)
    log = np.where(a.sign < 0, np.nan, a.log)
    found: Floats = np.where(plain, np.log(np.where(plain, a.value, 1.0)), np.where(np.isnan(a.sign), np.nan, log))
    return found


FUNCTIONS: Mapping[str, Callable[..., Numbers]] = {
    "exp": exponential,
    "log": logarithm(math.e),
    "log2": logarithm(2.0),
    "log10": logarithm(10.0),
    "sqrt": square_root,
    "abs": absolute,
    "min": least,
    "max": greatest,
}
"""Functions by the names that formulas use; min and max take two numbers or more, the others one."""
