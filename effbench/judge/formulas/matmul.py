"""Products of matrices and vectors. An (n, k) by (k, m) product takes n·k·m MACs (definition of the product).

The shapes of a sparse tensor are those of the dense one it stands for, and so are its MACs here; those over its stored
elements are counted apart, in `judge/sparsity.py`. Complex MACs become real ones in `judge/number_kinds.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from effbench.judge.algebra import ZERO, Expr, elements, product
from effbench.judge.formulas.elementwise import gelu
from effbench.judge.work import Work, formula
from effbench.records import Attr, Shape


def _matrix(left: Shape, right: Shape) -> Expr:
    """Returns n·k·m for (…, n, k) by (…, k, m), batch dimensions left out."""
    return product(rows=left[-2], **{"in": left[-1], "out": right[-1]})


def _added(self: Shape, out: Shape, alpha: Attr, beta: Attr) -> Work:
    """Returns the work around the product in beta·self + alpha·product: factors of 1 and a beta of 0 take none."""
    scaled = elements(out) if alpha not in (None, 1) else ZERO
    if beta == 0:
        return Work(mul=scaled)
    return Work(mul=scaled + (elements(self) if beta not in (None, 1) else ZERO), add=elements(out))


@formula("aten::mm", "aten::_int_mm")
def mm(mat2: Shape, self: Shape) -> Work:
    """Returns the work of (n, k) @ (k, m)."""
    return Work(mac=_matrix(self, mat2))


@formula("aten::hspmm")
def hspmm(mat1: Shape, mat2: Shape) -> Work:
    """Returns the work of a sparse (n, k) @ (k, m)."""
    return Work(mac=_matrix(mat1, mat2))


@formula("aten::_sparse_sparse_matmul")
def sparse_matmul(self: Shape, other: Shape) -> Work:
    """Returns the work of two sparse matrices' product."""
    return Work(mac=_matrix(self, other))


@formula("aten::_sparse_mm_reduce_impl")
def sparse_mm_reduce(self: Shape, other: Shape, reduce: str) -> Work:
    """Returns a product's MACs for a sum or a mean, which divides besides; an extremum compares instead of adding."""
    terms = _matrix(self, other)
    if reduce in ("amax", "amin"):
        return Work(mul=terms, cmp=terms)
    return Work(mac=terms, unknown=frozenset({"div"} if reduce == "mean" else ()))


@formula("aten::_grouped_mm")
def grouped_mm(self: Shape, mat2: Shape, bias: Shape | None, out: Shape) -> Work:
    """Returns the work of a mixture's experts: rows, columns or the inner dimension are shared out among the groups.

    Where both operands are batches, it is a batch's product; else the groups' products together are as many MACs as
    one product of all rows, all columns and the whole inner dimension.
    """
    together = _matrix(self, mat2)
    mac = product(G=self[0]) * together if len(self) == len(mat2) == 3 else together
    return Work(mac=mac, add=ZERO if bias is None else elements(out))


@formula("aten::_scaled_grouped_mm", "aten::_scaled_grouped_mm_v2")
def scaled_grouped_mm(self: Shape, mat2: Shape, out: Shape) -> Work:
    """Returns the same MACs; scales stand by row, block or group, so their work is unknown."""
    return replace(grouped_mm(self, mat2, None, out), unknown=frozenset({"add", "mul"}))


@formula("aten::_sparse_semi_structured_linear")
def semi_structured_linear(input: Shape, out: Shape) -> Work:
    """Returns rows·in·out MACs, as of the dense weight of which every second element is stored."""
    return Work(mac=elements(out) * product(**{"in": input[-1]}), unknown=frozenset({"add", "cmp"}))


@formula("aten::_sparse_semi_structured_mm", "aten::_sparse_semi_structured_addmm")
def semi_structured_mm(mat2: Shape, out: Shape) -> Work:
    """Returns n·k·m MACs, as of the dense matrix of which every second element is stored."""
    return Work(mac=elements(out) * product(**{"in": mat2[-2]}), unknown=frozenset({"add", "mul"}))


@formula("aten::_cslt_sparse_mm")
def compressed_mm(dense_B: Shape, out: Shape) -> Work:  # noqa: N803  named by the op's schema
    """Returns n·k·m MACs, as of the dense matrix of which every second element is stored."""
    return Work(mac=elements(out) * product(**{"in": dense_B[-2]}), unknown=frozenset({"add", "mul"}))


@formula("aten::addmm", "aten::addmm_", "aten::_sparse_addmm", "aten::sspaddmm")
def addmm(self: Shape, mat1: Shape, mat2: Shape, out: Shape, alpha: Attr, beta: Attr) -> Work:
    """Returns the work of bias + (n, k) @ (k, m): the product and one addition per output."""
    return Work(mac=_matrix(mat1, mat2)) + _added(self, out, alpha, beta)


@formula("aten::_addmm_activation")
def addmm_activation(
    self: Shape, mat1: Shape, mat2: Shape, out: Shape, alpha: Attr, beta: Attr, use_gelu: bool
) -> Work:
    """Returns the work of an addmm and of the ReLU or GELU that is fused into it."""
    activation = gelu(out, "none") if use_gelu else Work(cmp=elements(out))
    return addmm(self, mat1, mat2, out, alpha, beta) + activation


@formula("aten::bmm")
def bmm(self: Shape, mat2: Shape) -> Work:
    """Returns the work of (b, n, k) @ (b, k, m)."""
    return Work(mac=product(B=self[0]) * _matrix(self, mat2))


@formula("aten::baddbmm", "aten::baddbmm_")
def baddbmm(self: Shape, batch1: Shape, batch2: Shape, out: Shape, alpha: Attr, beta: Attr) -> Work:
    """Returns the work of input + (b, n, k) @ (b, k, m)."""
    return Work(mac=product(B=batch1[0]) * _matrix(batch1, batch2)) + _added(self, out, alpha, beta)


@formula("aten::addbmm", "aten::addbmm_")
def addbmm(self: Shape, batch1: Shape, batch2: Shape, out: Shape, alpha: Attr, beta: Attr) -> Work:
    """Returns the work of input + Σ over b of (b, n, k) @ (b, k, m); the sum over b is part of the inner product."""
    return Work(mac=product(B=batch1[0]) * _matrix(batch1, batch2)) + _added(self, out, alpha, beta)


@formula("aten::einsum")
def einsum(equation: str, tensors: Sequence[Shape]) -> Work:
    """Returns a MAC for every combination of indices of two tensors; more of them are contracted two by two."""
    if "." in equation or len(tensors) != 2:
        return Work(unknown=frozenset({"mac", "add", "mul"}))
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, tensors, strict=True):
        for letter, size in zip(term, shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))  # a size of 1 is spread over the other one's
    return Work(mac=product(**sizes))


@formula("aten::mv")
def mv(self: Shape) -> Work:
    """Returns the work of (n, k) @ (k)."""
    return Work(mac=product(rows=self[0], **{"in": self[1]}))


@formula("aten::addmv", "aten::addmv_")
def addmv(self: Shape, mat: Shape, out: Shape, alpha: Attr, beta: Attr) -> Work:
    """Returns the work of bias + (n, k) @ (k)."""
    return Work(mac=product(rows=mat[0], **{"in": mat[1]})) + _added(self, out, alpha, beta)


@formula("aten::dot", "aten::vdot")
def dot(self: Shape) -> Work:
    """Returns the work of (k) · (k)."""
    return Work(mac=product(**{"in": self[0]}))


@formula("aten::linalg_vecdot")
def vecdot(x: Shape, y: Shape) -> Work:
    """Returns the work of one inner product for every pair of vectors, broadcast along all dimensions but theirs."""
    longest = max(len(x), len(y))
    pairs = zip((1,) * (longest - len(x)) + x, (1,) * (longest - len(y)) + y, strict=True)
    return Work(mac=elements([b if a == 1 else a for a, b in pairs]))


@formula("aten::sparse_sampled_addmm")
def sampled_addmm(self: Shape, mat1: Shape, mat2: Shape) -> Work:
    """Returns the work of a product of which only the elements stored in a sparse matrix are kept.

    As of dense matrices, the whole product is counted; what is added to it depends on the stored elements.
    """
    return Work(mac=_matrix(mat1, mat2), unknown=frozenset({"add", "mul"}))


@formula("aten::addr", "aten::addr_")
def addr(self: Shape, vec1: Shape, vec2: Shape, out: Shape, alpha: Attr, beta: Attr) -> Work:
    """Returns the work of input + outer(n, m), a matrix product with k = 1."""
    return Work(mac=product(rows=vec1[0], out=vec2[0])) + _added(self, out, alpha, beta)


@formula("aten::linear", "aten::mkldnn_linear")
def linear(input: Shape, weight: Shape, bias: Shape | None, out: Shape) -> Work:
    """Returns rows·in·out MACs, and one addition per biased output; `weight` is (out, in)."""
    mac = elements(input[:-1], "rows") * product(**{"in": weight[-1], "out": weight[0]})
    return Work(mac=mac, add=elements(out)) if bias is not None else Work(mac=mac)


@formula("aten::_trilinear")
def trilinear(i1: Shape, i2: Shape, i3: Shape, out: Shape) -> Work:
    """Returns the work of nn.Bilinear's kernel: x₁ᵀ A x₂ per output.

    `i1` is (batch, 1, in1, 1) or alike, `i2` (1, out, in1, in2), `i3` (batch, 1, 1, in2): per row and output
    A x₂... is contracted first over in1 (out·in1·in2), then over in2 (out·in2), the golden value of users.md.
    """
    rows = out[0]
    outputs, first, second = i2[-3], i2[-2], i2[-1]
    mac = product(rows=rows, out=outputs, in1=first, in2=second) + product(rows=rows, out=outputs, in2=second)
    return Work(mac=mac)
