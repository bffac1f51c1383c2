"""What shapes do not tell of an op: that its numbers are complex, or that a tensor stores its non-zero elements only.

A formula is a function of shapes and speaks of real numbers in dense tensors. Here its work is restated:

- Complex numbers are counted in real operations, by the definition of their arithmetic: (a + bi)·(c + di) is 4 mul and
  2 add, so a complex MAC (a product and a complex addition) is 4 real MACs, as in LAPACK's operation counts (Blackford
  and Dongarra, LAPACK Working Note 41, 1999: 6 flops a product, 2 a sum). Where one operand is real, it takes 2 mul.
  (a + bi)/(c + di) is 6 mul, 3 add and 2 div. |z| = √(a² + b²) is 2 mul, 1 add and a root; exp(z) = eᵃ(cos b + i·sin b)
  is 3 special and 2 mul. What has no such definition here is unknown under `full`.
- A product with a sparse tensor has the MACs of the same product of dense tensors; what else an op does to the elements
  that are stored is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from effbench.judge.algebra import ZERO, elements
from effbench.judge.work import KINDS, Work
from effbench.records import OpCall, Value

_NOT_MAC = frozenset(KINDS) - {"mac"}

Restate: TypeAlias = Callable[[Work, OpCall, Sequence[Value]], Work]


def unusual(values: Iterable[Value]) -> frozenset[int]:
    """Returns the ids of the values that a formula's shapes do not describe: complex or sparse ones."""
    return frozenset([value.id for value in values if (value.shape and not value.strides) or is_complex(value)])


def is_complex(value: Value) -> bool:
    """Returns whether a value's elements are complex numbers."""
    return value.dtype.startswith("complex")


def is_sparse(value: Value) -> bool:
    """Returns whether a value has a layout without strides, which `Value.strides` records as none."""
    return bool(value.shape) and not value.strides


def touches(call: OpCall, numbers: frozenset[int]) -> bool:
    """Returns whether an op reads or returns one of the values."""
    return not numbers.isdisjoint(call.outputs) or any(number in numbers for number in _read(call))


def restated(work: Work, call: OpCall, values: Sequence[Value]) -> Work:
    """Returns the work of an op that reads or returns complex or sparse values, in real operations."""
    seen = [values[number] for number in (*_read(call), *call.outputs)]
    if any(map(is_sparse, seen)):
        work = work if call.op in SPARSE_PRODUCTS else _known_macs_only(work)
    if any(map(is_complex, seen)):
        work = _COMPLEX.get(call.op.removesuffix("_"), _unknown)(work, call, values)
    return work


def _read(call: OpCall) -> Iterable[int]:
    for ids in call.inputs.values():
        yield from (ids,) if isinstance(ids, int) else ids


def _known_macs_only(work: Work) -> Work:
    """Returns the MACs; the other kinds that there are some of become unknown."""
    some = frozenset(kind for kind in _NOT_MAC if getattr(work, kind))
    return replace(work, unknown=work.unknown | some)


SPARSE_PRODUCTS = frozenset(
    f"aten::{name}"
    for name in [
        "mm",
        "bmm",
        "mv",
        "addmm",
        "addmm_",
        "addmv",
        "addmv_",
        "baddbmm",
        "_sparse_addmm",
        "sspaddmm",
        "hspmm",
        "_sparse_sparse_matmul",
        "sparse_sampled_addmm",
    ]
)
"""Products that take a sparse operand; what they add afterwards is dense."""


def _unknown(work: Work, call: OpCall, values: Sequence[Value]) -> Work:
    return _known_macs_only(replace(work, mac=work.mac * 4))


def _linear(work: Work, call: OpCall, values: Sequence[Value]) -> Work:
    """Restates sums and inner products: a MAC is 4, an addition 2, a scaling by a real number 2 mul."""
    return replace(work, mac=work.mac * 4, add=work.add * 2, mul=work.mul * 2)


def _added(work: Work, call: OpCall, values: Sequence[Value]) -> Work:
    """Restates an element-wise sum: a real number is added to the real part alone."""
    parts = 2 if _complex_operands(call, values) > 1 else 1
    return replace(work, add=work.add * parts, mul=work.mul * 2)


def _multiplied(work: Work, call: OpCall, values: Sequence[Value]) -> Work:
    if _complex_operands(call, values) > 1:
        return replace(work, mul=work.mul * 4, add=work.mul * 2)
    return replace(work, mul=work.mul * 2)


def _divided(work: Work, call: OpCall, values: Sequence[Value]) -> Work:
    divisor = _operands(call, values).get("other", False)
    if not divisor:
        return replace(work, div=work.div * 2)
    if _complex_operands(call, values) > 1:
        return replace(work, mul=work.div * 6, add=work.div * 3, div=work.div * 2)
    return replace(work, mul=work.div * 4, add=work.div, div=work.div * 2)


def _mean(work: Work, call: OpCall, values: Sequence[Value]) -> Work:
    return replace(work, add=work.add * 2, div=work.div * 2)


def _modulus(work: Work, call: OpCall, values: Sequence[Value]) -> Work:
    n = elements(values[call.outputs[0]].shape)
    return replace(work, cmp=ZERO, mul=n * 2, add=n, special=n)


def _exponential(work: Work, call: OpCall, values: Sequence[Value]) -> Work:
    return replace(work, special=work.special * 3, mul=work.special * 2)


def _as_it_is(work: Work, call: OpCall, values: Sequence[Value]) -> Work:
    return work


def _operands(call: OpCall, values: Sequence[Value]) -> Mapping[str, bool]:
    """Returns, by its name, whether an operand is complex; a complex scalar is recorded as text such as "2j"."""
    found = {name: is_complex(values[ids]) for name, ids in call.inputs.items() if isinstance(ids, int)}
    return {**found, **{name: _is_complex_text(call.attrs[name]) for name in ("self", "other") if name in call.attrs}}


def _complex_operands(call: OpCall, values: Sequence[Value]) -> int:
    return sum(_operands(call, values).get(name, False) for name in ("self", "other"))


def _is_complex_text(attr: object) -> bool:
    return isinstance(attr, str) and attr.strip("()").endswith("j")


_COMPLEX: Mapping[str, Restate] = {
    **dict.fromkeys(
        [
            f"aten::{name}"
            for name in [
                *[
                    "mm",
                    "bmm",
                    "mv",
                    "dot",
                    "vdot",
                    "linalg_vecdot",
                    "addmm",
                    "addmv",
                    "addbmm",
                    "baddbmm",
                    "addr",
                    "linear",
                    "einsum",
                ],
                *["convolution", "_convolution", "conv1d", "conv2d", "conv3d", "sum", "cumsum"],
                *["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"],
            ]
        ],
        _linear,
    ),
    **dict.fromkeys(["aten::add", "aten::sub", "aten::rsub"], _added),
    "aten::mul": _multiplied,
    "aten::div": _divided,
    "aten::mean": _mean,
    "aten::abs": _modulus,
    "aten::exp": _exponential,
    # These speak of real operations themselves.
    **dict.fromkeys(["aten::_fft_c2c", "aten::_fft_c2r", "aten::_fft_r2c", "aten::polar"], _as_it_is),
}
