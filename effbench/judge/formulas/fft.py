"""Fast Fourier transforms, by the nominal count that their benchmarks use: the same for every algorithm and length.

Source: Frigo and Johnson, The design and implementation of FFTW3 (2005), section on benchmarks: 5·N·log₂N operations
for a complex transform of N points in all its dimensions together, half of that for a real one. The split is that of a
radix-2 transform: of each 5, 2 are multiplications and 3 additions. Scaling by 1/N or 1/√N is left out, as it is there.
N·log₂N is rounded to the nearest integer where N is not a power of 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from effbench.judge.algebra import product
from effbench.judge.work import NO_WORK, Work, formula
from effbench.records import Shape


def _transforms(shape: Shape, dim: Sequence[int], share: int) -> Work:
    """Returns the work of transforming a tensor along `dim`; `share` is 1 for complex data, 2 for real data."""
    points = math.prod(shape[axis] for axis in dim)
    if not dim or points < 2:
        return NO_WORK
    count = product(transforms=math.prod(shape) // points)
    butterflies = points * (points.bit_length() - 1) if points & (points - 1) == 0 else points * math.log2(points)
    whole, mul = round(5 * butterflies / share), round(2 * butterflies / share)
    names = ("2·N·log₂N", "3·N·log₂N") if share == 1 else ("N·log₂N", "1.5·N·log₂N")
    return Work(mul=count * product(**{names[0]: mul}), add=count * product(**{names[1]: whole - mul}))


@formula("aten::_fft_c2c")
def complex_to_complex(self: Shape, dim: Sequence[int]) -> Work:
    """Returns 5·N·log₂N for each transform."""
    return _transforms(self, dim, 1)


@formula("aten::_fft_r2c")
def real_to_complex(self: Shape, dim: Sequence[int]) -> Work:
    """Returns 2.5·N·log₂N for each transform, N being the number of real points."""
    return _transforms(self, dim, 2)


@formula("aten::_fft_c2r")
def complex_to_real(out: Shape, dim: Sequence[int]) -> Work:
    """Returns 2.5·N·log₂N for each transform, N being the number of real points."""
    return _transforms(out, dim, 2)
