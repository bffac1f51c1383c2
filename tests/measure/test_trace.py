"""One pass: with data or without, what it says when it fails, its digest and its modes."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from helpers import Call, Net, counted, load, macs, params, traced
from torch import Tensor, nn

from effbench.errors import ModelError
from effbench.measure.source import Build, Loaded, ModelInputs
from effbench.measure.trace import trace
from effbench.records import Trace


def notes(found: Trace) -> dict[str, str]:
    return {note.code: note.text for note in found.notes}


# With data and without


class Seen(NamedTuple):
    """A build that remembers what it was asked for."""

    devices: list[str]
    build: Build


def seen(factory: Callable[[], nn.Module]) -> Seen:
    devices: list[str] = []

    def build(device: str) -> nn.Module:
        devices.append(device)
        with torch.device(device):
            return factory()

    return Seen(devices, build)


def test_a_model_is_built_without_memory_where_that_is_possible() -> None:
    devices, build = seen(lambda: nn.Linear(100_000, 100_000))  # 40 GB of weights
    found = trace(Loaded("big", None, build, ModelInputs((torch.zeros(1, 100_000),))))
    assert devices == ["meta"]
    assert counted(found).total == params(found) - 100_000 == 10**10
    assert found.notes == ()


class WidthFromData(nn.Module):
    """Reads a value of a tensor while it is built."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, int(torch.tensor(3).item()))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


def test_a_constructor_that_reads_data_is_run_for_real() -> None:
    devices, build = seen(WidthFromData)
    found = trace(Loaded("net", None, build, ModelInputs((torch.zeros(2, 4),))))
    assert devices == ["meta", "cpu"]
    assert counted(found).total == 2 * 4 * 3
    assert "its constructor raised" in notes(found)["real-run"]


NEEDS_DATA = [
    pytest.param(lambda x: x * 2 if x.sum() > 0 else x, id="branch"),
    pytest.param(lambda x: x * x.mean().item(), id="item"),
    pytest.param(lambda x: x.nonzero(), id="nonzero"),
    pytest.param(lambda x: x[x > 0.5], id="mask"),
    pytest.param(lambda x: torch.from_numpy(x.numpy()), id="numpy"),
    pytest.param(lambda x: x.unique(), id="unique"),
    pytest.param(lambda x: [float(v) for v in x.flatten()], id="list"),
]


@pytest.mark.parametrize("function", NEEDS_DATA)
def test_a_forward_that_needs_data_is_run_for_real_and_a_note_says_so(function: Callable[..., Any]) -> None:
    net = nn.Sequential(nn.Linear(4, 4), Call(function))
    found = traced(net, (2, 4))
    (note,) = (note for note in found.notes if note.code == "real-run")
    assert note.subject == "net"
    assert "run with real tensors, because without data" in note.text
    assert "\n" not in note.text
    assert {call.op for call in found.ops} >= {"aten::addmm"}


def test_the_real_run_sees_the_real_data() -> None:
    found = traced(lambda x: x @ x if x.sum() > 0 else x, torch.eye(3))
    assert counted(found).total == 27
    assert macs(lambda x: x @ x if x.sum() > 0 else x, -torch.eye(3)) == 0


def until_it_failed(found: Trace) -> int:
    """What was counted of a pass that raised; its total is unknown."""
    assert counted(found).total is None
    return sum(layer.amount.value for layer in counted(found).layers if layer.amount is not None)


def test_a_model_on_meta_that_needs_data_fails_where_it_needs_it() -> None:
    with torch.device("meta"):
        net = nn.Sequential(nn.Linear(4, 4), Call(lambda x: x.sum().item()))
    found = trace(load(net, (2, 4)))
    assert found.failed is not None
    assert found.failed.startswith("1 (Call) raised")
    assert until_it_failed(found) == 32


def test_a_sparse_buffer_is_no_obstacle() -> None:
    net = Call(lambda x: net.adjacency @ x)
    net.register_buffer("adjacency", torch.eye(4).to_sparse())
    assert traced(net, (4, 2)).ops


def test_lazy_modules_take_their_shapes_from_the_input_and_stay_lazy() -> None:
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    found = traced(net, (1, 3, 8, 8))
    assert counted(found).total == 4 * 36 * 27 + 144 * 2
    assert params(found) == 4 * 27 + 4 + 8 + 144 * 2 + 2
    assert "lazy" in notes(found)
    assert found.tree[1].type == "torch.nn.modules.conv.Conv2d"
    assert isinstance(net[0], nn.LazyConv2d)
    assert isinstance(net[0].weight, nn.UninitializedParameter)
    assert isinstance(net[3].weight, nn.UninitializedParameter)
    assert net(torch.zeros(1, 5, 6, 6)).shape == (1, 2)


# Failure


def test_the_failing_module_is_named_and_the_partial_trace_kept() -> None:
    found = trace(load(Net(width=5), (2, 4)))
    assert found.failed is not None
    assert found.failed.startswith("features.1 (Linear) raised RuntimeError: mat1 and mat2 shapes")
    assert "\n" not in found.failed
    assert [call.path for call in found.modules] == ["features.0"]
    assert until_it_failed(found) == 2 * 16
    assert [node.path for node in found.tree] == ["", "features", "features.0", "features.1", "head"]
    assert "not-called" not in notes(found)


def fails(text: str) -> Callable[[Tensor], Tensor]:
    def function(x: Tensor) -> Tensor:
        raise ValueError(text)

    return function


def test_the_model_itself_is_called_by_its_class() -> None:
    assert trace(load(fails("no luck"), (1,))).failed == "forward of Call raised ValueError: no luck"


def test_a_message_of_many_lines_becomes_one_short_one() -> None:
    failed = trace(load(fails("line\n   line\n" * 100), (1,))).failed
    assert failed is not None
    assert "\n" not in failed
    assert len(failed) < 400


def test_a_wrong_input_is_the_model_s_error() -> None:
    failed = trace(load(Net(), (2, 7))).failed
    assert failed is not None
    assert failed.startswith("features.0 (Linear) raised")
    failed = trace(load(Net(), (2, 4), (2, 4))).failed
    assert failed is not None
    assert failed.startswith("forward of Net raised TypeError")


def test_a_constructor_that_raises_is_a_model_error_of_one_line() -> None:
    def build(device: str) -> nn.Module:
        raise KeyError("depth\nof what")

    with pytest.raises(ModelError, match=r"^net: building the model raised KeyError: 'depth\\nof what'$"):
        trace(Loaded("net", None, build, ModelInputs()))


def test_an_error_that_the_model_catches_is_no_failure() -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.risky, self.safe = nn.Linear(9, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.risky(x)  # type: ignore[no-any-return]
            except RuntimeError:
                return self.safe(x)  # type: ignore[no-any-return]

    found = traced(Careful(), (2, 4))
    assert [call.path for call in found.modules] == ["safe", ""]
    assert counted(found).total == 32


# Digest


def test_the_digest_is_that_of_the_content() -> None:
    first, second = traced(Net(), (2, 4)), traced(Net(), (2, 4))
    assert first == second
    assert first.digest() == second.digest()
    assert first.digest() != traced(Net(), (3, 4)).digest()
    json.dumps(dataclasses.asdict(first))


@pytest.mark.parametrize(
    "factory",
    [
        pytest.param(Net, id="net"),
        pytest.param(lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), id="encoder"),
        pytest.param(lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(True)), id="norm"),
    ],
)
def test_a_model_on_meta_and_a_real_one_have_one_trace(factory: Callable[[], nn.Module]) -> None:
    real = traced(factory(), (2, 4))
    with torch.device("meta"):
        hollow = traced(factory(), torch.empty(2, 4))
    assert real == hollow
    assert real.digest() == hollow.digest()


# Modes


def test_eval_mode_unless_asked_otherwise() -> None:
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4))
    assert "aten::native_dropout" not in {call.op for call in traced(net, (2, 4)).ops}
    ops = {call.op for call in traced(net, (2, 4), mode="train").ops}
    assert any("dropout" in op or "bernoulli" in op for op in ops)


def test_the_default_number_format_is_that_of_the_moment() -> None:
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(3, device=x.device), torch.arange(3, device=x.device) / 2

    for dtype in (torch.float32, torch.float64, torch.float32):
        torch.set_default_dtype(dtype)
        try:
            found = traced(forward, torch.zeros(1))
        finally:
            torch.set_default_dtype(torch.float32)
        outputs = [found.values[number].dtype for number in found.modules[-1].outputs]
        assert outputs == [str(dtype).removeprefix("torch.")] * 2


def test_no_gradients_are_recorded() -> None:
    grads: list[bool] = []

    def forward(x: Tensor) -> Tensor:
        grads.append(torch.is_grad_enabled())
        return x * 2

    traced(forward, (2,))
    assert grads == [False]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_layers_of_an_encoder_are_seen_and_the_fast_path_is_as_it_was(enabled: bool) -> None:
    torch.backends.mha.set_fastpath_enabled(enabled)
    try:
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        found = traced(nn.TransformerEncoder(layer, 2), (2, 5, 8))
        assert torch.backends.mha.get_fastpath_enabled() is enabled
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    ops = [call.op for call in found.ops]
    assert ops.count("aten::scaled_dot_product_attention") == 2
    assert not any("transformer_encoder" in op for op in ops)


def test_inside_a_compiled_model_the_one_as_written_is_traced() -> None:
    found = traced(torch.compile(Net()), (2, 4))
    assert [call.path for call in found.modules] == ["features.0", "features.1", "features", "head", ""]


def test_a_warning_of_the_model_is_not_printed(recwarn: pytest.WarningsRecorder) -> None:
    import warnings

    def forward(x: Tensor) -> Tensor:
        warnings.warn("the model's own business", stacklevel=1)
        return x * 2

    traced(forward, (2,))
    assert not recwarn.list
