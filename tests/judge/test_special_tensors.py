"""Tensors that are more than dense floats: complex, sparse, quantised, taken to frequencies, routed to experts."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import Call, counted, expect, macs, params, traced, traced_for_real
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune

import effbench as eb
from effbench.errors import InputError
from effbench.judge.number_kinds import _COMPLEX, SPARSE_PRODUCTS
from effbench.judge.sparsity import nonzero_macs
from effbench.judge.work import formulas
from effbench.records import Trace

# Complex numbers: a product is 4 real products and 2 real sums, a sum 2, so a complex MAC is 4 real MACs


def z(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.complex64)


@pytest.mark.parametrize(
    ("function", "inputs", "mac", "other"),
    [
        pytest.param(torch.mm, [z(3, 4), z(4, 5)], 4 * 60, 0, id="mm"),
        pytest.param(lambda a, b: a @ b, [z(2, 3, 4), z(4, 5)], 4 * 120, 0, id="matmul"),
        pytest.param(torch.vdot, [z(7), z(7)], 4 * 7, 0, id="vdot"),
        pytest.param(torch.linalg.vecdot, [z(2, 7), z(2, 7)], 4 * 2 * 7, 0, id="vecdot"),
        pytest.param(torch.addmm, [z(5), z(3, 4), z(4, 5)], 4 * 60, 2 * 15, id="addmm"),
        pytest.param(nn.Linear(4, 5, dtype=torch.complex64), [z(3, 4)], 4 * 60, 2 * 15, id="linear"),
        pytest.param(lambda a, b: torch.einsum("ij,jk->ik", a, b), [z(3, 4), z(4, 5)], 4 * 60, 0, id="einsum"),
        pytest.param(F.conv2d, [z(1, 3, 8, 8), z(4, 3, 3, 3)], 4 * 36 * 4 * 27, 0, id="conv"),
        pytest.param(
            nn.Conv1d(3, 4, 3, dtype=torch.complex64), [z(2, 3, 8)], 4 * 2 * 6 * 4 * 9, 2 * 2 * 6 * 4, id="conv-bias"
        ),
        pytest.param(
            nn.ConvTranspose2d(3, 4, 2, 2, bias=False, dtype=torch.complex64),
            [z(1, 3, 5, 5)],
            4 * 25 * 3 * 4 * 4,
            0,
            id="transposed",
        ),
        pytest.param(torch.mul, [z(3, 4), z(3, 4)], 0, 12 * (4 + 2), id="mul"),
        pytest.param(torch.mul, [z(3, 4), torch.zeros(3, 4)], 0, 12 * 2, id="mul-real"),
        pytest.param(lambda a: a * 2.0, [z(3, 4)], 0, 12 * 2, id="mul-real-number"),
        pytest.param(lambda a: a * 2j, [z(3, 4)], 0, 12 * (4 + 2), id="mul-complex-number"),
        pytest.param(torch.add, [z(3, 4), z(3, 4)], 0, 12 * 2, id="add"),
        pytest.param(torch.add, [z(3, 4), torch.zeros(3, 4)], 0, 12, id="add-real"),
        pytest.param(torch.div, [z(3, 4), z(3, 4)], 0, 12 * (6 + 3 + 2), id="div"),
        pytest.param(torch.div, [z(3, 4), torch.zeros(3, 4)], 0, 12 * 2, id="div-by-real"),
        pytest.param(lambda a, b: b / a, [z(3, 4), torch.zeros(3, 4)], 0, 12 * (4 + 1 + 2), id="real-by-complex"),
        pytest.param(torch.abs, [z(3, 4)], 0, 12 * (2 + 1 + 1), id="abs"),
        pytest.param(torch.exp, [z(3, 4)], 0, 12 * (3 + 2), id="exp"),
        pytest.param(torch.sum, [z(3, 4)], 0, 11 * 2, id="sum"),
        pytest.param(torch.mean, [z(3, 4)], 0, 11 * 2 + 2, id="mean"),
        pytest.param(torch.polar, [(3, 4), (3, 4)], 0, 12 * 4, id="polar"),
        pytest.param(lambda a: torch.view_as_real(a.conj().resolve_conj()), [z(3, 4)], 0, 0, id="conj"),
    ],
)
def test_complex_work_is_counted_in_real_operations(
    function: Callable[..., Any], inputs: list[Any], mac: int, other: int
) -> None:
    expect(function, *inputs, mac=mac, other=other)


def test_a_complex_product_written_in_real_ones_has_the_same_macs() -> None:
    def by_parts(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
        return torch.complex(a @ c - b @ d, a @ d + b @ c)

    assert macs(by_parts, (3, 4), (3, 4), (4, 5), (4, 5)) == macs(torch.mm, z(3, 4), z(4, 5)) == 240


def test_what_has_no_definition_in_real_operations_is_unknown_under_full_alone() -> None:
    found = traced(lambda a, b: (a @ b).tanh(), z(3, 4), z(4, 5))
    assert counted(found).total == 240
    assert counted(found, "full").total is None
    assert counted(found, "full").coverage.unknown == {"aten::tanh": 1}


def test_the_ops_restated_have_formulas() -> None:
    assert [name for name in (*_COMPLEX, *SPARSE_PRODUCTS) if formulas.find(name) is None] == []


# Fourier transforms: 5·N·log₂N for a complex one, half for a real one; MACs unknown


@pytest.mark.parametrize(
    ("function", "x", "flops"),
    [
        pytest.param(torch.fft.fft, z(3, 16), 3 * 5 * 16 * 4, id="fft"),
        pytest.param(torch.fft.ifft, z(3, 16), 3 * 5 * 16 * 4, id="ifft"),
        pytest.param(torch.fft.fft2, z(3, 8, 16), 3 * 5 * 128 * 7, id="fft2"),
        pytest.param(torch.fft.fftn, z(4, 8, 16), 5 * 512 * 9, id="fftn"),
        pytest.param(lambda x: torch.fft.fftn(x, dim=(0, 2)), z(4, 3, 16), 3 * 5 * 64 * 6, id="two-of-three"),
        pytest.param(torch.fft.rfft, (3, 16), 3 * 5 * 16 * 4 // 2, id="rfft"),
        pytest.param(torch.fft.rfft2, (3, 8, 16), 3 * 5 * 128 * 7 // 2, id="rfft2"),
        pytest.param(torch.fft.irfft, z(3, 9), 3 * 5 * 16 * 4 // 2, id="irfft"),
        pytest.param(torch.fft.irfft2, z(3, 8, 9), 3 * 5 * 128 * 7 // 2, id="irfft2"),
        pytest.param(lambda x: torch.fft.rfft(x, n=32), (3, 16), 3 * 5 * 32 * 5 // 2, id="padded"),
        pytest.param(torch.fft.fft, z(3, 12), 3 * round(5 * 12 * math.log2(12)), id="no-power-of-two"),
        pytest.param(torch.fft.fft, z(7, 1), 0, id="one-point"),
        pytest.param(torch.fft.fftshift, (3, 16), 0, id="shift"),
        # 97 frames of 16 points, each multiplied by a window of ones that is given
        pytest.param(
            lambda x: torch.stft(x, 16, 4, window=torch.ones(16, device=x.device), return_complex=True, center=False),
            (400,),
            97 * (5 * 16 * 4 // 2 + 16),
            id="stft",
        ),
    ],
)
def test_fft(function: Callable[..., Any], x: Any, flops: int) -> None:
    found = traced(function, x)
    assert counted(found, "full").total == flops
    transforms = [call.op for call in found.ops if "_fft_" in call.op]
    assert counted(found).total == (None if transforms else 0)
    assert set(counted(found).coverage.unknown) == set(transforms)


def test_an_fft_makes_a_model_s_macs_unknown_and_its_flops_not() -> None:
    """A layer that mixes in frequencies: transform, a weight for each frequency, back."""
    weight = torch.rand(9, dtype=torch.complex64)

    def mix(x: Tensor) -> Any:
        mixed: Tensor = torch.fft.irfft(torch.fft.rfft(x) * weight.to(x.device), n=16)
        return mixed

    found = traced(nn.Sequential(nn.Linear(16, 16), Call(mix)), (3, 16))
    assert counted(found).total is None
    assert counted(found, "full").total == 2 * 3 * 256 + 3 * 16 + 3 * (160 + 160) + 3 * 9 * 6


# Sparse tensors: dense MACs, and beside them those of the elements that are stored

LAYOUTS = [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr]


def sparse(dense: Tensor, layout: torch.layout) -> Tensor:
    if layout is torch.sparse_bsr:
        return dense.to_sparse(layout=layout, blocksize=(2, 2))
    return dense.to_sparse(layout=layout)


class SparseWeight(nn.Module):
    """A weight that stores the diagonal of 6 × 6."""

    def __init__(self, layout: torch.layout) -> None:
        super().__init__()
        self.weight = nn.Parameter(sparse(torch.eye(6), layout))

    def forward(self, x: Tensor) -> Any:
        return self.weight @ x


def with_nonzeros(model: nn.Module, *inputs: Any) -> Trace:
    return eb.profile(model, [torch.rand(x) if isinstance(x, tuple) else x for x in inputs], facts=("nonzeros",)).trace


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_sparse_weight(layout: torch.layout) -> None:
    model = SparseWeight(layout)
    stored = 3 * 2 * 2 if layout is torch.sparse_bsr else 6
    assert macs(model, (6, 5)) == 6 * 6 * 5
    # of a block on the diagonal half the elements stored are zero
    assert nonzero_macs(with_nonzeros(model, (6, 5))) == 6 * 5
    assert stored >= 6


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize(
    ("function", "inputs", "mac", "nonzero"),
    [
        pytest.param(torch.mm, ["s", (6, 5)], 180, 30, id="mm"),
        pytest.param(torch.sparse.mm, ["s", (6, 5)], 180, 30, id="sparse.mm"),
        pytest.param(torch.sparse.addmm, [(6, 5), "s", (6, 5)], 180, 30, id="sparse.addmm"),
        pytest.param(torch.addmm, [(6, 5), "s", (6, 5)], 180, 30, id="addmm"),
        pytest.param(torch.mv, ["s", (6,)], 36, 6, id="mv"),
        pytest.param(torch.bmm, [torch.eye(6).expand(2, 6, 6).to_sparse(), (2, 6, 5)], 360, 60, id="bmm"),
        pytest.param(torch.hspmm, ["s", (6, 5)], 180, 30, id="hspmm"),
    ],
)
def test_products_with_a_sparse_input(function: Any, inputs: list[Any], mac: int, nonzero: int) -> None:
    given = [torch.eye(6).to_sparse() if item == "s" else item for item in inputs]
    assert macs(function, *given) == mac
    assert nonzero_macs(with_nonzeros(Call(function), *given)) == nonzero


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_two_sparse_factors_have_dense_macs_and_no_second_figure() -> None:
    """How many products of two stored elements there are lies in where they are, and not in how many."""
    both = [torch.eye(6).to_sparse()] * 2
    assert macs(torch.sparse.mm, *both) == 216
    assert nonzero_macs(with_nonzeros(Call(torch.sparse.mm), *both)) is None


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_element_by_element_on_a_sparse_tensor_is_unknown_under_full() -> None:
    found = traced(lambda s, x: (s * 2) @ x, torch.eye(6).to_sparse(), (6, 5))
    assert counted(found).total == 180
    assert counted(found, "full").coverage.unknown == {"aten::mul": 1}


@pytest.mark.skipif(not torch._C._has_mkldnn, reason="this PyTorch has no oneDNN")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:.*jit:FutureWarning")
def test_tensors_in_the_layout_of_onednn_are_dense() -> None:
    from torch.utils.mkldnn import to_mkldnn

    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    x = torch.rand(1, 3, 8, 8)
    packed = to_mkldnn(plain)  # type: ignore[no-untyped-call]
    for convention in ("macs", "full"):
        found = traced(packed, x.to_mkldnn())
        assert counted(found, convention).total == counted(traced(plain, x), convention).total is not None


# Zeros in dense weights


def test_zeros_in_a_weight_leave_the_macs_alone_and_are_counted_beside() -> None:
    convolution, linear = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8 * 16, 10)
    model = nn.Sequential(convolution, nn.Flatten(), linear, nn.BatchNorm1d(10))
    with torch.no_grad():
        convolution.weight[:6] = 0  # 2 of 8 filters are left
        linear.weight[:, ::2] = 0  # and every second input
    profile = eb.profile(model, torch.rand(2, 3, 4, 4), facts=("nonzeros",))
    dense = 2 * (16 * 8 * 27 + 128 * 10)
    assert profile.macs == dense
    assert profile.nonzero_macs == 2 * (16 * 2 * 27 + 64 * 10)
    assert [note.code for note in profile.notes] == ["real-run"]
    assert profile.to_dict()["nonzero_macs"] == profile.nonzero_macs
    without = eb.profile(model, torch.rand(2, 3, 4, 4))
    assert without.nonzero_macs is None
    assert "nonzero_macs" not in without.to_dict()


def test_the_second_figure_survives_a_record(tmp_path: Path) -> None:
    layer = nn.Linear(10, 10)
    prune.l1_unstructured(layer, "weight", amount=70)  # type: ignore[no-untyped-call]
    profile = eb.profile(layer, torch.rand(3, 10), facts=["nonzeros"])
    eb.record(profile, tmp_path)
    (stored,) = eb.read_folder(tmp_path).records
    assert stored.trace == profile.trace
    assert stored.trace is not None
    assert nonzero_macs(stored.trace) == 90


def test_zeros_made_by_pruning_are_seen_in_the_weight_that_is_used() -> None:
    layer = nn.Linear(10, 10)
    prune.l1_unstructured(layer, "weight", amount=70)  # type: ignore[no-untyped-call]
    profile = eb.profile(layer, torch.rand(3, 10), facts=("nonzeros",))
    assert profile.macs == 300
    assert profile.nonzero_macs == 3 * 30
    assert "reparametrised" in {note.code for note in profile.notes}


def test_attention_and_recurrent_layers_without_zeros_have_nothing_to_leave_out() -> None:
    for model, shape in (
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8)),
        (nn.LSTM(4, 5, 2), (7, 3, 4)),
        (nn.Sequential(nn.ConvTranspose2d(3, 4, 2), nn.Conv2d(4, 4, 1)), (1, 3, 5, 5)),
    ):
        profile = eb.profile(model, torch.rand(shape), facts=("nonzeros",))
        assert profile.nonzero_macs == profile.macs is not None


def test_zeros_of_weights_without_values_cannot_be_counted() -> None:
    with torch.device("meta"):
        model = nn.Linear(3, 3)
    with pytest.raises(InputError, match="lie on meta and have no values"):
        eb.profile(model, torch.rand(1, 3), facts=("nonzeros",))


# Quantised weights: as many MACs of integers, one byte each

ao = pytest.importorskip("torch.ao.quantization")

quantisation = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


class Small(nn.Module):
    """A convolution, a transposed and a depth-wise one, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.quantise, self.dequantise = ao.QuantStub(), ao.DeQuantStub()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.relu = nn.ReLU()
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8, bias=False)
        self.line = nn.Conv1d(8, 4, 3)
        self.linear = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(self.relu(self.first(self.quantise(x))))
        x = self.line(x.flatten(2)).mean(-1)
        return self.dequantise(self.linear(x))  # type: ignore[no-any-return]


SMALL_MACS = 2 * (64 * 8 * 27 + 36 * 8 * 9 + 34 * 4 * 8 * 3 + 4 * 5)
SMALL_PARAMS = (8 * 27 + 8) + 8 * 9 + (4 * 24 + 4) + (4 * 5 + 5)


def quantised() -> nn.Module:
    model = Small().eval()
    ao.fuse_modules(model, [["first", "relu"]], inplace=True)
    model.qconfig = ao.get_default_qconfig(torch.backends.quantized.engine)
    prepared = ao.prepare(model)
    prepared(torch.rand(2, 3, 8, 8))
    converted: nn.Module = ao.convert(prepared)
    return converted


@quantisation
def test_a_statically_quantised_network_has_the_macs_of_the_float_one() -> None:
    model = quantised()
    found = traced(model, (2, 3, 8, 8))
    assert macs(Small(), (2, 3, 8, 8)) == SMALL_MACS
    assert counted(found).total == SMALL_MACS
    assert not counted(found).coverage.unknown
    assert params(found) == SMALL_PARAMS
    weights = {param.name: (param.dtype, param.nbytes) for param in found.params}
    assert weights["first.weight"] == ("qint8", 8 * 27)
    assert weights["first.bias"] == ("float32", 8 * 4)
    assert weights["linear._packed_params.weight"] == ("qint8", 20)
    rows = {layer.path: layer.amount.value for layer in counted(found).layers if layer.amount}
    assert rows == {
        "first": 2 * 64 * 8 * 27,
        "depthwise": 2 * 36 * 8 * 9,
        "line": 2 * 34 * 4 * 24,
        "linear": 2 * 20,
    }
    assert [note.code for note in found.notes] == ["real-run"]
    assert nonzero_macs(found) is None


@quantisation
def test_a_quantised_network_s_zeros_are_those_of_its_integers() -> None:
    layer = nn.Linear(6, 6)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(6))
    packed = ao.quantize_dynamic(nn.Sequential(layer), {nn.Linear})
    assert eb.profile(packed, torch.rand(2, 6), facts=("nonzeros",)).nonzero_macs == 2 * 6


@quantisation
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        pytest.param(nn.Linear(6, 5), (3, 6), id="linear"),
        pytest.param(nn.LSTM(6, 5, 2), (7, 3, 6), id="lstm"),
        pytest.param(nn.GRU(6, 5, 2, bidirectional=True), (7, 3, 6), id="gru"),
        pytest.param(nn.LSTMCell(6, 5), (3, 6), id="lstm-cell"),
        pytest.param(nn.GRUCell(6, 5), (3, 6), id="gru-cell"),
        pytest.param(nn.RNNCell(6, 5), (3, 6), id="rnn-cell"),
    ],
)
def test_dynamically_quantised_layers(layer: nn.Module, shape: tuple[int, ...]) -> None:
    model = nn.Sequential(layer)
    plain = traced(model, shape)
    packed = ao.quantize_dynamic(model, {type(layer)})
    assert "Dynamic" in repr(packed)
    found = traced(packed, shape)
    assert counted(found).total == counted(plain).total is not None
    assert params(found) == params(plain)
    weights = sum(param.nbytes for param in found.params if param.dtype == "qint8")
    assert weights == sum(param.numel for param in plain.params if len(param.shape) == 2)
    assert counted(found, "full").total is None
    assert next(iter(counted(found, "full").coverage.unknown)).startswith(("quantized::", "aten::quantized_"))


@quantisation
def test_to_integers_and_back() -> None:
    """x/S + Z and a clamp: 1 div, 1 add, 2 cmp; (q − Z)·S: 1 add, 1 mul."""
    expect(lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8).dequantize(), (3, 4), other=12 * (4 + 2))
    expect(lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, 0, 255), (3, 4), other=12 * (4 + 2))


@quantisation
def test_a_product_of_integers_is_quantised_again() -> None:
    """A bias, then x·M + Z and a clamp for each result."""
    model: Any = quantised().linear
    x = torch.quantize_per_tensor(torch.rand(3, 4), 0.1, 0, torch.quint8)
    expect(model, x, mac=60, other=15 + 15 * (1 + 1 + 2))


@pytest.mark.parametrize(
    ("function", "inputs", "mac"),
    [
        pytest.param(torch._int_mm, [torch.zeros(32, 8).char(), torch.zeros(8, 16).char()], 32 * 8 * 16, id="int8"),
        pytest.param(
            torch._weight_int8pack_mm,
            [torch.zeros(3, 32).bfloat16(), torch.zeros(64, 32).char(), torch.zeros(64).bfloat16()],
            3 * 32 * 64,
            id="int8-weights",
        ),
        pytest.param(
            lambda a, b, s: torch._scaled_mm(a, b.t(), s, s, out_dtype=torch.bfloat16),
            [
                torch.zeros(16, 32).to(torch.float8_e4m3fn),
                torch.zeros(48, 32).to(torch.float8_e4m3fn),
                torch.ones(()),
            ],
            16 * 32 * 48,
            id="float8",
        ),
    ],
)
def test_products_of_small_numbers(function: Callable[..., Any], inputs: list[Tensor], mac: int) -> None:
    assert macs(function, *inputs) == mac


@quantisation
def test_a_zoo_network_quantised() -> None:
    zoo = pytest.importorskip("torchvision.models.quantization")
    plain = macs(zoo.mobilenet_v2(quantize=False).eval(), (1, 3, 64, 64))
    found = traced(zoo.mobilenet_v2(quantize=True).eval(), (1, 3, 64, 64))
    assert counted(found).total == plain is not None
    # batch norms are folded into the convolutions: a bias for each output channel instead of γ and β
    assert params(found) < params(traced(zoo.mobilenet_v2(quantize=False), (1, 3, 64, 64)))


# Experts: which one works is a matter of data


class Experts(nn.Module):
    """Each token goes to the one expert that its router scores highest."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(8, 4, bias=False)
        self.experts = nn.ModuleList(nn.Linear(8, 8, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.router(x).argmax(-1)
        out = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            mine = (chosen == index).nonzero()[:, 0]
            out = out.index_add(0, mine, expert(x[mine]))
        return out


def test_a_mixture_of_experts_costs_what_its_tokens_cost() -> None:
    """Whatever the router says, every token meets one expert of 8 × 8; a real run says how the tokens fell."""
    model, x = Experts(), torch.rand(10, 8)
    found = traced(model, x)
    assert counted(found).total == 10 * (8 * 4 + 8 * 8)
    assert [note.code for note in found.notes] == ["real-run"]
    shares = [counted(found).layers[index].amount for index in range(3, 7)]
    chosen = model.router(x).argmax(-1).bincount(minlength=4)
    assert [share.value // 64 for share in shares if share is not None] == chosen.tolist()


@pytest.mark.parametrize(
    ("left", "right", "mac"),
    [
        pytest.param((32, 16), (2, 16, 48), 32 * 16 * 48, id="rows"),
        pytest.param((2, 32, 16), (2, 16, 48), 2 * 32 * 16 * 48, id="batch"),
        pytest.param((32, 16), (16, 48), 32 * 16 * 48, id="inner"),
        pytest.param((2, 32, 16), (16, 48), 32 * 16 * 48, id="columns"),
    ],
)
def test_products_of_groups(left: tuple[int, ...], right: tuple[int, ...], mac: int) -> None:
    """Rows, columns or the inner dimension fall to groups as `offs` says; together they are one product."""
    with torch.device("meta"):
        a, b = torch.empty(left, dtype=torch.bfloat16), torch.empty(right, dtype=torch.bfloat16)
        offs = None if len(left) == len(right) == 3 else torch.empty(2, dtype=torch.int32)
    expect(lambda a, b: torch._grouped_mm(a, b, offs=offs), a, b, mac=mac)


# Networks of transformers: experts behind a router, a cache of keys and values that outlives a call

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
PROJECTIONS = 32 * 32 + 2 * 32 * 16 + 32 * 32  # 4 heads of queries, 2 of keys and values


def decoder(name: str, **options: Any) -> nn.Module:
    hub = pytest.importorskip("transformers")
    config = getattr(hub, f"{name}Config")(**SIZES, num_key_value_heads=2, vocab_size=100, **options)
    model: nn.Module = getattr(hub, f"{name}ForCausalLM")(config).eval()
    return model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_experts_of_mixtral(dtype: torch.dtype) -> None:
    """Each of 16 tokens meets 2 of 4 experts of 3 matrices; in bfloat16 their grouped products need no data."""
    model = decoder("Mixtral", num_local_experts=4, num_experts_per_tok=2).to(dtype)
    layer = 16 * PROJECTIONS + 16 * 16 * 2 * 32 + 16 * 32 * 4 + 16 * 2 * 3 * 32 * 64
    assert macs(model, input_ids=torch.zeros(1, 16, dtype=torch.int64)) == 2 * layer + 16 * 32 * 100
    if dtype is torch.bfloat16:
        found = traced(model.to("meta"), input_ids=torch.zeros(1, 16, dtype=torch.int64, device="meta"))
        assert counted(found).total == 2 * layer + 16 * 32 * 100


def test_one_token_after_seven_in_a_cache_that_stays_at_seven() -> None:
    model = decoder("Llama")
    with torch.no_grad():
        cache = model(torch.zeros(1, 7, dtype=torch.int64), use_cache=True).past_key_values
    step = 2 * (PROJECTIONS + 8 * 2 * 32 + 3 * 32 * 64) + 32 * 100
    for _ in range(2):
        assert macs(model, input_ids=torch.zeros(1, 1, dtype=torch.int64), past_key_values=cache) == step
        assert cache.get_seq_length() == 7


# Gradients inside a forward pass


def test_the_gradient_of_a_convolution_is_twice_its_macs_again() -> None:
    def gradient(x: Tensor, weight: Tensor) -> Tensor:
        with torch.enable_grad():
            x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
            return torch.cat([g.flatten() for g in torch.autograd.grad(F.conv2d(x, weight).sum(), (x, weight))])

    once = 2 * 36 * 4 * 27
    assert macs(gradient, (2, 3, 8, 8), (4, 3, 3, 3)) == 3 * once
    assert counted(traced_for_real(Call(gradient), (2, 3, 8, 8), (4, 3, 3, 3))).total == 3 * once


def test_a_loss_s_gradient_through_layers_without_inner_products() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GELU(), nn.MaxPool2d(2), nn.LayerNorm(3), nn.Softmax(-1)
    )

    def gradient(x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(F.mse_loss(net(x), torch.zeros(2, 4, 3, 3, device=x.device)), x)[0]

    found = traced(Wrapped(net, gradient), (2, 3, 8, 8))
    assert counted(found).total == 2 * (2 * 36 * 4 * 27)  # the input's gradient alone
    unknown = counted(found, "full").coverage.unknown
    assert unknown["aten::native_layer_norm_backward"] == unknown["aten::gelu_backward"] == 1


class Wrapped(nn.Module):
    """A function of a network."""

    def __init__(self, net: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.net, self._function = net, function

    def forward(self, x: Tensor) -> Any:
        return self._function(x)


# What the recorder lists for torchvision's own ops


def test_a_deformable_convolution_has_the_macs_of_a_convolution() -> None:
    ops = pytest.importorskip("torchvision.ops")
    layer = ops.DeformConv2d(6, 4, 3, padding=1, groups=2)
    assert macs(layer, (2, 6, 5, 5), (2, 18, 5, 5)) == 2 * 25 * 4 * 3 * 9


def test_an_affine_grid_is_a_product_of_each_position_with_a_matrix() -> None:
    expect(lambda theta: F.affine_grid(theta, [2, 3, 4, 5]), (2, 2, 3), mac=2 * 20 * 6)
    expect(lambda theta: F.affine_grid(theta, [2, 3, 4, 5, 6]), (2, 3, 4), mac=2 * 120 * 12)


def test_a_convolution_over_time_batch_channels() -> None:
    expect(torch.conv_tbc, (9, 2, 3), (3, 3, 4), (4,), mac=7 * 2 * 4 * 3 * 3, other=7 * 2 * 4)
