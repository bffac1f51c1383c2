"""What has no rule is unknown and never 0; what is free is free by a rule, and no inner product is."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from helpers import MIXED_SHAPE, Mixed, counted, traced
from torch import Tensor, nn

from effbench.errors import InputError, UnknownName
from effbench.judge.convention import MACS_ONLY, Convention, Weights, conventions, is_free, weigh
from effbench.judge.conventions.full import WEIGHTS
from effbench.judge.count import by_op, by_type, count
from effbench.judge.free import MOVES_DATA, NO_INNER_PRODUCT
from effbench.judge.work import Formula, Work, formula, formulas
from effbench.records import Trace
from effbench.registry import Registry
from effbench.units import Unit


def without(*ops: str, weights: Weights = MACS_ONLY) -> Convention:
    """`macs` or another weighing, with the formulas of some ops taken out."""
    table = formulas.without(*ops)
    return Convention("cut", Unit.MAC, "a test's own", lambda trace: weigh(trace, weights, table))


# Unknown ops


@torch.library.custom_op("effbench_tests::scan", mutates_args=())
def scan(x: Tensor) -> Tensor:
    """A user's own op that effbench has never heard of."""
    return x.cumsum(-1)


@scan.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


_LIBRARY: Any = torch.library.Library("effbench_tests", "FRAGMENT")  # type: ignore[no-untyped-call]
_LIBRARY.define("shift(Tensor x) -> Tensor", tags=(torch.Tag.pointwise,))
_LIBRARY.define("peek(Tensor(a) x) -> Tensor(a)")
_LIBRARY.impl("shift", lambda x: x + 1, "CompositeExplicitAutograd")
_LIBRARY.impl("peek", lambda x: x.view(-1), "CompositeExplicitAutograd")


class WithScan(nn.Module):
    """A layer beside two calls of the user's op."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return scan(self.layer(scan(x)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("convention", ["macs", "full"])
def test_a_user_s_own_op_makes_the_total_unknown_and_is_named_with_its_calls(convention: str) -> None:
    counts = counted(traced(WithScan(), (3, 4)), convention)
    assert counts.total is counts.macs is counts.flops is None
    assert counts.coverage.unknown == {"effbench_tests::scan": 2}
    assert counts.coverage.counted == 1


def test_an_unknown_op_spoils_its_own_row_only() -> None:
    counts = counted(traced(WithScan(), (3, 4)))
    rows = {layer.path: layer.amount and layer.amount.value for layer in counts.layers}
    assert rows == {"": None, "layer": 48}
    assert {group.name: group.amount for group in by_op(counts)}["effbench_tests::scan"] is None
    assert {group.name.rpartition(".")[2]: group.amount for group in by_type(counts)} == {
        "WithScan": None,
        "Linear": 48,
    }


@pytest.mark.parametrize("convention", ["macs", "full"])
@pytest.mark.parametrize(
    ("function", "shapes", "op"),
    [
        pytest.param(torch.cdist, [(3, 4), (5, 4)], "aten::_cdist_forward", id="cdist"),
        pytest.param(torch.linalg.inv, [(4, 4)], "aten::linalg_inv_ex", id="inverse"),
        pytest.param(torch.matrix_exp, [(4, 4)], "aten::linalg_matrix_exp", id="matrix-exponential"),
        pytest.param(torch.linalg.qr, [(4, 4)], "aten::linalg_qr", id="qr"),
    ],
)
def test_torch_op_without_a_formula(function: Callable[..., Any], shapes: list[Any], op: str, convention: str) -> None:
    counts = counted(traced(function, *shapes), convention)
    assert counts.total is None
    assert counts.coverage.unknown[op] == 1


@pytest.mark.parametrize(
    ("function", "op"),
    [
        pytest.param(torch.fft.fft, "aten::_fft_r2c", id="real"),
        pytest.param(lambda x: torch.fft.fft(torch.complex(x, x)), "aten::_fft_c2c", id="complex"),
        pytest.param(lambda x: torch.fft.irfft2(torch.fft.rfft2(x)), "aten::_fft_c2r", id="back"),
    ],
)
def test_a_fourier_transform_has_no_number_of_macs(function: Callable[..., Any], op: str) -> None:
    counts = counted(traced(function, (8, 8)))
    assert counts.total is None
    assert op in counts.coverage.unknown


def mac_ops(found: Trace) -> list[str]:
    work = ((call.op, formulas.find(call.op), call) for call in found.ops)
    return sorted({op for op, entry, call in work if entry and entry.work(call, found.values).mac})


def test_each_formula_with_macs_taken_out_makes_the_total_unknown() -> None:
    found = traced(Mixed(), MIXED_SHAPE)
    ops = mac_ops(found)
    assert ops == [
        "aten::_trilinear",
        "aten::addmm",
        "aten::bmm",
        "aten::convolution",
        "aten::mm",
        "aten::scaled_dot_product_attention",
    ]
    assert counted(found).total is not None
    for op in ops:
        for weights in (MACS_ONLY, WEIGHTS):
            counts = count(found, without(op, weights=weights))
            assert counts.total is None
            assert counts.coverage.unknown == {op: sum(call.op == op for call in found.ops)}


@pytest.mark.parametrize("name", ["alexnet", "vit_b_32", "swin_v2_t", "mobilenet_v3_small"])
def test_each_formula_of_a_zoo_network_taken_out(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    size = 256 if name == "swin_v2_t" else 224
    with torch.device("meta"):
        found = traced(models.get_model(name), torch.empty(1, 3, size, size))
    assert mac_ops(found)
    for op in mac_ops(found):
        assert count(found, without(op)).total is None


def test_all_unknown_ops_are_named_together() -> None:
    found = traced(Mixed(), MIXED_SHAPE)
    unknown = count(found, without("aten::convolution", "aten::bmm")).coverage.unknown
    assert unknown == {"aten::convolution": 1, "aten::bmm": 2}


def test_an_unknown_convention_suggests_near_ones() -> None:
    with pytest.raises(UnknownName, match="did you mean macs"):
        conventions.get("mac")


# A formula of one's own


def test_a_formula_of_three_lines_makes_it_known() -> None:
    table = formulas.without()
    table.add("effbench_tests::scan", Formula(lambda x: x[0] * x[1], ("x",)))
    found = traced(WithScan(), (3, 4))
    ours = Convention("ours", Unit.MAC, "a test's own", lambda trace: weigh(trace, MACS_ONLY, table))
    assert count(found, ours).total == 12 + 48 + 12
    assert formulas.find("effbench_tests::scan") is None


def test_a_formula_gets_shapes_values_and_none_by_the_schema_s_names() -> None:
    seen: dict[str, Any] = {}

    def spy(**arguments: Any) -> Work:
        seen.update(arguments)
        return Work()

    names = ("input", "weight", "bias", "stride", "groups", "out", "outs")
    table = formulas.without("aten::convolution")
    table.add("aten::convolution", Formula(spy, names))
    found = traced(nn.Conv2d(4, 8, 3, 2, groups=2, bias=False), (1, 4, 9, 9))
    list(weigh(found, MACS_ONLY, table))
    assert seen == {
        "input": (1, 4, 9, 9),
        "weight": (8, 2, 3, 3),
        "bias": None,
        "stride": (2, 2),
        "groups": 2,
        "out": (1, 8, 4, 4),
        "outs": ((1, 8, 4, 4),),
    }


def test_a_second_formula_for_an_op_and_a_name_without_namespace_are_errors() -> None:
    with pytest.raises(InputError, match="aten::mm' is registered already"):
        formula("aten::mm")(lambda self: 0)
    with pytest.raises(InputError, match=r"lacks its namespace.*aten::mm"):
        formula("mm")


def test_registry_without_leaves_the_original_alone() -> None:
    table: Registry[int] = Registry("thing")
    table.add("a", 1)
    assert table.without("a").find("a") is None
    assert table.find("a") == 1


# Free ops


def calls_of(model: Any, *inputs: Any) -> dict[str, Any]:
    return {call.op: call for call in traced(model, *inputs).ops}


def test_a_view_is_free_under_every_convention() -> None:
    for model in (lambda x: x.view(-1), torch.ops.effbench_tests.peek):
        (call,) = calls_of(model, (2, 3)).values()
        assert call.is_view
        assert is_free(call, MACS_ONLY)
        assert is_free(call, WEIGHTS)


def test_an_op_tagged_pointwise_is_free_under_macs_only() -> None:
    call = calls_of(torch.ops.effbench_tests.shift, (2, 3))["effbench_tests::shift"]
    assert "pointwise" in call.tags
    assert is_free(call, MACS_ONLY)
    assert not is_free(call, WEIGHTS)
    found = traced(torch.ops.effbench_tests.shift, (2, 3))
    assert (counted(found).total, counted(found, "full").total) == (0, None)


def test_an_op_tagged_as_a_reduction_is_free_under_macs_only() -> None:
    found = traced(lambda x: x.amax(-1), (2, 3))
    (call,) = found.ops
    assert "reduction" in call.tags
    assert count(found, without("aten::amax")).total == 0
    assert count(found, without("aten::amax", weights=WEIGHTS)).total is None


def test_a_listed_op_is_free_and_its_neighbour_is_not() -> None:
    calls = calls_of(lambda x: torch.cat([x, torch.cdist(x, x)]), (3, 3))
    assert is_free(calls["aten::cat"], WEIGHTS)
    assert not is_free(calls["aten::_cdist_forward"], MACS_ONLY)


def test_what_has_no_exact_count_is_free_of_macs_and_unknown_under_full() -> None:
    found = traced(lambda x: x.sort(-1), (3, 4))
    assert (counted(found).total, counted(found, "full").total) == (0, None)


def test_every_free_op_has_a_reason() -> None:
    assert all(len(reason) > 5 for reason in {**MOVES_DATA, **NO_INNER_PRODUCT}.values())
    assert not set(MOVES_DATA) & set(NO_INNER_PRODUCT)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(list(MOVES_DATA), id="moves-data"),
        pytest.param(list(NO_INNER_PRODUCT), id="no-inner-product"),
        pytest.param(list(formulas.names()), id="formulas"),
    ],
)
def test_every_named_op_exists(names: Iterable[str]) -> None:
    """Kernels of vendors' libraries are declared in every build, so none needs an exception."""
    known = {schema.name for schema in torch._C._jit_get_all_schemas()}
    assert [name for name in names if name.startswith("aten::") and name not in known] == []


# Whatever multiplies pairs of elements and accumulates, by its name in ATen; none may pass for free.
INNER_PRODUCTS = """
    mm bmm addmm addbmm baddbmm mv addmv dot vdot addr matmul linear bilinear _trilinear einsum tensordot inner
    convolution _convolution conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d
    cudnn_convolution mkldnn_convolution miopen_convolution slow_conv3d slow_conv_transpose2d _conv_depthwise2d
    conv_depthwise3d scaled_dot_product_attention _scaled_dot_product_flash_attention
    _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention _flash_attention_forward
    _efficient_attention_forward _native_multi_head_attention _transformer_encoder_layer_fwd linalg_vecdot
    linalg_multi_dot linalg_matrix_power chain_matmul _cdist_forward _pdist_forward cdist lstm gru rnn_tanh
    rnn_relu lstm_cell gru_cell mkldnn_rnn_layer _cudnn_rnn _thnn_fused_lstm_cell _thnn_fused_gru_cell
    linalg_inv_ex linalg_solve linalg_lu linalg_qr _linalg_svd linalg_eigh linalg_cholesky_ex linalg_lstsq
    linalg_matrix_exp linalg_householder_product cholesky_solve triangular_solve ormqr lu_solve _fft_r2c _fft_c2c
    _fft_c2r affine_grid_generator _sparse_addmm _sparse_mm sspaddmm hspmm _int_mm _scaled_mm _grouped_mm
    _weight_int8pack_mm _weight_int4pack_mm mkldnn_linear _addmm_activation convolution_backward
"""


@pytest.mark.parametrize("name", INNER_PRODUCTS.split())
def test_no_inner_product_is_free(name: str) -> None:
    op = f"aten::{name}"
    assert op not in MOVES_DATA
    assert op not in NO_INNER_PRODUCT
    packet = getattr(torch.ops.aten, name, None)
    if packet is None or formulas.find(op) is not None:
        return
    for overload in packet.overloads():
        tags = {str(tag).rpartition(".")[2] for tag in getattr(packet, overload).tags}
        assert not tags & MACS_ONLY.free_tags
